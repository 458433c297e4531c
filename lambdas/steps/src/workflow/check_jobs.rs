//! CheckJobs: polls the jobs of S3 Batch Operations and records what they have asked S3 for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    Counts, FailedTask, JobEnd, JobMove, ReportReader, RestoreAnswer, State, Status, failed_reports, next_move,
    seconds_until_next_check, sentence,
};
use tracing::{info, warn};

use crate::ledger::chunks::{self, ChunkRecord, total, wait_seconds};
use crate::ledger::jobs::{self, JobRecord};
use crate::ledger::readiness;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows::{self, apply, row_key};
use crate::ports::{ItemKey, Ledger, LongFiles, ReadJobs, UpdateJobs, WorkFiles};
use crate::workflow::counting::{counted, settled};
use crate::workflow::{OBJECTS_PER_CALL, restore_id};
use crate::{Settings, StepError};

/// The most refusals that are read from a report: some minutes of work. If there are more, thaw asks S3 itself. Then
/// answers are recorded chunk by chunk, and a function that dies loses few of them.
const READ_AT_MOST: u64 = 100_000;

/// Refused objects that are looked up in the ledger at a time.
const AT_ONCE: usize = 100;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk to begin with: where the call before stopped.
    #[serde(default)]
    pub from_chunk: u32,
}

/// The output, on which the next states decide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// The counts of the restore's objects.
    pub counts: Counts,
    /// Whether no job is sending requests any more.
    pub jobs_done: bool,
    /// The chunks of which thaw asks for the rest itself.
    pub chunks: Vec<u32>,
    /// Seconds until the next look: at the jobs, or at the objects if the jobs are done.
    pub wait_seconds: u64,
    /// The chunk that the next call begins with; 0 if this look is complete.
    pub next_chunk: u32,
}

/// Polls the jobs. Confirms those that wait for it, and reads refusals from the reports of those that are complete.
/// Once no job sends requests any more, records chunk by chunk what S3 has accepted.
///
/// A job that failed, was cancelled or does not end leaves the chunks of its part to StartRestores. That step asks S3
/// for the state of an object before it repeats a request. If the restore was cancelled, its jobs are cancelled.
pub async fn run(
    input: Input,
    s3: &(impl ReadJobs + UpdateJobs),
    ledger: &impl Ledger,
    files: &(impl WorkFiles + LongFiles),
    settings: &Settings,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let plan = chunks::plan_of(&record)?;
    let mut jobs = jobs::all(ledger, &record).await?;
    let ahead = jobs.iter().map(|job| job.objects).sum();
    for job in &mut jobs {
        if job.is_open() {
            *job = checked(&record, job.clone(), ahead, s3, ledger, files, settings, now).await?;
        }
    }
    let mut all = chunks::records(ledger, &record).await?;
    let is_running = record.status == Status::Running;
    if is_running && let Some(first) = jobs.iter().filter(|job| job.is_open()).map(|job| job.created_at).min() {
        let open = jobs.iter().filter(|job| job.is_open()).count();
        let says = format!("{open} of {} jobs of S3 Batch Operations are still asking.", jobs.len());
        info!(restore = %record.id, "{says}");
        let wait_seconds = seconds_until_next_check(first, now);
        return Ok(Output {
            says,
            counts: total(&all),
            jobs_done: false,
            chunks: Vec::new(),
            wait_seconds,
            next_chunk: 0,
        });
    }
    let retry: Vec<u32> = jobs
        .iter()
        .filter(|job| job.is_abandoned() && is_running)
        .flat_map(|job| jobs::chunks_of(plan, job.first_chunk))
        .collect();
    let is_asked = |chunk: &ChunkRecord| !retry.contains(&chunk.chunk) && !chunk.settled && is_running;
    let (mut noted, mut next_chunk) = (0, 0);
    for chunk in all.iter_mut().filter(|chunk| chunk.chunk >= input.from_chunk && is_asked(chunk)) {
        if noted >= OBJECTS_PER_CALL {
            next_chunk = chunk.chunk;
            break;
        }
        noted += chunk.counts.total;
        let accepted = chunks::change(ledger, chunk.clone(), |chunk| chunk.accepting_all(now)).await?;
        let rows = settled(&record, &accepted, ledger, files, now).await?;
        *chunk = counted(accepted, rows, ledger, now).await?.0;
    }
    let open = |chunk: &&ChunkRecord| is_asked(chunk);
    let asked: Vec<ChunkRecord> = all.iter().filter(open).cloned().collect();
    let counts = total(&all);
    let mut chunks = retry.clone();
    chunks.sort_unstable();
    chunks.dedup();
    let left = if chunks.is_empty() {
        String::new()
    } else {
        format!(" thaw asks for what {} chunks have left.", chunks.len())
    };
    let says = format!("No job is asking any more.{left} {}", sentence(counts, &[]));
    info!(restore = %record.id, "{says}");
    Ok(Output { says, counts, jobs_done: true, chunks, wait_seconds: wait_seconds(&asked, &record, now), next_chunk })
}

