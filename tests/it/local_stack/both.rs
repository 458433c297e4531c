//! What holds whoever plays S3 and CloudFront: thaw-sim, or MiniStack, which we did not write.

mod expressions;
mod parameters;
mod second_stack;

use std::path::Path;

use serde_json::{Value, json};

use super::stack::{stack, until};

#[test]
fn a_restore_asked_over_http_turns_the_edges_403_into_the_bytes() {
    let stack = stack();
    stack.put("GLACIER", ["http/cat.jpg"]);
    assert_eq!(stack.view("/http/cat.jpg").status, 403);
    let id = stack.restore(["http/cat.jpg"]);
    stack.succeeds(&id);
    let seen = stack.view("/http/cat.jpg");
    assert_eq!((seen.status, seen.text.as_str()), (200, "http/cat.jpg"));
}

#[test]
fn a_call_without_a_signature_is_refused() {
    let stack = stack();
    let body = json!({ "bucket": stack.bucket(), "keys": ["unsigned.jpg"] }).to_string();
    for (method, path) in [
        ("POST", "/v1/restores"),
        ("POST", "/v1/adoptions"),
        ("GET", "/v1/restores"),
        ("DELETE", "/v1/restores/some-id"),
    ] {
        let answer = stack.api_with(json!({ "method": method, "path": path, "body": body, "sign": false }));
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
    }
    assert!(!stack.ledger_text().contains("unsigned.jpg"));
}

#[test]
fn every_example_input_started_from_the_command_line_succeeds() {
    let stack = stack();
    stack.put("GLACIER", ["photos/2019/cat.jpg", "photos/2019/dog.jpg", "films/1927/metropolis.mp4"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../statemachine/examples");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let input = std::fs::read_to_string(&file).unwrap().replace("BUCKET", stack.bucket());
        if input.contains("batch_operations") && !stack.is_sim() {
            continue; // MiniStack plays no jobs.
        }
        let name = format!("example-{}", file.file_stem().unwrap().to_string_lossy());
        let arn = stack.entry("state_machine_arn");
        let start =
            ["stepfunctions", "start-execution", "--state-machine-arn", arn, "--name", &name, "--input", &input];
        let started: Value = serde_json::from_str(&stack.cli(&start)).unwrap();
        assert!(started["executionArn"].as_str().unwrap().ends_with(&name), "{started}");
        names.push(name);
    }
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let execution = stack.ended(&name);
        assert_eq!(execution["status"], "SUCCEEDED", "{execution}");
        assert_eq!(stack.look(&name)["status"], "succeeded");
    }
}

#[test]
fn a_restore_begun_with_the_s3_command_line_is_joined_by_one_execution_and_published() {
    let stack = stack();
    let key = "by-hand/letter.pdf";
    stack.put("GLACIER", [key]);
    let ask = r#"{"Days": 2, "GlacierJobParameters": {"Tier": "Standard"}}"#;
    stack.cli(&["s3api", "restore-object", "--bucket", stack.bucket(), "--key", key, "--restore-request", ask]);

    let id = until("thaw joins the restore", || stack.restores_of(key).pop());
    stack.succeeds(&id);
    assert_eq!(stack.restores_of(key), [id], "one restore, however often the event comes");
    assert_eq!(stack.view(&format!("/{key}")).status, 200);
}

#[test]
fn s3s_event_publishes_an_object_while_its_execution_still_waits_for_the_first_look() {
    let stack = stack();
    if stack.is_sim() {
        // MiniStack is done after two seconds whatever the tier; so shall the simulator be, after a virtual hour.
        stack.sim_call("POST", "retrievals", &json!({ "rules": [{ "key": "early/*", "seconds": 3600 }] }));
    }
    stack.put("DEEP_ARCHIVE", ["early/bird.jpg"]);
    let body = json!({ "bucket": stack.bucket(), "keys": ["early/bird.jpg"], "tier": "Bulk" });
    let id = stack.api("POST", "/v1/restores", &body).json(202)["id"].as_str().unwrap().to_owned();
    until("its path is with CloudFront", || {
        let invalidations = stack.look(&id)["invalidations"].clone();
        invalidations.as_array().is_some_and(|all| !all.is_empty()).then_some(())
    });
    let entered = stack.history(&id, "stateEntered");
    assert_eq!(entered.last().unwrap(), "WaitForRetrieval", "its first look is a day after the request: {entered:?}");
    until("a viewer sees it", || (stack.view("/early/bird.jpg").status == 200).then_some(()));
    // Beside MiniStack's S3 the confirmation is sent in real time, and the wait is scaled: the look would be first.
    if stack.is_sim() {
        until("its status says so", || (stack.look(&id)["counts"]["published"] == 1).then_some(()));
        let entered = stack.history(&id, "stateEntered");
        assert_eq!(entered.last().unwrap(), "WaitForRetrieval", "nobody has looked: {entered:?}");
    }
}

