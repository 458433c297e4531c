//! OnInboxFile: somebody dropped a request or a manifest into the work bucket's `inbox/`. It is accepted as
//! `POST /v1/restores` accepts one, and the answer is written beside it. The file stays.

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

/// Bytes at the beginning of a manifest in which its first object stands: a line of names and a line, each as long as one
/// may be, with room to spare.
const BEGINNING: usize = 256 * 1024;

/// Accepts the orders in a batch of messages, one after the other: each may be as large as a request.
///
/// What its dropper can mend is answered. Trouble is not: the message comes again, and then whatever was left undone is
/// done. One writing of a file makes one restore, however often it is told.
#[expect(
    clippy::too_many_arguments,
    reason = "each port is a permission; of the first only the reading of files, and those of the inbox"
)]
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
    let (dropped, mut failing) = batch.dropped(dead_letters).await;
    for (message, file) in dropped {
        let Some(order) = file.order(&settings.work_bucket) else { continue };
        let answered = async {
            let answer = match accept(&file, order, inbox, ledger, files, executions, settings, now).await {
                Ok(None) => return Ok(()),
                Ok(Some(accepted)) => serde_json::to_vec(&accepted)?,
                // What runs was answered when it was told of first. The file is gone since, or the stack's settings are others.
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

/// Starts what the file asks for; `None` if there is nothing to answer.
#[expect(clippy::too_many_arguments, reason = "each port is a permission; the rest is what is ordered")]
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
    // The same file means something else by now: the stack's limit is another.
    if claim.body_hash != asked.hash() && was_started(file, ledger).await? {
        return Ok(None);
    }
    if start(&claim.id, &asked, claim.requested_at, ledger, files, executions).await? {
        info!(restore = %claim.id, "accepted restore {} from {}", claim.id, file.at);
    }
    Ok(Some(RestoreView::accepted(&claim.id, &asked, claim.requested_at)))
}

/// What is found where a file was written.
enum Content {
    /// As much of it as its order needs.
    There {
        /// From its beginning.
        bytes: Vec<u8>,
        /// Whether more follows.
        more: bool,
    },
    /// Another file, of which its own message tells.
    Replaced,
    /// None, or none that may be read.
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
            // That thaw may not use a file's KMS key stays so.
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

/// Whether a restore was started for this very writing of the file.
async fn was_started(file: &InboxFile, ledger: &impl Ledger) -> Result<bool, StepError> {
    let Some(claim) = ledger.get::<KeyRecord>(&KeyRecord::key_of(&file.key_hash())).await? else { return Ok(false) };
    Ok(ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&claim.id)).await?.is_some())
}
