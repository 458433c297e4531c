//! What happens to a restore, line by line and in order: from the execution's history, from S3 and CloudFront as the
//! simulator sees them, and from the restore's own page.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sign::encode;
use crate::stack::{S3, Stack};

/// News from different sources come at different speed. Lines are held back for this long, then told in order.
const HOLD_BACK: Duration = Duration::from_millis(1500);

/// Follows one restore.
pub struct Timeline<'a> {
    stack: &'a Stack,
    id: &'a str,
    /// When the restore was asked for, in real time.
    started: Timestamp,
    /// What was found and not told yet.
    readiness: Vec<Readiness>,
    /// Events of the history that were read.
    seen_events: u64,
    looks: u32,
    /// The states of the execution and when it entered them.
    entered: Vec<(SignedDuration, String)>,
    /// By key, when S3 will have finished it.
    ongoing: BTreeMap<String, SignedDuration>,
    /// By id, the last status that was read.
    invalidations: BTreeMap<String, String>,
    /// By key, the last state that was read.
    objects: BTreeMap<String, String>,
    restore: Value,
}

/// One line.
struct Readiness {
    /// Virtual time since the restore was asked for.
    at: SignedDuration,
    who: &'static str,
    what: String,
}

impl<'a> Timeline<'a> {
    pub fn new(stack: &'a Stack, id: &'a str, started: Timestamp) -> Self {
        Self {
            stack,
            id,
            started,
            readiness: Vec::new(),
            seen_events: 0,
            looks: 0,
            entered: Vec::new(),
            ongoing: BTreeMap::new(),
            invalidations: BTreeMap::new(),
            objects: BTreeMap::new(),
            restore: Value::Null,
        }
    }

    /// Reads all sources, and prints what is old enough to be in order.
    pub fn tell_news(&mut self) -> Result<()> {
        self.read_execution()?;
        if self.stack.s3 == S3::Sim {
            self.read_simulator()?;
        }
        self.read_restore()?;
        self.tell_until(self.since_real(Timestamp::now() - HOLD_BACK));
        Ok(())
    }

    /// The restore, once it has ended and so has its execution; everything is told then.
    pub fn ended(&mut self) -> Result<Option<Value>> {
        let over = self.restore["status"].as_str().is_some_and(|status| status != "running");
        if !over || execution(self.stack, self.id)?["status"] == "RUNNING" {
            return Ok(None);
        }
        self.read_execution()?;
        self.tell_until(SignedDuration::MAX);
        Ok(Some(self.restore.clone()))
    }

    /// Virtual time from the call to the restore's end.
    pub fn took(&self) -> Option<SignedDuration> {
        Some(self.since_thaw(&self.restore["completed_at"])? - self.since_thaw(&self.restore["requested_at"])?)
    }

    fn tell_until(&mut self, horizon: SignedDuration) {
        self.readiness.sort_by_key(|readiness| readiness.at);
        let late = self.readiness.iter().position(|readiness| readiness.at > horizon).unwrap_or(self.readiness.len());
        for Readiness { at, who, what } in self.readiness.drain(..late) {
            println!("{}  {who:<10}  {what}", clock(at));
        }
    }

    fn add(&mut self, at: SignedDuration, who: &'static str, what: String) {
        self.readiness.push(Readiness { at, who, what });
    }

    fn read_execution(&mut self) -> Result<()> {
        for event in history(self.stack, self.id)? {
            let number = event["id"].as_u64().unwrap_or_default();
            if number <= self.seen_events {
                continue;
            }
            self.seen_events = number;
            let kind = event["type"].as_str().unwrap_or_default();
            let at = self.since_real(timestamp(&event["timestamp"]).unwrap_or_else(Timestamp::now));
            if kind.ends_with("StateEntered") {
                let details = &event["stateEnteredEventDetails"];
                let state = details["name"].as_str().unwrap_or_default();
                if state == "CheckRestores" {
                    self.looks += 1;
                }
                self.entered.push((at, state.to_owned()));
                // Choices are no news: what they lead to is.
                if kind != "ChoiceStateEntered" {
                    let says = self.describe(state, details);
                    self.add(at, "workflow", format!("{state:<18}  {says}"));
                }
            } else if kind == "TaskFailed" {
                let details = &event["taskFailedEventDetails"];
                self.add(at, "workflow", format!("a task failed: {} {}", details["error"], details["cause"]));
            }
        }
        Ok(())
    }

