//! The running stack as the tests see it: an archive to fill, doors to knock at, states to wait for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client;

/// Two virtual days are 48 seconds here; the rest is for machines that have other things to do.
const DEADLINE: Duration = Duration::from_secs(300);

/// How often a condition is looked at while a test waits for it.
const POLL: Duration = Duration::from_millis(200);

/// An environment in which no client can find another AWS than the one that it is told.
pub const NO_OTHER_AWS: [(&str, &str); 6] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// The stack that runs.
pub struct Stack {
    book: Value,
    programs: PathBuf,
}

/// An HTTP answer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u64,
    pub headers: Value,
    pub text: String,
}

impl Answer {
    fn of(answer: &Value) -> Self {
        let status = answer["status"].as_u64().unwrap_or_else(|| panic!("no answer: {answer}"));
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        Self { status, headers: answer["headers"].clone(), text }
    }

    /// The body as JSON, once the status is as it should be.
    #[track_caller]
    pub fn json(&self, status: u64) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

/// The stack, whoever plays S3.
pub fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(Stack::find)
}

/// The stack, if thaw-sim plays S3 and CloudFront.
pub fn sim() -> &'static Stack {
    let stack = stack();
    assert!(stack.is_sim(), "this test needs a stack of `cargo xtask up --s3 sim --auth`");
    stack
}

/// Looks until there is something, and answers it.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "after {} s still not: {what}", DEADLINE.as_secs());
        sleep(POLL);
    }
}

