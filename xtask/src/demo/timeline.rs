//! What happens to a restore, line by line: from the execution's history, from S3 and CloudFront as the simulator sees
//! them, and from the restore's own page.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sign::encode;
use crate::stack::{S3, Stack};

/// What was told so far.
pub struct Timeline<'a> {
    stack: &'a Stack,
    id: &'a str,
    started: Timestamp,
    /// Events of the history that were told.
    seen_events: u64,
    looks: u32,
    /// By key or id, the last state that was told.
    copies: BTreeMap<String, String>,
    invalidations: BTreeMap<String, String>,
    objects: BTreeMap<String, String>,
    restore: Value,
}

impl<'a> Timeline<'a> {
    pub fn new(stack: &'a Stack, id: &'a str, started: Timestamp) -> Self {
        Self {
            stack,
            id,
            started,
            seen_events: 0,
            looks: 0,
            copies: BTreeMap::new(),
            invalidations: BTreeMap::new(),
            objects: BTreeMap::new(),
            restore: Value::Null,
        }
    }

    /// Prints what is new since the last time.
    pub fn tell_news(&mut self) -> Result<()> {
        self.tell_execution()?;
        if self.stack.s3 == S3::Sim {
            self.tell_simulator()?;
        }
        self.tell_restore()
    }

    /// The restore, once it has ended and so has its execution.
    pub fn ended(&self) -> Option<&Value> {
        let over = self.restore["status"].as_str().is_some_and(|status| status != "running");
        let execution = execution(self.stack, self.id).ok()?;
        (over && execution["status"] != "RUNNING").then_some(&self.restore)
    }

    /// One line: hours and minutes of virtual time, who, what.
    fn tell(&self, at: Timestamp, who: &str, what: &str) {
        let real = at.duration_since(self.started).as_secs_f64().max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes, for people")]
        let minutes = (real * f64::from(self.stack.time_scale) / 60.0) as u64;
        println!("+{:02}h{:02}m  {who:<10}  {what}", minutes / 60, minutes % 60);
    }

    fn tell_execution(&mut self) -> Result<()> {
        for event in history(self.stack, self.id)? {
            let number = event["id"].as_u64().unwrap_or_default();
            if number <= self.seen_events {
                continue;
            }
            self.seen_events = number;
            let kind = event["type"].as_str().unwrap_or_default();
            let at = timestamp(&event["timestamp"]).unwrap_or_else(Timestamp::now);
            if kind.ends_with("StateEntered") {
                let state = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default();
                if state == "CheckRestores" {
                    self.looks += 1;
                }
                // Choices are no news: what they lead to is.
                if kind != "ChoiceStateEntered" {
                    self.tell(at, "workflow", &describe(state, self.looks));
                }
            } else if kind == "TaskFailed" || kind == "LambdaFunctionFailed" {
                let details = &event["taskFailedEventDetails"];
                self.tell(at, "workflow", &format!("a task failed: {} {}", details["error"], details["cause"]));
            }
        }
        Ok(())
    }

