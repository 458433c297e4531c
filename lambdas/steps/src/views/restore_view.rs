//! What the doors say about a restore: made from the ledger's items, never kept.

use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{Alternative, Batch, Call, Cost, Counts, Failure, KindTotal, Request, RestoreId, Stage, Status, Tier};

use crate::StepError;
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::RestoreRecord;
use crate::ledger::rows::batches_of;
use crate::ports::{Ledger, WorkFiles};

/// Seconds after which it is worth asking again about a restore that runs. Restores take hours; a person who looks at a
/// screen wants to see the last step within a minute.
pub(crate) const RETRY_RUNNING_SECONDS: u32 = 60;

/// Failures in the view of a restore; the list of its objects has them all.
const FAILURES_SHOWN: usize = 20;

/// A restore, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreView {
    /// Its id, which is the name of its execution.
    pub id: RestoreId,
    /// Whether it runs, and how it ended.
    pub status: Status,
    /// What it is doing.
    pub stage: Stage,
    /// The bucket the objects are in.
    pub bucket: String,
    /// How fast, as asked.
    pub tier: Tier,
    /// How many days copies stay. Objects of Intelligent-Tiering have no copy: they come back for good.
    pub days: u32,
    /// How many objects are where. Until it is planned, only `total` is known, and of a prefix not even that.
    pub counts: Counts,
    /// When they were counted, if that was not now: restores of more than 10,000 objects are counted when they are looked
    /// at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When the first and the last object are typically readable; absent until it is planned, and if nothing needs to be
    /// waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: Option<[Timestamp; 2]>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// What it was estimated to cost; absent until it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Names the plan; absent until there is one. A request that confirms it is carried out only if it would be planned so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// How much lies where; empty until it is planned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_kind: Vec<KindTotal>,
    /// Whether S3 Batch Operations asks for what is archived; absent until it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_operations: Option<bool>,
    /// The same at other tiers, as the plan priced it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Paths that the plan counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<u64>,
    /// How many are expected to be billed for them: fewer where wildcards stand for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_paths: Option<u64>,
    /// The invalidations that publish its objects, of restores that are counted now.
    pub invalidations: Vec<InvalidationView>,
    /// The first 20 objects that failed.
    pub failures: Vec<Failure>,
    /// What the requester should know.
    pub warnings: Vec<String>,
    /// How it ended, in words.
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
    /// The restore as it stands now, counted from its rows.
    pub async fn read(record: &RestoreRecord, ledger: &impl Ledger, files: &impl WorkFiles) -> Result<Self, StepError> {
        let mut progress = RestoreProgress::of(record, ledger, files).await?;
        let batches = batches_of(std::mem::take(&mut progress.claims), &[], ledger).await?;
        Ok(Self::of(record, progress, &batches))
    }

    /// A restore at the moment it was asked for.
    pub(crate) fn accepted(id: &RestoreId, asked: &Request, requested_at: Timestamp) -> Self {
        Self::of(&RestoreRecord::new(id.clone(), asked, requested_at), RestoreProgress::default(), &[])
    }

    /// A restore from where its objects stand and from the batches that claimed them.
    pub(crate) fn of(record: &RestoreRecord, progress: RestoreProgress, batches: &[Batch]) -> Self {
        let plan = record.plan.as_ref();
        let RestoreProgress { counts, failures, counted_at, claims: _, claimed: _ } = progress;
        let (counts, stage) = match plan {
            Some(_) => (counts, counts.stage(record.status)),
            None => {
                let total = record.asked.unwrap_or_default();
                let cancelled = if record.status == Status::Cancelled { total } else { 0 };
                let counts = Counts { total, cancelled, ..Counts::default() };
                (counts, Counts::default().stage(record.status))
            }
        };
        Self {
            id: record.id.clone(),
            status: record.status,
            stage,
            bucket: record.request.bucket.clone(),
            tier: record.request.tier,
            days: record.request.copy_days(),
            counts,
            counted_at,
            requested_at: record.requested_at,
            ready_between: plan.and_then(|plan| plan.ready_between),
            completed_at: record.completed_at,
            cost: plan.map(|plan| plan.cost.clone()),
            plan_hash: plan.map(|plan| plan.hash.clone()),
            by_kind: plan.map(|plan| plan.by_kind.clone()).unwrap_or_default(),
            batch_operations: plan.map(|plan| !plan.jobs.is_empty()),
            alternatives: plan.map(|plan| plan.alternatives.clone()).unwrap_or_default(),
            paths: plan.map(|plan| plan.paths),
            billed_paths: plan.map(|plan| plan.billed_paths),
            invalidations: invalidations(batches),
            failures: failures.into_iter().take(FAILURES_SHOWN).collect(),
            warnings: plan.map(|plan| plan.warnings.clone()).unwrap_or_default(),
            says: record.says.clone(),
            links: Links::of(&record.id),
        }
    }
}

/// A CloudFront invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidationView {
    /// CloudFront's id for it; absent until CloudFront has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The distribution's id.
    pub distribution: String,
    /// Where it stands.
    pub status: InvalidationStatus,
    /// How many paths it has. Other restores of the same objects share it.
    pub paths: u64,
}

/// Where an invalidation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InvalidationStatus {
    /// CloudFront has not taken it yet.
    Pending,
    /// CloudFront is telling its edges.
    InProgress,
    /// It took effect everywhere.
    Completed,
    /// CloudFront will not take it.
    Refused,
}

fn invalidations(batches: &[Batch]) -> Vec<InvalidationView> {
    let view = |call: &Call| InvalidationView {
        id: call.invalidation.clone(),
        distribution: call.distribution.clone(),
        status: match call {
            Call { refused: Some(_), .. } => InvalidationStatus::Refused,
            Call { completed: true, .. } => InvalidationStatus::Completed,
            Call { invalidation: Some(_), .. } => InvalidationStatus::InProgress,
            Call { invalidation: None, .. } => InvalidationStatus::Pending,
        },
        paths: call.items.len() as u64,
    };
    batches.iter().filter_map(|batch| batch.calls.as_ref()).flatten().map(view).collect()
}

/// A restore in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreSummary {
    /// Its id.
    pub id: RestoreId,
    /// Whether it runs, and how it ended.
    pub status: Status,
    /// The bucket the objects are in.
    pub bucket: String,
    /// How fast, as asked.
    pub tier: Tier,
    /// How many objects were asked for.
    pub objects: u64,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When the first and the last object are typically readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: Option<[Timestamp; 2]>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Where to read more.
    pub links: Links,
}

impl RestoreSummary {
    /// What the restore's own item knows.
    pub(crate) fn of(record: RestoreRecord) -> Self {
        Self {
            links: Links::of(&record.id),
            objects: record.plan.as_ref().map(|plan| plan.counts.total).or(record.asked).unwrap_or_default(),
            id: record.id,
            status: record.status,
            tier: record.request.tier,
            bucket: record.request.bucket,
            requested_at: record.requested_at,
            ready_between: record.plan.and_then(|plan| plan.ready_between),
            completed_at: record.completed_at,
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
    /// Asks for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
