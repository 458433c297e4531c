//! The HTTP API: one file per function, for one or several routes.

use thaw_core::Problem;

use crate::StepError;
use crate::ledger::restores::RestoreRecord;
use crate::ports::Ledger;

pub mod adopt;
pub mod cancel_restore;
pub mod create_plan;
pub mod create_restore;
pub mod get_distributions;
pub mod get_paths;
pub mod get_restores;
pub mod http;
#[cfg(feature = "openapi")]
pub mod openapi;

/// The restore that the path names.
async fn named_restore(request: &http::Request, ledger: &impl Ledger) -> Result<RestoreRecord, StepError> {
    let id = request.restore_id()?;
    let found = ledger.get(&RestoreRecord::key_of(&id)).await?;
    found.ok_or_else(|| Problem::no_such_restore(id.as_str()).into())
}
