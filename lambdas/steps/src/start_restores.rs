//! StartRestores: ask S3 for the objects of one chunk. One bad object never stops the others.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    Counts, Decision, Event, ExpeditedFallback, FailureCode, RestoreAnswer, Row, State, Status, Tier, copy_expiry,
};
use tracing::{info, warn};

use crate::ledger::{self, apply};
use crate::looking::seconds_until_next_look;
use crate::ports::{Ledger, RequestRestores, WorkFiles};
use crate::{IN_FLIGHT, RestoreRecord, StepError, plan};

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The chunk's number.
    pub chunk: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// Where the chunk's objects stand.
    pub counts: Counts,
    /// Seconds until it makes sense to look at this chunk.
    pub wait_seconds: u64,
}

/// Asks S3 for what is still planned in a chunk.
///
/// Objects that S3 was asked for are noted one by one, so a second run goes on where the first one died; the one object
/// whose note was lost is answered with 409 and joined. Fails with `Throttled` or `Unavailable` if some objects are
/// still planned at the end, after all others were asked for.
pub async fn run(
    input: Input,
    archive: &impl RequestRestores,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let rows = ledger::rows_of_chunk(ledger, files, &record, input.chunk).await?;
    let cancelled = record.status != Status::Running;
    let results: Vec<Result<Row, StepError>> = stream::iter(rows)
        .map(|row| async {
            match row.state {
                State::Planned if cancelled => apply(ledger, &row, &Event::Cancelled { at: now }).await,
                State::Planned => ask(row, &record, archive, ledger, now).await,
                State::Available
                | State::Restoring { .. }
                | State::Restored { .. }
                | State::Published { .. }
                | State::Failed { .. }
                | State::Cancelled { .. } => Ok(row),
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let asked = results.len();
    let mut rows = Vec::with_capacity(asked);
    let mut trouble = Vec::new();
    for result in results {
        match result {
            Ok(row) => rows.push(row),
            Err(error) => trouble.push(error),
        }
    }
    let left = trouble.len();
    if let Some(first) = trouble.into_iter().next() {
        warn!(restore = %record.id, chunk = input.chunk, left, "{left} of {asked} objects are still to be asked for: {first}");
        return Err(first);
    }
    let counts = Counts::of(&rows);
    let says = format!("Chunk {}: {}", input.chunk, thaw_core::sentence(counts, &[]));
    info!(restore = %record.id, chunk = input.chunk, "{says}");
    Ok(Output { says, counts, wait_seconds: seconds_until_next_look(&rows, now) })
}

async fn ask(
    row: Row,
    record: &RestoreRecord,
    archive: &impl RequestRestores,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Row, StepError> {
    let tier = record.request.tier;
    let event = match row.decision {
        // S3 is not asked, so it may be busy at any tier: one that is not offered could not even be waited for.
        Decision::Watch | Decision::Nothing => {
            let is_offered = row.kind.is_none_or(|kind| kind.window(tier).is_some());
            Event::Joined { at: now, tier: if is_offered { tier } else { Tier::Standard } }
        }
        Decision::Restore | Decision::Extend | Decision::Join => {
            // Intelligent-Tiering makes no copy, and S3 refuses days for it.
            let has_copy = row.kind.is_none_or(thaw_core::ArchiveKind::has_copy);
            let days = has_copy.then(|| record.request.copy_days());
            let answer = archive.restore(&row.object, days, tier).await?;
            match (&answer, record.request.on_expedited_unavailable) {
                (RestoreAnswer::NoExpeditedCapacity, ExpeditedFallback::Standard) => {
                    info!(restore = %record.id, object.key = %row.object.key, "no Expedited capacity for {}: asking at Standard", row.object.key);
                    let answer = archive.restore(&row.object, days, Tier::Standard).await?;
                    meaning(answer, days, Tier::Standard, now)
                }
                _ => meaning(answer, days, tier, now),
            }
        }
    };
    apply(ledger, &row, &event).await
}

/// What S3's answer means for the object.
fn meaning(answer: RestoreAnswer, days: Option<u32>, tier: Tier, now: Timestamp) -> Event {
    let fail = |code, message: String| Event::Failed { at: now, code, message };
    match answer {
        RestoreAnswer::Accepted => Event::Requested { at: now, tier },
        RestoreAnswer::InProgress => Event::Joined { at: now, tier },
        // The answer does not carry the new expiry, but its rule is known: the days count from now.
        RestoreAnswer::AlreadyLive => Event::Readable { at: now, expires: days.map(|days| copy_expiry(now, days)) },
        // It was archived when it was planned, so it came back since: an answer of S3 got lost, or somebody else asked.
        RestoreAnswer::NotArchived => Event::Readable { at: now, expires: None },
        RestoreAnswer::NoExpeditedCapacity => fail(
            FailureCode::ExpeditedNotAvailable,
            "S3 has no Expedited capacity now, and the request said to fail then".to_owned(),
        ),
        RestoreAnswer::Refused { code, message } => {
            let failure = match code.as_str() {
                "NoSuchKey" => FailureCode::NoSuchKey,
                "NoSuchVersion" => FailureCode::NoSuchVersion,
                "MethodNotAllowed" => FailureCode::DeleteMarker,
                "AccessDenied" => FailureCode::AccessDenied,
                _ if message.contains("not supported by this storage class") => FailureCode::TierNotOffered,
                _ => FailureCode::RefusedByS3,
            };
            let code = if code.is_empty() { "an error without a name" } else { &code };
            fail(failure, format!("S3 refused the restore with {code}: {message}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::now;

    #[test]
    fn every_answer_of_s3_has_a_meaning_for_the_object() {
        let refused =
            |code: &str, message: &str| RestoreAnswer::Refused { code: code.to_owned(), message: message.to_owned() };
        let event = |answer| meaning(answer, Some(3), Tier::Bulk, now());
        assert_eq!(event(RestoreAnswer::Accepted), Event::Requested { at: now(), tier: Tier::Bulk });
        assert_eq!(event(RestoreAnswer::InProgress), Event::Joined { at: now(), tier: Tier::Bulk });
        let expires = Some("2026-11-26T00:00:00Z".parse().unwrap());
        assert_eq!(event(RestoreAnswer::AlreadyLive), Event::Readable { at: now(), expires });
        assert_eq!(event(RestoreAnswer::NotArchived), Event::Readable { at: now(), expires: None });
        for (answer, failure) in [
            (RestoreAnswer::NoExpeditedCapacity, FailureCode::ExpeditedNotAvailable),
            (refused("NoSuchKey", ""), FailureCode::NoSuchKey),
            (refused("NoSuchVersion", ""), FailureCode::NoSuchVersion),
            (refused("MethodNotAllowed", ""), FailureCode::DeleteMarker),
            (refused("AccessDenied", ""), FailureCode::AccessDenied),
            (refused("InvalidRequest", "Tier is not supported by this storage class"), FailureCode::TierNotOffered),
            (refused("", "odd"), FailureCode::RefusedByS3),
        ] {
            let Event::Failed { code, .. } = event(answer.clone()) else { panic!("{answer:?}") };
            assert_eq!(code, failure, "{answer:?}");
        }
    }
}
