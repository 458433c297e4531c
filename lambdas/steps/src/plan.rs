//! Plan: look at every object, decide, price, refuse or write it all down. Nothing is asked of S3 that costs a restore.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thaw_core::{Book, Cost, Counts, Event, Problem, Request, RestoreId, Row, State, Status, advance};
use tracing::info;

use crate::ledger::{self, ChunkEntry, Planned, RestoreRecord, chunk_name};
use crate::ports::{Ledger, Put, PutEvents, ReadArchive, ReadDistributions, WorkFiles};
use crate::survey::{Survey, Surveyed};
use crate::{IN_FLIGHT, Settings, StepError};

/// Objects in a chunk at least. A chunk is one Lambda call: at a few hundred restores a second it takes a second or so.
const CHUNK: usize = 250;

/// Chunks at most: each is an iteration of a Map, and an execution's history holds 25,000 events.
const MAX_CHUNKS: usize = 100;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The execution's name.
    pub restore: String,
    /// The execution's input: a request's body, or `{"request_in": "<file>"}` for one too large for an input.
    pub request: Value,
}

/// What the execution goes on with, and what a person reads in the console.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// What will happen, in words.
    pub says: String,
    /// The chunks with something to ask of S3.
    pub chunks: Vec<u32>,
    /// Whether anything is left to do.
    pub anything_to_restore: bool,
    /// The counts.
    pub counts: Counts,
    /// The price.
    pub cost: Cost,
    /// When it will be ready, typically.
    pub ready_between: Option<[Timestamp; 2]>,
    /// What the requester should know.
    pub warnings: Vec<String>,
}

impl Output {
    /// Of a restore that ended before it was planned.
    fn nothing(says: String) -> Self {
        Self {
            says,
            chunks: Vec::new(),
            anything_to_restore: false,
            counts: Counts::default(),
            cost: Cost::of(Vec::new(), Book::US_EAST_1),
            ready_between: None,
            warnings: Vec::new(),
        }
    }
}

/// Plans a restore.
#[expect(
    clippy::too_many_arguments,
    reason = "each port is a permission; the signature reads like the function's policy"
)]
pub async fn run(
    input: Input,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    events: &impl PutEvents,
    settings: &Settings,
    now: Timestamp,
) -> Result<Output, StepError> {
    let id = restore_id(input.restore)?;
    let request = read_request(&input.request, files).await?;
    if !settings.archive_buckets.contains(&request.bucket) {
        return Err(Problem::foreign_bucket(&request.bucket, &settings.archive_buckets).into());
    }
    let record = written_record(ledger, &id, &request, now).await?;
    if record.status != Status::Running {
        // Cancelled already, or its door could not be sure that it was started and said that it was not. Who cancelled it
        // after an earlier try of this plan may have died before its rows were.
        cancel(&ledger::rows(ledger, files, &record).await?, ledger, now).await?;
        return Ok(Output::nothing(record.says.unwrap_or_default()));
    }
    if let Some(plan) = &record.plan {
        // An earlier try decided, and only its notice is missing. What has changed since changes nothing of it.
        let rows = ledger::rows(ledger, files, &record).await?;
        let chunks: Vec<&[Row]> = rows.chunks(chunk_size(rows.len())).collect();
        let output = Output {
            says: says(plan, &request),
            chunks: wanted(&chunks),
            anything_to_restore: rows.iter().any(|row| !row.is_settled()),
            counts: Counts::of(&rows),
            cost: plan.cost.clone(),
            ready_between: plan.ready_between,
            warnings: plan.warnings.clone(),
        };
        return tell(output, &id, &request, events).await;
    }

    let request = pinned(request, &id, files).await?;
    let survey = Survey::of(&request, archive, cdn, settings, now).await?;
    if let Some(limit) = request.max_cost_usd
        && survey.cost.total_usd > limit
    {
        return Err(Problem::over_price(survey.cost.total_usd, limit).into());
    }

    write_chunks(files, &id, &survey).await?;
    let rows = write_rows(ledger, &record, &survey, now).await?;
    let chunks: Vec<&[Row]> = rows.chunks(chunk_size(rows.len())).collect();
    let planned = Planned {
        chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
        counts: survey.counts,
        ready_between: survey.ready_between,
        cost: survey.cost.clone(),
        warnings: survey.warnings.clone(),
    };
    let record = ledger::change(ledger, record, |record| record.plan = Some(planned.clone())).await?;
    if record.status != Status::Running {
        // It ended while it was planned.
        cancel(&rows, ledger, now).await?;
    }
    let anything_to_restore = record.status == Status::Running && rows.iter().any(|row| !row.is_settled());

    let output = Output {
        says: says(&planned, &request),
        chunks: if record.status == Status::Running { wanted(&chunks) } else { Vec::new() },
        anything_to_restore,
        counts: Counts::of(&rows),
        cost: survey.cost,
        ready_between: survey.ready_between,
        warnings: survey.warnings,
    };
    tell(output, &id, &request, events).await
}

/// What is open of a restore that has ended ends with it: nothing more is asked of S3.
async fn cancel(rows: &[Row], ledger: &impl Ledger, now: Timestamp) -> Result<(), StepError> {
    for row in rows.iter().filter(|row| !row.is_settled() && row.state.claim().is_none()) {
        ledger::apply(ledger, row, &Event::Cancelled { at: now }).await?;
    }
    Ok(())
}

