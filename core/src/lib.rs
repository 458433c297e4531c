//! thaw's decisions: which objects need a restore, when to look, what to invalidate, what it costs.
//!
//! Everything here is a pure function over plain types. The vocabulary:
//!
//! | word | means |
//! |---|---|
//! | restore | one request for one or many objects of one bucket; one state machine execution ([`RestoreId`]) |
//! | object | bucket + key + version ([`ObjectId`]) |
//! | archive kind | where a cold object lies ([`ArchiveKind`]) |
//! | tier | how fast to fetch it ([`Tier`]) |
//! | copy | the temporary readable copy; Intelligent-Tiering has none |
//! | row | one object of one restore in the ledger ([`Row`]), its life a fold over [`Event`]s |
//! | path | what a viewer asks CloudFront for, derived from a key per distribution ([`Distribution::paths_of`]) |
//! | batch | objects whose paths are invalidated together, claimed before CloudFront is called ([`Batch`]) |
//! | fold | fewer billed paths for many ([`fold()`]) |
//! | job | one of S3 Batch Operations: asks S3 for many objects at a time ([`JobGroup`]) |
//! | look | one check of objects that are still being restored |
//! | execution | one run of the state machine, as Step Functions knows it ([`Execution`]) |
//! | inbox | where a file that is dropped is an order ([`InboxFile`]) |
//!
//! ```
//! use thaw_core::{ArchiveKind, Tier};
//! // Expedited is not offered for Deep Archive, so there is nothing to wait for.
//! assert!(ArchiveKind::Deep.window(Tier::Expedited).is_none());
//! assert_eq!(ArchiveKind::Flexible.window(Tier::Standard).unwrap().typical.as_secs(), 5 * 3600);
//! ```
//!
//! # What does this crate not do?
//!
//! It has no async, no clock (`now` is an argument), no environment and no AWS: `clippy.toml` and the
//! list of dependencies hold it to that.

// Every enum is matched whole: a new variant makes the compiler list the places to think about.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod adoption;
mod answer;
mod archive;
mod batch;
mod bytes;
mod cache_key;
mod decision;
mod distribution;
mod execution;
mod filter;
mod fold;
mod glob;
mod id;
mod inbox;
mod inventory;
mod job;
mod manifest;
mod object_state;
mod path;
mod plan;
mod price;
mod problem;
mod rate_limiter;
mod request;
#[cfg(feature = "openapi")]
mod request_schema;
mod retrieval;
mod s3_event;
mod s3_uri;
mod serving;
mod staleness;
mod status;
mod wildcard;

pub use adoption::Adoption;
pub use answer::{CallError, HeadError, RestoreAnswer, head_error, is_about_a_key, trouble};
pub use archive::{ArchiveKind, Head, Readability, Tier, UnreadableHead, copy_expiry};
pub use batch::{Batch, Call, Candidate, Readiness, batches, billed, caller_reference, folded, of_the_same_copy};
pub use bytes::Bytes;
pub use cache_key::{QueryStrings, is_any_query_string};
pub use decision::{Decision, Facts, Missing, PlannedAction, decide, decide_readability};
pub use distribution::{Behaviour, Covered, Distribution, ErrorRule, Folder, Origin, OriginGroup, Paths};
pub use execution::{Execution, ExecutionStatus, why, why_it_ended};
pub use filter::Filter;
pub use fold::{Fold, Item, Neighbours, Unsorted, fold};
pub use glob::{Glob, InvalidGlob};
pub use id::{BatchId, InvalidId, NULL_VERSION, ObjectId, RestoreId, hash, hash_bytes};
pub use inbox::{INBOX, InboxFile, Order};
pub use inventory::{DataFile, Inventory, MAX_INVENTORY_BYTES};
pub use job::{
    BATCH_OPERATIONS_OVER, FailedTask, Job, JobEnd, JobGroup, JobMove, JobStatus, OBJECTS_PER_JOB, ReportReader,
    UnreadableReport, failed_reports, is_asked_by_jobs, next_move, parts, seconds_until_next_check,
};
pub use manifest::{MAX_MANIFEST_BYTES, ManifestPlace, ManifestReader, first_bucket};
pub use object_state::{ChunkPosition, Event, FailureCode, IllegalEvent, PublishedReason, Row, State, advance};
pub use path::{Endpoint, encode_path};
pub use plan::{Alternative, KindTotal};
pub use price::{Cost, Line, Overhead, PriceList, Usd};
pub use problem::Problem;
pub use rate_limiter::{
    LANES, OUR_PATHS_PER_SECOND, PATHS_PER_SECOND, RESTORES_PER_SECOND, RateLimiter, paths_counted,
};
pub use request::{
    ExpeditedFallback, MAX_BODY_BYTES, MAX_KEYS, ObjectSelector, ObjectsOf, Publish, PublishWhen, Request,
    RequestedObject, Source,
};
pub use retrieval::{Look, Window, look};
pub use s3_event::{S3Event, S3EventKind, UnreadableEvent, read_inbox_file, read_s3_events};
pub use s3_uri::S3Uri;
pub use serving::{LeftOut, Serving};
pub use staleness::{Staleness, staleness};
pub use status::{Counts, Failure, Outcome, Stage, Status, sentence};
pub use wildcard::Wildcard;