/// Polls one job and does the next thing for it. Answers its record as it is then.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is known")]
async fn checked(
    record: &RestoreRecord,
    job: JobRecord,
    ahead: u64,
    s3: &(impl ReadJobs + UpdateJobs),
    ledger: &impl Ledger,
    files: &(impl WorkFiles + LongFiles),
    settings: &Settings,
    now: Timestamp,
) -> Result<JobRecord, StepError> {
    let Some(id) = job.id.clone() else {
        // No call will confirm this job: the one that should have recorded its id has died.
        let end = next_move(None, job.objects, ahead, job.created_at, now);
        return match end {
            JobMove::Over(end) => ended(job, end, ledger).await,
            JobMove::Confirm | JobMove::Wait | JobMove::Cancel => Ok(job),
        };
    };
    if record.status != Status::Running {
        s3.cancel_job(&id).await?;
        return Ok(job);
    }
    let reported = s3.job(&id).await?;
    match next_move(reported.as_ref(), job.objects, ahead, job.created_at, now) {
        JobMove::Wait => Ok(job),
        JobMove::Confirm => {
            // Recorded first: CancelRestore has to know what may have been asked for.
            let job = jobs::change(ledger, job, |job| job.confirmed = true).await?;
            s3.confirm_job(&id).await?;
            Ok(job)
        }
        JobMove::Cancel => {
            s3.cancel_job(&id).await?;
            Ok(job)
        }
        JobMove::Over(JobEnd::Asked { refused }) if refused > 0 => {
            let outcome = refusals(record, &id, refused, ledger, files, settings, now).await?;
            let end = match outcome {
                Ok(()) => JobEnd::Asked { refused },
                Err(why) => JobEnd::Abandoned { why },
            };
            ended(job, end, ledger).await
        }
        JobMove::Over(end) => ended(job, end, ledger).await,
    }
}

async fn ended(job: JobRecord, end: JobEnd, ledger: &impl Ledger) -> Result<JobRecord, StepError> {
    match &end {
        JobEnd::Asked { refused } => {
            info!(restore = %job.restore, refused, "a job has asked for its {} objects, and {refused} were refused", job.objects);
        }
        JobEnd::Abandoned { why } => warn!(restore = %job.restore, "a job has not done its work: {why}"),
    }
    jobs::change(ledger, job, |job| {
        job.end.get_or_insert_with(|| end.clone());
    })
    .await
}

