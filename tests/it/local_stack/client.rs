//! AWS's own Python client, kept running: none of thaw's code signs or sends what the tests send.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Those that nobody uses at the moment. They end with the test's process, which closes their input.
static IDLE: Mutex<Vec<Client>> = Mutex::new(Vec::new());

struct Client {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Sends one request of `tests/clients/aws_client.py`, and answers its answer.
pub fn ask(python: &Path, request: &Value) -> Value {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut client = idle.unwrap_or_else(|| start(python));
    writeln!(client.requests, "{request}").expect("the client takes requests");
    let mut line = String::new();
    client.answers.read_line(&mut line).expect("the client answers");
    let answer = serde_json::from_str(&line).unwrap_or_else(|_| {
        panic!("the client failed at {request}: {:?}", client.process.wait());
    });
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    answer
}

fn start(python: &Path) -> Client {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/aws_client.py");
    let mut process = Command::new(python)
        .arg(script)
        .env_clear()
        .envs(super::stack::NO_OTHER_AWS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
    let requests = process.stdin.take().expect("its input is a pipe");
    let answers = BufReader::new(process.stdout.take().expect("its output is a pipe"));
    Client { process, requests, answers }
}
