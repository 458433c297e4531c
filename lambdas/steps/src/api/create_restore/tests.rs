use super::*;
use crate::ledger::restores::{ListRestores, request_name};
use crate::ports::PortError;
use crate::testing::memory::MemoryExecutions;
use crate::testing::stack::{Stack, body, is_problem, now, read};

fn one() -> Value {
    json!({"bucket": "archive", "keys": ["2019/cat.jpg"]})
}

fn later() -> Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_restore_is_accepted_written_down_and_started() {
    let stack = Stack::default();
    let response = stack.post(None, &one()).await;
    let answer = body(&response);
    let id = answer["id"].as_str().unwrap();
    assert_eq!(response.status_code, 202);
    assert_eq!(response.headers["location"], format!("/v1/restores/{id}"));
    assert_eq!(response.headers["retry-after"], "60");
    assert_eq!((&answer["status"], &answer["stage"]), (&json!("running"), &json!("planning")));
    assert_eq!((&answer["counts"]["total"], &answer["days"]), (&json!(1), &json!(3)));

    let id = RestoreId::try_from(id.to_owned()).unwrap();
    assert_eq!(stack.record(&id).await.asked, Some(1));
    // The console shows the whole request with its defaults.
    let input = &stack.executions.started()[&id];
    assert_eq!((&input["keys"], &input["tier"]), (&json!([{"key": "2019/cat.jpg"}]), &json!("Standard")));
    assert!(stack.files.names().is_empty());
}

#[tokio::test]
async fn fifty_equal_requests_at_once_make_one_restore_and_equal_answers() {
    let stack = Stack::default();
    let text = one().to_string();
    let posts = (0..50).map(|n| stack.post_at(Some("k"), &text, now() + std::time::Duration::from_secs(n)));
    let answers = futures_util::future::join_all(posts).await;
    assert_eq!(stack.executions.started().len(), 1);
    assert_eq!(stack.ledger.items().len(), 2, "the key and the restore");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let created = answers.iter().filter(|answer| answer.status_code == 202).count();
    let found = answers.iter().filter(|answer| answer.status_code == 200).count();
    assert_eq!((created, found), (1, 49));
}

#[tokio::test]
async fn a_replay_answers_the_same_at_any_later_time() {
    let stack = Stack::default();
    let first = stack.post(Some("k"), &one()).await;
    let id: RestoreId = serde_json::from_value(body(&first)["id"].clone()).unwrap();
    let reordered = r#"{ "keys": ["2019/cat.jpg"], "tier": "Standard", "bucket": "archive" }"#;
    for status in Status::ALL {
        stack.change(&id, |record| record.status = status).await;
        let replay = stack.post_at(Some("k"), reordered, later()).await;
        assert_eq!((replay.status_code, &replay.body), (200, &first.body), "{status:?}");
    }
}

#[tokio::test]
async fn without_a_key_every_request_is_a_restore_of_its_own() {
    let stack = Stack::default();
    stack.post(None, &one()).await;
    stack.post_at(None, &one().to_string(), later()).await;
    assert_eq!(stack.executions.started().len(), 2);
}

#[tokio::test]
async fn a_key_belongs_to_its_body() {
    let stack = Stack::default();
    stack.post(Some("k"), &one()).await;
    let other = json!({"bucket": "archive", "keys": ["2019/dog.jpg"]});
    is_problem(&stack.post(Some("k"), &other).await, 422, Some("Idempotency-Key"));
    assert_eq!(stack.executions.started().len(), 1);
    assert_eq!(stack.post(Some("k2"), &other).await.status_code, 202);
}

#[tokio::test]
async fn a_key_must_be_visible_ascii() {
    let stack = Stack::default();
    for key in ["", "a b", "ü", "\n", &"k".repeat(256)] {
        is_problem(&stack.post(Some(key), &one()).await, 400, Some("Idempotency-Key"));
    }
    assert!(stack.ledger.items().is_empty());
    assert_eq!(stack.post(Some(&"k".repeat(255)), &one()).await.status_code, 202);
}

