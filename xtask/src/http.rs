//! The little HTTP that the commands need: plain, blocking, every status an answer.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longer than any answer of a program on this machine takes, shorter than a person's patience.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How much of an unwelcome answer a person wants to read.
const QUOTED: usize = 1000;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// This answer if it is a success; otherwise an error that quotes it.
    pub fn ok(self, what: &str) -> Result<Self> {
        if !(200..300).contains(&self.status) {
            // Some errors quote all that they were sent.
            let text: String = self.text().chars().take(QUOTED).collect();
            bail!("{what}: {} {text}", self.status);
        }
        Ok(self)
    }
}

/// Sends one request. Only a failure to get any answer is an error.
pub fn send(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Response> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .user_agent("xtask")
            .build(),
    );
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let failed = || format!("no answer to {method} {url}");
    let sent = if body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE") {
        agent.run(request.body(())?)
    } else {
        agent.run(request.body(body)?)
    };
    let mut answer = sent.with_context(failed)?;
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().with_context(failed)?;
    Ok(Response { status: answer.status().as_u16(), headers, body })
}

/// A plain GET.
pub fn get(url: &str) -> Result<Response> {
    send("GET", url, &[], &[])
}

/// A POST of JSON.
pub fn post_json(url: &str, body: &serde_json::Value) -> Result<Response> {
    send("POST", url, &[("content-type".into(), "application/json".into())], body.to_string().as_bytes())
}
