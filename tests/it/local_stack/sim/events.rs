//! S3's events: not one comes, each comes three times.

use serde_json::json;

use crate::local_stack::stack::sim;

#[test]
fn without_a_single_event_everything_is_published_by_looking() {
    let stack = sim();
    stack.put("GLACIER", ["silent/a.jpg", "silent/b.jpg"]);
    script_events();
    let id = stack.restore(["silent/a.jpg", "silent/b.jpg"]);
    stack.succeeds(&id);
    assert!(stack.history(&id, "stateEntered").contains(&"Invalidate".to_owned()));
    let distribution = stack.entry("distribution_id");
    assert_eq!(stack.invalidated(distribution, "/silent/"), ["/silent/a.jpg", "/silent/b.jpg"]);
}

#[test]
fn when_every_event_comes_three_times_nothing_is_invalidated_twice() {
    let stack = sim();
    let keys: Vec<_> = (0..20).map(|n| format!("thrice/{n:02}.jpg")).collect();
    stack.put("GLACIER", keys.iter().map(String::as_str));
    script_events();
    let id = stack.restore(keys.iter().map(String::as_str));
    stack.succeeds(&id);
    let paths: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    assert_eq!(stack.invalidated(stack.entry("distribution_id"), "/thrice/"), paths);
}

/// For all tests at once, because the simulator has one script and they run side by side: nobody hears of `silent/`, and
/// everything else is told three times, minutes apart.
fn script_events() {
    let nobody = |kind: &str| json!({ "kind": kind, "key": "silent/*" });
    let script = json!({ "drop": [nobody("initiated"), nobody("completed")], "duplicate": 2, "jitter_seconds": 600 });
    sim().sim_call("POST", "events", &script);
}
