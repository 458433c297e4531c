//! S3 and CloudFront refuse, fail, and lose answers, all at once.

use serde_json::{Value, json};

use super::deaths::MORTAL;
use super::{archived, no_event_waits, paid_once, restore, stage};
use crate::local_stack::lambdas::Reaper;
use crate::local_stack::stack::{sim, until};

/// So many calls fail so, and nothing happened.
fn fails(operation: &str, code: &str, status: u16, times: u32) -> Value {
    json!({ "operation": operation, "code": code, "status": status, "times": times })
}

/// After so many, so many calls have their effect, and their answer gets lost.
fn loses(operation: &str, skip: u32, times: u32) -> Value {
    json!({ "operation": operation, "code": "InternalError", "status": 500, "when": "after", "skip": skip, "times": times })
}

/// The first rule that matches strikes, so the calls go down the list. Few of them say "slow down": the SDK obeys, and
/// takes half a minute of real time to be as fast as before. Each throttled call of 80 paths makes thaw wait for up to a
/// minute of real time.
fn storm() -> Value {
    json!([
        loses("RestoreObject", 10, 15),
        fails("RestoreObject", "SlowDown", 503, 6),
        fails("RestoreObject", "ThrottlingException", 503, 4),
        fails("RestoreObject", "ServiceUnavailable", 503, 20),
        fails("HeadObject", "ServiceUnavailable", 503, 20),
        fails("HeadObject", "SlowDown", 503, 2),
        fails("ListObjectsV2", "ServiceUnavailable", 503, 2),
        fails("ListObjectsV2", "SlowDown", 503, 1),
        fails("CreateInvalidation", "Throttling", 400, 2),
        fails("CreateInvalidation", "TooManyInvalidationsInProgress", 400, 1),
        fails("CreateInvalidation", "ServiceUnavailable", 503, 4),
        loses("CreateInvalidation", 0, 1),
        fails("GetInvalidation", "Throttling", 400, 4),
        fails("GetInvalidation", "ServiceUnavailable", 503, 4),
        fails("GetDistribution", "ServiceUnavailable", 503, 4),
        // The work bucket's.
        fails("PutObject", "SlowDown", 503, 4),
        fails("GetObject", "InternalError", 500, 4),
    ])
}

/// Every rule has struck as often as it was to, but for those of operations that may have been spared.
#[track_caller]
fn is_over(spared: &[&str]) {
    let state = sim().sim_state();
    let rules = state["faults"].as_array().expect("the simulator tells its rules");
    assert!(!rules.is_empty());
    let left = rules.iter().filter(|rule| rule["times"] != 0);
    let left: Vec<_> = left.filter(|rule| spared.iter().all(|spared| rule["operation"] != *spared)).collect();
    assert!(left.is_empty(), "this never came: {left:?}");
}

/// Objects that are listed, and a few whose access tier only a `HeadObject` tells.
fn objects(name: &str) -> Vec<String> {
    let mut keys = archived(name, "GLACIER", 80);
    let tiered: Vec<_> = (0..10).map(|n| format!("{name}/tiered-{n}")).collect();
    sim().put("INTELLIGENT_TIERING", tiered.iter().map(String::as_str));
    for key in &tiered {
        let moved = json!({ "bucket": sim().bucket(), "key": key, "storage_class": "INTELLIGENT_TIERING", "access_tier": "ARCHIVE_ACCESS" });
        sim().sim_call("POST", "objects", &moved);
    }
    sim().keep_apart(&tiered);
    keys.extend(tiered);
    keys
}

#[test]
fn a_storm_of_refusals_and_lost_answers_is_sat_out() {
    let _stage = stage(&json!([]), &json!({}));
    let keys = objects("storm");
    // Half of it is published by events; for the others the workflow has to look.
    let lost =
        ["??0", "??2", "??4", "??6", "??8"].map(|key| json!({ "kind": "completed", "key": format!("storm/{key}") }));
    super::script(&storm(), &json!({ "drop": lost }));
    let id = restore(&keys);
    sim().succeeds(&id);
    is_over(&[]);
    until("the events are handled too", no_event_waits);
    paid_once(&keys);
}

#[test]
fn without_events_a_storm_and_deaths_together_lose_nothing() {
    let _stage = stage(&json!([]), &json!({}));
    let keys = objects("dark");
    super::script(&storm(), &json!({ "drop": [{ "key": "dark/*" }] }));
    let reaper = Reaper::of(&MORTAL);
    let id = restore(&keys);
    sim().succeeds(&id);
    let deaths = reaper.stop();
    // Who dies often enough is told "done" before it can ask.
    is_over(&["GetInvalidation"]);
    assert!(deaths.values().sum::<usize>() >= 10, "{deaths:?}");
    paid_once(&keys);
}
