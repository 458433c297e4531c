//! The ports of the steps, counted as AWS would bill them and taking as long as AWS would take.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use thaw_core::{
    CallError, Facts, ObjectId, Overhead, RateLimiter, RestoreAnswer, RestoreId, S3Uri, Tier, paths_counted,
};
use thaw_sim::cdn::InvalidationRequest;
use thaw_sim::ports::Aws;
use thaw_steps::ports::{
    CreateInvalidations, Distributions, Invalidation, InvalidationStatus, Item, ItemKey, Ledger, ListFrom, Page, Piece,
    PortError, Put, PutEvents, ReadArchive, ReadDistributions, ReadInvalidations, RequestRestores, StartExecutions,
    VersionMarker, VersionPage, WorkFiles,
};
use thaw_steps::testing::memory::{MemoryEvents, MemoryExecutions, MemoryFiles, MemoryLedger, item_size};
use tokio::time::Instant;

/// What a call of S3, DynamoDB, EventBridge or Step Functions takes. DynamoDB takes less; nothing here is published.
const CALL: Duration = Duration::from_millis(20);

/// What a call of CloudFront takes: its API lives in one Region, far from some.
const CLOUDFRONT_CALL: Duration = Duration::from_millis(500);

/// How long a function waits for it to take a call before it gives up.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Bytes in a unit of reading and of writing (DynamoDB Developer Guide, "Read and write operations").
const READ_UNIT: u64 = 4_096;
const WRITE_UNIT: u64 = 1_024;

/// What a strongly consistent read costs, beside one of one half that may be a moment old.
const HALVES: u64 = 2;

/// Keys in one `BatchGetItem`: thaw-aws asks for as many.
const KEYS_PER_READ: usize = 100;

/// A call of CloudFront: when it was made, and its paths.
pub type Sent = (Instant, Vec<String>);

/// What was used so far. Clones count together.
#[derive(Clone, Default)]
pub struct Meter {
    pub used: Rc<RefCell<Overhead>>,
    /// Calls of any kind, of this clone alone.
    pub calls: Cell<u64>,
    /// Half units of reading.
    half_reads: Rc<Cell<u64>>,
    /// The size of an item by its key and revision: a batch is packed, and read very often.
    sizes: Rc<RefCell<HashMap<(ItemKey, u64), u64>>>,
    /// How fast paths are sent.
    pace: Rc<RefCell<Option<RateLimiter>>>,
    /// Who else invalidates meanwhile.
    pub stranger: Rc<RefCell<Option<Stranger>>>,
    /// When which paths were sent to CloudFront.
    pub sent: Rc<RefCell<Vec<Sent>>>,
    /// Whether the clock goes on while a function works, because the workflow waits meanwhile.
    is_beside_a_clock: bool,
    /// When the workflow began to wait, by both clocks.
    pub begun: Rc<Cell<Option<(Instant, Timestamp)>>>,
}

/// Somebody else who invalidates, with another tool: one call after the other, none of them twice.
pub struct Stranger {
    /// Paths in a call.
    pub paths: usize,
    /// Time between two calls.
    pub every: SignedDuration,
    /// When the next is sent; the first with our first call.
    pub next: Timestamp,
    /// How many were sent.
    pub sent: u32,
    /// How many of them CloudFront refused.
    pub refused: u32,
}

impl Stranger {
    fn send(&mut self, aws: &Aws, distribution: &str) {
        self.sent += 1;
        let paths = (0..self.paths).map(|n| format!("/others/{}/{n}", self.sent));
        let request = InvalidationRequest::new(distribution, &format!("others-{}", self.sent), paths);
        self.refused += u32::from(aws.with(|sim, now| sim.create_invalidation(&request, now)).is_err());
        self.next += self.every;
    }
}

