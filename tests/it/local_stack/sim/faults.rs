//! What goes wrong: a Lambda dies in the middle of its work, an object is not there.

use serde_json::json;
use thaw_steps::Step;

use crate::local_stack::lambdas::{kill, lambdas};
use crate::local_stack::stack::{sim, until};

#[test]
fn a_lambda_killed_in_the_middle_of_a_chunk_loses_nothing_and_asks_for_nothing_twice() {
    // Two chunks, a full one and the rest.
    const OBJECTS: usize = 300;
    const BEFORE: usize = 100;
    let stack = sim();
    // After so many S3 says "slow down", until the Lambda that obeys it is dead.
    let slow = json!({ "operation": "RestoreObject", "key": "killed/*", "code": "SlowDown", "skip": BEFORE });
    stack.sim_call("POST", "faults", &json!({ "rules": [slow] }));
    let keys: Vec<_> = (0..OBJECTS).map(|n| format!("killed/{n:03}.jpg")).collect();
    stack.put("GLACIER", keys.iter().map(String::as_str));
    stack.keep_apart(&keys);
    // A slow machine may need virtual weeks for so many.
    let body = json!({ "bucket": stack.bucket(), "keys": keys, "days": 365 });
    let id = stack.api("POST", "/v1/restores", &body).json(202)["id"].as_str().unwrap().to_owned();
    let started = || stack.restore_calls("killed/").iter().filter(|object| object["started"] == 1).count();
    until("StartRestores is in the middle of it", || (started() == BEFORE).then_some(()));
    let working = lambdas(Step::StartRestores);
    assert!(!working.is_empty());
    working.iter().for_each(kill);
    assert_eq!(started(), BEFORE);
    until("the execution notices", || {
        stack.history(&id, "taskFailed").contains(&"Runtime.ExitError".to_owned()).then_some(())
    });
    stack.sim_call("POST", "faults", &json!({ "rules": [] }));

    stack.succeeds(&id);
    let calls = stack.restore_calls("killed/");
    assert_eq!(calls.len(), OBJECTS);
    assert!(calls.iter().all(|object| object["started"] == 1), "{calls:?}");
    assert!(calls.iter().all(|object| object["extended"] == 0), "{calls:?}");
    let paths: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    assert_eq!(stack.invalidated(stack.entry("distribution_id"), "/killed/"), paths);
}

#[test]
fn a_missing_key_makes_the_execution_fail_readably_after_the_others_are_published() {
    let stack = sim();
    stack.put("GLACIER", ["partly/there.jpg"]);
    let id = stack.restore(["partly/there.jpg", "partly/mising.jpg"]);
    let execution = stack.ended(&id);
    assert_eq!(execution["status"], "FAILED");
    assert_eq!(execution["error"], "SomeObjectsFailed");
    let cause = execution["cause"].as_str().unwrap();
    assert!(cause.starts_with("Of 2 objects: 1 published, 1 failed. partly/mising.jpg: "), "{cause}");

    let restore = stack.look(&id);
    assert_eq!((&restore["status"], &restore["says"]), (&json!("partly_failed"), &json!(cause)));
    assert_eq!((&restore["counts"]["published"], &restore["counts"]["failed"]), (&json!(1), &json!(1)));
    assert_eq!(restore["failures"][0]["key"], "partly/mising.jpg");
    assert_eq!(stack.view("/partly/there.jpg").status, 200);
    assert_eq!(stack.invalidated(stack.entry("distribution_id"), "/partly/"), ["/partly/there.jpg"]);
}

#[test]
fn an_object_that_s3_refuses_to_describe_fails_alone() {
    let stack = sim();
    stack.put("GLACIER", ["sealed/a.jpg", "sealed/c.jpg"]);
    // Without the customer's key S3 answers HEAD with a bare 400 (SSE-C).
    let sealed = json!({
        "Bucket": stack.bucket(), "Key": "sealed/b.jpg", "Body": "b", "StorageClass": "GLACIER",
        "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0123456789abcdef0123456789abcdef",
    });
    stack.aws("s3", "put_object", sealed);
    let by_name = stack.restore(["sealed/a.jpg", "sealed/b.jpg", "sealed/c.jpg"]);
    stack.ended(&by_name);
    let restore = stack.look(&by_name);
    assert_eq!((&restore["counts"]["published"], &restore["counts"]["failed"]), (&json!(2), &json!(1)));
    assert_eq!(restore["failures"][0]["key"], "sealed/b.jpg");
    assert_eq!(restore["failures"][0]["code"], "HeadRefused");
    assert_eq!([stack.view("/sealed/a.jpg").status, stack.view("/sealed/c.jpg").status], [200, 200]);
}
