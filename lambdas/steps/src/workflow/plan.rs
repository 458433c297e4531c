//! Plan: looks at every object, decides what to do, computes the price, and refuses the restore or writes the plan. It
//! sends S3 no restore requests.
//!
//! A plan that is too large for one call continues in the next (`planning/draft.rs`). Price, budget and acceptance come
//! after the last object was looked at.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thaw_core::{Cost, Counts, PriceList, Problem, Request, RestoreId, Status};
use tracing::{info, warn};

use crate::ledger::budget::{self, BudgetKind, Reserved};
use crate::ledger::chunks::{self, ChunkRecord, chunk_name};
use crate::ledger::restores::{self, Planned, Refusal, RestoreRecord, WrittenBy};
use crate::planning::accepting::refuse_foreign;
use crate::planning::draft::{Cursor, Draft};
use crate::planning::sources::Objects;
use crate::planning::survey::{Survey, Surveyor};
use crate::ports::{Ledger, Put, PutEvents, ReadArchive, ReadDistributions, WorkFiles};
use crate::workflow::restore_id;
use crate::{Settings, StepError};

/// A call that fails after this many pages keeps them and hands over, instead of losing all of them. Otherwise, where a
/// call makes a hundred pages and one of a hundred fails, no call would ever finish. If a call fails earlier, the
/// workflow retries it after a pause.
const PAGES_WORTH_KEEPING: u32 = 8;

/// The most objects of a chunk. A chunk is one Lambda call. At 250 restores a second, a quarter of what S3 takes from
/// an account, it takes three minutes of the function's fifteen.
const MOST_IN_A_CHUNK: usize = 50_000;

/// Chunks of the smallest size. After these the size doubles with every ten chunks. Each chunk is an iteration of a
/// Map, and the history of an execution holds 25,000 events.
const SMALL_CHUNKS: usize = 40;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The execution's name.
    pub restore: String,
    /// The execution's input: the body of a request, or `{"request_in": "<file>"}` if it is too large for an input.
    pub request: Value,
    /// Where to go on: the cursor that the call before answered. Empty for the first call.
    #[serde(default)]
    pub cursor: String,
}

/// The output: the execution goes on with it, and people read it in the console.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// What will happen, in words.
    pub says: String,
    /// Where the next call goes on, if the plan is not finished; else empty.
    pub cursor: String,
    /// The chunks with objects to ask S3 for.
    pub chunks: Vec<u32>,
    /// The counts of the objects.
    pub counts: Counts,
    /// The hash that names the plan.
    pub hash: String,
    /// The price.
    pub cost: Cost,
    /// When the objects are typically readable: the first and the last.
    pub ready_between: Option<[Timestamp; 2]>,
    /// Warnings for the requester.
    pub warnings: Vec<String>,
}

impl Output {
    /// The output for a restore that ended before it was planned.
    fn nothing(says: String) -> Self {
        Self {
            says,
            cursor: String::new(),
            chunks: Vec::new(),
            counts: Counts::default(),
            hash: String::new(),
            cost: Cost::of(Vec::new(), PriceList::US_EAST_1),
            ready_between: None,
            warnings: Vec::new(),
        }
    }
}

