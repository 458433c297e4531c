//! A stack in memory with its API, for tests.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use thaw_core::{
    ArchiveKind, Batch, Call, Candidate, Cost, Counts, Decision, Line, ObjectId, PriceList, Publish, RestoreId, Row,
    State, Tier, Usd,
};

use crate::Settings;
use crate::api::http::{Request, Response};
use crate::api::{cancel_restore, create_restore, get_restores};
use crate::ledger::chunks::{self, ChunkEntry, ChunkObject, ChunkRecord, RowPresence, chunk_name};
use crate::ledger::restores::{Planned, RestoreRecord, record};
use crate::ledger::rows::rows_key;
use crate::ports::{Item, Ledger, Put, WorkFiles};
use crate::testing::memory::{MemoryExecutions, MemoryFiles, MemoryJobs, MemoryLedger};
use crate::workflow::OBJECTS_PER_CALL;

/// The time at which tests begin.
pub fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

#[derive(Default)]
pub struct Stack {
    pub ledger: MemoryLedger,
    pub files: MemoryFiles,
    pub executions: MemoryExecutions,
    pub jobs: MemoryJobs,
}

impl Stack {
    /// `POST /v1/restores` at this time, with or without an `Idempotency-Key`.
    pub async fn post_at(&self, key: Option<&str>, body: &str, now: Timestamp) -> Response {
        let mut event = json!({
            "routeKey": "POST /v1/restores", "body": body, "requestContext": {"requestId": format!("request at {now}")},
        });
        if let Some(key) = key {
            event["headers"] = json!({"idempotency-key": key});
        }
        create_restore::run(&read(event), &self.ledger, &self.files, &self.executions, &settings(), now).await
    }

    pub async fn post(&self, key: Option<&str>, body: &Value) -> Response {
        self.post_at(key, &body.to_string(), now()).await
    }

    /// A restore of these objects, accepted but not planned.
    pub async fn accepted(&self, keys: &[&str]) -> RestoreId {
        let response = self.post(None, &json!({"bucket": "archive", "keys": keys})).await;
        assert_eq!(response.status_code, 202, "{response:?}");
        serde_json::from_value(body(&response)["id"].clone()).unwrap()
    }

    /// A planned restore of these objects with these states, with so many objects in a chunk.
    pub async fn planned(&self, objects: &[(&str, State)], in_chunk: usize) -> RestoreId {
        // The API takes at most 1,000 keys, while a plan may find any number.
        let keys: Vec<_> = objects.iter().map(|(key, _)| *key).take(1_000).collect();
        let id = self.accepted(&keys).await;
        let rows: Vec<Row> = objects.iter().map(|(key, state)| row(&id, key, state.clone())).collect();
        let line = Line { what: "everything".to_owned(), amount: "all of it".to_owned(), usd: Usd::nanos(1) };
        let plan = Planned {
            made_at: now(),
            written: Vec::new(),
            hash: "0123456789abcdef".to_owned(),
            chunks: rows.len().div_ceil(in_chunk).try_into().unwrap(),
            counts: Counts::of(&rows),
            by_kind: Vec::new(),
            ready_between: Some([now(), now()]),
            cost: Cost::of(vec![line], PriceList::US_EAST_1),
            alternatives: Vec::new(),
            jobs: Vec::new(),
            paths: 0,
            billed_paths: 0,
            copied_bytes: 0,
            warnings: vec!["mind the gap".to_owned()],
        };
        let record = self.record(&id).await;
        for (chunk, rows) in (0..).zip(rows.chunks(in_chunk)) {
            let entries: Vec<_> = rows.iter().map(entry).collect();
            let file = serde_json::to_vec(&entries).unwrap();
            let chunk_record = ChunkRecord::new(&record, now(), chunk, &entries, &file);
            self.files.put(&chunk_name(&id, now(), chunk), file).await.unwrap();
            let objects: Vec<ChunkObject> = (0..)
                .zip(rows)
                .map(|(entry, row)| ChunkObject { entry, row: row.clone(), written: RowPresence::Row })
                .collect();
            self.insert(&chunk_record.counted(&objects, &BTreeSet::new(), None, now())).await;
        }
        for row in &rows {
            self.insert(row).await;
        }
        self.change(&id, |record| record.plan = Some(plan)).await;
        id
    }

    pub async fn change(&self, id: &RestoreId, change: impl FnOnce(&mut RestoreRecord)) {
        let record = self.record(id).await;
        assert_eq!(self.ledger.replace(&record.with(change)).await.unwrap(), Put::Done);
    }

    pub async fn insert<T: Item + std::fmt::Debug + PartialEq>(&self, item: &T) {
        assert_eq!(self.ledger.insert(item).await.unwrap(), Put::Done);
    }

    /// The rows of an object as the ledger has them.
    pub async fn rows_of(&self, object: &ObjectId) -> Vec<Row> {
        self.ledger.query(&rows_key(object)).await.unwrap()
    }

    pub async fn record(&self, id: &RestoreId) -> RestoreRecord {
        record(&self.ledger, id).await.unwrap()
    }

    /// `GET` of a route, with an id and a query.
    pub async fn get(&self, route: &str, id: &str, query: Value) -> Response {
        let event = json!({"routeKey": route, "pathParameters": {"id": id}, "queryStringParameters": query});
        get_restores::run(&read(event), &self.ledger, &self.files).await
    }

    pub async fn restore(&self, id: &RestoreId) -> Response {
        self.get("GET /v1/restores/{id}", id.as_str(), json!({})).await
    }

