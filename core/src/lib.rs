//! thaw's decisions: which objects need a restore, when to look for them, which paths to invalidate, and what that costs.
//!
//! Everything here is a pure function over plain types. Start with `object_state.rs`, the state machine of an object. The
//! vocabulary:
//!
//! | word | meaning |
//! |---|---|
//! | restore | a [`Request`] for objects of one bucket; one execution of the state machine ([`RestoreId`]) |
//! | object | a version of a key in a bucket ([`ObjectId`]) |
//! | kind | the storage class or access tier of an archived object ([`ArchiveKind`]) |
//! | tier | how fast S3 fetches an archived object ([`Tier`]) |
//! | copy | the temporary readable copy of an archived object; Intelligent-Tiering has none |
//! | readability | whether an object can be read now, by S3's description of it ([`Readability`]) |
//! | plan | the decision for every object of a restore ([`PlannedAction`]), and the price ([`Cost`]) |
//! | price list | AWS's prices in a Region ([`PriceList`]) |
//! | ledger | the DynamoDB table with the state of all restores |
//! | chunk | part of a plan: some of its objects, in a file and an item of the ledger ([`ChunkPosition`]) |
//! | row | the ledger's item for one object of one restore ([`Row`]) |
//! | state, event | where an object is in its restore ([`State`]), and what changes that ([`Event`], [`advance`]) |
//! | look | a poll of S3 by the execution, for objects that are still being restored ([`look()`]) |
//! | rate limiter | adapts the rate of calls to AWS's throttling ([`RateLimiter`]) |
//! | lane | one of the functions that request a restore's chunks at the same time ([`LANES`]) |
//! | job | a job of S3 Batch Operations, which requests many objects ([`JobGroup`]) |
//! | publish | to make a readable object visible to viewers, by invalidating its paths ([`Publish`]) |
//! | path | what a viewer requests from CloudFront, derived from a key for each distribution ([`Distribution::paths_of`]) |
//! | path rule | the other paths under which a function of CloudFront shows keys ([`PathRules`]) |
//! | stale | an answer that CloudFront cached while the object was archived, such as a 403 ([`Staleness`]) |
//! | batch | objects whose paths are invalidated together, claimed before CloudFront is called ([`Batch`]) |
//! | confirmation | a message that makes thaw ask CloudFront whether it is done with batches ([`Confirmation`]) |
//! | claim | a batch's right to publish an object ([`Event::Claimed`]) |
//! | fold | to replace paths by fewer wildcards ([`fold()`]) |
//! | neighbour | an object that a wildcard would cover besides the published ones ([`Neighbours`]) |
//! | adoption | to find retrievals in S3 that thaw does not know, and to join them ([`Adoption`]) |
//! | execution | a run of the state machine in Step Functions ([`Execution`]) |
//! | manifest | a file that lists the objects of a request ([`ManifestReader`], [`Inventory`]) |
//! | inbox | the folder in which a new file starts a restore ([`InboxFile`]) |
//! | problem | an error of the API that a caller can act on ([`Problem`]) |
//!
//! ```
//! use thaw_core::{ArchiveKind, Tier};
//! // S3 does not offer Expedited for Deep Archive.
//! assert!(ArchiveKind::Deep.window(Tier::Expedited).is_none());
//! assert_eq!(ArchiveKind::Flexible.window(Tier::Standard).unwrap().typical.as_secs(), 5 * 3600);
//! ```
//!
//! # What does this crate not do?
//!
//! It has no async, no clock (`now` is an argument), no environment and no AWS. `clippy.toml` and the list of
//! dependencies enforce that.

// Enums are matched without wildcards, so that the compiler lists all places that a new variant concerns.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod adoption;
mod answer;
mod archive;
mod batch;
mod bucket_encryption;
mod bucket_events;
mod bucket_name;
mod bytes;
mod cache_key;
mod confirmation;
mod decision;
mod distribution;
mod execution;
mod facts;
mod filter;
mod fold;
mod glob;
mod id;
mod inbox;
mod inventory;
mod job;
mod manifest;
mod object_state;
mod origin;
mod path;
mod path_pattern;
mod path_rules;
mod paths_request;
mod plan;
mod planned_action;
mod price;
mod problem;
mod publish;
mod quantity;
mod quota;
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
mod whole_number;
mod wildcard;

pub use adoption::Adoption;
pub use answer::{CallError, HeadError, RestoreAnswer, head_error, is_about_a_key, trouble};
pub use archive::{ArchiveKind, Head, Readability, Tier, UnreadableHead, copy_expiry};
pub use batch::{Batch, Call, Candidate, batches, billed, caller_reference, folded, of_the_same_copy};
pub use bucket_encryption::{Encryption, KmsKey};
pub use bucket_events::{UnreadableNotifications, sends_to_eventbridge, with_eventbridge, without_eventbridge};
pub use bytes::Bytes;
pub use cache_key::{QueryStrings, is_any_query_string};
pub use confirmation::Confirmation;
pub use decision::Decision;
pub use distribution::{
    Behaviour, Covered, Distribution, ErrorRule, Folder, FunctionEvent, NotShown, OriginGroup, PathReason, Paths,
    Undeclared, ViewerPath,
};
pub use execution::{Execution, ExecutionStatus, why, why_it_ended};
pub use facts::{Facts, Missing};
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
pub use manifest::{KeyReading, MAX_MANIFEST_BYTES, ManifestPlace, ManifestReader, SecondReading, first_bucket};
pub use object_state::{
    ChunkPosition, Event, FailureCode, IllegalEvent, PublishedReason, Readiness, Row, State, advance,
};
pub use origin::Origin;
pub use path::{Endpoint, encode_path};
pub use path_pattern::matches as matches_pattern;
pub use path_rules::{InvalidPathRules, MAX_PATH_RULES_BYTES, PathRules};
pub use paths_request::{MAX_PATHS_KEYS, PathsRequest};
pub use plan::{Alternative, KindTotal};
pub use planned_action::{PlannedAction, decide, decide_readability};
pub use price::{Cost, Line, Overhead, PriceList, Usd};
pub use problem::Problem;
pub use publish::{Publish, PublishWhen};
pub use quantity::{quantity, size};
pub use quota::FEW_FUNCTIONS;
pub use rate_limiter::{
    LANES, OUR_PATHS_PER_SECOND, PATHS_PER_SECOND, RESTORES_PER_SECOND, RateLimiter, paths_counted,
};
pub use request::{
    ExpeditedFallback, MAX_BODY_BYTES, MAX_KEYS, ObjectSelector, ObjectsOf, Request, RequestedObject, Source,
};
pub use retrieval::{Look, Window, look};
pub use s3_event::{S3Event, S3EventKind, UnreadableEvent, read_inbox_file, read_s3_events};
pub use s3_uri::S3Uri;
pub use serving::{DeploymentPolicies, Distributions, LeftOut, Serving, only_tenants, shown_to_tenants};
pub use staleness::{Staleness, staleness};
pub use status::{Counts, Failure, Outcome, Stage, Status, progress, sentence};
pub use wildcard::Wildcard;
