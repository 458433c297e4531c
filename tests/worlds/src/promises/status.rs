//! Promises about what thaw says of a restore while it runs and when its execution ends.

use jiff::SignedDuration;
use serde_json::{Value, json};
use thaw_core::{Counts, Row, State, Status};
use thaw_sim::model::{ObjectRef, RestoreState};
use thaw_steps::Step;
use thaw_steps::api::get_restores;

use super::ledger_model::row_id;
use super::ledger_reader::{is_recorded_as_running, restore_record};
use super::{Checker, MAX_STALENESS};
use crate::environment::{BUCKET, Environment, ExecutionEnd};
use crate::runtime::{add, block_on};

/// The history events that an execution may have: a tenth of Step Functions' limit (25,000).
const MAX_HISTORY_EVENTS: u64 = 2_500;

impl Checker {
    /// An execution ended.
    pub(crate) fn execution_ended(&mut self, env: &Environment, id: &str, end: &ExecutionEnd, history_events: u64) {
        if history_events > MAX_HISTORY_EVENTS {
            self.violate("an execution's history stays short", format!("{id} wrote {history_events} events"));
        }
        let status = restore_record(env, id).map(|record| record.status);
        match end {
            ExecutionEnd::Stopped => self.cover("execution stopped"),
            ExecutionEnd::Killed(reason) => {
                self.cover(format!("execution killed {reason:?}"));
                self.killed_restores.insert(id.to_owned());
            }
            ExecutionEnd::Succeeded => {
                self.cover("execution succeeded");
                if status != Some(Status::Succeeded) {
                    let details = format!("{id} succeeded, and its status is {status:?}");
                    self.violate("a status never says more than is known", details);
                }
                self.check_viewers_see(env, id);
            }
            ExecutionEnd::Failed { error, cause } => self.check_failed_execution(env, id, status, error, cause),
        }
        self.check_counts(env, id);
    }

    fn check_failed_execution(
        &mut self,
        env: &Environment,
        id: &str,
        status: Option<Status>,
        error: &str,
        cause: &str,
    ) {
        self.cover(format!("execution failed {error}"));
        if !matches!(error, "SomeObjectsFailed" | "ObjectsFailed" | "InvalidRequest")
            && !self.failed_states.contains_key(id)
        {
            let details = format!("{id} gave up with {error}: {cause}");
            self.violate("a restore goes on until all is settled", details);
        }
        let is_empty = cause.contains("No object that the request means");
        if let Some(record) = restore_record(env, id).filter(|_| is_empty) {
            self.check_prefix(env, &record, &[]);
        }
        if cause.trim().is_empty() {
            self.violate("a failed execution has a cause", format!("{id} ended with {error}"));
        }
        // If the report itself failed, CheckExecutions writes the status later.
        let has_report_failed = self.failed_states.get(id).is_some_and(|steps| steps.contains(&Step::Report));
        let is_reported_already = has_report_failed && status == Some(Status::Succeeded);
        let is_final = !self.may_be_unfinished(id) && !is_reported_already;
        let is_failure = matches!(status, Some(Status::Failed | Status::PartlyFailed | Status::Cancelled) | None);
        if is_final && !is_failure {
            let details = format!("{id} failed, and its status is {status:?}");
            self.violate("a status never says more than is known", details);
        }
    }

    /// Checks an object that is said to be readable.
    pub(super) fn check_readable(&mut self, env: &Environment, row: &Row) {
        if self.objects.is_version_changed(&row.object.key, row.object.version.as_deref()) {
            return;
        }
        let object = ObjectRef::version(BUCKET, &row.object.key, row.object.version.as_deref());
        let is_readable = env.aws.with(|sim, now| sim.head_uncounted(&object, now)).is_ok_and(|head| head.readable);
        if !is_readable {
            let details = format!("{} of {} is said to be readable", row.object, row.restore);
            self.violate("a status never says more than is known", details);
        }
    }

