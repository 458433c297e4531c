//! Plan: look at every object, decide, price, refuse or write it all down. Nothing is asked of S3 that costs a restore.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thaw_core::{Book, Cost, Counts, Problem, Request, RestoreId, Status};
use tracing::info;

use crate::budget::{self, Purse, Reserved};
use crate::chunks::{self, ChunkEntry, ChunkRecord, chunk_name};
use crate::create_restore::refuse_foreign;
use crate::ledger::{self, Planned, RestoreRecord};
use crate::ports::{Ledger, Put, PutEvents, ReadArchive, ReadDistributions, WorkFiles};
use crate::sources::Objects;
use crate::survey::{Survey, Surveyor};
use crate::{Settings, StepError};

/// Objects in a chunk at most. A chunk is one Lambda call: at 250 restores a second, a quarter of what S3 takes from an
/// account, it takes three minutes of the fifteen that a function has.
const MOST_IN_A_CHUNK: usize = 50_000;

/// Chunks of the smallest size; after every ten more the size doubles. Each chunk is an iteration of a Map, and an
/// execution's history holds 25,000 events.
const SMALL_CHUNKS: usize = 40;

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
    /// The counts.
    pub counts: Counts,
    /// Names the plan.
    pub hash: String,
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
            counts: Counts::default(),
            hash: String::new(),
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
    refuse_foreign(&request, settings)?;
    let record = written_record(ledger, &id, &request, now).await?;
    if record.status != Status::Running {
        // Cancelled already, or its door could not be sure that it was started and said that it was not.
        return Ok(Output::nothing(record.says.unwrap_or_default()));
    }
    let (record, plan) = match record.plan.clone() {
        // An earlier try decided, and only its notice is missing. What has changed since changes nothing of it.
        Some(plan) => (record, plan),
        None => {
            let plan = make(&record, &request, archive, cdn, ledger, files, settings, now).await?;
            // A try that was given up may still be at it: whichever plan is written first is the plan.
            let write = |record: &mut RestoreRecord| {
                record.plan.get_or_insert_with(|| plan.clone());
            };
            let record = ledger::change(ledger, record, write).await?;
            let plan = record.plan.clone().unwrap_or(plan);
            (record, plan)
        }
    };
    let all = chunks::records(ledger, &record).await?;
    // Cancelled while it was planned, nothing has been asked of S3, and nothing will be.
    let is_wanted = |known: &&ChunkRecord| !known.settled && record.status == Status::Running && !request.dry_run;
    let output = Output {
        says: says(&plan, &request),
        chunks: all.iter().filter(is_wanted).map(|known| known.chunk).collect(),
        counts: plan.counts,
        hash: plan.hash,
        cost: plan.cost,
        ready_between: plan.ready_between,
        warnings: plan.warnings,
    };
    tell(output, &id, &request, events).await
}

