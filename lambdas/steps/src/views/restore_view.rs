//! The API's view of a restore: made from the ledger's items for each answer, never stored.

use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{Alternative, Batch, Call, Cost, Counts, Failure, KindTotal, Request, RestoreId, Stage, Status, Tier};

use crate::StepError;
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::RestoreRecord;
use crate::ledger::rows::batches_of;
use crate::ports::{Ledger, WorkFiles};

/// Seconds after which a running restore is worth another poll. Restores take hours, but a person at a screen wants to
/// see the last step within a minute.
pub(crate) const RETRY_RUNNING_SECONDS: u32 = 60;

/// Failures in the view of a restore. The list of its objects shows them all.
const FAILURES_SHOWN: usize = 20;

/// A restore and its progress.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreView {
    /// Its id, which is the name of its execution.
    pub id: RestoreId,
    /// Whether it runs, or how it ended.
    pub status: Status,
    /// What it is doing now.
    pub stage: Stage,
    /// The bucket the objects are in.
    pub bucket: String,
    /// The requested tier.
    pub tier: Tier,
    /// Whether it only invalidates what viewers can read, and asks S3 for nothing. Tier and days mean nothing then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub publish_only: bool,
    /// How many days copies stay. Objects of Intelligent-Tiering have no copy: they move back for good.
    pub days: u32,
    /// How many objects are in which state. Before it is planned only `total` is known, and for a prefix not even that.
    /// If it failed before it was planned, all of them have failed.
    pub counts: Counts,
    /// When the objects were counted, if not now. Restores of more than 10,000 objects are only counted when thaw polls
    /// S3 for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When its plan was made; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
    /// When the first and the last object are typically readable; absent before it is planned, and if no object has to
    /// be waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: Option<[Timestamp; 2]>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When the first and the last copy of its objects expire. From then on viewers get no object again. Absent if it
    /// has no copies, or if its objects were not counted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub copies_expire: Option<[Timestamp; 2]>,
    /// Why it was refused before S3 was asked for anything: the `type` of the problem, such as
    /// `urn:thaw:problem:over-price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The estimated cost; absent before it is planned. Of a restore that was refused for its price, what it would have
    /// cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The hash that names the plan; absent before there is one. A request that confirms this hash is only carried out
    /// if its plan is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Objects and bytes by kind of archive; empty before it is planned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_kind: Vec<KindTotal>,
    /// Whether S3 Batch Operations asks for the archived objects; absent before it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_operations: Option<bool>,
    /// Prices and times of other tiers, from the plan; only of a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// The number of paths in the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<u64>,
    /// How many paths are expected to be billed: fewer than `paths` where a wildcard stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_paths: Option<u64>,
    /// The invalidations that publish its objects, if these were counted now.
    pub invalidations: Vec<InvalidationView>,
    /// The first 20 objects that failed.
    pub failures: Vec<Failure>,
    /// Warnings for the requester.
    pub warnings: Vec<String>,
    /// What it is doing, or how it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Where to read more.
    pub links: Links,
}

/// Where to read more about a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Links {
    /// The restore.
    #[serde(rename = "self")]
    pub this: String,
    /// Its objects.
    pub objects: String,
}

impl Links {
    fn of(id: &RestoreId) -> Self {
        Self { this: format!("/v1/restores/{id}"), objects: format!("/v1/restores/{id}/objects") }
    }
}

impl RestoreView {
    /// The view of a restore as it is now.
    pub async fn read(record: &RestoreRecord, ledger: &impl Ledger, files: &impl WorkFiles) -> Result<Self, StepError> {
        let mut progress = RestoreProgress::of(record, ledger, files).await?;
        let batches = batches_of(std::mem::take(&mut progress.claims), &[], ledger).await?;
        Ok(Self::of(record, progress, &batches))
    }

    /// The view of a restore when it is requested.
    pub(crate) fn accepted(id: &RestoreId, asked: &Request, requested_at: Timestamp) -> Self {
        Self::of(&RestoreRecord::new(id.clone(), asked, requested_at), RestoreProgress::default(), &[])
    }

