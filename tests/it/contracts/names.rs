//! State name = function = handler = step.

use std::collections::BTreeSet;

use thaw_steps::{Step, StepError};

use super::template::{TEXT, Template, object, text};
use super::workflow::{Machine, strings};

/// The functions of the workflow; the other steps are doors.
const WORKFLOW: [Step; 9] = [
    Step::Plan,
    Step::StartRestores,
    Step::CreateJobs,
    Step::CheckJobs,
    Step::CheckRestores,
    Step::Invalidate,
    Step::CheckInvalidations,
    Step::Report,
    Step::ReportFailure,
];

/// What the workflow tries again: all that may go away by itself.
const RETRIED: [&str; 3] = ["Throttled", "TooManyInvalidationsInProgress", "Unavailable"];
/// What ends a restore at once: asking again would get the same answer.
const FINAL: [&str; 3] = ["InvalidRequest", "Denied", "Unexpected"];

/// Names of AWS that the workflow may match besides ours. Source: developer guides of Step Functions ("Handling errors")
/// and Lambda; `Lambda.Unknown` is how the local emulator calls a throttled Lambda.
const AWS_ERRORS: [&str; 12] = [
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.Unknown",
    "Sandbox.Timedout",
    "States.ALL",
    "States.DataLimitExceeded",
    "States.Timeout",
];

#[test]
fn every_function_is_a_step_and_every_step_a_function() {
    let functions = Template::load().resources("AWS::Lambda::Function");
    let names: BTreeSet<_> = functions.keys().map(String::as_str).collect();
    assert_eq!(names, Step::ALL.map(Step::name).into(), "functions of the template, steps of the code");
    for step in Step::ALL {
        let function = &functions[step.name()];
        assert_eq!(text(&function["Handler"]), step.handler(), "handler of {}", step.name());
        assert_eq!(text(&function["FunctionName"]), format!("thaw-{}", step.name()));
    }
}

#[test]
fn every_task_calls_the_function_of_its_own_name() {
    for (name, state) in Machine::load().states_of_type("Task") {
        assert_eq!(state["Arguments"]["FunctionName"], format!("${{{name}Arn}}"), "state {name}");
    }
}

#[test]
fn the_workflow_has_a_task_for_each_of_its_functions() {
    let tasks: BTreeSet<_> = Machine::load().states_of_type("Task").into_iter().map(|(name, _)| name).collect();
    assert_eq!(tasks, WORKFLOW.map(|step| step.name().to_owned()).into());
}

#[test]
fn the_template_fills_in_exactly_what_the_workflow_leaves_open() {
    let open: BTreeSet<_> = strings(&Machine::load().0)
        .into_iter()
        .filter_map(|string| Some(string.strip_prefix("${")?.strip_suffix('}')?.to_owned()))
        .collect();
    let machine = Template::load().resource("StateMachine");
    let filled = object(&machine["DefinitionSubstitutions"]);
    assert_eq!(open, filled.keys().cloned().collect());
    for (name, arn) in filled {
        let function = name.strip_suffix("Arn").expect("substitutions end in Arn");
        // A reference to a version is its ARN.
        assert_eq!(text(arn), format!("{{{function}Version}}"));
    }
}

#[test]
fn every_change_of_a_release_publishes_a_version_of_each_function_of_the_workflow() {
    let template = Template::load();
    let (functions, versions) =
        (template.resources("AWS::Lambda::Function"), template.resources("AWS::Lambda::Version"));
    assert_eq!(versions.len(), WORKFLOW.len());
    for step in WORKFLOW {
        let version = &versions[&format!("{}Version", step.name())];
        assert_eq!(text(&version["FunctionName"]), format!("{{{}}}", step.name()));
        // Another description replaces the version, and another variable makes the function one that can be published.
        let variables = &functions[step.name()]["Environment"]["Variables"];
        assert_eq!(version["Description"], variables["RELEASE"]);
        // Also when a rollback leads to a release that has no such resource.
        let kept = "    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n";
        assert!(TEXT.contains(&format!("  {}Version:\n    Type: AWS::Lambda::Version\n{kept}", step.name())));
    }
}

#[test]
fn a_substitution_is_a_whole_string_so_that_the_file_stays_json() {
    for string in strings(&Machine::load().0) {
        let inside = string.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(&string);
        assert!(!inside.contains("${"), "{string}");
    }
}

#[test]
fn every_error_of_ours_is_either_retried_or_final() {
    let ours: BTreeSet<_> = StepError::NAMES.into();
    assert_eq!(ours, RETRIED.into_iter().chain(FINAL).collect());
}

#[test]
fn the_workflow_matches_only_errors_that_somebody_raises() {
    for (place, name) in Machine::load().matched("Retry").into_iter().chain(Machine::load().matched("Catch")) {
        let known = StepError::NAMES.contains(&name.as_str()) || AWS_ERRORS.contains(&name.as_str());
        assert!(known, "{place} matches {name}, which is neither ours nor AWS's");
    }
}

/// What Lambda says when it could not be called, or when a call ended before its function did, and that goes away by itself.
/// The first four: Step Functions Developer Guide, "Handle transient Lambda service exceptions". The next two: the note there.
/// The rest: how Step Functions tells that a function was killed, that it ended while it was starting (the name is in AWS's own
/// emulator of the Lambda runtime), or that a task took too long.
const TRANSIENT: [&str; 10] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.Unknown",
    "Sandbox.Timedout",
    "States.Timeout",
];

#[test]
fn every_task_tries_again_what_is_transient_in_lambda() {
    for (name, state) in Machine::load().states_of_type("Task") {
        let retriers = super::template::list(&state["Retry"]);
        let retried: BTreeSet<_> = retriers
            .iter()
            .flat_map(|retrier| super::template::list(&retrier["ErrorEquals"]))
            .map(|name| text(&name))
            .collect();
        for error in TRANSIENT {
            assert!(retried.contains(error), "{name} ends for {error}");
        }
    }
}

#[test]
fn the_workflow_retries_what_may_go_away_and_nothing_else_of_ours() {
    let retried: BTreeSet<_> = Machine::load().matched("Retry").into_iter().map(|(_, name)| name).collect();
    for name in RETRIED {
        assert!(retried.contains(name), "no state retries {name}");
    }
    for name in FINAL.into_iter().chain(["States.ALL", "States.TaskFailed"]) {
        assert!(!retried.contains(name), "retrying {name} repeats what cannot succeed");
    }
}
