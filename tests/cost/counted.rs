//! The ports of the steps, counted as AWS would bill them and taking as long as AWS would take.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use thaw_core::{Distribution, Facts, ObjectId, Overhead, RestoreAnswer, RestoreId, S3Uri, Tier, Trouble};
use thaw_sim::ports::Aws;
use thaw_steps::memory::{MemoryEvents, MemoryExecutions, MemoryFiles, MemoryLedger};
use thaw_steps::ports::{
    CreateInvalidations, Invalidation, Item, ItemKey, Ledger, ListFrom, Page, Piece, PortError, Put, PutEvents,
    ReadArchive, ReadDistributions, ReadInvalidations, RequestRestores, StartExecutions, VersionMarker, VersionPage,
    WorkFiles,
};

/// What a call of S3, DynamoDB, EventBridge or Step Functions takes. DynamoDB takes less; nothing here is published.
const CALL: Duration = Duration::from_millis(20);

/// What a call of CloudFront takes: its API lives in one Region, far from some.
const CLOUDFRONT_CALL: Duration = Duration::from_millis(500);

/// How often it is asked the same before a function gives up.
const CLOUDFRONT_ATTEMPTS: u32 = 5;

/// Bytes in a unit of reading and of writing (DynamoDB Developer Guide, "Read and write operations").
const READ_UNIT: u64 = 4_096;
const WRITE_UNIT: u64 = 1_024;

/// What a strongly consistent read costs, beside one of one half that may be a moment old.
const HALVES: u64 = 2;

/// Keys in one `BatchGetItem`: thaw-aws asks for as many.
const KEYS_PER_READ: usize = 100;

/// What was used so far.
#[derive(Default)]
pub struct Meter {
    pub used: RefCell<Overhead>,
    /// Calls of any kind.
    pub calls: Cell<u64>,
    /// Half units of reading.
    half_reads: Cell<u64>,
    /// The size of an item by its key and revision: a batch is packed, and read very often.
    sizes: RefCell<HashMap<(ItemKey, u64), u64>>,
}

impl Meter {
    async fn call(&self, takes: Duration, count: impl FnOnce(&mut Overhead)) {
        count(&mut self.used.borrow_mut());
        self.calls.set(self.calls.get() + 1);
        tokio::time::sleep(takes).await;
    }

    /// A read of the ledger of so many units, each of so many halves.
    async fn read(&self, units: u64, halves: u64) {
        self.half_reads.set(self.half_reads.get() + units * halves);
        self.call(CALL, |used| used.ledger_reads = self.half_reads.get().div_ceil(2)).await;
    }

    /// Each item of a batch is rounded up by itself, and one that is missing is a unit.
    async fn read_many<T: Item>(&self, keys: &[ItemKey], found: &[T], halves: u64) {
        let missing = (keys.len() - found.len()) as u64;
        let units = missing + found.iter().map(|item| read_units(self.size(item))).sum::<u64>();
        self.half_reads.set(self.half_reads.get() + units * halves);
        for _ in keys.chunks(KEYS_PER_READ) {
            self.read(0, halves).await;
        }
    }

    /// A query is rounded up as a whole.
    async fn read_page<T: Item>(&self, items: &[T], halves: u64) {
        self.read(read_units(items.iter().map(|item| self.size(item)).sum()), halves).await;
    }

    fn size<T: Item>(&self, item: &T) -> u64 {
        *self.sizes.borrow_mut().entry((item.key(), item.revision())).or_insert_with(|| size(item))
    }
}

/// A port with its meter.
pub struct Counted<'a, P> {
    pub port: &'a P,
    pub meter: &'a Meter,
}

impl ReadArchive for Counted<'_, Aws> {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.meter.call(CALL, |used| used.s3_gets += 1).await;
        self.port.head(object).await
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        self.meter.call(CALL, |used| used.s3_puts += 1).await;
        self.port.list(bucket, prefix, from).await
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.meter.call(CALL, |used| used.s3_puts += 1).await;
        self.port.folders(bucket, prefix, after).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.meter.call(CALL, |used| used.s3_puts += 1).await;
        self.port.list_versions(bucket, prefix, after).await
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        self.meter.call(CALL, |used| used.s3_gets += 1).await;
        self.port.read(manifest, from, etag).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.meter.call(CALL, |used| used.s3_gets += 1).await;
        self.port.has_versions(bucket).await
    }
}

