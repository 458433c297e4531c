//! Calls of thaw's HTTP API, signed with the caller's credentials.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::Address;
use crate::answers::Problem;
use crate::args::Global;
use crate::credentials::{self, Identity};
use crate::error::Error;
use crate::terminal::Terminal;

/// Longer than an HTTP API lets a function take (30 seconds).
const TIMEOUT: Duration = Duration::from_secs(40);

/// How often a call is repeated that the API was too busy for.
const BUSY_RETRIES: u32 = 3;

/// The most bytes of an answer: a page of 1,000 objects has a few hundred kilobytes.
const MAX_ANSWER: u64 = 16 << 20;

/// The API of one stack.
#[derive(Debug)]
pub struct Api<'a> {
    address: Address,
    global: &'a Global,
    terminal: &'a Terminal,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Seconds after which it is worth asking again.
    pub retry_after: Option<u64>,
}

impl<'a> Api<'a> {
    /// Finds the API and the caller's credentials.
    pub fn connect(global: &'a Global, terminal: &'a Terminal) -> Result<Self, Error> {
        Ok(Self { address: crate::address::find(global, terminal)?, global, terminal })
    }

    /// How many seconds of the stack's clock pass in one real second.
    pub fn time_scale(&self) -> u32 {
        self.address.time_scale
    }

    /// `GET`; the answer's JSON.
    pub fn get(&mut self, path: &str) -> Result<(Value, Option<u64>), Error> {
        let answer = self.call("GET", path, &[], "")?;
        Ok((json(&answer)?, answer.retry_after))
    }

    /// `POST` of JSON; the answer's JSON.
    pub fn post(&mut self, path: &str, body: &Value, idempotency_key: Option<&str>) -> Result<Value, Error> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(idempotency_key.map(|key| ("idempotency-key", key)));
        json(&self.call("POST", path, &headers, &body.to_string())?)
    }

    /// `DELETE`; the answer's JSON.
    pub fn delete(&mut self, path: &str) -> Result<Value, Error> {
        json(&self.call("DELETE", path, &[], "")?)
    }

    fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Error> {
        if credentials::end_soon(&self.address.identity.credentials, SystemTime::now()) {
            self.address.identity = credentials::find(self.global)?;
        }
        let Address { url, identity, .. } = &self.address;
        let mut tries = 0;
        loop {
            let url = format!("{url}{path}");
            let answer = send_signed(method, &url, headers, body.as_bytes(), identity, "execute-api", self.terminal)?;
            let is_busy = answer.status == 503 || answer.status == 429;
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            if !is_busy || tries == BUSY_RETRIES {
                return Err(refused(&answer, method, path, &url));
            }
            tries += 1;
            let seconds = answer.retry_after.unwrap_or(1) / u64::from(self.address.time_scale);
            std::thread::sleep(Duration::from_secs(seconds.clamp(1, 30)));
        }
    }
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

fn json(answer: &Answer) -> Result<Value, Error> {
    serde_json::from_str(&answer.body)
        .map_err(|error| Error::Failed(format!("The answer is not JSON ({error}): {}", answer.words())))
}

/// The answer as one of [`crate::answers`].
pub fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Error> {
    T::deserialize(answer).map_err(|error| {
        Error::Failed(format!(
            "The API's answer is of another version than this command ({error}). --output json shows it."
        ))
    })
}