/// Reads the report of a job, and records the refusals in the rows. Answers a reason if the report does not account for
/// all refusals.
async fn refusals(
    record: &RestoreRecord,
    id: &str,
    refused: u64,
    ledger: &impl Ledger,
    files: &(impl WorkFiles + LongFiles),
    settings: &Settings,
    now: Timestamp,
) -> Result<Result<(), String>, StepError> {
    if refused > READ_AT_MOST {
        return Ok(Err(format!("S3 refused {refused} objects")));
    }
    let folder = JobRecord::folder(&record.id, chunks::plan_of(record)?.made_at);
    let Some(manifest) = files.get(&format!("{folder}/job-{id}/manifest.json")).await? else {
        return Ok(Err("the job has no report".to_owned()));
    };
    let reports = match failed_reports(&manifest, &settings.work_bucket, &format!("{folder}/")) {
        Ok(reports) => reports,
        Err(unreadable) => return Ok(Err(unreadable.to_string())),
    };
    let mut noted = 0;
    for report in reports {
        let (mut reader, mut from, mut more) = (ReportReader::default(), 0, true);
        let mut tasks = Vec::new();
        while more {
            let Some(piece) = files.read(&report, from).await? else {
                return Ok(Err(format!("the report {report} is gone")));
            };
            from += piece.bytes.len() as u64;
            more = piece.more;
            let mut bytes = piece.bytes.as_slice();
            loop {
                let next = reader.next(&mut bytes);
                let next = if matches!(next, Ok(None)) && !more { reader.finish() } else { next };
                match next {
                    Ok(Some(task)) => tasks.push(task),
                    Ok(None) => break,
                    Err(unreadable) => return Ok(Err(unreadable.to_string())),
                }
                if tasks.len() == AT_ONCE {
                    noted += note(record, std::mem::take(&mut tasks), ledger, now).await?;
                }
            }
        }
        noted += note(record, tasks, ledger, now).await?;
    }
    Ok(if noted == refused { Ok(()) } else { Err(format!("of {refused} refusals, {noted} could be noted")) })
}

/// Whether a refusal may be about the job's role and not about the object. S3 uses that role for a job, and thaw uses
/// another, which a bucket policy or a KMS key policy may allow where it denies the job's.
fn may_be_the_jobs_own(answer: &RestoreAnswer) -> bool {
    match answer {
        RestoreAnswer::Refused { code, .. } => code == "AccessDenied" || code.starts_with("KMS."),
        RestoreAnswer::Accepted
        | RestoreAnswer::AlreadyLive
        | RestoreAnswer::InProgress
        | RestoreAnswer::NoExpeditedCapacity
        | RestoreAnswer::NotArchived => false,
    }
}

