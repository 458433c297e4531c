//! OnRestoreInitiated: somebody began restores in the bucket. Those that thaw did not begin, it joins.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{MAX_KEYS, ObjectId, RestoreId, Row, S3Event, S3EventKind, State, hash};
use tracing::{info, warn};

use crate::create_restore::start;
use crate::joining::join_only;
use crate::ledger::{peek_rows_of, rows_of};
use crate::ports::{DeadLetters, Ledger, StartExecutions, WorkFiles};
use crate::{IN_FLIGHT, QueueBatch, QueueResponse, Settings, StepError};

/// Joins the foreign restores of a batch of messages: one execution per bucket and batch, never one per object.
pub async fn run(
    batch: QueueBatch,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (events, mut failing) = batch.read(S3EventKind::Initiated, dead_letters, settings).await;
    let known: Vec<(&str, S3Event, Result<bool, StepError>)> = stream::iter(events)
        .map(|(message, event)| async move {
            let known = is_known(&event, ledger).await;
            (message, event, known)
        })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;

    // The objects of a bucket, and the messages that told of them.
    let mut foreign: BTreeMap<String, Foreign> = BTreeMap::new();
    for (message, event, known) in known {
        match known {
            Ok(true) => {}
            Ok(false) => {
                let entry = foreign.entry(event.object.bucket.clone()).or_default();
                entry.objects.insert(event.object);
                entry.messages.insert(message);
                entry.first = Some(entry.first.map_or(event.at, |first| first.min(event.at)));
            }
            Err(error) => {
                warn!(message_id = message, "{error}");
                failing.insert(message);
            }
        }
    }
    for (bucket, foreign) in foreign {
        if let Err(error) = join(&bucket, &foreign, ledger, files, executions, now).await {
            warn!("{error}");
            failing.extend(foreign.messages);
        }
    }
    Ok(QueueResponse::failing(failing))
}

#[derive(Default)]
struct Foreign<'a> {
    objects: BTreeSet<ObjectId>,
    messages: BTreeSet<&'a str>,
    first: Option<Timestamp>,
}

/// Whether a restore of thaw waits for the object, or has dealt with the very restore that the event tells of.
///
/// thaw writes its row before it asks S3, so its own restores are always known.
async fn is_known(event: &S3Event, ledger: &impl Ledger) -> Result<bool, StepError> {
    let is_known = |rows: &[Row]| rows.iter().any(|row| is_of(event, row));
    Ok(is_known(&peek_rows_of(&event.object, ledger).await?) || is_known(&rows_of(&event.object, ledger).await?))
}

fn is_of(event: &S3Event, row: &Row) -> bool {
    match &row.state {
        State::Planned | State::Restoring { .. } | State::Restored { .. } => true,
        // Settled by now: known if the event is older, because it came late, or twice.
        State::Available => event.at <= row.planned_at,
        State::Published { at, .. } | State::Failed { at, .. } | State::Cancelled { at } => event.at <= *at,
    }
}

async fn join(
    bucket: &str,
    foreign: &Foreign<'_>,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    now: Timestamp,
) -> Result<(), StepError> {
    let objects: Vec<&ObjectId> = foreign.objects.iter().collect();
    for objects in objects.chunks(MAX_KEYS) {
        let request = join_only(bucket, objects.iter().copied());
        // The same messages make the same restore, however often they come.
        let begun = foreign.first.unwrap_or(now);
        let seed = hash(&[&request.hash(), &begun.to_string()]);
        let id = RestoreId::new(begun, &request, &seed);
        start(&id, &request, begun, ledger, files, executions).await?;
        info!(restore = %id, objects = objects.len(), "joined restores of {} objects in {bucket} that others began", objects.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Stack, done, now, restored, row};
    use std::time::Duration;

    #[tokio::test]
    async fn a_restore_of_what_a_batch_has_published_is_known_only_if_it_is_older() {
        let stack = Stack::default();
        let row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", restored(Some("b")));
        stack.insert(&row).await;
        let knows = async |seconds| {
            let at = now() + Duration::from_secs(seconds);
            let event = S3Event { object: row.object.clone(), kind: S3EventKind::Initiated, at, expires: None };
            is_known(&event, &stack.ledger).await.unwrap()
        };
        assert!(knows(1).await, "CloudFront is not done");
        stack.insert(&done("b", &["a"])).await;
        assert_eq!((knows(0).await, knows(1).await), (true, false));
    }
}
