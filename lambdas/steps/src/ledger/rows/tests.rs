use std::slice;

use thaw_core::{Candidate, FailureCode, State, Status, batches};

use super::*;
use crate::ledger::restores::{RestoreRecord, change, request_name};
use crate::ports::PortError;
use crate::testing::memory::MemoryLedger;
use crate::testing::stack::{Stack, done, now, restored, row};

fn id() -> RestoreId {
    RestoreId::try_from("r".to_owned()).unwrap()
}

#[test]
fn items_are_kept_where_earlier_versions_of_thaw_kept_them() {
    let key = |pk: &str, sk: &str| ItemKey { pk: pk.to_owned(), sk: sk.to_owned() };
    let of = |version: Option<&str>| {
        let object = ObjectId { version: version.map(str::to_owned), ..row(&id(), "a/b", State::Planned).object };
        row_key(&object, &id())
    };
    assert_eq!(of(Some("v1")), key("archive/a/b", "v1#r"));
    // A version from before versioning: S3 calls it `null` in one place and leaves it out in another.
    assert_eq!((of(None), of(Some("null"))), (key("archive/a/b", "#r"), key("archive/a/b", "#r")));
    assert_eq!(RestoreRecord::key_of(&id()), key("R#r", "restore"));
    assert_eq!(batch_key(&BatchId::from("b".to_owned())), key("I#b", "batch"));
    assert_eq!(request_name(&id()), "restores/r/request.json");
}

#[tokio::test]
async fn a_writer_that_loses_a_race_applies_its_event_to_what_the_winner_wrote() {
    let stack = Stack::default();
    let seen = row(&id(), "a", State::Planned);
    stack.insert(&seen).await;
    let readable = Event::Readable { at: now(), expires: None };
    let won = apply(&stack.ledger, &seen, &readable).await.unwrap();
    assert_eq!(won.revision, 1);
    // `seen` is an old revision by now.
    let failed = Event::Cancelled { at: now() };
    let lost = apply(&stack.ledger, &seen, &failed).await.unwrap();
    assert_eq!((lost.revision, &lost.state), (2, &State::Cancelled { at: now() }));
    assert_eq!(apply(&stack.ledger, &seen, &readable).await.unwrap(), lost);
}

#[tokio::test]
async fn rows_have_the_state_that_their_batch_says() {
    let stack = Stack::default();
    stack.insert(&done("b", &["a", "bad"])).await;
    let claimed = [("a", "b"), ("bad", "b"), ("another", "b"), ("a", "theirs")];
    let rows: Vec<Row> = claimed.map(|(key, batch)| row(&id(), key, restored(Some(batch)))).into();
    let stand = with_batches(rows, &stack.ledger).await.unwrap();
    let words: Vec<_> = stand.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(words, ["published", "failed", "restored", "restored"]);
}

