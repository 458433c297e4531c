//! Calls of AWS that read, with the caller's own credentials.

use std::time::{Duration, SystemTime};

use crate::address::LocalStack;
use crate::args::Global;
use crate::credentials::{self, Identity};
use crate::doctor::facts::{Read, Unread};
use crate::error::Error;
use crate::http::{Answer, send_signed};
use crate::terminal::Terminal;

/// How often a call is repeated that AWS throttles.
const RETRIES: u32 = 3;

/// Refusals of a 403 that are about the credentials, not about a permission.
const OF_CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// A service that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    CloudFormation,
    CloudWatch,
    Lambda,
    S3,
    CloudFront,
}

impl Service {
    /// The name in signatures.
    fn signing_name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::CloudWatch => "monitoring",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::CloudFront => "cloudfront",
        }
    }
}

/// Where the services are.
#[derive(Debug, Clone)]
enum Endpoints {
    /// AWS's own.
    Aws,
    /// All at one address.
    One(String),
    /// Those of a local stack.
    Local(LocalStack),
}

/// The services, and who asks them.
#[derive(Debug)]
pub struct Aws<'a> {
    pub identity: Identity,
    endpoints: Endpoints,
    terminal: &'a Terminal,
}

/// An answer that brings nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The service refused.
    Refused { status: u16, code: String, words: String },
    /// Nobody answered.
    NoAnswer(String),
}

impl<'a> Aws<'a> {
    /// Finds the caller's credentials. With a local stack, its own.
    pub fn connect(global: &Global, local: Option<&LocalStack>, terminal: &'a Terminal) -> Result<Self, Error> {
        let (identity, endpoints) = match (local, &global.endpoint_url) {
            (Some(local), _) => (local.identity(), Endpoints::Local(local.clone())),
            (None, Some(url)) => (credentials::find(global)?, Endpoints::One(url.trim_end_matches('/').to_owned())),
            (None, None) => (credentials::find(global)?, Endpoints::Aws),
        };
        Ok(Self { identity, endpoints, terminal })
    }

    /// `GET`; `path` begins with a slash.
    pub fn get(&self, service: Service, path: &str) -> Result<String, Failure> {
        self.call(service, "GET", path, "")
    }

    /// A call of the query protocol.
    pub fn query(&self, service: Service, form: &str) -> Result<String, Failure> {
        self.call(service, "POST", "/", form)
    }

    fn call(&self, service: Service, method: &str, path: &str, form: &str) -> Result<String, Failure> {
        let url = format!("{}{path}", self.endpoint(service));
        let headers: &[_] =
            if form.is_empty() { &[] } else { &[("content-type", "application/x-www-form-urlencoded")] };
        let mut identity = self.identity.clone();
        if service == Service::CloudFront {
            // A global service, which is signed for this Region.
            "us-east-1".clone_into(&mut identity.region);
        }
        let mut tries = 0;
        loop {
            let name = service.signing_name();
            let answer = send_signed(method, &url, headers, form.as_bytes(), &identity, name, self.terminal);
            match answer {
                Ok(Answer { status: 200, body, .. }) => return Ok(body),
                Ok(answer) => {
                    let code = code(&answer.body);
                    let is_throttled = matches!(answer.status, 429 | 503) || code.starts_with("Throttling");
                    if !is_throttled || tries == RETRIES {
                        return Err(Failure::Refused { status: answer.status, code, words: answer.words() });
                    }
                }
                Err(error) if tries == RETRIES => return Err(Failure::NoAnswer(error.to_string())),
                Err(Error::NoAnswer(_)) => {}
                Err(error) => return Err(Failure::NoAnswer(error.to_string())),
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(250 << tries));
        }
    }

    fn endpoint(&self, service: Service) -> String {
        let region = &self.identity.region;
        match (&self.endpoints, service) {
            (Endpoints::One(url), _) => url.clone(),
            (Endpoints::Local(local), Service::S3) => local.s3_endpoint_url.clone(),
            (Endpoints::Local(local), Service::CloudFront) => local.cloudfront_endpoint_url.clone(),
            (Endpoints::Local(local), Service::CloudFormation | Service::CloudWatch | Service::Lambda) => {
                local.endpoint_url.clone()
            }
            (Endpoints::Aws, Service::CloudFront) => "https://cloudfront.amazonaws.com".to_owned(),
            (Endpoints::Aws, Service::CloudFormation | Service::CloudWatch | Service::Lambda | Service::S3) => {
                format!("https://{}.{region}.amazonaws.com", service.signing_name())
            }
        }
    }
}

impl Failure {
    /// Why the read brought nothing. `action` and `resource` are what a policy would allow.
    pub fn unread(self, action: &'static str, resource: &str) -> Unread {
        match self {
            Self::Refused { status: 403, code, .. } if !OF_CREDENTIALS.contains(&code.as_str()) => {
                Unread::Denied { action, resource: resource.to_owned() }
            }
            Self::Refused { words, .. } => Unread::Failed(format!("{action}: {words}")),
            Self::NoAnswer(why) => Unread::Failed(format!("{action}: {why}")),
        }
    }

    /// The code of the service's error; empty if nobody answered.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::NoAnswer(_) => "",
        }
    }
}

/// An answer as it was understood.
pub fn understood<T>(
    answer: Result<String, Failure>,
    action: &'static str,
    resource: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Read<T> {
    let body = answer.map_err(|failure| failure.unread(action, resource))?;
    parse(&body).map_err(|why| Unread::Failed(format!("{action}: {why}")))
}

/// The error code in an answer, in XML or JSON.
fn code(body: &str) -> String {
    let in_xml = || {
        let document = roxmltree::Document::parse(body).ok()?;
        let code = document.descendants().find(|node| node.tag_name().name() == "Code")?;
        code.text().map(str::to_owned)
    };
    let in_json = || {
        let answer: serde_json::Value = serde_json::from_str(body).ok()?;
        let kind = answer["__type"].as_str().or(answer["code"].as_str())?;
        Some(kind.rsplit('#').next().unwrap_or_default().to_owned())
    };
    in_xml().or_else(in_json).unwrap_or_default()
}

/// The time by the clock of the services: a local stack may run its own faster.
pub fn now(local: Option<&LocalStack>) -> jiff::Timestamp {
    let real = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_else(|_| jiff::Timestamp::now());
    let Some((origin, scale)) = local.and_then(|local| Some((local.origin?, local.time_scale))) else { return real };
    let origin = jiff::Timestamp::from_second(origin).unwrap_or(real);
    let scaled = real.duration_since(origin).checked_mul(i32::try_from(scale).unwrap_or(1));
    scaled.and_then(|passed| origin.checked_add(passed).ok()).unwrap_or(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_a_missing_permission_from_bad_credentials() {
        let refused = |status, body: &str| {
            Failure::Refused { status, code: code(body), words: "words".to_owned() }.unread("s3:GetBucketPolicy", "arn")
        };
        let denied = Unread::Denied { action: "s3:GetBucketPolicy", resource: "arn".to_owned() };
        assert_eq!(refused(403, "<Error><Code>AccessDenied</Code></Error>"), denied);
        assert_eq!(refused(403, r#"{"__type": "com.amazon#AccessDeniedException"}"#), denied);
        let failed = Unread::Failed("s3:GetBucketPolicy: words".to_owned());
        assert_eq!(refused(403, "<Error><Code>ExpiredToken</Code></Error>"), failed);
        assert_eq!(refused(500, "oops"), failed);
    }
}
