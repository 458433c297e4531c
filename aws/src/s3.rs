//! S3: the archive buckets.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Config, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::restore_object::RestoreObjectError;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    EncodingType, GlacierJobParameters, Object, ObjectVersion, OptionalObjectAttributes, RestoreRequest, RestoreStatus,
};
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::http::NonUtf8HeaderHandling;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use thaw_core::{
    CallError, Facts, Head, HeadError, LANES, Missing, ObjectId, RateLimiter, RestoreAnswer, S3Uri, Tier, head_error,
    is_about_a_key,
};
use thaw_steps::ports::{
    ListFrom, Listed, ListedRestore, Page, Piece, PortError, ReadArchive, RequestRestores, VersionMarker, VersionPage,
};

use crate::error::{answer, causes, port_error, unexpected};

/// Bytes of a manifest that are read at a time: a few thousand lines, or ten times as many if it is compressed.
const PIECE_BYTES: u64 = 256 * 1024;

/// How long a call waits until S3 accepts a restore, before that is left to the workflow. So a function does not work
/// on for long after S3 has stopped accepting any.
const PATIENCE: Duration = Duration::from_secs(60);

/// The archive buckets.
#[derive(Debug, Clone)]
pub struct Archive {
    client: Client,
    /// The rate limiter for restores. It lives as long as the function, so the next chunk begins at the rate of this
    /// one.
    pace: Arc<Mutex<RateLimiter>>,
}

impl Archive {
    /// `restores_per_second` is what S3 takes from the account. The lanes of a restore share it.
    pub(crate) fn new(config: Builder, restores_per_second: u32) -> Self {
        let pace = RateLimiter::new(restores_per_second / LANES, restores_per_second, Timestamp::now());
        Self {
            client: Client::from_conf(config.retry_classifier(SlowDownIsAnAnswer).interceptor(SkipUnreadable).build()),
            pace: Arc::new(Mutex::new(pace)),
        }
    }

    fn pace<T>(&self, of: impl FnOnce(&mut RateLimiter, Timestamp) -> T) -> T {
        // A few numbers, which are valid also after a panic.
        of(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), Timestamp::now())
    }
}

