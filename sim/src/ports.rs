//! The model behind the ports of the steps: S3 and CloudFront in process, in virtual time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;
use thaw_core::{
    CallError, DeploymentPolicies, Distribution, Encryption, Facts, Head, HeadError, Job, JobStatus, Missing, ObjectId,
    PathRules, QueryStrings, RestoreAnswer, S3Uri, Serving, Tier, head_error, is_about_a_key, trouble,
};
use thaw_steps::ports::{
    CreateInvalidations, CreateJobs, CreatedJob, DescribeDistributions, Distributions, FoundBucket, Invalidation,
    ListFrom, Listed, ListedRestore, LongFiles, NewJob, Page, Piece, PortError, PutNotifications, ReadArchive,
    ReadBuckets, ReadDistributions, ReadInvalidations, ReadJobs, RequestRestores, UpdateJobs, VersionMarker,
    VersionPage, WorkFiles,
};

use crate::cdn::{CachePolicy, InvalidationRequest, InvalidationStatus, QueryStringBehavior};
use crate::model::{
    ApiError, BucketDocument, JobRequest, ListMarker, ListRequest, ObjectRef, PutRequest, RestoreRequest, RestoreState,
    RetrievalTier, StorageClass,
};
use crate::{Clock, Sim};

/// S3 and CloudFront, as the steps see them.
#[derive(Debug, Clone)]
pub struct Aws {
    sim: Rc<RefCell<Sim>>,
    clock: Rc<Clock>,
}

impl Aws {
    /// A world at this time, which only [`Aws::clock`] moves on.
    pub fn new(sim: Sim, start: Timestamp) -> Self {
        Self { sim: Rc::new(RefCell::new(sim)), clock: Rc::new(Clock::manual(start)) }
    }

    /// Its time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does something to the model, or looks at it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Sim, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut sim = self.sim.borrow_mut();
        sim.run_jobs(now);
        act(&mut sim, now)
    }
}

impl Aws {
    /// The same question with a body in its answer.
    fn without_doubt(&self, object: &ObjectId, missing: Missing) -> Result<Facts, PortError> {
        let told = match self.with(|sim, now| sim.get_object(&object_ref(object), now)) {
            Ok(_) => Ok(missing),
            Err(refusal) => missing
                .confirmed_by_get(refusal.status(), refusal.code(), refusal.message())
                .map_err(|trouble| PortError { trouble: Some(trouble), ..port_error("GetObject", &refusal) }),
        };
        told.map(Facts::Missing)
    }
}

fn port_error(what: &str, refusal: &ApiError) -> PortError {
    PortError {
        what: what.to_owned(),
        says: format!("{} ({}): {}", refusal.code(), refusal.status(), refusal.message()),
        trouble: trouble(refusal.status(), refusal.code()),
    }
}

fn object_ref(object: &ObjectId) -> ObjectRef {
    ObjectRef::version(&object.bucket, &object.key, object.version.as_deref())
}

