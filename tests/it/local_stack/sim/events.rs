//! S3's events: not one comes, each comes three times, one lay among the dead letters.

use serde_json::{Value, json};

use crate::local_stack::stack::{sim, until};

#[test]
fn without_a_single_event_everything_is_published_by_looking() {
    let stack = sim();
    let keys = ["silent/looked/a.jpg", "silent/looked/b.jpg"];
    stack.put("GLACIER", keys);
    stack.keep_apart(&keys);
    script_events();
    let id = stack.restore(keys);
    stack.succeeds(&id);
    assert!(stack.history(&id, "stateEntered").contains(&"Invalidate".to_owned()));
    let distribution = stack.entry("distribution_id");
    assert_eq!(stack.invalidated(distribution, "/silent/looked/"), keys.map(|key| format!("/{key}")));
}

#[test]
fn when_every_event_comes_three_times_nothing_is_invalidated_twice() {
    let stack = sim();
    let keys: Vec<_> = (0..20).map(|n| format!("thrice/{n:02}.jpg")).collect();
    stack.put("GLACIER", keys.iter().map(String::as_str));
    stack.keep_apart(&keys);
    script_events();
    let id = stack.restore(keys.iter().map(String::as_str));
    stack.succeeds(&id);
    let paths: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    assert_eq!(stack.invalidated(stack.entry("distribution_id"), "/thrice/"), paths);
}

/// The emulator's clock is not ours, which runs 3,600 times as fast: the test calls as the rule does four times a day.
#[test]
fn a_copy_that_expires_at_the_next_midnight_is_announced() {
    let stack = sim();
    let key = "expiring/a.jpg";
    stack.put("GLACIER", [key]);
    let body = json!({ "bucket": stack.bucket(), "keys": [key], "days": 1 });
    let id = stack.api("POST", "/v1/restores", &body).json(202)["id"].as_str().unwrap().to_owned();
    stack.succeeds(&id);
    let expiries = json!({ "TableName": stack.entry("ledger_table"), "FilterExpression": "sk = :sk",
        "ExpressionAttributeValues": { ":sk": { "S": format!("expiries#{id}") } } });
    until("the midnight before is over", || {
        let call = json!({ "FunctionName": "thaw-AnnounceExpiries", "Payload": "{}" });
        let answer = stack.aws("lambda", "invoke", call);
        assert!(answer["FunctionError"].is_null(), "{answer}");
        let told = stack.aws("dynamodb", "scan", expiries.clone())["Items"].clone();
        told.as_array()?.iter().any(|item| item["announced"]["N"] == "1").then_some(())
    });
}

#[test]
fn a_dead_letter_that_can_be_read_is_sent_back_and_handled_and_one_that_cannot_stays() {
    let stack = sim();
    let queue = stack.entry("restore_initiated_queue_url");
    let dead_letters = stack.dead_letters(queue);
    let key = "silent/redriven.jpg";
    stack.put("GLACIER", [key]);
    script_events();
    let request = json!({ "Days": 30, "GlacierJobParameters": { "Tier": "Standard" } });
    stack.aws("s3", "restore_object", json!({ "Bucket": stack.bucket(), "Key": key, "RestoreRequest": request }));

    // What would have come, had the reader been able to handle it.
    let now = stack.sim_call("GET", "clock", &Value::Null)["now"].clone();
    let event = json!({
        "source": "aws.s3", "detail-type": "Object Restore Initiated", "time": now,
        "detail": { "bucket": { "name": stack.bucket() }, "object": { "key": key } },
    });
    let (good, bad) = (event.to_string(), "no event either");
    stack.aws("sqs", "send_message", json!({ "QueueUrl": dead_letters, "MessageBody": good }));
    stack.aws("sqs", "send_message", json!({ "QueueUrl": queue, "MessageBody": bad }));
    let reason = stack.dead_letter(queue, bad)["MessageAttributes"]["reason"]["StringValue"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("it is no JSON object")), "{reason}");

    // What `start-message-move-task` does, which the emulator has not.
    for body in [good.as_str(), bad] {
        let letter = stack.dead_letter(queue, body);
        stack.aws("sqs", "send_message", json!({ "QueueUrl": queue, "MessageBody": letter["Body"] }));
        let handle = letter["ReceiptHandle"].clone();
        stack.aws("sqs", "delete_message", json!({ "QueueUrl": dead_letters, "ReceiptHandle": handle }));
    }
    let id = until("the restore is joined", || stack.restores_of(key).pop());
    stack.succeeds(&id);
    assert_eq!(stack.view(&format!("/{key}")).status, 200);
    stack.dead_letter(queue, bad);
}

/// For all tests at once, because the simulator has one script and they run side by side: nobody hears of `silent/`, and
/// everything else is told three times, minutes apart.
pub fn script_events() {
    let nobody = |kind: &str| json!({ "kind": kind, "key": "silent/*" });
    let script = json!({ "drop": [nobody("initiated"), nobody("completed")], "duplicate": 2, "jitter_seconds": 600 });
    sim().sim_call("POST", "events", &script);
}
