//! What the steps need of the world, in their own words. `thaw-aws` implements it on AWS, `thaw-sim` in process.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thaw_core::{
    ArchiveKind, CallError, Distribution, Execution, Facts, Job, JobGroup, LeftOut, ObjectId, Readability,
    RestoreAnswer, RestoreId, S3Uri, Tier,
};

/// Objects a step asks a service about at a time. With 64 in flight, the SDK on one thread sends some 2,600 requests a
/// second at 20 ms each, more than S3's 1,000 restores a second per account.
pub(crate) const IN_FLIGHT: usize = 64;

/// A service did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {says}")]
pub struct PortError {
    /// What was being done, to what: "HeadObject of s3://b/k".
    pub what: String,
    /// What the service said.
    pub says: String,
    /// What kind of trouble it is; `None` is an answer nobody foresaw.
    pub trouble: Option<CallError>,
}

/// Asks S3 about objects.
pub trait ReadArchive {
    /// `HeadObject`, of the version if the object names one.
    ///
    /// An object that is not there, or may not be read, is an answer; trouble is an error.
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError>;

    /// One page (at most 1,000 keys) of `ListObjectsV2` with `RestoreStatus`: the keys under `prefix` from a place on,
    /// current versions only.
    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError>;

    /// The folders directly under `prefix` that hold keys after `after`, in order, each with its prefix and its slash: those
    /// of one page of `ListObjectsV2` with the delimiter `/`. Where there are thousands of them, or of keys beside them, not
    /// all.
    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError>;

    /// One page (at most 1,000 versions, older ones and delete markers included) of `ListObjectVersions` with
    /// `RestoreStatus`: the current versions under `prefix`, each with its id. `after` is where the page before ended.
    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError>;

    /// A piece of a manifest, or of a file in the inbox, from this byte on; `None` if there is no such file or it may not be read.
    ///
    /// `etag` is that of the piece before: a file that was changed since is trouble, and read again from its beginning.
    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError>;

    /// Whether objects of the bucket have versions (`GetBucketVersioning`: enabled, or suspended by now).
    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError>;
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes: some hundred thousand at most.
    pub bytes: Vec<u8>,
    /// Names the content of the whole file.
    pub etag: String,
    /// Whether more follows.
    pub more: bool,
}

/// Where a page of `ListObjectsV2` begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListFrom {
    /// After this key (`StartAfter`); the empty key is the beginning.
    After(String),
    /// Where a page ended that held no key (`ContinuationToken`).
    Token(String),
}

impl ListFrom {
    /// After a key.
    pub fn after(key: impl Into<String>) -> Self {
        Self::After(key.into())
    }

    /// The key, if the place is one.
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
    /// In order of keys. It may hold none although more follow: S3 promises "up to" a number of keys a page, and only
    /// `IsTruncated` says that the listing is over (API Reference, "ListObjectsV2").
    pub objects: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<ListFrom>,
}

impl Page {
    /// A page, and the token that continues it if it is truncated.
    ///
    /// The next page begins after the last key of this one. A key stays a place for as long as it takes; how long a token
    /// does, S3 does not say. So the token is only used where there is no key.
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
    /// In order of keys. It may hold none although more follow, where keys have many older versions.
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
    /// What S3 says of its restore; `None` when it says nothing.
    pub restore: Option<ListedRestore>,
}

/// `RestoreStatus` of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedRestore {
    /// `IsRestoreInProgress`.
    Ongoing,
    /// A copy is live until then.
    Copy(Timestamp),
}

impl Listed {
    /// Whether the object can be read, as far as a listing tells: it does not tell the access tiers of
    /// Intelligent-Tiering.
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
    /// `RestoreObject`. `days` is `None` for Intelligent-Tiering, where S3 refuses them.
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError>;
}

/// Files in the work bucket.
pub trait WorkFiles {
    /// Writes a file, replacing what was there.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError>;

    /// Reads a file; `None` if there is none.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError>;
}

/// Files in the work bucket that are too long to be held in memory.
pub trait LongFiles {
    /// `CreateMultipartUpload`; answers the upload's id. One that is never finished goes away by itself after a day.
    async fn begin(&self, name: &str) -> Result<String, PortError>;

    /// `UploadPart`; answers the part's ETag. Numbers begin with 1, and each part but the last has 5 MiB at least.
    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError>;

    /// `CompleteMultipartUpload` of the parts with these ETags, in order; answers the file's ETag. The same parts make the
    /// same file, with the same ETag.
    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError>;

    /// A piece of a file from this byte on; `None` if there is no such file.
    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError>;
}

/// Creates jobs of S3 Batch Operations.
pub trait CreateJobs {
    /// `CreateJob`. The same token answers the same job. The job does not run before it is confirmed.
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError>;
}

