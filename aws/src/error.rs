//! What an SDK's error means, for all services.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use thaw_core::CallError;
use thaw_steps::ports::PortError;
use tracing::warn;

/// An error answer of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The service's name for the error; empty if it sent none.
    pub code: &'a str,
    /// The service's message.
    pub message: &'a str,
    /// The Region of the bucket, if S3 answers that it is in another one; empty otherwise. From the header
    /// `x-amz-bucket-region`, which is there without a body too, or from `<Region>`.
    pub region: &'a str,
}

/// The service's answer. `None` if the request did not reach the service, or its answer did not arrive.
pub(crate) fn answer<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Answer<'_>> {
    let raw = error.raw_response()?;
    let body = raw.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    let status = raw.status().as_u16();
    // S3 names the Region in other answers too.
    let is_elsewhere = (300..400).contains(&status) || error.code() == Some("AuthorizationHeaderMalformed");
    let region = raw.headers().get("x-amz-bucket-region").or_else(|| element(body, "Region"));
    Some(Answer {
        status,
        region: region.filter(|_| is_elsewhere).unwrap_or_default(),
        // The SDK only parses errors in the documented wrapping. CloudFront, and gateways in front of a service, send
        // others too.
        code: error.code().or_else(|| element(body, "Code")).unwrap_or_default(),
        message: error.message().or_else(|| element(body, "Message")).unwrap_or_default(),
    })
}

/// The error of a port.
pub(crate) fn port_error<E>(what: impl Into<String>, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = what.into();
    match answer(error) {
        // A success that cannot be parsed broke off on its way. A redirect is an error answer, because the SDK follows
        // none.
        Some(answer) if answer.status < 300 => {
            PortError { what, says: causes(error), trouble: Some(CallError::Unavailable) }
        }
        Some(answer) => {
            let trouble = answer.trouble();
            if let Some(CallError::Throttled | CallError::TooManyInvalidations) = trouble {
                // `RestoreObject of photos/a.jpg`: the operation comes first.
                let operation = what.split(' ').next().unwrap_or_default();
                warn!(operation, Throttles = 1_u64, "AWS throttles: {what}");
            }
            PortError { what, says: answer.to_string(), trouble }
        }
        None => {
            let trouble = match error {
                // A request that cannot be built is a bug, and so are missing credentials.
                SdkError::ConstructionFailure(_) => None,
                // Timeouts, and connections that fail or break off.
                _ => Some(CallError::Unavailable),
            };
            PortError { what, says: causes(error), trouble }
        }
    }
}

/// The error of a port for an unforeseen answer of AWS.
pub(crate) fn unexpected(what: impl Into<String>, says: impl std::fmt::Display) -> PortError {
    PortError { what: what.into(), says: says.to_string(), trouble: None }
}

impl Answer<'_> {
    /// The kind of error, if it is one that any service may have.
    pub(crate) fn trouble(&self) -> Option<CallError> {
        thaw_core::trouble(self.status, self.code).or(match (self.status, self.code) {
            (401 | 403, "") => Some(CallError::Denied),
            _ => None,
        })
    }
}

impl std::fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, code, message, region } = self;
        let message: String = message.chars().take(500).collect();
        match (code.is_empty(), message.is_empty()) {
            (true, true) => write!(f, "HTTP {status}")?,
            (true, false) => write!(f, "{message} (HTTP {status})")?,
            (false, true) => write!(f, "{code} (HTTP {status})")?,
            (false, false) => write!(f, "{code}: {message} (HTTP {status})")?,
        }
        if region.is_empty() { Ok(()) } else { write!(f, "; the bucket is in {region}") }
    }
}

