//! Reads what the checks need. A read that fails is a fact, too, and never stops the others.

mod aws;
mod cloudfront;
mod s3;
mod stack;
mod xml;

use std::collections::BTreeMap;

use jiff::civil::Time;
use jiff::{Timestamp, tz::TimeZone};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thaw_core::{Distribution, Origin};

use super::facts::{
    Access, Bucket, BucketState, Config, DeleteMarkers, Facts, Invalidated, Listed, Read, Seen, Stack, Unread,
    Versioning,
};
use crate::address::{Address, LocalStack};
use crate::api::{self, Api};
use crate::args::{DoctorArgs, Global};
use crate::context::Context;
use crate::error::Error;
use aws::{Aws, Failure, Service, understood};

/// The most invalidations whose paths are counted. CloudFront takes few calls a second.
const MOST_COUNTED: usize = 60;

/// The most pages of a list.
const MOST_PAGES: usize = 20;

/// Reads everything, and tells what it reads. Fails only without credentials, or without a Region.
pub fn facts(args: &DoctorArgs, context: &Context<'_>) -> Result<(Facts, Timestamp), Error> {
    let global = context.global;
    let local = global.local.as_deref().map(LocalStack::read).transpose()?;
    let now = aws::now(local.as_ref());
    let reader = Reader { aws: Aws::connect(global, local.as_ref(), context.terminal)?, stack: &global.stack };
    let progress = context.terminal.progress();
    let tell = |what: String| progress.set_message(format!("reading {what}"));

    tell(format!("the stack {}", global.stack));
    let stack = reader.stack();
    let (alarms, concurrency) = (reader.alarms(), reader.concurrency());
    let mut api = reader.api(global, local.as_ref(), &stack, context);
    let first = args.bucket.clone();
    let mut seen = |bucket: Option<&str>| seen(&mut api, bucket);

    tell("the distributions of the first bucket".to_owned());
    let first_seen = seen(first.as_deref());
    let names = match first {
        Some(name) => Ok(vec![name]),
        None => bucket_names(&first_seen, &stack),
    };
    let mut first_seen = Some(first_seen);
    let buckets = names.map(|names| {
        let read = names.iter().map(|name| {
            tell(format!("the bucket {name}"));
            let seen = first_seen.take().unwrap_or_else(|| seen(Some(name)));
            reader.bucket(name, seen)
        });
        read.collect::<Vec<_>>()
    });

    tell("the distributions".to_owned());
    let account_distributions = reader.account_distributions();
    let configs = reader.configs(buckets.as_deref().unwrap_or_default(), &account_distributions);
    tell("this month's invalidations".to_owned());
    let invalidated = match configs.is_empty() {
        true => Err(Unread::Failed(
            "No distribution in front of an archive bucket is known, so nothing was counted.".to_owned(),
        )),
        false => reader.invalidated(configs.keys(), now),
    };
    progress.finish_and_clear();
    let facts = Facts {
        stack_name: global.stack.clone(),
        region: reader.aws.identity.region.clone(),
        days: args.days,
        stack,
        alarms,
        concurrency,
        buckets,
        account_distributions,
        configs,
        invalidated,
    };
    Ok((facts, now))
}