impl Stack {
    /// The one that `THAW_STACK` names, else the one of `cargo xtask up`.
    fn find() -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp lies in target");
        let file = std::env::var_os("THAW_STACK").map_or_else(|| target.join("local/stack.json"), PathBuf::from);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|_| {
            panic!("there is no {}: boot a stack with `cargo xtask up --auth`", file.display());
        });
        let book = serde_json::from_str(&text).expect("stack.json is JSON");
        Self { book, programs: target.join("python/bin") }
    }

    /// The same with other entries in the address book.
    pub fn with(&self, entries: &[(&str, String)]) -> Self {
        let mut book = self.book.clone();
        for (name, value) in entries {
            book[*name] = value.as_str().into();
        }
        Self { book, programs: self.programs.clone() }
    }

    /// The address book.
    pub fn book(&self) -> &Value {
        &self.book
    }

    /// An entry of the address book.
    #[track_caller]
    pub fn entry(&self, name: &str) -> &str {
        self.book[name].as_str().unwrap_or_else(|| panic!("stack.json has no {name}"))
    }

    pub fn is_sim(&self) -> bool {
        self.entry("s3") == "sim"
    }

    /// Whether signatures and policies are enforced.
    pub fn is_guarded(&self) -> bool {
        self.book["auth"] == true
    }

    pub fn bucket(&self) -> &str {
        self.entry("archive_bucket")
    }

    // ------------ AWS

    /// A boto3 call that must succeed.
    #[track_caller]
    pub fn aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let answer = self.call(service, operation, parameters);
        answer.get("ok").unwrap_or_else(|| panic!("{service} {operation}: {answer}")).clone()
    }

    /// One that must be refused; answers the code.
    #[track_caller]
    pub fn refused(&self, service: &str, operation: &str, parameters: Value) -> String {
        let answer = self.call(service, operation, parameters);
        answer["error"].as_str().unwrap_or_else(|| panic!("{service} {operation}: {answer}")).to_owned()
    }

    /// One of which either may come: `{"ok": …}`, or `{"error": <code>, "message": …}`.
    pub fn call(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let url = self.entry(match service {
            "s3" => "s3_endpoint_url",
            "cloudfront" => "cloudfront_endpoint_url",
            _other => "endpoint_url",
        });
        let request = json!({ "url": url, "call": [service, operation, parameters] });
        client::ask(&self.programs.join("python"), &request)
    }

    /// The same as this role: done, or the code with which the service refuses.
    pub fn aws_as(&self, role: &str, service: &str, operation: &str, parameters: Value) -> Result<(), String> {
        let url = self.entry("endpoint_url");
        let request = json!({ "url": url, "call": [service, operation, parameters], "role": role });
        let answer = client::ask(&self.programs.join("python"), &request);
        answer["error"].as_str().map_or(Ok(()), |code| Err(code.to_owned()))
    }

    /// The `aws` command, as a person would type it; answers what it prints.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> String {
        let url = self.entry(if arguments[0] == "s3api" { "s3_endpoint_url" } else { "endpoint_url" });
        let output = Command::new(self.programs.join("aws"))
            .args(["--endpoint-url", url, "--output", "json"])
            .args(arguments)
            .env_clear()
            .envs(NO_OTHER_AWS)
            .output()
            .expect("the AWS CLI starts");
        assert!(output.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A script in which people use the `aws` command; answers what it prints.
    #[track_caller]
    pub fn bash(&self, script: &str) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.programs.clone()].into_iter().chain(std::env::split_paths(&path)));
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .env_clear()
            .envs(NO_OTHER_AWS)
            .env("PATH", path.expect("paths can be joined"))
            .env("AWS_ENDPOINT_URL", self.entry("endpoint_url"))
            .env("AWS_ENDPOINT_URL_S3", self.entry("s3_endpoint_url"))
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", self.entry("cloudfront_endpoint_url"))
            .output()
            .expect("bash starts");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Puts objects into the archive bucket.
    pub fn put<'a>(&self, class: &str, keys: impl IntoIterator<Item = &'a str>) {
        self.put_into(self.bucket(), class, keys);
    }

    pub fn put_into<'a>(&self, bucket: &str, class: &str, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys {
            let object = json!({ "Bucket": bucket, "Key": key, "Body": key, "StorageClass": class });
            self.aws("s3", "put_object", object);
        }
    }

    /// Puts an archived object that nobody asks for beside every ten keys, which are in order: no wildcard can stand for
    /// their paths then, whether they are published together or one by one.
    pub fn keep_apart<K: AsRef<str>>(&self, keys: &[K]) {
        let neighbours: Vec<_> = keys.iter().step_by(10).map(|key| format!("{}.stays", key.as_ref())).collect();
        self.put("GLACIER", neighbours.iter().map(String::as_str));
    }

    /// The dead-letter queue of a queue.
    pub fn dead_letters(&self, queue: &str) -> String {
        let asked = json!({ "QueueUrl": queue, "AttributeNames": ["RedrivePolicy"] });
        let answer = self.aws("sqs", "get_queue_attributes", asked);
        let policy = answer["Attributes"]["RedrivePolicy"].as_str().expect("the queue has a redrive policy");
        let policy: Value = serde_json::from_str(policy).expect("a policy is JSON");
        let arn = policy["deadLetterTargetArn"].as_str().expect("it names a queue");
        let name = arn.rsplit(':').next().unwrap_or_default();
        let url = self.aws("sqs", "get_queue_url", json!({ "QueueName": name }))["QueueUrl"].clone();
        url.as_str().expect("a queue has a URL").to_owned()
    }

    /// The message with this body, once it is a dead letter of a queue; it stays there.
    #[track_caller]
    pub fn dead_letter(&self, queue: &str, body: &str) -> Value {
        let asked = json!({
            "QueueUrl": self.dead_letters(queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 0,
            "MessageAttributeNames": ["reason"],
        });
        let short: String = body.chars().take(60).collect();
        until(&format!("{short} is a dead letter"), || {
            let received = self.aws("sqs", "receive_message", asked.clone());
            let messages = received["Messages"].as_array().into_iter().flatten();
            messages.clone().find(|message| message["Body"] == body).cloned()
        })
    }

    /// The execution of a restore.
    pub fn execution(&self, id: &str) -> Value {
        let arn = self.entry("state_machine_arn").replace(":stateMachine:", ":execution:");
        self.aws("stepfunctions", "describe_execution", json!({ "executionArn": format!("{arn}:{id}") }))
    }

    /// What an execution has met so far, in order: `stateEntered` with its name, `taskFailed` with its error.
    pub fn history(&self, id: &str, what: &str) -> Vec<String> {
        let events = self.events(id);
        let details = events.iter().map(|event| &event[format!("{what}EventDetails")]);
        details.filter_map(|one| one["name"].as_str().or(one["error"].as_str()).map(str::to_owned)).collect()
    }

    /// The first thousand events of an execution's history.
    pub fn events(&self, id: &str) -> Vec<Value> {
        let page = json!({ "executionArn": self.execution(id)["executionArn"], "maxResults": 1000 });
        let history = self.aws("stepfunctions", "get_execution_history", page);
        history["events"].as_array().expect("a history has events").clone()
    }

    /// The execution, once it has ended.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        until(&format!("the end of {id}"), || {
            let execution = self.execution(id);
            (execution["status"] != "RUNNING").then_some(execution)
        })
    }

    /// Every item of the ledger as text, to look for what must not be there.
    pub fn ledger_text(&self) -> String {
        let mut all = String::new();
        let mut page = json!({ "TableName": self.entry("ledger_table") });
        loop {
            let answer = self.aws("dynamodb", "scan", page.clone());
            all.push_str(&answer["Items"].to_string());
            match answer.get("LastEvaluatedKey") {
                Some(key) => page["ExclusiveStartKey"] = key.clone(),
                None => return all,
            }
        }
    }

    /// An attribute of a queue.
    #[track_caller]
    pub fn queue(&self, url: &str, attribute: &str) -> String {
        let answer = self.aws("sqs", "get_queue_attributes", json!({ "QueueUrl": url, "AttributeNames": [attribute] }));
        answer["Attributes"][attribute].as_str().expect("the queue has the attribute").to_owned()
    }

    /// Makes failed messages of a queue come again after so many seconds.
    pub fn set_visibility(&self, url: &str, seconds: &str) {
        let attributes = json!({ "QueueUrl": url, "Attributes": { "VisibilityTimeout": seconds } });
        self.aws("sqs", "set_queue_attributes", attributes);
    }

    /// Whether a queue is empty and nobody works on a message of it.
    pub fn nothing_waits(&self, url: &str) -> bool {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        names.iter().all(|name| self.queue(url, name) == "0")
    }

    // ------------ thaw's HTTP API, and the edge

    /// One signed call of the HTTP API.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.api_with(json!({ "method": method, "path": path, "body": body }))
    }

    /// The same, with whatever the client can do besides.
    pub fn api_with(&self, request: Value) -> Answer {
        Answer::of(&self.send(request))
    }

    /// One HTTP request to anywhere, just as it is.
    pub fn anywhere(&self, request: Value) -> Answer {
        Answer::of(&client::ask(&self.programs.join("python"), &request))
    }

    /// The same call so often at once.
    pub fn api_at_once(&self, times: u32, mut request: Value) -> Vec<Answer> {
        request["times"] = times.into();
        let answers = self.send(request);
        answers.as_array().expect("a list of answers").iter().map(Answer::of).collect()
    }

    /// Many calls at once; their answers in the same order.
    pub fn api_all(&self, requests: Vec<Value>) -> Vec<Answer> {
        let requests = requests.into_iter().map(|request| self.addressed(request)).collect();
        let answers = client::ask(&self.programs.join("python"), &Value::Array(requests));
        answers.as_array().expect("a list of answers").iter().map(Answer::of).collect()
    }

    fn send(&self, request: Value) -> Value {
        client::ask(&self.programs.join("python"), &self.addressed(request))
    }

    fn addressed(&self, mut request: Value) -> Value {
        let path = request["path"].take();
        request["url"] = format!("{}{}", self.entry("api_url"), path.as_str().unwrap_or_default()).into();
        request
    }

    /// Asks for a restore of objects in the archive bucket; answers its id.
    #[track_caller]
    pub fn restore<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> String {
        self.restore_from(self.bucket(), keys)
    }

    #[track_caller]
    pub fn restore_from<'a>(&self, bucket: &str, keys: impl IntoIterator<Item = &'a str>) -> String {
        let keys: Vec<_> = keys.into_iter().collect();
        let answer = self.api("POST", "/v1/restores", &json!({ "bucket": bucket, "keys": keys })).json(202);
        answer["id"].as_str().expect("a restore has an id").to_owned()
    }

    /// The restore as it says of itself.
    #[track_caller]
    pub fn look(&self, id: &str) -> Value {
        self.api("GET", &format!("/v1/restores/{id}"), &Value::Null).json(200)
    }

    /// The objects of a restore, over as many pages as there are.
    #[track_caller]
    pub fn objects(&self, id: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.api("GET", &format!("/v1/restores/{id}/objects{query}"), &Value::Null).json(200);
            all.extend(page["objects"].as_array().expect("a page has objects").iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else { return all };
            query = format!("?cursor={cursor}");
        }
    }

    /// The newest restores that have an object with this key.
    pub fn restores_of(&self, key: &str) -> Vec<String> {
        let page = self.api("GET", "/v1/restores", &Value::Null).json(200);
        let all = page["restores"].as_array().expect("a page has restores").iter();
        let ids = all.filter_map(|one| one["id"].as_str().map(str::to_owned));
        ids.filter(|id| self.objects(id).iter().any(|object| object["key"] == key)).collect()
    }

    /// Waits for the execution's end, which must be green, and checks that every object is published.
    #[track_caller]
    pub fn succeeds(&self, id: &str) {
        let execution = self.ended(id);
        assert_eq!(execution["status"], "SUCCEEDED", "{execution}");
        let restore = self.look(id);
        assert_eq!(restore["status"], "succeeded", "{restore}");
        assert_eq!(restore["counts"]["published"], restore["counts"]["total"], "{restore}");
    }

    /// What a viewer gets from the edge, by the distribution in front of the archive bucket.
    pub fn view(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.entry("edge_url"));
        let headers = json!({ "Host": self.entry("edge_host") });
        let request = json!({ "url": url, "method": "GET", "headers": headers, "sign": false });
        Answer::of(&client::ask(&self.programs.join("python"), &request))
    }

    /// What a viewer of this distribution gets.
    pub fn view_at(&self, distribution: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.entry("edge_url"));
        let headers = json!({ "x-distribution": distribution });
        let request = json!({ "url": url, "method": "GET", "headers": headers, "sign": false });
        Answer::of(&client::ask(&self.programs.join("python"), &request))
    }

    // ------------ what only a simulator shows

    /// Everything that the simulator knows.
    pub fn sim_state(&self) -> Value {
        self.sim_call("GET", "state", &Value::Null)
    }

    /// A call of the simulator's control endpoint.
    pub fn sim_call(&self, method: &str, what: &str, body: &Value) -> Value {
        let url = format!("{}/_sim/{what}", self.entry("cloudfront_endpoint_url"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = json!({ "url": url, "method": method, "body": body, "sign": false });
        Answer::of(&client::ask(&self.programs.join("python"), &request)).json(200)
    }

    /// Every path ever invalidated on a distribution that begins so, in order, as often as it was.
    pub fn invalidated(&self, distribution: &str, prefix: &str) -> Vec<String> {
        let state = self.sim_state();
        let distributions = state["distributions"].as_array().expect("the simulator knows its distributions");
        let mut paths: Vec<String> = distributions
            .iter()
            .filter(|one| one["id"] == distribution)
            .flat_map(|one| one["invalidations"].as_array().into_iter().flatten())
            .flat_map(|invalidation| invalidation["items"].as_array().into_iter().flatten())
            .filter_map(|path| path.as_str().map(str::to_owned))
            .filter(|path| path.starts_with(prefix))
            .collect();
        paths.sort();
        paths
    }

    /// What came of the restore calls for the objects whose key begins so.
    pub fn restore_calls(&self, prefix: &str) -> Vec<Value> {
        let state = self.sim_state();
        let calls = state["restore_calls"].as_array().expect("the simulator counts calls");
        let ours = calls.iter().filter(|one| one["key"].as_str().is_some_and(|key| key.starts_with(prefix)));
        ours.cloned().collect()
    }
}
