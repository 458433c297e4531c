//! The ledger, the work bucket, jobs, executions, the event bus and the queues that thaw writes to in memory, to run and observe
//! the steps without AWS.
//!
//! They promise what AWS promises and nothing more: conditional writes, strongly consistent reads, items of at most 400
//! KB, unique names of executions. Items are stored as JSON, so that a step reads only what can be serialised. Each
//! call first yields to other futures, so that concurrent steps interleave.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use thaw_core::{Confirmation, Execution, ExecutionStatus, Job, JobStatus, RestoreId, Status, hash_bytes};

use crate::ledger::restores::{ListRestores, RestoreCursor, RestoreRecord};
use crate::ports::{
    CreateJobs, CreatedJob, DeadLetters, Item, ItemKey, Ledger, ListExecutions, LongFiles, NewJob, Piece, PortError,
    Put, PutEvents, ReadExecutions, ReadJobs, ReceiveMessages, ReceivedMessage, SendConfirmations, StartExecutions,
    StopExecutions, UpdateJobs, WorkFiles,
};

/// The most bytes of an item in DynamoDB: 400 KB (Developer Guide, "Service, account, and table quotas").
const MOST_BYTES: usize = 400 * 1_024;

/// The bytes of an item in the ledger's table (DynamoDB Developer Guide, "Item sizes and formats").
pub fn item_size(key: &ItemKey, item: &Value) -> usize {
    // What thaw-aws adds at most: the key, `ttl`, `write` with 16 characters, `schema`, and `listing`.
    let added = "pksk".len() + key.pk.len() + key.sk.len() + "ttl".len() + 6 + "write".len() + 16 + "schema".len() + 2;
    added + "listingrestore".len() + size_of_value(item)
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // One byte for two digits, and one more.
        Value::Number(number) => number.to_string().len().div_ceil(2) + 1,
        Value::String(text) => text.len(),
        // Stored as binary in DynamoDB. JSON has only numbers for bytes.
        Value::Array(items) if !items.is_empty() && items.iter().all(is_byte) => items.len(),
        Value::Array(items) => 3 + items.iter().map(|item| 1 + size_of_value(item)).sum::<usize>(),
        Value::Object(fields) => {
            3 + fields.iter().map(|(name, value)| 1 + name.len() + size_of_value(value)).sum::<usize>()
        }
    }
}

fn is_byte(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number < 256)
}

/// The ledger's table and its index.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    items: RefCell<BTreeMap<ItemKey, Value>>,
}

impl MemoryLedger {
    /// Every item, in the order of the keys.
    pub fn items(&self) -> Vec<(ItemKey, Value)> {
        self.items.borrow().iter().map(|(key, item)| (key.clone(), item.clone())).collect()
    }

    fn read<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.items.borrow().get(key).map(|item| parse(key, item)).transpose()
    }

    fn write<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let key = item.key();
        let json = serde_json::to_value(item).map_err(|error| unexpected(&key, &error))?;
        let size = item_size(&key, &json);
        if size > MOST_BYTES {
            let says = format!("ValidationException: Item size has exceeded the maximum allowed size: {size} bytes");
            return Err(unexpected(&key, &says));
        }
        self.items.borrow_mut().insert(key, json);
        Ok(Put::Done)
    }
}

impl Ledger for MemoryLedger {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        yield_now().await;
        self.read(key)
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        yield_now().await;
        keys.iter().filter_map(|key| self.read(key).transpose()).collect()
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.get_many(keys).await
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        yield_now().await;
        match self.read(&item.key())? {
            Some(there) => Ok(Put::Lost(there)),
            None => self.write(item),
        }
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        yield_now().await;
        match self.read::<T>(&item.key())? {
            Some(there) if there.revision() + 1 == item.revision() => self.write(item),
            Some(there) => Ok(Put::Lost(there)),
            None => Err(unexpected(&item.key(), &"there is no such item to replace")),
        }
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        yield_now().await;
        let items = self.items.borrow();
        items
            .range(begin.clone()..)
            .take_while(|(key, _)| key.pk == begin.pk && key.sk.starts_with(&begin.sk))
            .map(|(key, item)| parse(key, item))
            .collect()
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.query(begin).await
    }
}

impl ListRestores for MemoryLedger {
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&RestoreCursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<RestoreCursor>), PortError> {
        yield_now().await;
        let place = |record: &RestoreRecord| Reverse((record.requested_at, record.id.clone()));
        let after = after.map(|cursor| Reverse((cursor.requested_at, cursor.id.clone())));
        let items = self.items.borrow();
        let mut restores = items
            .iter()
            .filter(|(key, _)| key.pk.starts_with("R#") && key.sk == "restore")
            .map(|(key, item)| parse::<RestoreRecord>(key, item))
            .collect::<Result<Vec<_>, _>>()?;
        restores.retain(|record| {
            status.is_none_or(|status| record.status == status)
                && after.as_ref().is_none_or(|after| place(record) > *after)
        });
        restores.sort_by_key(place);
        let more = restores.len() > limit;
        restores.truncate(limit);
        let last = restores.last().filter(|_| more);
        let last = last.map(|last| RestoreCursor { requested_at: last.requested_at, id: last.id.clone() });
        Ok((restores, last))
    }
}

