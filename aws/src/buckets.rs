//! S3: the configurations of archive buckets, as far as a deployment reads and changes them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::{NotificationConfiguration, ServerSideEncryption, ServerSideEncryptionConfiguration};
use thaw_core::{CallError, Encryption};
use thaw_steps::ports::{FoundBucket, PortError, PutNotifications, ReadBuckets};

use crate::error::{answer, port_error, unexpected};

/// The archive buckets of an account.
#[derive(Debug, Clone)]
pub struct Buckets {
    client: Client,
    account: String,
}

impl Buckets {
    pub(crate) fn new(config: Builder, account: String) -> Self {
        Self { client: Client::from_conf(config.build()), account }
    }
}

impl ReadBuckets for Buckets {
    async fn bucket(&self, bucket: &str) -> Result<FoundBucket, PortError> {
        let call = || self.client.get_bucket_versioning().bucket(bucket);
        let Err(error) = call().expected_bucket_owner(&self.account).send().await else { return Ok(FoundBucket::Ours) };
        let failed = port_error(format!("GetBucketVersioning of {bucket}"), &error);
        let Some(answer) = answer(&error) else { return Err(failed) };
        match failed.trouble {
            Some(CallError::WrongBucket) if answer.code == "NoSuchBucket" => Ok(FoundBucket::Missing),
            Some(CallError::WrongBucket) => Ok(FoundBucket::Elsewhere { region: answer.region.to_owned() }),
            // S3 refuses for a wrong owner as it does for a missing permission.
            Some(CallError::Denied) if call().send().await.is_ok() => Ok(FoundBucket::OfAnotherAccount),
            Some(
                CallError::Denied
                | CallError::KeyDenied
                | CallError::Throttled
                | CallError::TooManyInvalidations
                | CallError::Unavailable,
            )
            | None => Err(failed),
        }
    }

    async fn encryption(&self, bucket: &str) -> Result<Encryption, PortError> {
        let call = self.client.get_bucket_encryption().bucket(bucket).expected_bucket_owner(&self.account);
        match call.send().await {
            Ok(output) => Ok(output.server_side_encryption_configuration().map_or(Encryption::S3, read_encryption)),
            // A bucket from before 2023 may have none, and is encrypted with S3's own keys all the same.
            Err(error)
                if answer(&error)
                    .is_some_and(|answer| answer.code == "ServerSideEncryptionConfigurationNotFoundError") =>
            {
                Ok(Encryption::S3)
            }
            Err(error) => Err(port_error(format!("GetBucketEncryption of {bucket}"), &error)),
        }
    }

    async fn notifications(&self, bucket: &str) -> Result<String, PortError> {
        let what = || format!("GetBucketNotificationConfiguration of {bucket}");
        let raw = RawAnswer::default();
        let call = self.client.get_bucket_notification_configuration().bucket(bucket);
        let call = call.expected_bucket_owner(&self.account).customize().interceptor(raw.clone());
        call.send().await.map_err(|error| port_error(what(), &error))?;
        raw.text().ok_or_else(|| unexpected(what(), "the answer is not a text"))
    }
}

impl PutNotifications for Buckets {
    async fn put_notifications(&self, bucket: &str, xml: &str) -> Result<(), PortError> {
        let call = self.client.put_bucket_notification_configuration().bucket(bucket);
        // S3 would send a test event to each destination, and refuse all of it if one is gone.
        let call = call.expected_bucket_owner(&self.account).skip_destination_validation(true);
        let call = call.notification_configuration(NotificationConfiguration::builder().build());
        let call = call.customize().interceptor(RawRequest(xml.to_owned()));
        let sent = call.send().await;
        sent.map(drop).map_err(|error| port_error(format!("PutBucketNotificationConfiguration of {bucket}"), &error))
    }
}

fn read_encryption(configuration: &ServerSideEncryptionConfiguration) -> Encryption {
    let applied = configuration.rules().iter().find_map(|rule| rule.apply_server_side_encryption_by_default());
    match applied {
        Some(applied)
            if [ServerSideEncryption::AwsKms, ServerSideEncryption::AwsKmsDsse].contains(applied.sse_algorithm()) =>
        {
            Encryption::Kms(applied.kms_master_key_id().filter(|key| !key.is_empty()).map(str::to_owned))
        }
        Some(_) | None => Encryption::S3,
    }
}

/// Sends this body instead of the SDK's, which would lose what the SDK does not know.
#[derive(Debug)]
struct RawRequest(String);

impl Intercept for RawRequest {
    fn name(&self) -> &'static str {
        "RawRequest"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        *request.body_mut() = SdkBody::from(self.0.as_str());
        request.headers_mut().insert("content-length", self.0.len().to_string());
        Ok(())
    }
}

/// Keeps the body of an answer. The SDK drops what it does not know.
#[derive(Debug, Clone, Default)]
struct RawAnswer(Arc<Mutex<Option<String>>>);

impl RawAnswer {
    fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for RawAnswer {
    fn name(&self) -> &'static str {
        "RawAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().and_then(|body| String::from_utf8(body.to_vec()).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}
