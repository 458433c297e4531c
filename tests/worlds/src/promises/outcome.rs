//! Promises about the end of a simulation: every execution has ended, every object is settled, and what S3 restored is
//! published.

use serde_json::Value;
use thaw_core::{FailureCode, RestoreAnswer, Row, State, Status, Tier};
use thaw_steps::Step;
use thaw_steps::ledger::restores::RestoreRecord;

use super::Checker;
use super::ledger_reader::restore_records;
use crate::environment::Environment;
use crate::world::CallFaultKind;

impl Checker {
    /// The simulation has ended.
    pub(crate) fn simulation_ended(&mut self, env: &Environment) {
        for (id, _) in env.executions.borrow().iter().filter(|(_, end)| end.is_none()) {
            self.violate("an execution ends", format!("{id} still runs"));
        }
        let records = restore_records(env);
        for record in &records {
            self.check_record(record);
            self.check_event(env, record);
            self.check_counts(env, record.id.as_str());
        }
        self.check_joined_cost(env, &records);
        // The rows of a dry run stay planned.
        for record in records.iter().filter(|record| !record.request.dry_run) {
            for row in self.ledger.rows_of(env, record) {
                self.check_final_row(env, &row, record);
            }
        }
        self.check_orphans(&records);
        for body in env.dead_letters.borrow().values().flatten() {
            if thaw_core::read_s3_events(body).is_ok() || thaw_core::Confirmation::read(body).is_ok() {
                self.violate("only unreadable messages become dead letters", body.clone());
            }
        }
    }

    fn check_record(&mut self, record: &RestoreRecord) {
        self.cover(format!("restore {}", record.status.as_str()));
        if record.status == Status::Running {
            let details = format!("{} is said to run, and does not", record.id);
            self.violate("a status never says more than is known", details);
        }
        let reason = record.says.as_deref().unwrap_or_default().trim_matches(['.', ' ']);
        if record.status == Status::Failed && reason.is_empty() {
            self.violate("a failed restore has a reason", record.id.to_string());
        }
    }

    /// Checks that an event reported the end of a restore.
    fn check_event(&mut self, env: &Environment, record: &RestoreRecord) {
        let has_ended = matches!(record.status, Status::Succeeded | Status::PartlyFailed | Status::Failed);
        let reports = |(name, detail): &(String, Value)| {
            matches!(name.as_str(), "Restore Completed" | "Restore Failed") && detail["id"] == record.id.as_str()
        };
        let is_started = env.executions.borrow().contains_key(record.id.as_str());
        // An execution that is killed after it wrote the final status sends no event. Nor does one whose API call could not
        // tell whether it was started, and answered that it was not.
        let is_killed = self.killed_restores.contains(record.id.as_str());
        // Report's words count the objects; those of CheckExecutions, which sends an event, begin with what was the matter.
        let is_by_report = record.status != Status::Failed || record.says.iter().any(|says| says.starts_with("Of "));
        let may_lack_event = is_killed && (record.plan.is_none() || is_by_report);
        // Nor can it be sent if a service refuses Report for good after the status was written, and then ReportFailure. The
        // execution ends red.
        let is_refused = |step: Step| {
            let mut faults = env.world.call_faults.iter();
            faults.any(|fault| (fault.step, fault.kind) == (step, CallFaultKind::PermanentError))
        };
        // Nor if the API gave the restore up, and its execution ran all the same into a failure: the API answered, and
        // CheckExecutions takes no interest in what has ended.
        let is_given_up = record.says.iter().any(|says| says.starts_with("It could not be started"));
        let may_lack_event =
            may_lack_event || (is_refused(Step::Report) || is_given_up) && is_refused(Step::ReportFailure);
        let is_expected = has_ended && is_started && !may_lack_event && !record.request.dry_run;
        if is_expected && !env.events.events().iter().any(reports) {
            self.violate(
                "an event reports how a restore ended",
                format!("{} is {:?}: {:?}", record.id, record.status, record.says),
            );
        }
    }

