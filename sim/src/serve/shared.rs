//! The model and the clock behind all servers.

use super::event_queues::EventQueues;
use crate::Clock;
use crate::model::Sim;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What all servers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) sim: Mutex<Sim>,
    pub(crate) clock: Clock,
    pub(crate) events: EventQueues,
    /// Rung when an event may have become due earlier than was thought.
    pub(crate) changed: Notify,
}

impl Shared {
    pub(crate) fn sim(&self) -> MutexGuard<'_, Sim> {
        // The model upholds nothing across calls that a panic in one could break.
        let mut sim = self.sim.lock().unwrap_or_else(PoisonError::into_inner);
        sim.run_jobs(self.clock.now());
        sim
    }
}
