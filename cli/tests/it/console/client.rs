//! A console that runs, and a browser as far as HTTP goes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::api::Api;

/// A console that runs until it is dropped.
pub struct Console {
    pub child: Child,
    /// The address that it has printed.
    pub url: String,
}

impl Console {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    /// One for this API, with these arguments.
    pub fn of(api: &Api, args: &[&str]) -> Self {
        Self::start(api.command(&[&["console"], args].concat()))
    }

    /// `http://127.0.0.1:4711`.
    pub fn origin(&self) -> &str {
        self.url.split_once("/?").unwrap().0
    }

    /// Opens the printed address, as the browser does.
    pub fn opened(&self) -> Browser<'_> {
        let answer = ask("GET", &self.url, &[], None);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Browser { console: self, cookie }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser with the console's cookie.
pub struct Browser<'a> {
    console: &'a Console,
    pub cookie: String,
}

impl Browser<'_> {
    pub fn get(&self, path: &str) -> Answer {
        ask("GET", &format!("{}{path}", self.console.origin()), &[("cookie", &self.cookie)], None)
    }

    /// Sends a form as the console's own page does.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [("cookie", self.cookie.as_str()), ("origin", self.console.origin())];
        ask("POST", &format!("{}{path}", self.console.origin()), &headers, Some(fields))
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> &str {
        let after = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect(name).1;
        after.split_once('"').unwrap().0
    }
}

/// A request, and its answer whatever its status.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], fields: Option<&[(&str, &str)]>) -> Answer {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let body = fields.unwrap_or_default().iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    let body = body.collect::<Vec<_>>().join("&");
    if fields.is_some() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let mut answer = ureq::Agent::new_with_config(config).run(request.body(body).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), text }
}
