//! What goes wrong: a Lambda dies in the middle of its work, an object is not there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::local_stack::stack::{sim, until};

#[test]
fn a_lambda_killed_in_the_middle_of_a_chunk_loses_nothing_and_asks_for_nothing_twice() {
    const OBJECTS: usize = 500;
    let stack = sim();
    let keys: Vec<_> = (0..OBJECTS).map(|n| format!("killed/{n:03}.jpg")).collect();
    stack.put("GLACIER", keys.iter().map(String::as_str));
    let id = stack.restore(keys.iter().map(String::as_str));
    let done = until("StartRestores is in the middle of it", || {
        let done = stack.restore_calls("killed/").len();
        (done > OBJECTS / 20).then_some(done)
    });
    let killed = kill("start-restores");
    assert!(done < OBJECTS && killed > 0, "{killed} killed when {done} of {OBJECTS} were asked for");

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
    assert_eq!(execution["error"], "ObjectsFailed");
    let cause = execution["cause"].as_str().unwrap();
    assert!(cause.contains("2 objects") && cause.contains("1 failed") && cause.contains("NoSuchKey"), "{cause}");

    let restore = stack.look(&id);
    assert_eq!((&restore["status"], &restore["says"]), (&json!("partly_failed"), &json!(cause)));
    assert_eq!((&restore["counts"]["published"], &restore["counts"]["failed"]), (&json!(1), &json!(1)));
    assert_eq!(restore["failures"][0]["key"], "partly/mising.jpg");
    assert_eq!(stack.view("/partly/there.jpg").status, 200);
    assert_eq!(stack.invalidated(stack.entry("distribution_id"), "/partly/"), ["/partly/there.jpg"]);
}

/// Kills this stack's Lambda processes of one function, without a chance to say goodbye; answers how many there were.
fn kill(handler: &str) -> usize {
    let wanted = [format!("_HANDLER={handler}"), format!("AWS_ENDPOINT_URL={}", sim().entry("endpoint_url"))];
    let processes = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let ours = processes.filter(|process| has_all(&process.path(), &wanted));
    let pids: Vec<_> = ours.map(|process| process.file_name()).collect();
    if !pids.is_empty() {
        assert!(Command::new("kill").arg("-KILL").args(&pids).status().expect("kill starts").success());
    }
    pids.len()
}

fn has_all(process: &Path, variables: &[String]) -> bool {
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    let environment: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    variables.iter().all(|variable| environment.contains(&variable.as_bytes()))
}
