//! Readiness records: S3 has made some objects of a chunk readable. One record holds the entry numbers of many objects,
//! so their rows are not written. Row and readiness record together say in which state an object is (`chunks.rs` and
//! [`apply`] merge them).

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{ChunkPosition, Readiness, RestoreId, Row, State, hash};

use crate::StepError;
use crate::ports::{IN_FLIGHT, Item, ItemKey, Ledger};

/// The most entries of one record: some 5 KB.
const ENTRIES: usize = 1_000;

/// What S3 reported of some entries of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessRecord {
    /// The restore.
    pub restore: RestoreId,
    /// When its plan was made.
    pub made_at: Timestamp,
    /// The chunk's number.
    pub chunk: u32,
    /// When thaw learned that they are readable, and when their copies expire.
    #[serde(rename = "news")]
    pub readiness: Readiness,
    /// The numbers of the entries in the chunk.
    pub entries: Vec<u32>,
}

impl ReadinessRecord {
    /// The beginning of the keys of a chunk's readiness records.
    fn key_of(restore: &RestoreId, made_at: Timestamp, chunk: u32) -> ItemKey {
        ItemKey { pk: format!("R#{restore}"), sk: format!("news#{}#{chunk:05}#", made_at.as_millisecond()) }
    }
}

impl Item for ReadinessRecord {
    fn key(&self) -> ItemKey {
        let ItemKey { pk, sk } = Self::key_of(&self.restore, self.made_at, self.chunk);
        let Readiness { at, expires } = self.readiness;
        let content = format!("{at} {expires:?} {:?}", self.entries);
        ItemKey { pk, sk: format!("{sk}{}", &hash(&[&content])[..16]) }
    }

    fn revision(&self) -> u64 {
        0
    }
}

/// Whether the readiness of a row is recorded here, as long as the row says `planned`. Not for a row that is never
/// published: it would look like one that waits for its publication. A row of an earlier version of thaw does not say
/// its place in a chunk.
pub fn is_recorded_for(row: &Row) -> bool {
    row.place.is_some() && !row.publish.never()
}

/// Records the readiness of these rows. Idempotent.
///
/// One invocation learns of them within seconds. Their record has the latest of these times: with a record for each time
/// almost every object would be a write.
pub async fn record(readiness: &[(&Row, Readiness)], ledger: &impl Ledger) -> Result<(), StepError> {
    let mut groups: BTreeMap<_, (Timestamp, Vec<u32>)> = BTreeMap::new();
    for (row, Readiness { at, expires }) in readiness {
        let Some(ChunkPosition { chunk, entry }) = row.place else { continue };
        let (latest, entries) =
            groups.entry((&row.restore, row.planned_at, chunk, *expires)).or_insert_with(|| (*at, Vec::new()));
        *latest = (*latest).max(*at);
        entries.push(entry);
    }
    let mut records = Vec::new();
    for ((restore, made_at, chunk, expires), (at, mut entries)) in groups {
        entries.sort_unstable();
        for entries in entries.chunks(ENTRIES).map(<[u32]>::to_vec) {
            let readiness = Readiness { at, expires };
            records.push(ReadinessRecord { restore: restore.clone(), made_at, chunk, readiness, entries });
        }
    }
    // A record that exists already is the same: its key holds a hash of its content.
    let mut written = stream::iter(records)
        .map(|record| async move { ledger.insert(&record).await.map(|_| ()) })
        .buffer_unordered(IN_FLIGHT);
    while written.try_next().await?.is_some() {}
    Ok(())
}

/// The readiness of a chunk's entries: the latest record of each counts.
pub async fn of_chunk(
    restore: &RestoreId,
    made_at: Timestamp,
    chunk: u32,
    ledger: &impl Ledger,
) -> Result<HashMap<u32, Readiness>, StepError> {
    read(&ReadinessRecord::key_of(restore, made_at, chunk), ledger).await
}

/// Sets the rows that still say `planned` to what their readiness records say.
pub async fn apply(rows: impl Iterator<Item = &mut Row>, ledger: &impl Ledger) -> Result<(), StepError> {
    let mut chunks: BTreeMap<ItemKey, Vec<(u32, &mut Row)>> = BTreeMap::new();
    for row in rows.filter(|row| row.state == State::Planned) {
        let Some(ChunkPosition { chunk, entry }) = row.place else { continue };
        chunks.entry(ReadinessRecord::key_of(&row.restore, row.planned_at, chunk)).or_default().push((entry, row));
    }
    for (begin, rows) in chunks {
        let readiness = read(&begin, ledger).await?;
        for (entry, row) in rows {
            if let Some(readiness) = readiness.get(&entry) {
                *row = row.clone().with_readiness(*readiness);
            }
        }
    }
    Ok(())
}

