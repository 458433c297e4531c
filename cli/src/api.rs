//! Calls of thaw's HTTP API, signed with the caller's credentials.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::Address;
use crate::answers::Problem;
use crate::args::Global;
use crate::credentials;
use crate::error::Error;
use crate::http::{Answer, send_signed};
use crate::terminal::Terminal;

/// How often a call is repeated if the API is busy or does not answer. Each call may be: what starts a restore has an
/// idempotency key.
const RETRIES: u32 = 2;

/// The API of one stack.
#[derive(Debug, Clone)]
pub struct Api<'a> {
    address: Address,
    global: &'a Global,
    terminal: &'a Terminal,
}

impl<'a> Api<'a> {
    /// Finds the API and the caller's credentials.
    pub fn connect(global: &'a Global, terminal: &'a Terminal) -> Result<Self, Error> {
        Ok(Self::at(crate::address::find(global, terminal)?, global, terminal))
    }

    /// The API at this address.
    pub fn at(address: Address, global: &'a Global, terminal: &'a Terminal) -> Self {
        Self { address, global, terminal }
    }

    /// How many seconds of the stack's clock pass in one real second.
    pub fn time_scale(&self) -> u32 {
        self.address.time_scale
    }

    /// Where the API is, and whose clock it has.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// An output of the stack, as CloudFormation tells it.
    pub fn stack_output(&self, name: &str) -> Result<String, Error> {
        crate::address::stack_output(name, self.global, &self.address.identity, self.terminal)
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
        let url = format!("{url}{path}");
        let mut tries = 0;
        loop {
            let sent = send_signed(method, &url, headers, body.as_bytes(), identity, "execute-api", self.terminal);
            let pause = match sent {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
                Ok(answer) if tries < RETRIES && matches!(answer.status, 429 | 503) => answer.retry_after.unwrap_or(1),
                Ok(answer) => return Err(refused(&answer, method, path, &url)),
                Err(Error::NoAnswer(_)) if tries < RETRIES => 1,
                Err(error) => return Err(error),
            };
            tries += 1;
            std::thread::sleep(Duration::from_secs((pause / u64::from(self.address.time_scale)).clamp(1, 30)));
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
