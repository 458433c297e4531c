//! thaw's promises as checks. They run at every write, at every call that costs money, when an execution ends, and at the
//! end of a simulation. The truth comes from the model of S3 and CloudFront, and never from thaw.
//!
//! | file | promises |
//! |---|---|
//! | `spending` | nothing is requested unplanned, too expensively, twice or after a cancel |
//! | `invalidations` | no archived object is invalidated, and no path is paid twice for one copy |
//! | `visibility` | what is published is visible to viewers |
//! | `status` | a status claims no more than is true, and an execution ends only when its restore is settled |
//! | `outcome` | at the end every object is settled, and what S3 restored is published |
//! | `ledger` | rows and batches change only in legal ways, and their claims are checked when they are written; what an event published is confirmed within a minute |
//! | `requests` | a request gets the right response, and its plan has every object of its prefix exactly once |
//!
//! `ledger_model`, `ledger_reader` and `object_history` are what the checks know.

mod invalidations;
mod ledger;
mod ledger_model;
mod ledger_reader;
mod object_history;
mod outcome;
mod requests;
mod spending;
mod status;
mod visibility;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use thaw_core::{Confirmation, RestoreAnswer, RestoreId};
use thaw_steps::Step;

use self::ledger_model::{LedgerModel, RowId};
pub(crate) use self::ledger_reader::is_recorded_as_running;
use self::object_history::ObjectHistory;
use crate::coverage::Coverage;
use crate::environment::Environment;
use crate::workflow::{StateEvent, StateEventKind};
use crate::world::{CallFaultKind, EventFaultKind, InvocationFaultKind};

/// thaw's knowledge of an object may be so old when it creates an invalidation, because others can change the object
/// between the poll and the call.
const MAX_STALENESS: SignedDuration = SignedDuration::from_mins(15);

/// A status may be so far behind CloudFront for what an event published.
const MAX_CONFIRMATION: SignedDuration = SignedDuration::from_mins(1);

/// Violations beyond these are not recorded.
const MAX_VIOLATIONS: usize = 5;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// How it was broken.
    pub details: String,
}

/// Checks the promises. It is told everything that happens in a simulation.
#[derive(Default)]
pub(crate) struct Checker {
    pub violations: Vec<Violation>,
    pub coverage: Coverage,
    /// What happened to the objects in S3.
    pub objects: ObjectHistory,
    ledger: LedgerModel,
    /// When each row was first known to be requested from S3.
    requested_at: BTreeMap<RowId, Timestamp>,
    /// S3's responses to the requests of a restore for a key.
    s3_answers: BTreeMap<(String, String), Vec<RestoreAnswer>>,
    /// For which copies of a key a path was paid.
    paid_copies: BTreeMap<(String, String), Vec<Timestamp>>,
    /// The restores whose plans were checked.
    checked_plans: BTreeSet<RestoreId>,
    /// By restore, the states that failed with an error that no retry removes.
    failed_states: BTreeMap<String, Vec<Step>>,
    /// The restores whose executions were killed.
    killed_restores: BTreeSet<String>,
    has_lost_events: bool,
    /// The caller references of the invalidations that an event caused.
    published_by_events: BTreeSet<String>,
}

impl Checker {
    fn violate(&mut self, promise: &'static str, details: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { promise, details });
        }
    }

    /// Counts an event for the coverage.
    pub(crate) fn cover(&mut self, event: impl Into<String>) {
        *self.coverage.entry(event.into()).or_default() += 1;
    }

    pub(crate) fn call_fault_injected(&mut self, step: Step, fault: CallFaultKind) {
        self.cover(format!("fault {fault:?}"));
        self.cover(format!("fault in {step:?}"));
    }

    pub(crate) fn invocation_fault_injected(&mut self, fault: InvocationFaultKind) {
        self.cover(format!("invocation {fault:?}"));
    }

    pub(crate) fn event_sent(&mut self, fault: Option<EventFaultKind>) {
        let delivery = match fault {
            None => "delivered",
            Some(EventFaultKind::Lost) => {
                self.has_lost_events = true;
                "lost"
            }
            Some(EventFaultKind::Delayed(_)) => "delayed",
            Some(EventFaultKind::Duplicated(_)) => "duplicated",
        };
        self.cover(format!("event {delivery}"));
    }

    pub(crate) fn confirmation_sent(&mut self, fault: Option<EventFaultKind>) {
        let delivery = match fault {
            None => "delivered",
            Some(EventFaultKind::Lost) => "lost",
            Some(EventFaultKind::Delayed(_)) => "delayed",
            Some(EventFaultKind::Duplicated(_)) => "duplicated",
        };
        self.cover(format!("confirmation {delivery}"));
    }

    /// Whether all restores of these batches run, so that a look will poll CloudFront for them.
    pub(crate) fn has_a_look_left(&self, env: &Environment, message: &Confirmation) -> bool {
        message.batches.iter().all(|id| {
            let batch = self.ledger.batches.get(id.as_str()).map(|(batch, _)| batch);
            let mut restores = batch.into_iter().flat_map(|batch| &batch.candidates).flat_map(|one| &one.restores);
            restores.all(|restore| is_recorded_as_running(env, restore.as_str()))
        })
    }

    /// CloudFront took a call with this caller reference from an event's function.
    pub(crate) fn published_by_event(&mut self, caller_reference: &str) {
        self.published_by_events.insert(caller_reference.to_owned());
    }

    pub(crate) fn state_event(&mut self, state: &str, event: &StateEvent<'_>) {
        match event.kind {
            StateEventKind::Entered => self.cover(format!("state {state}")),
            StateEventKind::Retried { error, .. } => self.cover(format!("retry {error}")),
            StateEventKind::Caught { error, .. } => self.cover(format!("catch {error}")),
        }
    }

    /// A state of a restore's execution failed with an error that no retry removes.
    pub(crate) fn state_failed(&mut self, step: Step, restore: Option<&str>) {
        if let Some(restore) = restore {
            self.failed_states.entry(restore.to_owned()).or_default().push(step);
        }
    }

    /// Whether a restore's execution may end before it did all that it could: it was killed, its report failed, or more
    /// states failed than it can go on after.
    fn may_be_unfinished(&self, restore: &str) -> bool {
        let failed = self.failed_states.get(restore).map_or(&[][..], Vec::as_slice);
        self.killed_restores.contains(restore) || failed.len() > 1 || failed.contains(&Step::ReportFailure)
    }
}
