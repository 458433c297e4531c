//! ConfirmInvalidations: polls CloudFront for the invalidations of objects that an event published, so that their status
//! says so before the next look of their execution.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Batch, BatchId, Confirmation};
use tracing::{info, warn};

use crate::StepError;
use crate::events::queue::{QueueBatch, QueueResponse};
use crate::ledger::rows::batch_key;
use crate::ports::{DeadLetters, Ledger, ReadInvalidations, SendConfirmations};
use crate::publishing::batches::confirmed;

/// Batches that are polled at once. Each is a call of CloudFront or two.
const POLLED_AT_ONCE: usize = 8;

/// Polls the batches of these messages. A message about batches that are still in progress is followed by another, about
/// these only. After a day it becomes a dead letter: CloudFront has never taken so long.
///
/// Running restores do not depend on it, because their next look polls CloudFront as well. Polling twice is fine.
pub async fn run(
    batch: QueueBatch,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    queue: &impl SendConfirmations,
    dead_letters: &impl DeadLetters,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (messages, mut failing) = batch.confirmations(dead_letters).await;
    // Several messages may be about one batch: it is polled once.
    let batches: BTreeSet<BatchId> = messages.iter().flat_map(|(_, message)| message.batches.clone()).collect();
    let polled: Vec<(BatchId, Result<bool, StepError>)> = stream::iter(batches)
        .map(|id| async {
            let is_open = is_in_progress(&id, cdn, ledger, now).await;
            (id, is_open)
        })
        .buffer_unordered(POLLED_AT_ONCE)
        .collect()
        .await;
    let (mut open, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for (id, result) in polled {
        match result {
            Ok(true) => drop(open.insert(id)),
            Ok(false) => {}
            Err(error) => {
                warn!(batch = id.as_str(), "{error}");
                unknown.insert(id);
            }
        }
    }
    info!("CloudFront is not done with {} batches, and did not answer for {}", open.len(), unknown.len());
    for (id, message) in messages {
        // The whole message comes again. What CloudFront has completed by now is not polled again.
        let is_unknown = !message.batches.is_disjoint(&unknown);
        let left: BTreeSet<BatchId> = message.batches.intersection(&open).cloned().collect();
        if is_unknown {
            failing.insert(id);
        } else if !left.is_empty()
            && let Err(error) = follow(&message.again(left), queue, dead_letters).await
        {
            warn!("a message comes again: {error}");
            failing.insert(id);
        }
    }
    Ok(QueueResponse::failing(failing))
}

/// Whether CloudFront is not done with a batch. A batch that is not in the ledger has expired there.
async fn is_in_progress(
    id: &BatchId,
    cdn: &impl ReadInvalidations,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<bool, StepError> {
    let Some(batch) = ledger.get::<Batch>(&batch_key(id)).await? else { return Ok(false) };
    Ok(!batch.is_completed() && !confirmed(batch, cdn, ledger, now).await?.is_completed())
}

/// Sends the next message; after a day, a dead letter.
async fn follow(
    next: &Confirmation,
    queue: &impl SendConfirmations,
    dead_letters: &impl DeadLetters,
) -> Result<(), StepError> {
    if let Some(delay) = next.delay() {
        return Ok(queue.send_confirmation(next, delay).await?);
    }
    let reason = "CloudFront has not completed these batches for a day";
    warn!(batches = next.batches.len(), "{reason}");
    Ok(dead_letters.put_aside(&serde_json::to_string(next)?, reason).await?)
}