    fn describe(&self, state: &str, details: &Value) -> String {
        let input: Value =
            details["input"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        match state {
            "Plan" => "looks at every object, decides and prices; nothing is spent before".into(),
            "ForEachChunk" => "asks S3 for what is archived (StartRestores)".into(),
            "CreateJobs" => "has S3 Batch Operations ask for it".into(),
            "CheckJobs" => "how far are the jobs?".into(),
            "WaitForRetrieval" => {
                let seconds = input["wait_seconds"].as_i64().unwrap_or_default();
                format!("sleeps {}, until a look is worth it", hours(SignedDuration::from_secs(seconds)))
            }
            "CheckRestores" => format!("look {}: which objects can be read?", self.looks),
            "Invalidate" => "publishes what can be read and nobody has published yet".into(),
            "WaitForEdges" => "gives the edges a moment".into(),
            "CheckInvalidations" => "did the invalidations take effect?".into(),
            "Report" => "writes down how it ended, and tells who wants to know".into(),
            "Done" => "ends green".into(),
            "SomeFailed" => "ends red, because not every object could be restored".into(),
            "ReportFailure" => "writes down why it could not go on".into(),
            "Failed" => "ends red".into(),
            _ => String::new(),
        }
    }

    fn read_simulator(&mut self) -> Result<()> {
        let state = self.stack.control().state()?;
        for object in state["objects"].as_array().into_iter().flatten() {
            let Some(key) = object["key"].as_str() else { continue };
            if object["bucket"] != self.stack.archive_bucket.as_str() {
                continue;
            }
            if object["restore"]["state"] == "ongoing" {
                if let Some(ready) = self.since_thaw(&object["restore"]["until"]) {
                    self.ongoing.insert(key.to_owned(), ready);
                }
            } else if let Some(ready) = self.ongoing.remove(key) {
                self.add(ready, "S3", format!("has fetched {key}"));
                self.read_cache(&state, key, ready);
            }
        }
        for invalidation in invalidations(&state) {
            self.read_invalidation(invalidation);
        }
        Ok(())
    }

    /// Tells whether a viewer would go on seeing the old "403" although the object is there.
    fn read_cache(&mut self, state: &Value, key: &str, ready: SignedDuration) {
        let path = format!("/{key}");
        let distributions = state["distributions"].as_array().into_iter().flatten();
        let cached = distributions.flat_map(|one| one["cached"].as_array().into_iter().flatten());
        for entry in cached.filter(|entry| entry["path"] == path.as_str() && entry["status"] == 403) {
            if let Some(until) = self.since_thaw(&entry["fresh_until"]).filter(|until| *until > ready) {
                let what = format!("would show its cached 403 for {path} until {}", clock(until).trim_start());
                self.add(ready, "CloudFront", what);
            }
        }
    }

    fn read_invalidation(&mut self, invalidation: &Value) {
        let (Some(id), Some(status)) = (invalidation["id"].as_str(), invalidation["status"].as_str()) else { return };
        let before = self.invalidations.insert(id.to_owned(), status.to_owned());
        if before.as_deref() == Some(status) {
            return;
        }
        let (Some(created), Some(completed)) =
            (self.since_thaw(&invalidation["created"]), self.since_thaw(&invalidation["completed"]))
        else {
            return;
        };
        let paths: Vec<&str> =
            invalidation["items"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let paths = paths.join(" ");
        if before.is_none() {
            // What the execution did not do just then was done by OnRestoreCompleted.
            let state = self.entered.iter().rev().find(|(at, _)| *at <= created).map(|(_, state)| state.as_str());
            let why = if state == Some("Invalidate") { "a look found it" } else { "S3's event came" };
            self.add(created, "CloudFront", format!("is told to forget {paths} ({why})"));
        }
        if status == "Completed" {
            self.add(completed, "CloudFront", format!("has forgotten {paths}"));
        }
    }

    fn read_restore(&mut self) -> Result<()> {
        let path = format!("/v1/restores/{}", self.id);
        let restore = self.stack.api("GET", &path, &[], b"")?.ok(&path)?.json()?;
        for object in objects(self.stack, self.id)? {
            let (Some(key), Some(state)) = (object["key"].as_str(), object["state"].as_str()) else { continue };
            if self.objects.insert(key.to_owned(), state.to_owned()).as_deref() == Some(state) {
                continue;
            }
            let at = self.since_thaw(&object["since"]).unwrap_or_else(|| self.since_real(Timestamp::now()));
            let word = |field: &str| object[field].as_str().unwrap_or_default();
            let what = match state {
                "available" => format!("{key} was never archived: left alone"),
                "restoring" => format!("S3 is fetching {key} ({}, {})", word("kind"), word("tier")),
                "restored" => format!("{key} can be read"),
                "published" => format!("{key} is published ({})", word("how")),
                "failed" => format!("{key} failed: {}", word("message")),
                // Planned is what everything is in the beginning.
                _ => continue,
            };
            self.add(at, "thaw", what);
        }
        if self.restore["ready_between"].is_null()
            && let Some([first, last]) = restore["ready_between"].as_array().map(Vec::as_slice)
            && let (Some(first), Some(last)) = (self.real_or_virtual(first), self.real_or_virtual(last))
            && let Some(asked) = self.real_or_virtual(&restore["requested_at"])
        {
            let (first, last) = (first.duration_since(asked), last.duration_since(asked));
            let what = format!("the plan: readable between {} and {} from the call", hours(first), hours(last));
            // Told where it was made.
            let planned = self.entered.iter().find(|(_, state)| state == "Plan").map(|(at, _)| *at);
            self.add(planned.unwrap_or_default(), "thaw", what);
        }
        self.restore = restore;
        Ok(())
    }

    fn real_or_virtual(&self, time: &Value) -> Option<Timestamp> {
        time.as_str()?.parse().ok()
    }

    /// Virtual time since the call, of a time on a real clock: MiniStack's and ours.
    fn since_real(&self, time: Timestamp) -> SignedDuration {
        time.duration_since(self.started).saturating_mul(self.scale())
    }

    /// Virtual time since the call, of a time that thaw or the simulator tells. Their clocks are the virtual one, if
    /// there is one.
    fn since_thaw(&self, time: &Value) -> Option<SignedDuration> {
        let time = self.real_or_virtual(time)?;
        let Some(origin) = self.stack.origin else { return Some(self.since_real(time)) };
        let origin = Timestamp::from_second(origin).ok()?;
        let since_origin = time.duration_since(origin);
        Some(since_origin - self.started.duration_since(origin).saturating_mul(self.scale()))
    }

    fn scale(&self) -> i32 {
        i32::try_from(self.stack.time_scale).unwrap_or(i32::MAX)
    }
}

/// `+03h12m`; what the clocks' roundings put before the call counts as at the call.
fn clock(at: SignedDuration) -> String {
    let minutes = at.as_mins().max(0);
    format!("+{:02}h{:02}m", minutes / 60, minutes % 60)
}

/// `3 h 12 min`.
pub fn hours(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", duration.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// All objects of a restore, over as many pages as there are.
pub fn objects(stack: &Stack, id: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut query = String::new();
    loop {
        let path = format!("/v1/restores/{id}/objects{query}");
        let page = stack.api("GET", &path, &[], b"")?.ok(&path)?.json()?;
        all.extend(page["objects"].as_array().cloned().with_context(|| format!("no objects in {page}"))?);
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(all) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |seconds, text: &str| assert_eq!(hours(SignedDuration::from_secs(seconds)), text);
        check(20, "20 s");
        check(720, "12 min");
        check(3 * 3600, "3 h");
        check(3 * 3600 + 720, "3 h 12 min");
        assert_eq!(clock(SignedDuration::from_secs(3 * 3600 + 720)), "+03h12m");
        assert_eq!(clock(SignedDuration::from_secs(-1)), "+00h00m");
    }
}
