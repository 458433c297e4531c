//! The caller's AWS credentials, found where every AWS tool finds them.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};

use crate::args::Global;
use crate::error::Error;

/// Who signs requests, and for which Region.
#[derive(Debug, Clone)]
pub struct Identity {
    pub credentials: Credentials,
    pub region: String,
}

/// The credentials and the Region of the environment, the profile, SSO, an assumed role or the container.
pub fn find(global: &Global) -> Result<Identity, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("No thread could be started: {error}")))?;
    runtime.block_on(async {
        let client = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        if let Some(region) = &global.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &global.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let region = config.region().map(|region| region.as_ref().to_owned()).ok_or_else(|| {
            Error::Failed("No Region is set. Add --region, or set AWS_REGION or the profile's region.".to_owned())
        })?;
        let provider = config.credentials_provider().ok_or_else(|| none(global, ""))?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let mut words = error.to_string();
            let mut source: Option<&dyn std::error::Error> = std::error::Error::source(&error);
            while let Some(cause) = source {
                words.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            none(global, &words)
        })?;
        Ok(Identity { credentials, region })
    })
}

/// Why there are no credentials, and what to do.
fn none(global: &Global, words: &str) -> Error {
    let profile = global.profile.as_ref().map_or_else(String::new, |profile| format!(" --profile {profile}"));
    let lower = words.to_ascii_lowercase();
    Error::Failed(if lower.contains("sso") || lower.contains("token") && lower.contains("expired") {
        format!(
            "The sign-in of AWS IAM Identity Center (SSO) is missing or has expired. Run: aws sso login{profile} ({words})"
        )
    } else {
        let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
        format!(
            "No AWS credentials were found. Run aws configure or aws sso login, name a profile with --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.{words}"
        )
    })
}

/// Credentials of a local stack.
pub fn fixed(access_key_id: &str, secret_access_key: &str, region: &str) -> Identity {
    let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "stack.json");
    Identity { credentials, region: region.to_owned() }
}

/// Whether credentials end within a minute. A long wait asks for new ones then.
pub fn end_soon(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_some_and(|expiry| expiry < now + Duration::from_secs(60))
}
