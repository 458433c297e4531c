//! The ports: what the steps need of other systems. `thaw-aws` implements them on AWS, `thaw-sim` in process.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use thaw_core::Distributions;
use thaw_core::{
    ArchiveKind, CallError, Confirmation, Distribution, Encryption, Execution, Facts, Job, JobGroup, ObjectId,
    Readability, RestoreAnswer, RestoreId, S3Uri, Serving, Tier,
};

/// Concurrent requests of a step to one service. With 64 in flight, the SDK on one thread sends some 2,600 requests a
/// second at 20 ms each, more than S3's 1,000 restores a second per account.
pub(crate) const IN_FLIGHT: usize = 64;

/// A call of a service failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {says}")]
pub struct PortError {
    /// The call and its object: "HeadObject of s3://b/k".
    pub what: String,
    /// The service's message.
    pub says: String,
    /// The kind of error; `None` for an unforeseen answer.
    pub trouble: Option<CallError>,
}

/// Reads the state of objects in S3, and manifests.
pub trait ReadArchive {
    /// `HeadObject`, of the version if the object names one.
    ///
    /// A missing object, or one that may not be read, is an answer. Only trouble with the service is an error.
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError>;

    /// One page (at most 1,000 keys) of `ListObjectsV2` with `RestoreStatus`: the keys under `prefix` from a place on,
    /// current versions only.
    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError>;

    /// The folders directly under `prefix` that hold keys after `after`, in order, each with its prefix and its slash.
    /// They are those of one page of `ListObjectsV2` with the delimiter `/`, so there may be more.
    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError>;

    /// One page of `ListObjectVersions` with `RestoreStatus`, of at most 1,000 versions including older ones and delete
    /// markers: the current versions under `prefix`, each with its id. `after` is where the page before ended.
    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError>;

    /// A piece of a manifest, or of a file in the inbox, from this byte on; `None` if the file does not exist or may
    /// not be read.
    ///
    /// `etag` is that of the piece before. If the file was changed since, this fails with `Unavailable`, and the file
    /// is read again from its beginning.
    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError>;

    /// Whether objects of the bucket have versions (`GetBucketVersioning`: enabled, or suspended after it was).
    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError>;
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes: some hundred thousand at most.
    pub bytes: Vec<u8>,
    /// The ETag of the whole file.
    pub etag: String,
    /// Whether the file goes on after them.
    pub more: bool,
}

/// Where a page of `ListObjectsV2` begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListFrom {
    /// After this key (`StartAfter`). The empty key is the beginning.
    After(String),
    /// After a page without a key (`ContinuationToken`).
    Token(String),
}

impl ListFrom {
    /// After a key.
    pub fn after(key: impl Into<String>) -> Self {
        Self::After(key.into())
    }

    /// The key, if the page begins after one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::After(key) => Some(key),
            Self::Token(_) => None,
        }
    }
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects in the order of keys. There may be none although more pages follow: S3 promises "up to" a number of
    /// keys a page, and only `IsTruncated` says whether the listing has ended (API Reference, "ListObjectsV2").
    pub objects: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<ListFrom>,
}

impl Page {
    /// A page, and the token that continues it if it is truncated.
    ///
    /// The next page begins after the last key of this one, because a key stays valid for any time, while S3 does not
    /// say how long a token does. So the token is only used if the page has no key.
    pub fn new(objects: Vec<Listed>, token: Option<String>) -> Self {
        let next = token.map(|token| match objects.last() {
            Some(last) => ListFrom::after(&last.key),
            None => ListFrom::Token(token),
        });
        Self { objects, next }
    }
}

/// A page of a listing of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// The objects in the order of keys. There may be none although more pages follow, where keys have many older
    /// versions.
    pub objects: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<VersionMarker>,
}

/// A place in a listing of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMarker {
    /// The key (`NextKeyMarker`).
    pub key: String,
    /// Its version (`NextVersionIdMarker`).
    pub version: Option<String>,
}

/// One key of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Its current version, if versions were listed.
    pub version: Option<String>,
    /// S3's storage class.
    pub storage_class: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// The status of its restore; `None` if S3 sent none.
    pub restore: Option<ListedRestore>,
}

/// `RestoreStatus` of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedRestore {
    /// `IsRestoreInProgress`.
    Ongoing,
    /// A copy exists that expires at this time.
    Copy(Timestamp),
}

impl Listed {
    /// Whether the object can be read; `None` if a listing does not show that, because the object is of
    /// Intelligent-Tiering, whose access tiers it leaves out.
    pub fn readability(&self, now: Timestamp) -> Option<Readability> {
        let kind = match self.storage_class.as_str() {
            "GLACIER" => ArchiveKind::Flexible,
            "DEEP_ARCHIVE" => ArchiveKind::Deep,
            "INTELLIGENT_TIERING" => return None,
            _ => return Some(Readability::Readable),
        };
        Some(match self.restore {
            Some(ListedRestore::Ongoing) => Readability::Restoring(kind),
            Some(ListedRestore::Copy(expires)) if expires > now => Readability::Copy { kind, expires },
            Some(ListedRestore::Copy(_)) | None => Readability::Archived(kind),
        })
    }
}

