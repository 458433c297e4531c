//! S3's operations: what a request asks of the model, and how its answer looks on the wire.

use super::s3_fields::{Encoding, class, content_type, metadata, restore, size, time, wants_status};
use super::s3_model_answer::ModelAnswer;
use super::s3_uploads::Uploads;
use super::shared::Shared;
use crate::model::{
    AccessTier, ApiError, Content, ListMarker, ListRequest, ObjectRef, PutOutput, PutRequest, RestoreRequest, Sim,
    StorageClass,
};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::Timestamp;
use s3s::dto::*;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use std::sync::Arc;
use std::time::SystemTime;

/// User metadata that puts an Intelligent-Tiering object into an archive tier; S3 has no call for that.
const TIER_METADATA: &str = "thaw-sim-access-tier";
/// User metadata that makes an object claim a size which its bytes have not.
const SIZE_METADATA: &str = "thaw-sim-size";

/// S3's operations over the model.
pub(super) struct S3Api {
    shared: Arc<Shared>,
    uploads: Uploads,
}

impl S3Api {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, uploads: Uploads::default() }
    }

    /// Puts an object, and tells of it.
    fn store(&self, sim: &mut Sim, put: PutRequest, now: Timestamp) -> Result<PutOutput, ApiError> {
        let (bucket, key, size) = (put.bucket.clone(), put.key.clone(), put.content.body.len());
        let stored = sim.put_object(put, now)?;
        self.shared.events.file_written(&bucket, &key, size, &stored.etag, now);
        self.shared.changed.notify_one();
        Ok(stored)
    }
}

/// The model's error goes past s3s, in the extensions; s3s only learns that there is one.
fn s3_result<T, I>(request: &S3Request<I>, result: Result<T, ApiError>) -> S3Result<T> {
    result.map_err(|api_error| {
        if let Some(model) = request.extensions.get::<ModelAnswer>() {
            model.set_error(api_error);
        }
        S3Error::new(S3ErrorCode::InternalError)
    })
}

