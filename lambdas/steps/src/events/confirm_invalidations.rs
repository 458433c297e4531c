//! ConfirmInvalidations: polls CloudFront for the invalidations of objects that an event published, so that their status
//! says so before the next look of their execution.

use std::collections::BTreeSet;
use std::time::Duration;

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
        if is_unknown || !left.is_empty() && !is_followed(&message.again(left), queue, dead_letters).await {
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

/// Sends the next message. Answers whether that succeeded.
async fn is_followed(next: &Confirmation, queue: &impl SendConfirmations, dead_letters: &impl DeadLetters) -> bool {
    let sent = match next.delay() {
        Some(delay) => queue.send_confirmation(next, delay).await,
        None => put_aside(next, dead_letters).await,
    };
    sent.inspect_err(|error| warn!("a message comes again: {error}")).is_ok()
}

async fn put_aside(message: &Confirmation, dead_letters: &impl DeadLetters) -> Result<(), crate::ports::PortError> {
    let text = serde_json::to_string(message).unwrap_or_default();
    warn!("CloudFront has not completed {} batches for a day", message.batches.len());
    dead_letters.put_aside(&text, "CloudFront has not completed these batches for a day").await
}

/// Asks for the first poll of these batches, after CloudFront has had time for them.
pub async fn ask_later(batches: BTreeSet<BatchId>, queue: &impl SendConfirmations) -> Result<(), StepError> {
    if batches.is_empty() {
        return Ok(());
    }
    let first = Confirmation::first(batches);
    Ok(queue.send_confirmation(&first, first.delay().unwrap_or(Duration::ZERO)).await?)
}
