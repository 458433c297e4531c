//! DynamoDB: the table of the ledger.
//!
//! An item is the serialised value, plus:
//!
//! | attribute | holds |
//! |---|---|
//! | `pk`, `sk` | the key |
//! | `revision` | counts the changes; every replacement is conditional on it |
//! | `ttl` | when DynamoDB may delete it |
//! | `write` | which write made it, so that a repeated call recognises its own success |
//! | `schema` | by which rules the value is serialised; without it by those of schema 1 |
//! | `listing` | on restores only: puts them into the index `restores`, sorted by `requested_at` |

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use jiff::{Timestamp, ToSpan};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use thaw_core::{CallError, RestoreId, Status};
use thaw_steps::ledger::restores::{ListRestores, RestoreCursor, RestoreRecord};
use thaw_steps::ports::{Item, ItemKey, Ledger, PortError, Put};

use crate::error::{port_error, unexpected};

/// The ledger's table.
#[derive(Debug, Clone)]
pub struct LedgerTable {
    client: Client,
    table: String,
}

/// An item as DynamoDB has it.
type Attributes = HashMap<String, AttributeValue>;

/// Hours that an item is kept after its last write: 400 days, so that last year's restores can be looked up. All items
/// of a restore stay as long as the restore. A repeated request with an `Idempotency-Key` must find it for at least 90
/// days, because for so long Step Functions refuses the name of a closed execution.
const KEEP_HOURS: i64 = 400 * 24;

/// Hours that a batch is kept. It holds the state of the rows that it claimed, so it must outlive them, and DynamoDB
/// deletes expired items "within a few days", in any order (Developer Guide, "Using time to live").
const KEEP_BATCH_HOURS: i64 = KEEP_HOURS + 30 * 24;

/// The most keys of one `BatchGetItem` (DynamoDB API Reference).
const KEYS_PER_READ: usize = 100;

/// How often `BatchGetItem` may answer without any item before the read fails as throttled.
const EMPTY_ANSWERS: u32 = 6;

/// The schema of the items that this release writes.
///
/// It changes when a release that knows only the schema before would misread an item, or lose a field of it by writing it
/// back. Two releases share a ledger while a stack is updated, while executions end with the code that they began with, and
/// after a rollback. So a new schema takes two releases: the first only reads it, the second writes it.
const SCHEMA: u32 = 1;

/// The newest schema that this release reads.
const NEWEST_READABLE_SCHEMA: u32 = 1;

/// The value of `listing`. The index holds restores only.
const LISTING: &str = "restore";

