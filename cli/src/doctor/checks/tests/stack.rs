//! The stack and its account.

use super::*;

#[test]
fn the_stack_is_whole_and_its_alarms_are_quiet() {
    let events = "aws cloudformation describe-stack-events --stack-name thaw --region eu-west-1";
    check(
        |facts| facts.stack.as_mut().unwrap().status = "UPDATE_ROLLBACK_COMPLETE".to_owned(),
        "status",
        &[(Warning, "UPDATE_ROLLBACK_COMPLETE", events)],
    );
    check(
        |facts| facts.stack.as_mut().unwrap().status = "UPDATE_ROLLBACK_FAILED".to_owned(),
        "status",
        &[(Problem, "UPDATE_ROLLBACK_FAILED", events)],
    );
    check(
        |facts| facts.stack.as_mut().unwrap().status = "ROLLBACK_COMPLETE".to_owned(),
        "status",
        &[(Problem, "ROLLBACK_COMPLETE", events)],
    );
    check(
        |facts| facts.stack.as_mut().unwrap().status = "UPDATE_IN_PROGRESS".to_owned(),
        "status",
        &[(Note, "UPDATE_IN_PROGRESS", "")],
    );
    check(
        |facts| facts.stack.as_mut().unwrap().status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS".to_owned(),
        "status",
        &[],
    );
    let history = "aws cloudwatch describe-alarm-history --alarm-name thaw-InboxFileAlarm-1A --region eu-west-1";
    check(
        |facts| facts.alarms = Ok(vec![alarm("OK"), alarm("ALARM")]),
        "alarms",
        &[(Warning, "thaw-InboxFileAlarm-1A in ALARM", history)],
    );
    check(|facts| facts.alarms = Ok(vec![alarm("INSUFFICIENT_DATA")]), "alarms", &[]);
    check(|facts| facts.alarms = Ok(Vec::new()), "alarms", &[(NotKnown, "none found", "")]);
}

#[test]
fn parameters_that_make_restores_late_or_dear_are_named() {
    let set_rules = r#"jq --arg value 'ENABLED' 'map(if .ParameterKey == "EventRules" then"#;
    check(
        |facts| set(facts, "EventRules", "DISABLED"),
        "event rules",
        &[(Warning, "EventRules is DISABLED", set_rules)],
    );
    check(
        |facts| set(facts, "DailyBudgetUsd", ""),
        "limits",
        &[(Note, "DailyBudgetUsd not set", "\"DailyBudgetUsd\"")],
    );
    let two: Change = |facts| {
        set(facts, "InboxMaxCostUsd", "");
        set(facts, "JoinedMaxCostUsd", "");
    };
    check(two, "limits", &[(Note, "InboxMaxCostUsd, JoinedMaxCostUsd not set", "\"InboxMaxCostUsd\"")]);
    check(|facts| set(facts, "JoinedMaxCostUsd", "0"), "limits", &[]);
}

#[test]
fn few_functions_and_used_up_paths_are_named() {
    let quota = "aws service-quotas request-service-quota-increase --service-code lambda";
    check(|facts| facts.concurrency = Ok(10), "functions at a time", &[(Warning, "10", quota)]);
    check(|facts| facts.concurrency = Ok(50), "functions at a time", &[]);
    check(|facts| facts.invalidated = Ok(Invalidated { paths: 999, at_least: false }), "free paths", &[]);
    check(
        |facts| facts.invalidated = Ok(Invalidated { paths: 1_000, at_least: false }),
        "free paths",
        &[(Note, "1000 of 1000 used this month", "")],
    );
    check(
        |facts| facts.invalidated = Ok(Invalidated { paths: 1_200, at_least: true }),
        "free paths",
        &[(Note, "at least 1200 of 1000 used this month", "")],
    );
    check(
        |facts| facts.invalidated = Ok(Invalidated { paths: 80, at_least: true }),
        "free paths",
        &[(NotKnown, "at least 80 of 1000 used this month", "")],
    );
}