impl ReadArchive for Archive {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        let what = || format!("HeadObject of {object}");
        if object.key.trim().is_empty() {
            let says = "its key is only white space, and the AWS SDK takes that for no key".to_owned();
            return Ok(Facts::Missing(Missing::Unreadable { says }));
        }
        let call = self.client.head_object().bucket(&object.bucket).key(&object.key);
        match call.set_version_id(object.version.clone()).send().await {
            Ok(output) => Ok(Facts::Found(read_head(&output))),
            Err(error) => {
                let Some(raw) = error.raw_response() else { return Err(port_error(what(), &error)) };
                // A HEAD has no body that could break off, so a retry would get the same answer.
                if raw.status().is_success() {
                    return Ok(Facts::Missing(Missing::Unreadable { says: causes(&error) }));
                }
                let marker = raw.headers().get("x-amz-delete-marker") == Some("true");
                match head_error(raw.status().as_u16(), marker, object.version.is_some()) {
                    HeadError::Says(missing) => Ok(Facts::Missing(missing)),
                    HeadError::InDoubt(missing) => self.without_doubt(object, missing).await.map(Facts::Missing),
                    HeadError::CallError(trouble) => {
                        Err(PortError { trouble: Some(trouble), ..port_error(what(), &error) })
                    }
                }
            }
        }
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        let what = || format!("ListObjectsV2 of s3://{bucket}/{prefix}");
        let call = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let call = match from {
            ListFrom::After(key) => call.set_start_after(Some(key.clone()).filter(|key| !key.is_empty())),
            ListFrom::Token(token) => call.continuation_token(token),
        };
        let output = call
            .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
            // XML cannot carry the control characters that a key may have.
            .encoding_type(EncodingType::Url)
            .customize()
            .config_override(Config::builder().timeout_config(listing_timeouts()))
            .send()
            .await
            .map_err(|error| port_error(what(), &error))?;
        // The answer says whether its keys are encoded.
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let objects = output.contents().iter().filter_map(|object| read_listed(object, encoded)).collect();
        let token = next_token(&output).map_err(|says| unexpected(what(), says))?;
        Ok(Page::new(objects, token))
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        let what = || format!("ListObjectsV2 of the folders of s3://{bucket}/{prefix}");
        let mut token = None;
        loop {
            let call = self.client.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
            let call = match token {
                None => call.start_after(after),
                Some(token) => call.continuation_token(token),
            };
            let call = call.encoding_type(EncodingType::Url).customize();
            let call = call.config_override(Config::builder().timeout_config(listing_timeouts()));
            let output = call.send().await.map_err(|error| port_error(what(), &error))?;
            let encoded = output.encoding_type() == Some(&EncodingType::Url);
            let folders = output.common_prefixes().iter().filter_map(|folder| folder.prefix());
            token = next_token(&output).map_err(|says| unexpected(what(), says))?;
            // An empty page says nothing about what follows.
            if token.is_none() || !output.contents().is_empty() || !output.common_prefixes().is_empty() {
                return Ok(folders.map(|folder| decoded(folder, encoded)).collect());
            }
        }
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        let output = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix)
            .set_key_marker(after.map(|after| after.key.clone()))
            .set_version_id_marker(after.and_then(|after| after.version.clone()))
            .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
            .encoding_type(EncodingType::Url)
            .customize()
            .config_override(Config::builder().timeout_config(listing_timeouts()))
            .send()
            .await
            .map_err(|error| port_error(format!("ListObjectVersions of s3://{bucket}/{prefix}"), &error))?;
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let is_truncated = output.is_truncated() == Some(true);
        let next = output.next_key_marker().filter(|_| is_truncated);
        if is_truncated && next.is_none() {
            let what = format!("ListObjectVersions of s3://{bucket}/{prefix}");
            return Err(unexpected(what, "the listing is truncated, and the answer does not say how it goes on"));
        }
        Ok(VersionPage {
            objects: output.versions().iter().filter_map(|version| read_version(version, encoded)).collect(),
            next: next.map(|key| VersionMarker {
                key: decoded(key, encoded),
                version: output.next_version_id_marker().map(str::to_owned),
            }),
        })
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        read_piece(&self.client, &manifest.bucket, &manifest.key, from, etag).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        let output = self.client.get_bucket_versioning().bucket(bucket).send().await;
        let output = output.map_err(|error| port_error(format!("GetBucketVersioning of {bucket}"), &error))?;
        // A bucket that never had versions has no status.
        Ok(output.status().is_some())
    }
}

impl RequestRestores for Archive {
    /// Sends the request at the rate that S3 takes.
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let patience = give_up.saturating_duration_since(Instant::now());
            let wait = self.pace(|pace, now| pace.admit(now, patience)).map_err(|wait| PortError {
                what: format!("RestoreObject of {object}"),
                says: format!("S3 takes so few restores now that it would be sent in {} seconds", wait.as_secs()),
                trouble: Some(CallError::Throttled),
            })?;
            if !wait.is_zero() {
                TokioSleep::new().sleep(wait).await;
            }
            let answer = self.restore_once(object, days, tier).await;
            let throttled = answer.as_ref().is_err_and(|error| error.trouble == Some(CallError::Throttled));
            self.pace(|pace, now| pace.answered(now, throttled));
            if !throttled {
                return answer;
            }
        }
    }
}

impl Archive {
    /// Finds out what the error of a `HeadObject` means, which has no body: a `GetObject` of a single byte is answered
    /// with one.
    async fn without_doubt(&self, object: &ObjectId, missing: Missing) -> Result<Missing, PortError> {
        let call = self.client.get_object().bucket(&object.bucket).key(&object.key).range("bytes=0-0");
        let Err(error) = call.set_version_id(object.version.clone()).send().await else { return Ok(missing) };
        let failed = || port_error(format!("GetObject of {object}"), &error);
        match answer(&error) {
            None => Err(failed()),
            // The object can be read, even if its headers cannot be parsed.
            Some(answer) if answer.status < 300 => Ok(missing),
            Some(answer) => missing
                .confirmed_by_get(answer.status, answer.code, answer.message)
                .map_err(|trouble| PortError { trouble: Some(trouble), ..failed() }),
        }
    }