/// The text of the first XML element with this name.
pub(crate) fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// The error with its causes. An SDK's error alone only says "dispatch failure".
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut says = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        says.push_str(": ");
        says.push_str(&error.to_string());
        cause = error.source();
    }
    says
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_s3::operation::head_object::HeadObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn error(status: u16, code: Option<&str>, body: &str) -> SdkError<HeadObjectError, HttpResponse> {
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code).message("words");
        }
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        SdkError::service_error(HeadObjectError::generic(meta.build()), raw)
    }

    #[track_caller]
    fn check(status: u16, code: Option<&str>, body: &str, trouble: Option<CallError>, says: &str) {
        let error = port_error("a call", &error(status, code, body));
        assert_eq!((error.trouble, error.says.as_str()), (trouble, says));
    }

    #[test]
    fn the_code_decides_and_then_the_status() {
        check(503, Some("SlowDown"), "", Some(CallError::Throttled), "SlowDown: words (HTTP 503)");
        check(400, Some("Throttling"), "", Some(CallError::Throttled), "Throttling: words (HTTP 400)");
        check(403, Some("AccessDenied"), "", Some(CallError::Denied), "AccessDenied: words (HTTP 403)");
        check(403, None, "", Some(CallError::Denied), "HTTP 403");
        check(502, None, "<html>", Some(CallError::Unavailable), "HTTP 502");
        check(404, Some("NoSuchKey"), "", None, "NoSuchKey: words (HTTP 404)");
        check(404, Some("NoSuchBucket"), "", Some(CallError::WrongBucket), "NoSuchBucket: words (HTTP 404)");
    }

    #[test]
    fn a_bucket_in_another_region_is_reported_with_its_region() {
        let elsewhere = Some(CallError::WrongBucket);
        let says = "PermanentRedirect: words (HTTP 301); the bucket is in eu-west-1";
        let body = "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>";
        check(301, Some("PermanentRedirect"), body, elsewhere, says);
        let says = "AuthorizationHeaderMalformed: words (HTTP 400); the bucket is in eu-west-1";
        check(400, Some("AuthorizationHeaderMalformed"), body, elsewhere, says);
        check(400, Some("InvalidArgument"), body, None, "InvalidArgument: words (HTTP 400)");
        // A HEAD has no body.
        let mut raw = HttpResponse::new(301.try_into().unwrap(), SdkBody::empty());
        raw.headers_mut().insert("x-amz-bucket-region", "eu-west-1");
        let error = SdkError::service_error(HeadObjectError::unhandled("301"), raw);
        let error = port_error("HeadObject", &error);
        assert_eq!((error.trouble, error.says.as_str()), (elsewhere, "HTTP 301; the bucket is in eu-west-1"));
    }

    #[test]
    fn an_error_the_sdk_did_not_understand_is_read_from_its_body() {
        let body = "<Other><Error><Code>TooManyInvalidationsInProgress</Code><Message>wait</Message></Error></Other>";
        let says = "TooManyInvalidationsInProgress: wait (HTTP 400)";
        check(400, None, body, Some(CallError::TooManyInvalidations), says);
    }

    #[test]
    fn a_call_without_an_answer_may_work_next_time() {
        let timeout = SdkError::<HeadObjectError, HttpResponse>::timeout_error("slow");
        assert_eq!(port_error("a call", &timeout).trouble, Some(CallError::Unavailable));
        let refused = ConnectorError::io("connection refused".into());
        let dispatch = SdkError::<HeadObjectError, HttpResponse>::dispatch_failure(refused);
        let error = port_error("a call", &dispatch);
        assert_eq!(error.trouble, Some(CallError::Unavailable));
        assert!(error.says.contains("connection refused"), "{}", error.says);
        let half = HttpResponse::new(200.try_into().unwrap(), SdkBody::from("<Li"));
        let half = SdkError::<HeadObjectError, HttpResponse>::response_error("unexpected end", half);
        assert_eq!(port_error("a call", &half).trouble, Some(CallError::Unavailable));
        let bug = SdkError::<HeadObjectError, HttpResponse>::construction_failure("no bucket");
        assert_eq!(port_error("a call", &bug).trouble, None);
    }
}