fn ok<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait]
impl S3 for S3Api {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let mut sim = self.shared.sim();
        if sim.bucket_versioning(&req.input.bucket).is_err() {
            sim.create_bucket(&req.input.bucket, false);
        }
        ok(CreateBucketOutput { location: Some(format!("/{}", req.input.bucket)) })
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        s3_result(&req, self.shared.sim().delete_bucket(&req.input.bucket))?;
        ok(DeleteBucketOutput::default())
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let sim = self.shared.sim();
        s3_result(&req, sim.bucket_versioning(&req.input.bucket))?;
        ok(HeadBucketOutput { bucket_region: Some(sim.settings().region.clone()), ..Default::default() })
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let sim = self.shared.sim();
        let bucket = |name: &str| Bucket {
            name: Some(name.to_owned()),
            creation_date: Some(SystemTime::UNIX_EPOCH.into()),
            ..Default::default()
        };
        ok(ListBucketsOutput { buckets: Some(sim.bucket_names().map(bucket).collect()), ..Default::default() })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let sim = self.shared.sim();
        s3_result(&req, sim.bucket_versioning(&req.input.bucket))?;
        // The oldest Region goes without a name here.
        let region = Some(sim.settings().region.clone()).filter(|region| region != "us-east-1");
        ok(GetBucketLocationOutput { location_constraint: region.map(Into::into) })
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        s3_result(&req, self.shared.sim().expect_owner(req.input.expected_bucket_owner.as_deref()))?;
        let versioned = s3_result(&req, self.shared.sim().bucket_versioning(&req.input.bucket))?;
        let status = versioned.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        ok(GetBucketVersioningOutput { status, ..Default::default() })
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let mut sim = self.shared.sim();
        s3_result(&req, sim.bucket_versioning(&req.input.bucket))?;
        let status = req.input.versioning_configuration.status.as_ref();
        sim.create_bucket(&req.input.bucket, status.is_some_and(|status| status.as_str() == "Enabled"));
        ok(PutBucketVersioningOutput::default())
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let body = collect(req.input.body.take()).await?;
        let input = &req.input;
        let put = Put {
            bucket: &input.bucket,
            key: &input.key,
            class: input.storage_class.as_ref(),
            content_type: input.content_type.as_ref(),
            cache_control: input.cache_control.as_ref(),
            metadata: input.metadata.as_ref(),
            customer_algorithm: input.sse_customer_algorithm.as_ref(),
        };
        let put = s3_result(&req, put.request(body))?;
        let must_be_new = matches!(req.input.if_none_match, Some(ETagCondition::Any));
        let now = self.shared.clock.now();
        let mut sim = self.shared.sim();
        if must_be_new && sim.head_uncounted(&ObjectRef::new(&put.bucket, &put.key), now).is_ok() {
            let message = "At least one of the pre-conditions you specified did not hold";
            s3_result(&req, Err(ApiError::new("PreconditionFailed", 412, message)))?;
        }
        let stored = s3_result(&req, self.store(&mut sim, put, now))?;
        let e_tag = Some(ETag::Strong(stored.etag));
        ok(PutObjectOutput { e_tag, version_id: stored.version, ..Default::default() })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &req.input;
        let put = Put {
            bucket: &input.bucket,
            key: &input.key,
            class: input.storage_class.as_ref(),
            content_type: input.content_type.as_ref(),
            cache_control: input.cache_control.as_ref(),
            metadata: input.metadata.as_ref(),
            customer_algorithm: input.sse_customer_algorithm.as_ref(),
        };
        s3_result(&req, self.shared.sim().bucket_versioning(&input.bucket))?;
        let put = s3_result(&req, put.request(Bytes::new()))?;
        let upload_id = Some(self.uploads.begin(put));
        let (bucket, key) = (Some(input.bucket.clone()), Some(input.key.clone()));
        ok(CreateMultipartUploadOutput { bucket, key, upload_id, ..Default::default() })
    }

    async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let body = collect(req.input.body.take()).await?;
        let etag = s3_result(&req, self.uploads.add(&req.input.upload_id, req.input.part_number, body))?;
        ok(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let put = s3_result(&req, self.uploads.end(&req.input.upload_id))?;
        let stored = s3_result(&req, self.store(&mut self.shared.sim(), put, self.shared.clock.now()))?;
        ok(CompleteMultipartUploadOutput {
            bucket: Some(req.input.bucket),
            key: Some(req.input.key),
            e_tag: Some(ETag::Strong(stored.etag)),
            version_id: stored.version,
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        s3_result(&req, self.uploads.end(&req.input.upload_id))?;
        ok(AbortMultipartUploadOutput::default())
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = ObjectRef::version(&req.input.bucket, &req.input.key, req.input.version_id.as_deref());
        let head = s3_result(&req, self.shared.sim().head_object(&object, self.shared.clock.now()))?;
        ok(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            archive_status: head.archive_status.map(|tier| ArchiveStatus::from(tier.as_str().to_owned())),
            cache_control: head.content.cache_control.clone(),
            content_length: Some(size(head.size)),
            content_type: Some(content_type(&head)),
            e_tag: Some(ETag::Strong(head.etag.clone())),
            last_modified: Some(time(head.last_modified)),
            metadata: Some(metadata(&head)),
            restore: restore(head.restore),
            storage_class: class(head.class),
            version_id: head.version,
            ..Default::default()
        })
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let object = ObjectRef::version(&req.input.bucket, &req.input.key, req.input.version_id.as_deref());
        let head = s3_result(&req, self.shared.sim().get_object(&object, self.shared.clock.now()))?;
        let whole = head.content.body.clone();
        let (body, content_range) = match &req.input.range {
            None => (whole, None),
            Some(range) => {
                let length = whole.len() as u64;
                let unsatisfiable = || ApiError::new("InvalidRange", 416, "The requested range is not satisfiable");
                let part = s3_result(&req, range.check(length).map_err(|_| unsatisfiable()))?;
                let shown = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
                // Both ends are within a body that is in memory, so they fit.
                (whole.slice(part.start as usize..part.end as usize), Some(shown))
            }
        };
        let partial = content_range.is_some();
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(size(body.len() as u64)),
            body: Some(StreamingBlob::from(Body::from(body))),
            cache_control: head.content.cache_control.clone(),
            content_range,
            content_type: Some(content_type(&head)),
            e_tag: Some(ETag::Strong(head.etag.clone())),
            last_modified: Some(time(head.last_modified)),
            metadata: Some(metadata(&head)),
            restore: restore(head.restore),
            storage_class: class(head.class),
            version_id: head.version,
            ..Default::default()
        };
        if let (true, Some(model)) = (partial, req.extensions.get::<ModelAnswer>()) {
            model.status(206);
        }
        ok(output)
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let object = ObjectRef::version(&req.input.bucket, &req.input.key, req.input.version_id.as_deref());
        let deleted = s3_result(&req, self.shared.sim().delete_object(&object, self.shared.clock.now()))?;
        let delete_marker = Some(deleted.marker).filter(|marker| *marker);
        ok(DeleteObjectOutput { delete_marker, version_id: deleted.version, ..Default::default() })
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let now = self.shared.clock.now();
        let mut sim = self.shared.sim();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for one in &req.input.delete.objects {
            let object = ObjectRef::version(&req.input.bucket, &one.key, one.version_id.as_deref());
            match sim.delete_object(&object, now) {
                Ok(done) => deleted.push(DeletedObject {
                    delete_marker: Some(done.marker).filter(|marker| *marker),
                    delete_marker_version_id: done.version.filter(|_| done.marker),
                    key: Some(one.key.clone()),
                    version_id: one.version_id.clone(),
                }),
                Err(api_error) => errors.push(Error {
                    code: Some(api_error.code().to_owned()),
                    key: Some(one.key.clone()),
                    message: Some(api_error.message().to_owned()),
                    version_id: one.version_id.clone(),
                }),
            }
        }
        ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
    }

    async fn restore_object(&self, req: S3Request<RestoreObjectInput>) -> S3Result<S3Response<RestoreObjectOutput>> {
        let input = &req.input;
        let body = input.restore_request.as_ref();
        let tier = body.and_then(|body| match &body.glacier_job_parameters {
            Some(parameters) => Some(parameters.tier.clone()),
            None => body.tier.clone(),
        });
        let tier = s3_result(&req, tier.map(|tier| tier.as_str().parse()).transpose())?;
        let request = RestoreRequest {
            object: ObjectRef::version(&input.bucket, &input.key, input.version_id.as_deref()),
            // Days below zero are as wrong as none at all, and the model says so.
            days: body.and_then(|body| body.days).map(|days| u32::try_from(days).unwrap_or_default()),
            tier,
        };
        let answer = self.shared.sim().restore_object(&request, self.shared.clock.now());
        // A scripted fault may have come after the effect, so there may be an event either way.
        self.shared.changed.notify_one();
        let answer = s3_result(&req, answer)?;
        if let Some(model) = req.extensions.get::<ModelAnswer>() {
            model.status(answer.status());
        }
        ok(RestoreObjectOutput::default())
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = &req.input;
        let request = ListRequest {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            start_after: input.start_after.clone(),
            continuation_token: input.continuation_token.clone(),
            max_keys: input.max_keys.map(|max| usize::try_from(max).unwrap_or_default()),
            delimiter: input.delimiter.clone(),
        };
        let page = s3_result(&req, self.shared.sim().list_objects(&request, self.shared.clock.now()))?;
        let with_status = wants_status(input.optional_object_attributes.as_ref());
        let encode = Encoding::asked(input.encoding_type.as_ref());
        let count = page.objects.len() + page.common_prefixes.len();
        let prefixes = page.common_prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode.text(prefix)) });
        ok(ListObjectsV2Output {
            name: Some(request.bucket),
            prefix: Some(encode.text(&request.prefix)),
            delimiter: request.delimiter.as_deref().map(|delimiter| encode.text(delimiter)),
            start_after: request.start_after.as_deref().map(|after| encode.text(after)),
            continuation_token: request.continuation_token,
            encoding_type: input.encoding_type.clone(),
            max_keys: Some(i32::try_from(request.max_keys.unwrap_or(1_000)).unwrap_or(1_000).min(1_000)),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            common_prefixes: Some(prefixes.collect()),
            contents: Some(page.objects.iter().map(|listed| encode.object(listed, with_status)).collect()),
            ..Default::default()
        })
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = &req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let version = input.version_id_marker.clone();
        let after = input.key_marker.clone().map(|key| ListMarker { key, version });
        let page = self.shared.sim().list_versions(&input.bucket, &prefix, after.as_ref(), self.shared.clock.now());
        let page = s3_result(&req, page)?;
        let encode = Encoding::asked(input.encoding_type.as_ref());
        let with_status = wants_status(input.optional_object_attributes.as_ref());
        let (versions, markers): (Vec<_>, Vec<_>) = page.versions.iter().partition(|version| version.head.is_some());
        ok(ListObjectVersionsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(encode.text(&prefix)),
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(page.next.is_some()),
            next_key_marker: page.next.as_ref().map(|next| encode.text(&next.key)),
            next_version_id_marker: page.next.as_ref().and_then(|next| next.version.clone()),
            versions: Some(versions.into_iter().filter_map(|version| encode.version(version, with_status)).collect()),
            delete_markers: Some(markers.into_iter().map(|marker| encode.marker(marker)).collect()),
            ..Default::default()
        })
    }
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let collected = Body::from(body).collect().await.map_err(|_| S3Error::new(S3ErrorCode::IncompleteBody))?;
    Ok(collected.to_bytes())
}