impl RequestRestores for Counted<'_, Aws> {
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        // What S3 takes for it is the price of the retrieval, which the plan names line by line, and none of ours.
        self.meter.call(CALL, |_| ()).await;
        self.port.restore(object, days, tier).await
    }
}

// CloudFront takes money for paths only, and the plan names that too.

impl ReadDistributions for Counted<'_, Aws> {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Vec<Distribution>, PortError> {
        self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
        self.port.distributions(bucket, ids).await
    }
}

impl CreateInvalidations for Counted<'_, Aws> {
    async fn invalidate(&self, to: &str, items: &[String], reference: &str) -> Result<Invalidation, PortError> {
        // As often as thaw-aws has the SDK ask, which waits some seconds in all.
        for _ in 1..CLOUDFRONT_ATTEMPTS {
            self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
            match self.port.invalidate(to, items, reference).await {
                Err(PortError { trouble: Some(Trouble::Throttled), .. }) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    self.port.clock().advance(SignedDuration::from_secs(1));
                }
                answer => return answer,
            }
        }
        self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
        self.port.invalidate(to, items, reference).await
    }
}

impl ReadInvalidations for Counted<'_, Aws> {
    async fn completed(&self, distribution: &str, invalidation: &str) -> Result<bool, PortError> {
        self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
        self.port.completed(distribution, invalidation).await
    }
}

impl WorkFiles for Counted<'_, MemoryFiles> {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.meter.call(CALL, |used| used.s3_puts += 1).await;
        self.port.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.meter.call(CALL, |used| used.s3_gets += 1).await;
        self.port.get(name).await
    }
}

impl StartExecutions for Counted<'_, MemoryExecutions> {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        self.meter.call(CALL, |_| ()).await;
        self.port.start(id, input).await
    }
}

impl PutEvents for Counted<'_, MemoryEvents> {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        self.meter.call(CALL, |used| used.bus_events += 1).await;
        self.port.put_event(detail_type, detail).await
    }
}

impl Ledger for Counted<'_, MemoryLedger> {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        let found = self.port.get::<T>(key).await?;
        self.meter.read(read_units(found.as_ref().map_or(0, size)), HALVES).await;
        Ok(found)
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let found = self.port.get_many::<T>(keys).await?;
        self.meter.read_many(keys, &found, HALVES).await;
        Ok(found)
    }

    async fn peek_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let found = self.port.peek_many::<T>(keys).await?;
        self.meter.read_many(keys, &found, 1).await;
        Ok(found)
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.meter.call(CALL, |used| used.ledger_writes += write_units(item)).await;
        self.port.insert(item).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.meter.call(CALL, |used| used.ledger_writes += write_units(item)).await;
        self.port.replace(item).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items = self.port.query(begin).await?;
        self.meter.read_page(&items, HALVES).await;
        Ok(items)
    }

    async fn peek_query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items = self.port.peek_query(begin).await?;
        self.meter.read_page(&items, 1).await;
        Ok(items)
    }
}

fn read_units(bytes: u64) -> u64 {
    bytes.div_ceil(READ_UNIT).max(1)
}

/// A write that loses its race costs as much as one that wins.
fn write_units<T: Item>(item: &T) -> u64 {
    let units = size(item).div_ceil(WRITE_UNIT);
    // A restore is written to the index too.
    if item.key().sk == "restore" { 2 * units } else { units }
}

/// Bytes of an item (DynamoDB Developer Guide, "Item sizes and formats").
fn size<T: Item>(item: &T) -> u64 {
    let ItemKey { pk, sk } = item.key();
    // What thaw-aws adds: the key, `ttl`, `write` with 16 characters, and `listing`, or no more than that.
    let added = "pksk".len() + pk.len() + sk.len() + "ttl".len() + 6 + "write".len() + 16 + "listingrestore".len();
    let value = serde_json::to_value(item).expect("an item is JSON");
    added as u64 + bytes(&value)
}

fn bytes(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // Two digits are a byte, and one more.
        Value::Number(number) => number.to_string().len().div_ceil(2) as u64 + 1,
        Value::String(text) => text.len() as u64,
        // What is kept as bytes: JSON has only numbers for them.
        Value::Array(items) if !items.is_empty() && items.iter().all(is_byte) => items.len() as u64,
        Value::Array(items) => 3 + items.iter().map(|item| 1 + bytes(item)).sum::<u64>(),
        Value::Object(fields) => {
            3 + fields.iter().map(|(name, value)| 1 + name.len() as u64 + bytes(value)).sum::<u64>()
        }
    }
}

fn is_byte(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number < 256)
}
