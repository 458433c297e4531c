//! The jobs of a restore in the ledger: which there are, and how they ended.

use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{JobEnd, JobGroup, RestoreId, hash};

use crate::StepError;
use crate::ledger::restores::{Planned, RestoreRecord};
use crate::ledger::update::update;
use crate::ports::{Item, ItemKey, Ledger, UpdateJobs};

/// A job of S3 Batch Operations. Its record exists from the moment that its list is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// The restore.
    pub restore: RestoreId,
    /// When its plan was made.
    pub made_at: Timestamp,
    /// The first chunk whose objects it restores. They end where the next part begins.
    pub first_chunk: u32,
    /// What its objects have in common.
    pub group: JobGroup,
    /// The number of objects in its list.
    pub objects: u64,
    /// The ETag of its list.
    pub etag: String,
    /// When the list was written.
    pub created_at: Timestamp,
    /// S3's id of the job; `None` until S3 answered. A job without a known id is never confirmed, so it never runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it was confirmed, or is about to be. From then on it may have asked for any of its objects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// How it ended; `None` while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JobEnd>,
    /// Counts the changes. Every write is conditional on it.
    pub revision: u64,
}

impl JobRecord {
    /// The key of the job of a group of a part.
    fn key_of(restore: &RestoreId, made_at: Timestamp, first_chunk: u32, group: JobGroup) -> ItemKey {
        let sk = format!("job#{}#{first_chunk:05}-{}", made_at.as_millisecond(), group.as_str());
        ItemKey { pk: format!("R#{restore}"), sk }
    }

    /// The folder of a plan's lists and reports in the work bucket.
    pub fn folder(restore: &RestoreId, made_at: Timestamp) -> String {
        format!("restores/{restore}/jobs/{}", made_at.as_millisecond())
    }

    /// The name of the file that lists the objects of a group of a part.
    pub fn list_name(restore: &RestoreId, made_at: Timestamp, first_chunk: u32, group: JobGroup) -> String {
        format!("{}/{first_chunk:05}-{}.csv", Self::folder(restore, made_at), group.as_str())
    }

    /// The idempotency token of the job for `CreateJob`.
    pub fn token(&self) -> String {
        let made_at = self.made_at.as_millisecond().to_string();
        hash(&[self.restore.as_str(), &made_at, &self.first_chunk.to_string(), self.group.as_str()])
    }

    /// Whether it may still send requests.
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it ended before it had asked for all of its objects.
    pub fn is_abandoned(&self) -> bool {
        match &self.end {
            Some(JobEnd::Abandoned { .. }) => true,
            Some(JobEnd::Asked { .. }) | None => false,
        }
    }
}

impl Item for JobRecord {
    fn key(&self) -> ItemKey {
        Self::key_of(&self.restore, self.made_at, self.first_chunk, self.group)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The first chunk of the part that a chunk belongs to; `None` if the plan has no jobs.
pub fn part_of(plan: &Planned, chunk: u32) -> Option<u32> {
    plan.jobs.iter().copied().rfind(|first| *first <= chunk)
}

/// The chunks of a part.
pub fn chunks_of(plan: &Planned, first_chunk: u32) -> Range<u32> {
    let end = plan.jobs.iter().copied().find(|first| *first > first_chunk).unwrap_or(plan.chunks);
    first_chunk..end
}

/// The jobs of these parts, as far as there are any.
pub async fn of_parts(
    ledger: &impl Ledger,
    record: &RestoreRecord,
    parts: &[u32],
) -> Result<Vec<JobRecord>, StepError> {
    let Some(plan) = &record.plan else { return Ok(Vec::new()) };
    let key = |first: &u32| JobGroup::ALL.map(|group| JobRecord::key_of(&record.id, plan.made_at, *first, group));
    let keys: Vec<ItemKey> = parts.iter().flat_map(key).collect();
    let mut jobs: Vec<JobRecord> = if keys.is_empty() { Vec::new() } else { ledger.get_many(&keys).await? };
    jobs.sort_by_key(|job| (job.first_chunk, job.group));
    Ok(jobs)
}

/// All jobs of a restore.
pub async fn all(ledger: &impl Ledger, record: &RestoreRecord) -> Result<Vec<JobRecord>, StepError> {
    let parts = record.plan.as_ref().map_or(&[][..], |plan| &plan.jobs);
    of_parts(ledger, record, parts).await
}

/// Whether jobs ask for the archived objects of a chunk. If a job of the part was abandoned, thaw asks for them itself.
pub async fn ask_for(ledger: &impl Ledger, record: &RestoreRecord, chunk: u32) -> Result<bool, StepError> {
    let Some(part) = record.plan.as_ref().and_then(|plan| part_of(plan, chunk)) else { return Ok(false) };
    Ok(!of_parts(ledger, record, &[part]).await?.iter().any(JobRecord::is_abandoned))
}

/// Cancels the open jobs of a restore that has ended. A job without a known id was never confirmed, and will not be.
pub async fn cancel(ledger: &impl Ledger, record: &RestoreRecord, s3: &impl UpdateJobs) -> Result<(), StepError> {
    for job in all(ledger, record).await? {
        if let Some(id) = job.id.as_ref().filter(|_| job.is_open()) {
            s3.cancel_job(id).await?;
        }
    }
    Ok(())
}

/// Changes a job's record, with optimistic concurrency. A change that changes nothing is not written.
pub async fn change(
    ledger: &impl Ledger,
    job: JobRecord,
    change: impl Fn(&mut JobRecord),
) -> Result<JobRecord, StepError> {
    let next = |job: &JobRecord| {
        let mut next = job.clone();
        change(&mut next);
        (next != *job).then(|| JobRecord { revision: job.revision + 1, ..next })
    };
    update(ledger, job, next).await
}
