//! `kill -9`, again and again, in every stage of the work.

use std::collections::BTreeMap;

use serde_json::json;
use thaw_steps::Step;

use super::{archived, no_event_waits, paid_once, restore, stage};
use crate::local_stack::lambdas::Reaper;
use crate::local_stack::stack::{sim, until};

/// The workflow and both readers of events.
pub const MORTAL: [Step; 8] = [
    Step::Plan,
    Step::StartRestores,
    Step::CheckRestores,
    Step::Invalidate,
    Step::CheckInvalidations,
    Step::Report,
    Step::OnRestoreCompleted,
    Step::OnRestoreInitiated,
];

#[test]
fn lambdas_that_die_again_and_again_lose_nothing_and_pay_for_nothing_twice() {
    // Two chunks, a full one and the rest. A third is published by events; for the others the workflow has to look.
    let nobody = |key: &str| json!({ "kind": "completed", "key": key });
    let _stage = stage(&json!([]), &json!({ "drop": [nobody("deaths/1*"), nobody("deaths/2*")] }));
    let keys = archived("deaths", "GLACIER", 300);
    let reaper = Reaper::of(&MORTAL);
    let id = restore(&keys);
    sim().succeeds(&id);
    until("the messages that the dead left behind are handled", no_event_waits);
    let deaths = reaper.stop();
    paid_once(&keys);

    for step in [Step::OnRestoreCompleted, Step::OnRestoreInitiated] {
        assert!(deaths[step.name()] >= 3, "{deaths:?}");
    }
    let died_in = died_in(&id);
    for state in ["Plan", "ForEachChunk", "CheckRestores", "Invalidate", "CheckInvalidations"] {
        assert!(died_in.get(state).is_some_and(|deaths| *deaths >= 2), "{died_in:?} of {deaths:?}");
    }
}

/// How often a Lambda died in each state of an execution, in the middle of its work: the state noticed.
fn died_in(id: &str) -> BTreeMap<String, usize> {
    let mut deaths = BTreeMap::new();
    let mut state = String::new();
    for event in sim().events(id) {
        if let Some(entered) = event["stateEnteredEventDetails"]["name"].as_str() {
            entered.clone_into(&mut state);
        }
        if event["taskFailedEventDetails"]["error"] == "Runtime.ExitError" {
            *deaths.entry(state.clone()).or_default() += 1;
        }
    }
    deaths
}
