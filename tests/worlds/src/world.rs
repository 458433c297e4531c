//! A world: the configuration, the actions and the faults of one simulation, as data. A seed generates all of it.
//!
//! Every part can be removed on its own. That is how [`crate::shrink`] makes a failing world small.

mod actions;
mod configuration;
mod distributions;
mod faults;
mod generate;
mod objects;
mod serialize;
mod viewer_paths;

use serde::Serialize;
use thaw_sim::model::{QuotaAnswer, QuotaRegime};

pub use actions::{Action, ActionKind, RestoreRequest};
pub use distributions::{
    Behaviour, Distribution, Function, FunctionEvent, PRIMARY, Rewrite, Rule, SECOND, STAGING, Staging,
};
pub use faults::{
    CallFault, CallFaultKind, EventFault, EventFaultKind, ExecutionKill, InvocationFault, InvocationFaultKind,
    KillReason, Service, ServiceCall, ServiceOutage,
};
pub use objects::{Object, StorageTier};
use serialize::as_debug;

use crate::known_bug::KnownBug;

/// A world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct World {
    /// Also decides what is not written here, such as latencies.
    pub seed: u64,
    /// Whether the bucket keeps versions.
    pub versioned: bool,
    /// The origin path of the primary distribution. All objects lie under it.
    pub origin_path: &'static str,
    /// The index document of directories, or nothing.
    pub directory_index: &'static str,
    /// Whether the primary distribution caches a 403 for a month. Otherwise it does not cache it.
    pub caches_errors: bool,
    /// Whether the primary distribution caches a path apart for each query string.
    pub caches_by_query_string: bool,
    /// The function of the primary distribution, and of its staging distribution.
    pub function: Option<Function>,
    /// Whether the parameter `DistributionIds` names the distributions. The staging distribution is found all the same.
    pub names_distributions: bool,
    /// Another distribution of the bucket.
    pub second: Option<Distribution>,
    /// The staging distribution of the primary one.
    pub staging: Option<Staging>,
    /// Which of CloudFront's quotas apply.
    #[serde(serialize_with = "as_debug")]
    pub quota_regime: QuotaRegime,
    /// Whether the EventBridge rules for S3's events are disabled.
    pub event_rules_disabled: bool,
    /// Objects in a chunk.
    pub objects_per_chunk: usize,
    /// Keys on a page of a listing at most.
    pub keys_per_page: usize,
    /// How many of a hundred pages are empty although more follow.
    pub empty_page_percent: u32,
    /// How many pages one call of Plan has time for.
    pub pages_per_plan_call: u32,
    /// The behaviour of S3 Batch Operations.
    pub batch_operations: BatchOperations,
    /// The objects in the bucket.
    pub objects: Vec<Object>,
    /// What clients, operators and other tools do, in order.
    pub actions: Vec<Action>,
    /// CloudFront's error when a quota is used up.
    #[serde(serialize_with = "as_debug")]
    pub quota_answer: QuotaAnswer,
    /// The daily limit for joined restores in dollars, if there is one.
    pub joined_max_cost_usd: Option<f64>,
    /// Service calls that fail.
    pub call_faults: Vec<CallFault>,
    /// Lambda invocations that fail as a whole.
    pub invocation_faults: Vec<InvocationFault>,
    /// Executions that are killed.
    pub execution_kills: Vec<ExecutionKill>,
    /// Periods in which calls to a service fail.
    pub outages: Vec<ServiceOutage>,
    /// S3 events that are lost, late or duplicated.
    pub event_faults: Vec<EventFault>,
    /// Messages to ConfirmInvalidations that are lost, late or duplicated.
    pub confirmation_faults: Vec<EventFault>,
    /// A known bug to put back in.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_debug")]
    pub known_bug: Option<KnownBug>,
}

impl World {
    /// Whether nothing fails, is lost or comes late.
    pub(crate) fn is_without_faults(&self) -> bool {
        self.call_faults.is_empty()
            && self.invocation_faults.is_empty()
            && self.execution_kills.is_empty()
            && self.outages.is_empty()
            && self.event_faults.is_empty()
            && self.confirmation_faults.is_empty()
    }
}

/// The behaviour of S3 Batch Operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BatchOperations {
    /// Objects in a job at most.
    pub objects_per_job: u64,
    /// How long S3 prepares a job.
    pub prepare_seconds: u32,
    /// How long a job takes for one object.
    pub task_millis: u32,
    /// The job fails at so many of a hundred objects.
    pub job_failure_percent: u32,
    /// S3 is too busy for so many of a hundred objects.
    pub busy_percent: u32,
    /// S3 refuses so many of a hundred jobs.
    pub refused_percent: u32,
}