/// What a put and the begin of a multipart upload say alike.
struct Put<'a> {
    bucket: &'a str,
    key: &'a str,
    class: Option<&'a s3s::dto::StorageClass>,
    content_type: Option<&'a String>,
    cache_control: Option<&'a String>,
    metadata: Option<&'a Metadata>,
    customer_algorithm: Option<&'a SSECustomerAlgorithm>,
}

impl Put<'_> {
    fn request(&self, body: Bytes) -> Result<PutRequest, ApiError> {
        let class = self.class.map(|class| class.as_str().parse::<StorageClass>()).transpose()?;
        let metadata = self.metadata.cloned().unwrap_or_default();
        let tier = metadata.get(TIER_METADATA).map(|tier| tier.parse::<AccessTier>()).transpose()?;
        let claimed_size = metadata.get(SIZE_METADATA).and_then(|size| size.parse().ok());
        Ok(PutRequest {
            bucket: self.bucket.to_owned(),
            key: self.key.to_owned(),
            class: class.unwrap_or_default(),
            tier: tier.unwrap_or_default(),
            content: Content {
                body,
                claimed_size,
                content_type: self.content_type.cloned(),
                cache_control: self.cache_control.cloned(),
                customer_key: self.customer_algorithm.is_some(),
                metadata: metadata.into_iter().collect(),
            },
        })
    }
}