impl ReadArchive for Aws {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        match self.with(|sim, now| sim.head_object(&object_ref(object), now)) {
            Ok(head) => Ok(Facts::Found(Head {
                storage_class: Some(head.class.as_str().to_owned()),
                archive_status: head.archive_status.map(|tier| tier.as_str().to_owned()),
                restore: restore_header(head.restore),
                version: head.version,
                size: head.size,
            })),
            Err(refusal) => match head_error(refusal.status(), refusal.is_delete_marker(), object.version.is_some()) {
                HeadError::Says(missing) => Ok(Facts::Missing(missing)),
                HeadError::InDoubt(missing) => self.without_doubt(object, missing),
                HeadError::CallError(trouble) => Err(PortError {
                    trouble: thaw_core::trouble(refusal.status(), refusal.code()).or(Some(trouble)),
                    ..port_error("HeadObject", &refusal)
                }),
            },
        }
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        let (start_after, continuation_token) = match from.clone() {
            ListFrom::After(key) => (Some(key), None),
            ListFrom::Token(token) => (None, Some(token)),
        };
        let request = ListRequest {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            start_after,
            continuation_token,
            ..ListRequest::default()
        };
        let page = self.with(|sim, now| sim.list_objects(&request, now));
        let page = page.map_err(|refusal| port_error("ListObjectsV2", &refusal))?;
        let objects = page.objects.into_iter().map(|object| listed(object.key, None, &object.head));
        Ok(Page::new(objects.collect(), page.next))
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        let mut request = ListRequest {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            start_after: Some(after.to_owned()),
            delimiter: Some("/".to_owned()),
            ..ListRequest::default()
        };
        loop {
            let page = self.with(|sim, _| sim.list_objects(&request, Timestamp::UNIX_EPOCH));
            let page = page.map_err(|refusal| port_error("ListObjectsV2", &refusal))?;
            request.continuation_token = page.next;
            if request.continuation_token.is_none() || !page.objects.is_empty() || !page.common_prefixes.is_empty() {
                return Ok(page.common_prefixes);
            }
        }
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        let after = after.cloned().map(|VersionMarker { key, version }| ListMarker { key, version });
        let page = self.with(|sim, now| sim.list_versions(bucket, prefix, after.as_ref(), now));
        let page = page.map_err(|refusal| port_error("ListObjectVersions", &refusal))?;
        let current = page.versions.into_iter().filter(|version| version.latest);
        let objects = current.filter_map(|one| Some(listed(one.key, Some(one.version), one.head.as_ref()?)));
        let next = page.next.map(|ListMarker { key, version }| VersionMarker { key, version });
        Ok(VersionPage { objects: objects.collect(), next })
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        // Small, so that more than one is needed.
        const BYTES: usize = 64;
        let object = ObjectRef::new(&manifest.bucket, &manifest.key);
        let head = match self.with(|sim, now| sim.get_object(&object, now)) {
            Ok(head) => head,
            Err(refusal) if is_about_a_key(refusal.code(), refusal.message()) => {
                return Err(PortError { trouble: Some(CallError::KeyDenied), ..port_error("GetObject", &refusal) });
            }
            Err(refusal) if matches!(refusal.status(), 403 | 404) => return Ok(None),
            Err(refusal) => return Err(port_error("GetObject", &refusal)),
        };
        if etag.is_some_and(|etag| etag != head.etag) {
            let says = "the file was changed while it was read".to_owned();
            return Err(PortError { what: "GetObject".to_owned(), says, trouble: Some(CallError::Unavailable) });
        }
        let all = head.content.body;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
        let to = all.len().min(from + BYTES);
        Ok(Some(Piece { bytes: all[from..to].to_vec(), etag: head.etag, more: to < all.len() }))
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        let versions = self.with(|sim, _| sim.bucket_versioning(bucket));
        versions.map_err(|refusal| port_error("GetBucketVersioning", &refusal))
    }
}

fn listed(key: String, version: Option<String>, head: &crate::model::Head) -> Listed {
    Listed {
        key,
        version,
        storage_class: head.class.as_str().to_owned(),
        size: head.size,
        modified: head.last_modified,
        restore: match head.restore {
            RestoreState::None => None,
            RestoreState::Ongoing { .. } => Some(ListedRestore::Ongoing),
            RestoreState::Copy { expires } => Some(ListedRestore::Copy(expires)),
        },
    }
}

