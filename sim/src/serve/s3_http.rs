//! The HTTP front end of S3, before s3s: takes signatures off, and writes the answers that s3s cannot express.
//!
//! s3s wants to verify a signature if there is one, knows a fixed list of error codes without further elements, and
//! answers every restore with 200. So this front end strips signatures and signed chunks before, and afterwards
//! writes errors and the 202 itself. The model's answer comes back through a [`ModelAnswer`] in the request's extensions.

use super::http::{header, read};
use super::s3::S3Api;
use super::s3_control;
use super::s3_documents;
use super::s3_model_answer::{Answer, ModelAnswer};
use super::shared::Shared;
use crate::model::{ApiError, BucketDocument};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use quick_xml::escape::escape;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// S3 over HTTP.
#[derive(Clone)]
pub(super) struct S3Http {
    shared: Arc<Shared>,
    service: S3Service,
    requests: Arc<AtomicU64>,
}

impl fmt::Debug for S3Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Http").finish_non_exhaustive()
    }
}

impl S3Http {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let service = S3ServiceBuilder::new(S3Api::new(shared.clone())).build();
        Self { shared, service, requests: Arc::default() }
    }

    pub(super) async fn call(self, request: Request<Incoming>) -> HttpResponse {
        let is_head = request.method() == Method::HEAD;
        let (mut parts, body) = request.into_parts();
        let body = without_signature_headers(&mut parts.headers, read(body).await);
        parts.uri = plus_as_blank(&without_signature(&parts.uri));
        if s3_control::is_jobs_path(parts.uri.path()) {
            return self.job(&parts, &body);
        }
        if let Some((bucket, which)) = s3_documents::asked(&parts) {
            return self.document(&parts, &bucket, which, &body);
        }
        let model = ModelAnswer::default();
        parts.extensions.insert(model.clone());
        let answer = self.service.call(Request::from_parts(parts, Body::from(body))).await;
        let request_id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        let mut response = match (model.take(), answer) {
            (Answer { api_error: Some(api_error), .. }, _) => error_response(&api_error, &request_id, is_head),
            (Answer { status, .. }, Ok(mut response)) => {
                if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
                    *response.status_mut() = status;
                }
                response
            }
            (_, Err(error)) => {
                error_response(&ApiError::new("InternalError", 500, format!("{error:?}")), &request_id, is_head)
            }
        };
        header(&mut response, "x-amz-request-id", &request_id);
        header(&mut response, "server", "AmazonS3");
        set_raw_content_disposition(&mut response);
        response
    }

    /// A configuration of a bucket, which is answered as it was written.
    fn document(&self, parts: &Parts, bucket: &str, which: BucketDocument, body: &Bytes) -> HttpResponse {
        let request_id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        let mut response = match s3_documents::call(&self.shared, parts, bucket, which, body) {
            Ok((status, kind, content)) => {
                let mut response = Response::new(Body::from(content));
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                header(&mut response, "content-type", kind);
                response
            }
            Err(api_error) => error_response(&api_error, &request_id, false),
        };
        header(&mut response, "x-amz-request-id", &request_id);
        header(&mut response, "server", "AmazonS3");
        response
    }

    /// A call to S3 Batch Operations, which s3s does not know.
    fn job(&self, parts: &Parts, body: &Bytes) -> HttpResponse {
        let request_id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        let query = parts.uri.query().unwrap_or_default();
        let (status, body) = match s3_control::call(&self.shared, &parts.method, parts.uri.path(), query, body) {
            Ok(body) => (200, body),
            Err(api_error) => (api_error.status(), s3_control::error(&api_error, &request_id)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        header(&mut response, "content-type", "application/xml");
        header(&mut response, "x-amz-request-id", &request_id);
        response
    }
}

/// S3 answers with the bytes that an uploader put into `Content-Disposition`, in whatever encoding. A client of Rust's puts none
/// but ASCII, so user metadata says which bytes those are, in hexadecimal.
fn set_raw_content_disposition(response: &mut HttpResponse) {
    let said = response.headers().get("x-amz-meta-thaw-sim-content-disposition-hex");
    let bytes = said.and_then(|hex| hex.to_str().ok()).and_then(|hex| {
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
    });
    if let Some(value) = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok()) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
}