    async fn restore_once(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        let what = || format!("RestoreObject of {object}");
        let request = restore_request(days, tier).map_err(|error| unexpected(what(), error))?;
        let status = HttpStatus::default();
        let sent = self
            .client
            .restore_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_version_id(object.version.clone())
            .restore_request(request)
            .customize()
            .interceptor(status.clone())
            .send()
            .await;
        let read = match &sent {
            Ok(_) => RestoreAnswer::read(status.get(), "", ""),
            // An answer that cannot be parsed is still a yes or a no: its status says which.
            Err(error) => match answer(error) {
                Some(answer) => RestoreAnswer::read(answer.status, answer.code, answer.message),
                None => return Err(port_error(what(), error)),
            },
        };
        read.map_err(|trouble| match &sent {
            Err(error) => PortError { trouble: Some(trouble), ..port_error(what(), error) },
            Ok(_) => PortError { trouble: Some(trouble), ..unexpected(what(), format!("HTTP {}", status.get())) },
        })
    }
}

/// A piece of a file from this byte on.
pub(crate) async fn read_piece(
    client: &Client,
    bucket: &str,
    key: &str,
    from: u64,
    etag: Option<&str>,
) -> Result<Option<Piece>, PortError> {
    let what = || format!("GetObject of s3://{bucket}/{key}");
    let range = format!("bytes={from}-{}", from + PIECE_BYTES - 1);
    let call = client.get_object().bucket(bucket).key(key).range(range);
    let output = match call.set_if_match(etag.map(str::to_owned)).send().await {
        Ok(output) => output,
        Err(error) => {
            let failed = port_error(what(), &error);
            let Some(answer) = answer(&error) else { return Err(failed) };
            return match (answer.status, failed.trouble) {
                _ if is_about_a_key(answer.code, answer.message) => {
                    Err(PortError { trouble: Some(CallError::KeyDenied), ..failed })
                }
                // Wrong credentials and a wrong clock answer 403 too, and are no missing file.
                (403 | 404, None | Some(CallError::Denied | CallError::WrongBucket)) => Ok(None),
                // An empty file has no first byte. The parser reports that.
                (416, _) => Ok(Some(Piece { bytes: Vec::new(), etag: String::new(), more: false })),
                // The file was changed, so the plan begins again.
                (412, _) => Err(PortError { trouble: Some(CallError::Unavailable), ..failed }),
                _ => Err(failed),
            };
        }
    };
    let etag = output.e_tag().unwrap_or_default().to_owned();
    // `bytes 0-262143/1000000`
    let size = output.content_range().and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
    let bytes = match output.body.collect().await {
        Ok(body) => body.to_vec(),
        // The answer broke off.
        Err(error) => return Err(PortError { trouble: Some(CallError::Unavailable), ..unexpected(what(), error) }),
    };
    let more = size.is_some_and(|size| from + (bytes.len() as u64) < size) && !bytes.is_empty();
    Ok(Some(Piece { bytes, etag, more }))
}

/// The timeouts of a page of a listing. S3 skips delete markers and older versions while the caller waits, and there
/// may be millions in a row (S3 User Guide, "Managing delete markers"; AWS names no time). The whole call with its
/// retries ends within the time that Plan keeps for a page.
fn listing_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(Duration::from_secs(60))
        .operation_attempt_timeout(Duration::from_secs(60))
        .operation_timeout(Duration::from_secs(180))
        .build()
}

/// The token of the next page; `None` after the last.
fn next_token(output: &ListObjectsV2Output) -> Result<Option<String>, &'static str> {
    match (output.is_truncated(), output.next_continuation_token()) {
        (Some(true), Some(token)) => Ok(Some(token.to_owned())),
        (Some(true), None) => Err("the listing is truncated, and the answer does not say how it goes on"),
        (Some(false) | None, _) => Ok(None),
    }
}

/// The fields of a `HeadObject`, not parsed yet.
fn read_head(output: &HeadObjectOutput) -> Head {
    Head {
        storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
        archive_status: output.archive_status().map(|status| status.as_str().to_owned()),
        restore: output.restore().map(str::to_owned),
        version: output.version_id().map(str::to_owned),
        size: output.content_length().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
    }
}

/// One key of a listing; `None` for an entry without a key.
fn read_listed(object: &Object, encoded: bool) -> Option<Listed> {
    let key = object.key()?;
    Some(Listed {
        key: decoded(key, encoded),
        version: None,
        storage_class: object.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned(),
        size: object.size().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        modified: object.last_modified().and_then(timestamp).unwrap_or(Timestamp::UNIX_EPOCH),
        restore: object.restore_status().and_then(read_restore_status),
    })
}