#[tokio::test]
async fn an_object_is_with_cloudfront_once_each_call_of_its_batch_was_answered() {
    let object = row(&id(), "a", State::Planned).object;
    let candidate = Candidate {
        object: object.clone(),
        restores: vec![id()],
        revisions: 0,
        readiness: None,
        paths: ["E1", "E2"].map(|id| (id.to_owned(), ["/a".to_owned()].into())).into(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let made = batches(vec![candidate], now()).remove(0);
    let sealed = made.sealed(&[object].into());
    let one = sealed.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
    let both = one.with_call(1, |call| call.refused = Some("no".to_owned()));
    // The batch was sealed without the object, and the function died before it gave the claim back.
    let lost = Batch { calls: Some(Vec::new()), candidates: Vec::new(), ..made.clone() };
    let rows = [row(&id(), "a", restored(Some(made.id.as_str()))), row(&id(), "b", restored(None))];
    for (batch, is_there) in [
        (None, false),
        (Some(made), false),
        (Some(sealed), false),
        (Some(one), false),
        (Some(both), true),
        (Some(lost), false),
    ] {
        let stack = Stack::default();
        if let Some(batch) = &batch {
            stack.insert(batch).await;
        }
        let (stand, with_cloudfront) = merged(rows.to_vec(), &stack.ledger, async |batch| Ok(batch)).await.unwrap();
        assert_eq!(!with_cloudfront.is_empty(), is_there, "{batch:?}");
        assert_eq!(stand, rows, "and where it stands, nobody knows yet");
    }
}

#[tokio::test]
async fn the_answer_of_a_look_counts_for_any_number_of_batches() {
    let stack = Stack::default();
    let names: Vec<String> = (0..2 * BATCHES_AT_ONCE + 1).map(|n| n.to_string()).collect();
    for name in &names {
        let batch = done(name, &[name]);
        stack.insert(&Batch { completed_at: None, ..batch.with_call(0, |call| call.completed = false) }).await;
    }
    let rows: Vec<Row> = names.iter().map(|name| row(&id(), name, restored(Some(name)))).collect();
    let as_it_is = with_batches(rows.clone(), &stack.ledger).await.unwrap();
    assert!(as_it_is.iter().all(|row| row.state.as_str() == "restored"));
    let look = async |batch: Batch| Ok(batch.with_call(0, |call| call.completed = true).noted(now()));
    let (stand, with_cloudfront) = merged(rows, &stack.ledger, look).await.unwrap();
    assert_eq!(with_cloudfront.len(), names.len());
    assert!(stand.iter().all(|row| row.state.as_str() == "published"), "{stand:?}");
}

/// A cancel, or a look, that read the row before a batch claimed it.
#[tokio::test]
async fn whoever_loses_a_race_to_a_batch_changes_nothing_of_what_it_published() {
    let (stack, seen) = (Stack::default(), row(&id(), "a", restored(None)));
    stack.insert(&seen).await;
    stack.insert(&done("b", &["a"])).await;
    let claimed = seen.after(&Event::Claimed { batch: "b".to_owned().into() }).unwrap().unwrap();
    assert_eq!(stack.ledger.replace(&claimed).await.unwrap(), Put::Done);
    let failed = Event::Failed { at: now(), code: FailureCode::NoSuchKey, message: String::new() };
    for event in [Event::Cancelled { at: now() }, failed] {
        let stands = apply(&stack.ledger, &seen, &event).await.unwrap();
        assert_eq!((stands.state.as_str(), stands.revision), ("published", 1), "{event:?}");
        assert_eq!(stack.rows_of(&seen.object).await, slice::from_ref(&claimed));
    }
}

/// A ledger whose eventually consistent reads are behind: they show the old revision of `a`, and no `b`.
struct Behind {
    now: MemoryLedger,
    then: Row,
}

impl Ledger for Behind {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.now.get(key).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.now.get_many(keys).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let then = keys.contains(&self.then.key()).then(|| serde_json::to_value(&self.then).unwrap());
        Ok(then.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect())
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.now.insert(item).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.now.replace(item).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.now.query(begin).await
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let then = (*begin == rows_key(&self.then.object)).then(|| serde_json::to_value(&self.then).unwrap());
        Ok(then.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect())
    }
}

#[tokio::test]
async fn an_eventual_read_is_repeated_where_it_finds_nothing_and_writes_go_to_the_current_revision() {
    let (then, b) = (row(&id(), "a", State::Planned), row(&id(), "b", State::Planned));
    let ledger = Behind { now: MemoryLedger::default(), then: then.clone() };
    for row in [&then, &b] {
        assert_eq!(ledger.insert(row).await.unwrap(), Put::Done);
    }
    let readable = Event::Readable { at: now(), expires: None };
    let a = apply(&ledger, &then, &readable).await.unwrap();
    let keys = [a.key(), b.key(), row(&id(), "c", State::Planned).key()];
    assert_eq!(
        with_keys_eventually(&keys, &ledger, async |batch| Ok(batch)).await.unwrap().0,
        [then.clone(), b.clone()]
    );
    assert_eq!(rows_of_eventually(&a.object, &ledger).await.unwrap(), slice::from_ref(&then));
    assert_eq!(rows_of_eventually(&b.object, &ledger).await.unwrap(), slice::from_ref(&b));
    // The write goes to the current revision, not to the one that was read.
    let cancelled = apply(&ledger, &then, &Event::Cancelled { at: now() }).await.unwrap();
    assert_eq!((cancelled.revision, cancelled.state.as_str()), (2, "cancelled"));
}

/// A ledger in which another writer is always faster.
struct Contested(MemoryLedger);

impl Ledger for Contested {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.0.get(key).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.0.get_many(keys).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.0.get_many_eventually(keys).await
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.0.insert(item).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        Ok(Put::Lost(self.0.get(&item.key()).await?.unwrap()))
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.0.query(begin).await
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.0.query_eventually(begin).await
    }
}

#[tokio::test]
async fn an_endless_race_is_an_error_that_a_retry_may_mend() {
    let stack = Stack::default();
    let record = stack.record(&stack.accepted(&["a"]).await).await;
    let row = row(&record.id, "a", State::Planned);
    stack.insert(&row).await;
    let ledger = Contested(stack.ledger);
    let error = apply(&ledger, &row, &Event::Cancelled { at: now() }).await.unwrap_err();
    assert_eq!(error.name(), "Unavailable");
    assert_eq!(change(&ledger, record, |record| record.late = true).await.unwrap_err().name(), "Unavailable");
}

#[tokio::test]
async fn a_restore_that_has_ended_is_not_changed() {
    let stack = Stack::default();
    let id = stack.accepted(&["a"]).await;
    let seen = stack.record(&id).await;
    let late = |record: &mut RestoreRecord| record.late = true;
    stack.change(&id, |record| record.status = Status::Cancelled).await;
    assert!(!change(&stack.ledger, seen, late).await.unwrap().late);
    assert!(!stack.record(&id).await.late);
}