impl Meter {
    pub async fn call(&self, takes: Duration, count: impl FnOnce(&mut Overhead)) {
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

    /// The meter of functions that work while the workflow waits.
    pub fn beside_a_clock() -> Self {
        Self { is_beside_a_clock: true, ..Self::default() }
    }

    /// The meter of an environment of a function, which has a pace of its own.
    pub fn of_environment(&self) -> Self {
        Self { pace: Rc::default(), ..self.clone() }
    }

    /// The meter of one invocation.
    pub fn of_invocation(&self) -> Self {
        Self { calls: Cell::default(), ..self.clone() }
    }

    /// Brings the clock of S3 and CloudFront to the time by which the workflow waits.
    pub fn sync(&self, aws: &Aws) {
        if let Some((begun, at)) = self.begun.get() {
            let now = at + SignedDuration::try_from(begun.elapsed()).expect("seconds");
            aws.clock().advance(now.duration_since(aws.clock().now()).max(SignedDuration::ZERO));
        }
    }

    /// Lets the clock of S3 and CloudFront go on, while others use them too.
    pub fn pass(&self, aws: &Aws, distribution: &str, time: SignedDuration) {
        let end = aws.clock().now() + time;
        if let Some(stranger) = self.stranger.borrow_mut().as_mut() {
            while stranger.next <= end {
                aws.clock().advance(stranger.next.duration_since(aws.clock().now()));
                stranger.send(aws, distribution);
            }
        }
        aws.clock().advance(end.duration_since(aws.clock().now()));
    }

    fn pace<T>(&self, aws: &Aws, of: impl FnOnce(&mut RateLimiter, Timestamp) -> T) -> T {
        let now = aws.clock().now();
        of(self.pace.borrow_mut().get_or_insert_with(|| RateLimiter::of_invalidations(now)), now)
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
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
        self.port.distributions(bucket, ids).await
    }
}

impl CreateInvalidations for Counted<'_, Aws> {
    async fn invalidate(&self, to: &str, items: &[String], reference: &str) -> Result<Invalidation, PortError> {
        // At the pace of thaw-aws.
        let (aws, meter) = (self.port, self.meter);
        let give_up = aws.clock().now() + PATIENCE;
        let slots = paths_counted(items);
        if let Some(stranger) = meter.stranger.borrow_mut().as_mut().filter(|stranger| stranger.sent == 0) {
            stranger.next = aws.clock().now();
        }
        loop {
            let patience = Duration::try_from(give_up.duration_since(aws.clock().now())).unwrap_or_default();
            let Ok(wait) = meter.pace(aws, |pace, now| pace.admit_many(slots, now, patience)) else {
                let says = "CloudFront takes too few paths".to_owned();
                return Err(PortError {
                    what: "CreateInvalidation".to_owned(),
                    says,
                    trouble: Some(CallError::Throttled),
                });
            };
            tokio::time::sleep(wait).await;
            meter.sent.borrow_mut().push((Instant::now(), items.to_vec()));
            meter.call(CLOUDFRONT_CALL, |_| ()).await;
            if meter.is_beside_a_clock {
                meter.sync(aws);
            } else {
                let passed = SignedDuration::try_from(wait + CLOUDFRONT_CALL).expect("seconds");
                meter.pass(aws, to, passed);
            }
            let answer = aws.invalidate(to, items, reference).await;
            let is_throttled = |error: &PortError| {
                matches!(error.trouble, Some(CallError::Throttled | CallError::TooManyInvalidations))
            };
            let throttled = answer.as_ref().is_err_and(is_throttled);
            meter.pace(aws, |pace, now| pace.answered_many(slots, now, throttled));
            if !throttled {
                return answer;
            }
        }
    }
}

impl ReadInvalidations for Counted<'_, Aws> {
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError> {
        self.meter.call(CLOUDFRONT_CALL, |_| ()).await;
        self.meter.sync(self.port);
        self.port.invalidation(distribution, id).await
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

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let found = self.port.get_many_eventually::<T>(keys).await?;
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

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items = self.port.query_eventually(begin).await?;
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

fn size<T: Item>(item: &T) -> u64 {
    item_size(&item.key(), &serde_json::to_value(item).expect("an item is JSON")) as u64
}