/// The chunks with something to ask of S3.
fn wanted(chunks: &[&[Row]]) -> Vec<u32> {
    let has_planned = |rows: &&[Row]| rows.iter().any(|row| row.state == State::Planned);
    (0..).zip(chunks).filter(|(_, rows)| has_planned(rows)).map(|(chunk, _)| chunk).collect()
}

async fn tell(output: Output, id: &RestoreId, request: &Request, events: &impl PutEvents) -> Result<Output, StepError> {
    info!(restore = %id, objects = output.counts.total, cost_usd = %output.cost.total_usd, "planned: {}", output.says);
    let detail = json!({
        "schema_version": 1, "id": id, "bucket": request.bucket, "tier": request.tier, "counts": output.counts,
        "cost_usd": output.cost.total_usd, "ready_between": output.ready_between, "says": output.says, "notify": request.notify,
    });
    events.put_event("Restore Started", &detail).await?;
    Ok(output)
}

pub(crate) fn restore_id(name: String) -> Result<RestoreId, StepError> {
    RestoreId::try_from(name).map_err(|error| {
        let name = Value::from(error.to_string());
        Problem::field("name", &name, "is not an execution name thaw can use. Start the execution with a name of 1 to 80 of the characters 0-9 A-Z a-z _ -.").into()
    })
}

async fn read_request(input: &Value, files: &impl WorkFiles) -> Result<Request, StepError> {
    let Some(name) = input.get("request_in").and_then(Value::as_str) else { return Ok(Request::parse(input)?) };
    match files.get(name).await? {
        Some(body) => Ok(Request::read(&body)?),
        None => {
            let name = Value::from(name);
            Err(Problem::field("request_in", &name, "names no file in the work bucket. Send the request itself.")
                .into())
        }
    }
}

/// The record of the restore: the door wrote it, or (for an execution started by hand) nobody yet.
async fn written_record(
    ledger: &impl Ledger,
    id: &RestoreId,
    request: &Request,
    now: Timestamp,
) -> Result<RestoreRecord, StepError> {
    let record = RestoreRecord::new(id.clone(), request, now);
    match ledger.insert(&record).await? {
        Put::Done => Ok(record),
        Put::Lost(existing) => Ok(existing),
    }
}

/// Writes a row for every object. A row that is there already was written by an earlier try of this plan, and stays: S3
/// may have been asked because of it.
async fn write_rows(
    ledger: &impl Ledger,
    record: &RestoreRecord,
    survey: &Survey,
    now: Timestamp,
) -> Result<Vec<Row>, StepError> {
    stream::iter(&survey.objects)
        .map(|surveyed| async move {
            let row = row(surveyed, record, now)?;
            match ledger.insert(&row).await? {
                Put::Done => Ok(row),
                Put::Lost(existing) => Ok(existing),
            }
        })
        .buffered(IN_FLIGHT)
        .try_collect()
        .await
}

fn row(surveyed: &Surveyed, record: &RestoreRecord, now: Timestamp) -> Result<Row, StepError> {
    let planned = State::Planned;
    let state = match &surveyed.verdict.known {
        None => planned,
        Some(event) => advance(&planned, event)?.unwrap_or(planned),
    };
    Ok(Row {
        object: surveyed.object.clone(),
        restore: record.id.clone(),
        size: surveyed.size,
        kind: surveyed.verdict.kind,
        decision: surveyed.verdict.decision,
        publish: record.request.publish,
        current: surveyed.current,
        planned_at: now,
        state,
        revision: 0,
    })
}

/// The request with the versions that an earlier try of this plan pinned. Whoever wrote a new version in between must not
/// make this restore want both.
async fn pinned(mut request: Request, id: &RestoreId, files: &impl WorkFiles) -> Result<Request, StepError> {
    let mut versions = BTreeMap::new();
    for chunk in 0.. {
        let Some(bytes) = files.get(&chunk_name(id, chunk)).await? else { break };
        let entries: Vec<ChunkEntry> = serde_json::from_slice(&bytes)?;
        versions.extend(entries.into_iter().filter_map(|entry| Some((entry.key, entry.version?))));
    }
    for asked in request.keys.iter_mut().filter(|asked| asked.version_id.is_none()) {
        asked.version_id = versions.get(&asked.key).cloned();
    }
    Ok(request)
}

/// Writes down which objects are in which chunk. Comes before the rows: a try that dies in between has pinned the
/// versions for the next one.
async fn write_chunks(files: &impl WorkFiles, id: &RestoreId, survey: &Survey) -> Result<(), StepError> {
    for (chunk, objects) in (0..).zip(survey.objects.chunks(chunk_size(survey.objects.len()))) {
        let entry = |surveyed: &Surveyed| ChunkEntry {
            key: surveyed.object.key.clone(),
            version: surveyed.object.version.clone(),
        };
        let entries: Vec<_> = objects.iter().map(entry).collect();
        files.put(&chunk_name(id, chunk), serde_json::to_vec(&entries)?).await?;
    }
    Ok(())
}

fn chunk_size(objects: usize) -> usize {
    CHUNK.max(objects.div_ceil(MAX_CHUNKS))
}

fn says(plan: &Planned, request: &Request) -> String {
    let counts = plan.counts;
    let mut says = format!(
        "Of {} objects: {} to restore at {}, {} readable already, {} that cannot be restored. Estimated ${}.",
        counts.total,
        counts.planned + counts.restored,
        request.tier.word(),
        counts.available,
        counts.failed,
        plan.cost.total_usd,
    );
    if let Some([first, last]) = plan.ready_between {
        says.push_str(&format!(" Typically ready between {first:.0} and {last:.0}."));
    }
    says
}