/// The current version of a key; `None` for an older one.
fn read_version(version: &ObjectVersion, encoded: bool) -> Option<Listed> {
    let key = version.key().filter(|_| version.is_latest() == Some(true))?;
    Some(Listed {
        key: decoded(key, encoded),
        version: version.version_id().map(str::to_owned),
        storage_class: version.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned(),
        size: version.size().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        modified: version.last_modified().and_then(timestamp).unwrap_or(Timestamp::UNIX_EPOCH),
        restore: version.restore_status().and_then(read_restore_status),
    })
}

fn read_restore_status(status: &RestoreStatus) -> Option<ListedRestore> {
    match (status.is_restore_in_progress(), status.restore_expiry_date()) {
        (Some(true), _) => Some(ListedRestore::Ongoing),
        (_, Some(expires)) => timestamp(expires).map(ListedRestore::Copy),
        (_, None) => None,
    }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos().try_into().ok()?).ok()
}

/// Decodes a key. S3 encodes keys like forms: a space is `+`.
fn decoded(key: &str, encoded: bool) -> String {
    if encoded { percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned() } else { key.to_owned() }
}

fn restore_request(days: Option<u32>, tier: Tier) -> Result<RestoreRequest, aws_sdk_s3::error::BuildError> {
    let tier = match tier {
        Tier::Bulk => aws_sdk_s3::types::Tier::Bulk,
        Tier::Standard => aws_sdk_s3::types::Tier::Standard,
        Tier::Expedited => aws_sdk_s3::types::Tier::Expedited,
    };
    let parameters = GlacierJobParameters::builder().tier(tier).build()?;
    let days = days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
    Ok(RestoreRequest::builder().set_days(days).glacier_job_parameters(parameters).build())
}

/// Keeps the HTTP status of the answer, which distinguishes a restore that began (202) from a copy that was extended (200).
#[derive(Debug, Clone, Default)]
struct HttpStatus(Arc<AtomicU16>);

impl HttpStatus {
    /// The status; 0 before there is an answer.
    fn get(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for HttpStatus {
    fn name(&self) -> &'static str {
        "HttpStatus"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(context.response().status().as_u16(), Ordering::Relaxed);
        Ok(())
    }
}

/// Lets the SDK skip unreadable headers. S3 keeps the bytes that an uploader wrote into `Content-Disposition` and the
/// like, and a `ü` may be Latin-1. Those headers do not matter here, but the SDK would fail to read the others too.
#[derive(Debug)]
pub(crate) struct SkipUnreadable;

impl Intercept for SkipUnreadable {
    fn name(&self) -> &'static str {
        "SkipUnreadable"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(NonUtf8HeaderHandling::Skip);
        Ok(())
    }
}

/// S3 answers 503 if it has no Expedited capacity, and if restores come too fast. The SDK would retry both. But without
/// capacity the request says what to do instead, and the rate limiter has to learn from the other.
#[derive(Debug)]
struct SlowDownIsAnAnswer;

