use thaw_core::{PublishWhen, PublishedReason, copy_expiry};

use super::*;
use crate::ports::Put;
use crate::testing::memory::{MemoryFiles, MemoryLedger};
use crate::testing::stack::{Stack, now, restored, restoring};

async fn stored(stack: &Stack, id: &RestoreId) -> (RestoreRecord, ChunkRecord) {
    let record = stack.record(id).await;
    let chunk = super::record(&stack.ledger, &record, 0).await.unwrap();
    (record, chunk)
}

#[tokio::test]
async fn an_object_without_a_row_ends_with_its_restore() {
    let stack = Stack::default();
    let id = stack.planned(&["a", "b", "c"].map(|key| (key, State::Planned)), 3).await;
    let (record, chunk) = stored(&stack, &id).await;
    let mut entries = entries(&stack.files, &record, &chunk).await.unwrap();
    (entries[0].state, entries[2].state) = (restored(None), State::Available);
    let no_rows = MemoryLedger::default();
    for (status, words) in [
        (Status::Running, ["restored", "planned", "available"]),
        (Status::Cancelled, ["cancelled", "cancelled", "available"]),
        (Status::Failed, ["planned", "planned", "available"]),
    ] {
        let record = RestoreRecord { status, ..record.clone() };
        let objects = objects_of(&no_rows, &record, &chunk, entries.iter().zip(0..)).await.unwrap();
        assert_eq!(objects.iter().map(|object| object.row.state.as_str()).collect::<Vec<_>>(), words);
    }
}

#[tokio::test]
async fn a_missing_row_is_an_error_and_never_looks_like_an_end() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", restoring()), ("b", restoring())], 2).await;
    let (record, before) = stored(&stack, &id).await;
    let asked = |chunk: ChunkRecord| ChunkRecord { accepted: vec![Accepted { from: 0, to: 5, at: now() }], ..chunk };
    let chunk = change(&stack.ledger, before, asked).await.unwrap();
    assert_eq!(objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap().len(), 2);
    // S3 was asked for more objects than the ledger knows.
    let plan = plan_of(&record).unwrap();
    let mut more = entries(&stack.files, &record, &chunk).await.unwrap();
    more.extend(["lost", "lost too", "lost as well"].map(|key| ChunkEntry { key: key.to_owned(), ..more[0].clone() }));
    let name = chunk_name(&id, plan.made_at, 0);
    let file = serde_json::to_vec(&more).unwrap();
    stack.files.put(&name, file.clone()).await.unwrap();
    let error = objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap_err();
    assert!(error.to_string().ends_with("is not what was planned: it was changed"), "{error}");
    let chunk = ChunkRecord { file_hash: hash_bytes(&file), ..chunk };
    let error = objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the ledger has lost 3 of the 5 rows of chunk 0 of restore {id}"));
    let error = objects(&stack.ledger, &MemoryFiles::default(), &record, &chunk).await.unwrap_err();
    assert_eq!((error.name(), error.to_string()), ("Unexpected", format!("the work bucket has no {name}")));
}

#[tokio::test]
async fn a_chunks_record_is_the_sum_of_its_parts() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Planned)], 1).await;
    let (mut record, chunk) = stored(&stack, &id).await;
    let entry = entries(&stack.files, &record, &chunk).await.unwrap().remove(0);
    let failed = State::Failed { at: now(), code: FailureCode::NoSuchKey, message: String::new() };
    let readable = State::Restored { at: now(), expires: None, claim: None };
    let states = [readable, State::Planned, failed];
    let entries: Vec<ChunkEntry> =
        (0..3_600).map(|n| ChunkEntry { state: states[n % 3].clone(), ..entry.clone() }).collect();
    for (when, to_invalidate, waiting) in [(PublishWhen::Each, 1_200, 0), (PublishWhen::Together, 0, 1_200)] {
        record.request.publish.when = when;
        let chunk = ChunkRecord::new(&record, now(), 0, &entries, b"");
        assert_eq!((chunk.to_invalidate, chunk.waiting, chunk.settled), (to_invalidate, waiting, false));
        let Counts { total, planned, restored, failed, .. } = chunk.counts;
        assert_eq!((total, planned, restored, failed), (3_600, 1_200, 1_200, 1_200));
        assert_eq!((0..3_600).filter(|entry| chunk.readable.has(*entry)).count(), 1_200);
        assert_eq!((0..3_600).filter(|entry| chunk.finished.has(*entry)).count(), 1_200);
        assert_eq!(chunk.failures.len(), FAILURES_KEPT);
        assert!(chunk.is_publishing());
    }
    let nothing_yet = ChunkRecord::new(&record, now(), 0, &[entry], b"");
    assert!(!nothing_yet.is_publishing() && !ChunkRecord { settled: true, ..nothing_yet.clone() }.is_publishing());
    assert!(ChunkRecord { settled: true, may_revive: true, ..nothing_yet }.is_publishing());
}