    pub async fn objects(&self, id: &RestoreId, query: Value) -> Response {
        self.get("GET /v1/restores/{id}/objects", id.as_str(), query).await
    }

    pub async fn delete(&self, id: &str) -> Response {
        let event = json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": id}});
        cancel_restore::run(&read(event), &self.ledger, &self.files, &self.executions, &self.jobs, now()).await
    }
}

pub fn settings() -> Settings {
    Settings { archive_buckets: vec!["archive".to_owned()], ..Settings::default() }
}

pub fn read(event: Value) -> Request {
    serde_json::from_value(event).unwrap()
}

pub fn body(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap()
}

/// Asserts that the answer is a problem with this status about this field.
#[track_caller]
pub fn is_problem(response: &Response, status: u16, field: Option<&str>) {
    let problem = body(response);
    assert_eq!(response.headers["content-type"], "application/problem+json");
    assert_eq!((response.status_code, problem["status"].as_u64()), (status, Some(u64::from(status))), "{problem}");
    assert_eq!(problem["field"].as_str(), field, "{problem}");
    assert!(problem["type"].as_str().unwrap().starts_with("urn:thaw:problem:"), "{problem}");
    assert!(
        field.is_none_or(|field| problem["detail"].as_str().unwrap().contains(field)) || status == 413,
        "{problem}"
    );
}

/// The entry that the plan would have written for a row.
fn entry(row: &Row) -> ChunkEntry {
    ChunkEntry {
        key: row.object.key.clone(),
        version: row.object.version.clone(),
        size: row.size,
        kind: row.kind,
        decision: row.decision,
        old: !row.current,
        state: State::Planned,
    }
}

pub fn row(id: &RestoreId, key: &str, state: State) -> Row {
    Row {
        object: ObjectId { bucket: "archive".to_owned(), key: key.to_owned(), version: None },
        restore: id.clone(),
        size: 7,
        kind: Some(ArchiveKind::Flexible),
        decision: Decision::Restore,
        publish: Publish::default(),
        current: true,
        planned_at: now(),
        place: None,
        held_until: None,
        state,
        revision: 0,
    }
}

/// A batch of these objects that CloudFront has completed. It refused paths with `bad` in them.
pub fn done(batch: &str, keys: &[&str]) -> Batch {
    let id = RestoreId::try_from("r".to_owned()).unwrap();
    let path = |key: &str| BTreeSet::from([format!("/{key}")]);
    let candidate = |key: &&str| Candidate {
        object: row(&id, key, State::Planned).object,
        restores: vec![id.clone()],
        revisions: 0,
        readiness: None,
        paths: [("E1".to_owned(), path(key))].into(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let call = |key: &&str| Call {
        distribution: "E1".to_owned(),
        items: path(key).into_iter().collect(),
        caller_reference: (*key).to_owned(),
        invalidation: Some((*key).to_owned()),
        completed: !key.contains("bad"),
        refused: key.contains("bad").then(|| "bad path".to_owned()),
        denied: None,
    };
    Batch {
        id: batch.to_owned().into(),
        candidates: keys.iter().map(candidate).collect(),
        calls: Some(keys.iter().map(call).collect()),
        wildcards: Vec::new(),
        created_at: now(),
        completed_at: Some(now()),
        revision: 0,
    }
}

pub fn restoring() -> State {
    State::Restoring { since: now(), tier: Tier::Standard, joined: false }
}

pub fn restored(claim: Option<&str>) -> State {
    State::Restored { at: now(), expires: Some(now()), claim: claim.map(|id| id.to_owned().into()) }
}

/// The id of a restore.
pub(crate) fn id(restore: &str) -> RestoreId {
    RestoreId::try_from(restore.to_owned()).unwrap()
}

/// A sealed batch with one path for each key, and its rows in the ledger.
pub(crate) async fn batch_of(keys: &[&str], stack: &Stack) -> Batch {
    let object = |key: &str| row(&id("r"), key, State::Planned).object;
    let candidate = |key: &&str| Candidate {
        object: object(key),
        restores: vec![id("r")],
        revisions: 0,
        readiness: None,
        paths: [("E1".to_owned(), [format!("/{key}")].into())].into(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let batch = thaw_core::batches(keys.iter().map(candidate).collect(), now()).remove(0);
    let sealed = batch.sealed(&keys.iter().map(|key| object(key)).collect());
    stack.insert(&batch).await;
    assert_eq!(stack.ledger.replace(&sealed).await.unwrap(), Put::Done);
    for key in keys {
        stack.insert(&row(&id("r"), key, restored(Some(batch.id.as_str())))).await;
    }
    sealed
}

/// Four objects, each in a chunk of its own, and published according to their batches. The second chunk pretends to
/// have as many objects as a call takes.
pub(crate) async fn four_chunks(stack: &Stack) -> RestoreId {
    for name in ["0", "1", "2", "3"] {
        stack.insert(&done(name, &[name])).await;
    }
    let id = stack.planned(&["0", "1", "2", "3"].map(|name| (name, restored(Some(name)))), 1).await;
    let chunk = chunks::record(&stack.ledger, &stack.record(&id).await, 1).await.unwrap();
    let many = |mut chunk: ChunkRecord| {
        chunk.counts.total = OBJECTS_PER_CALL;
        chunk
    };
    chunks::change(&stack.ledger, chunk, many).await.unwrap();
    id
}
