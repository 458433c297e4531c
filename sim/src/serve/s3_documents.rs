//! The configurations of a bucket over HTTP: `GET`, `PUT` and `DELETE` of `/bucket?policy` and the like.

use super::shared::Shared;
use crate::model::{ApiError, BucketDocument};
use hyper::http::request::Parts;
use quick_xml::Reader;
use quick_xml::events::Event;

/// An answer: the status, the type of the content, and the content.
pub(super) type Written = (u16, &'static str, String);

/// The bucket and the configuration that a request is about.
pub(super) fn asked(parts: &Parts) -> Option<(String, BucketDocument)> {
    let bucket = parts.uri.path().trim_matches('/');
    if bucket.is_empty() || bucket.contains('/') {
        return None;
    }
    let names = parts.uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.filter_map(BucketDocument::of_parameter).next().map(|which| (bucket.to_owned(), which))
}

/// Answers the request.
pub(super) fn call(
    shared: &Shared,
    parts: &Parts,
    bucket: &str,
    which: BucketDocument,
    body: &[u8],
) -> Result<Written, ApiError> {
    let kind = match which {
        BucketDocument::Policy => "application/json",
        BucketDocument::Notification | BucketDocument::Lifecycle | BucketDocument::Encryption => "application/xml",
    };
    let owner = parts.headers.get("x-amz-expected-bucket-owner").and_then(|owner| owner.to_str().ok());
    let mut sim = shared.sim();
    sim.expect_owner(owner)?;
    match parts.method.as_str() {
        "GET" => Ok((200, kind, sim.bucket_document(bucket, which)?)),
        "PUT" => {
            sim.put_bucket_document(bucket, which, checked(which, body)?)?;
            // A policy is saved with 204 (API Reference, "PutBucketPolicy").
            Ok((if which == BucketDocument::Policy { 204 } else { 200 }, kind, String::new()))
        }
        "DELETE" => {
            sim.delete_bucket_document(bucket, which)?;
            Ok((204, kind, String::new()))
        }
        _ => Err(ApiError::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")),
    }
}

/// The body, if it is what S3 would take for this configuration.
fn checked(which: BucketDocument, body: &[u8]) -> Result<String, ApiError> {
    let malformed = || {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        ApiError::new("MalformedXML", 400, message)
    };
    let text = String::from_utf8(body.to_vec()).map_err(|_| malformed())?;
    let root = match which {
        BucketDocument::Policy => {
            let policy: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let is_policy = policy["Statement"].is_array() || policy["Statement"].is_object();
            let wrong = || ApiError::new("MalformedPolicy", 400, "This policy contains invalid Json");
            return if is_policy { Ok(text) } else { Err(wrong()) };
        }
        BucketDocument::Notification => "NotificationConfiguration",
        BucketDocument::Lifecycle => "LifecycleConfiguration",
        BucketDocument::Encryption => "ServerSideEncryptionConfiguration",
    };
    let mut reader = Reader::from_str(&text);
    let mut first = None;
    loop {
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(element) | Event::Empty(element) if first.is_none() => {
                first = Some(element.local_name().as_ref().to_vec());
            }
            Event::Eof => break,
            Event::Start(_)
            | Event::Empty(_)
            | Event::End(_)
            | Event::Text(_)
            | Event::GeneralRef(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
    if first.as_deref() == Some(root.as_bytes()) { Ok(text) } else { Err(malformed()) }
}
