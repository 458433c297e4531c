//! A loop over AWS's SDK, as anybody would write it; and the same with thaw's pace in front.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::Pace;

use super::{IN_FLIGHT, Job};
use crate::server::key;

/// The SDK's default.
pub fn standard() -> RetryConfig {
    RetryConfig::standard()
}

/// The SDK's client-side rate limiter; more attempts, because being slowed down is normal.
pub fn adaptive() -> RetryConfig {
    RetryConfig::adaptive().with_max_attempts(20)
}

fn client(job: &Job, retries: RetryConfig) -> Result<Client> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("the environment has no {name}"));
    let credentials =
        Credentials::new(variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?, None, None, "environment");
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .endpoint_url(&job.endpoint)
        .force_path_style(true)
        .retry_config(retries)
        .build();
    Ok(Client::from_conf(config))
}

fn request() -> Result<RestoreRequest> {
    let parameters = GlacierJobParameters::builder().tier(Tier::Standard).build()?;
    Ok(RestoreRequest::builder().days(3).glacier_job_parameters(parameters).build())
}

/// The loop.
pub async fn loop_of(job: Job, retries: RetryConfig) -> Result<()> {
    let client = client(&job, retries)?;
    let restore = async |number| {
        client.restore_object().bucket(&job.bucket).key(key(number)).restore_request(request()?).send().await?;
        Ok::<_, anyhow::Error>(())
    };
    stream::iter(job.keys.clone()).map(restore).buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Lanes that work at once, as the state machine's Map has them.
pub const LANES: u32 = 4;

/// S3's restores per second for an account.
pub const QUOTA: u32 = 1_000;

/// The loop with thaw's pace, and nothing of the SDK's own.
pub async fn paced(job: Job) -> Result<()> {
    let client = client(&job, RetryConfig::disabled())?;
    let pace = RefCell::new(Pace::new(QUOTA / LANES, QUOTA, Timestamp::now()));
    let restore = async |number| {
        loop {
            let wait = pace.borrow_mut().admit(Timestamp::now(), Duration::MAX).unwrap_or_default();
            tokio::time::sleep(wait).await;
            let call = client.restore_object().bucket(&job.bucket).key(key(number)).restore_request(request()?);
            let sent = call.send().await;
            let throttled = sent.as_ref().is_err_and(|error| error.code() == Some("SlowDown"));
            pace.borrow_mut().answered(Timestamp::now(), throttled);
            if !throttled {
                sent?;
                return Ok::<_, anyhow::Error>(());
            }
        }
    };
    stream::iter(job.keys.clone()).map(restore).buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    Ok(())
}
