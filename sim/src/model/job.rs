//! S3 Batch Operations: jobs that ask for the restore of every object in a list.
//!
//! A job is prepared, waits for its confirmation if it was created so, asks for one object after the other at a set rate, and
//! writes its report. That it is complete says that every object was asked for, and nothing about the restores.

use super::api_error::ApiError;
use super::object_ref::ObjectRef;
use super::restore::{RestoreAnswer, RetrievalTier};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What `CreateJob` is asked. The operation is always the restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// `ClientRequestToken`.
    pub token: String,
    /// For people.
    pub description: String,
    /// The list.
    pub manifest: ObjectRef,
    /// Its entity tag.
    pub etag: String,
    /// Whether its lines have a third field, the version.
    pub versions: bool,
    /// `ExpirationInDays`.
    pub days: Option<u32>,
    /// `GlacierJobTier`.
    pub tier: RetrievalTier,
    /// The bucket of the report.
    pub report_bucket: String,
    /// Its prefix. The scope is always `FailedTasksOnly`.
    pub report_prefix: String,
    /// Whether the job waits to be confirmed.
    pub confirmation_required: bool,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum JobStatus {
    /// S3 reads the list.
    Preparing,
    /// It waits to be confirmed.
    Suspended,
    /// It asks.
    Active,
    /// It has asked for every object.
    Complete,
    /// It was given up.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl JobStatus {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "Preparing",
            Self::Suspended => "Suspended",
            Self::Active => "Active",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    pub(super) fn is_over(self) -> bool {
        match self {
            Self::Preparing | Self::Suspended | Self::Active => false,
            Self::Complete | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// A line of the list, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTask {
    /// The object.
    pub object: ObjectRef,
    /// The key as the list has it.
    pub(super) line_key: String,
    /// When the copy that there was already would have gone away.
    pub before: Option<Timestamp>,
    /// What S3 said, and when; `None` if it was not asked.
    pub said: Option<(Timestamp, Result<RestoreAnswer, ApiError>)>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it was asked.
    pub request: JobRequest,
    /// Where it stands.
    pub status: JobStatus,
    /// When it was created.
    pub created: Timestamp,
    /// Why it failed or was cancelled.
    pub why: String,
    /// Its objects, once it is prepared.
    pub tasks: Vec<JobTask>,
    /// When it began to ask.
    pub(super) active_since: Option<Timestamp>,
    /// How many objects it has asked for.
    pub(super) asked: usize,
}

impl Job {
    /// How many objects were asked for with success, and how many without.
    pub fn progress(&self) -> (u64, u64) {
        let said = |ok: bool| {
            self.tasks.iter().filter(|task| task.said.as_ref().is_some_and(|(_, said)| said.is_ok() == ok)).count()
                as u64
        };
        (said(true), said(false))
    }

    /// When something happens to it by itself.
    pub(super) fn next_at(&self, prepared_after: u32, task_millis: u32) -> Option<Timestamp> {
        let after = |from: Timestamp, millis: i64| {
            from.checked_add(SignedDuration::from_millis(millis)).unwrap_or(Timestamp::MAX)
        };
        match self.status {
            JobStatus::Preparing => Some(after(self.created, i64::from(prepared_after) * 1_000)),
            JobStatus::Active => {
                let millis = i64::try_from(self.asked + 1).unwrap_or(i64::MAX).saturating_mul(i64::from(task_millis));
                self.active_since.map(|since| after(since, millis))
            }
            JobStatus::Suspended | JobStatus::Complete | JobStatus::Failed | JobStatus::Cancelled => None,
        }
    }
}