#[tokio::test]
async fn a_replay_makes_what_an_earlier_try_left_undone() {
    // The earlier attempt died after it had written the key, and before the restore.
    let stack = Stack::default();
    let asked = Request::parse(&one()).unwrap();
    claim(hash(&["idempotency-key", "k"]), &asked, &stack.ledger, now()).await.unwrap();
    let response = stack.post_at(Some("k"), &one().to_string(), later()).await;
    assert_eq!(response.status_code, 202);
    assert_eq!(body(&response)["requested_at"], json!(now()));
    assert_eq!(stack.executions.started().len(), 1);

    // This attempt died after it had written the restore, and before the start.
    let stack = Stack::default();
    let claim = claim(hash(&["idempotency-key", "k"]), &asked, &stack.ledger, now()).await.unwrap();
    stack.insert(&RestoreRecord::new(claim.id, &asked, now())).await;
    assert_eq!(stack.post_at(Some("k"), &one().to_string(), later()).await.status_code, 200);
    assert_eq!(stack.executions.started().len(), 1);
}

#[tokio::test]
async fn a_planned_or_ended_restore_is_not_started_again() {
    for end in [Status::Succeeded, Status::PartlyFailed, Status::Failed, Status::Cancelled] {
        let stack = Stack::default();
        let asked = Request::parse(&one()).unwrap();
        let claim = claim(hash(&["idempotency-key", "k"]), &asked, &stack.ledger, now()).await.unwrap();
        let record = RestoreRecord::new(claim.id, &asked, now());
        stack.insert(&RestoreRecord { status: end, ..record }).await;
        assert_eq!(stack.post(Some("k"), &one()).await.status_code, 200);
        assert!(stack.executions.started().is_empty());
    }
    let stack = Stack::default();
    let id = stack.planned(&[("a", thaw_core::State::Planned)], 1).await;
    let starts = MemoryExecutions::default();
    let asked = Request::parse(&json!({"bucket": "archive", "keys": ["a"]})).unwrap();
    start(&id, &asked, now(), &stack.ledger, &stack.files, &starts).await.unwrap();
    assert!(starts.started().is_empty());
}

#[tokio::test]
async fn an_id_of_another_restore_is_not_taken_over() {
    let stack = Stack::default();
    let id = stack.accepted(&["a"]).await;
    let other = Request::parse(&json!({"bucket": "archive", "keys": ["b", "c"]})).unwrap();
    start(&id, &other, now(), &stack.ledger, &stack.files, &stack.executions).await.unwrap_err();
}

#[tokio::test]
async fn a_restore_that_could_not_be_started_does_not_look_as_if_it_ran() {
    struct Down;
    impl StartExecutions for Down {
        async fn start(&self, _: &RestoreId, _: &Value) -> Result<(), PortError> {
            let trouble = Some(thaw_core::CallError::Unavailable);
            Err(PortError { what: "StartExecution".to_owned(), says: "no answer".to_owned(), trouble })
        }
    }
    let stack = Stack::default();
    let event = |key: Option<&str>| {
        let headers = key.map(|key| json!({"idempotency-key": key}));
        read(json!({"body": one().to_string(), "headers": headers, "requestContext": {"requestId": "r"}}))
    };
    let settings = crate::testing::stack::settings();
    let response = run(&event(None), &stack.ledger, &stack.files, &Down, &settings, now()).await;
    is_problem(&response, 503, None);
    let (records, _) = stack.ledger.restores(None, None, 9).await.unwrap();
    assert_eq!(records[0].status, Status::Failed);
    assert!(records[0].says.as_ref().unwrap().contains("StartExecution: no answer"));

    // With a key the same request may come again, and completes the start.
    is_problem(&run(&event(Some("k")), &stack.ledger, &stack.files, &Down, &settings, now()).await, 503, None);
    assert_eq!(stack.post(Some("k"), &one()).await.status_code, 202);
    assert_eq!(stack.executions.started().len(), 1);
}

#[tokio::test]
async fn a_restore_that_is_planned_while_the_api_gives_it_up_goes_on() {
    let stack = Stack::default();
    let other = stack.planned(&[("b", thaw_core::State::Planned)], 9).await;
    let plan = stack.record(&other).await.plan;
    let id = stack.accepted(&["a"]).await;
    let record = stack.record(&id).await;
    let asked = record.request.clone();
    let error = StepError::Unavailable("no answer".to_owned());
    // The API reads that there is no plan, and writes after the plan was written.
    let give_up = abandon(&id, &asked, error, &stack.ledger, now());
    let planned = crate::ledger::restores::change(&stack.ledger, record, |record| record.plan.clone_from(&plan));
    futures_util::future::join(give_up, planned).await.1.unwrap();
    let record = stack.record(&id).await;
    assert_eq!((record.status, &record.plan), (Status::Running, &plan));
}