/// Records some refusals in the rows. Answers for how many objects the report is conclusive: not for objects that the
/// ledger does not know, and not for refusals that another request, or one with thaw's own role, may avoid.
async fn note(
    record: &RestoreRecord,
    tasks: Vec<FailedTask>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<u64, StepError> {
    if tasks.is_empty() {
        return Ok(0);
    }
    let mut answers = BTreeMap::new();
    for FailedTask { object, answer } in tasks {
        answers.insert(row_key(&object, &record.id), answer);
    }
    let keys: Vec<ItemKey> = answers.keys().cloned().collect();
    let mut noted = 0;
    let mut rows = rows::with_keys(&keys, ledger).await?;
    readiness::apply(rows.iter_mut(), ledger).await?;
    for row in rows {
        let Some(Ok(answer)) = answers.remove(&row_key(&row.object, &row.restore)) else { continue };
        if may_be_the_jobs_own(&answer) {
            continue;
        }
        noted += 1;
        match row.state {
            State::Planned => {}
            // An event came first, or an earlier attempt recorded it.
            State::Available
            | State::Restoring { .. }
            | State::Restored { .. }
            | State::Published { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => continue,
        }
        let has_copy = row.kind.is_none_or(thaw_core::ArchiveKind::has_copy);
        let days = has_copy.then(|| record.request.copy_days());
        apply(ledger, &row, &answer.event(days, record.request.tier, now)).await?;
    }
    Ok(noted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use thaw_core::{ChunkPosition, Job, JobStatus, Readiness, Request, RestoreId, Row};

    use super::*;
    use crate::testing::stack::{Stack, now, row, settings};
    use crate::workflow::create_jobs;

    /// A restore of two objects with a job. S3 reports `job` for it.
    async fn with_job(stack: &Stack, job: Job) -> RestoreId {
        let id = stack.planned(&[("a", State::Planned), ("b", State::Planned)], 2).await;
        stack.change(&id, |record| record.plan.as_mut().unwrap().jobs = vec![0]).await;
        let input = create_jobs::Input { restore: id.to_string(), part: 0 };
        create_jobs::run(input, &stack.jobs, &stack.ledger, &stack.files, now()).await.unwrap();
        let jobs = stack.jobs.jobs();
        stack.jobs.set(jobs.keys().next().unwrap(), job);
        id
    }

    async fn check(stack: &Stack, id: &RestoreId) -> Output {
        let (input, later) = (Input { restore: id.to_string(), from_chunk: 0 }, now() + Duration::from_secs(600));
        run(input, &stack.jobs, &stack.ledger, &stack.files, &settings(), later).await.unwrap()
    }

    fn complete(succeeded: u64, failed: u64) -> Job {
        Job { status: JobStatus::Complete, succeeded, failed, why: String::new() }
    }

    #[tokio::test]
    async fn a_job_that_asked_for_everything_leaves_everything_restoring() {
        let stack = Stack::default();
        let id = with_job(&stack, complete(2, 0)).await;
        let output = check(&stack, &id).await;
        assert_eq!((output.jobs_done, output.counts.restoring, output.chunks), (true, 2, vec![]));
        assert_eq!(output.wait_seconds, 3 * 3_600);
    }

    #[tokio::test]
    async fn objects_that_a_report_does_not_account_for_are_asked_for_again() {
        // The first has no report. The second job is about fewer objects than its list has.
        for job in [complete(1, 1), complete(1, 0)] {
            let stack = Stack::default();
            let id = with_job(&stack, job).await;
            let output = check(&stack, &id).await;
            assert_eq!((output.jobs_done, output.chunks, output.counts.planned), (true, vec![0], 2), "{}", output.says);
            // A second look finds the same.
            assert_eq!(check(&stack, &id).await.chunks, [0]);
        }
    }

    #[tokio::test]
    async fn a_refused_object_that_somebody_else_restored_has_not_failed() {
        let (stack, id) = (Stack::default(), RestoreId::try_from("r".to_owned()).unwrap());
        let rows = [0, 1].map(|entry| {
            let place = Some(ChunkPosition { chunk: 0, entry });
            Row { place, ..row(&id, &entry.to_string(), State::Planned) }
        });
        for row in &rows {
            stack.insert(row).await;
        }
        readiness::record(&[(&rows[0], Readiness { at: now(), expires: None })], &stack.ledger).await.unwrap();
        let refused = || Ok(RestoreAnswer::Refused { code: "NoSuchKey".to_owned(), message: String::new() });
        let tasks = rows.iter().map(|row| FailedTask { object: row.object.clone(), answer: refused() }).collect();
        let body = json!({"bucket": "archive", "keys": ["0", "1"]});
        let record = RestoreRecord::new(id, &Request::parse(&body).unwrap(), now());
        assert_eq!(note(&record, tasks, &stack.ledger, now()).await.unwrap(), 2);
        let words = async |row: &Row| stack.rows_of(&row.object).await[0].state.as_str();
        assert_eq!([words(&rows[0]).await, words(&rows[1]).await], ["planned", "failed"]);
    }

    #[tokio::test]
    async fn a_report_of_very_many_refusals_is_not_read() {
        let stack = Stack::default();
        let id = with_job(&stack, complete(0, 0)).await;
        let (record, settings) = (stack.record(&id).await, settings());
        let outcome = refusals(&record, "job", READ_AT_MOST + 1, &stack.ledger, &stack.files, &settings, now()).await;
        assert_eq!(outcome.unwrap(), Err("S3 refused 100001 objects".to_owned()));
    }

    #[tokio::test]
    async fn a_suspended_job_is_confirmed_after_the_ledger_says_so() {
        let stack = Stack::default();
        let waits = Job { status: JobStatus::Suspended, ..complete(0, 0) };
        let id = with_job(&stack, waits).await;
        assert!(!check(&stack, &id).await.jobs_done);
        let (_, job) = stack.jobs.jobs().into_values().next().unwrap();
        assert_eq!(job.status, JobStatus::Underway);
        assert!(jobs::all(&stack.ledger, &stack.record(&id).await).await.unwrap()[0].confirmed);
    }
}
