//! Invalidate: publishes the readable objects of a restore, so that viewers see them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{PublishWhen, Readiness, Row, State, Status, quantity};
use tracing::info;

use crate::ledger::chunks::{self, ChunkEntry, total};
use crate::ledger::readiness;
use crate::ledger::restores::{self, RestoreRecord, statuses};
use crate::ledger::rows::rows_of_each_eventually;
use crate::metrics::seconds;
use crate::ports::{CreateInvalidations, Ledger, ReadArchive, ReadDistributions, WorkFiles};
use crate::publishing::OBJECTS_PER_CALL;
use crate::publishing::publish::{PublishRequest, RowWithReadiness, publish};
use crate::workflow::restore_id;
use crate::{Settings, StepError};

/// 95 of 100 invalidations are complete within 25 seconds (AWS, What's New, April 2026).
const EDGES_TAKE: u64 = 25;

/// Objects that are read at a time, so that few are read that only the next call takes.
const READ_AT_ONCE: usize = 1_000;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// Seconds until CloudFront is asked whether it is done.
    pub wait_seconds: u64,
    /// The chunk after the last one whose objects this call took; 0 if it took all.
    pub until_chunk: u32,
}

/// Publishes the objects that can be published.
///
/// Fails with `Throttled`, `TooManyInvalidationsInProgress` or `Unavailable` when CloudFront does. The ledger has what
/// was begun, and the next run continues from there.
pub async fn run(
    input: Input,
    cdn: &(impl ReadDistributions + CreateInvalidations),
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let all = chunks::records(ledger, &record).await?;
    let on_their_way = total(&all).awaited(record.status) > 0;
    let mut request = PublishRequest::default();
    // `after_last` is the chunk after the last one of which an object was taken. It becomes `until_chunk` if some are
    // left.
    let (mut taken, mut after_last, mut until_chunk) = (0, 0, 0);
    let mut due = None;
    'chunks: for chunk in &all {
        let readable = chunks::readable_entries(files, &record, chunk).await?;
        if readable.is_empty() {
            continue;
        }
        let readiness = readiness::of_chunk(&chunk.restore, chunk.made_at, chunk.chunk, ledger).await?;
        for entries in readable.chunks(READ_AT_ONCE) {
            if taken >= OBJECTS_PER_CALL {
                until_chunk = after_last;
                break 'chunks;
            }
            after_last = chunk.chunk + 1;
            for rows in with_readiness(&record, entries, &readiness, ledger).await? {
                let Some(own) = rows.iter().find(|row| row.row.restore == record.id) else { continue };
                let row = own.now()?;
                let since = due_since(&row);
                match row.state.claim() {
                    // Continued even if the restore would wait for its other objects: the function that began the batch
                    // may have died.
                    Some(batch) => {
                        request.begun.entry(batch.clone()).or_default().insert(row.object);
                    }
                    None if row.is_to_publish(on_their_way, now) => {
                        request.objects.insert(row.object, rows);
                    }
                    None => continue,
                }
                taken += 1;
                due = due.into_iter().chain(since).min();
            }
        }
    }
    // Said before CloudFront is called: while CloudFront refuses, each attempt says it again.
    info!(
        restore = %record.id,
        SecondsUnpublished = due.map(|since| seconds(since, now)),
        "{} to publish",
        quantity(taken as u64, "object", "objects")
    );
    let published = publish(request, cdn, archive, ledger, settings, now).await?;
    let says = format!(
        "CloudFront was sent {} of {}.",
        quantity(published.invalidations, "invalidation", "invalidations"),
        quantity(published.paths, "path", "paths")
    );
    info!(restore = %record.id, "{says}");
    Ok(Output { says, wait_seconds: EDGES_TAKE, until_chunk })
}

/// Since when a readable object is to be published; `None` if it has waited for others, as it was to.
fn due_since(row: &Row) -> Option<Timestamp> {
    let State::Restored { at, .. } = row.state else { return None };
    let has_waited = row.publish.when == PublishWhen::Together || row.held_until.is_some();
    (!has_waited).then_some(at)
}