    /// The view of a restore from the progress of its objects and the batches that claimed them.
    pub(crate) fn of(record: &RestoreRecord, progress: RestoreProgress, batches: &[Batch]) -> Self {
        let plan = record.plan.as_ref();
        let RestoreProgress { counts, failures, counted_at, copies_expire, claims: _, claimed: _ } = progress;
        let (counts, stage) = match plan {
            Some(_) => (counts, counts.stage(record.status)),
            None => {
                let total = record.asked.unwrap_or_default();
                let counts = match record.status {
                    Status::Cancelled => Counts { total, cancelled: total, ..Counts::default() },
                    Status::Failed => Counts { total, failed: total, ..Counts::default() },
                    Status::Running | Status::Succeeded | Status::PartlyFailed => Counts { total, ..Counts::default() },
                };
                (counts, Counts::default().stage(record.status))
            }
        };
        let refusal = record.refusal.as_ref();
        let ready_between = plan.and_then(|plan| plan.ready_between);
        Self {
            id: record.id.clone(),
            status: record.status,
            stage,
            bucket: record.request.bucket.clone(),
            tier: record.request.tier,
            publish_only: record.request.publish_only,
            days: record.request.copy_days(),
            counts,
            counted_at,
            requested_at: record.requested_at,
            planned_at: plan.map(|plan| plan.made_at),
            ready_between,
            completed_at: record.completed_at,
            copies_expire,
            problem: refusal.map(|refusal| refusal.problem.clone()),
            cost: plan.map(|plan| plan.cost.clone()).or_else(|| refusal.and_then(|refusal| refusal.cost.clone())),
            plan_hash: plan.map(|plan| plan.hash.clone()),
            by_kind: plan.map(|plan| plan.by_kind.clone()).unwrap_or_default(),
            batch_operations: plan.map(|plan| !plan.jobs.is_empty()),
            alternatives: plan
                .filter(|_| record.request.dry_run)
                .map(|plan| plan.alternatives.clone())
                .unwrap_or_default(),
            paths: plan.map(|plan| plan.paths),
            billed_paths: plan.map(|plan| plan.billed_paths),
            invalidations: invalidations(batches),
            failures: failures.into_iter().take(FAILURES_SHOWN).collect(),
            warnings: plan.map(|plan| plan.warnings.clone()).unwrap_or_default(),
            says: record.says.clone().or_else(|| thaw_core::progress(stage, counts, ready_between)),
            links: Links::of(&record.id),
        }
    }
}

/// A CloudFront invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidationView {
    /// CloudFront's id of it; absent before CloudFront has accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The distribution's id.
    pub distribution: String,
    /// Its status.
    pub status: InvalidationStatus,
    /// How many paths it has. It may be shared with other restores of the same objects.
    pub paths: u64,
    /// When thaw wrote down that it is going to ask CloudFront for it.
    pub requested_at: Timestamp,
    /// When thaw knew that it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// CloudFront's message, if it refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The status of an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InvalidationStatus {
    /// CloudFront has not accepted it yet.
    Pending,
    /// CloudFront is invalidating its edge locations.
    InProgress,
    /// It is complete everywhere.
    Completed,
    /// CloudFront refused it for good.
    Refused,
}

fn invalidations(batches: &[Batch]) -> Vec<InvalidationView> {
    let view = |batch: &Batch, call: &Call| InvalidationView {
        id: call.invalidation.clone(),
        distribution: call.distribution.clone(),
        status: match call {
            Call { refused: Some(_), .. } | Call { denied: Some(_), .. } => InvalidationStatus::Refused,
            Call { completed: true, .. } => InvalidationStatus::Completed,
            Call { invalidation: Some(_), .. } => InvalidationStatus::InProgress,
            Call { invalidation: None, .. } => InvalidationStatus::Pending,
        },
        paths: call.items.len() as u64,
        requested_at: batch.created_at,
        completed_at: batch.completed_at.filter(|_| call.completed),
        message: call.refused.clone().or_else(|| call.denied.clone()),
    };
    let calls = batches.iter().flat_map(|batch| batch.calls.iter().flatten().map(move |call| (batch, call)));
    calls.map(|(batch, call)| view(batch, call)).collect()
}

/// A restore in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreSummary {
    /// Its id.
    pub id: RestoreId,
    /// Whether it runs, or how it ended.
    pub status: Status,
    /// The bucket the objects are in.
    pub bucket: String,
    /// The requested tier.
    pub tier: Tier,
    /// Whether it only invalidates what viewers can read. The tier means nothing then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub publish_only: bool,
    /// How many objects were requested.
    pub objects: u64,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When the first and the last object are typically readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: Option<[Timestamp; 2]>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Why it was refused, as in the view of the restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Where to read more.
    pub links: Links,
}

impl RestoreSummary {
    /// The summary from the restore's own item.
    pub(crate) fn of(record: RestoreRecord) -> Self {
        Self {
            links: Links::of(&record.id),
            objects: record.plan.as_ref().map(|plan| plan.counts.total).or(record.asked).unwrap_or_default(),
            id: record.id,
            status: record.status,
            tier: record.request.tier,
            publish_only: record.request.publish_only,
            bucket: record.request.bucket,
            requested_at: record.requested_at,
            ready_between: record.plan.and_then(|plan| plan.ready_between),
            completed_at: record.completed_at,
            problem: record.refusal.map(|refusal| refusal.problem),
            says: record.says,
        }
    }
}

/// A page of restores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestorePage {
    /// Newest first.
    pub restores: Vec<RestoreSummary>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
