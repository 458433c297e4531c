//! `POST /v1/restores`: validates, writes the restore down, starts its execution. Prices and S3 are the plan's business.

use jiff::Timestamp;
use serde_json::{Value, json};
use thaw_core::{Problem, Request, RestoreId, Status, hash};
use tracing::info;

use crate::restore_view::{RETRY_RUNNING_SECONDS, RestoreView};
use crate::http::{self, Response};
use crate::ledger::{self, KeyRecord, RestoreRecord, request_name};
use crate::ports::{Ledger, Put, StartExecutions, WorkFiles};
use crate::{Settings, StepError};

/// Bytes of a request that go into the execution's input, where a person can read them in the console. Step Functions
/// takes 262,144 (Developer Guide, "Quotas related to state executions"), and the input is wrapped on its way to Plan.
const INPUT_BYTES: usize = 200_000;

/// Accepts a restore.
///
/// With an `Idempotency-Key`, the same request may come any number of times, at once or years apart: it makes one
/// restore and one execution, and whatever an earlier try left undone is done by the next one.
pub async fn run(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    accept(request, ledger, files, executions, settings, now).await.into()
}

async fn accept(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let asked = read_request(request, settings)?;
    let begun = match idempotency_key(request)? {
        Some(key) => {
            let claim = claim(key, &asked, ledger, now).await?;
            write_and_start(&claim.id, &asked, claim.requested_at, ledger, files, executions).await?
        }
        None => {
            let id = RestoreId::new(now, &asked, &request.request_context.request_id);
            match write_and_start(&id, &asked, now, ledger, files, executions).await {
                Ok(begun) => begun,
                Err(error) => return Err(abandon(&id, error, ledger, now).await),
            }
        }
    };
    let Begun { record, new } = begun;
    if new {
        info!(restore = %record.id, objects = record.asked, "accepted restore {}", record.id);
    }
    // Only what never changes goes into this body. So equal requests get equal answers, byte for byte, however many
    // come at once and whatever has happened since; where the restore stands now is what the Location says.
    let body = RestoreView::accepted(&record.id, &asked, record.requested_at);
    Ok(Response::json(if new { 202 } else { 200 }, &body)
        .with("location", &body.links.this)
        .with("retry-after", RETRY_RUNNING_SECONDS))
}

/// What a body asks for, if it is right and about a bucket of ours.
pub(crate) fn read_request(request: &http::Request, settings: &Settings) -> Result<Request, Problem> {
    let asked = Request::read(&request.body_bytes()?)?;
    if !settings.archive_buckets.contains(&asked.bucket) {
        return Err(Problem::foreign_bucket(&asked.bucket, &settings.archive_buckets));
    }
    Ok(asked)
}

/// The `Idempotency-Key`: 1 to 255 visible ASCII characters (the HTTP working group's draft leaves the limit to us).
fn idempotency_key(request: &http::Request) -> Result<Option<&str>, Problem> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key));
    }
    let why = "must be 1 to 255 visible ASCII characters, for example a UUID.";
    Err(Problem::field("Idempotency-Key", &Value::from(key), why))
}

/// Gives the key to this request, or finds the request that has it. Whoever writes first decides id and time for all.
async fn claim(key: &str, asked: &Request, ledger: &impl Ledger, now: Timestamp) -> Result<KeyRecord, StepError> {
    let key_hash = hash(&["idempotency-key", key]);
    let id = RestoreId::new(now, asked, &key_hash);
    let claim = KeyRecord { key_hash, id, body_hash: asked.hash(), requested_at: now };
    match ledger.insert(&claim).await? {
        Put::Done => Ok(claim),
        Put::Lost(first) if first.body_hash == claim.body_hash => Ok(first),
        Put::Lost(_) => Err(Problem::key_reused(key).into()),
    }
}

/// Writes a restore down and starts its execution, as often as it is called: what exists is left alone, what is missing
/// is made, and what has been planned or has ended is not started again.
pub(crate) async fn begin(
    id: &RestoreId,
    asked: &Request,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
) -> Result<RestoreRecord, StepError> {
    Ok(write_and_start(id, asked, requested_at, ledger, files, executions).await?.record)
}

/// A restore that was begun.
struct Begun {
    record: RestoreRecord,
    /// Whether it was written down just now.
    new: bool,
}

async fn write_and_start(
    id: &RestoreId,
    asked: &Request,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
) -> Result<Begun, StepError> {
    let fresh = RestoreRecord::new(id.clone(), asked, requested_at);
    // The record comes first: whoever is told of the restore, or is started by it, finds it.
    let begun = match ledger.insert(&fresh).await? {
        Put::Done => Begun { record: fresh, new: true },
        Put::Lost(record) if (&record.request, record.asked) == (&fresh.request, fresh.asked) => {
            Begun { record, new: false }
        }
        // Ids end in 48 bits of a hash, so this takes luck nobody has; but then it must not join a stranger's restore.
        Put::Lost(_) => return Err(StepError::Unexpected(format!("{id} is the id of another restore already"))),
    };
    if begun.record.plan.is_some() || begun.record.status != Status::Running {
        return Ok(begun);
    }
    let body = serde_json::to_vec(asked)?;
    let input = if body.len() > INPUT_BYTES {
        let name = request_name(id);
        files.put(&name, body).await?;
        json!({"request_in": name})
    } else {
        serde_json::to_value(asked)?
    };
    executions.start(id, &input).await?;
    Ok(begun)
}

/// Without a key nobody can repeat this very request, so a restore that could not be started must not look like one that
/// runs. If even that cannot be written, the first error is still the one to report.
async fn abandon(id: &RestoreId, error: StepError, ledger: &impl Ledger, now: Timestamp) -> StepError {
    let says = format!("It could not be started, and nothing was asked of S3: {error}. Send the request again.");
    // A record of another time is another restore's.
    if let Ok(record) = ledger::record(ledger, id).await
        && record.requested_at == now
    {
        let ended = ledger::change(ledger, record, |record| {
            record.status = Status::Failed;
            record.completed_at = Some(now);
            record.says = Some(says.clone());
        });
        if let Err(second) = ended.await {
            tracing::warn!(restore = %id, "restore {id} looks as if it ran, but does not: {second}");
        }
    }
    error
}
