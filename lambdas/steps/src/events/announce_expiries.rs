//! AnnounceExpiries: announces which copies expire at the next midnight, while they can still be extended.
//!
//! Copies expire at midnight UTC. A restore records at its end on which days some of its copies expire. Four times a
//! day the restores of the next midnight are announced, each once.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use serde_json::{Value, json};
use thaw_core::{RestoreId, Row, quantity};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::expiries::{ExpiriesOfDay, ExpiryRecord};
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::rows_key;
use crate::ledger::update::update;
use crate::ledger::{chunks, readiness};
use crate::ports::{IN_FLIGHT, Ledger, Put, PutEvents, WorkFiles};

/// Restores that are announced concurrently.
const ANNOUNCED_AT_ONCE: usize = 8;

/// Objects that are read at a time.
const READ_AT_ONCE: usize = 1_000;

/// The result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// Restores with copies that expire at the next midnight, announced by this run or an earlier one.
    pub announced: usize,
}

/// Announces what expires at the next midnight. The first parameter is the event of the schedule.
///
/// A restore is announced by an event `Copy Expiring`, for the copies that no restore of thaw has extended. If the
/// function dies between the event and its record, the event is sent twice. A restore that cannot be announced does not
/// stop the others: the next run tries it again, and this run fails at its end.
pub async fn run(
    _: Value,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let midnight = next_midnight(now);
    let mut expected = ledger.query::<ExpiryRecord>(&ExpiryRecord::all_at(midnight)).await?;
    // The item of earlier versions.
    let day = ledger.get::<ExpiriesOfDay>(&ExpiriesOfDay::key_of(midnight)).await?;
    let listed: BTreeSet<RestoreId> = expected.iter().map(|one| one.restore.clone()).collect();
    for (restore, announced) in day.map(|day| day.restores).unwrap_or_default() {
        if !listed.contains(&restore) {
            expected.push(ExpiryRecord { at: midnight, restore, announced, revision: 0 });
        }
    }
    let results: Vec<(RestoreId, Result<u64, StepError>)> = stream::iter(expected)
        .map(async |expected| {
            let id = expected.restore.clone();
            let result = match expected.announced {
                Some(objects) => Ok(objects),
                None => announce(expected, ledger, files, events).await,
            };
            (id, result)
        })
        .buffered(ANNOUNCED_AT_ONCE)
        .collect()
        .await;
    let (mut announced, mut trouble) = (0, None);
    for (id, result) in results {
        match result {
            Ok(objects) => announced += usize::from(objects > 0),
            Err(error) => {
                warn!(restore = %id, "its copies that expire at {midnight} are not announced: {error}");
                trouble.get_or_insert(error);
            }
        }
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let says = format!("{announced} restores have copies that expire at {midnight}.");
    Ok(Output { says, announced })
}

/// Announces one restore, if it has expiring copies, and records that. Answers for how many objects.
async fn announce(
    expected: ExpiryRecord,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
) -> Result<u64, StepError> {
    let ExpiryRecord { at: midnight, restore: id, .. } = &expected;
    let record = restores::record(ledger, id).await?;
    let objects = expiring(&record, *midnight, ledger, files).await?;
    if objects > 0 {
        let says = says(id, objects, *midnight);
        let detail = json!({
            "schema_version": 1, "id": id, "bucket": record.request.bucket, "objects": objects, "expires": midnight,
            "says": says, "notify": record.request.notify,
        });
        events.put_event("Copy Expiring", &detail).await?;
        info!(restore = %id, objects, "{says}");
    }
    let noted =
        |one: &ExpiryRecord| ExpiryRecord { announced: Some(objects), revision: one.revision + 1, ..one.clone() };
    // A restore from an item of an earlier version gets an item of its own.
    let new = ExpiryRecord { announced: Some(objects), revision: 0, ..expected.clone() };
    if let Put::Lost(existing) = ledger.insert(&new).await? {
        update(ledger, existing, |one| one.announced.is_none().then(|| noted(one))).await?;
    }
    Ok(objects)
}

fn says(id: &RestoreId, objects: u64, midnight: Timestamp) -> String {
    format!(
        "At {midnight} {} of restore {id} will expire. POST /v1/restores/{id}/extend keeps them for longer, at the price of their storage.",
        quantity(objects, "copy", "copies")
    )
}

/// How many objects of a restore have a copy that expires at this midnight, and no row of any restore with a later
/// expiry.
async fn expiring(
    record: &RestoreRecord,
    midnight: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
) -> Result<u64, StepError> {
    let mut expiring = 0;
    for chunk in chunks::records(ledger, record).await?.iter().filter(|chunk| chunk.expire.contains(&midnight)) {
        let rows = chunks::objects(ledger, files, record, chunk).await?.into_iter().map(|object| object.row);
        let rows: Vec<Row> = rows.filter(|row| row.state.expires() == Some(midnight)).collect();
        for page in rows.chunks(READ_AT_ONCE) {
            // Read without batches: when a copy expires has nothing to do with CloudFront.
            let mut all: Vec<Vec<Row>> = stream::iter(page)
                .map(async |row| ledger.query::<Row>(&rows_key(&row.object)).await)
                .buffer_unordered(IN_FLIGHT)
                .try_collect()
                .await?;
            readiness::apply(all.iter_mut().flatten(), ledger).await?;
            let is_last = |rows: &&Vec<Row>| rows.iter().all(|row| row.state.expires() <= Some(midnight));
            expiring += all.iter().filter(is_last).count() as u64;
        }
    }
    Ok(expiring)
}

/// The next midnight UTC after a time.
fn next_midnight(now: Timestamp) -> Timestamp {
    let today = now.to_zoned(TimeZone::UTC).date();
    let tomorrow = today.checked_add(1.day()).unwrap_or(today);
    tomorrow.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use thaw_core::{ChunkPosition, PublishedReason, Readiness, State};

    use super::*;
    use crate::ledger::expiries;
    use crate::testing::memory::{MemoryEvents, item_size};
    use crate::testing::stack::{Stack, now, row};
    use crate::workflow::report;

    fn published(expires: Option<Timestamp>) -> State {
        State::Published { at: now(), readable: now(), expires, how: PublishedReason::NoPath }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_day_ends_at_midnight_in_utc() {
        for (now, midnight) in [
            ("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"),
            ("2026-11-27T23:59:59.9Z", "2026-11-28T00:00:00Z"),
            ("2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(next_midnight(at(now)), at(midnight));
        }
    }

    #[tokio::test]
    async fn a_restore_that_cannot_be_announced_does_not_stop_the_others() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let id = stack.planned(&[("a", published(Some(soon)))], 1).await;
        for restore in [RestoreId::try_from("1-is-gone".to_owned()).unwrap(), id] {
            expiries::note(&restore, &[soon].into(), &stack.ledger, now()).await.unwrap();
        }
        let run =
            async || run(Value::Null, &stack.ledger, &stack.files, &events, now()).await.map_err(|error| error.name());
        assert_eq!([run().await, run().await], [Err("Unexpected"), Err("Unexpected")]);
        assert_eq!(events.events().len(), 1, "the other is announced, once");
    }

    #[tokio::test]
    async fn copies_that_expire_at_midnight_without_an_extension_are_announced_once() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let later = next_midnight(soon);
        let objects = [("a", Some(soon)), ("b", Some(soon)), ("c", Some(later)), ("d", None), ("e", Some(soon))];
        let objects: Vec<_> = objects.map(|(key, expires)| (key, published(expires))).into();
        let id = stack.planned(&objects, 2).await;
        // Other restores extend two of the copies. One of these still waits for its other objects.
        let other = RestoreId::try_from("other".to_owned()).unwrap();
        stack.insert(&row(&other, "b", published(Some(later)))).await;
        let waits = Row { place: Some(ChunkPosition { chunk: 0, entry: 0 }), ..row(&other, "e", State::Planned) };
        stack.insert(&waits).await;
        readiness::record(&[(&waits, Readiness { at: now(), expires: Some(later) })], &stack.ledger).await.unwrap();
        for _ in 0..2 {
            let input = report::Input { restore: id.to_string() };
            report::run(input, &stack.ledger, &stack.executions, &events, now()).await.unwrap();
        }
        let announce = async |now| run(Value::Null, &stack.ledger, &stack.files, &events, now).await.unwrap().announced;
        let sent = || {
            let sent = events.events().into_iter().filter(|(name, _)| name == "Copy Expiring");
            sent.map(|(_, detail)| (detail["objects"].clone(), detail["expires"].clone())).collect::<Vec<_>>()
        };
        assert_eq!((announce(now()).await, announce(now()).await), (1, 1));
        assert_eq!(sent(), [(json!(1), json!(soon))]);
        assert_eq!((announce(soon).await, announce(soon).await), (1, 1));
        assert_eq!(sent(), [(json!(1), json!(soon)), (json!(1), json!(later))]);
        assert_eq!(announce(later).await, 0);
    }

    #[tokio::test]
    async fn ten_thousand_restores_of_a_day_are_all_announced_and_no_item_grows() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let id = stack.planned(&[("a", published(Some(soon)))], 1).await;
        let name = |n: u32| RestoreId::try_from(format!("2026-11-22_photos_weddings-2019_standard_{n:012x}")).unwrap();
        for n in 0..10_000 {
            expiries::note(&name(n), &[soon].into(), &stack.ledger, now()).await.unwrap();
        }
        expiries::note(&id, &[soon].into(), &stack.ledger, now()).await.unwrap();
        let of_day = || stack.ledger.items().into_iter().filter(|(key, _)| key.pk.starts_with("E#"));
        assert_eq!(of_day().count(), 10_001);
        let largest = of_day().map(|(key, item)| item_size(&key, &item)).max().unwrap();
        assert!(largest <= 1_024, "{largest} bytes are more than one unit of writing");
        // The other restores are not in this ledger, and do not stop this one.
        run(Value::Null, &stack.ledger, &stack.files, &events, now()).await.unwrap_err();
        assert_eq!(events.events().len(), 1);
    }

    #[tokio::test]
    async fn a_day_of_an_earlier_version_is_announced_once() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let id = stack.planned(&[("a", published(Some(soon)))], 1).await;
        let earlier = RestoreId::try_from("announced-before".to_owned()).unwrap();
        let restores = BTreeMap::from([(id.clone(), None), (earlier, Some(3))]);
        stack.insert(&ExpiriesOfDay { at: soon, restores, revision: 1 }).await;
        for _ in 0..2 {
            let output = run(Value::Null, &stack.ledger, &stack.files, &events, now()).await.unwrap();
            assert_eq!((output.announced, events.events().len()), (2, 1));
        }
    }
}