/// The stack's buckets. The API answers for the first of them and names the others.
fn bucket_names(seen: &Read<Option<Seen>>, stack: &Read<Stack>) -> Read<Vec<String>> {
    match (seen, stack) {
        (Ok(Some(seen)), _) => {
            let others = seen.archive_buckets.iter().filter(|name| **name != seen.bucket).cloned();
            Ok(std::iter::once(seen.bucket.clone()).chain(others).collect())
        }
        (Ok(None) | Err(_), Ok(stack)) => {
            let names = stack.parameters.get("ArchiveBuckets").map(String::as_str).unwrap_or_default();
            Ok(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
        }
        (Err(unread), Err(_)) | (Ok(None), Err(unread)) => Err(unread.clone()),
    }
}

/// `GET /v1/distributions`; nothing if the bucket is none of the stack's.
fn seen(api: &mut Result<Api<'_>, Unread>, bucket: Option<&str>) -> Read<Option<Seen>> {
    let api = api.as_mut().map_err(|unread| unread.clone())?;
    let query = bucket.map(|name| format!("?bucket={}", encoded(name))).unwrap_or_default();
    let answer = api.get(&format!("/v1/distributions{query}")).and_then(|(answer, _)| api::read(&answer));
    match answer {
        Err(Error::Problem(problem)) if problem.kind == "urn:thaw:problem:foreign-bucket" => Ok(None),
        answer => answer.map(Some).map_err(|error| {
            Unread::Failed(format!(
                "{error} A stack that is older than this command has no such call: deploy it again."
            ))
        }),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

struct Reader<'a> {
    aws: Aws<'a>,
    stack: &'a str,
}

impl Reader<'_> {
    fn stack(&self) -> Read<Stack> {
        let form = format!("Action=DescribeStacks&Version=2010-05-15&StackName={}", encoded(self.stack));
        let resource = format!("arn:aws:cloudformation:{}:*:stack/{}/*", self.aws.identity.region, self.stack);
        let answer = self.aws.query(Service::CloudFormation, &form);
        understood(answer, "cloudformation:DescribeStacks", &resource, stack::stack)
    }

    fn alarms(&self) -> Read<Vec<super::facts::Alarm>> {
        let prefix = encoded(&format!("{}-", self.stack));
        let (mut alarms, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let token = next.take().map(|token| format!("&NextToken={}", encoded(&token))).unwrap_or_default();
            let form =
                format!("Action=DescribeAlarms&Version=2010-08-01&AlarmNamePrefix={prefix}&MaxRecords=100{token}");
            let answer = self.aws.query(Service::CloudWatch, &form);
            let parse = |xml: &str| stack::alarms(xml, self.stack);
            let (page, after) = understood(answer, "cloudwatch:DescribeAlarms", "*", parse)?;
            alarms.extend(page);
            next = after;
            if next.is_none() {
                break;
            }
        }
        Ok(alarms)
    }

    fn concurrency(&self) -> Read<u64> {
        let answer = self.aws.get(Service::Lambda, "/2016-08-19/account-settings/");
        understood(answer, "lambda:GetAccountSettings", "*", stack::concurrency)
    }

    /// The API, whose address the caller, the local stack or CloudFormation says.
    fn api<'g>(
        &self,
        global: &'g Global,
        local: Option<&LocalStack>,
        stack: &Read<Stack>,
        context: &Context<'g>,
    ) -> Result<Api<'g>, Unread> {
        let said = local.map(|local| local.api_url.clone()).or_else(|| global.api_url.clone());
        let url = match (said, stack) {
            (Some(url), _) => url,
            (None, Ok(stack)) => stack.outputs.get("ApiUrl").cloned().ok_or_else(|| {
                Unread::Failed(format!("The stack {} has no output ApiUrl, so it is not one of thaw.", self.stack))
            })?,
            (None, Err(unread)) => return Err(unread.clone()),
        };
        let time_scale = local.map_or(1, |local| local.time_scale.max(1));
        let url = url.trim_end_matches('/').to_owned();
        let address = Address { url, identity: self.aws.identity.clone(), time_scale, origin: None };
        Ok(Api::at(address, global, context.terminal))
    }

    fn bucket(&self, name: &str, seen: Read<Option<Seen>>) -> Bucket {
        let arn = format!("arn:aws:s3:::{name}");
        let get = |what: &str| self.aws.get(Service::S3, &format!("/{name}?{what}"));
        // A configuration that a bucket does not have is a 404 with a code of its own.
        let absent = |answer: Result<String, Failure>, code: &str, instead: &str| match answer {
            Err(failure) if failure.code() == code => Ok(instead.to_owned()),
            answer => answer,
        };
        let versioning = get("versioning");
        let state = match versioning.as_ref().err().map(Failure::code) {
            Some("NoSuchBucket") => BucketState::Missing,
            // A wrong endpoint, or a signature for the wrong Region (API Reference, "Error responses").
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                BucketState::InAnotherRegion
            }
            Some(_) | None => BucketState::There,
        };
        let versioning = understood(versioning, "s3:GetBucketVersioning", &arn, s3::versioning);
        let delete_markers = match versioning {
            Ok(Versioning::Enabled | Versioning::Suspended) => Some(self.delete_markers(name, &arn)),
            Ok(Versioning::Never) | Err(_) => None,
        };
        let lifecycle = absent(get("lifecycle"), "NoSuchLifecycleConfiguration", "<LifecycleConfiguration/>");
        let no_encryption = "<ServerSideEncryptionConfiguration/>";
        let encryption = absent(get("encryption"), "ServerSideEncryptionConfigurationNotFoundError", no_encryption);
        let policy = absent(get("policy"), "NoSuchBucketPolicy", "null");
        Bucket {
            name: name.to_owned(),
            state,
            events: understood(get("notification"), "s3:GetBucketNotification", &arn, s3::events),
            versioning,
            delete_markers,
            lifecycle: understood(lifecycle, "s3:GetLifecycleConfiguration", &arn, s3::lifecycle),
            encryption: understood(encryption, "s3:GetEncryptionConfiguration", &arn, s3::encryption),
            policy: understood(policy, "s3:GetBucketPolicy", &arn, |json| {
                serde_json::from_str(json).map_err(|error| format!("the policy is not JSON: {error}"))
            }),
            of_stack: !matches!(seen, Ok(None)),
            seen: seen.map(Option::unwrap_or_default),
        }
    }

    fn delete_markers(&self, name: &str, arn: &str) -> Read<DeleteMarkers> {
        let answer = self.aws.get(Service::S3, &format!("/{name}?versions&max-keys=1000"));
        understood(answer, "s3:ListBucketVersions", arn, s3::delete_markers)
    }

    fn account_distributions(&self) -> Read<Vec<Listed>> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let marker = next.take().map(|marker| format!("?Marker={}", encoded(&marker))).unwrap_or_default();
            let answer = self.aws.get(Service::CloudFront, &format!("/2020-05-31/distribution{marker}"));
            let (page, after) = understood(answer, "cloudfront:ListDistributions", "*", cloudfront::distributions)?;
            all.extend(page);
            next = after;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(Unread::Failed(format!("The account has more than {} distributions, too many to look through.", all.len())))
    }

    /// The configs of all distributions that have one of the buckets as an origin.
    fn configs(&self, buckets: &[Bucket], listed: &Read<Vec<Listed>>) -> BTreeMap<String, Read<Config>> {
        let seen = buckets.iter().filter_map(|bucket| bucket.seen.as_ref().ok()).flat_map(|seen| &seen.distributions);
        let seen = seen.filter(|one| !one.origins.is_empty()).map(|one| one.id.clone());
        let has_one = |one: &&Listed| buckets.iter().any(|bucket| has_origin(one, &bucket.name));
        let listed = listed.iter().flatten().filter(has_one).map(|one| one.id.clone());
        let ids: std::collections::BTreeSet<String> = seen.chain(listed).collect();
        let mut controls = BTreeMap::new();
        ids.into_iter().map(|id| (id.clone(), self.config(&id, &mut controls))).collect()
    }

    fn config(&self, id: &str, controls: &mut BTreeMap<String, Access>) -> Read<Config> {
        let resource = format!("arn:aws:cloudfront::*:distribution/{id}");
        let answer = self.aws.get(Service::CloudFront, &format!("/2020-05-31/distribution/{id}"));
        let read = understood(answer, "cloudfront:GetDistribution", &resource, cloudfront::distribution)?;
        let mut access = BTreeMap::new();
        for origin in read.origins {
            let as_whom = match (origin.control.is_empty(), origin.identity.is_empty()) {
                (false, _) => {
                    let control = controls.entry(origin.control.clone());
                    control.or_insert_with(|| self.access_control(&origin.control)).clone()
                }
                (true, false) => Access::Identity(origin.identity),
                (true, true) => Access::Nobody,
            };
            access.insert(origin.id, as_whom);
        }
        Ok(Config { arn: read.arn, domain: read.domain, aliases: read.aliases, access })
    }

    fn access_control(&self, id: &str) -> Access {
        let resource = format!("arn:aws:cloudfront::*:origin-access-control/{id}");
        let answer = self.aws.get(Service::CloudFront, &format!("/2020-05-31/origin-access-control/{id}"));
        match understood(answer, "cloudfront:GetOriginAccessControl", &resource, cloudfront::never_signs) {
            Ok(false) => Access::Control,
            Ok(true) => Access::ControlThatNeverSigns,
            Err(unread) => Access::Unread(unread),
        }
    }

    /// The paths that were invalidated since the month began (UTC). A listing has no numbers of paths, so each invalidation is
    /// read, as far as they are few.
    fn invalidated<'i>(&self, ids: impl Iterator<Item = &'i String>, now: Timestamp) -> Read<Invalidated> {
        let today = now.to_zoned(TimeZone::UTC);
        let month = today.first_of_month().and_then(|day| day.with().time(Time::midnight()).build());
        let month = month.map_or(now, |month| month.timestamp());
        let mut total = Invalidated { paths: 0, at_least: false };
        let mut counted = 0;
        for id in ids {
            let resource = format!("arn:aws:cloudfront::*:distribution/{id}");
            let path = format!("/2020-05-31/distribution/{id}/invalidation");
            let mut next = None::<String>;
            'pages: for page in 0..MOST_PAGES {
                let marker = next.take().map(|marker| format!("&Marker={}", encoded(&marker))).unwrap_or_default();
                let answer = self.aws.get(Service::CloudFront, &format!("{path}?MaxItems=100{marker}"));
                let (made, after) =
                    understood(answer, "cloudfront:ListInvalidations", &resource, cloudfront::invalidations)?;
                for (invalidation, at) in made {
                    if at < month {
                        break 'pages;
                    }
                    counted += 1;
                    if counted > MOST_COUNTED {
                        // It has one path or more.
                        total = Invalidated { paths: total.paths + 1, at_least: true };
                        continue;
                    }
                    let answer = self.aws.get(Service::CloudFront, &format!("{path}/{invalidation}"));
                    total.paths += understood(answer, "cloudfront:GetInvalidation", &resource, cloudfront::paths)?;
                }
                next = after;
                if next.is_none() {
                    break;
                }
                total.at_least |= page + 1 == MOST_PAGES;
            }
        }
        Ok(total)
    }
}

/// Whether an origin of a listed distribution is the bucket.
pub fn has_origin(listed: &Listed, bucket: &str) -> bool {
    let origins = listed.origins.iter();
    let origins =
        origins.map(|(domain, path)| Origin { id: String::new(), domain: domain.clone(), path: path.clone() });
    Distribution { origins: origins.collect(), ..Distribution::default() }.has_origin(bucket)
}
