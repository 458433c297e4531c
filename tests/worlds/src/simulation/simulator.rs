//! The state of a running simulation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::Value;
use thaw_core::{PathRules, Usd};
use thaw_steps::{CurrentVersions, Settings};

use super::fault_injector::FaultInjector;
use super::queue::Queue;
use super::stale_reads::RecentWrites;
use crate::deployment::{Deployment, EventSourceMapping};
use crate::environment::{BUCKET, Environment, QueueName, WORK_BUCKET};
use crate::known_bug::{self, KnownBug};
use crate::promises::Checker;
use crate::runtime::Signal;
use crate::workflow::Workflow;
use crate::world::{KillReason, STAGING, World};

/// The parameter `DistributionIds`.
fn named_distributions(world: &World) -> Vec<String> {
    let named = world.distributions().into_iter().map(|distribution| distribution.id);
    named.filter(|id| world.names_distributions && *id != STAGING).map(str::to_owned).collect()
}

/// What thaw is told of the functions of the distributions.
fn path_rules(world: &World) -> PathRules {
    let rules = known_bug::path_rules(world.known_bug, world.path_rules());
    PathRules::new(world.directory_index, &rules).unwrap_or_else(|error| panic!("{error}"))
}

/// A running simulation.
pub(super) struct Simulator {
    pub env: Environment,
    pub checker: RefCell<Checker>,
    pub deployment: Rc<Deployment>,
    pub workflow: Rc<Workflow>,
    pub settings: Settings,
    pub faults: FaultInjector,
    pub execution_controls: RefCell<BTreeMap<String, ExecutionControl>>,
    pub spawn_execution: SpawnExecution,
    /// What warm and idle functions of OnRestoreCompleted keep in memory.
    pub warm_functions: RefCell<Vec<CurrentVersions>>,
    pub recent_writes: RefCell<RecentWrites>,
    /// By job of S3 Batch Operations, how many of its tasks were observed.
    pub observed_tasks: RefCell<BTreeMap<String, usize>>,
    pub expedited_unavailable_until: Cell<Timestamp>,
    restore_initiated: Queue,
    restore_completed: Queue,
    confirm_invalidations: Queue,
}

/// Starts the task that runs an execution, with its name and its input. The ports start executions, and executions invoke
/// functions, which use the ports; as a function pointer it keeps these files free of a circle.
pub(super) type SpawnExecution = fn(Rc<Simulator>, String, Value);

/// How to end an execution from outside.
pub(super) struct ExecutionControl {
    pub stop: Rc<Signal>,
    /// Why it is stopped, if a fault kills it.
    pub kill_reason: Rc<Cell<Option<KillReason>>>,
    /// The number of the execution in the simulation, from 0.
    pub nth: u32,
    pub states_entered: Cell<u32>,
}

impl Simulator {
    pub(super) fn new(
        world: &World,
        workflow: &Rc<Workflow>,
        deployment: &Rc<Deployment>,
        spawn_execution: SpawnExecution,
        with_timeline: bool,
    ) -> Self {
        Self {
            env: Environment::new(world, with_timeline),
            checker: RefCell::default(),
            deployment: Rc::clone(deployment),
            workflow: Rc::clone(workflow),
            settings: Settings {
                archive_buckets: vec![BUCKET.to_owned()],
                distribution_ids: named_distributions(world),
                path_rules: path_rules(world),
                objects_per_chunk: world.objects_per_chunk,
                // Restores of more objects than a chunk has are large.
                collect_over: world.objects_per_chunk as u64,
                objects_per_job: world.batch_operations.objects_per_job,
                work_bucket: WORK_BUCKET.to_owned(),
                ..Settings::default()
            },
            faults: FaultInjector::default(),
            execution_controls: RefCell::default(),
            spawn_execution,
            warm_functions: RefCell::default(),
            recent_writes: RefCell::default(),
            observed_tasks: RefCell::default(),
            expedited_unavailable_until: Cell::new(Timestamp::MIN),
            restore_initiated: Queue::default(),
            restore_completed: Queue::default(),
            confirm_invalidations: Queue::default(),
        }
    }

    pub(super) fn has_bug(&self, bug: KnownBug) -> bool {
        self.env.world.known_bug == Some(bug)
    }

    /// The daily limit for joined restores.
    pub(super) fn joined_max_cost(&self) -> Option<Usd> {
        let is_unlimited = self.has_bug(KnownBug::JoinedWithoutLimit);
        self.env.world.joined_max_cost_usd.filter(|_| !is_unlimited).and_then(Usd::from_f64)
    }

    pub(super) fn queue(&self, name: QueueName) -> &Queue {
        match name {
            QueueName::RestoreInitiated => &self.restore_initiated,
            QueueName::RestoreCompleted => &self.restore_completed,
            QueueName::ConfirmInvalidations => &self.confirm_invalidations,
        }
    }

    pub(super) fn event_source(&self, name: QueueName) -> &EventSourceMapping {
        match name {
            QueueName::RestoreInitiated => &self.deployment.restore_initiated,
            QueueName::RestoreCompleted => &self.deployment.restore_completed,
            QueueName::ConfirmInvalidations => &self.deployment.confirm_invalidations,
        }
    }
}
