//! Invalidate: make readable objects visible.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::ledger;
use crate::ports::{CreateInvalidations, Ledger, ReadArchive, ReadDistributions, WorkFiles};
use crate::publishing::{Wanted, publish};
use crate::{Settings, StepError, plan};

/// An invalidation is complete within 25 seconds in 95 of 100 cases (AWS, What's New, April 2026).
const EDGES_TAKE: u64 = 25;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Seconds until CloudFront is asked whether it is done.
    pub wait_seconds: u64,
}

/// Publishes what can be published.
///
/// Fails with `Throttled`, `TooManyInvalidationsInProgress` or `Unavailable` when CloudFront says so: what was begun is
/// in the ledger, and the next run goes on from there.
pub async fn run(
    input: Input,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let rows = ledger::rows(ledger, files, &record).await?;
    let mut wanted = Wanted { looks: Some(&record.id), ..Wanted::default() };
    for row in rows.iter().filter(|row| row.is_to_publish(&rows, now)) {
        match row.state.claim() {
            Some(batch) => wanted.begun.entry(batch.clone()).or_default().insert(row.object.clone()),
            None => wanted.objects.insert(row.object.clone()),
        };
    }
    let published = publish(wanted, cdn, archive, ledger, settings, now).await?;
    let says = format!("{} invalidations of {} paths are with CloudFront.", published.invalidations, published.paths);
    info!(restore = %record.id, "{says}");
    Ok(Output { says, wait_seconds: EDGES_TAKE })
}
