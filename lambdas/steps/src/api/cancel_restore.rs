//! `DELETE /v1/restores/{id}`: stops waiting and publishing. What S3 has begun, nobody can stop.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{Event, Problem, Status};
use tracing::info;

use crate::StepError;
use crate::api::http::{self, Response};
use crate::api::named_restore;
use crate::ledger::chunks::{self, Known, Written};
use crate::ledger::jobs::{self, JobRecord};
use crate::ledger::progress::Standing;
use crate::ledger::restores::{self, RestoreRecord};
use crate::ledger::rows;
use crate::ports::{IN_FLIGHT, Ledger, StopExecutions, UpdateJobs, WorkFiles};
use crate::views::restore_view::RestoreView;

/// Cancels a restore. Cancelling it again is fine, and finishes what an earlier try left undone.
pub async fn run(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Response {
    cancel(request, ledger, files, executions, s3, now).await.into()
}

async fn cancel(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StopExecutions,
    s3: &impl UpdateJobs,
    now: Timestamp,
) -> Result<Response, StepError> {
    request.expect_queries(&[])?;
    let record = named_restore(request, ledger).await?;
    let is_asking = |job: &JobRecord| job.is_open() && job.confirmed;
    let by_jobs = jobs::all(ledger, &record).await?.iter().any(is_asking);
    let says = says(&record, &Standing::of(&record, ledger, files).await?, by_jobs);

    // The flag goes up first: steps that run at this moment see it and ask for nothing more.
    let record = restores::change(ledger, record, |record| {
        record.status = Status::Cancelled;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    })
    .await?;
    match record.status {
        Status::Cancelled => {}
        Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed => {
            return Err(Problem::already_ended(record.id.as_str(), record.status.word()).into());
        }
    }
    let says = record.says.as_deref().unwrap_or("The restore was cancelled.");
    jobs::cancel(ledger, &record, s3).await?;
    // Read again: what moved on before the flag was seen is cancelled as well.
    let known = chunks::records(ledger, &record).await?;
    // Of more objects than a door can wait for, the events find that their restore was cancelled.
    let objects = chunks::all_objects(ledger, files, &record, &known).await?.unwrap_or_default();
    let event = Event::Cancelled { at: record.completed_at.unwrap_or(now) };
    let is_open = |known: &&Known| known.written != Written::Nothing && known.row.ends_with_a_cancel();
    stream::iter(objects.iter().filter(is_open))
        .map(|known| rows::apply(ledger, &known.row, &event))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    // Last: until then the execution itself would do at its next look what is left undone here.
    executions.stop(&record.id, says).await?;
    info!(restore = %record.id, "cancelled restore {}: {says}", record.id);
    Ok(Response::json(202, &RestoreView::read(&record, ledger, files).await?)
        .with("location", format!("/v1/restores/{}", record.id)))
}

/// What was stopped, what cannot be, and what that means for the bill.
fn says(record: &RestoreRecord, standing: &Standing, by_jobs: bool) -> String {
    if record.plan.is_none() {
        return "Cancelled before anything was asked of S3: nothing is being restored, and nothing was spent."
            .to_owned();
    }
    let open = &standing.counts;
    let readable = if record.request.publish.never() { 0 } else { open.restored };
    let mut says = String::from("Cancelled: thaw has stopped waiting and publishes nothing more.");
    if open.planned > 0 && by_jobs {
        says.push_str(&format!(
            " S3 Batch Operations was asking for {}, and asks for no more; what it has asked for is being restored and is paid for.",
            objects(open.planned),
        ));
    } else if open.planned > 0 {
        says.push_str(&format!(" {} had not been asked of S3 yet, and will not be.", objects(open.planned)));
    }
    let begun = open.restoring + readable;
    if begun > 0 {
        says.push_str(&format!(
            " S3 has begun to restore {} and has no way to cancel that: it is paid for, and the copies will be there until they expire.",
            objects(begun),
        ));
    }
    if standing.claimed > 0 {
        says.push_str(&format!(" The invalidation for {} may take effect still.", objects(standing.claimed)));
    }
    if begun == 0 && !(by_jobs && open.planned > 0) {
        says.push_str(" S3 is restoring nothing for it, so there is nothing more to pay.");
    }
    says
}

fn objects(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use thaw_core::{FailureCode, How, RestoreId, State};

    use super::*;
    use crate::testing::stack::{Stack, body, done, is_problem, now, restored, restoring, row};

    fn published() -> State {
        State::Published { at: now(), readable: now(), expires: None, how: How::NoPath }
    }

    fn failed() -> State {
        State::Failed { at: now(), code: FailureCode::NoSuchKey, message: "gone".to_owned() }
    }

    /// Cancels, and answers the body; nothing of the restore is left running.
    async fn cancelled(stack: &Stack, id: &RestoreId) -> Value {
        let response = stack.delete(id.as_str()).await;
        let answer = body(&response);
        assert_eq!((response.status_code, &answer["status"]), (202, &json!("cancelled")));
        assert_eq!((&answer["stage"], &answer["completed_at"]), (&json!("ended"), &json!(now())));
        assert_eq!(stack.executions.stopped()[id], answer["says"].as_str().unwrap());
        let record = stack.record(id).await;
        let known = chunks::records(&stack.ledger, &record).await.unwrap();
        for Known { row, .. } in
            chunks::all_objects(&stack.ledger, &stack.files, &record, &known).await.unwrap().unwrap()
        {
            assert!(row.is_settled() || row.state.claim().is_some(), "{row:?}");
        }
        answer
    }

    async fn says(objects: &[(&str, State)]) -> String {
        let stack = Stack::default();
        let id = stack.planned(objects, 2).await;
        cancelled(&stack, &id).await["says"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_restore_that_is_not_planned_yet_has_cost_nothing() {
        let stack = Stack::default();
        let id = stack.accepted(&["a", "b"]).await;
        let answer = cancelled(&stack, &id).await;
        assert_eq!((&answer["counts"]["total"], &answer["counts"]["cancelled"]), (&json!(2), &json!(2)));
        assert!(answer["says"].as_str().unwrap().contains("nothing was spent"));
    }

    #[tokio::test]
    async fn what_was_stopped_and_what_cannot_be_is_said_and_nothing_else() {
        const STOPPED: &str = "Cancelled: thaw has stopped waiting and publishes nothing more.";
        let by_batch = || State::Published {
            at: now(),
            readable: now(),
            expires: None,
            how: How::Invalidated { batch: "b".to_owned().into() },
        };
        for (objects, says_more) in [
            (
                vec![("a", State::Planned), ("b", State::Planned), ("c", State::Available)],
                " 2 objects had not been asked of S3 yet, and will not be. S3 is restoring nothing for it, so there is nothing more to pay.",
            ),
            (
                vec![("a", restoring()), ("b", restored(None)), ("c", by_batch())],
                " S3 has begun to restore 2 objects and has no way to cancel that: it is paid for, and the copies will be there until they expire.",
            ),
            (
                vec![("a", restored(Some("b"))), ("c", State::Planned)],
                " 1 object had not been asked of S3 yet, and will not be. S3 has begun to restore 1 object and has no way to cancel that: it is paid for, and the copies will be there until they expire. The invalidation for 1 object may take effect still.",
            ),
        ] {
            assert_eq!(says(&objects).await, format!("{STOPPED}{says_more}"));
        }
    }

    #[tokio::test]
    async fn what_is_published_or_failed_stays_so() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", published()), ("b", failed()), ("c", restoring())], 2).await;
        let answer = cancelled(&stack, &id).await;
        let counts = ["published", "failed", "cancelled"].map(|state| answer["counts"][state].as_u64().unwrap());
        assert_eq!(counts, [1, 1, 1]);
    }

    #[tokio::test]
    async fn what_a_batch_has_claimed_keeps_its_claim() {
        let stack = Stack::default();
        let id = stack.planned(&[("claimed", restored(Some("b"))), ("free", restored(None))], 2).await;
        cancelled(&stack, &id).await;
        for (key, state) in [("claimed", "restored"), ("free", "cancelled")] {
            let rows = stack.rows_of(&row(&id, key, State::Planned).object).await;
            assert_eq!(rows[0].state.word(), state, "{key}");
        }
    }

    #[tokio::test]
    async fn what_a_batch_has_published_is_not_cancelled() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", restored(Some("b"))), ("c", restored(Some("theirs")))], 2).await;
        stack.insert(&done("b", &["a"])).await;
        let answer = cancelled(&stack, &id).await;
        let counts = ["published", "cancelled"].map(|state| answer["counts"][state].as_u64().unwrap());
        assert_eq!(counts, [1, 1]);
        assert!(answer["says"].as_str().unwrap().contains("The invalidation for 1 object may"), "{answer}");
    }

    #[tokio::test]
    async fn cancelling_twice_says_the_same() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", restoring())], 1).await;
        let first = cancelled(&stack, &id).await;
        assert_eq!(cancelled(&stack, &id).await, first);
    }

    #[tokio::test]
    async fn cancelling_again_finishes_what_was_left_undone() {
        let stack = Stack::default();
        let id = stack.planned(&[("a", restoring())], 1).await;
        stack
            .change(&id, |record| {
                record.status = Status::Cancelled;
                record.completed_at = Some(now());
                record.says = Some("Cancelled.".to_owned());
            })
            .await;
        assert_eq!(cancelled(&stack, &id).await["says"], "Cancelled.");
    }

    #[tokio::test]
    async fn a_restore_that_ended_cannot_be_cancelled() {
        for status in [Status::Succeeded, Status::PartlyFailed, Status::Failed] {
            let stack = Stack::default();
            let id = stack.planned(&[("a", restoring())], 1).await;
            stack.change(&id, |record| record.status = status).await;
            is_problem(&stack.delete(id.as_str()).await, 409, None);
            assert!(stack.executions.stopped().is_empty());
            assert_eq!(stack.record(&id).await.status, status);
        }
    }

    #[tokio::test]
    async fn a_restore_that_nobody_knows_cannot_be_cancelled() {
        let stack = Stack::default();
        is_problem(&stack.delete("no-such").await, 404, Some("id"));
        is_problem(&stack.delete("a b").await, 404, Some("id"));
    }
}
