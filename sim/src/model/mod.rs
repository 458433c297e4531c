//! The model: S3's archives and CloudFront's cache in one struct, with no clock and no I/O of its own.
//!
//! Every call takes `now`. Nothing is scheduled: what an object *is* at a moment follows from what was asked
//! of it and when, so a test may jump days ahead in one step and a scaled clock may run as fast as it likes.
//! The same seed and the same calls give the same answers.

mod bucket;
mod bucket_calls;
mod chance;
mod event;
mod event_calls;
mod fault;
mod job;
mod job_calls;
mod list;
mod meter;
mod object;
mod object_calls;
mod object_ref;
mod refusal;
mod restore;
mod restore_calls;
mod settings;
mod sim;
mod snapshot;
mod storage_class;

pub use event::{DropRule, Event, EventFaults, RestoreEvent, SentEvent};
pub use fault::{FaultRule, When, matches};
pub use job::{Job, JobRequest, JobStatus, JobTask};
pub use list::{ListRequest, Listed, ListedVersion, Page, VersionPage, VersionPlace};
pub use object::{Content, Deleted, Head, PutRequest, Series, Stored};
pub use object_ref::ObjectRef;
pub use refusal::Refusal;
pub use restore::{
    RestoreAnswer, RestoreCalls, RestoreRequest, RestoreState, RetrievalRule, RetrievalTier, next_midnight,
    retrieval_window, retrieval_window_by_jobs,
};
pub use settings::{Limits, QuotaAnswer, QuotaRegime, Settings, SettingsChange};
pub use sim::Sim;
pub use storage_class::{AccessTier, ArchiveKind, StorageClass};

pub(crate) use chance::{hash, name};
pub(crate) use fault::glob;

#[cfg(test)]
mod tests;
