//! An execution's history holds 25,000 events, and the execution fails when it is full.

use serde_json::Value;

/// Step Functions' hard limit (Developer Guide, "Quotas related to state executions").
const LIMIT: u64 = 25_000;

/// Looks before any deadline (`core/src/retrieval.rs` holds it).
const LOOKS: u64 = 50;

/// Looks at what jobs asked for, which is never Expedited (as above).
const LOOKS_AFTER_JOBS: u64 = 20;

/// Chunks of a million objects (`plan.rs` holds it), at which a look is one call.
const CHUNKS: u64 = 97;

/// Looks at jobs, a minute apart at least and six hours at most, until thaw gives up those of so many objects after two days
/// and some hours (`core/src/job.rs` holds it).
const CHECKS: u64 = 40;

/// Events of one passage through a state: entered and exited, and for a Lambda scheduled, started and succeeded.
fn events(state: &Value) -> u64 {
    match state["Type"].as_str() {
        Some("Task") => 5,
        _ => 2,
    }
}

#[test]
fn the_longest_execution_stays_under_a_tenth_of_the_limit() {
    let asl: Value = serde_json::from_str(include_str!("../../../statemachine/thaw.asl.json")).unwrap();
    let states = asl["States"].as_object().unwrap();
    // More than any path takes: every state of the machine at every look, and an iteration's own two events.
    let look: u64 = [
        "WaitForRetrieval",
        "CheckRestores",
        "AnythingToInvalidate?",
        "Invalidate",
        "WaitForEdges",
        "CheckInvalidations",
        "AllPublished?",
    ]
    .iter()
    .map(|name| events(&states[*name]))
    .sum();
    let check: u64 = ["WaitForJobs", "CheckJobs", "JobsDone?"].iter().map(|name| events(&states[*name])).sum();
    let once: u64 = states.values().map(events).sum();
    let chunk = 2 + events(&states["ForEachChunk"]["ItemProcessor"]["States"]["StartRestores"]);
    let most = once + LOOKS * look + CHUNKS * chunk;
    assert!(most < LIMIT / 10, "{most} events");
    // The jobs of all chunks are given up in the end, and thaw asks by itself.
    let most = once + LOOKS_AFTER_JOBS * look + CHECKS * check + 2 * CHUNKS * chunk;
    assert!(most < LIMIT / 10, "{most} events with jobs");
}
