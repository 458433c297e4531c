//! Restores for which S3 Batch Operations asks: its API over the wire, with the lists and reports in the work bucket.

use serde_json::{Value, json};

use crate::local_stack::stack::{Stack, sim, until};

/// A job takes an hour for an object, which is a second here: there is time to do something meanwhile.
fn slowly(stack: &Stack) {
    stack.sim_call("POST", "settings", &json!({ "job_task_millis": 3_600_000 }));
}

/// Asks for a restore of these keys by jobs; answers its id.
fn by_jobs(stack: &Stack, keys: &[&str]) -> String {
    let body = json!({ "bucket": stack.bucket(), "keys": keys, "batch_operations": true });
    let answer = stack.api("POST", "/v1/restores", &body).json(202);
    answer["id"].as_str().expect("a restore has an id").to_owned()
}

/// The jobs of a restore, in the order of their lists.
fn jobs(stack: &Stack, id: &str) -> Vec<Value> {
    let state = stack.sim_state();
    let all = state["jobs"].as_array().expect("the simulator knows its jobs").iter();
    let mut jobs: Vec<Value> = all.filter(|job| job["description"] == id).cloned().collect();
    jobs.sort_by_key(|job| job["manifest"].to_string());
    jobs
}

#[test]
fn jobs_ask_for_what_is_archived_and_what_they_are_refused_is_read_from_their_report() {
    let stack = sim();
    slowly(stack);
    let mut cold: Vec<_> = (0..16).map(|n| format!("jobs/{n:02} b+c,\"d\".jpg")).collect();
    cold.push("jobs/über.jpg".to_owned());
    stack.put("GLACIER", cold.iter().map(String::as_str));
    stack.put("DEEP_ARCHIVE", ["jobs/z last.jpg"]);
    cold.push("jobs/z last.jpg".to_owned());
    let cold: Vec<&str> = cold.iter().map(String::as_str).collect();
    let tiered = json!({
        "Bucket": stack.bucket(), "Key": "jobs/tiered.jpg", "Body": "jobs", "StorageClass": "INTELLIGENT_TIERING",
        "Metadata": { "thaw-sim-access-tier": "ARCHIVE_ACCESS" },
    });
    stack.aws("s3", "put_object", tiered);
    let id = by_jobs(stack, &[&cold[..], &["jobs/tiered.jpg"]].concat());
    until("a job asks", || jobs(stack, &id).iter().any(|job| job["status"] == "Active").then_some(()));
    // Another tool is faster with the last one, and for other days, so that S3 refuses the job.
    let request = json!({ "Days": 9, "GlacierJobParameters": { "Tier": "Bulk" } });
    let theirs = json!({ "Bucket": stack.bucket(), "Key": "jobs/z last.jpg", "RestoreRequest": request });
    stack.aws("s3", "restore_object", theirs);

    stack.succeeds(&id);
    let done: Vec<_> = jobs(stack, &id)
        .iter()
        .map(|job| [&job["status"], &job["succeeded"], &job["failed"]].map(Value::clone))
        .collect();
    let expected = [json!(["Complete", cold.len() - 1, 1]), json!(["Complete", 1, 0])];
    assert_eq!(Value::from_iter(done), Value::from_iter(expected));
    let calls = stack.restore_calls("jobs/");
    assert_eq!(calls.len(), cold.len() + 1);
    assert!(calls.iter().all(|object| object["started"] == 1 && object["extended"] == 0), "{calls:?}");
    let asked = |key: &str| calls.iter().find(|object| object["key"] == key).map(|object| object["calls"].clone());
    assert_eq!((asked("jobs/über.jpg"), asked("jobs/z last.jpg")), (Some(json!(1)), Some(json!(2))));
    let entered = stack.history(&id, "stateEntered");
    for state in ["CreateJobs", "WaitForJobs", "CheckJobs"] {
        assert!(entered.iter().any(|name| name == state), "{entered:?}");
    }
    assert_eq!(stack.look(&id)["batch_operations"], true);
    assert_eq!(stack.view("/jobs/z%20last.jpg").status, 200);
}

#[test]
fn a_cancel_stops_the_job_that_asks() {
    let stack = sim();
    slowly(stack);
    let keys: Vec<_> = (0..60).map(|n| format!("stopped/{n:02}.jpg")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    stack.put("GLACIER", keys.iter().copied());
    let id = by_jobs(stack, &keys);
    until("the job has begun to ask", || jobs(stack, &id).iter().any(|job| job["succeeded"] != 0).then_some(()));
    let answer = stack.api("DELETE", &format!("/v1/restores/{id}"), &Value::Null).json(202);
    let says = answer["says"].as_str().expect("a cancel says what it means");
    assert!(says.contains("S3 Batch Operations was asking for"), "{says}");
    let stopped = jobs(stack, &id);
    assert_eq!((stopped.len(), &stopped[0]["status"]), (1, &json!("Cancelled")));
    let begun = stack.restore_calls("stopped/").len();
    assert!(begun < keys.len(), "{begun}");
    assert_eq!(stack.look(&id)["status"], "cancelled");
}

#[test]
fn an_execution_that_somebody_stops_is_a_failed_restore_whose_job_is_cancelled() {
    let stack = sim();
    slowly(stack);
    let keys: Vec<_> = (0..60).map(|n| format!("aborted/{n:02}.jpg")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    stack.put("GLACIER", keys.iter().copied());
    let id = by_jobs(stack, &keys);
    until("the job has begun to ask", || jobs(stack, &id).iter().any(|job| job["succeeded"] != 0).then_some(()));
    let execution = stack.entry("state_machine_arn").replace(":stateMachine:", ":execution:") + ":" + &id;
    stack.aws("stepfunctions", "stop_execution", json!({ "executionArn": execution, "cause": "enough of it" }));
    let restore = until("CheckExecutions hears of it", || {
        let restore = stack.look(&id);
        (restore["status"] != "running").then_some(restore)
    });
    assert_eq!(restore["status"], "failed", "{restore}");
    let stopped = jobs(stack, &id);
    assert_eq!((stopped.len(), &stopped[0]["status"]), (1, &json!("Cancelled")));

    // Four times a day the clock calls it, in case no event comes.
    let checked = stack.aws("lambda", "invoke", json!({ "FunctionName": "thaw-CheckExecutions" }));
    assert!(checked.get("FunctionError").is_none(), "{checked}");
}
