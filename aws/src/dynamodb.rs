//! DynamoDB: the ledger.
//!
//! An item is the value as its type serialises it, plus:
//!
//! | attribute | holds |
//! |---|---|
//! | `pk`, `sk` | the key |
//! | `revision` | counts the changes; every replacement is conditional on it |
//! | `ttl` | when DynamoDB may delete it |
//! | `write` | which write made it, so that a repeated call recognises its own success |
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
use thaw_core::{ObjectId, RestoreId, Row, Status, Trouble};
use thaw_steps::RestoreRecord;
use thaw_steps::ports::{Item, ItemKey, Ledger, ListRestores, PortError, Put};

use crate::error::{port_error, unexpected};

/// The ledger's table.
#[derive(Debug, Clone)]
pub struct LedgerTable {
    client: Client,
    table: String,
}

/// An item as DynamoDB has it.
type Attributes = HashMap<String, AttributeValue>;

/// Hours that an item is kept after its last write: 400 days, so that last year's restores can be looked up. Everything
/// about a restore stays as long as the restore does. What asks again with an `Idempotency-Key` must find it for 90 days
/// at least: so long Step Functions refuses the name of a closed execution.
const KEEP_HOURS: i64 = 400 * 24;

/// Keys in one `BatchGetItem` (DynamoDB API Reference).
const KEYS_PER_READ: usize = 100;

/// Times that a `BatchGetItem` may answer with nothing but "later".
const EMPTY_ANSWERS: u32 = 6;

/// The value of `listing`; the index holds restores only.
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
                    // The guard above holds.
                    _ => Attributes::new(),
                }
            }
            Err(error) => return Err(port_error(what(), &error)),
        };
        // The SDK sent the call again because the first answer got lost.
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

    async fn read_some(&self, keys: Vec<Attributes>) -> Result<(Vec<Attributes>, Vec<Attributes>), PortError> {
        let what = "BatchGetItem of the ledger";
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let keys = keys.map_err(|error| unexpected(what, error))?;
        let output = self.client.batch_get_item().request_items(&self.table, keys).send().await;
        let output = output.map_err(|error| port_error(what, &error))?;
        let found = output.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
        let later = output.unprocessed_keys.unwrap_or_default().remove(&self.table).map(|keys| keys.keys);
        Ok((found, later.unwrap_or_default()))
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
        // DynamoDB refuses a call that names a key twice.
        let mut wanted: Vec<_> = keys.iter().collect::<BTreeSet<_>>().into_iter().map(attributes).collect();
        let mut items = Vec::with_capacity(wanted.len());
        let mut empty = 0;
        while !wanted.is_empty() {
            let rest = wanted.split_off(wanted.len().min(KEYS_PER_READ));
            let (found, later) = self.read_some(wanted).await?;
            // DynamoDB leaves keys for later when the answer gets too long, which is no reason to wait, and when it is
            // asked too fast.
            if found.is_empty() && !later.is_empty() {
                empty += 1;
                if empty == EMPTY_ANSWERS {
                    let trouble = Some(Trouble::Throttled);
                    return Err(PortError { trouble, ..unexpected("BatchGetItem of the ledger", "it reads no keys") });
                }
                TokioSleep::new().sleep(Duration::from_millis(50 << empty)).await;
            }
            for item in found {
                let key = key_of(&item);
                items.push(decode(&key, item)?);
            }
            wanted = later;
            wanted.extend(rest);
        }
        Ok(items)
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

    async fn rows_of(&self, object: &ObjectId) -> Result<Vec<Row>, PortError> {
        let (pk, prefix) = partition(object);
        let mut rows = Vec::new();
        let mut from = None;
        loop {
            let call = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(&pk))
                .expression_attribute_values(":prefix", text(&prefix));
            let output = call.set_exclusive_start_key(from).send().await;
            let output = output.map_err(|error| port_error(format!("Query of the rows of {object}"), &error))?;
            for item in output.items.unwrap_or_default() {
                let key = key_of(&item);
                rows.push(decode(&key, item)?);
            }
            from = output.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(rows);
            }
        }
    }
}

impl ListRestores for LedgerTable {
    async fn restores(
        &self,
        status: Option<Status>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<String>), PortError> {
        let what = "Query of the restores";
        let mut from = match cursor {
            None => None,
            Some(cursor) => Some(start_key(cursor).ok_or_else(|| unexpected(what, "this is no cursor of thaw's"))?),
        };
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
                // DynamoDB counts the limit before the filter, so a filtered page is read whole and cut below.
                Some(status) => call
                    .filter_expression("#status = :status")
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", text(status.word())),
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
                return Ok((records.clone(), records.last().map(cursor_after)));
            }
            if from.is_none() {
                return Ok((records, None));
            }
        }
        // A rare status: what was found so far, and where to go on.
        let next = from.as_ref().and_then(cursor_of_key);
        Ok((records, next))
    }
}

/// Pages of the index read for one page of the answer. A page is 1 MB, some thousand restores; ten take well under the
/// 30 s of an HTTP API.
const PAGES_PER_CALL: usize = 10;

enum Condition {
    Absent,
    Revision(u64),
}

/// The item of a value.
fn encode<T: Item>(item: &T, now: Timestamp, write: &str) -> Result<Attributes, PortError> {
    let key = item.key();
    let mut all: Attributes = to_item(item).map_err(|error| unexpected(format!("writing {}", shown(&key)), error))?;
    // 400 days from now is far from the end of time.
    let ttl = now.checked_add(KEEP_HOURS.hours()).unwrap_or(Timestamp::MAX).as_second();
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
    Ok(all)
}

/// The value of an item.
fn decode<T: Item>(key: &ItemKey, item: Attributes) -> Result<T, PortError> {
    from_item(item).map_err(|error| unexpected(format!("reading {}", shown(key)), error))
}

fn is_restore(key: &ItemKey) -> bool {
    key.sk == "restore"
}

/// The partition of an object's rows, and what the sort keys of this version's rows begin with.
fn partition(object: &ObjectId) -> (String, String) {
    let version = match object.version.as_deref() {
        None | Some("null") => "",
        Some(version) => version,
    };
    (format!("{}/{}", object.bucket, object.key), format!("{version}#"))
}

/// RFC 3339 with all nine digits: as text, earlier sorts before later.
fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// A page ends with a restore; the next one begins after it.
fn cursor_after(record: &RestoreRecord) -> String {
    format!("{}_{}", sortable(record.requested_at), record.id)
}

fn cursor_of_key(key: &Attributes) -> Option<String> {
    let at = key.get("requested_at")?.as_s().ok()?;
    let id = key.get("pk")?.as_s().ok()?.strip_prefix("R#")?;
    Some(format!("{at}_{id}"))
}

/// The key of the restore that a cursor names; `None` if it is no cursor.
fn start_key(cursor: &str) -> Option<Attributes> {
    let (at, id) = cursor.split_once('_')?;
    let at: Timestamp = at.parse().ok()?;
    let id = RestoreId::try_from(id.to_owned()).ok()?;
    let mut key = attributes(&RestoreRecord::key_of(&id));
    key.insert("listing".to_owned(), text(LISTING));
    key.insert("requested_at".to_owned(), text(&sortable(at)));
    Some(key)
}

/// A name that no other write has.
fn write_name() -> String {
    // The standard library seeds each of these differently, from the system's randomness.
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