/// Plans a restore, or as much of it as there is time for.
///
/// `is_time_left` says whether the call may begin another page: a thousand keys, or some thousand lines of a manifest.
/// Each call does at least one page, so that the plan always makes progress.
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
    is_time_left: impl Fn() -> bool,
) -> Result<Output, StepError> {
    let id = restore_id(input.restore)?;
    let request = read_request(&input.request, files).await?;
    let cursor = Some(input.cursor).filter(|cursor| !cursor.is_empty()).map(|cursor| cursor.parse()).transpose()?;
    refuse_foreign(&request, settings)?;
    let record = written_record(ledger, &id, &request, now).await?;
    if record.status != Status::Running {
        // It was cancelled already, or the endpoint could not be sure that it had started and answered that it had not.
        return Ok(Output::nothing(record.says.unwrap_or_default()));
    }
    let (record, plan) = match record.plan.clone() {
        // An earlier attempt planned it, and only the notice is missing. Changes since then do not change the plan.
        Some(plan) => (record, plan),
        None => {
            let made = make(cursor, &record, &request, archive, cdn, ledger, files, settings, now, is_time_left).await;
            let made = match made {
                Err(StepError::InvalidRequest(problem)) => Made::Refused(*problem, None),
                made => made?,
            };
            let plan = match made {
                Made::Plan(plan) => *plan,
                Made::Refused(problem, cost) => {
                    let refusal = Refusal { problem: problem.kind.clone(), cost: cost.map(|cost| *cost) };
                    restores::change(ledger, record, |record| record.refusal = Some(refusal.clone())).await?;
                    return Err(problem.into());
                }
                Made::Draft(cursor, counts) => {
                    let says = format!("{} objects were looked at so far. The plan is not finished.", counts.total);
                    info!(restore = %id, objects = counts.total, "{says}");
                    return Ok(Output { cursor: cursor.to_string(), counts, ..Output::nothing(says) });
                }
            };
            // An abandoned attempt may still be running. The first plan that is written counts.
            let write = |record: &mut RestoreRecord| {
                record.plan.get_or_insert_with(|| plan.clone());
            };
            let record = restores::change(ledger, record, write).await?;
            let plan = record.plan.clone().unwrap_or(plan);
            (record, plan)
        }
    };
    let all = chunks::records(ledger, &record).await?;
    // If the restore was cancelled meanwhile, nothing was asked of S3, and nothing will be.
    let has_requests = |chunk: &&ChunkRecord| !chunk.settled && record.status == Status::Running && !request.dry_run;
    let output = Output {
        says: says(&plan, &request),
        cursor: String::new(),
        chunks: all.iter().filter(has_requests).map(|chunk| chunk.chunk).collect(),
        counts: plan.counts,
        hash: plan.hash,
        cost: plan.cost,
        ready_between: plan.ready_between,
        warnings: plan.warnings,
    };
    announced(output, &id, &request, events).await
}

/// The result of a call.
enum Made {
    /// The finished plan.
    Plan(Box<Planned>),
    /// Where the next call goes on, and the counts so far.
    Draft(Cursor, Counts),
    /// Why the request is refused, and its price if that is why.
    Refused(Problem, Option<Box<Cost>>),
}

/// Looks at objects and writes chunks. After the last object, refuses a plan whose price is too high.
///
/// Chunks are written under the time of this attempt. The chunks of an attempt that dies are left over and never read.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is planned")]
async fn make(
    cursor: Option<Cursor>,
    record: &RestoreRecord,
    request: &Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
    is_time_left: impl Fn() -> bool,
) -> Result<Made, StepError> {
    let mut draft = match &cursor {
        None => Draft::new(),
        Some(cursor) => Draft::read(cursor, &record.id, files).await?,
    };
    let mut surveyor = Surveyor::new(request, cdn, settings, now).await?;
    if cursor.is_some() {
        surveyor = surveyor.from(std::mem::take(&mut draft.survey), draft.seen(files).await?);
    }
    let mut objects = Objects::from(draft.place.clone(), request, ledger).await?;
    let mut pages = 0;
    loop {
        draft.place = objects.place();
        let found = match objects.next(archive, ledger, files).await {
            Ok(Some(page)) => surveyor.look_at(page, archive).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) if error.may_pass() && pages >= PAGES_WORTH_KEEPING => {
                warn!(restore = %record.id, "handed over: {error}");
                break;
            }
            Err(error) => return Err(error),
        };
        let is_last = found.is_none();
        for surveyed in found.into_iter().flatten() {
            draft.waiting.push(surveyed.entry()?);
        }
        draft.waiting_since = draft.waiting_since.or(Some(now));
        write_chunks(&mut draft, is_last, record, ledger, files, settings, now).await?;
        if is_last {
            return accept(draft, surveyor.finish(archive).await?, record, request, ledger, settings, now).await;
        }
        pages += 1;
        if !is_time_left() {
            draft.place = objects.place();
            break;
        }
    }
    draft.survey = surveyor.state();
    let cursor = draft.write(surveyor.newly_seen(), &record.id, now, files).await?;
    Ok(Made::Draft(cursor, surveyor.counts()))
}

/// Writes the chunks that are full, and with the last page the rest.
async fn write_chunks(
    draft: &mut Draft,
    is_last: bool,
    record: &RestoreRecord,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), StepError> {
    loop {
        let size = chunk_size(settings.objects_per_chunk, draft.chunks.len());
        if draft.waiting.len() < size && (!is_last || draft.waiting.is_empty()) {
            draft.waiting_since = draft.waiting_since.filter(|_| !draft.waiting.is_empty());
            return Ok(());
        }
        let rest = draft.waiting.split_off(size.min(draft.waiting.len()));
        let entries = std::mem::replace(&mut draft.waiting, rest);
        // The objects that are left over were looked at by this call.
        let made_at = draft.waiting_since.replace(now).unwrap_or(now);
        let number = u32::try_from(draft.chunks.len()).unwrap_or(u32::MAX);
        let file = serde_json::to_vec(&entries)?;
        let chunk = ChunkRecord::new(record, made_at, number, &entries, &file);
        let chunk = ChunkRecord { written_at: Some(now).filter(|now| *now != made_at), ..chunk };
        files.put(&chunk_name(&record.id, now, number), file).await?;
        // If the answer of an earlier insert got lost, the same attempt wrote the same item.
        let (Put::Done | Put::Lost(_)) = ledger.insert(&chunk).await?;
        if draft.written.last().is_none_or(|by| by.at != now) {
            draft.written.push(WrittenBy { at: now, from_chunk: number });
        }
        draft.chunks.push(chunk.counts.total);
    }
}