/// Looks at every object and writes the chunks down. Refuses what costs more than it may.
///
/// Chunks are written under the moment of this try. Of a try that dies they are left over, and nobody reads them.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is planned")]
async fn make(
    record: &RestoreRecord,
    request: &Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Result<Planned, StepError> {
    let mut surveyor = Surveyor::new(request, cdn, settings, now).await?;
    let mut objects = Objects::of(request, ledger).await?;
    let (mut waiting, mut chunks): (Vec<ChunkEntry>, Vec<Vec<ChunkEntry>>) = (Vec::new(), Vec::new());
    let mut written = 0;
    let mut totals = Vec::new();
    loop {
        let page = objects.next(archive, ledger, files).await?;
        let is_last = page.is_none();
        for surveyed in surveyor.look_at(page.unwrap_or_default(), archive).await? {
            waiting.push(surveyed.entry()?);
        }
        loop {
            let size = chunk_size(settings.objects_per_chunk, written + chunks.len());
            if waiting.len() < size && (!is_last || waiting.is_empty()) {
                break;
            }
            let rest = waiting.split_off(size.min(waiting.len()));
            chunks.push(std::mem::replace(&mut waiting, rest));
        }
        for entries in chunks.drain(..) {
            let number = u32::try_from(written).unwrap_or(u32::MAX);
            let file = serde_json::to_vec(&entries)?;
            let known = ChunkRecord::new(record, now, number, &entries, &file);
            files.put(&chunk_name(&record.id, now, number), file).await?;
            // An answer that got lost: the same try wrote the same.
            let (Put::Done | Put::Lost(_)) = ledger.insert(&known).await?;
            totals.push(known.counts.total);
            written += 1;
        }
        if is_last {
            break;
        }
    }
    let survey = surveyor.finish()?;
    if let Some(limit) = request.max_cost_usd
        && survey.cost.total_usd > limit
    {
        return Err(Problem::over_price(survey.cost.total_usd, limit).into());
    }
    if survey.counts.total == 0 {
        return Err(Problem::nothing_matches(&request.source).into());
    }
    if let Some(confirmed) = request.confirm.as_ref().filter(|confirmed| **confirmed != survey.hash) {
        return Err(Problem::plan_changed(confirmed, &survey.hash, survey.cost.total_usd).into());
    }
    if let Some(budget) = settings.daily_budget
        && !request.dry_run
    {
        let price = survey.cost.total_usd;
        match budget::reserve(Purse::Restores, &record.id, price, budget, ledger, now).await? {
            Reserved::Yes => {}
            Reserved::No { spent, .. } => return Err(Problem::over_budget(price, spent, budget).into()),
        }
    }
    let jobs = if survey.batch_operations { thaw_core::parts(totals, settings.objects_per_job) } else { Vec::new() };
    Ok(Planned { chunks: u32::try_from(written).unwrap_or(u32::MAX), jobs, ..Planned::of(survey, now) })
}

impl Planned {
    fn of(survey: Survey, now: Timestamp) -> Self {
        let Survey {
            counts,
            by_kind,
            cost,
            ready_between,
            alternatives,
            batch_operations: _,
            paths,
            billed_paths,
            warnings,
            hash,
            failures: _,
        } = survey;
        Self {
            made_at: now,
            chunks: 0,
            jobs: Vec::new(),
            hash,
            counts,
            by_kind,
            ready_between,
            cost,
            alternatives,
            paths,
            billed_paths,
            warnings,
        }
    }
}

/// Objects in a chunk, from the size of the first ones.
fn chunk_size(smallest: usize, chunk: usize) -> usize {
    let doublings = (chunk + 1).saturating_sub(SMALL_CHUNKS).div_ceil(10).min(16);
    (smallest << doublings).min(MOST_IN_A_CHUNK)
}

async fn tell(output: Output, id: &RestoreId, request: &Request, events: &impl PutEvents) -> Result<Output, StepError> {
    info!(restore = %id, objects = output.counts.total, cost_usd = %output.cost.total_usd, "planned: {}", output.says);
    let detail = json!({
        "schema_version": 1, "id": id, "bucket": request.bucket, "tier": request.tier, "counts": output.counts,
        "cost_usd": output.cost.total_usd, "ready_between": output.ready_between, "says": output.says, "notify": request.notify,
    });
    if !request.dry_run {
        events.put_event("Restore Started", &detail).await?;
    }
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

fn says(plan: &Planned, request: &Request) -> String {
    let counts = plan.counts;
    let mut says = format!(
        "Of {} objects: {} to restore at {}, {} readable already, {} that cannot be restored. Estimated ${}.",
        counts.total,
        counts.planned + counts.restored,
        if plan.jobs.is_empty() {
            request.tier.word().to_owned()
        } else {
            format!("{} by S3 Batch Operations", request.tier.word())
        },
        counts.available,
        counts.failed,
        plan.cost.total_usd,
    );
    if request.dry_run {
        says.insert_str(0, "Only a plan: nothing is asked of S3. ");
    }
    if let Some([first, last]) = plan.ready_between {
        says.push_str(&format!(" Typically ready between {first:.0} and {last:.0}."));
    }
    says
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_so_that_a_million_objects_are_97() {
        let chunks_of = |objects: usize| {
            let mut left = objects;
            (0..)
                .take_while(|chunk| {
                    let more = left > 0;
                    left = left.saturating_sub(chunk_size(1_000, *chunk));
                    more
                })
                .count()
        };
        assert_eq!([1, 1_000, 1_001, 40_000, 1_000_000, 5_000_000].map(chunks_of), [1, 1, 2, 40, 97, 177]);
    }
}