#[tokio::test]
async fn a_finished_entry_is_read_once_and_stays_counted() {
    let stack = Stack::default();
    let failed = |code| State::Failed { at: now(), code, message: String::new() };
    let expires = copy_expiry(now(), 3);
    let restored = State::Restored { at: now(), expires: Some(expires), claim: None };
    let published =
        State::Published { at: now(), readable: now(), expires: Some(expires), how: PublishedReason::NothingStale };
    let objects = [
        ("a", published),
        ("b", restoring()),
        ("c", failed(FailureCode::RetrievalTimedOut)),
        ("d", failed(FailureCode::NoSuchKey)),
    ];
    let id = stack.planned(&objects, 4).await;
    let (record, before) = stored(&stack, &id).await;
    let codes = |chunk: &ChunkRecord| chunk.failures.iter().map(|failure| failure.code).collect::<Vec<_>>();
    assert_eq!(codes(&before), [FailureCode::NoSuchKey, FailureCode::RetrievalTimedOut]);
    assert!(before.may_revive && !before.settled && before.readable.is_empty());

    let entries = entries(&stack.files, &record, &before).await.unwrap();
    let as_it_is = async |batch| Ok(batch);
    let (open, _) = open_objects(&stack.ledger, &record, &before, &entries, &[], as_it_is).await.unwrap();
    assert_eq!(open.iter().map(|object| object.entry).collect::<Vec<_>>(), [1, 2]);
    let all = self::objects(&stack.ledger, &stack.files, &record, &before).await.unwrap();
    let now_restored = |object: &ChunkObject| ChunkObject {
        row: Row { state: restored.clone(), ..object.row.clone() },
        ..object.clone()
    };
    let (open, all): (Vec<_>, Vec<_>) =
        (open.iter().map(now_restored).collect(), all.iter().map(now_restored).collect());
    // The count may be given all objects, also finished ones: none counts twice.
    for objects in [open, all] {
        let after = before.clone().counted(&objects, &BTreeSet::new(), None, now());
        let Counts { total, published, restored, failed, .. } = after.counts;
        assert_eq!((total, published, restored, failed), (4, 1, 2, 1));
        assert_eq!((codes(&after), after.expire.len(), after.to_invalidate), (vec![FailureCode::NoSuchKey], 1, 2));
        assert!([1, 2].iter().all(|entry| after.readable.has(*entry)) && !after.readable.has(0));
        assert!(!after.may_revive);
        let readable = readable_entries(&stack.files, &record, &after).await.unwrap();
        assert_eq!(readable.len(), 2);
    }
}

