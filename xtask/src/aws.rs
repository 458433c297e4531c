//! Signed calls to the emulator's AWS APIs: the three wire formats that the commands meet.

use std::fmt::Write;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

use crate::http::{self, Response};
use crate::sign::{Request, Signer, encode};

/// An endpoint on this machine and the credentials it takes.
#[derive(Clone, Debug)]
pub struct Aws {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl Aws {
    /// One signed request; `path` may carry a query string. Any status is an answer.
    pub fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let host = self.endpoint.strip_prefix("http://").context("the local stack speaks plain HTTP")?;
        let (bare_path, query) = path.split_once('?').unwrap_or((path, ""));
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            region: &self.region,
            service,
        };
        let mut all = signer.headers(&Request { method, host, path: bare_path, query, body }, Timestamp::now());
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        http::send(method, &format!("{}{path}", self.endpoint), &all, body)
    }

    /// A call of a service that speaks AWS JSON, such as DynamoDB or Step Functions.
    pub fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0")];
        self.send(service, "POST", "/", &headers, body.to_string().as_bytes())?.ok(target)?.json()
    }

    /// A call of a service that speaks the Query protocol, such as CloudFormation; answers XML.
    pub fn query(&self, service: &str, version: &str, action: &str, parameters: &[(String, String)]) -> Result<String> {
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            write!(form, "&{}={}", encode(name, false), encode(value, false))?;
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        Ok(self.send(service, "POST", "/", &headers, form.as_bytes())?.ok(action)?.text())
    }

    /// Creates a bucket; one that exists already is fine.
    pub fn create_bucket(&self, bucket: &str) -> Result<()> {
        let answer = self.send("s3", "PUT", &format!("/{bucket}"), &[], &[])?;
        if answer.status == 409 {
            return Ok(());
        }
        answer.ok(&format!("create bucket {bucket}")).map(drop)
    }

    /// Puts an object.
    pub fn put_object(&self, bucket: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        let path = format!("/{bucket}/{}", encode(key, true));
        self.send("s3", "PUT", &path, headers, body)?.ok(&format!("put s3://{bucket}/{key}")).map(drop)
    }
}

/// The text of the first element of this name anywhere in the XML.
pub fn xml_text(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let element = document.descendants().find(|node| node.tag_name().name() == name)?;
    element.text().map(str::to_owned)
}