    /// Checks that every row has a restore with a plan.
    fn check_orphans(&mut self, records: &[RestoreRecord]) {
        let has_restore = |row: &Row| records.iter().any(|record| record.id == row.restore && record.plan.is_some());
        let orphans: Vec<Row> = self.ledger.rows.values().filter(|row| !has_restore(row)).cloned().collect();
        for row in orphans {
            self.violate("a row belongs to a restore", format!("{} of {} has no restore", row.object, row.restore));
        }
    }

    fn check_final_row(&mut self, env: &Environment, row: &Row, record: &RestoreRecord) {
        let restore = record.id.as_str();
        let is_cancelled = record.status == Status::Cancelled;
        let may_be_unfinished = self.may_be_unfinished(restore);
        let is_unchanged = !self.objects.is_changed(&row.object.key);
        let details = || format!("{} of {} ended as {:?}", row.object, row.restore, row.state);
        match &row.state {
            State::Planned if self.may_stay_planned(row, restore) => {}
            State::Planned | State::Restoring { .. } if !is_cancelled && !may_be_unfinished => {
                self.violate("an execution settles every object", details());
            }
            State::Planned | State::Restoring { .. } | State::Available | State::Published { .. } => {}
            State::Restored { claim, .. } => {
                // A batch that had claimed the row of a cancelled restore leaves it to the other restores of the object.
                let is_left_to_others = is_cancelled && claim.is_some();
                if !row.publish.never() && !is_left_to_others && !may_be_unfinished {
                    self.violate("an object that S3 restored is published", details());
                }
            }
            State::Cancelled { .. } => {
                // A restore that the API gave up before its plan was written counts as cancelled too.
                if !is_cancelled && record.plan.is_some() {
                    self.violate("only a cancelled restore has cancelled objects", details());
                }
            }
            State::Failed { code, .. } => {
                if is_unchanged && !self.is_true_failure(env, row, *code, record) {
                    self.violate("an object that S3 restored is published", details());
                }
            }
        }
    }

    /// Whether an object may stay planned: a state of its execution failed, and S3 was not asked for the object. The same
    /// holds if a job asked for it and others changed the object, which ends S3's restore.
    fn may_stay_planned(&self, row: &Row, restore: &str) -> bool {
        let answers = self.s3_answers.get(&(restore.to_owned(), row.object.key.clone()));
        let is_accepted = answers.is_some_and(|answers| answers.contains(&RestoreAnswer::Accepted));
        let is_unchanged = !self.objects.is_changed(&row.object.key);
        self.failed_states.contains_key(restore) && !(is_accepted && is_unchanged)
    }

    /// Whether an object that nobody else changed could really not be restored or published.
    fn is_true_failure(&self, env: &Environment, row: &Row, code: FailureCode, record: &RestoreRecord) -> bool {
        let key = &row.object.key;
        match code {
            FailureCode::NoSuchKey
            | FailureCode::NoSuchVersion
            | FailureCode::DeleteMarker
            | FailureCode::AccessDenied
            | FailureCode::RefusedByS3
            | FailureCode::Unreadable
            | FailureCode::RefusedByCloudFront
            // No world has tenants.
            | FailureCode::ShownByTenantsOnly => false,
            FailureCode::TierNotOffered => row.kind.is_some_and(|kind| kind.window(record.request.tier).is_none()),
            FailureCode::ExpeditedNotAvailable => record.request.tier == Tier::Expedited,
            // The restore of another tool that was to be joined was over when this one was planned.
            // Of a restore that only publishes, the copy may have had a moment to live.
            FailureCode::NotBeingRestored => {
                (record.request.join_only && row.revision == 0) || record.request.publish_only
            }
            FailureCode::NotReadable => record.request.publish_only && row.revision == 0,
            FailureCode::PathCannotBeInvalidated => key.contains('~'),
            FailureCode::HeadRefused => {
                let mut failing = env.world.objects.iter().filter(|object| object.head_fails);
                failing.any(|object| env.world.full_key(object.id).as_ref() == Some(key))
            }
            // The deadline was checked when the row was written. After that only an event can report the copy.
            FailureCode::RetrievalTimedOut => {
                let first_copy = self.objects.first_copy(key, row.object.version.as_deref());
                self.has_lost_events || first_copy.is_none_or(|ready_at| ready_at > env.now())
            }
        }
    }
}