#[tokio::test]
async fn the_row_of_an_object_that_s3_still_fetches_is_not_read_if_it_says_no_more_than_its_range() {
    let stack = Stack::default();
    let objects = [("a", State::Planned), ("b", restoring()), ("c", State::Planned), ("d", State::Planned)];
    let id = stack.planned(&objects, 4).await;
    let (record, chunk) = stored(&stack, &id).await;
    let chunk = ChunkRecord { accepted: vec![Accepted { from: 0, to: 3, at: now() }], ..chunk };
    let all = self::objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap();
    let chunk = chunk.counted(&all, &BTreeSet::new(), None, now());
    assert_eq!((0..5).filter(|entry| chunk.fetching.has(*entry)).collect::<Vec<_>>(), [0, 2]);
    let entries = entries(&stack.files, &record, &chunk).await.unwrap();
    let fetched = fetching(&record, &chunk, &entries);
    let states: Vec<_> = fetched.iter().map(|object| (object.entry, object.row.state.clone())).collect();
    assert_eq!(states, [(0, restoring()), (2, restoring())]);
    let no_rows = MemoryLedger::default();
    let lost = async |unread: &[u32]| {
        let unread: Vec<ChunkObject> =
            fetched.iter().filter(|object| unread.contains(&object.entry)).cloned().collect();
        let open = open_objects(&no_rows, &record, &chunk, &entries, &unread, async |batch| Ok(batch)).await;
        open.map_err(|error| error.to_string().split(" of ").next().unwrap().to_owned()).map(|(open, _)| open.len())
    };
    // The row of `b` has to be read, because it says more than its range does. S3 was not asked for `d`.
    assert_eq!(lost(&[0, 2]).await, Err("the ledger has lost 1".to_owned()));
    assert_eq!(lost(&[2]).await, Err("the ledger has lost 2".to_owned()));
    assert_eq!(no_rows.insert(&all[1].row).await.unwrap(), Put::Done);
    assert_eq!(lost(&[0, 2]).await, Ok(2));
    // The row is read as soon as something happens to this object alone.
    let with = |state: State| {
        let one = ChunkObject { row: Row { state, ..all[0].row.clone() }, ..all[0].clone() };
        chunk.clone().counted(&[one], &BTreeSet::new(), None, now())
    };
    assert!(with(restoring()).fetching.has(0));
    assert!(with(restored(None)).fetching.is_empty() && with(State::Cancelled { at: now() }).fetching.is_empty());
}

#[tokio::test]
async fn a_missing_chunk_is_an_error_and_never_looks_like_an_end() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", restoring())], 1).await;
    stack.change(&id, |record| record.plan.as_mut().unwrap().chunks = 3).await;
    let error = records(&stack.ledger, &stack.record(&id).await).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the ledger has lost 2 of the 3 chunks of restore {id}"));
}

#[tokio::test]
async fn an_accepted_range_is_being_restored_except_where_a_row_says_more() {
    let stack = Stack::default();
    let objects_asked = [("a", State::Planned), ("b", restored(None)), ("c", State::Planned)];
    let id = stack.planned(&objects_asked, 3).await;
    let (record, chunk) = stored(&stack, &id).await;
    let chunk = ChunkRecord { accepted: vec![Accepted { from: 0, to: 2, at: now() }], ..chunk };
    let found = objects(&stack.ledger, &stack.files, &record, &chunk).await.unwrap();
    let states: Vec<_> = found.into_iter().map(|object| object.row.state).collect();
    assert_eq!(states, [restoring(), restored(None), State::Planned]);
}

#[test]
fn chunks_are_kept_where_earlier_versions_of_thaw_kept_them() {
    let id = RestoreId::try_from("r".to_owned()).unwrap();
    assert_eq!(chunk_name(&id, now(), 7), "restores/r/chunks/1795341600000/00007.json");
    let key = ItemKey { pk: "R#r".to_owned(), sk: "chunk#1795341600000#00007".to_owned() };
    assert_eq!(ChunkRecord::key_of(&id, now(), 7), key);
}

#[tokio::test]
async fn both_writers_that_race_for_a_chunk_get_their_change_in() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", restoring())], 1).await;
    let (_, seen) = stored(&stack, &id).await;
    let asked = |chunk: ChunkRecord| ChunkRecord { accepted: vec![Accepted { from: 0, to: 1, at: now() }], ..chunk };
    change(&stack.ledger, seen.clone(), asked).await.unwrap();
    let settled = change(&stack.ledger, seen, |chunk| ChunkRecord { settled: true, ..chunk }).await.unwrap();
    assert!(settled.settled && settled.accepted_at(0) == Some(now()) && settled.revision == 2);
    // A change that changes nothing is not written.
    assert_eq!(change(&stack.ledger, settled.clone(), |chunk| chunk).await.unwrap(), settled);
}
