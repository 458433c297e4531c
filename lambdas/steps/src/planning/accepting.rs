//! How a request becomes a restore: it is refused if it is about foreign buckets, gets its id, and its execution is started.

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

/// Bytes of a request that go into the execution's input, where a person can read them in the console. Step Functions
/// takes 262,144 (Developer Guide, "Quotas related to state executions"), and the input is wrapped on its way to Plan.
const INPUT_BYTES: usize = 200_000;

/// What a body asks for, if it is right and about a bucket of ours.
pub fn read_request(body: &[u8], settings: &Settings) -> Result<Request, Problem> {
    let asked = Request::read(body)?;
    refuse_foreign(&asked, settings)?;
    Ok(asked)
}

/// thaw may restore from the archive buckets, and of manifests read what lies there or in the inbox; and nothing else.
pub fn refuse_foreign(asked: &Request, settings: &Settings) -> Result<(), Problem> {
    let Settings { archive_buckets, work_bucket, .. } = settings;
    if !archive_buckets.contains(&asked.bucket) {
        return Err(Problem::foreign_bucket(&asked.bucket, archive_buckets));
    }
    let may_read = |file: &S3Uri| {
        archive_buckets.contains(&file.bucket) || (file.bucket == *work_bucket && file.key.starts_with(INBOX))
    };
    match &asked.source {
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

/// Gives the key to this request, or finds the request that has it, which may be another. Whoever writes first decides id
/// and time for all.
pub async fn claim(
    key_hash: String,
    asked: &Request,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<KeyRecord, StepError> {
    let id = RestoreId::new(now, asked, &key_hash);
    let claim = KeyRecord { key_hash, id, body_hash: asked.hash(), requested_at: now };
    match ledger.insert(&claim).await? {
        Put::Done => Ok(claim),
        Put::Lost(first) => Ok(first),
    }
}

/// Starts a restore's execution and writes the restore down, as often as it is called. A long request goes into a file.
pub async fn start(
    id: &RestoreId,
    asked: &Request,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
) -> Result<bool, StepError> {
    let body = serde_json::to_vec(asked)?;
    let input = if body.len() > INPUT_BYTES {
        let name = request_name(id);
        files.put(&name, body).await?;
        json!({"request_in": name})
    } else {
        serde_json::to_value(asked)?
    };
    begin(id, asked, &input, requested_at, ledger, executions).await
}

/// Starts a restore's execution with this input and writes the restore down, as often as it is called: what has been planned or
/// has ended is not started again, and what exists is left alone. Answers whether it was not written down yet.
///
/// The execution comes first. Whoever dies in between leaves a restore that runs and that its plan writes down; the
/// other way round it would leave one that is said to run and never will.
pub async fn begin(
    id: &RestoreId,
    asked: &Request,
    input: &Value,
    requested_at: Timestamp,
    ledger: &impl Ledger,
    executions: &impl StartExecutions,
) -> Result<bool, StepError> {
    let fresh = RestoreRecord::new(id.clone(), asked, requested_at);
    let written = ledger.get::<RestoreRecord>(&RestoreRecord::key_of(id)).await?;
    if let Some(record) = &written {
        // Ids end in 48 bits of a hash, so this takes luck nobody has; but then it must not join a stranger's restore.
        if (&record.request, record.asked) != (&fresh.request, fresh.asked) {
            return Err(StepError::Unexpected(format!("{id} is the id of another restore already")));
        }
        if record.plan.is_some() || record.status != Status::Running {
            return Ok(false);
        }
    }
    executions.start(id, input).await?;
    // Whoever is told of the restore finds it.
    Ok(match ledger.insert(&fresh).await? {
        Put::Done => true,
        // Its plan was faster, and wrote down its own time; or another try of this request was, with ours.
        Put::Lost(record) => written.is_none() && record.requested_at != requested_at,
    })
}

/// A request that follows running restores and publishes what they bring, and never asks S3 for one.
pub fn join_only<'a>(bucket: &str, objects: impl IntoIterator<Item = &'a ObjectId>) -> Request {
    let asked = |object: &ObjectId| RequestedObject { key: object.key.clone(), version_id: object.version.clone() };
    Request {
        bucket: bucket.to_owned(),
        source: Source::Keys { keys: objects.into_iter().map(asked).collect() },
        // What others asked for is not known; Bulk is what can take longest.
        tier: Tier::Bulk,
        days: None,
        on_expedited_unavailable: ExpeditedFallback::Standard,
        max_cost_usd: None,
        publish: Publish::default(),
        notify: Vec::new(),
        // Nothing is asked for.
        batch_operations: None,
        join_only: true,
        dry_run: false,
        confirm: None,
    }
}
