//! How a request becomes a restore: it is refused for foreign buckets, gets an id, and its execution is started.

use jiff::Timestamp;
use serde_json::{Value, json};
use thaw_core::{
    ExpeditedFallback, INBOX, ObjectId, Problem, Publish, Request, RequestedObject, RestoreId, S3Uri, Source, Status,
    Tier,
};

use crate::ledger::idempotency_keys::KeyRecord;
use crate::ledger::restores::{RestoreRecord, request_name};
use crate::ports::{Ledger, Put, StartExecutions, WorkFiles};
use crate::{Settings, StepError};

/// The largest request, in bytes, that becomes the execution's input, where people can read it in the console. Step
/// Functions takes 262,144 (Developer Guide, "Quotas related to state executions"), and the input is wrapped on its way
/// to Plan.
const INPUT_BYTES: usize = 200_000;

/// Parses the body of a request and checks its buckets.
pub fn read_request(body: &[u8], settings: &Settings) -> Result<Request, Problem> {
    let request = Request::read(body)?;
    refuse_foreign(&request, settings)?;
    Ok(request)
}

/// Refuses a bucket that is not one of the archive buckets.
pub fn refuse_foreign_bucket(bucket: &str, settings: &Settings) -> Result<(), Problem> {
    match settings.archive_buckets.iter().any(|ours| ours == bucket) {
        true => Ok(()),
        false => Err(Problem::foreign_bucket(bucket, &settings.archive_buckets)),
    }
}

/// Refuses buckets that thaw may not use. It restores from the archive buckets, and reads manifests from these and from
/// the inbox.
pub fn refuse_foreign(request: &Request, settings: &Settings) -> Result<(), Problem> {
    refuse_foreign_bucket(&request.bucket, settings)?;
    let Settings { archive_buckets, work_bucket, .. } = settings;
    let may_read = |file: &S3Uri| {
        archive_buckets.contains(&file.bucket) || (file.bucket == *work_bucket && file.key.starts_with(INBOX))
    };
    match &request.source {
        Source::Manifest { manifest, .. } if !may_read(manifest) => {
            let why = format!(
                "must lie in one of the stack's archive buckets, {}, or in its inbox, s3://{work_bucket}/{INBOX}.",
                archive_buckets.join(", ")
            );
            Err(Problem::field("manifest", &Value::from(manifest.to_string()), why))
        }
        Source::Keys { .. } | Source::Prefix { .. } | Source::Manifest { .. } | Source::Restore { .. } => Ok(()),
    }
}

/// Claims an idempotency key for this request. Answers the key's record, which may belong to an earlier request: the
/// first writer decides id and time.
pub async fn claim(
    key_hash: String,
    request: &Request,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<KeyRecord, StepError> {
    let id = RestoreId::new(now, request, &key_hash);
    let claim = KeyRecord { key_hash, id, body_hash: request.hash(), requested_at: now };
    match ledger.insert(&claim).await? {
        Put::Done => Ok(claim),
        Put::Lost(first) => Ok(first),
    }
}

/// Starts a restore's execution and writes its record; a long request goes into a file. Idempotent: see [`begin`].
pub async fn start(
    id: &RestoreId,
    request: &Request,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
) -> Result<bool, StepError> {
    let body = serde_json::to_vec(request)?;
    let input = if body.len() > INPUT_BYTES {
        let name = request_name(id);
        files.put(&name, body).await?;
        json!({"request_in": name})
    } else {
        serde_json::to_value(request)?
    };
    begin(id, request, &input, requested_at, ledger, executions).await
}

/// Starts a restore's execution with this input and writes its record. Idempotent: a restore that was planned or has
/// ended is not started again, and an existing record stays. Answers whether the restore is new: an earlier call of the
/// same request has not written its record.
///
/// The execution is started first. A function that dies in between leaves a restore that runs, and its Plan writes the
/// record. The other order would leave a record of a restore that never runs.
pub async fn begin(
    id: &RestoreId,
    request: &Request,
    input: &Value,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    executions: &impl StartExecutions,
) -> Result<bool, StepError> {
    let fresh = RestoreRecord::new(id.clone(), request, requested_at);
    let written = ledger.get::<RestoreRecord>(&RestoreRecord::key_of(id)).await?;
    if let Some(record) = &written {
        // Ids end in 48 bits of a hash, so a collision is very unlikely. If there is one, the request must not join
        // another caller's restore.
        if (&record.request, record.asked) != (&fresh.request, fresh.asked) {
            return Err(StepError::Unexpected(format!("{id} is the id of another restore already")));
        }
        if record.plan.is_some() || record.status != Status::Running {
            return Ok(false);
        }
    }
    executions.start(id, input).await?;
    // The record is written before the caller gets the id.
    Ok(match ledger.insert(&fresh).await? {
        Put::Done => true,
        // Plan was faster and wrote its own time; or another attempt of this request was, with the same time.
        Put::Lost(record) => written.is_none() && record.requested_at != requested_at,
    })
}

/// A request that follows restores that run already and publishes their objects. It never asks S3 for a restore.
pub fn join_only<'a>(bucket: &str, objects: impl IntoIterator<Item = &'a ObjectId>) -> Request {
    let asked = |object: &ObjectId| RequestedObject { key: object.key.clone(), version_id: object.version.clone() };
    Request {
        bucket: bucket.to_owned(),
        source: Source::Keys { keys: objects.into_iter().map(asked).collect() },
        // The tier of the other requester is unknown. Bulk is the slowest.
        tier: Tier::Bulk,
        days: None,
        on_expedited_unavailable: ExpeditedFallback::Standard,
        max_cost_usd: None,
        publish: Publish::default(),
        notify: Vec::new(),
        // There are no restore requests to leave to jobs.
        batch_operations: None,
        join_only: true,
        publish_only: false,
        dry_run: false,
        confirm: None,
    }
}