/// Asks S3 to restore objects.
pub trait RequestRestores {
    /// `RestoreObject`. `days` is `None` for Intelligent-Tiering, where S3 refuses any.
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError>;
}

/// Files in the work bucket.
pub trait WorkFiles {
    /// Writes a file, and replaces an existing one.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError>;

    /// Reads a file; `None` if there is none.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError>;
}

/// Files in the work bucket that are too long for memory.
pub trait LongFiles {
    /// `CreateMultipartUpload`; answers the upload's id. The bucket deletes unfinished uploads after a day.
    async fn begin(&self, name: &str) -> Result<String, PortError>;

    /// `UploadPart`; answers the part's ETag. Numbers begin with 1, and each part but the last has at least 5 MiB.
    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError>;

    /// `CompleteMultipartUpload` of the parts with these ETags, in order; answers the file's ETag. The same parts make
    /// a file with the same ETag.
    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError>;

    /// A piece of a file from this byte on; `None` if there is no such file.
    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError>;
}

/// Creates jobs of S3 Batch Operations.
pub trait CreateJobs {
    /// `CreateJob`. Idempotent: the same token answers the same job. The job does not run before it is confirmed.
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError>;
}

/// A job that sends restore requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// The idempotency token of the call.
    pub token: &'a str,
    /// The restore that the job is for, as the job's description.
    pub restore: &'a RestoreId,
    /// The file in the work bucket that lists the objects.
    pub manifest: &'a str,
    /// The ETag of that file. S3 refuses a file with another one.
    pub etag: &'a str,
    /// What the objects have in common.
    pub group: JobGroup,
    /// How long copies stay; `None` for objects that have none.
    pub days: Option<u32>,
    /// The tier.
    pub tier: Tier,
    /// The folder of the report in the work bucket. The report is `<folder>/job-<id>/manifest.json`.
    pub report: &'a str,
}

/// S3's answer to a `CreateJob`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedJob {
    /// The job exists, made by this call or an earlier one.
    Accepted {
        /// The job's id.
        id: String,
    },
    /// S3 refuses the call for good (`BadRequestException` and the like).
    Refused {
        /// S3's message.
        says: String,
    },
}

/// Polls jobs of S3 Batch Operations.
pub trait ReadJobs {
    /// `DescribeJob`; `None` if S3 does not know it.
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError>;
}

/// Confirms and cancels jobs of S3 Batch Operations.
pub trait UpdateJobs {
    /// `UpdateJobStatus` to `Ready`. Succeeds also if the job does not wait for a confirmation any more.
    async fn confirm_job(&self, id: &str) -> Result<(), PortError>;

    /// `UpdateJobStatus` to `Cancelled`. Succeeds also if there is no such job, or if it has ended.
    async fn cancel_job(&self, id: &str) -> Result<(), PortError>;
}

/// Reads distributions.
pub trait ReadDistributions {
    /// The distributions with these ids, and the staging distributions to which continuous deployment policies of these send
    /// viewers, if thaw may look for them; if no ids are given, those of the account that have the bucket as an origin. They
    /// may come from a cache of some minutes.
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError>;
}

/// Begins invalidations.
pub trait CreateInvalidations {
    /// `CreateInvalidation`. Idempotent: the same reference with the same items answers the first invalidation.
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError>;
}

/// CloudFront's answer to a `CreateInvalidation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// CloudFront accepted the call.
    Accepted {
        /// The invalidation's id.
        id: String,
        /// Whether it is complete already.
        completed: bool,
    },
    /// CloudFront refuses the call for good (`InvalidArgument` and the like).
    Refused {
        /// CloudFront's message.
        says: String,
    },
    /// The distribution does not exist any more, so none of its paths is shown (`NoSuchDistribution`).
    Gone {
        /// CloudFront's message.
        says: String,
    },
}

/// The status of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationStatus {
    /// Some edge locations are not invalidated yet.
    InProgress,
    /// It is complete everywhere.
    Completed,
    /// CloudFront does not know it or its distribution any more (`NoSuchInvalidation`, `NoSuchDistribution`).
    Gone {
        /// CloudFront's message.
        says: String,
    },
}

/// Polls invalidations.
pub trait ReadInvalidations {
    /// The status of an invalidation (`GetInvalidation`).
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError>;
}

/// The ledger, the only memory of thaw. Reads are strongly consistent, except those named `eventually`: these cost half
/// as much, and may miss writes of the last moment (DynamoDB Developer Guide, "Read consistency").
pub trait Ledger {
    /// The item with this key.
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError>;

    /// The items with these keys, in any order. Items that do not exist are left out.
    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError>;