impl LedgerTable {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    async fn put<T: Item>(&self, item: &T, condition: Condition) -> Result<Put<T>, PortError> {
        let key = item.key();
        let what = || format!("PutItem of {}", shown(&key));
        let write = write_name();
        let mut call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(encode(item, Timestamp::now(), &write)?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        call = match condition {
            Condition::Absent => call.condition_expression("attribute_not_exists(pk)"),
            Condition::Revision(revision) => call
                .condition_expression("#revision = :before")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":before", number(revision)),
        };
        let there = match call.send().await {
            Ok(_) => return Ok(Put::Done),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    PutItemError::ConditionalCheckFailedException(failed) => failed.item.unwrap_or_default(),
                    // Cannot happen after the guard above.
                    _ => Attributes::new(),
                }
            }
            Err(error) => return Err(port_error(what(), &error)),
        };
        // The SDK sent the call again, because the first answer got lost.
        if there.get("write").and_then(|by| by.as_s().ok()) == Some(&write) {
            return Ok(Put::Done);
        }
        if !there.is_empty() {
            return decode(&key, there).map(Put::Lost);
        }
        match self.get(&key).await? {
            Some(there) => Ok(Put::Lost(there)),
            None => Err(unexpected(what(), "the condition failed, but there is no such item")),
        }
    }

    async fn read_some(
        &self,
        keys: Vec<Attributes>,
        consistent: bool,
    ) -> Result<(Vec<Attributes>, Vec<Attributes>), PortError> {
        let what = "BatchGetItem of the ledger";
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
        let keys = keys.map_err(|error| unexpected(what, error))?;
        let output = self.client.batch_get_item().request_items(&self.table, keys).send().await;
        let output = output.map_err(|error| port_error(what, &error))?;
        let found = output.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
        let later = output.unprocessed_keys.unwrap_or_default().remove(&self.table).map(|keys| keys.keys);
        Ok((found, later.unwrap_or_default()))
    }

    async fn read_many<T: Item>(&self, keys: &[ItemKey], consistent: bool) -> Result<Vec<T>, PortError> {
        // DynamoDB refuses a call that names a key twice.
        let mut pending: Vec<_> = keys.iter().collect::<BTreeSet<_>>().into_iter().map(attributes).collect();
        let mut items = Vec::with_capacity(pending.len());
        let mut empty = 0;
        while !pending.is_empty() {
            let rest = pending.split_off(pending.len().min(KEYS_PER_READ));
            let (found, later) = self.read_some(pending, consistent).await?;
            // DynamoDB leaves keys unprocessed when the answer gets too long, which needs no wait, and when it is
            // throttling.
            if found.is_empty() && !later.is_empty() {
                empty += 1;
                if empty == EMPTY_ANSWERS {
                    let trouble = Some(CallError::Throttled);
                    return Err(PortError { trouble, ..unexpected("BatchGetItem of the ledger", "it reads no keys") });
                }
                TokioSleep::new().sleep(Duration::from_millis(50 << empty)).await;
            }
            for item in found {
                let key = key_of(&item);
                items.push(decode(&key, item)?);
            }
            pending = later;
            pending.extend(rest);
        }
        Ok(items)
    }

    async fn query_items<T: Item>(&self, begin: &ItemKey, consistent: bool) -> Result<Vec<T>, PortError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let call = self.client.query().table_name(&self.table).consistent_read(consistent);
            let call = call.expression_attribute_values(":pk", text(&begin.pk));
            // DynamoDB takes no empty string for a key.
            let call = match begin.sk.as_str() {
                "" => call.key_condition_expression("pk = :pk"),
                prefix => call
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix)),
            };
            let output = call.set_exclusive_start_key(from).send().await;
            let output = output.map_err(|error| port_error(format!("Query of {}", shown(begin)), &error))?;
            for item in output.items.unwrap_or_default() {
                let key = key_of(&item);
                items.push(decode(&key, item)?);
            }
            from = output.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(items);
            }
        }
    }
}

impl Ledger for LedgerTable {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(attributes(key)));
        let output = call.consistent_read(true).send().await;
        let output = output.map_err(|error| port_error(format!("GetItem of {}", shown(key)), &error))?;
        output.item.map(|item| decode(key, item)).transpose()
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.read_many(keys, true).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.read_many(keys, false).await
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.put(item, Condition::Absent).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let Some(before) = item.revision().checked_sub(1) else {
            return Err(unexpected(format!("PutItem of {}", shown(&item.key())), "revision 0 replaces nothing"));
        };
        self.put(item, Condition::Revision(before)).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.query_items(begin, true).await
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.query_items(begin, false).await
    }
}

impl ListRestores for LedgerTable {
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&RestoreCursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<RestoreCursor>), PortError> {
        let what = "Query of the restores";
        let mut from = after.map(index_key);
        let mut records: Vec<RestoreRecord> = Vec::new();
        for _ in 0..PAGES_PER_CALL {
            let mut call = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("restores")
                .scan_index_forward(false)
                .key_condition_expression("#listing = :listing")
                .expression_attribute_names("#listing", "listing")
                .expression_attribute_values(":listing", text(LISTING));
            call = match status {
                // DynamoDB counts the limit before the filter. So with a filter, pages are read whole and cut below.
                Some(status) => call
                    .filter_expression("#status = :status")
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", text(status.as_str())),
                None => call.limit(i32::try_from(limit - records.len()).unwrap_or(i32::MAX)),
            };
            let output = call.set_exclusive_start_key(from).send().await;
            let output = output.map_err(|error| port_error(what, &error))?;
            for item in output.items.unwrap_or_default() {
                let key = key_of(&item);
                records.push(decode(&key, item)?);
            }
            from = output.last_evaluated_key.filter(|key| !key.is_empty());
            if records.len() > limit || (records.len() == limit && from.is_some()) {
                records.truncate(limit);
                let last = records.last();
                let last = last.map(|last| RestoreCursor { requested_at: last.requested_at, id: last.id.clone() });
                return Ok((records, last));
            }
            if from.is_none() {
                return Ok((records, None));
            }
        }
        // A rare status: answers the restores found so far, and where to go on.
        let next = from.as_ref().and_then(cursor).ok_or_else(|| unexpected(what, "a page ends nowhere"))?;
        Ok((records, Some(next)))
    }
}

