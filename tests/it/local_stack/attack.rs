//! The stack under attack: Lambdas die again and again, services fail in storms, events get lost and come again, callers
//! come all at once. Whatever happens, in the end everything is published and nothing was paid twice.
//!
//! `cargo xtask attack` boots a stack for this and runs it.

mod crowd;
mod deaths;
mod messages;
mod roles;
mod storm;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

pub use deaths::MORTAL;

use super::stack::sim;

/// What the simulator does to everybody while a test runs.
pub struct Stage {
    _turn: MutexGuard<'static, ()>,
}

/// Takes the simulator for one test: it has one script, and the tests take turns.
pub fn stage(faults: &Value, events: &Value) -> Stage {
    static TURN: Mutex<()> = Mutex::new(());
    let stage = Stage { _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) };
    script(faults, events);
    // Long enough for a lost answer to be asked for again before it is over: six seconds here.
    sim().sim_call("POST", "settings", &json!({ "invalidation_seconds": 6 * 3600 }));
    // A message that a dead Lambda leaves behind comes again after this, not after minutes.
    for queue in queues() {
        sim().set_visibility(queue, "2");
    }
    stage
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After a failed test the simulator may be gone; one panic is enough.
        if !std::thread::panicking() {
            script(&json!([]), &json!({}));
        }
    }
}

fn script(faults: &Value, events: &Value) {
    sim().sim_call("POST", "faults", &json!({ "rules": faults }));
    sim().sim_call("POST", "events", events);
}

/// The queues of S3's events.
fn queues() -> [&'static str; 2] {
    ["restore_initiated_queue_url", "restore_completed_queue_url"].map(|name| sim().entry(name))
}

/// Whether both of them are empty and nobody works on a message.
fn no_event_waits() -> Option<()> {
    queues().into_iter().all(|queue| sim().nothing_waits(queue)).then_some(())
}

/// Keys `<name>/000` and so on, which lie in the archive.
pub fn archived(name: &str, class: &str, count: usize) -> Vec<String> {
    let keys: Vec<_> = (0..count).map(|n| format!("{name}/{n:03}")).collect();
    sim().put(class, keys.iter().map(String::as_str));
    sim().keep_apart(&keys);
    keys
}

/// Asks for all of them; answers the restore's id. Copies live for a year: the clock is fast and the machine may be slow.
#[track_caller]
fn restore(keys: &[String]) -> String {
    let body = json!({ "bucket": sim().bucket(), "keys": keys, "days": 365 });
    let answer = sim().api("POST", "/v1/restores", &body).json(202);
    answer["id"].as_str().expect("a restore has an id").to_owned()
}

/// S3 began one restore of each of these objects, and CloudFront has each one's path once.
#[track_caller]
pub fn paid_once(keys: &[String]) {
    let (folder, _) = keys[0].split_once('/').expect("keys have a folder");
    let calls = sim().restore_calls(&format!("{folder}/"));
    assert_eq!(calls.len(), keys.len());
    let other: Vec<_> = calls.iter().filter(|object| object["started"] != 1).collect();
    assert!(other.is_empty(), "not begun once: {other:?}");
    let paths: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    assert_eq!(sim().invalidated(sim().entry("distribution_id"), &format!("/{folder}/")), paths);
}