#[tokio::test]
async fn a_request_too_large_for_an_input_goes_into_a_file() {
    let keys: Vec<_> = (0..1_000).map(|n| format!("{n:04}{}", "k".repeat(1_020))).collect();
    let stack = Stack::default();
    let response = stack.post(None, &json!({"bucket": "archive", "keys": keys})).await;
    let id: RestoreId = serde_json::from_value(body(&response)["id"].clone()).unwrap();
    let name = request_name(&id);
    assert_eq!(stack.executions.started()[&id], json!({"request_in": name}));
    let asked = Request::read(&stack.files.get(&name).await.unwrap().unwrap()).unwrap();
    assert_eq!(asked.source.count(), Some(1_000));
}

/// A request that is refused leaves no trace.
#[track_caller]
fn refused(body: &[u8], status: u16, field: &str) {
    use base64::Engine;
    let stack = Stack::default();
    let body = base64::engine::general_purpose::STANDARD.encode(body);
    let event = read(json!({"body": body, "isBase64Encoded": true, "headers": {"idempotency-key": "k"}}));
    let settings = crate::testing::stack::settings();
    let run = run(&event, &stack.ledger, &stack.files, &stack.executions, &settings, now());
    let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run);
    is_problem(&response, status, Some(field));
    assert!(stack.ledger.items().is_empty());
    assert!(stack.files.names().is_empty());
    assert!(stack.executions.started().is_empty());
}

#[track_caller]
fn refused_json(body: &Value, status: u16, field: &str) {
    refused(body.to_string().as_bytes(), status, field);
}

#[test]
fn a_bad_request_is_refused_by_its_field_and_leaves_no_trace() {
    let with = |field: &str, value: Value| {
        let mut body = one();
        body[field] = value;
        body
    };
    refused_json(&with("colour", json!("red")), 400, "colour");
    refused_json(&with("keys", json!([])), 400, "keys");
    refused_json(&with("keys", json!((0..1_001).collect::<Vec<_>>())), 400, "keys");
    refused_json(&with("keys", json!(["a", "b", "a"])), 400, "keys[2]");
    refused_json(&with("keys", json!(["k".repeat(1_025)])), 400, "keys[0]");
    refused_json(&with("keys", json!(["ü".repeat(513)])), 400, "keys[0]");
    refused_json(&with("days", json!(0)), 400, "days");
    refused_json(&with("tier", json!("Instant")), 400, "tier");
    refused_json(&with("publish", json!({"when": "now"})), 400, "publish.when");
    refused_json(&with("prefix", json!("2019/")), 400, "prefix");
    refused_json(&json!({"keys": ["a"]}), 400, "bucket");
    refused_json(&json!({"bucket": "archive"}), 400, "keys");
    refused_json(&with("bucket", json!("somebody-elses")), 403, "bucket");
    refused_json(&json!(["a"]), 400, "body");
    refused(b"", 400, "body");
    refused(b"{\"bucket\": ", 400, "body");
    refused(b"{\"bucket\": \"archive\", \"keys\": [\"\xff\"]}", 400, "body");
    refused(&vec![b' '; thaw_core::MAX_BODY_BYTES + 1], 413, "body");
}

#[tokio::test]
async fn a_follow_up_is_refused_where_the_status_says_that_there_is_nothing_for_it() {
    const STATUSES: [Status; 5] = Status::ALL;
    let stack = Stack::default();
    let id = stack.planned(&[("a", thaw_core::State::Planned)], 1).await;
    let planned = stack.record(&id).await;
    for (follow_up, has_plan, refused) in [
        (FollowUp::Retry, true, [false, true, false, false, false]),
        (FollowUp::Expedite, true, [false, true, true, false, true]),
        (FollowUp::Extend, true, [false; 5]),
        (FollowUp::Retry, false, [true; 5]),
        (FollowUp::Expedite, false, [true; 5]),
        (FollowUp::Extend, false, [true; 5]),
    ] {
        let of = |status| RestoreRecord { status, plan: planned.plan.clone().filter(|_| has_plan), ..planned.clone() };
        let refusals = STATUSES.map(|status| follow_up.refusal(&of(status)).is_some());
        assert_eq!(refusals, refused, "{follow_up:?}, with a plan: {has_plan}");
    }
}