/// Pages of the index that are read for one page of the answer. A page is 1 MB, some thousand restores. Ten take well
/// under the 30 s of an HTTP API.
const PAGES_PER_CALL: usize = 10;

enum Condition {
    Absent,
    Revision(u64),
}

/// The item of a value.
fn encode<T: Item>(item: &T, now: Timestamp, write: &str) -> Result<Attributes, PortError> {
    let key = item.key();
    let mut all: Attributes = to_item(item).map_err(|error| unexpected(format!("writing {}", shown(&key)), error))?;
    let keep = if key.sk == "batch" { KEEP_BATCH_HOURS } else { KEEP_HOURS };
    // 400 days from now is a valid time.
    let ttl = now.checked_add(keep.hours()).unwrap_or(Timestamp::MAX).as_second();
    if is_restore(&key) {
        all.insert("listing".to_owned(), text(LISTING));
        let at = all.get("requested_at").and_then(|at| at.as_s().ok()).and_then(|at| at.parse::<Timestamp>().ok());
        let at = at.ok_or_else(|| unexpected(format!("writing {}", shown(&key)), "a restore has a requested_at"))?;
        all.insert("requested_at".to_owned(), text(&sortable(at)));
    }
    all.extend(attributes(&key));
    all.insert("revision".to_owned(), number(item.revision()));
    all.insert("ttl".to_owned(), number(ttl));
    all.insert("write".to_owned(), text(write));
    all.insert("schema".to_owned(), number(SCHEMA));
    Ok(all)
}

/// The value of an item. Fails for an item of a schema that this release does not know: it would misread it.
fn decode<T: Item>(key: &ItemKey, item: Attributes) -> Result<T, PortError> {
    let schema = match item.get("schema") {
        None => Some(1),
        Some(schema) => schema.as_n().ok().and_then(|schema| schema.parse::<u32>().ok()),
    };
    if schema.is_none_or(|schema| schema > NEWEST_READABLE_SCHEMA) {
        let why = format!(
            "a newer release of thaw has written it (schema {:?}; this release reads up to {NEWEST_READABLE_SCHEMA}). \
             Deploy that release again",
            item.get("schema"),
        );
        return Err(unexpected(format!("reading {}", shown(key)), why));
    }
    from_item(item).map_err(|error| unexpected(format!("reading {}", shown(key)), error))
}

fn is_restore(key: &ItemKey) -> bool {
    key.sk == "restore"
}

/// RFC 3339 with all nine digits, so that the text sorts by time.
fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// The key of a restore in the index.
fn index_key(cursor: &RestoreCursor) -> Attributes {
    let mut key = attributes(&RestoreRecord::key_of(&cursor.id));
    key.insert("listing".to_owned(), text(LISTING));
    key.insert("requested_at".to_owned(), text(&sortable(cursor.requested_at)));
    key
}

/// The restore that a key of the index names.
fn cursor(key: &Attributes) -> Option<RestoreCursor> {
    let requested_at = key.get("requested_at")?.as_s().ok()?.parse().ok()?;
    let id = key.get("pk")?.as_s().ok()?.strip_prefix("R#")?;
    Some(RestoreCursor { requested_at, id: RestoreId::try_from(id.to_owned()).ok()? })
}

/// A unique name for a write.
fn write_name() -> String {
    // The standard library seeds each of these from the system's randomness.
    format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()))
}

