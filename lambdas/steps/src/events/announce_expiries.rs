//! AnnounceExpiries: say which copies go away at the next midnight, while they can still be kept.
//!
//! Copies expire at midnight, UTC. So a restore writes down at its end on which days some of its copies do, and a few
//! times a day the restores of the next midnight are announced, each once.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use serde_json::{Value, json};
use thaw_core::{RestoreId, Row};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::expiries::{ExpiriesOfDay, ExpiryRecord};
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::rows_key;
use crate::ledger::update::update;
use crate::ledger::{chunks, readiness};
use crate::ports::{IN_FLIGHT, Ledger, Put, PutEvents, WorkFiles};

/// Restores that are announced at a time.
const ANNOUNCED_AT_ONCE: usize = 8;

/// Objects that are read at a time.
const READ_AT_ONCE: usize = 1_000;

/// What was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Restores with copies that expire at the next midnight: announced now, or by an earlier run.
    pub announced: usize,
}

/// Announces what expires at the next midnight. `_` is what the schedule sends.
///
/// A restore is announced for what nobody has extended since, as far as thaw knows: by an event `Copy Expiring`. Dies
/// between the event and its note, and the event comes twice. One that cannot be announced stops no other: it is tried again
/// by the next run, and this one fails at its end.
pub async fn run(
    _: Value,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    now: Timestamp,
) -> Result<Output, StepError> {
    let midnight = next_midnight(now);
    let mut expected = ledger.query::<ExpiryRecord>(&ExpiryRecord::all_at(midnight)).await?;
    // As earlier versions kept them.
    let day = ledger.get::<ExpiriesOfDay>(&ExpiriesOfDay::key_of(midnight)).await?;
    let known: BTreeSet<RestoreId> = expected.iter().map(|one| one.restore.clone()).collect();
    for (restore, announced) in day.map(|day| day.restores).unwrap_or_default() {
        if !known.contains(&restore) {
            expected.push(ExpiryRecord { at: midnight, restore, announced, revision: 0 });
        }
    }
    let told: Vec<(RestoreId, Result<u64, StepError>)> = stream::iter(expected)
        .map(async |expected| {
            let id = expected.restore.clone();
            let told = match expected.announced {
                Some(objects) => Ok(objects),
                None => announce(expected, ledger, files, events).await,
            };
            (id, told)
        })
        .buffered(ANNOUNCED_AT_ONCE)
        .collect()
        .await;
    let (mut announced, mut trouble) = (0, None);
    for (id, told) in told {
        match told {
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

/// Announces one restore, if there is something to announce, and notes that. Answers for how many objects.
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
    let told =
        |one: &ExpiryRecord| ExpiryRecord { announced: Some(objects), revision: one.revision + 1, ..one.clone() };
    // Of an earlier version's day, the restore gets an item of its own.
    let new = ExpiryRecord { announced: Some(objects), revision: 0, ..expected.clone() };
    if let Put::Lost(known) = ledger.insert(&new).await? {
        update(ledger, known, |one| one.announced.is_none().then(|| told(one))).await?;
    }
    Ok(objects)
}

fn says(id: &RestoreId, objects: u64, midnight: Timestamp) -> String {
    let copies = if objects == 1 { "1 copy".to_owned() } else { format!("{objects} copies") };
    format!(
        "{copies} of restore {id} expire at {midnight}. POST /v1/restores/{id}/extend keeps them for longer, at the price of their storage."
    )
}

/// How many objects of a restore have a copy that expires then, and no row of any restore that knows of a later expiry.
async fn expiring(
    record: &RestoreRecord,
    midnight: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
) -> Result<u64, StepError> {
    let mut expiring = 0;
    for known in chunks::records(ledger, record).await?.iter().filter(|known| known.expire.contains(&midnight)) {
        let rows = chunks::objects(ledger, files, record, known).await?.into_iter().map(|known| known.row);
        let rows: Vec<Row> = rows.filter(|row| row.state.expires() == Some(midnight)).collect();
        for some in rows.chunks(READ_AT_ONCE) {
            // As the ledger has them: how long a copy lives is no matter of CloudFront.
            let mut all: Vec<Vec<Row>> = stream::iter(some)
                .map(async |row| ledger.query::<Row>(&rows_key(&row.object)).await)
                .buffer_unordered(IN_FLIGHT)
                .try_collect()
                .await?;
            readiness::apply(all.iter_mut().flatten(), ledger).await?;
            let goes = |rows: &&Vec<Row>| rows.iter().all(|row| row.state.expires() <= Some(midnight));
            expiring += all.iter().filter(goes).count() as u64;
        }
    }
    Ok(expiring)
}

/// The midnight after a time.
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
    async fn a_restore_that_cannot_be_announced_stops_no_other() {
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
    async fn what_expires_at_the_next_midnight_and_was_not_extended_is_told_once() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let later = next_midnight(soon);
        let objects = [("a", Some(soon)), ("b", Some(soon)), ("c", Some(later)), ("d", None), ("e", Some(soon))];
        let objects: Vec<_> = objects.map(|(key, expires)| (key, published(expires))).into();
        let id = stack.planned(&objects, 2).await;
        // Other restores keep two of them for longer; one of those waits yet for its other objects.
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
        let told = || {
            let told = events.events().into_iter().filter(|(name, _)| name == "Copy Expiring");
            told.map(|(_, detail)| (detail["objects"].clone(), detail["expires"].clone())).collect::<Vec<_>>()
        };
        assert_eq!((announce(now()).await, announce(now()).await), (1, 1));
        assert_eq!(told(), [(json!(1), json!(soon))]);
        assert_eq!((announce(soon).await, announce(soon).await), (1, 1));
        assert_eq!(told(), [(json!(1), json!(soon)), (json!(1), json!(later))]);
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
        // The others are not in this ledger, and stop nobody.
        run(Value::Null, &stack.ledger, &stack.files, &events, now()).await.unwrap_err();
        assert_eq!(events.events().len(), 1);
    }

    #[tokio::test]
    async fn a_day_of_an_earlier_version_is_announced_once() {
        let (stack, events) = (Stack::default(), MemoryEvents::default());
        let soon = next_midnight(now());
        let id = stack.planned(&[("a", published(Some(soon)))], 1).await;
        let told = RestoreId::try_from("told-before".to_owned()).unwrap();
        let restores = BTreeMap::from([(id.clone(), None), (told, Some(3))]);
        stack.insert(&ExpiriesOfDay { at: soon, restores, revision: 1 }).await;
        for _ in 0..2 {
            let output = run(Value::Null, &stack.ledger, &stack.files, &events, now()).await.unwrap();
            assert_eq!((output.announced, events.events().len()), (2, 1));
        }
    }
}