    /// The same by eventually consistent reads.
    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError>;

    /// Writes an item if there is none with its key.
    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError>;

    /// Replaces the item whose revision is one less.
    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError>;

    /// The items of a partition whose sort keys begin with that of this key, in their order.
    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError>;

    /// The same by eventually consistent reads.
    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError>;
}

/// An item of the ledger.
pub trait Item: Serialize + DeserializeOwned + Clone {
    /// The item's key.
    fn key(&self) -> ItemKey;
    /// The revision, which counts the item's changes.
    fn revision(&self) -> u64;
}

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

/// The result of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<T> {
    /// The item was written.
    Done,
    /// The condition did not hold, and this is the existing item.
    Lost(T),
}

/// Starts executions.
pub trait StartExecutions {
    /// `StartExecution`. Succeeds also if an execution of this name exists, because names are ids.
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError>;
}

/// Stops executions.
pub trait StopExecutions {
    /// `StopExecution`. Succeeds also if there is no such execution, or if it has ended.
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError>;
}

/// Polls executions.
pub trait ReadExecutions {
    /// `DescribeExecution`, which is eventually consistent; `None` if Step Functions knows no execution of this name.
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError>;
}

/// Lists executions.
pub trait ListExecutions {
    /// The names of executions that run, a thousand at most (`ListExecutions`, which is eventually consistent).
    async fn running(&self) -> Result<Vec<String>, PortError>;
}

/// Reads the stack to which the function belongs.
pub trait ReadStack {
    /// Whether the whole stack is on its way out, and not only a resource of it (`DescribeStacks`).
    async fn is_going(&self) -> Result<bool, PortError>;
}

/// Puts events on the default bus.
pub trait PutEvents {
    /// Sends one event of source `thaw`.
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError>;
}

/// Receives further messages of the queue whose messages invoked the function: Lambda hands over ten at most, unless it
/// may gather them for longer than a small restore should wait.
pub trait ReceiveMessages {
    /// The messages that are on the queue after so long a wait, and about so many at most (`ReceiveMessage`, until one
    /// answers fewer than ten).
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError>;

    /// Deletes messages by their receipts. The others become visible again.
    async fn delete(&self, receipts: &[String]) -> Result<(), PortError>;
}

/// A message that a function received itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// What deletes it.
    pub receipt: String,
}

/// Sends messages to the queue of ConfirmInvalidations.
pub trait SendConfirmations {
    /// `SendMessage`. The function gets the message after the delay, 15 minutes at most.
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError>;
}

/// Stores messages that can never be read.
pub trait DeadLetters {
    /// Sends a message's text to the dead-letter queue of the queue it came from, with the reason in words.
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError>;
}

/// Reads the configurations of buckets. S3 is told the stack's account, and tells nothing of buckets of others.
pub trait ReadBuckets {
    /// Where a bucket is (`GetBucketVersioning`).
    async fn bucket(&self, bucket: &str) -> Result<FoundBucket, PortError>;

    /// How its new objects are encrypted (`GetBucketEncryption`).
    async fn encryption(&self, bucket: &str) -> Result<Encryption, PortError>;

    /// Where its events go, in S3's XML (`GetBucketNotificationConfiguration`).
    async fn notifications(&self, bucket: &str) -> Result<String, PortError>;
}

/// Changes where a bucket's events go.
pub trait PutNotifications {
    /// `PutBucketNotificationConfiguration` of this XML, which replaces all of it. S3 does not check the queues, topics
    /// and functions in it: they were there before.
    async fn put_notifications(&self, bucket: &str, xml: &str) -> Result<(), PortError>;
}

/// What S3 says of a bucket's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBucket {
    /// It is in the stack's account and Region.
    Ours,
    /// It is in another Region, with this name if S3 says it.
    Elsewhere {
        /// The Region; empty if S3 does not say it.
        region: String,
    },
    /// Another account has it, and lets thaw look at it.
    OfAnotherAccount,
    /// There is none.
    Missing,
}

/// Reads distributions one by one, without the cache.
pub trait DescribeDistributions {
    /// `GetDistribution`; `None` if there is none with this id. Cache policies are not read.
    async fn describe(&self, id: &str) -> Result<Option<(Distribution, Serving)>, PortError>;

    /// The ids of the account's distributions that have the bucket as an origin, or may have it (`ListDistributions`).
    async fn with_origin(&self, bucket: &str) -> Result<Vec<String>, PortError>;
}

/// Reads the account's quotas of Lambda.
pub trait ReadLambdaQuota {
    /// `GetAccountSettings`.
    async fn lambda_quota(&self) -> Result<LambdaQuota, PortError>;
}

/// What is left of the account's quotas of Lambda in the Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LambdaQuota {
    /// Functions that may run at a time, without those that are reserved (`UnreservedConcurrentExecutions`).
    pub functions_at_a_time: u64,
    /// Bytes that may still be stored as code.
    pub bytes_of_code: u64,
}