fn attributes(key: &ItemKey) -> Attributes {
    [("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))].into()
}

fn key_of(item: &Attributes) -> ItemKey {
    let part = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    ItemKey { pk: part("pk"), sk: part("sk") }
}

fn shown(key: &ItemKey) -> String {
    format!("{} {}", key.pk, key.sk)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use thaw_core::{
        ArchiveKind, Batch, BatchId, Call, Candidate, ChunkPosition, Decision, FailureCode, ObjectId, Publish,
        PublishedReason, Readiness, Request, Row, State, Tier,
    };
    use thaw_steps::ledger::idempotency_keys::KeyRecord;
    use thaw_steps::ledger::readiness::ReadinessRecord;

    use super::*;

    fn at() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn id() -> RestoreId {
        RestoreId::try_from("2026-11-22_photos_standard_1".to_owned()).unwrap()
    }

    fn row(version: Option<&str>, state: State) -> Row {
        Row {
            object: ObjectId {
                bucket: "photos".to_owned(),
                key: "a/b ü.jpg".to_owned(),
                version: version.map(str::to_owned),
            },
            restore: id(),
            size: u64::MAX,
            kind: Some(ArchiveKind::ItDeep),
            decision: Decision::Join,
            publish: Publish::default(),
            current: true,
            planned_at: at(),
            place: Some(ChunkPosition { chunk: 96, entry: 49_999 }),
            held_until: None,
            state,
            revision: 3,
        }
    }

    fn states() -> Vec<State> {
        let batch = BatchId::from("0".repeat(32));
        let expires = Some(at());
        vec![
            State::Planned,
            State::Available,
            State::Restoring { since: at(), tier: Tier::Bulk, joined: true },
            State::Restored { at: at(), expires: None, claim: None },
            State::Restored { at: at(), expires, claim: Some(batch.clone()) },
            State::Published { at: at(), readable: at(), expires, how: PublishedReason::Invalidated { batch } },
            State::Published { at: at(), readable: at(), expires: None, how: PublishedReason::NoPath },
            State::Failed { at: at(), code: FailureCode::RefusedByS3, message: String::new() },
            State::Cancelled { at: "2026-11-22T10:00:00.000000001Z".parse().unwrap() },
        ]
    }

    fn record(body: &serde_json::Value) -> RestoreRecord {
        RestoreRecord::new(id(), &Request::parse(body).unwrap(), "2026-11-22T10:00:00.5Z".parse().unwrap())
    }

    #[track_caller]
    fn round_trip<T: Item + PartialEq + std::fmt::Debug>(item: &T) -> Attributes {
        let attributes = encode(item, at(), "w").unwrap();
        assert_eq!(&decode::<T>(&item.key(), attributes.clone()).unwrap(), item);
        attributes
    }

    #[test]
    fn every_item_comes_back_as_it_went() {
        for state in states() {
            round_trip(&row(None, state.clone()));
            round_trip(&row(Some("v1"), state));
        }
        let body = json!({"bucket": "photos", "keys": ["a"], "max_cost_usd": 0.1, "days": 7, "notify": ["me"]});
        round_trip(&record(&body).with(|record| {
            record.status = Status::PartlyFailed;
            record.completed_at = Some(at());
            record.says = Some("so".to_owned());
            record.late = true;
        }));
        let planned = json!({
            "made_at": "2026-11-22T12:00:00Z",
            "hash": "ab",
            "by_kind": [],
            "alternatives": [],
            "paths": 7,
            "chunks": 2,
            "counts": serde_json::to_value(thaw_core::Counts { total: 7, ..Default::default() }).unwrap(),
            "ready_between": ["2026-11-22T13:00:00Z", "2026-11-22T15:00:00Z"],
            "cost": {
                "total_usd": 0.000_012_5,
                "lines": [{"what": "requests", "amount": "7", "usd": 0.3}],
                "region": "us-east-1",
                "prices_of": "2026-11",
            },
            "warnings": ["slow"],
        });
        round_trip(&record(&body).with(|record| record.plan = serde_json::from_value(planned.clone()).unwrap()));
        let (made_at, readiness) = (at(), Readiness { at: at(), expires: Some(at()) });
        round_trip(&ReadinessRecord { restore: id(), made_at, chunk: 7, readiness, entries: vec![0, 49_999] });
        round_trip(&ReadinessRecord {
            restore: id(),
            made_at,
            chunk: 7,
            readiness: Readiness { expires: None, ..readiness },
            entries: vec![],
        });
        round_trip(&KeyRecord { key_hash: "ab".to_owned(), id: id(), body_hash: "cd".to_owned(), requested_at: at() });
    }

    #[test]
    fn a_batch_is_kept_as_bytes() {
        let call = Call {
            distribution: "E1".to_owned(),
            items: vec!["/a%20b".to_owned()],
            caller_reference: "thaw-1".to_owned(),
            invalidation: None,
            completed: false,
            refused: Some("no".to_owned()),
            denied: Some("no".to_owned()),
        };
        let candidate = Candidate {
            object: row(Some("v1"), State::Planned).object,
            restores: vec![id()],
            revisions: 0,
            readiness: Some(Readiness { at: at(), expires: Some(at()) }),
            paths: [("E1".to_owned(), ["/a%20b".to_owned()].into())].into(),
            covers: BTreeSet::new(),
            namesakes: BTreeSet::new(),
        };
        let item = round_trip(&Batch {
            id: BatchId::from("0".repeat(32)),
            candidates: vec![candidate],
            calls: Some(vec![call]),
            wildcards: Vec::new(),
            created_at: at(),
            completed_at: Some(at()),
            revision: 1,
        });
        assert!(item["packed"].is_b());
        assert_eq!(item["ttl"], number(at().as_second() + 430 * 86_400));
    }

    #[test]
    fn an_item_carries_what_the_table_needs() {
        let row = row(Some("v1"), State::Planned);
        let item = round_trip(&row);
        assert_eq!(item["pk"], text("photos/a/b ü.jpg"));
        assert_eq!(item["sk"], text("v1#2026-11-22_photos_standard_1"));
        assert_eq!(item["revision"], number(3));
        assert_eq!(item["ttl"], number(at().as_second() + 400 * 86_400));
        assert!(!item.contains_key("listing"));
    }

    #[test]
    fn an_item_of_a_schema_that_this_release_does_not_know_is_not_read() {
        let row = row(None, State::Planned);
        let item = encode(&row, at(), "w").unwrap();
        assert_eq!(item["schema"], number(SCHEMA));
        let read = |schema: Option<AttributeValue>| {
            let mut item = item.clone();
            item.remove("schema");
            item.extend(schema.map(|schema| ("schema".to_owned(), schema)));
            decode::<Row>(&row.key(), item)
        };
        // Items from before there was a schema.
        assert_eq!(read(None).unwrap(), row);
        for unknown in [number(NEWEST_READABLE_SCHEMA + 1), number("x"), text("1")] {
            let error = read(Some(unknown)).unwrap_err().to_string();
            assert!(error.contains("photos/a/b ü.jpg") && error.contains("Deploy that release again"), "{error}");
        }
    }

    #[test]
    fn only_restores_are_listed_and_in_the_order_of_their_time() {
        let item = round_trip(&record(&json!({"bucket": "photos", "keys": ["a"]})));
        assert_eq!(item["listing"], text("restore"));
        assert_eq!(item["requested_at"], text("2026-11-22T10:00:00.500000000Z"));
        assert_eq!(item["status"], text(Status::Running.as_str()));
        let whole: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-11-22T10:00:00.000001Z".parse().unwrap();
        assert!(sortable(whole) < sortable(later));
    }

    #[test]
    fn a_cursor_leads_to_the_restore_it_was_made_from() {
        let record = record(&json!({"bucket": "photos", "keys": ["a"]}));
        let item = round_trip(&record);
        let place = RestoreCursor { requested_at: record.requested_at, id: record.id };
        let key = index_key(&place);
        assert!(key.iter().all(|(name, value)| item[name] == *value));
        assert_eq!(key.len(), 4);
        assert_eq!(cursor(&key), Some(place));
    }

    #[test]
    fn every_write_has_its_own_name() {
        let names: BTreeSet<_> = (0..1_000).map(|_| write_name()).collect();
        assert_eq!(names.len(), 1_000);
    }
}
