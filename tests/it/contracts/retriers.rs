//! The numbers of the workflow's retriers, which no validator of the language looks at.

use serde_json::{Value, json};

use super::template::list;
use super::workflow::Machine;

/// What Step Functions would refuse about a retrier (Developer Guide, "Handling errors in Step Functions workflows").
fn wrong(retrier: &Value) -> Vec<&'static str> {
    let whole = |name: &str| retrier.get(name).map(|value| value.as_u64().unwrap_or(u64::MAX));
    let known = [
        "ErrorEquals",
        "IntervalSeconds",
        "MaxAttempts",
        "BackoffRate",
        "MaxDelaySeconds",
        "JitterStrategy",
        "Comment",
    ];
    let errors = list(&retrier["ErrorEquals"]);
    let interval = whole("IntervalSeconds").unwrap_or(1);
    let is_interval = (1..=99_999_999).contains(&interval);
    let rules = [
        (errors.is_empty(), "no error is named"),
        (errors.contains(&json!("States.ALL")) && errors.len() > 1, "States.ALL does not stand alone"),
        (!is_interval, "IntervalSeconds"),
        (whole("MaxAttempts").is_some_and(|attempts| attempts > 99_999_999), "MaxAttempts"),
        (retrier.get("BackoffRate").is_some_and(|rate| rate.as_f64().is_none_or(|rate| rate < 1.0)), "BackoffRate"),
        (
            whole("MaxDelaySeconds").is_some_and(|most| (most <= interval && is_interval) || most >= 31_622_400),
            "MaxDelaySeconds",
        ),
        (retrier.get("JitterStrategy").is_some_and(|jitter| jitter != "FULL" && jitter != "NONE"), "JitterStrategy"),
        (
            retrier.as_object().is_none_or(|fields| fields.keys().any(|field| !known.contains(&field.as_str()))),
            "a field",
        ),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, why)| why).collect()
}

#[test]
fn step_functions_takes_every_retrier() {
    let machine = Machine::load();
    let retriers: Vec<_> = machine.states().into_iter().flat_map(|(_, state)| list(&state["Retry"])).collect();
    assert!(retriers.len() >= 18, "{}", retriers.len());
    for retrier in &retriers {
        assert_eq!(wrong(retrier), [""; 0], "{retrier}");
    }
    for (field, value) in [
        ("ErrorEquals", json!([])),
        ("ErrorEquals", json!(["States.ALL", "Throttled"])),
        ("IntervalSeconds", json!(0)),
        ("IntervalSeconds", json!(1.5)),
        ("MaxAttempts", json!(100_000_000)),
        ("BackoffRate", json!(0.5)),
        ("MaxDelaySeconds", json!(1)),
        ("MaxDelaySeconds", json!(31_622_400)),
        ("JitterStrategy", json!("SOME")),
        ("MaxAttempt", json!(3)),
    ] {
        let mut broken = retriers[0].clone();
        broken[field] = value;
        assert_eq!(wrong(&broken).len(), 1, "{broken}");
    }
}