fn parse<T: Item>(key: &ItemKey, item: &Value) -> Result<T, PortError> {
    T::deserialize(item).map_err(|error| unexpected(key, &error))
}

fn unexpected(key: &ItemKey, says: &impl ToString) -> PortError {
    PortError { what: format!("item {} {}", key.pk, key.sk), says: says.to_string(), trouble: None }
}

/// The work bucket.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    parts: RefCell<BTreeMap<(String, u32), Vec<u8>>>,
}

impl MemoryFiles {
    /// The names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }
}

impl WorkFiles for MemoryFiles {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        yield_now().await;
        self.files.borrow_mut().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        yield_now().await;
        Ok(self.files.borrow().get(name).cloned())
    }
}

impl LongFiles for MemoryFiles {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        yield_now().await;
        Ok(format!("upload {} of {name}", self.parts.borrow().len()))
    }

    async fn add(&self, _: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        yield_now().await;
        assert!((1..=10_000).contains(&number), "S3 numbers parts from 1 to 10,000");
        let etag = hash_bytes(&part);
        self.parts.borrow_mut().insert((upload.to_owned(), number), part);
        Ok(etag)
    }

    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError> {
        let of_upload = |((of, _), part): (&(String, u32), &Vec<u8>)| (of == upload).then(|| part.clone());
        let file: Vec<u8> = self.parts.borrow().iter().filter_map(of_upload).flatten().collect();
        self.put(name, file).await?;
        Ok(hash_bytes(parts.concat().as_bytes()))
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        // Small, so that a file has more than one piece.
        const BYTES: usize = 64;
        let Some(file) = self.get(name).await? else { return Ok(None) };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(file.len());
        let to = file.len().min(from + BYTES);
        Ok(Some(Piece { bytes: file[from..to].to_vec(), etag: hash_bytes(&file), more: to < file.len() }))
    }
}

/// S3 Batch Operations: the jobs that were created, and their status. They do not run: a test sets how far they are.
#[derive(Debug, Default)]
pub struct MemoryJobs {
    jobs: RefCell<BTreeMap<String, (String, Job)>>,
}

impl MemoryJobs {
    /// The jobs by their ids, each with the name of its list.
    pub fn jobs(&self) -> BTreeMap<String, (String, Job)> {
        self.jobs.borrow().clone()
    }

    /// Sets the state of a job.
    pub fn set(&self, id: &str, job: Job) {
        if let Some((_, existing)) = self.jobs.borrow_mut().get_mut(id) {
            *existing = job;
        }
    }

    fn change(&self, id: &str, status: JobStatus) {
        if let Some((_, job)) = self.jobs.borrow_mut().get_mut(id) {
            match job.status {
                JobStatus::Suspended | JobStatus::Underway => job.status = status,
                JobStatus::Complete | JobStatus::Failed | JobStatus::Cancelled => {}
            }
        }
    }
}

impl CreateJobs for MemoryJobs {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        yield_now().await;
        let id = format!("job-{}", &job.token[..8]);
        let new = Job { status: JobStatus::Suspended, succeeded: 0, failed: 0, why: String::new() };
        self.jobs.borrow_mut().entry(id.clone()).or_insert((job.manifest.to_owned(), new));
        Ok(CreatedJob::Accepted { id })
    }
}

impl ReadJobs for MemoryJobs {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        yield_now().await;
        Ok(self.jobs.borrow().get(id).map(|(_, job)| job.clone()))
    }
}

impl UpdateJobs for MemoryJobs {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        yield_now().await;
        self.change(id, JobStatus::Underway);
        Ok(())
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        yield_now().await;
        self.change(id, JobStatus::Cancelled);
        Ok(())
    }
}

/// The executions of the state machine: those that were started, with their inputs, and those that were stopped, with
/// the cause. They do not run.
#[derive(Debug, Default)]
pub struct MemoryExecutions {
    started: RefCell<BTreeMap<RestoreId, Value>>,
    stopped: RefCell<BTreeMap<RestoreId, String>>,
    ended: RefCell<BTreeMap<RestoreId, Option<Execution>>>,
}

impl MemoryExecutions {
    /// The executions that were started, with their inputs. A second start of the same name changes nothing.
    pub fn started(&self) -> BTreeMap<RestoreId, Value> {
        self.started.borrow().clone()
    }

    /// Sets how an execution is described from now on.
    pub fn end(&self, id: &RestoreId, execution: Execution) {
        self.ended.borrow_mut().insert(id.clone(), Some(execution));
    }

    /// From now on the execution is unknown.
    pub fn forget(&self, id: &RestoreId) {
        self.ended.borrow_mut().insert(id.clone(), None);
    }

