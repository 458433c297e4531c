//! The model: S3's archives and CloudFront's cache in one struct, with no clock and no I/O of its own.
//!
//! Every call takes `now`. Nothing is scheduled: what an object *is* at a moment follows from what was asked
//! of it and when, so a test may jump days ahead in one step and a scaled clock may run as fast as it likes.
//! The same seed and the same calls give the same answers.

mod api_error;
mod bucket;
mod bucket_calls;
mod bucket_document;
mod event;
mod event_calls;
mod fault;
mod job;
mod job_calls;
mod list;
mod object;
mod object_calls;
mod object_ref;
mod random;
mod restore;
mod restore_calls;
mod settings;
mod sim;
mod snapshot;
mod storage_class;
mod token_bucket;

pub use api_error::ApiError;
pub use bucket_document::BucketDocument;
pub use event::{DropRule, Event, EventFaults, RestoreEvent, SentEvent};
pub use fault::{FaultRule, FaultTiming, matches};
pub use job::{Job, JobRequest, JobStatus, JobTask};
pub use list::{ListMarker, ListRequest, Listed, ListedVersion, Page, VersionPage};
pub use object::{Content, DeleteOutput, Head, PutOutput, PutRequest, Series};
pub use object_ref::ObjectRef;
pub use restore::{
    RestoreAnswer, RestoreCalls, RestoreRequest, RestoreState, RetrievalRule, RetrievalTier, next_midnight,
    retrieval_window, retrieval_window_by_jobs,
};
pub use settings::{Limits, QuotaAnswer, QuotaRegime, Settings, SettingsChange};
pub use sim::Sim;
pub use storage_class::{AccessTier, ArchiveKind, StorageClass};

pub(crate) use fault::glob;
pub(crate) use random::{hash, name};

#[cfg(test)]
mod tests;