/// The plan of all objects, or why it may not be carried out.
async fn accept(
    draft: Draft,
    survey: Survey,
    record: &RestoreRecord,
    request: &Request,
    ledger: &impl Ledger,
    settings: &Settings,
    now: Timestamp,
) -> Result<Made, StepError> {
    let price = survey.cost.total_usd;
    if let Some(limit) = request.max_cost_usd
        && price > limit
    {
        return Ok(Made::Refused(Problem::over_price(price, limit), Some(Box::new(survey.cost))));
    }
    if survey.counts.total == 0 {
        return Err(request.source.nothing_matches().into());
    }
    if let Some(confirmed) = request.confirm.as_ref().filter(|confirmed| **confirmed != survey.hash) {
        return Ok(Made::Refused(Problem::plan_changed(confirmed, &survey.hash, price), Some(Box::new(survey.cost))));
    }
    if let Some(budget) = settings.daily_budget
        && !request.dry_run
    {
        match budget::reserve(BudgetKind::Restores, &record.id, price, budget, ledger, now).await? {
            Reserved::Yes => {}
            Reserved::No { spent, .. } => {
                return Ok(Made::Refused(Problem::over_budget(price, spent, budget), Some(Box::new(survey.cost))));
            }
        }
    }
    let chunks = u32::try_from(draft.chunks.len()).unwrap_or(u32::MAX);
    let by_jobs = survey.batch_operations;
    let jobs = if by_jobs { thaw_core::parts(draft.chunks, settings.objects_per_job) } else { Vec::new() };
    let written = if draft.written.iter().all(|by| by.at == now) { Vec::new() } else { draft.written };
    Ok(Made::Plan(Box::new(Planned { chunks, jobs, written, ..Planned::of(survey, now) })))
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
            copied_bytes,
            warnings,
            hash,
            failures: _,
        } = survey;
        Self {
            made_at: now,
            written: Vec::new(),
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
            copied_bytes,
            warnings,
        }
    }
}

/// The size of a chunk, from the size of the first ones.
fn chunk_size(smallest: usize, chunk: usize) -> usize {
    let doublings = (chunk + 1).saturating_sub(SMALL_CHUNKS).div_ceil(10).min(16);
    (smallest << doublings).min(MOST_IN_A_CHUNK)
}

async fn announced(
    output: Output,
    id: &RestoreId,
    request: &Request,
    events: &impl PutEvents,
) -> Result<Output, StepError> {
    let is_started = !request.dry_run;
    info!(
        restore = %id,
        objects = output.counts.total,
        RestoresStarted = is_started.then_some(1_u64),
        PlannedUsd = is_started.then(|| output.cost.total_usd.as_f64()),
        "planned: {}",
        output.says
    );
    let detail = json!({
        "schema_version": 1, "id": id, "bucket": request.bucket, "tier": request.tier, "counts": output.counts,
        "cost_usd": output.cost.total_usd, "ready_between": output.ready_between, "says": output.says, "notify": request.notify,
    });
    if !request.dry_run {
        events.put_event("Restore Started", &detail).await?;
    }
    Ok(output)
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

/// The record of the restore. An endpoint wrote it, but if the execution was started by hand there may be none yet.
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
    if request.publish_only {
        let only = if request.dry_run { "Only a plan: nothing is invalidated. " } else { "" };
        return format!(
            "{only}Of {} objects: {} to publish again, {} that cannot be published. S3 is asked for nothing. Estimated ${}.",
            counts.total, counts.restored, counts.failed, plan.cost.total_usd,
        );
    }
    let mut says = format!(
        "Of {} objects: {} to restore at {}, {} readable already, {} that cannot be restored. Estimated ${}.",
        counts.total,
        counts.planned + counts.restored,
        if plan.jobs.is_empty() {
            request.tier.as_str().to_owned()
        } else {
            format!("{} by S3 Batch Operations", request.tier.as_str())
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