/// All rows of each object, of this restore and of others, with the readiness that they do not say themselves.
async fn with_readiness(
    record: &RestoreRecord,
    entries: &[(ChunkEntry, u32)],
    readiness: &HashMap<u32, Readiness>,
    ledger: &impl Ledger,
) -> Result<Vec<Vec<RowWithReadiness>>, StepError> {
    let objects: Vec<_> = entries.iter().map(|(entry, _)| entry.object(record)).collect();
    let rows = rows_of_each_eventually(&objects, ledger).await?;
    let waits = |row: &Row| matches!(row.state, State::Planned | State::Restoring { .. }) && !row.publish.never();
    let others = rows.iter().flatten().filter(|row| waits(row) && row.restore != record.id);
    let statuses = statuses(others.map(|row| &row.restore), ledger).await?;
    let runs = |row: &Row| statuses.get(&row.restore) == Some(&Status::Running);
    let add_readiness = |((_, number), rows): (&(ChunkEntry, u32), Vec<Row>)| {
        let own = rows.iter().find(|row| row.restore == record.id);
        let reported = own.and_then(|row| match (&row.state, readiness.get(number)) {
            (State::Planned, readiness) => readiness.copied(),
            (State::Restored { at, expires, .. }, _) => Some(Readiness { at: *at, expires: *expires }),
            (
                State::Available
                | State::Restoring { .. }
                | State::Published { .. }
                | State::Failed { .. }
                | State::Cancelled { .. },
                _,
            ) => None,
        });
        // An object that is readable for one restore is readable for all that wait for it. If two restores find out at
        // the same time, each sees the other's row, and only one pays.
        let applies_to = |row: &Row, readiness: &Readiness| {
            waits(row) && (row.restore == record.id || runs(row) && row.is_concerned_by(readiness.at))
        };
        let readiness_of = |row: &Row| reported.filter(|readiness| applies_to(row, readiness));
        rows.into_iter().map(|row| RowWithReadiness { readiness: readiness_of(&row), row }).collect()
    };
    Ok(entries.iter().zip(rows).map(add_readiness).collect())
}

#[cfg(test)]
mod tests {
    use thaw_core::Counts;

    use super::*;
    use crate::testing::archive::nobody_near;
    use crate::testing::cdn::Edge;
    use crate::testing::stack::{Stack, now, restored};
    use crate::workflow::check_invalidations;

    #[tokio::test]
    async fn a_call_takes_a_part_of_very_many_objects_and_the_next_the_rest() {
        let stack = Stack::default();
        let keys: Vec<String> = (0..OBJECTS_PER_CALL + 1_500).map(|n| format!("{n:05}")).collect();
        let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), restored(None))).collect();
        // The first call takes only a part of the second chunk.
        let id = stack.planned(&objects, OBJECTS_PER_CALL - 500).await;
        // No distribution shows them, so they are published without a path.
        let edge = Edge::default();
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (restore, settings) = (id.to_string(), Settings::default());
            let input = Input { restore: restore.clone() };
            let (archive, ledger, files) = (&nobody_near(), &stack.ledger, &stack.files);
            let Output { until_chunk, .. } = run(input, &edge, archive, ledger, files, &settings, now()).await.unwrap();
            let input = check_invalidations::Input { restore, from_chunk: 0, until_chunk };
            let output = check_invalidations::run(input, &edge, ledger, files, now()).await.unwrap();
            let Counts { published, restored, .. } = output.counts;
            seen.push((until_chunk, output.anything_to_invalidate, output.all_published, published, restored));
        }
        let all = OBJECTS_PER_CALL as u64 + 1_500;
        assert_eq!(seen, [(2, true, false, all - 1_000, 1_000), (0, false, true, all, 0)]);
    }

    #[test]
    fn what_waits_for_others_is_not_late() {
        use thaw_core::{Publish, RestoreId};
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        let readable = crate::testing::stack::row(&id, "a", restored(Some("b")));
        assert_eq!(due_since(&readable), Some(now()));
        let together = Publish { when: PublishWhen::Together, ..Publish::default() };
        assert_eq!(due_since(&Row { publish: together, ..readable.clone() }), None);
        assert_eq!(due_since(&Row { held_until: Some(now()), ..readable.clone() }), None);
        assert_eq!(due_since(&Row { state: State::Planned, ..readable }), None);
    }

    #[tokio::test]
    async fn one_call_takes_its_maximum_and_leaves_none() {
        let stack = Stack::default();
        let keys: Vec<String> = (0..OBJECTS_PER_CALL).map(|n| format!("{n:05}")).collect();
        let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), restored(None))).collect();
        let restore = stack.planned(&objects, OBJECTS_PER_CALL).await.to_string();
        let (archive, settings) = (&nobody_near(), &Settings::default());
        let taken =
            run(Input { restore }, &Edge::default(), archive, &stack.ledger, &stack.files, settings, now()).await;
        assert_eq!(taken.unwrap().until_chunk, 0);
    }
}
