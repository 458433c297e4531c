//! AWS Signature Version 4, as the HTTP API's IAM authorization wants it (IAM User Guide, "Create a signed AWS API
//! request"). The emulator verifies it when started with `--auth`.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Who signs, and for what.
pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// One request as it will be sent; `path` is percent-encoded and `query` is `a=b&c=d`, encoded too.
pub struct Request<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
}

impl Signer<'_> {
    /// The headers that make the request a signed one.
    pub fn headers(&self, request: &Request, now: Timestamp) -> Vec<(String, String)> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &time[..8];
        let body_hash = sha256_hex(request.body);
        let mut query: Vec<&str> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        // Every service but S3 signs the path encoded once more than it is sent.
        let path = if self.service == "s3" { request.path.to_owned() } else { encode(request.path, true) };
        let canonical = format!(
            "{}\n{path}\n{}\nhost:{}\nx-amz-content-sha256:{body_hash}\nx-amz-date:{time}\n\n{SIGNED_HEADERS}\n{body_hash}",
            request.method,
            query.join("&"),
            request.host,
        );
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));

        let secret = format!("AWS4{}", self.secret_access_key);
        let key = [date, self.region, self.service, "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| hmac(&key, part.as_bytes()));
        let signature = hex(&hmac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
            self.access_key_id
        );
        vec![
            ("x-amz-date".into(), time),
            ("x-amz-content-sha256".into(), body_hash),
            ("authorization".into(), authorization),
        ]
    }
}

const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

/// Percent-encodes everything but RFC 3986's unreserved characters, and slashes if they are to be kept.
pub fn encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            b'/' if keep_slashes => encoded.push('/'),
            _ => write!(encoded, "%{byte:02X}").expect("a String takes every write"),
        }
    }
    encoded
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials of AWS's own examples, which open nothing.
    const EXAMPLE: Signer = Signer {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "execute-api",
    };

    #[test]
    fn a_signature_is_the_one_that_botocore_makes() {
        let request = Request {
            method: "POST",
            host: "127.0.0.1:4600",
            path: "/_aws/execute-api/14541de7/$default/v1/restores",
            query: "status=running&cursor=a%2Fb",
            body: br#"{"bucket":"b"}"#,
        };
        let headers = EXAMPLE.headers(&request, "2026-11-22T14:00:00Z".parse().unwrap());
        let (_, authorization) = headers.iter().find(|(name, _)| name == "authorization").unwrap();
        // botocore 1.43.106's SigV4Auth, for the same request with its x-amz-content-sha256.
        let signature = "e3fb237f29c5c286ddc419893919e4e88b389fbd6f9ceb88d33600cc2df51bfd";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    #[test]
    fn reserved_characters_are_encoded_and_slashes_kept_on_demand() {
        assert_eq!(encode("a b/ü$~", true), "a%20b/%C3%BC%24~");
        assert_eq!(encode("a/b", false), "a%2Fb");
    }

    #[test]
    fn query_parameters_are_signed_in_order_of_name() {
        let sign = |query| {
            let request = Request { method: "GET", host: "example.com", path: "/v1/restores", query, body: b"" };
            EXAMPLE.headers(&request, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(sign("a=1&b=2"), sign("b=2&a=1"));
        assert_ne!(sign("a=1&b=2"), sign("a=2&b=1"));
    }
}