fn restore_header(state: RestoreState) -> Option<String> {
    match state {
        RestoreState::None => None,
        RestoreState::Ongoing { .. } => Some(r#"ongoing-request="true""#.to_owned()),
        RestoreState::Copy { expires } => {
            let date = expires.strftime("%a, %d %b %Y %H:%M:%S GMT");
            Some(format!(r#"ongoing-request="false", expiry-date="{date}""#))
        }
    }
}

impl RequestRestores for Aws {
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        let request = RestoreRequest { object: object_ref(object), days, tier: Some(retrieval_tier(tier)) };
        let (answer, says) = match self.with(|sim, now| sim.restore_object(&request, now)) {
            Ok(answer) => (RestoreAnswer::read(answer.status(), "", ""), String::new()),
            Err(refusal) => {
                (RestoreAnswer::read(refusal.status(), refusal.code(), refusal.message()), refusal.message().to_owned())
            }
        };
        answer.map_err(|trouble| PortError { what: "RestoreObject".to_owned(), says, trouble: Some(trouble) })
    }
}

impl ReadDistributions for Aws {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        self.with(|sim, _| {
            let all: Vec<_> = match sim.list_distributions() {
                Ok(all) => all.into_iter().map(|one| (one.config().clone(), one.domain_name())).collect(),
                Err(refusal) if ids.is_empty() || refusal.status() != 403 => {
                    return Err(port_error("ListDistributions", &refusal));
                }
                // Who may not list can read what is named.
                Err(_) => sim
                    .distributions()
                    .filter(|one| ids.iter().any(|id| id == one.id()))
                    .map(|one| (one.config().clone(), one.domain_name()))
                    .collect(),
            };
            let all: Vec<_> = all.into_iter().map(|(whole, domain)| (config(&whole), whole, domain)).collect();
            let is_asked = |one: &Distribution| match ids.is_empty() {
                true => one.has_origin(bucket) || one.may_have_origin(bucket) || one.tenants_may_have_origin(bucket),
                false => ids.contains(&one.id),
            };
            let mut policies = DeploymentPolicies::default();
            for (primary, whole, _) in all.iter().filter(|(one, whole, _)| is_asked(one) && !whole.disabled) {
                let Some(id) = &whole.continuous_deployment_policy_id else { continue };
                match sim.get_continuous_deployment_policy(id) {
                    Ok(policy) => {
                        let domains = policy.staging_distributions.into_iter().filter(|_| policy.enabled);
                        policies.with_viewers.extend(domains.map(|domain| (domain, primary.id.clone())));
                    }
                    Err(refusal) if refusal.status() == 404 => {}
                    Err(refusal) if refusal.status() == 403 => drop(policies.denied.insert(id.clone())),
                    Err(refusal) => return Err(port_error("GetContinuousDeploymentPolicy", &refusal)),
                }
            }
            let mut read = Vec::new();
            for (one, whole, domain) in &all {
                if is_asked(one) || (!ids.is_empty() && policies.with_viewers.contains_key(domain)) {
                    read.push((one.id.clone(), Some((one.clone(), serving(whole, domain.clone())))));
                }
            }
            let gone = ids.iter().filter(|id| !all.iter().any(|(one, ..)| one.id == **id));
            read.extend(gone.map(|id| (id.clone(), None)));
            Ok(Distributions::sorted(bucket, read, &policies, !ids.is_empty()))
        })
    }
}

impl DescribeDistributions for Aws {
    async fn describe(&self, id: &str) -> Result<Option<(Distribution, Serving)>, PortError> {
        self.with(|sim, _| match sim.distribution(id) {
            Ok(found) => Ok(Some((config(found.config()), serving(found.config(), found.domain_name())))),
            Err(refusal) if refusal.code() == "NoSuchDistribution" => Ok(None),
            Err(refusal) => Err(port_error("GetDistribution", &refusal)),
        })
    }

    async fn with_origin(&self, bucket: &str) -> Result<Vec<String>, PortError> {
        self.with(|sim, _| {
            let all = sim.list_distributions().map_err(|refusal| port_error("ListDistributions", &refusal))?;
            let all = all.into_iter().map(|one| config(one.config()));
            Ok(all.filter(|one| one.has_origin(bucket)).map(|one| one.id).collect())
        })
    }
}

impl ReadBuckets for Aws {
    async fn bucket(&self, bucket: &str) -> Result<FoundBucket, PortError> {
        match self.with(|sim, _| sim.bucket_versioning(bucket)) {
            Ok(_) => Ok(FoundBucket::Ours),
            Err(refusal) if refusal.code() == "NoSuchBucket" => Ok(FoundBucket::Missing),
            Err(refusal) if refusal.code() == "PermanentRedirect" => {
                Ok(FoundBucket::Elsewhere { region: refusal.region().unwrap_or_default().to_owned() })
            }
            Err(refusal) => Err(port_error("GetBucketVersioning", &refusal)),
        }
    }

    async fn encryption(&self, bucket: &str) -> Result<Encryption, PortError> {
        let document = self.with(|sim, _| sim.bucket_document(bucket, BucketDocument::Encryption));
        let document = document.map_err(|refusal| port_error("GetBucketEncryption", &refusal))?;
        // Tests write it in one line.
        let key = document.split_once("<KMSMasterKeyID>").and_then(|(_, rest)| rest.split_once('<'));
        match document.contains("<SSEAlgorithm>aws:kms") {
            true => Ok(Encryption::Kms(key.map(|(key, _)| key.to_owned()))),
            false => Ok(Encryption::S3),
        }
    }

    async fn notifications(&self, bucket: &str) -> Result<String, PortError> {
        let document = self.with(|sim, _| sim.bucket_document(bucket, BucketDocument::Notification));
        document.map_err(|refusal| port_error("GetBucketNotificationConfiguration", &refusal))
    }
}

impl PutNotifications for Aws {
    async fn put_notifications(&self, bucket: &str, xml: &str) -> Result<(), PortError> {
        let put = self.with(|sim, _| sim.put_bucket_document(bucket, BucketDocument::Notification, xml.to_owned()));
        put.map_err(|refusal| port_error("PutBucketNotificationConfiguration", &refusal))
    }
}

fn query_strings(policy: &CachePolicy) -> QueryStrings {
    let names = || policy.query_strings.iter().cloned().collect();
    match policy.query_string_behavior {
        QueryStringBehavior::None => QueryStrings::None,
        QueryStringBehavior::Whitelist => QueryStrings::Whitelist(names()),
        QueryStringBehavior::AllExcept => QueryStrings::AllExcept(names()),
        QueryStringBehavior::All => QueryStrings::All,
    }
}

fn serving(config: &crate::cdn::DistributionConfig, domain: String) -> Serving {
    Serving { enabled: !config.disabled, staging: config.staging, tenant_only: config.tenant_only, domain }
}

fn config(config: &crate::cdn::DistributionConfig) -> Distribution {
    let behaviour = |behavior: &crate::cdn::Behavior, pattern: &str| thaw_core::Behaviour {
        pattern: pattern.to_owned(),
        target: if behavior.target_origin_id.is_empty() {
            config.origins.first().map(|origin| origin.id.clone()).unwrap_or_default()
        } else {
            behavior.target_origin_id.clone()
        },
        has_origin_function: false,
        query_strings: match &behavior.cache_policy {
            Some(policy) => query_strings(policy),
            None if behavior.query_string => QueryStrings::All,
            None => QueryStrings::None,
        },
    };
    let behaviours = config.behaviors.iter().map(|behavior| behaviour(behavior, &behavior.path_pattern));
    let with_patterns = || {
        let named = config.behaviors.iter().map(|behavior| (behavior.path_pattern.as_str(), behavior));
        named.chain([("*", &config.default_behavior)])
    };
    let index = config.directory_index.is_some().then_some("directory-index");
    let viewer_functions = with_patterns().filter_map(|(pattern, behavior)| {
        let function = behavior.viewer_request.as_ref().map(|function| function.name.as_str()).or(index)?;
        Some((pattern.to_owned(), function.to_owned()))
    });
    let origin_functions = with_patterns().filter_map(|(pattern, behavior)| {
        Some((pattern.to_owned(), format!("{}:1", behavior.origin_request.as_ref()?.name)))
    });
    Distribution {
        primary: None,
        id: config.id.clone().unwrap_or_default(),
        origins: config
            .origins
            .iter()
            .map(|origin| thaw_core::Origin {
                id: origin.id.clone(),
                domain: if origin.domain_name.is_empty() {
                    format!("{}.s3.us-east-1.amazonaws.com", origin.bucket)
                } else {
                    origin.domain_name.clone()
                },
                path: origin.origin_path.clone(),
            })
            .collect(),
        groups: config
            .origin_groups
            .iter()
            .map(|group| thaw_core::OriginGroup {
                id: group.id.clone(),
                members: group.members.clone(),
                fails_over_on: group.failover_statuses.clone(),
            })
            .collect(),
        viewer_functions: viewer_functions.collect(),
        origin_functions: origin_functions.collect(),
        rules: PathRules::default(),
        behaviours: behaviours.chain([behaviour(&config.default_behavior, "*")]).collect(),
        default_root_object: config.default_root_object.clone(),
        errors: config
            .custom_error_responses
            .iter()
            .map(|rule| thaw_core::ErrorRule {
                code: rule.error_code,
                min_ttl: rule.error_caching_min_ttl.map_or(10, u64::from),
            })
            .collect(),
    }
}

impl CreateInvalidations for Aws {
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        let request = InvalidationRequest::new(distribution, caller_reference, items.iter().cloned());
        match self
            .with(|sim, now| sim.create_invalidation(&request, now).map(|made| (made.id.clone(), made.status(now))))
        {
            Ok((id, status)) => Ok(Invalidation::Accepted { id, completed: status == InvalidationStatus::Completed }),
            Err(refusal) => match trouble(refusal.status(), refusal.code()) {
                Some(_) => Err(port_error("CreateInvalidation", &refusal)),
                None if refusal.status() == 404 => Ok(Invalidation::Gone { says: refusal.to_string() }),
                None => Ok(Invalidation::Refused { says: format!("{}: {}", refusal.code(), refusal.message()) }),
            },
        }
    }
}