/// Why the API did not do it. A problem of thaw's own says what to correct; what API Gateway refuses, before thaw sees
/// it, is explained here.
fn refused(answer: &Answer, method: &str, path: &str, url: &str) -> Error {
    if let Ok(problem) = serde_json::from_str::<Problem>(&answer.body)
        && problem.kind.starts_with("urn:thaw:")
    {
        return Error::Problem(problem);
    }
    let words = answer.words();
    let lower = words.to_ascii_lowercase();
    Error::Failed(match answer.status {
        403 if lower.contains("not yet current") || lower.contains("signature expired") => {
            format!("This machine's clock is wrong, so AWS refuses what it signs. Set the clock. ({words})")
        }
        403 if lower.contains("security token") && lower.contains("expired") => {
            format!("The credentials have expired. Sign in again: aws sso login. ({words})")
        }
        403 if lower.contains("security token") || lower.contains("access key") => {
            format!("AWS does not know these credentials. ({words})")
        }
        403 => {
            let resource = format!("arn:aws:execute-api:*:*:*/*/{method}{}", policy_path(path));
            format!(
                "You may not call {method} {path}. Have this allowed: {{\"Effect\": \"Allow\", \"Action\": \"execute-api:Invoke\", \"Resource\": \"{resource}\"}} ({words})"
            )
        }
        404 => format!("{url} is not an address of thaw's API. Check --api-url and --region. ({words})"),
        _ => format!("{method} {path} failed with {}: {words}", answer.status),
    })
}

/// A path with its id as a wildcard, for a policy.
fn policy_path(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix("/v1/restores/") {
        None => path.to_owned(),
        Some(rest) => match rest.split_once('/') {
            None => "/v1/restores/*".to_owned(),
            Some((_, call)) => format!("/v1/restores/*/{call}"),
        },
    }
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
        .settings(SigningSettings::default())
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
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("thaw-cli/", env!("CARGO_PKG_VERSION")))
            .build(),
    );
    let sent = match method {
        "GET" | "DELETE" => agent.run(request.body(()).map_err(|error| bug(&error))?),
        _ => agent.run(request.body(body).map_err(|error| bug(&error))?),
    };
    let host = url.split('/').nth(2).unwrap_or(url);
    let lost = |error: ureq::Error| {
        Error::Failed(format!(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned(), retry_after: None }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (status, body, words, exit) in [
            (
                400,
                r#"{"type":"urn:thaw:problem:invalid-field","detail":"keys is wrong.","field":"keys"}"#,
                "keys is wrong.",
                Exit::Failed,
            ),
            (422, r#"{"type":"urn:thaw:problem:over-price","detail":"Too dear."}"#, "Too dear.", Exit::Refused),
            (
                400,
                r#"{"type":"urn:thaw:problem:invalid-field","detail":"It is wrong.","field":"keys[3]"}"#,
                "It is wrong. (field keys[3])",
                Exit::Failed,
            ),
            (403, r#"{"message":"Signature not yet current: …"}"#, "This machine's clock is wrong", Exit::Failed),
            (
                403,
                r#"{"message":"The security token included in the request is expired"}"#,
                "Sign in again",
                Exit::Failed,
            ),
            (
                403,
                r#"{"message":"The security token included in the request is invalid."}"#,
                "does not know these credentials",
                Exit::Failed,
            ),
            (
                403,
                r#"{"message":"User: arn:aws:iam::1:user/u is not authorized to perform: execute-api:Invoke"}"#,
                r#""Resource": "arn:aws:execute-api:*:*:*/*/GET/v1/restores/*/objects"}"#,
                Exit::Failed,
            ),
            (404, r#"{"message":"Not Found"}"#, "is not an address of thaw's API", Exit::Failed),
            (502, "<html>", "failed with 502: 502 <html>", Exit::Failed),
        ] {
            let error = refused(&answer(status, body), "GET", "/v1/restores/r/objects?limit=1", "https://a.example/v1");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.exit(), exit, "{error}");
        }
    }

    #[test]
    fn a_policy_names_no_restore() {
        for (path, expected) in [
            ("/v1/plans", "/v1/plans"),
            ("/v1/restores?limit=1", "/v1/restores"),
            ("/v1/restores/r", "/v1/restores/*"),
            ("/v1/restores/r/retry", "/v1/restores/*/retry"),
        ] {
            assert_eq!(policy_path(path), expected);
        }
    }
}
