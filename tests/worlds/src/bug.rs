//! Known bugs, put back in on purpose: what other projects got wrong, and what thaw would do if it did so too.
//!
//! Each is a switch between a function and the services (or in the workflow), so that nothing of it is in what is
//! deployed. A suite that does not find them all proves nothing.

use thaw_core::{Facts, ObjectId, RestoreAnswer, Row, State, Tier, Trouble};
use thaw_steps::Step;
use thaw_steps::ports::{Invalidation, PortError};

use crate::wire::Wire;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// GetInvalidation is never asked: an invalidation counts as done when it is made.
    CompletedUnasked,
}

/// What the bug makes of S3's description of an object.
pub fn head(_bug: Option<Bug>, _step: Step, facts: Facts) -> Facts {
    facts
}

/// What the bug makes of a restore.
pub fn restore(
    _bug: Option<Bug>,
    _wire: &Wire,
    _object: &ObjectId,
    days: Option<u32>,
    tier: Tier,
) -> (Option<u32>, Tier) {
    (days, tier)
}

/// What the bug makes of S3's answer.
pub fn answer(_bug: Option<Bug>, answer: RestoreAnswer) -> Result<RestoreAnswer, PortError> {
    Ok(answer)
}

/// What the bug makes of a caller reference.
pub fn reference(_bug: Option<Bug>, _wire: &Wire, reference: &str) -> String {
    reference.to_owned()
}

/// What the bug makes of CloudFront's answer.
pub fn invalidation(_bug: Option<Bug>, made: Result<Invalidation, PortError>) -> Result<Invalidation, PortError> {
    made
}

/// What the bug makes of the rows of an object.
pub fn rows(_bug: Option<Bug>, _step: Step, rows: Vec<Row>) -> Vec<Row> {
    let _ = (State::Planned, Trouble::Throttled);
    rows
}