impl ReadInvalidations for Aws {
    async fn invalidation(
        &self,
        distribution: &str,
        id: &str,
    ) -> Result<thaw_steps::ports::InvalidationStatus, PortError> {
        use thaw_steps::ports::InvalidationStatus as Told;
        match self.with(|sim, now| sim.get_invalidation(distribution, id).map(|found| found.status(now))) {
            Ok(InvalidationStatus::Completed) => Ok(Told::Completed),
            Ok(InvalidationStatus::InProgress) => Ok(Told::InProgress),
            Err(refusal) if refusal.status() == 404 => Ok(Told::Gone { says: refusal.to_string() }),
            Err(refusal) => Err(port_error("GetInvalidation", &refusal)),
        }
    }
}

fn retrieval_tier(tier: Tier) -> RetrievalTier {
    match tier {
        Tier::Bulk => RetrievalTier::Bulk,
        Tier::Standard => RetrievalTier::Standard,
        Tier::Expedited => RetrievalTier::Expedited,
    }
}

/// Parts of files that are being uploaded, by upload and number.
type Parts = BTreeMap<(String, u32), Vec<u8>>;

/// The work bucket, in which the jobs find their lists and leave their reports.
#[derive(Debug, Clone)]
pub struct WorkBucket {
    aws: Aws,
    bucket: String,
    parts: Rc<RefCell<Parts>>,
    written: Rc<RefCell<BTreeSet<String>>>,
}

