//! OnInboxFile: handles a request or a manifest that was uploaded to the work bucket's `inbox/`. It is accepted as by
//! `POST /v1/restores`, and the answer is written next to the file. The file stays.

use jiff::Timestamp;
use thaw_core::{CallError, InboxFile, MAX_BODY_BYTES, Order, Problem};
use tracing::{info, warn};

use crate::events::queue::{QueueBatch, QueueResponse};
use crate::ledger::idempotency_keys::KeyRecord;
use crate::ledger::restores::RestoreRecord;
use crate::planning::accepting::{claim, refuse_foreign, start};
use crate::planning::sources::is_archived;
use crate::ports::{DeadLetters, Ledger, PortError, ReadArchive, StartExecutions, WorkFiles};
use crate::views::restore_view::RestoreView;
use crate::{Settings, StepError};

/// Bytes that are read from the beginning of a manifest to find its first object: enough for a header and a line, each
/// of the maximum length.
const BEGINNING: usize = 256 * 1024;

/// Accepts the orders in a batch of messages, one after the other, because each may be as large as a request.
///
/// A problem that the uploader can correct is written as the answer. Any other error makes the message fail: SQS
/// delivers it again, and the handler completes what is missing. It is idempotent: one write of a file makes one
/// restore, however often its message is delivered.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the first may only read files of the inbox")]
pub async fn run(
    batch: QueueBatch,
    inbox: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    dead_letters: &impl DeadLetters,
    settings: &Settings,
    now: Timestamp,
) -> Result<QueueResponse, StepError> {
    let (uploaded, mut failing) = batch.dropped(dead_letters).await;
    for (message, file) in uploaded {
        let Some(order) = file.order(&settings.work_bucket) else { continue };
        let answered = async {
            let answer = match accept(&file, order, inbox, ledger, files, executions, settings, now).await {
                Ok(None) => return Ok(()),
                Ok(Some(accepted)) => serde_json::to_vec(&accepted)?,
                // The restore was started and answered at an earlier delivery. Since then the file was deleted, or the
                // stack's settings were changed.
                Err(StepError::InvalidRequest(_)) if was_started(&file, ledger).await? => return Ok(()),
                Err(StepError::InvalidRequest(problem)) => {
                    info!("answered {} with a problem: {problem}", file.at);
                    serde_json::to_vec(&problem)?
                }
                Err(
                    trouble @ (StepError::Throttled(_)
                    | StepError::TooManyInvalidationsInProgress(_)
                    | StepError::Unavailable(_)
                    | StepError::Denied(_)
                    | StepError::Unexpected(_)),
                ) => return Err(trouble),
            };
            Ok(files.put(&file.answer_name(), answer).await?)
        };
        if let Err(error) = answered.await {
            warn!(message_id = message, "{}: {error}", file.at);
            failing.insert(message);
        }
    }
    Ok(QueueResponse::failing(failing))
}

/// Starts the restore that the file orders; `None` if no answer is to be written.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is the order")]
async fn accept(
    file: &InboxFile,
    order: Order,
    inbox: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Option<RestoreView>, StepError> {
    file.refuse_by_size()?;
    let asked = match read(file, order, inbox).await? {
        Content::There { bytes, more } if file.is_manifest(order, &bytes, more) => {
            file.manifest(&bytes, more, &settings.archive_buckets, settings.inbox_max_cost)?
        }
        Content::There { bytes, .. } => file.request(&bytes)?,
        Content::Replaced => {
            info!("{} was written again, and what was told of it before is left to that", file.at);
            return Ok(None);
        }
        Content::Gone if is_archived(&file.at, inbox).await?.is_some() => {
            let why =
                "the file is archived itself, so thaw cannot read it. Drop it again in the storage class STANDARD.";
            return Err(Problem::no_order(&file.at, why).into());
        }
        Content::Gone => {
            let why = "the file is gone, or thaw may not read it. Drop it again, in a class that can be read and without a KMS key.";
            return Err(Problem::no_order(&file.at, why).into());
        }
    };
    refuse_foreign(&asked, settings)?;
    let claim = claim(file.key_hash(), &asked, ledger, now).await?;
    // The file gives another request than at an earlier delivery, because the stack's limit was changed.
    if claim.body_hash != asked.hash() && was_started(file, ledger).await? {
        return Ok(None);
    }
    if start(&claim.id, &asked, claim.requested_at, ledger, files, executions).await? {
        info!(restore = %claim.id, "accepted restore {} from {}", claim.id, file.at);
    }
    Ok(Some(RestoreView::accepted(&claim.id, &asked, claim.requested_at)))
}

/// The result of reading the file.
enum Content {
    /// The part of the file that its kind of order needs.
    There {
        /// From its beginning.
        bytes: Vec<u8>,
        /// Whether more follows.
        more: bool,
    },
    /// The file was written again. Its new version has a message of its own.
    Replaced,
    /// The file does not exist or may not be read.
    Gone,
}

async fn read(file: &InboxFile, order: Order, inbox: &impl ReadArchive) -> Result<Content, StepError> {
    let enough = match order {
        Order::Request => MAX_BODY_BYTES,
        Order::Manifest => BEGINNING,
    };
    let (mut bytes, mut etag, mut more) = (Vec::new(), None, true);
    while more && bytes.len() < enough {
        let piece = match inbox.read(&file.at, bytes.len() as u64, etag.as_deref()).await {
            Ok(Some(piece)) => piece,
            // A denied KMS key is permanent, so the message is not retried.
            Ok(None) | Err(PortError { trouble: Some(CallError::KeyDenied), .. }) => return Ok(Content::Gone),
            Err(error) => return Err(error.into()),
        };
        if piece.etag.trim_matches('"') != file.etag {
            return Ok(Content::Replaced);
        }
        bytes.extend(piece.bytes);
        (etag, more) = (Some(piece.etag), piece.more);
    }
    Ok(Content::There { bytes, more })
}

/// Whether a restore was started for this write of the file.
async fn was_started(file: &InboxFile, ledger: &impl Ledger) -> Result<bool, StepError> {
    let Some(claim) = ledger.get::<KeyRecord>(&KeyRecord::key_of(&file.key_hash())).await? else { return Ok(false) };
    Ok(ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&claim.id)).await?.is_some())
}