/// An error answer. That of a `HEAD` has no body, so its code is lost: clients see the bare status, as on AWS.
fn error_response(api_error: &ApiError, request_id: &str, is_head: bool) -> HttpResponse {
    let element = |name: &str, text: &str| format!("<{name}>{}</{name}>", escape(text));
    let class = api_error.storage_class().map(|class| element("StorageClass", class.as_str())).unwrap_or_default();
    let tier = api_error.access_tier().map(|tier| element("AccessTier", tier.as_str())).unwrap_or_default();
    let content = [
        element("Code", api_error.code()),
        element("Message", api_error.message()),
        class,
        tier,
        element("RequestId", request_id),
    ];
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{}</Error>", content.concat());
    let body = if is_head { Body::empty() } else { Body::from(body) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(api_error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    header(&mut response, "content-type", "application/xml");
    if api_error.is_delete_marker() {
        header(&mut response, "x-amz-delete-marker", "true");
    }
    if let Some(region) = api_error.region() {
        header(&mut response, "x-amz-bucket-region", region);
    }
    response
}

/// Takes the signature off the headers, and the chunks of `aws-chunked` apart.
fn without_signature_headers(headers: &mut HeaderMap, body: Bytes) -> Bytes {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let chunked =
        value("x-amz-content-sha256").starts_with("STREAMING-") || value("content-encoding").contains("aws-chunked");
    for name in ["x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-security-token"] {
        headers.remove(name);
    }
    headers.remove(AUTHORIZATION);
    if !chunked {
        return body;
    }
    let encoding = value_without_chunks(headers);
    headers.remove(CONTENT_ENCODING);
    if let Some(Ok(encoding)) = encoding.map(|encoding| encoding.parse()) {
        headers.insert(CONTENT_ENCODING, encoding);
    }
    let body = decode_aws_chunked(&body);
    headers.insert(CONTENT_LENGTH, body.len().into());
    body
}

fn value_without_chunks(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_ENCODING)?.to_str().ok()?;
    let rest: Vec<&str> = value.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
    if rest.is_empty() { None } else { Some(rest.join(",")) }
}

/// Chunks are `<size in hex>[;chunk-signature=…]\r\n<bytes>\r\n`; one of size 0 ends them, trailers follow.
fn decode_aws_chunked(body: &[u8]) -> Bytes {
    let mut content = BytesMut::with_capacity(body.len());
    let mut rest = body;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|line| line.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).unwrap_or(0);
        rest = &rest[end + 2..];
        if size == 0 || size > rest.len() {
            break;
        }
        content.extend_from_slice(&rest[..size]);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    content.freeze()
}

/// A presigned URL without its signature.
fn without_signature(uri: &Uri) -> Uri {
    let Some(query) = uri.query() else { return uri.clone() };
    // Version 4 signs with `X-Amz-…`, version 2, which boto3 still uses for URLs, with these three.
    let of_version_2 = ["AWSAccessKeyId=", "Signature=", "Expires="];
    let of_signature = |pair: &&str| {
        pair.to_ascii_lowercase().starts_with("x-amz-") || of_version_2.iter().any(|name| pair.starts_with(name))
    };
    if !query.split('&').any(|pair| of_signature(&pair)) {
        return uri.clone();
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !of_signature(pair)).collect();
    let joined = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
    joined.parse().unwrap_or_else(|_| uri.clone())
}

/// S3 takes a `+` in a path for a blank, as in a form (measured: hackmd.io/@jdno/r13gNdn82). s3s takes it for itself.
fn plus_as_blank(uri: &Uri) -> Uri {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", uri.path().replace('+', "%20")).parse().unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_and_trailers_left_out() {
        let signed =
            b"5;chunk-signature=abc\r\nhello\r\n6;chunk-signature=def\r\n world\r\n0;chunk-signature=0\r\n\r\n";
        assert_eq!(decode_aws_chunked(signed).as_ref(), b"hello world");
        let with_trailer = b"3\r\na\r\n\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(decode_aws_chunked(with_trailer).as_ref(), b"a\r\n");
        assert_eq!(decode_aws_chunked(b"0\r\n\r\n").as_ref(), b"");
    }

    #[test]
    fn an_encoding_of_the_content_itself_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "aws-chunked,gzip".parse().expect("it is a value"));
        assert_eq!(without_signature_headers(&mut headers, Bytes::from_static(b"1\r\na\r\n0\r\n\r\n")).as_ref(), b"a");
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
    }

    #[test]
    fn a_presigned_url_is_as_good_as_an_open_one() {
        let uri: Uri = "/b/k?versionId=1&X-Amz-Signature=2&X-Amz-Date=3".parse().expect("it is one");
        assert_eq!(without_signature(&uri), "/b/k?versionId=1");
        let uri: Uri = "/b/k?AWSAccessKeyId=1&Signature=2&Expires=3".parse().expect("it is one");
        assert_eq!(without_signature(&uri), "/b/k");
    }
}
