//! Restores that nobody told thaw of, found by asking for them.

use serde_json::{Value, json};

use super::events::script_events;
use crate::local_stack::stack::{sim, until};

#[test]
fn restores_without_a_single_event_are_adopted_over_http_and_published() {
    let stack = sim();
    script_events();
    let keys = ["silent/adopted/copied.jpg", "silent/adopted/running.jpg"];
    stack.put("GLACIER", keys);
    stack.put("GLACIER", ["silent/adopted/cold.jpg"]);
    let restore = |key: &str, tier: &str| {
        let request = json!({ "Days": 30, "GlacierJobParameters": { "Tier": tier } });
        stack.aws("s3", "restore_object", json!({ "Bucket": stack.bucket(), "Key": key, "RestoreRequest": request }));
    };
    restore(keys[0], "Expedited");
    until("one copy lives", || {
        let state = stack.sim_state();
        let mut objects = state["objects"].as_array().unwrap().iter();
        objects.any(|object| object["key"] == keys[0] && object["restore"]["state"] == "copy").then_some(())
    });
    restore(keys[1], "Bulk");

    let body = json!({ "bucket": stack.bucket(), "prefix": "silent/adopted/" });
    let adopt = || stack.api("POST", "/v1/adoptions", &body).json(200);
    let answer = adopt();
    assert_eq!((&answer["looked_at"], &answer["adopted"], &answer["known"]), (&json!(3), &json!(2), &json!(0)));
    assert_eq!(answer.get("next_cursor"), None);
    let id = answer["restores"][0]["id"].as_str().unwrap();
    let href = answer["restores"][0]["href"].as_str().unwrap();
    assert_eq!(stack.api("GET", href, &Value::Null).json(200)["id"], id);

    stack.succeeds(id);
    assert!(keys.iter().all(|key| stack.view(&format!("/{key}")).status == 200));
    let distribution = stack.entry("distribution_id");
    assert_eq!(stack.invalidated(distribution, "/silent/adopted/"), keys.map(|key| format!("/{key}")));
    let calls = stack.restore_calls("silent/adopted/");
    assert!(calls.len() == 2 && calls.iter().all(|object| object["calls"] == 1), "S3 is asked for nothing: {calls:?}");
    let again = adopt();
    assert_eq!((&again["adopted"], &again["known"]), (&json!(0), &json!(2)), "{again}");

    let refused = stack.api("POST", "/v1/adoptions", &json!({ "bucket": "somebody-elses" })).json(403);
    assert_eq!(refused["field"], "bucket");
}
