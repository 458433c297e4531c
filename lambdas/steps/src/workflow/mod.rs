//! The state machine's functions: one file per state.

use serde_json::Value;
use thaw_core::{Problem, RestoreId};

use crate::StepError;

pub mod check_invalidations;
pub mod check_jobs;
pub mod check_restores;
mod counting;
pub mod create_jobs;
pub mod invalidate;
pub mod plan;
pub mod report;
pub mod report_failure;
pub mod start_restores;

/// Objects that one call looks at before it leaves the rest to the next: some minutes of its fifteen.
pub(crate) const OBJECTS_PER_CALL: u64 = 1_000_000;

/// Seconds until the first look after a failure. A function that was asking S3 when another one failed may go on for as
/// long as Lambda allows (the longest `Timeout` in the template).
const LONGEST_FUNCTION_SECONDS: u64 = 900;

/// The restore's id, which is the execution's name. An execution that is started by hand may have any name.
fn restore_id(name: String) -> Result<RestoreId, StepError> {
    RestoreId::try_from(name).map_err(|error| {
        let name = Value::from(error.to_string());
        Problem::field("name", &name, "is not an execution name thaw can use. Start the execution with a name of 1 to 80 of the characters 0-9 A-Z a-z _ -.").into()
    })
}