    /// The executions that were stopped, with the cause.
    pub fn stopped(&self) -> BTreeMap<RestoreId, String> {
        self.stopped.borrow().clone()
    }
}

impl StartExecutions for MemoryExecutions {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        yield_now().await;
        self.started.borrow_mut().entry(id.clone()).or_insert_with(|| input.clone());
        Ok(())
    }
}

impl StopExecutions for MemoryExecutions {
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError> {
        yield_now().await;
        if self.started.borrow().contains_key(id) {
            self.stopped.borrow_mut().entry(id.clone()).or_insert_with(|| cause.to_owned());
        }
        Ok(())
    }
}

impl ListExecutions for MemoryExecutions {
    async fn running(&self) -> Result<Vec<String>, PortError> {
        yield_now().await;
        let has_ended = |id: &RestoreId| self.ended.borrow().contains_key(id) || self.stopped.borrow().contains_key(id);
        Ok(self.started.borrow().keys().filter(|id| !has_ended(id)).map(ToString::to_string).collect())
    }
}

impl ReadExecutions for MemoryExecutions {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        yield_now().await;
        if let Some(ended) = self.ended.borrow().get(id) {
            return Ok(ended.clone());
        }
        let stopped = self.stopped.borrow().get(id).cloned();
        let status = if stopped.is_some() { ExecutionStatus::Aborted } else { ExecutionStatus::Running };
        let is_known = self.started.borrow().contains_key(id);
        Ok(is_known.then_some(Execution { status, error: None, cause: stopped, redrives: 0 }))
    }
}

/// The event bus: all events in order.
#[derive(Debug, Default)]
pub struct MemoryEvents {
    events: RefCell<Vec<(String, Value)>>,
}

impl MemoryEvents {
    /// All events, each with its detail-type and its detail.
    pub fn events(&self) -> Vec<(String, Value)> {
        self.events.borrow().clone()
    }
}

impl PutEvents for MemoryEvents {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        yield_now().await;
        self.events.borrow_mut().push((detail_type.to_owned(), detail.clone()));
        Ok(())
    }
}

/// A dead-letter queue: all messages with their reasons, in order.
#[derive(Debug, Default)]
pub struct MemoryDeadLetters {
    letters: RefCell<Vec<(String, String)>>,
}

impl MemoryDeadLetters {
    /// All messages with their reasons.
    pub fn letters(&self) -> Vec<(String, String)> {
        self.letters.borrow().clone()
    }
}

impl DeadLetters for MemoryDeadLetters {
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError> {
        yield_now().await;
        self.letters.borrow_mut().push((message.to_owned(), reason.to_owned()));
        Ok(())
    }
}

/// A queue whose messages invoke a function. Nobody else reads it.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    messages: RefCell<Vec<ReceivedMessage>>,
    received: RefCell<Vec<ReceivedMessage>>,
    waits: RefCell<Vec<Duration>>,
    deleted: RefCell<Vec<String>>,
}

impl MemoryQueue {
    /// Sends a message.
    pub fn send(&self, id: &str, body: &str) {
        let receipt = format!("receipt of {id}");
        self.messages.borrow_mut().push(ReceivedMessage { id: id.to_owned(), body: body.to_owned(), receipt });
    }

    /// How long the function waited before each of its calls.
    pub fn waits(&self) -> Vec<Duration> {
        self.waits.borrow().clone()
    }

    /// Lets messages come again that were received and not deleted, as SQS does after the visibility timeout.
    pub fn come_again(&self) {
        let deleted = self.deleted.borrow();
        let left = self.received.take().into_iter().filter(|message| !deleted.contains(&message.receipt));
        self.messages.borrow_mut().extend(left);
    }

    /// The receipts by which messages were deleted.
    pub fn deleted(&self) -> Vec<String> {
        self.deleted.borrow().clone()
    }
}

impl ReceiveMessages for MemoryQueue {
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError> {
        yield_now().await;
        self.waits.borrow_mut().push(wait);
        let mut messages = self.messages.borrow_mut();
        let taken = most.min(messages.len());
        let taken: Vec<ReceivedMessage> = messages.drain(..taken).collect();
        self.received.borrow_mut().extend_from_slice(&taken);
        Ok(taken)
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), PortError> {
        yield_now().await;
        self.deleted.borrow_mut().extend_from_slice(receipts);
        Ok(())
    }
}

/// The queue of ConfirmInvalidations: all messages with their delays, in order.
#[derive(Debug, Default)]
pub struct MemoryConfirmations {
    sent: RefCell<Vec<(Confirmation, Duration)>>,
}

impl MemoryConfirmations {
    /// All messages with their delays.
    pub fn sent(&self) -> Vec<(Confirmation, Duration)> {
        self.sent.borrow().clone()
    }
}

impl SendConfirmations for MemoryConfirmations {
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError> {
        yield_now().await;
        self.sent.borrow_mut().push((message.clone(), delay));
        Ok(())
    }
}

/// Gives every other future a turn, as a network call does.
pub(crate) async fn yield_now() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
