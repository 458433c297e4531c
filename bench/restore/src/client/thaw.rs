//! thaw's StartRestores: the real step over the real port to S3. Where its rows go is chosen, so that what they cost can
//! be told from what asking S3 costs.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::json;
use thaw_aws::{Clients, LedgerTable};
use thaw_core::{ArchiveKind, Cost, Counts, Decision, PriceList, Request, RestoreId, State};
use thaw_steps::StepError;
use thaw_steps::ledger::chunks::{ChunkEntry, ChunkRecord, chunk_name};
use thaw_steps::ledger::restores::{Planned, RestoreRecord};
use thaw_steps::ports::{Item, ItemKey, Ledger, PortError, Put, WorkFiles};
use thaw_steps::testing::memory::{MemoryFiles, MemoryLedger};
use thaw_steps::workflow::start_restores;

use super::job::Job;
use crate::server::key;

/// Where the rows of objects go. The restore and its chunk are in memory either way.
#[derive(Clone, Copy)]
pub enum Rows {
    Nowhere,
    Memory,
    DynamoDb,
}

/// The mean of the workflow's first wait before it tries again.
const BEFORE_ANOTHER_TRY: Duration = Duration::from_secs(1);

/// Asks for all keys as one chunk, as fast as a stack does that is told what S3 takes per second.
pub async fn start_restores(job: Job, rows: Rows, restores_per_second: u32) -> Result<()> {
    let clients = Clients::read(|name| match name {
        "RESTORES_PER_SECOND" => Some(restores_per_second.to_string()),
        _ => std::env::var(name).ok(),
    })?;
    let (archive, files) = (clients.archive(), MemoryFiles::default());
    let ledger = BenchLedger { memory: MemoryLedger::default(), table: clients.ledger("ledger".to_owned()), rows };
    let id = planned(&job, &ledger, &files).await?;
    loop {
        let input = start_restores::Input { restore: id.to_string(), chunk: 0 };
        match start_restores::run(input, &archive, &ledger, &files, Timestamp::now()).await {
            Ok(output) if output.counts.restoring == job.keys.len() as u64 => return Ok(()),
            Ok(output) => bail!("not all are being restored: {:?}", output.counts),
            Err(StepError::Throttled(_)) => tokio::time::sleep(BEFORE_ANOTHER_TRY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the plan of a restore leaves behind.
async fn planned(job: &Job, ledger: &impl Ledger, files: &impl WorkFiles) -> Result<RestoreId> {
    let now = Timestamp::now();
    let id = RestoreId::try_from("2026-11-24_bench".to_owned())?;
    let request = Request::parse(&json!({"bucket": job.bucket, "keys": [key(0)]}));
    let Ok(request) = request else { bail!("the bench's request is refused") };
    let plan = Planned {
        made_at: now,
        written: Vec::new(),
        hash: String::new(),
        chunks: 1,
        counts: Counts::default(),
        by_kind: Vec::new(),
        ready_between: None,
        cost: Cost::of(Vec::new(), PriceList::US_EAST_1),
        alternatives: Vec::new(),
        jobs: Vec::new(),
        paths: 0,
        billed_paths: 0,
        copied_bytes: 0,
        warnings: Vec::new(),
    };
    let record = RestoreRecord { plan: Some(plan), ..RestoreRecord::new(id.clone(), &request, now) };
    let entry = |number| ChunkEntry {
        key: key(number),
        version: None,
        size: 1_000_000,
        kind: Some(ArchiveKind::Flexible),
        decision: Decision::Restore,
        old: false,
        state: State::Planned,
    };
    let entries: Vec<ChunkEntry> = job.keys.clone().map(entry).collect();
    let file = serde_json::to_vec(&entries)?;
    ledger.insert(&ChunkRecord::new(&record, now, 0, &entries, &file)).await?;
    ledger.insert(&record).await?;
    files.put(&chunk_name(&id, now, 0), file).await?;
    Ok(id)
}

struct BenchLedger {
    memory: MemoryLedger,
    table: LedgerTable,
    rows: Rows,
}

impl Ledger for BenchLedger {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.memory.get(key).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.memory.get_many(keys).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.memory.get_many_eventually(keys).await
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        match self.rows {
            // The items of a restore and its chunks.
            _ if item.key().pk.starts_with("R#") => self.memory.insert(item).await,
            Rows::Nowhere => Ok(Put::Done),
            Rows::Memory => self.memory.insert(item).await,
            Rows::DynamoDb => self.table.insert(item).await,
        }
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        self.memory.replace(item).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.memory.query(begin).await
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.memory.query_eventually(begin).await
    }
}
