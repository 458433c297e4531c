//! An execution's history holds 25,000 events, and the execution fails when it is full.

use serde_json::Value;

/// Step Functions' hard limit (Developer Guide, "Quotas related to state executions").
const LIMIT: u64 = 25_000;

/// Looks before any deadline (`core/src/retrieval.rs` holds it).
const LOOKS: u64 = 50;

/// Looks at an object that waits for archived neighbours, one after the other, for a year (`core/src/object_state.rs` holds it).
const TRIES: u64 = 45;

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

/// Bytes of anything that goes into or comes out of a state (Developer Guide, "Quotas related to state executions").
const DATA: usize = 256 * 1024;

/// Of each chunk the Map keeps what the next states decide on, and a plan names its chunks. As many chunks as a history can hold
/// at all (3,571: 175 million objects, as chunks grow) stay under what a state carries.
#[test]
fn what_a_state_carries_of_as_many_chunks_as_a_history_holds_fits() {
    let asl: Value = serde_json::from_str(include_str!("../../../statemachine/thaw.asl.json")).unwrap();
    let inner = &asl["States"]["ForEachChunk"]["ItemProcessor"]["States"]["StartRestores"];
    let chunks = LIMIT / (2 + events(inner));
    assert_eq!(chunks, 3_571);
    let mut kept: Vec<_> = inner["Output"].as_object().expect("it says what is kept").keys().collect();
    kept.sort();
    assert_eq!(kept, ["for_a_job", "wait_seconds"]);
    // A Wait state waits so long at most.
    let result = serde_json::json!({"wait_seconds": 99_999_999, "for_a_job": false}).to_string();
    let results = usize::try_from(chunks).unwrap() * (result.len() + 1);
    let numbers: String = (0..chunks).map(|chunk| format!("{chunk},")).collect();
    assert!(results < DATA && numbers.len() < DATA / 2, "{results} bytes of results, {} of numbers", numbers.len());
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
    assert!(TRIES * look < LIMIT / 10, "{} events more for a neighbour", TRIES * look);
    // The jobs of all chunks are given up in the end, and thaw asks by itself.
    let most = once + LOOKS_AFTER_JOBS * look + CHECKS * check + 2 * CHUNKS * chunk;
    assert!(most < LIMIT / 10, "{most} events with jobs");
}

/// Objects that one call looks at (`check_restores.rs` holds it).
const LOOKED_AT: u64 = 1_000_000;

/// Objects that one call publishes (`invalidate.rs` holds it).
const PUBLISHED: u64 = 20_000;

/// Chunks of each million objects after the first: of 50,000 (`plan.rs` holds it).
const CHUNKS_OF_A_MILLION: u64 = 20;

#[test]
fn the_largest_restore_fits_into_the_history() {
    let asl: Value = serde_json::from_str(include_str!("../../../statemachine/thaw.asl.json")).unwrap();
    let states = asl["States"].as_object().unwrap();
    let sum = |names: &[&str]| names.iter().map(|name| events(&states[*name])).sum::<u64>();
    let once: u64 = states.values().map(events).sum();
    let chunk = 2 + events(&states["ForEachChunk"]["ItemProcessor"]["States"]["StartRestores"]);
    let millions = thaw_steps::MOST_OBJECTS.div_ceil(LOOKED_AT);
    let chunks = CHUNKS + CHUNKS_OF_A_MILLION * (millions - 1);
    // Pages of ten seconds, one after the other: a call of ten minutes lists sixty thousand keys. A Map of nothing has four
    // events.
    let planning = thaw_steps::MOST_OBJECTS / 60_000 * (4 + sum(&["Plan", "AnythingToWaitFor?"]));
    // Every look sees all of the objects, and asks CloudFront about all of them.
    let look = events(&states["WaitForRetrieval"])
        + millions * sum(&["CheckRestores", "AnythingToInvalidate?", "CheckInvalidations", "AllPublished?"]);
    let publishing = thaw_steps::MOST_OBJECTS / PUBLISHED
        * sum(&["Invalidate", "WaitForEdges", "CheckInvalidations", "AllPublished?"]);
    // Only the chunk of an object that waits for a neighbour is due when it is tried again.
    let trying = TRIES
        * sum(&[
            "WaitForRetrieval",
            "CheckRestores",
            "AnythingToInvalidate?",
            "Invalidate",
            "WaitForEdges",
            "CheckInvalidations",
            "AllPublished?",
        ]);
    let check = sum(&["WaitForJobs", "CheckJobs", "JobsDone?"]) + millions * sum(&["CheckJobs", "JobsDone?"]);
    // A tenth is left for what is retried.
    for (looks, checks, times) in [(LOOKS, 0, 1), (LOOKS_AFTER_JOBS, CHECKS, 2)] {
        let most = once + planning + looks * look + publishing + checks * check + times * chunks * chunk;
        println!("{most} events, of which {planning} plan and {publishing} publish");
        assert!(most < LIMIT / 10 * 9, "{most} events");
        // Of that tenth, half is left if an object waits for neighbours for a year.
        assert!(most + trying < LIMIT / 20 * 19, "{most} and {trying} events");
    }
}