impl WorkBucket {
    /// This bucket, which must be there.
    pub fn new(aws: &Aws, bucket: &str) -> Self {
        Self { aws: aws.clone(), bucket: bucket.to_owned(), parts: Rc::default(), written: Rc::default() }
    }

    /// The names of the files that were written through this port, in order: those of reports, which S3 writes, are not.
    pub fn names(&self) -> Vec<String> {
        self.written.borrow().iter().cloned().collect()
    }

    fn write(&self, what: &str, name: &str, bytes: Vec<u8>) -> Result<String, PortError> {
        let put = PutRequest::new(&self.bucket, name, StorageClass::Standard, bytes);
        let stored =
            self.aws.with(|sim, now| sim.put_object(put, now)).map_err(|refusal| port_error(what, &refusal))?;
        self.written.borrow_mut().insert(name.to_owned());
        Ok(stored.etag)
    }
}

impl WorkFiles for WorkBucket {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.write("PutObject", name, bytes).map(|_| ())
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        match self.aws.with(|sim, now| sim.get_object(&ObjectRef::new(&self.bucket, name), now)) {
            Ok(head) => Ok(Some(head.content.body.to_vec())),
            Err(refusal) if refusal.status() == 404 => Ok(None),
            Err(refusal) => Err(port_error("GetObject", &refusal)),
        }
    }
}