async fn read(begin: &ItemKey, ledger: &impl Ledger) -> Result<HashMap<u32, Readiness>, StepError> {
    let mut readiness: HashMap<u32, Readiness> = HashMap::new();
    for record in ledger.query::<ReadinessRecord>(begin).await? {
        for entry in record.entries {
            let last = readiness.entry(entry).or_insert(record.readiness);
            if (last.at, last.expires) < (record.readiness.at, record.readiness.expires) {
                *last = record.readiness;
            }
        }
    }
    Ok(readiness)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::stack::{Stack, now, restoring, row};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(chunk: u32, entry: u32) -> Row {
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        Row { place: Some(ChunkPosition { chunk, entry }), ..row(&id, &format!("{chunk}/{entry}"), State::Planned) }
    }

    fn readiness(seconds: u32, lives: u32) -> Readiness {
        Readiness { at: now() + seconds * SECOND, expires: Some(now() + lives * SECOND) }
    }

    async fn applied(mut rows: Vec<Row>, stack: &Stack) -> Vec<Row> {
        apply(rows.iter_mut(), &stack.ledger).await.unwrap();
        rows
    }

    async fn items(stack: &Stack) -> usize {
        stack.ledger.items().into_iter().filter(|(key, _)| key.sk.starts_with("news#")).count()
    }

    #[tokio::test]
    async fn what_is_reported_together_is_one_item_and_reporting_it_again_changes_nothing() {
        let stack = Stack::default();
        let rows = [at(0, 7), at(0, 300), at(1, 7), at(0, 2)];
        let reported: Vec<(&Row, Readiness)> =
            rows.iter().zip([readiness(0, 9), readiness(0, 9), readiness(0, 9), readiness(0, 8)]).collect();
        for _ in 0..2 {
            record(&reported, &stack.ledger).await.unwrap();
            assert_eq!(items(&stack).await, 3, "two of a chunk that S3 keeps equally long, and two others");
        }
        let applied = applied(rows.to_vec(), &stack).await;
        let expires = |row: &Row| row.state.expires().unwrap();
        let actual: Vec<_> = applied.iter().map(|row| (expires(row), row.revision)).collect();
        assert_eq!(
            actual,
            reported.iter().map(|(row, readiness)| (readiness.expires.unwrap(), row.revision)).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn an_item_does_not_grow_beyond_its_thousand_entries() {
        for (rows, expected) in [(ENTRIES, 1), (ENTRIES + 1, 2)] {
            let stack = Stack::default();
            let rows: Vec<Row> = (0..u32::try_from(rows).unwrap()).map(|entry| at(0, entry)).collect();
            let reported: Vec<(&Row, Readiness)> = rows.iter().map(|row| (row, readiness(0, 9))).collect();
            record(&reported, &stack.ledger).await.unwrap();
            assert_eq!(items(&stack).await, expected);
            let applied = applied(rows, &stack).await;
            assert!(applied.iter().all(|row| matches!(row.state, State::Restored { .. })));
        }
    }

    #[tokio::test]
    async fn the_latest_report_counts_in_any_order() {
        for order in [[0, 1], [1, 0]] {
            let (stack, row) = (Stack::default(), at(0, 0));
            for which in order {
                record(&[(&row, [readiness(1, 50), readiness(2, 40)][which])], &stack.ledger).await.unwrap();
            }
            let applied = applied(vec![row], &stack).await;
            let Readiness { at, expires } = readiness(2, 40);
            assert_eq!(applied[0].state, State::Restored { at, expires, claim: None });
        }
    }

    #[tokio::test]
    async fn a_row_that_says_more_than_planned_is_not_changed() {
        let stack = Stack::default();
        let (planned, restoring) = (at(0, 0), Row { state: restoring(), ..at(0, 1) });
        record(&[(&planned, readiness(0, 9)), (&restoring, readiness(0, 9))], &stack.ledger).await.unwrap();
        let applied = applied(vec![restoring.clone(), at(1, 0), at(0, 3)], &stack).await;
        assert_eq!(applied, [restoring, at(1, 0), at(0, 3)], "and the records of another chunk do not apply");
    }

    #[test]
    fn readiness_without_publication_or_place_is_not_recorded_here() {
        let mut never = at(0, 0);
        never.publish.when = thaw_core::PublishWhen::Never;
        let of_before = Row { place: None, ..at(0, 0) };
        assert_eq!([at(0, 0), never, of_before].map(|row| is_recorded_for(&row)), [true, false, false]);
    }
}
