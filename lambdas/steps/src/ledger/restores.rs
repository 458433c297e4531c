//! A restore as a whole: what was asked, what was planned, how it ended.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Alternative, Cost, Counts, KindTotal, Request, RestoreId, Status};

use crate::StepError;
use crate::ledger::update::update;
use crate::ports::{Item, ItemKey, Ledger, PortError};

/// A restore as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// Its id.
    pub id: RestoreId,
    /// What was asked for, without the keys: those are in the request's file and in the chunks.
    pub request: Request,
    /// How many objects were asked for; `None` if only looking tells, and nobody has looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// When.
    pub requested_at: Timestamp,
    /// Whether it runs, and how it ended.
    pub status: Status,
    /// What the plan found; `None` until it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// Whether the notice that it is late was sent.
    #[serde(default)]
    pub late: bool,
    /// Counts the changes.
    pub revision: u64,
}

/// What a plan found, as far as the restore needs it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// When it was made. Names its jobs, and its chunks unless `written` says otherwise.
    pub made_at: Timestamp,
    /// Which calls wrote its chunks, if it took more than one: in order, each with its first chunk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenBy>,
    /// Names the plan for whoever confirms it.
    pub hash: String,
    /// How many chunk files there are.
    pub chunks: u32,
    /// The counts when it was planned.
    pub counts: Counts,
    /// What lies where.
    pub by_kind: Vec<KindTotal>,
    /// When the objects are typically readable: the first and the last; `None` if nothing needs to be waited for.
    pub ready_between: Option<[Timestamp; 2]>,
    /// The price by line.
    pub cost: Cost,
    /// The same at other tiers.
    pub alternatives: Vec<Alternative>,
    /// The first chunk of each part that S3 Batch Operations asks for; empty if thaw asks by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<u32>,
    /// Paths that will be invalidated.
    pub paths: u64,
    /// How many are expected to be billed for them.
    #[serde(default)]
    pub billed_paths: u64,
    /// Bytes whose temporary copies the price includes.
    #[serde(default)]
    pub copied_bytes: u64,
    /// What the requester should know.
    pub warnings: Vec<String>,
}

/// A call that wrote chunks of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBy {
    /// When it began. Names its chunks, so that a try that was given up cannot change them any more.
    pub at: Timestamp,
    /// The first chunk that it wrote.
    pub from_chunk: u32,
}

impl Planned {
    /// When the call began that wrote a chunk.
    pub fn written_at(&self, chunk: u32) -> Timestamp {
        let by = self.written.iter().rev().find(|by| by.from_chunk <= chunk);
        by.map_or(self.made_at, |by| by.at)
    }
}

impl RestoreRecord {
    /// A restore that was just asked for.
    pub fn new(id: RestoreId, request: &Request, now: Timestamp) -> Self {
        Self {
            id,
            asked: request.source.count(),
            request: Request { source: request.source.without_keys(), ..request.clone() },
            requested_at: now,
            status: Status::Running,
            plan: None,
            completed_at: None,
            says: None,
            late: false,
            revision: 0,
        }
    }

    /// Where the restore with this id is kept.
    pub fn key_of(id: &RestoreId) -> ItemKey {
        ItemKey { pk: format!("R#{id}"), sk: "restore".to_owned() }
    }

    /// The record with something changed.
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

/// The restore with this id.
pub async fn record(ledger: &impl Ledger, id: &RestoreId) -> Result<RestoreRecord, StepError> {
    let found = ledger.get(&RestoreRecord::key_of(id)).await?;
    found.ok_or_else(|| StepError::Unexpected(format!("the ledger has no restore {id}")))
}

/// Where these restores stand, as far as there are such.
pub async fn statuses(
    restores: impl Iterator<Item = &RestoreId>,
    ledger: &impl Ledger,
) -> Result<BTreeMap<RestoreId, Status>, StepError> {
    let keys: BTreeSet<ItemKey> = restores.map(RestoreRecord::key_of).collect();
    let records: Vec<RestoreRecord> = ledger.get_many(&keys.into_iter().collect::<Vec<_>>()).await?;
    Ok(records.into_iter().map(|record| (record.id, record.status)).collect())
}

/// Changes a restore that still runs. Answers it as it is now: unchanged if it has ended.
pub async fn change(
    ledger: &impl Ledger,
    record: RestoreRecord,
    change: impl Fn(&mut RestoreRecord),
) -> Result<RestoreRecord, StepError> {
    let next = |record: &RestoreRecord| (record.status == Status::Running).then(|| record.with(&change));
    update(ledger, record, next).await
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

/// The file of a request in the work bucket, for requests too large for an execution's input.
pub fn request_name(id: &RestoreId) -> String {
    format!("restores/{id}/request.json")
}