impl LongFiles for WorkBucket {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        Ok(format!("upload {} of {name}", self.parts.borrow().len()))
    }

    async fn add(&self, _: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        self.parts.borrow_mut().insert((upload.to_owned(), number), part);
        Ok(number.to_string())
    }

    async fn finish(&self, name: &str, upload: &str, _: &[String]) -> Result<String, PortError> {
        let parts = self.parts.borrow();
        let of_upload = parts.iter().filter(|((of, _), _)| of == upload);
        let file: Vec<u8> = of_upload.flat_map(|(_, part)| part.clone()).collect();
        self.write("CompleteMultipartUpload", name, file)
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        let bucket = self.bucket.clone();
        ReadArchive::read(&self.aws, &S3Uri { bucket, key: name.to_owned() }, from, None).await
    }
}

impl CreateJobs for WorkBucket {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        let request = JobRequest {
            token: job.token.to_owned(),
            description: job.restore.to_string(),
            manifest: ObjectRef::new(&self.bucket, job.manifest),
            etag: job.etag.to_owned(),
            versions: job.group.versions,
            days: job.days,
            tier: retrieval_tier(job.tier),
            report_bucket: self.bucket.clone(),
            report_prefix: job.report.to_owned(),
            confirmation_required: true,
        };
        match self.aws.with(|sim, now| sim.create_job(request, now)) {
            Ok(id) => Ok(CreatedJob::Accepted { id }),
            Err(refusal) if trouble(refusal.status(), refusal.code()).is_some() => {
                Err(port_error("CreateJob", &refusal))
            }
            Err(refusal) => Ok(CreatedJob::Refused { says: refusal.to_string() }),
        }
    }
}

impl ReadJobs for WorkBucket {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        match self.aws.with(|sim, now| sim.describe_job(id, now)) {
            Ok(job) => {
                let (succeeded, failed) = job.progress();
                Ok(Some(Job { status: JobStatus::read(job.status.as_str()), succeeded, failed, why: job.why }))
            }
            Err(refusal) if refusal.code() == "NotFoundException" => Ok(None),
            Err(refusal) => Err(port_error("DescribeJob", &refusal)),
        }
    }
}

impl UpdateJobs for WorkBucket {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        self.update(id, "Ready")
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        self.update(id, "Cancelled")
    }
}

impl WorkBucket {
    fn update(&self, id: &str, status: &str) -> Result<(), PortError> {
        match self.aws.with(|sim, now| sim.update_job_status(id, status, now)) {
            Ok(()) => Ok(()),
            Err(refusal) if matches!(refusal.code(), "JobStatusException" | "NotFoundException") => Ok(()),
            Err(refusal) => Err(port_error("UpdateJobStatus", &refusal)),
        }
    }
}
