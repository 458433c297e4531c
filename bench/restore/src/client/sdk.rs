//! A loop over AWS's SDK, as anybody would write it.

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::job::{IN_FLIGHT, Job};
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
pub async fn restore_in_a_loop(job: Job, retries: RetryConfig) -> Result<()> {
    let client = client(&job, retries)?;
    let restore = async |number| {
        client.restore_object().bucket(&job.bucket).key(key(number)).restore_request(request()?).send().await?;
        Ok::<_, anyhow::Error>(())
    };
    stream::iter(job.keys.clone()).map(restore).buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    Ok(())
}