    /// Checks an object whose retrieval is said to have timed out.
    pub(super) fn check_timed_out(&mut self, env: &Environment, old: Option<&Row>, row: &Row) {
        let known = match old.map(|old| &old.state) {
            Some(State::Planned) => self.ledger.accepted.get(&row_id(row)),
            other => other,
        };
        let is_deadline_over = match known {
            Some(State::Restoring { since, tier, .. }) => {
                let deadline = row.kind.and_then(|kind| kind.window(*tier)).map(thaw_core::Window::deadline);
                // thaw counts whole seconds.
                let latest = add(env.now(), SignedDuration::from_secs(1));
                deadline.is_some_and(|deadline| *since + deadline <= latest)
            }
            _ => false,
        };
        let object = ObjectRef::version(BUCKET, &row.object.key, row.object.version.as_deref());
        let readable = env.aws.with(|sim, now| sim.head_uncounted(&object, add(now, -MAX_STALENESS)));
        let readable = readable.is_ok_and(|head| head.readable);
        if !is_deadline_over || readable {
            let details = format!("{} of {} was given up, {old:?}, readable: {readable}", row.object, row.restore);
            self.violate("an object that S3 restored is published", details);
        }
    }

    /// Checks that S3 does not fetch the archived neighbour for which an object fails, if its restore runs and its copy lives
    /// long enough to wait. An object of a batch does not wait.
    pub(super) fn check_neighbour(&mut self, env: &Environment, old: Option<&Row>, row: &Row, message: &str) {
        let now = env.now();
        let is_running = is_recorded_as_running(env, row.restore.as_str());
        let object = ObjectRef::version(BUCKET, &row.object.key, row.object.version.as_deref());
        let head = env.aws.with(|sim, now| sim.head_uncounted(&object, now));
        let may_wait = match head.map(|head| head.restore) {
            Ok(RestoreState::Copy { expires }) => expires > add(now, SignedDuration::from_hours(12) + MAX_STALENESS),
            Ok(RestoreState::None) => true,
            Ok(RestoreState::Ongoing { .. }) | Err(_) => false,
        };
        let is_new = match old.map(|old| &old.state) {
            Some(State::Restored { claim: Some(_), .. }) => false,
            Some(State::Restored { at, .. }) => now < add(*at, SignedDuration::from_hours(7 * 24 - 12)),
            _ => true,
        };
        if !is_running || !may_wait || !is_new {
            return;
        }
        for neighbour in env.world.objects.iter().filter(|object| !object.head_fails) {
            let Some(key) = env.world.full_key(neighbour.id) else { continue };
            if !message.contains(&format!(" {key}, which would then")) {
                continue;
            }
            let head = env.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::version(BUCKET, &key, None), now));
            let Ok(head) = head else { continue };
            let since = self.objects.retrieval_start(&key, head.version.as_deref());
            let is_on_its_way = matches!(head.restore, RestoreState::Ongoing { .. });
            if is_on_its_way && since.is_some_and(|since| since < add(now, -MAX_STALENESS)) {
                let details = format!("{} of {} failed for {key}, which S3 fetches", row.object, row.restore);
                self.violate("an object does not fail for a neighbour that is on its way", details);
            }
        }
    }

    /// Checks that the counts of `GET /v1/restores/{id}` are those of the ledger.
    pub(super) fn check_counts(&mut self, env: &Environment, id: &str) {
        let request = json!({"routeKey": "GET /v1/restores/{id}", "pathParameters": {"id": id}});
        let Ok(request) = serde_json::from_value(request) else { return };
        let response = block_on(get_restores::run(&request, &env.ledger, &env.work_files));
        let body: Value = serde_json::from_str(&response.body).unwrap_or_default();
        if response.status_code == 404 {
            return;
        }
        let Some(record) = restore_record(env, id) else { return };
        let counts = serde_json::to_value(Counts::of(&self.ledger.rows_of(env, &record))).unwrap_or_default();
        // The API shows the open rows of a cancelled restore as cancelled before they are.
        let is_comparable = record.plan.is_some() && body["status"] != "cancelled";
        if response.status_code != 200 || (is_comparable && body["counts"] != counts) {
            let details = format!("{id} says {}, and the ledger {counts}", body["counts"]);
            self.violate("the counts of a status are those of the ledger", details);
        }
    }
}
