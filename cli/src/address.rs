//! Where the HTTP API is: in the local stack's file, as the caller says, or as CloudFormation says of the stack.

use std::path::Path;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::args::Global;
use crate::credentials::{self, Identity};
use crate::error::Error;
use crate::http::{Answer, send_signed};
use crate::terminal::Terminal;

/// The HTTP API, and who calls it.
#[derive(Debug, Clone)]
pub struct Address {
    /// Without a slash at its end.
    pub url: String,
    pub identity: Identity,
    /// How many seconds of the stack's clock pass in one real second: more than 1 in a local stack.
    pub time_scale: u32,
    /// When the stack's clock and the real one were the same: only in a local stack whose clock runs faster.
    pub origin: Option<Timestamp>,
}

/// What the command needs of the local stack's file.
#[derive(Debug, Clone, Deserialize)]
pub struct LocalStack {
    pub api_url: String,
    /// All services of AWS but the next two.
    pub endpoint_url: String,
    pub s3_endpoint_url: String,
    pub cloudfront_endpoint_url: String,
    /// The edge. It answers for the distribution whose domain the header Host has.
    pub edge_url: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    pub time_scale: u32,
    /// When the stack's clock showed the real time, in Unix seconds; none if it always does.
    pub origin: Option<i64>,
}

/// Finds the API. Asks CloudFormation only if nothing else says where it is.
pub fn find(global: &Global, terminal: &Terminal) -> Result<Address, Error> {
    if let Some(file) = &global.local {
        let stack = LocalStack::read(file)?;
        let origin = stack.origin.and_then(|second| Timestamp::from_second(second).ok());
        let (identity, time_scale) = (stack.identity(), stack.time_scale.max(1));
        return Ok(Address { url: stack.api_url, identity, time_scale, origin });
    }
    let identity = credentials::find(global)?;
    let url = match &global.api_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => stack_output(API_URL, global, &identity, terminal)?,
    };
    Ok(Address { url, identity, time_scale: 1, origin: None })
}

impl LocalStack {
    /// The local stack that the file describes.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let failed = |why: String| {
            Error::Failed(format!(
                "{} does not describe a local stack ({why}). Start one with cargo xtask up.",
                file.display()
            ))
        };
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// Its credentials, which open nothing anywhere else.
    pub fn identity(&self) -> Identity {
        credentials::fixed(&self.access_key_id, &self.secret_access_key, &self.region)
    }
}

/// The output with the address of the HTTP API.
const API_URL: &str = "ApiUrl";

/// An output of the stack (CloudFormation API Reference, `DescribeStacks`).
pub fn stack_output(name: &str, global: &Global, identity: &Identity, terminal: &Terminal) -> Result<String, Error> {
    let (stack, region) = (&global.stack, &identity.region);
    let endpoint = match &global.endpoint_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://cloudformation.{region}.amazonaws.com"),
    };
    let body =
        format!("Action=DescribeStacks&Version=2010-05-15&StackName={}", utf8_percent_encode(stack, NON_ALPHANUMERIC));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer =
        send_signed("POST", &format!("{endpoint}/"), &headers, body.as_bytes(), identity, "cloudformation", terminal)?;
    if answer.status != 200 {
        return Err(not_described(&answer, stack, region));
    }
    output(&answer.body, name).ok_or_else(|| {
        Error::Failed(format!(
            "The stack {stack} in {region} has no output {name}, so it is not one of thaw. Name thaw's stack with --stack, or the API with --api-url."
        ))
    })
}

fn not_described(answer: &Answer, stack: &str, region: &str) -> Error {
    Error::Failed(if answer.body.contains("does not exist") {
        format!("There is no stack {stack} in {region}. Name it with --stack, or its Region with --region.")
    } else if answer.status == 403 && answer.body.contains("AccessDenied") {
        format!(
            "You may not look up the stack {stack} (cloudformation:DescribeStacks). Name the API with --api-url or THAW_API_URL, or have this allowed: {{\"Effect\": \"Allow\", \"Action\": \"cloudformation:DescribeStacks\", \"Resource\": \"arn:aws:cloudformation:{region}:*:stack/{stack}/*\"}}"
        )
    } else {
        format!("CloudFormation did not describe the stack {stack}: {}", answer.words())
    })
}

fn output(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let text = |node: roxmltree::Node<'_, '_>, tag: &str| {
        node.children().find(|child| child.tag_name().name() == tag).and_then(|child| child.text()).map(str::to_owned)
    };
    let outputs = document.descendants().filter(|node| text(*node, "OutputKey").as_deref() == Some(name));
    outputs.filter_map(|output| text(output, "OutputValue")).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_output_of_the_stack() {
        let xml = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><Outputs>
            <member><OutputKey>TopicArn</OutputKey><OutputValue>arn</OutputValue></member>
            <member><OutputKey>ApiUrl</OutputKey><OutputValue>https://a.example</OutputValue></member>
            </Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"#;
        assert_eq!(output(xml, API_URL).as_deref(), Some("https://a.example"));
        assert_eq!(output(xml, "TopicArn").as_deref(), Some("arn"));
        assert_eq!(output("<a/>", API_URL), None);
        assert_eq!(output("no XML", API_URL), None);
    }

    #[test]
    fn who_cannot_look_up_the_stack_is_told_what_to_do() {
        let answer = |status, body: &str| Answer { status, body: body.to_owned(), retry_after: None };
        for (status, body, words) in [
            (
                400,
                "<Message>Stack with id thaw does not exist</Message>",
                "There is no stack thaw in eu-west-1. Name it",
            ),
            (403, "<Code>AccessDenied</Code>", "cloudformation:DescribeStacks"),
            (500, "<Message>Oops</Message>", "did not describe the stack thaw: Oops"),
        ] {
            let error = not_described(&answer(status, body), "thaw", "eu-west-1").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
