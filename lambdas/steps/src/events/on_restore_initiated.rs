//! OnRestoreInitiated: somebody began restores in an archive bucket. thaw joins those that it did not begin itself,
//! within a daily budget.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use thaw_core::{MAX_KEYS, ObjectId, Overhead, PriceList, RestoreId, Row, S3Event, S3EventKind, State, Usd, hash};
use tracing::{info, warn};

use crate::events::queue::{QueueBatch, QueueResponse};
use crate::ledger::budget::{self, BudgetKind, Reserved};
use crate::ledger::rows::{rows_of, rows_of_eventually};
use crate::planning::accepting::{join_only, start};
use crate::ports::{DeadLetters, IN_FLIGHT, Ledger, PutEvents, ReadDistributions, StartExecutions, WorkFiles};
use crate::publishing::distributions;
use crate::{Settings, StepError};

/// Joins the foreign restores of a batch of messages: one execution for each bucket and batch, never one for each
/// object.
///
/// Restores that would cost more than the rest of the day's `JoinedMaxCostUsd` are left alone, and cost nothing. The
/// first time on a day an event `Restores Not Joined` says so. If the function dies between this event and its record,
/// the event is sent twice.
#[expect(
    clippy::too_many_arguments,
    reason = "each port is a permission; the signature reads like the function's policy"
)]
pub async fn run(
    batch: QueueBatch,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    events: &impl PutEvents,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (initiated, mut failing) = batch.read(S3EventKind::Initiated, dead_letters, settings).await;
    let checked: Vec<(&str, S3Event, Result<bool, StepError>)> = stream::iter(initiated)
        .map(|(message, event)| async move {
            let known = is_known(&event, ledger).await;
            (message, event, known)
        })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;

    // The objects of each bucket, and the messages that reported them.
    let mut foreign: BTreeMap<String, Foreign> = BTreeMap::new();
    for (message, event, known) in checked {
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
        if let Err(error) = join(&bucket, &foreign, cdn, ledger, files, executions, events, settings, now).await {
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

/// Whether a restore of thaw waits for the object, or is finished with the restore that the event reports.
///
/// thaw writes its row before it asks S3, so its own restores are always known.
async fn is_known(event: &S3Event, ledger: &impl Ledger) -> Result<bool, StepError> {
    let is_known = |rows: &[Row]| rows.iter().any(|row| is_of(event, row));
    Ok(is_known(&rows_of_eventually(&event.object, ledger).await?) || is_known(&rows_of(&event.object, ledger).await?))
}

fn is_of(event: &S3Event, row: &Row) -> bool {
    match &row.state {
        State::Planned | State::Restoring { .. } | State::Restored { .. } => true,
        // Finished by now. The event is about the same restore if it is older, because it came late or twice.
        State::Available => event.at <= row.planned_at,
        State::Published { at, .. } | State::Failed { at, .. } | State::Cancelled { at } => event.at <= *at,
    }
}

#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is joined")]
async fn join(
    bucket: &str,
    foreign: &Foreign<'_>,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    events: &impl PutEvents,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), StepError> {
    let objects: Vec<&ObjectId> = foreign.objects.iter().collect();
    for objects in objects.chunks(MAX_KEYS) {
        let mut request = join_only(bucket, objects.iter().copied());
        // The same messages always make the same restore, and it counts on the same day.
        let begun = foreign.first.unwrap_or(now);
        if let Some(limit) = settings.joined_max_cost {
            let price = price(bucket, objects, cdn, settings).await?;
            // The plan must not find that it costs more than was reserved.
            request.max_cost_usd = Some(price);
            let seed = hash(&[&request.hash(), &begun.to_string()]);
            let id = RestoreId::new(begun, &request, &seed);
            match budget::reserve(BudgetKind::Joined, &id, price, limit, ledger, begun).await? {
                Reserved::Yes => {}
                Reserved::No { told: true, .. } => {
                    info!(objects = objects.len(), "left restores of {} objects in {bucket} alone", objects.len());
                    continue;
                }
                Reserved::No { told: false, spent } => {
                    let left = LeftAlone { bucket, objects: objects.len(), price, spent, limit };
                    left.announce(events).await?;
                    budget::note_told(BudgetKind::Joined, ledger, begun).await?;
                    continue;
                }
            }
        }
        let seed = hash(&[&request.hash(), &begun.to_string()]);
        let id = RestoreId::new(begun, &request, &seed);
        start(&id, &request, begun, ledger, files, executions).await?;
        info!(restore = %id, objects = objects.len(), "joined restores of {} objects in {bucket} that others began", objects.len());
    }
    Ok(())
}

/// The most that publishing these objects costs: their paths in all distributions, and thaw's own costs. S3 is not
/// asked for anything.
async fn price(
    bucket: &str,
    objects: &[&ObjectId],
    cdn: &impl ReadDistributions,
    settings: &Settings,
) -> Result<Usd, StepError> {
    let shown = distributions::read(bucket, cdn, settings).await?.shown;
    let paths_of = |object: &&ObjectId| -> u64 {
        let paths = shown.iter().map(|one| one.paths_of(bucket, &object.key).paths.len());
        paths.sum::<usize>() as u64
    };
    let paths = objects.iter().map(paths_of).sum();
    let book = PriceList::US_EAST_1;
    Ok(book.invalidation(paths) + book.overhead(Overhead::expected(objects.len() as u64)))
}

/// Restores that somebody else began and that thaw does not join.
struct LeftAlone<'a> {
    bucket: &'a str,
    objects: usize,
    price: Usd,
    spent: Usd,
    limit: Usd,
}

impl LeftAlone<'_> {
    async fn announce(&self, events: &impl PutEvents) -> Result<(), StepError> {
        let Self { bucket, objects, price, spent, limit } = self;
        let says = format!(
            "Others began restores of {objects} objects in {bucket}. To publish them would cost ${price}, and of the ${limit} that thaw may spend in a day on what others restore, ${spent} are used. S3 restores them, and thaw leaves them alone; it does the same with others of this day that cost too much, and says nothing more. POST /v1/adoptions with {{\"bucket\": \"{bucket}\"}} publishes them; the parameter JoinedMaxCostUsd is the limit."
        );
        warn!("{says}");
        let detail = json!({
            "schema_version": 1, "bucket": bucket, "objects": objects, "cost_usd": price, "spent_usd": spent,
            "limit_usd": limit, "says": says,
        });
        Ok(events.put_event("Restores Not Joined", &detail).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::stack::{Stack, done, now, restored, row};

    #[tokio::test]
    async fn a_restore_of_a_published_object_is_known_only_if_it_is_older_than_the_publication() {
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
