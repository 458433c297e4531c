//! The ports of a function that dies at one of its writes.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use serde_json::Value;
use thaw_core::{
    Confirmation, Encryption, Execution, Facts, Job, ObjectId, RestoreAnswer, RestoreId, S3Uri, Status, Tier,
};
use thaw_steps::ledger::restores::{ListRestores, RestoreCursor, RestoreRecord};
use thaw_steps::ports::{
    CreateInvalidations, CreateJobs, CreatedJob, DeadLetters, Distributions, FoundBucket, Invalidation,
    InvalidationStatus, Item, ItemKey, Ledger, ListExecutions, ListFrom, LongFiles, NewJob, Page, Piece, PortError,
    Put, PutEvents, PutNotifications, ReadArchive, ReadBuckets, ReadDistributions, ReadExecutions, ReadInvalidations,
    ReadJobs, ReadStack, ReceiveMessages, ReceivedMessage, RequestRestores, SendConfirmations, StartExecutions,
    StopExecutions, UpdateJobs, VersionMarker, VersionPage, WorkFiles,
};

use crate::steps::world::World;

/// Where a function dies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Death {
    Before(usize),
    After(usize),
}

/// A function's way to the world. It counts what it writes, and dies at it when it is told to.
pub struct Mortal<'a> {
    pub world: &'a World,
    pub death: Option<Death>,
    pub writes: Cell<usize>,
    pub dead: Cell<bool>,
}

impl Mortal<'_> {
    async fn die(&self) {
        self.dead.set(true);
        pending::<()>().await;
    }

    async fn write<T>(&self, effect: impl Future<Output = T>) -> T {
        if self.dead.get() {
            self.die().await;
        }
        let nth = self.writes.get();
        self.writes.set(nth + 1);
        if self.death == Some(Death::Before(nth)) {
            self.die().await;
        }
        let answer = effect.await;
        if self.death == Some(Death::After(nth)) {
            self.die().await;
        }
        answer
    }
}

impl ReadArchive for Mortal<'_> {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.world.aws.head(object).await
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        self.world.aws.list(bucket, prefix, from).await
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.world.aws.folders(bucket, prefix, after).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.world.aws.list_versions(bucket, prefix, after).await
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        self.world.aws.read(manifest, from, etag).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.world.aws.has_versions(bucket).await
    }
}

impl RequestRestores for Mortal<'_> {
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        self.write(self.world.aws.restore(object, days, tier)).await
    }
}

impl WorkFiles for Mortal<'_> {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.write(self.world.files.put(name, bytes)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.world.files.get(name).await
    }
}

impl LongFiles for Mortal<'_> {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        self.write(self.world.files.begin(name)).await
    }

    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        self.write(self.world.files.add(name, upload, number, part)).await
    }

    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError> {
        self.write(self.world.files.finish(name, upload, parts)).await
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        LongFiles::read(&self.world.files, name, from).await
    }
}

impl CreateJobs for Mortal<'_> {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        self.write(self.world.files.create_job(job)).await
    }
}

impl ReadJobs for Mortal<'_> {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        self.world.files.job(id).await
    }
}

impl UpdateJobs for Mortal<'_> {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        self.write(self.world.files.confirm_job(id)).await
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        self.write(self.world.files.cancel_job(id)).await
    }
}

impl ReadDistributions for Mortal<'_> {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        self.world.aws.distributions(bucket, ids).await
    }
}

impl CreateInvalidations for Mortal<'_> {
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        self.write(self.world.aws.invalidate(distribution, items, caller_reference)).await
    }
}

impl ReadInvalidations for Mortal<'_> {
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError> {
        self.world.aws.invalidation(distribution, id).await
    }
}

impl Ledger for Mortal<'_> {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.world.ledger.get(key).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.world.ledger.get_many(keys).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.world.ledger.get_many_eventually(keys).await
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.write(self.world.ledger.insert(item)).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.write(self.world.ledger.replace(item)).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.world.ledger.query(begin).await
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.world.ledger.query_eventually(begin).await
    }
}

impl ListRestores for Mortal<'_> {
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&RestoreCursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<RestoreCursor>), PortError> {
        self.world.ledger.restores(status, after, limit).await
    }
}

impl StartExecutions for Mortal<'_> {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        self.write(self.world.executions.start(id, input)).await
    }
}

impl StopExecutions for Mortal<'_> {
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError> {
        self.write(self.world.executions.stop(id, cause)).await
    }
}

impl ReadExecutions for Mortal<'_> {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        self.world.executions.execution(id).await
    }
}

impl PutEvents for Mortal<'_> {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        self.write(self.world.events.put_event(detail_type, detail)).await
    }
}

impl DeadLetters for Mortal<'_> {
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError> {
        self.write(self.world.dead_letters.put_aside(message, reason)).await
    }
}

impl ReceiveMessages for Mortal<'_> {
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError> {
        self.world.queue.receive(wait, most).await
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), PortError> {
        self.write(self.world.queue.delete(receipts)).await
    }
}

impl SendConfirmations for Mortal<'_> {
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError> {
        self.write(self.world.confirmations.send_confirmation(message, delay)).await
    }
}

impl ReadBuckets for Mortal<'_> {
    async fn bucket(&self, bucket: &str) -> Result<FoundBucket, PortError> {
        self.world.aws.bucket(bucket).await
    }
    async fn encryption(&self, bucket: &str) -> Result<Encryption, PortError> {
        self.world.aws.encryption(bucket).await
    }
    async fn notifications(&self, bucket: &str) -> Result<String, PortError> {
        self.world.aws.notifications(bucket).await
    }
}

impl PutNotifications for Mortal<'_> {
    async fn put_notifications(&self, bucket: &str, xml: &str) -> Result<(), PortError> {
        self.write(self.world.aws.put_notifications(bucket, xml)).await
    }
}

impl ReadStack for Mortal<'_> {
    async fn is_going(&self) -> Result<bool, PortError> {
        Ok(true)
    }
}

impl ListExecutions for Mortal<'_> {
    async fn running(&self) -> Result<Vec<String>, PortError> {
        self.world.executions.running().await
    }
}
