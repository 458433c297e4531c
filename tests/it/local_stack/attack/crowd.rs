//! Many callers want the same few objects at the same time, each in its own way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{archived, no_event_waits, paid_once, stage};
use crate::local_stack::stack::{Answer, sim, until};

/// Every one has an execution of its own, all at once; the emulator is one process of Python, and more only wait for it.
const CALLERS: usize = 64;
const OBJECTS: usize = 20;
/// Each caller wants so many of them.
const WANTED: usize = 5;

#[test]
fn many_callers_of_the_same_objects_at_once_pay_for_each_once() {
    let stack = sim();
    let _stage = stage(&json!([]), &json!({}));
    let keys = archived("crowd", "GLACIER", OBJECTS);
    let bodies: Vec<_> = (0..CALLERS).map(|caller| body(caller, &keys)).collect();
    let post = |body: &Value| json!({ "method": "POST", "path": "/v1/restores", "body": body.to_string() });
    let answers = stack.api_all(bodies.iter().map(post).collect());
    let ids: Vec<_> = answers.iter().map(|answer| id_of(&answer.json(202))).collect();
    for id in &ids {
        let execution = stack.ended(id);
        assert_eq!(execution["status"], "SUCCEEDED", "{execution}");
    }
    until("the events are handled", no_event_waits);
    paid_once(&keys);

    let restores = get(&ids, "");
    let objects = get(&ids, "/objects");
    for (caller, (restore, page)) in restores.iter().zip(&objects).enumerate() {
        assert_eq!(restore["status"], "succeeded", "{restore}");
        let rows = page["objects"].as_array().expect("a page has objects");
        let mut asked: Vec<_> = bodies[caller]["keys"].as_array().expect("keys").iter().collect();
        asked.sort_by_key(|key| key.as_str());
        assert_eq!(rows.iter().map(|row| &row["key"]).collect::<Vec<_>>(), asked);
        let mut counted: BTreeMap<&str, u64> = BTreeMap::from([("total", rows.len() as u64)]);
        for row in rows {
            *counted.entry(row["state"].as_str().expect("a row has a state")).or_default() += 1;
        }
        for (state, count) in restore["counts"].as_object().expect("a restore has counts") {
            assert_eq!(
                counted.get(state.as_str()).copied().unwrap_or_default(),
                count.as_u64().expect("a number"),
                "{state} of {restore}"
            );
        }
        let wanted = if bodies[caller]["publish"]["when"] == "never" { "restored" } else { "published" };
        assert!(counted.keys().all(|state| ["total", wanted, "available"].contains(state)), "{page}");
    }
}

/// What a caller asks for: every tier, every time to publish, and objects that others want too.
fn body(caller: usize, keys: &[String]) -> Value {
    let keys: Vec<_> = (0..WANTED).map(|n| &keys[(caller * 7 + n * 4) % OBJECTS]).collect();
    let tier = ["Bulk", "Standard", "Standard", "Standard", "Bulk", "Standard", "Bulk", "Expedited"][caller % 8];
    let when = ["each", "together", "each", "never", "together"][caller % 5];
    json!({ "bucket": sim().bucket(), "keys": keys, "tier": tier, "days": 365, "publish": { "when": when } })
}

fn id_of(restore: &Value) -> String {
    restore["id"].as_str().expect("a restore has an id").to_owned()
}

/// What the API says of each restore.
fn get(ids: &[String], what: &str) -> Vec<Value> {
    let get = |id: &String| json!({ "method": "GET", "path": format!("/v1/restores/{id}{what}") });
    let answers = sim().api_all(ids.iter().map(get).collect());
    answers.iter().map(|answer: &Answer| answer.json(200)).collect()
}
