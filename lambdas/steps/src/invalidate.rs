//! Invalidate: make readable objects visible.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::check_restores::total;
use crate::chunks::{self, Known};
use crate::ledger;
use crate::ports::{CreateInvalidations, Ledger, ReadArchive, ReadDistributions, WorkFiles};
use crate::publishing::{Wanted, publish};
use crate::{Settings, StepError, plan};

/// An invalidation is complete within 25 seconds in 95 of 100 cases (AWS, What's New, April 2026).
const EDGES_TAKE: u64 = 25;

/// Objects that one call publishes: at CloudFront's 150 paths a second it takes two minutes.
pub(crate) const OBJECTS_PER_CALL: usize = 20_000;

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
    let all = chunks::records(ledger, &record).await?;
    let on_their_way = total(&all).on_their_way() > 0;
    let mut wanted = Wanted::default();
    for known in &all {
        // What is left is seen by the next look.
        if wanted.objects.len() >= OBJECTS_PER_CALL {
            break;
        }
        for Known { row, .. } in chunks::readable_objects(ledger, files, &record, known).await? {
            let room = wanted.objects.len() < OBJECTS_PER_CALL;
            match row.state.claim() {
                // Also of a restore that would rather wait for its other objects: whoever began it may have died.
                Some(batch) => {
                    wanted.begun.entry(batch.clone()).or_default().insert(row.object);
                }
                None if room && row.is_to_publish(on_their_way, now) => {
                    wanted.objects.insert(row.object, Vec::new());
                }
                None => {}
            }
        }
    }
    let published = publish(wanted, cdn, archive, ledger, settings, now).await?;
    let says = format!("{} invalidations of {} paths are with CloudFront.", published.invalidations, published.paths);
    info!(restore = %record.id, "{says}");
    Ok(Output { says, wait_seconds: EDGES_TAKE })
}