impl ClassifyRetry for SlowDownIsAnAnswer {
    fn name(&self) -> &'static str {
        "SlowDownIsAnAnswer"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let error = error.and_then(|error| error.downcast_ref::<RestoreObjectError>());
        match error.and_then(ProvideErrorMetadata::code) {
            Some("GlacierExpeditedRetrievalNotAvailable") => RetryAction::RetryForbidden,
            Some(code) if thaw_core::trouble(0, code) == Some(CallError::Throttled) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::types::{ObjectStorageClass, ObjectVersionStorageClass, StorageClass};
    use aws_smithy_runtime_api::client::interceptors::context::{Error, Input};
    use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;

    use super::*;

    #[test]
    fn a_head_is_passed_on_as_s3_sent_it() {
        let output = HeadObjectOutput::builder()
            .storage_class(StorageClass::Glacier)
            .restore(r#"ongoing-request="true""#)
            .version_id("v1")
            .content_length(7)
            .build();
        let head = Head {
            storage_class: Some("GLACIER".to_owned()),
            archive_status: None,
            restore: Some(r#"ongoing-request="true""#.to_owned()),
            version: Some("v1".to_owned()),
            size: 7,
        };
        assert_eq!(read_head(&output), head);
        let classes = StorageClass::from("A_CLASS_OF_NEXT_YEAR");
        let output = HeadObjectOutput::builder().storage_class(classes).build();
        assert_eq!(read_head(&output).storage_class.as_deref(), Some("A_CLASS_OF_NEXT_YEAR"));
    }

    #[test]
    fn the_sdk_does_not_retry_errors_that_the_rate_limiter_learns_from() {
        let action = |code: &str| {
            let mut context = InterceptorContext::new(Input::erase(()));
            let error = RestoreObjectError::generic(ErrorMetadata::builder().code(code).build());
            context.set_output_or_error(Err(OrchestratorError::operation(Error::erase(error))));
            SlowDownIsAnAnswer.classify_retry(&context)
        };
        for code in ["SlowDown", "ThrottlingException", "GlacierExpeditedRetrievalNotAvailable"] {
            assert_eq!(action(code), RetryAction::RetryForbidden, "{code}");
        }
        for code in ["InternalError", "ServiceUnavailable", "RestoreAlreadyInProgress"] {
            assert_eq!(action(code), RetryAction::NoActionIndicated, "{code}");
        }
    }

    #[test]
    fn a_listing_says_class_and_restore() {
        let listed = |status: Option<RestoreStatus>| {
            let object = Object::builder().key("a+b%2B%C3%BC").storage_class(ObjectStorageClass::DeepArchive);
            read_listed(&object.set_restore_status(status).build(), true).unwrap()
        };
        let plain = listed(None);
        assert_eq!((plain.key.as_str(), plain.storage_class.as_str(), plain.restore), ("a b+ü", "DEEP_ARCHIVE", None));
        let ongoing = RestoreStatus::builder().is_restore_in_progress(true).build();
        assert_eq!(listed(Some(ongoing)).restore, Some(ListedRestore::Ongoing));
        let expires = DateTime::from_secs(1_795_824_000);
        let done = RestoreStatus::builder().is_restore_in_progress(false).restore_expiry_date(expires).build();
        let copy = ListedRestore::Copy(Timestamp::new(1_795_824_000, 0).unwrap());
        assert_eq!(listed(Some(done)).restore, Some(copy));
        let nothing = RestoreStatus::builder().is_restore_in_progress(false).build();
        assert_eq!(listed(Some(nothing)).restore, None);
        let raw = Object::builder().key("a+b%20").build();
        assert_eq!(read_listed(&raw, false).unwrap().key, "a+b%20");
    }

    #[test]
    fn of_versions_only_the_current_ones_are_listed() {
        let version = |latest| {
            let class = ObjectVersionStorageClass::from("GLACIER");
            let status = RestoreStatus::builder().is_restore_in_progress(true).build();
            let version = ObjectVersion::builder().key("a+b").version_id("v2").is_latest(latest).size(7);
            version.storage_class(class).restore_status(status).build()
        };
        let listed = Listed {
            key: "a b".to_owned(),
            version: Some("v2".to_owned()),
            storage_class: "GLACIER".to_owned(),
            size: 7,
            modified: Timestamp::UNIX_EPOCH,
            restore: Some(ListedRestore::Ongoing),
        };
        assert_eq!((read_version(&version(true), true), read_version(&version(false), true)), (Some(listed), None));
    }

    #[test]
    fn a_listing_goes_on_until_s3_says_that_it_has_ended() {
        let page = |truncated, token: Option<&str>| {
            let page = ListObjectsV2Output::builder().set_is_truncated(truncated);
            next_token(&page.set_next_continuation_token(token.map(str::to_owned)).build())
        };
        assert_eq!(page(Some(true), Some("t")), Ok(Some("t".to_owned())));
        assert_eq!((page(Some(false), None), page(None, None)), (Ok(None), Ok(None)));
        assert!(page(Some(true), None).is_err());
    }

    #[test]
    fn a_listing_has_more_time_than_other_calls() {
        let timeouts = listing_timeouts();
        let seconds = |timeout: Option<Duration>| timeout.unwrap().as_secs();
        assert_eq!(
            [timeouts.read_timeout(), timeouts.operation_attempt_timeout(), timeouts.operation_timeout()].map(seconds),
            [60, 60, 180]
        );
    }

    #[test]
    fn a_restore_without_days_sends_none() {
        assert_eq!(restore_request(None, Tier::Bulk).unwrap().days(), None);
        let request = restore_request(Some(3), Tier::Expedited).unwrap();
        assert_eq!(request.days(), Some(3));
        assert_eq!(request.glacier_job_parameters().unwrap().tier().as_str(), "Expedited");
    }
}
