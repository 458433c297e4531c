//! A restore as a whole: the request, the plan, and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Alternative, Cost, Counts, KindTotal, Request, RestoreId, Status};
use tracing::info;

use crate::StepError;
use crate::ledger::update::update;
use crate::ports::{Item, ItemKey, Ledger, PortError};

/// A restore as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Its id.
    pub id: RestoreId,
    /// The request without its keys. Those are in the request's file and in the chunks.
    pub request: Request,
    /// How many objects were asked for; `None` while that is unknown, because S3 was not listed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// Whether it still runs, or how it ended.
    pub status: Status,
    /// What the plan found; `None` until there is a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// Why it was refused, if its plan was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Whether the notice was sent that it is late.
    #[serde(default)]
    pub late: bool,
    /// Counts the changes.
    pub revision: u64,
}

/// Why a restore was refused before S3 was asked for anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of the problem: the `type` that its problem details have.
    pub problem: String,
    /// What it would have cost, if that is why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// What a plan found, as far as the restore needs it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// When the plan was made. It names the plan's jobs, and its chunks unless `written` says otherwise.
    pub made_at: Timestamp,
    /// The calls that wrote its chunks, in order, if it took more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenBy>,
    /// The hash by which a requester confirms the plan.
    pub hash: String,
    /// How many chunk files there are.
    pub chunks: u32,
    /// The counts of the objects when they were planned.
    pub counts: Counts,
    /// Objects and bytes by kind of archive.
    pub by_kind: Vec<KindTotal>,
    /// When the objects are typically readable: the first and the last; `None` if none has to be waited for.
    pub ready_between: Option<[Timestamp; 2]>,
    /// The price, line by line.
    pub cost: Cost,
    /// The prices of other tiers.
    pub alternatives: Vec<Alternative>,
    /// The first chunk of each part that S3 Batch Operations asks for; empty if thaw sends all requests itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<u32>,
    /// Paths that will be invalidated.
    pub paths: u64,
    /// How many of them CloudFront is expected to bill.
    #[serde(default)]
    pub billed_paths: u64,
    /// The bytes of the temporary copies in the price.
    #[serde(default)]
    pub copied_bytes: u64,
    /// Warnings for the requester.
    pub warnings: Vec<String>,
}

/// A call that wrote chunks of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBy {
    /// When the call began. It names the call's chunks, so that an abandoned attempt cannot change them any more.
    pub at: Timestamp,
    /// The first chunk that the call wrote.
    pub from_chunk: u32,
}

impl Planned {
    /// When the call that wrote a chunk began.
    pub fn written_at(&self, chunk: u32) -> Timestamp {
        let by = self.written.iter().rev().find(|by| by.from_chunk <= chunk);
        by.map_or(self.made_at, |by| by.at)
    }
}

impl RestoreRecord {
    /// A restore that was just requested.
    pub fn new(id: RestoreId, request: &Request, now: Timestamp) -> Self {
        Self {
            id,
            asked: request.source.count(),
            request: Request { source: request.source.without_keys(), ..request.clone() },
            requested_at: now,
            status: Status::Running,
            plan: None,
            refusal: None,
            completed_at: None,
            says: None,
            late: false,
            revision: 0,
        }
    }

    /// The key of a restore.
    pub fn key_of(id: &RestoreId) -> ItemKey {
        ItemKey { pk: format!("R#{id}"), sk: "restore".to_owned() }
    }

    /// The record with a change, and the next revision.
    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut record = Self { revision: self.revision + 1, ..self.clone() };
        change(&mut record);
        record
    }
}

impl Item for RestoreRecord {
    fn key(&self) -> ItemKey {
        Self::key_of(&self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The restore with this id; an error if there is none.
pub async fn record(ledger: &impl Ledger, id: &RestoreId) -> Result<RestoreRecord, StepError> {
    let found = ledger.get(&RestoreRecord::key_of(id)).await?;
    found.ok_or_else(|| StepError::Unexpected(format!("the ledger has no restore {id}")))
}

/// The statuses of these restores. Ids without a restore are left out.
pub async fn statuses(
    restores: impl Iterator<Item = &RestoreId>,
    ledger: &impl Ledger,
) -> Result<BTreeMap<RestoreId, Status>, StepError> {
    Ok(records(restores, ledger).await?.into_iter().map(|record| (record.id, record.status)).collect())
}

/// These restores. Ids without a restore are left out.
pub async fn records(
    restores: impl Iterator<Item = &RestoreId>,
    ledger: &impl Ledger,
) -> Result<Vec<RestoreRecord>, StepError> {
    let keys: BTreeSet<ItemKey> = restores.map(RestoreRecord::key_of).collect();
    Ok(ledger.get_many(&keys.into_iter().collect::<Vec<_>>()).await?)
}

/// How many objects these restores have by their plans. Ids without a plan are left out. A plan does not change, so an
/// eventually consistent read is enough.
pub async fn sizes(
    restores: impl Iterator<Item = &RestoreId>,
    ledger: &impl Ledger,
) -> Result<BTreeMap<RestoreId, u64>, StepError> {
    let keys: BTreeSet<ItemKey> = restores.map(RestoreRecord::key_of).collect();
    let keys: Vec<ItemKey> = keys.into_iter().collect();
    let records = ledger.get_many_eventually::<RestoreRecord>(&keys).await?;
    Ok(records.into_iter().filter_map(|record| Some((record.id, record.plan?.counts.total))).collect())
}

/// Changes a restore that still runs, with optimistic concurrency. Answers the record as it is now: unchanged if the
/// restore has ended. Logs the end of a restore. Two functions that end it at the same moment both do.
pub async fn change(
    ledger: &impl Ledger,
    record: RestoreRecord,
    change: impl Fn(&mut RestoreRecord),
) -> Result<RestoreRecord, StepError> {
    let ran = record.status == Status::Running;
    let next = |record: &RestoreRecord| (record.status == Status::Running).then(|| record.with(&change));
    let record = update(ledger, record, next).await?;
    if ran && record.status != Status::Running {
        let (status, says) = (record.status.as_str(), record.says.as_deref().unwrap_or_default());
        info!(restore = %record.id, status, RestoresEnded = 1_u64, "the restore has ended: {status}. {says}");
    }
    Ok(record)
}

/// The index over restores.
pub trait ListRestores {
    /// A page of restores, newest first, of one status if one is named; and where it ends,
    /// if there are more.
    ///
    /// The index may lag behind the ledger by a moment.
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&RestoreCursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<RestoreCursor>), PortError>;
}

/// A place in the list of restores: that of the last restore of a page. The next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreCursor {
    /// When it was requested.
    pub requested_at: Timestamp,
    /// Its id.
    pub id: RestoreId,
}

/// The name of a request's file in the work bucket, for requests that are too large for an execution's input.
pub fn request_name(id: &RestoreId) -> String {
    format!("restores/{id}/request.json")
}
