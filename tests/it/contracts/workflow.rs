//! The shape of `statemachine/thaw.asl.json`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::template::{list, object, text};

/// The definition.
#[derive(Debug)]
pub struct Machine(pub Value);

impl Machine {
    /// Reads it. That it is JSON before any substitution is a promise by itself.
    pub fn load() -> Self {
        let text = include_str!("../../../statemachine/thaw.asl.json");
        Self(serde_json::from_str(text).expect("the definition is JSON as it stands"))
    }

    /// The definition itself and the one inside each Map: what has `StartAt` and `States`.
    pub fn levels(&self) -> Vec<&Map<String, Value>> {
        let mut levels = vec![object(&self.0)];
        let mut next = 0;
        while let Some(level) = levels.get(next) {
            let inner: Vec<_> =
                object(&level["States"]).values().filter_map(|state| state.get("ItemProcessor").map(object)).collect();
            levels.extend(inner);
            next += 1;
        }
        levels
    }

    /// Every state of every level.
    pub fn states(&self) -> Vec<(String, &Value)> {
        self.levels().into_iter().flat_map(|level| object(&level["States"])).map(|(n, s)| (n.clone(), s)).collect()
    }

    /// The states of one type.
    pub fn states_of_type(&self, kind: &str) -> Vec<(String, &Value)> {
        self.states().into_iter().filter(|(_, state)| state["Type"] == kind).collect()
    }

    /// The error names in all `Retry` or all `Catch` fields, each with the state it is in.
    pub fn matched(&self, field: &str) -> Vec<(String, String)> {
        let matchers = self.states().into_iter().flat_map(|(name, state)| {
            list(&state[field])
                .into_iter()
                .flat_map(|rule| list(&rule["ErrorEquals"]))
                .map(move |error| (name.clone(), error))
        });
        matchers.map(|(name, error)| (name, text(&error))).collect()
    }
}

/// Every string in a JSON value, names of members aside.
pub fn strings(value: &Value) -> Vec<String> {
    if let Some(members) = value.as_object() {
        return members.values().flat_map(strings).collect();
    }
    if let Some(items) = value.as_array() {
        return items.iter().flat_map(strings).collect();
    }
    value.as_str().map(str::to_owned).into_iter().collect()
}

/// Where a state may go: `Next`, `Default`, the choices and the catches.
fn successors(state: &Value) -> Vec<String> {
    let rules = list(&state["Choices"]).into_iter().chain(list(&state["Catch"])).map(|rule| rule["Next"].clone());
    let own = [state["Next"].clone(), state["Default"].clone()];
    own.into_iter().chain(rules).filter(|next| !next.is_null()).map(|next| text(&next)).collect()
}

#[test]
fn every_next_state_exists_and_every_state_is_reached() {
    for level in Machine::load().levels() {
        let states = object(&level["States"]);
        let mut reached = BTreeSet::new();
        let mut open = vec![text(&level["StartAt"])];
        while let Some(name) = open.pop() {
            let state = states.get(&name).unwrap_or_else(|| panic!("there is no state {name}"));
            if reached.insert(name) {
                open.extend(successors(state));
            }
        }
        assert_eq!(reached, states.keys().cloned().collect(), "reached states, states");
    }
}

#[test]
fn every_state_says_why_it_is_there() {
    for (name, state) in Machine::load().states() {
        assert!(state["Comment"].as_str().is_some_and(|comment| comment.len() > 10), "{name} has no Comment");
    }
}

/// The local stack runs this definition unchanged, so it uses only what the emulator and AWS do alike: functions as
/// tasks, inline Maps, JSONata, and no output at the end (`Succeed` with an `Output` is where the two differ).
#[test]
fn the_workflow_uses_only_what_runs_everywhere() {
    let machine = Machine::load();
    assert_eq!(machine.0["QueryLanguage"], "JSONata");
    for (name, state) in machine.states() {
        let kind = text(&state["Type"]);
        assert!(
            ["Task", "Map", "Choice", "Wait", "Pass", "Succeed", "Fail"].contains(&kind.as_str()),
            "{name} is a {kind}"
        );
        match kind.as_str() {
            "Task" => assert_eq!(state["Resource"], "arn:aws:states:::lambda:invoke", "{name}"),
            "Map" => assert_eq!(state["ItemProcessor"]["ProcessorConfig"]["Mode"], "INLINE", "{name}"),
            "Succeed" => assert!(state.get("Output").is_none(), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn as_many_chunks_are_asked_for_at_once_as_share_the_quota() {
    let machine = Machine::load();
    assert_eq!(object(&machine.0["States"])["ForEachChunk"]["MaxConcurrency"], thaw_core::LANES);
}

/// A failed execution without a word would be the one thing nobody can explain: whatever a task or a Map does not
/// retry away goes to ReportFailure. Inside a Map the Map itself catches; ReportFailure has nowhere further to go.
///
/// `States.ALL` catches neither `States.DataLimitExceeded`, which must be named, nor `States.Runtime`, which nothing catches
/// (Step Functions Developer Guide, "Handling errors"). Of an execution that ends by the second, CheckExecutions tells the ledger.
#[test]
fn every_error_that_retries_cannot_mend_is_reported() {
    let machine = Machine::load();
    let states = object(&machine.0["States"]);
    // A restore that has failed goes on from here; it is not reported twice.
    let after_failure = reached(states, "AnythingLeft?");
    assert_eq!(states["FirstFailure?"]["Default"], "ReportFailure");
    for (name, state) in states {
        let works = state["Type"] == "Task" || state["Type"] == "Map";
        if works && name != "ReportFailure" {
            let next = if after_failure.contains(name) { "FirstFailure?" } else { "ReportFailure" };
            let caught: Vec<_> = list(&state["Catch"])
                .into_iter()
                .map(|rule| (strings(&rule["ErrorEquals"]), text(&rule["Next"]), rule["Output"].clone()))
                .collect();
            let told = || "{% $states.errorOutput %}".into();
            let is_right = |next: &str| {
                let expected = ["States.DataLimitExceeded", "States.ALL"];
                caught == expected.map(|error| (vec![error.to_owned()], next.to_owned(), told()))
            };
            // Those before a failure may ask as well: the variable is there as soon as the plan is.
            let may_ask = name != "Plan" && is_right("FirstFailure?");
            assert!(is_right(next) || may_ask, "{name} can fail without a report: {caught:?}");
        }
    }
}

/// The states to which a state leads, without what is caught on the way.
fn reached(states: &Map<String, Value>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        let mut state = states[&name].clone();
        object_mut(&mut state).remove("Catch");
        if reached.insert(name) {
            open.extend(successors(&state));
        }
    }
    reached
}

fn object_mut(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("a state is an object")
}

/// `Error` and `Cause` are optional in the events of the history: an expression that takes one for granted would end the
/// execution.
#[test]
fn no_expression_takes_it_for_granted_that_an_error_has_a_cause() {
    for expression in strings(&Machine::load().0) {
        for field in
            ["$states.errorOutput.Error", "$states.errorOutput.Cause", "$states.input.Error", "$states.input.Cause"]
        {
            let guarded = expression.contains(&format!("$exists({field})"));
            assert!(guarded || !expression.contains(field), "{expression}");
        }
    }
}
