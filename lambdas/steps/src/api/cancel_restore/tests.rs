use serde_json::{Value, json};
use thaw_core::{FailureCode, PublishedReason, RestoreId, State};

use super::*;
use crate::testing::stack::{Stack, body, done, is_problem, now, restored, restoring, row};

fn published() -> State {
    State::Published { at: now(), readable: now(), expires: None, how: PublishedReason::NoPath }
}

fn failed() -> State {
    State::Failed { at: now(), code: FailureCode::NoSuchKey, message: "gone".to_owned() }
}

/// Cancels the restore and answers the body. Asserts that nothing of the restore goes on.
async fn cancelled(stack: &Stack, id: &RestoreId) -> Value {
    let response = stack.delete(id.as_str()).await;
    let answer = body(&response);
    assert_eq!((response.status_code, &answer["status"]), (202, &json!("cancelled")));
    assert_eq!((&answer["stage"], &answer["completed_at"]), (&json!("ended"), &json!(now())));
    assert_eq!(stack.executions.stopped()[id], answer["says"].as_str().unwrap());
    let record = stack.record(id).await;
    let chunks = chunks::records(&stack.ledger, &record).await.unwrap();
    for ChunkObject { row, .. } in
        chunks::all_objects(&stack.ledger, &stack.files, &record, &chunks).await.unwrap().unwrap()
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
async fn the_answer_says_what_was_stopped_and_what_cannot_be() {
    const STOPPED: &str = "Cancelled: thaw has stopped waiting and publishes nothing more.";
    let by_batch = || State::Published {
        at: now(),
        readable: now(),
        expires: None,
        how: PublishedReason::Invalidated { batch: "b".to_owned().into() },
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
async fn published_and_failed_objects_stay_so() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", published()), ("b", failed()), ("c", restoring())], 2).await;
    let answer = cancelled(&stack, &id).await;
    let counts = ["published", "failed", "cancelled"].map(|state| answer["counts"][state].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test]
async fn a_claimed_object_keeps_its_claim() {
    let stack = Stack::default();
    let id = stack.planned(&[("claimed", restored(Some("b"))), ("free", restored(None))], 2).await;
    cancelled(&stack, &id).await;
    for (key, state) in [("claimed", "restored"), ("free", "cancelled")] {
        let rows = stack.rows_of(&row(&id, key, State::Planned).object).await;
        assert_eq!(rows[0].state.as_str(), state, "{key}");
    }
}

#[tokio::test]
async fn a_published_object_is_not_cancelled() {
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
async fn an_unknown_restore_cannot_be_cancelled() {
    let stack = Stack::default();
    is_problem(&stack.delete("no-such").await, 404, Some("id"));
    is_problem(&stack.delete("a b").await, 404, Some("id"));
}
