//! An HTTP API with prepared answers, and the command run against it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;

use serde_json::Value;

use crate::schema;

/// A call that the API has received.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// `POST /v1/plans`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The API. Each call gets the next answer; a call too many gets a 500. When it is dropped, all answers must have been as the
/// OpenAPI document describes them.
pub struct Api {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    misfits: Arc<Mutex<Vec<String>>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(*self.misfits.lock().unwrap(), [""; 0], "the real API does not answer so");
        }
    }
}

/// What of an answer the OpenAPI document does not describe.
fn misfits(call: &Call, status: u16, body: &str) -> Vec<String> {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../../infra/openapi.json")).unwrap());
    let path = call.path.split('?').next().unwrap();
    let Some(schema) = schema::of_answer(&DOCUMENT, &call.method, path, status) else { return Vec::new() };
    let Ok(answer) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    // API Gateway's own refusals are not thaw's.
    if answer["message"].is_string() && answer["type"].is_null() {
        return Vec::new();
    }
    let misfits = schema::misfits(&answer, schema, &DOCUMENT, "");
    misfits.into_iter().map(|misfit| format!("{} {status}: {misfit}", call.line())).collect()
}

impl Api {
    /// An API with these answers: the status, and the body; a text is sent as it is. With the status 0 it hangs up instead.
    pub fn with(answers: Vec<(u16, Value)>) -> Self {
        let mut answers = VecDeque::from(answers);
        Self::answering(move |_| {
            let (status, body) = answers.pop_front().unwrap_or((500, Value::from("a call too many")));
            (status, text(body))
        })
    }

    /// An API that answers each call with a status and a body.
    pub fn answering(mut answer: impl FnMut(&Call) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let misfits = Arc::new(Mutex::new(Vec::new()));
        let (log, wrong) = (Arc::clone(&calls), Arc::clone(&misfits));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(call) = read(&mut stream) else { continue };
                let (status, body) = answer(&call);
                wrong.lock().unwrap().extend(self::misfits(&call, status, &body));
                log.lock().unwrap().push(call);
                if status == 0 {
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        Self { url, calls, misfits }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The command with this API, credentials in its environment, and a zone that is the same everywhere.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = thaw(args);
        command.env("THAW_API_URL", &self.url);
        command
    }

    /// Runs it without a terminal.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }
}

/// The file of a local stack with this API, for `--local`. It is removed when it is dropped.
pub struct LocalStack(std::path::PathBuf);

impl LocalStack {
    /// `name` keeps the files of tests apart that run at the same time.
    pub fn of(api_url: &str, name: &str) -> Self {
        let file = std::env::temp_dir().join(format!("thaw-{name}-{}.json", std::process::id()));
        let stack = serde_json::json!({
            "api_url": api_url, "endpoint_url": "http://127.0.0.1:1", "s3_endpoint_url": "http://127.0.0.1:1",
            "cloudfront_endpoint_url": "http://127.0.0.1:1", "edge_url": "http://127.0.0.1:2", "region": "us-east-1",
            "access_key_id": "test", "secret_access_key": "test", "time_scale": 3_600, "origin": 1_764_410_400,
        });
        std::fs::write(&file, stack.to_string()).unwrap();
        Self(file)
    }

    /// The option that names it.
    pub fn option(&self) -> String {
        format!("--local={}", self.0.display())
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// A problem of thaw's.
pub fn problem(status: u16, name: &str, detail: &str) -> (u16, Value) {
    (
        status,
        serde_json::json!({ "type": format!("urn:thaw:problem:{name}"), "title": "", "status": status, "detail": detail }),
    )
}

/// The links of a restore.
pub fn links(id: &str) -> Value {
    serde_json::json!({ "self": format!("/v1/restores/{id}"), "objects": format!("/v1/restores/{id}/objects") })
}

/// JSON without fields that are null: the API leaves them out.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// JSON, or a text as it is.
pub fn text(body: Value) -> String {
    match body {
        Value::String(text) => text,
        json => json.to_string(),
    }
}

fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).ok()?;
    Some(Call { method, path, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
}

/// The command with credentials, in an environment that is the same everywhere.
pub fn thaw(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thaw"));
    command.args(args).env_clear().envs([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_REGION", "us-east-1"),
        ("TZ", "UTC"),
        ("COLUMNS", "100"),
    ]);
    command
}

/// The exit code, stdout and stderr.
pub fn seen(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}
