//! The HTTP API under people: impatient ones, careless ones, and ones who change their minds.

use serde_json::{Value, json};

use crate::local_stack::stack::{Answer, sim, until};

#[test]
fn fifty_equal_requests_at_once_make_one_execution_and_fifty_equal_answers() {
    let stack = sim();
    stack.put("GLACIER", ["fifty/cat.jpg"]);
    let post = |keys: &[&str]| {
        let body = json!({ "bucket": stack.bucket(), "keys": keys }).to_string();
        json!({ "method": "POST", "path": "/v1/restores", "headers": { "Idempotency-Key": "fifty" }, "body": body })
    };
    let answers = stack.api_at_once(50, post(&["fifty/cat.jpg"]));
    let with = |status: u64| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(202), with(200)), (1, 49), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    let headers = |answer: &Answer| (answer.headers["location"].clone(), answer.headers["retry-after"].clone());
    assert!(answers.iter().all(|answer| headers(answer) == headers(&answers[0])));

    let other = stack.api_with(post(&["fifty/dog.jpg"]));
    is_problem(&other, 422, "Idempotency-Key");

    let id = answers[0].json(answers[0].status)["id"].as_str().unwrap().to_owned();
    stack.succeeds(&id);
    assert_eq!(executions_named("fifty"), [id]);
    let again = stack.api_with(post(&["fifty/cat.jpg"]));
    assert_eq!((again.status, &again.text), (200, &answers[0].text), "also after it has ended");
}

#[test]
fn what_is_wrong_with_a_request_is_said_and_nothing_happens() {
    let stack = sim();
    let bucket = stack.bucket();
    let with = |name: &str, value: Value| {
        let mut body = json!({ "bucket": bucket, "keys": ["refused/cat.jpg"] });
        body[name] = value;
        body.to_string()
    };
    let many: Vec<_> = (0..1_001).map(|n| format!("refused/{n}")).collect();
    let long = format!("refused/{}", "k".repeat(1_017));
    let cases = [
        (with("teir", json!("Bulk")), 400, "teir"),
        (with("keys", json!([])), 400, "keys"),
        (with("keys", json!(many)), 400, "keys"),
        (with("keys", json!(["refused/a", "refused/b", "refused/a"])), 400, "keys[2]"),
        (with("keys", json!([long])), 400, "keys[0]"),
        (with("keys", json!("refused/a")), 400, "keys"),
        (with("days", json!(0)), 400, "days"),
        (with("tier", json!("Fast")), 400, "tier"),
        (with("bucket", json!("somebody-elses")), 403, "bucket"),
        (with("bucket", Value::Null), 400, "bucket"),
        (with("max_cost_usd", json!(-1)), 400, "max_cost_usd"),
        (with("notify", json!("x".repeat(2 << 20))), 413, "body"),
        ("refused/cat.jpg".to_owned(), 400, "body"),
        (String::new(), 400, "body"),
    ];
    for (body, status, field) in cases {
        for path in ["/v1/restores", "/v1/plans"] {
            let answer = stack.api_with(json!({ "method": "POST", "path": path, "body": body }));
            is_problem(&answer, status, field);
        }
    }
    let no_text = "7b22ff";
    is_problem(&stack.api_with(json!({ "method": "POST", "path": "/v1/restores", "hex": no_text })), 400, "body");

    assert!(!stack.ledger_text().contains("refused"));
    assert!(executions_named("refused").is_empty());
    assert!(stack.restore_calls("refused").is_empty());
}

#[test]
fn a_cancelled_restore_stops_at_once_and_publishes_nothing_more() {
    let stack = sim();
    stack.put("DEEP_ARCHIVE", ["cancelled/film.mp4"]);
    let id = stack.restore(["cancelled/film.mp4"]);
    until("S3 is asked", || (stack.look(&id)["counts"]["restoring"] == 1).then_some(()));

    let path = format!("/v1/restores/{id}");
    let answer = stack.api("DELETE", &path, &Value::Null).json(202);
    assert_eq!((&answer["status"], &answer["counts"]["cancelled"]), (&json!("cancelled"), &json!(1)));
    assert!(answer["says"].as_str().unwrap().contains("has no way to cancel that"), "{answer}");
    assert_eq!(stack.execution(&id)["status"], "ABORTED");
    assert_eq!(stack.objects(&id)[0]["state"], "cancelled");

    until("S3 is done all the same, and has said so", || {
        let state = stack.sim_state();
        let objects = state["objects"].as_array().unwrap().iter();
        let mut ours = objects.filter(|object| object["key"] == "cancelled/film.mp4");
        let done = ours.all(|object| object["restore"]["state"] == "copy");
        (done && stack.nothing_waits(stack.entry("restore_completed_queue_url"))).then_some(())
    });
    assert!(stack.invalidated(stack.entry("distribution_id"), "/cancelled/").is_empty());
    assert_eq!(stack.objects(&id)[0]["state"], "cancelled");
}

/// A 4xx as RFC 9457 has it, which names the field and says what to do.
#[track_caller]
fn is_problem(answer: &Answer, status: u64, field: &str) {
    let problem = answer.json(status);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(problem["status"], status);
    let named = problem["field"].as_str().unwrap_or_default();
    assert!(named == field || named.starts_with(&format!("{field}.")), "{field}: {problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(' ')), "{problem}");
}

/// The executions with this word in their name.
fn executions_named(word: &str) -> Vec<String> {
    let stack = sim();
    let list = json!({ "stateMachineArn": stack.entry("state_machine_arn"), "maxResults": 1000 });
    let answer = stack.aws("stepfunctions", "list_executions", list);
    let names = answer["executions"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str());
    names.filter(|name| name.contains(word)).map(str::to_owned).collect()
}
