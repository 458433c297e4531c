//! S3's events from the queues' point of view: late, in the wrong order, twice, and once more when all is over.

use serde_json::{Value, json};

use super::{archived, no_event_waits, paid_once, queues, restore, stage};
use crate::local_stack::stack::{sim, until};

#[test]
fn messages_in_the_wrong_order_twice_and_again_when_all_is_over_change_nothing() {
    let stack = sim();
    // The simulator's own get lost; the test plays SQS.
    let _stage = stage(&json!([]), &json!({ "drop": [{ "key": "again/*" }] }));
    let keys = archived("again", "GLACIER", 40);
    let id = restore(&keys);
    until("S3 was asked for all", || (copies(&["ongoing", "copy"]).len() == keys.len()).then_some(()));
    let initiated: Vec<_> = keys.iter().map(|key| event("Object Restore Initiated", key, &now(), None)).collect();
    let copies = until("S3 has them all", || Some(copies(&["copy"])).filter(|copies| copies.len() == keys.len()));
    let completed: Vec<_> =
        copies.iter().map(|(key, until)| event("Object Restore Completed", key, &now(), Some(until))).collect();

    // First what happened last, and everything twice.
    let [begun, done] = queues();
    send(done, completed.iter().rev().chain(&completed));
    send(begun, initiated.iter().rev().chain(&initiated));
    stack.succeeds(&id);
    until("the messages are handled", no_event_waits);
    paid_once(&keys);

    let before = stack.objects(&id);
    send(begun, initiated.iter().chain(&initiated));
    send(done, completed.iter().chain(&completed));
    // A message on the wrong queue is somebody's mistake, and harms nobody.
    send(begun, &completed);
    send(done, &initiated);
    until("the messages are handled again", no_event_waits);
    paid_once(&keys);
    assert_eq!(stack.objects(&id), before);
    for key in &keys {
        assert_eq!(restores_of(key), 1, "somebody joined our own restore of {key}");
    }
}

/// The objects of this test whose restore stands so, and until when.
fn copies(states: &[&str]) -> Vec<(String, Value)> {
    let state = sim().sim_state();
    let objects = state["objects"].as_array().expect("the simulator knows its objects");
    let ours = objects.iter().filter(|object| object["key"].as_str().is_some_and(|key| key.starts_with("again/")));
    let so = ours.filter(|object| states.iter().any(|state| object["restore"]["state"] == *state));
    so.map(|object| (object["key"].as_str().unwrap_or_default().to_owned(), object["restore"]["until"].clone()))
        .collect()
}

/// What the simulator's clock says.
fn now() -> Value {
    sim().sim_call("GET", "clock", &Value::Null)["now"].clone()
}

/// What EventBridge puts on a queue.
fn event(what: &str, key: &str, at: &Value, expires: Option<&Value>) -> String {
    let bucket = sim().bucket();
    let mut event = json!({
        "version": "0", "id": format!("{what} {key}"), "detail-type": what, "source": "aws.s3", "account": "000000000000",
        "time": at, "region": "us-east-1", "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": { "version": "0", "bucket": { "name": bucket }, "object": { "key": key, "size": 9, "etag": "0" } },
    });
    if let Some(expires) = expires {
        event["detail"]["restore-expiry-time"] = expires.clone();
    }
    event.to_string()
}

fn send<'a>(queue: &str, messages: impl IntoIterator<Item = &'a String>) {
    let entry = |(id, body): (usize, &String)| json!({ "Id": id.to_string(), "MessageBody": body });
    let entries: Vec<_> = messages.into_iter().enumerate().map(entry).collect();
    // SQS takes ten in a call.
    for ten in entries.chunks(10) {
        let sent = sim().aws("sqs", "send_message_batch", json!({ "QueueUrl": queue, "Entries": ten }));
        assert_eq!(sent["Successful"].as_array().map(Vec::len), Some(ten.len()), "{sent}");
    }
}

/// How many restores have a row of this object.
fn restores_of(key: &str) -> u64 {
    let object = json!({ ":object": { "S": format!("{}/{key}", sim().bucket()) } });
    let query = json!({
        "TableName": sim().entry("ledger_table"), "KeyConditionExpression": "pk = :object",
        "ExpressionAttributeValues": object, "Select": "COUNT",
    });
    sim().aws("dynamodb", "query", query)["Count"].as_u64().expect("a count")
}