/// A job that asks for restores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// Names the call: whoever repeats it means the same job.
    pub token: &'a str,
    /// The restore that it is for: the job's description.
    pub restore: &'a RestoreId,
    /// The file in the work bucket that lists the objects.
    pub manifest: &'a str,
    /// Its ETag: another file than that is not read.
    pub etag: &'a str,
    /// What the objects have in common.
    pub group: JobGroup,
    /// How long copies stay; `None` for objects that have none.
    pub days: Option<u32>,
    /// How fast.
    pub tier: Tier,
    /// Where in the work bucket the report goes: `<here>/job-<id>/manifest.json`.
    pub report: &'a str,
}

/// S3's answer to a `CreateJob`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedJob {
    /// It has made the job, or knew it already.
    Accepted {
        /// Its id.
        id: String,
    },
    /// It will never take this call (`BadRequestException` and the like).
    Refused {
        /// Its words.
        says: String,
    },
}

/// Looks at jobs of S3 Batch Operations.
pub trait ReadJobs {
    /// `DescribeJob`; `None` if S3 does not know it.
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError>;
}

/// Lets jobs of S3 Batch Operations run, and stops them.
pub trait UpdateJobs {
    /// `UpdateJobStatus` to `Ready`. That the job is not to be confirmed any more is a success.
    async fn confirm_job(&self, id: &str) -> Result<(), PortError>;

    /// `UpdateJobStatus` to `Cancelled`. That there is none, or that it has ended, is a success.
    async fn cancel_job(&self, id: &str) -> Result<(), PortError>;
}

/// Reads distributions.
pub trait ReadDistributions {
    /// The distributions with these ids; if none are named, those of the account that have the bucket as an origin. They may
    /// have been read some minutes ago.
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError>;
}

/// Distributions that may be invalidated, and those that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distributions {
    /// How they show keys.
    pub shown: Vec<Distribution>,
    /// The ids of the others (or domain names, where only those are known), and why.
    pub left_out: Vec<(String, LeftOut)>,
}

/// Begins invalidations.
pub trait CreateInvalidations {
    /// `CreateInvalidation`. The same reference with the same items answers the first invalidation again.
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
    /// It took the call.
    Accepted {
        /// Its id.
        id: String,
        /// Whether it took effect already.
        completed: bool,
    },
    /// It will never take this call (`InvalidArgument` and the like).
    Refused {
        /// Its words.
        says: String,
    },
    /// There is no such distribution any more, so none of its paths is shown (`NoSuchDistribution`).
    Gone {
        /// Its words.
        says: String,
    },
}

/// How an invalidation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationStatus {
    /// Some edges have not heard of it yet.
    InProgress,
    /// It has taken effect everywhere.
    Completed,
    /// CloudFront does not know it, or its distribution, any more (`NoSuchInvalidation`, `NoSuchDistribution`).
    Gone {
        /// Its words.
        says: String,
    },
}

/// Looks at invalidations.
pub trait ReadInvalidations {
    /// How an invalidation stands (`GetInvalidation`).
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError>;
}

/// The ledger: the only memory. Reads see every write that was answered before; peeks cost half as much, and may miss those
/// of the last moment (DynamoDB Developer Guide, "Read consistency").
pub trait Ledger {
    /// The item with this key.
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError>;

    /// The items with these keys, in any order; those that do not exist are left out.
    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError>;

    /// A peek at the items with these keys.
    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError>;

    /// Writes an item if there is none with its key.
    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError>;

    /// Writes an item over the one whose revision is one less.
    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError>;

    /// The items of a partition whose sort keys begin with that of this key, in their order.
    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError>;

    /// A peek at the same.
    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError>;
}

/// An item of the ledger.
pub trait Item: Serialize + DeserializeOwned + Clone {
    /// Where it is kept.
    fn key(&self) -> ItemKey;
    /// Counts its changes.
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

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<T> {
    /// It was written.
    Done,
    /// The condition did not hold: this is what is there.
    Lost(T),
}

/// Starts executions.
pub trait StartExecutions {
    /// `StartExecution`. That an execution of this name exists already is a success: names are ids.
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError>;
}

/// Stops executions.
pub trait StopExecutions {
    /// `StopExecution`. That there is none, or that it has ended, is a success.
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError>;
}

/// Looks at executions.
pub trait ReadExecutions {
    /// `DescribeExecution`, which is eventually consistent; `None` if Step Functions knows no execution of this name.
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError>;
}

/// Puts events on the default bus.
pub trait PutEvents {
    /// One event of source `thaw`.
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError>;
}

/// Keeps messages that can never be read.
pub trait DeadLetters {
    /// Sends a message's text to the dead-letter queue of the queue it came from, with the reason in words.
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError>;
}