    fn tell_simulator(&mut self) -> Result<()> {
        let now = Timestamp::now();
        let state = self.stack.control().state()?;
        for object in state["objects"].as_array().into_iter().flatten() {
            let (Some(key), Some(restore)) = (object["key"].as_str(), object["restore"]["state"].as_str()) else {
                continue;
            };
            if object["bucket"] != self.stack.archive_bucket.as_str() {
                continue;
            }
            // A copy goes from none over ongoing to copy; Intelligent-Tiering goes back to none, but readable.
            let now_is = match restore {
                "ongoing" => "began restoring",
                "copy" => "finished restoring",
                _ if self.copies.get(key).is_some_and(|was| was == "began restoring") => "finished restoring",
                _ => continue,
            };
            if self.copies.insert(key.to_owned(), now_is.to_owned()).as_deref() != Some(now_is) {
                self.tell(now, "S3", &format!("{now_is} {key}"));
            }
        }
        for invalidation in invalidations(&state) {
            let (Some(id), Some(status)) = (invalidation["id"].as_str(), invalidation["status"].as_str()) else {
                continue;
            };
            if self.invalidations.insert(id.to_owned(), status.to_owned()).as_deref() == Some(status) {
                continue;
            }
            let paths: Vec<&str> =
                invalidation["items"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let what = if status == "Completed" { "has forgotten" } else { "is told to forget" };
            self.tell(now, "CloudFront", &format!("{what} {}", paths.join(", ")));
        }
        Ok(())
    }

    fn tell_restore(&mut self) -> Result<()> {
        let now = Timestamp::now();
        let path = format!("/v1/restores/{}", self.id);
        let restore = self.stack.api("GET", &path, &[], b"")?.ok(&path)?.json()?;
        for object in objects(self.stack, self.id)? {
            let (Some(key), Some(state)) = (object["key"].as_str(), object["state"].as_str()) else { continue };
            if self.objects.insert(key.to_owned(), state.to_owned()).as_deref() == Some(state) || state == "planned" {
                continue;
            }
            let code = object["code"].as_str().unwrap_or_default();
            self.tell(now, "thaw", format!("{key} is {state} {code}").trim_end());
        }
        if restore["status"] != self.restore["status"] {
            self.tell(now, "thaw", &format!("the restore is {}", restore["status"].as_str().unwrap_or_default()));
        }
        if self.restore["ready_between"].is_null()
            && let Some([first, last]) = restore["ready_between"].as_array().map(Vec::as_slice)
        {
            let hours = |time: &Value| -> Result<String> {
                let time: Timestamp = time.as_str().context("ready_between is no time")?.parse()?;
                // These are already virtual times.
                let asked: Timestamp = restore["requested_at"].as_str().context("no requested_at")?.parse()?;
                Ok(format!("{:.0} h", time.duration_since(asked).as_secs_f64() / 3600.0))
            };
            let what = format!("typically ready between {} and {} from now", hours(first)?, hours(last)?);
            self.tell(now, "thaw", &what);
        }
        self.restore = restore;
        Ok(())
    }
}

fn describe(state: &str, looks: u32) -> String {
    let says = match state {
        "Plan" => "looks at every object, decides and prices".to_owned(),
        "StartRestores" => "asks S3 to restore".to_owned(),
        "WaitForRetrieval" => "sleeps until a look is worth it".to_owned(),
        "CheckRestores" => format!("look {looks}: which objects can be read?"),
        "Invalidate" => "publishes what can be read and is not published yet".to_owned(),
        "WaitForEdges" => "gives the edges a moment".to_owned(),
        "CheckInvalidations" => "did the invalidations take effect?".to_owned(),
        "Report" => "writes down how it ended".to_owned(),
        "ReportFailure" => "writes down why it could not go on".to_owned(),
        _ => String::new(),
    };
    format!("{state:<18} {says}").trim_end().to_owned()
}

/// All objects of a restore, over as many pages as there are.
pub fn objects(stack: &Stack, id: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut query = String::new();
    loop {
        let path = format!("/v1/restores/{id}/objects{query}");
        let page = stack.api("GET", &path, &[], b"")?.ok(&path)?.json()?;
        all.extend(page["objects"].as_array().cloned().with_context(|| format!("no objects in {page}"))?);
        let next = page["cursor"].as_str().or_else(|| page["next_cursor"].as_str());
        let Some(cursor) = next else { return Ok(all) };
        query = format!("?cursor={}", encode(cursor, false));
    }
}

/// The execution of a restore.
pub fn execution(stack: &Stack, id: &str) -> Result<Value> {
    stack.aws().json("states", "AWSStepFunctions.DescribeExecution", &json!({ "executionArn": arn(stack, id) }))
}

/// Every invalidation of every distribution that the simulator knows.
pub fn invalidations(state: &Value) -> impl Iterator<Item = &Value> {
    let distributions = state["distributions"].as_array().into_iter().flatten();
    distributions.flat_map(|distribution| distribution["invalidations"].as_array().into_iter().flatten())
}

fn history(stack: &Stack, id: &str) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut request = json!({ "executionArn": arn(stack, id), "maxResults": 1000 });
    loop {
        let page = stack.aws().json("states", "AWSStepFunctions.GetExecutionHistory", &request)?;
        events.extend(page["events"].as_array().cloned().unwrap_or_default());
        let Some(token) = page["nextToken"].as_str() else { return Ok(events) };
        request["nextToken"] = token.into();
    }
}

fn arn(stack: &Stack, id: &str) -> String {
    format!("{}:{id}", stack.state_machine_arn.replace(":stateMachine:", ":execution:"))
}

/// Seconds since the epoch, as AWS JSON writes times.
fn timestamp(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "microseconds of our century fit an i64")]
    let micros = (value.as_f64()? * 1e6) as i64;
    Timestamp::from_microsecond(micros).ok()
}