#[test]
fn messages_that_nobody_can_read_are_dead_letters_with_their_reason_at_once() {
    let stack = stack();
    let queue = stack.entry("restore_completed_queue_url");
    let event = json!({
        "source": "aws.s3", "detail-type": "Object Restore Completed", "time": "2026-11-22T10:00:00Z",
        "detail": {"bucket": {"name": stack.bucket()}, "object": {"key": "k".repeat(500_000)}},
    });
    let event = event.to_string();
    let poison = [
        ("no event at all", "it is no JSON object"),
        (&event[..100], "EOF while parsing"),
        (r#"{"Type": "Notification", "Message": "{}", "TopicArn": "t"}"#, "neither an EventBridge event nor"),
        (event.as_str(), "its key or version is longer than any of S3's"),
    ];
    for (message, _) in poison {
        stack.aws("sqs", "send_message", json!({ "QueueUrl": queue, "MessageBody": message }));
    }
    // After one visibility timeout they would come again: whoever waited for five is too late here.
    for (message, why) in poison {
        let reason = stack.dead_letter(queue, message)["MessageAttributes"]["reason"]["StringValue"].clone();
        assert!(reason.as_str().is_some_and(|reason| reason.contains(why)), "{reason}");
    }
}

#[test]
fn a_file_dropped_into_the_inbox_starts_a_restore_and_is_answered_beside_it() {
    let stack = stack();
    stack.put("GLACIER", ["inbox/cat.jpg", "inbox/dog.jpg"]);
    let work = stack.entry("work_bucket");
    let drop = |name: &str, body: &str| {
        stack.aws("s3", "put_object", json!({ "Bucket": work, "Key": format!("inbox/both/{name}"), "Body": body }));
    };
    let request = json!({ "bucket": stack.bucket(), "keys": ["inbox/cat.jpg"] });
    drop("cat.json", &request.to_string());
    drop("dog.csv", &format!("{},inbox/dog.jpg\n", stack.bucket()));
    drop("wrong.json", &json!({ "bucket": "somebody-elses", "keys": ["inbox/cat.jpg"] }).to_string());

    let answer = |name: &str| {
        let key = format!("inbox/both/{name}.answer.json");
        until(&format!("{name} is answered"), || {
            let listed = stack.aws("s3", "list_objects_v2", json!({ "Bucket": work, "Prefix": key }));
            (listed["KeyCount"] == 1).then_some(())
        });
        let found = stack.aws("s3", "get_object", json!({ "Bucket": work, "Key": key }));
        serde_json::from_str::<Value>(found["Body"].as_str().unwrap_or_default()).expect("an answer is JSON")
    };
    for name in ["cat", "dog"] {
        let file = if name == "cat" { "cat.json" } else { "dog.csv" };
        let id = answer(file)["id"].as_str().expect("it is accepted").to_owned();
        stack.succeeds(&id);
        assert_eq!(stack.view(&format!("/inbox/{name}.jpg")).status, 200);
        assert_eq!(stack.restores_of(&format!("inbox/{name}.jpg")), [id], "one restore of each");
    }
    let problem = answer("wrong.json");
    assert_eq!((&problem["status"], &problem["field"]), (&json!(403), &json!("bucket")), "{problem}");
    // The answers were told of too, and are no orders: nothing answers an answer.
    until("every message is handled", || stack.nothing_waits(stack.entry("inbox_file_queue_url")).then_some(()));
    let listed = stack.aws("s3", "list_objects_v2", json!({ "Bucket": work, "Prefix": "inbox/both/" }));
    assert_eq!(listed["KeyCount"], 6, "three files and their answers: {listed}");
}
