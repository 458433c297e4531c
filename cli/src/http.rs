//! One signed request to AWS, and its answer.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use serde_json::Value;

use crate::credentials::Identity;
use crate::error::Error;
use crate::terminal::Terminal;

/// Longer than an HTTP API lets a function take (30 seconds).
const TIMEOUT: Duration = Duration::from_secs(40);

/// The most bytes of an answer: a page of 1,000 objects has a few hundred kilobytes.
const MAX_ANSWER: u64 = 16 << 20;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Seconds after which it is worth asking again.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// The message in an answer of AWS, in JSON or XML; else the answer, shortened.
    pub fn words(&self) -> String {
        let json = serde_json::from_str::<Value>(&self.body).ok();
        let message = json.as_ref().and_then(|body| body["message"].as_str().or(body["Message"].as_str()));
        let xml = || {
            let rest = &self.body[self.body.find("<Message>")? + "<Message>".len()..];
            Some(&rest[..rest.find("</Message>")?])
        };
        match message.or_else(xml) {
            Some(message) => message.to_owned(),
            None => format!("{} {}", self.status, self.body.chars().take(300).collect::<String>()),
        }
    }
}

/// The connections, which further requests use again.
static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("thaw-cli/", env!("CARGO_PKG_VERSION")));
    ureq::Agent::new_with_config(config.build())
});

/// S3 signs paths as they are, and the hash of the body in a header (API Reference, "Signature Calculations for the
/// Authorization Header").
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

/// Sends one request with AWS Signature Version 4. Only a failure to get any answer is an error.
pub fn send_signed(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    identity: &Identity,
    service: &str,
    terminal: &Terminal,
) -> Result<Answer, Error> {
    let bug = |why: &dyn std::fmt::Display| Error::Failed(format!("{method} {url} cannot be sent: {why}"));
    let aws_identity = identity.credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&aws_identity)
        .region(&identity.region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings(service))
        .build()
        .map_err(|error| bug(&error))?
        .into();
    let signable = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body));
    let (signature, _) =
        sign(signable.map_err(|error| bug(&error))?, &params).map_err(|error| bug(&error))?.into_parts();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers.iter().copied().chain(signature.headers()) {
        request = request.header(name, value);
    }
    let sent = match body {
        [] => AGENT.run(request.body(()).map_err(|error| bug(&error))?),
        body => AGENT.run(request.body(body).map_err(|error| bug(&error))?),
    };
    let host = url.split('/').nth(2).unwrap_or(url);
    let lost = |error: ureq::Error| {
        Error::NoAnswer(format!(
            "{host} does not answer: {error}. Check the network, a proxy (HTTPS_PROXY), --region and --api-url."
        ))
    };
    let mut answer = sent.map_err(lost)?;
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let bytes = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(lost)?;
    let status = answer.status().as_u16();
    terminal.verbose(&format!("{method} {url}: {status}"));
    Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned(), retry_after })
}
