//! The interpreter's rules, one by one, on small definitions.

mod thaw_definition;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{ExecutionResult, Host, Outcome, StateEvent, StateEventKind, TaskError, Workflow};

/// A host with scripted answers for each function. The last answer of a function repeats.
struct Script {
    answers: RefCell<BTreeMap<&'static str, VecDeque<Answer>>>,
    jitter: f64,
    begun: Instant,
    /// What happened, one line for each event.
    events: RefCell<Vec<String>>,
    running: Cell<usize>,
    most_running: Cell<usize>,
}

#[derive(Clone)]
enum Answer {
    Returns(Value),
    Fails(&'static str),
    /// Without a cause.
    FailsWithoutCause(&'static str),
    /// Returns the payload after `sleep` seconds, or fails if it has `fail`. Both are members of the payload.
    Echo,
}

use Answer::{Echo, Fails, FailsWithoutCause, Returns};

fn script<const N: usize>(answers: [(&'static str, Vec<Answer>); N]) -> Script {
    Script {
        answers: RefCell::new(answers.into_iter().map(|(name, all)| (name, all.into())).collect()),
        jitter: 1.0,
        begun: Instant::now(),
        events: RefCell::default(),
        running: Cell::new(0),
        most_running: Cell::new(0),
    }
}

impl Script {
    fn record(&self, line: String) {
        self.events.borrow_mut().push(format!("{:>3} {line}", self.begun.elapsed().as_secs()));
    }

    #[track_caller]
    fn assert_events(&self, lines: &[&str]) {
        assert_eq!(*self.events.borrow(), lines);
    }

    /// The states that were entered, in order.
    fn path(&self) -> Vec<String> {
        let events = self.events.borrow();
        events.iter().filter_map(|line| Some(line.split_once("enter ")?.1.to_owned())).collect()
    }
}

impl Host for Script {
    async fn invoke(&self, _: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError> {
        self.record(format!("{function} {payload} within {timeout}"));
        let answer = {
            let mut answers = self.answers.borrow_mut();
            let answers = answers.get_mut(function).unwrap_or_else(|| panic!("nobody expects a call of {function}"));
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.expect("an answer")
        };
        match answer {
            Returns(value) => Ok(value),
            FailsWithoutCause(error) => Err(TaskError { error: error.to_owned(), cause: String::new() }),
            Fails(error) => Err(TaskError { error: error.to_owned(), cause: format!("{error} it is") }),
            Echo => {
                self.running.set(self.running.get() + 1);
                self.most_running.set(self.most_running.get().max(self.running.get()));
                sleep(Duration::from_secs(payload["sleep"].as_u64().unwrap_or(0))).await;
                self.running.set(self.running.get() - 1);
                self.record(format!("{function} ends"));
                match payload["fail"].as_str() {
                    Some(error) => Err(TaskError { error: error.to_owned(), cause: "told to".to_owned() }),
                    None => Ok(payload),
                }
            }
        }
    }

    async fn wait(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    fn jitter(&self) -> f64 {
        self.jitter
    }

    fn observe(&self, _: &str, state: &str, event: StateEvent<'_>) {
        let inside = event.iteration.map(|index| format!("[{index}]")).unwrap_or_default();
        self.record(match event.kind {
            StateEventKind::Entered => format!("enter {state}{inside}"),
            StateEventKind::Retried { error, seconds } => format!("retry {state}{inside} after {error} in {seconds}"),
            StateEventKind::Caught { error, next } => format!("catch {error} of {state}{inside} by {next}"),
        });
    }
}

// ------------ definitions of a few states

fn machine(start_at: &str, states: Value) -> Workflow {
    let machine = json!({ "QueryLanguage": "JSONata", "StartAt": start_at, "States": states });
    Workflow::load(&machine.to_string()).unwrap()
}

/// A Task that passes its input to the function and its result on, with further fields.
fn task(function: &str, fields: Value) -> Value {
    let arguments = json!({ "FunctionName": format!("${{{function}Arn}}"), "Payload": "{% $states.input %}" });
    let task = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "TimeoutSeconds": 9,
        "Output": "{% $states.result.Payload %}",
    });
    with_fields(task, fields)
}

fn with_fields(mut value: Value, fields: Value) -> Value {
    value.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    value
}

fn retry(errors: &[&str], interval: u32, attempts: u32, rate: f64, most: Option<u32>) -> Value {
    let retrier = json!({
        "ErrorEquals": errors, "IntervalSeconds": interval, "MaxAttempts": attempts, "BackoffRate": rate,
        "JitterStrategy": "FULL",
    });
    with_fields(retrier, most.map_or(json!({}), |most| json!({ "MaxDelaySeconds": most })))
}

fn catch(errors: &[&str], next: &str) -> Value {
    json!({ "ErrorEquals": errors, "Output": { "why": "{% $states.errorOutput.Error & ': ' & $states.errorOutput.Cause %}" }, "Next": next })
}

/// A Map over the input, of one task.
fn map(concurrency: usize, inner: Value, fields: Value) -> Value {
    let map = json!({
        "Type": "Map", "Items": "{% $states.input %}", "ItemSelector": "{% $states.context.Map.Item.Value %}",
        "MaxConcurrency": concurrency, "Output": "{% $states.result %}",
        "ItemProcessor": { "ProcessorConfig": { "Mode": "INLINE" }, "StartAt": "Inner", "States": { "Inner": inner } },
    });
    with_fields(map, fields)
}

fn succeeded(output: Value, events: u64) -> ExecutionResult {
    ExecutionResult { outcome: Outcome::Succeeded(output), events }
}

fn failed(error: &str, cause: &str, events: u64) -> ExecutionResult {
    let error = TaskError { error: error.to_owned(), cause: cause.to_owned() };
    ExecutionResult { outcome: Outcome::Failed(error), events }
}

#[track_caller]
fn failed_with(ended: &ExecutionResult) -> &TaskError {
    match &ended.outcome {
        Outcome::Failed(error) => error,
        Outcome::Succeeded(output) => panic!("it succeeded: {output}"),
    }
}

// ------------ tasks

#[tokio::test(start_paused = true)]
async fn a_task_is_invoked_with_its_arguments_and_its_result_goes_on() {
    let host = script([("F", vec![Returns(json!({ "n": 1, "half": 0.5 }))])]);
    let fields = json!({
        "Arguments": { "FunctionName": "${FArn}", "Payload": { "is": "{% $states.context.Execution.Name %}", "all": ["{% $states.input.x %}", 7] } },
        "Assign": { "kept": "{% $states.input.x %}" },
        "Output": { "n": "{% $states.result.Payload.n %}", "half": "{% $states.result.Payload.half %}" },
        "Next": "Then",
    });
    let then = json!({ "Output": { "x": "{% $kept %}", "n": "{% $states.input.n %}" }, "End": true });
    let machine = machine("First", json!({ "First": task("F", fields), "Then": task("F", then) }));
    let ended = machine.run("some-name", json!({ "x": "y" }), &host).await;
    assert_eq!(ended, succeeded(json!({ "x": "y", "n": 1 }), 2 + 5 + 5));
    host.assert_events(&[
        "  0 enter First",
        r#"  0 F {"is":"some-name","all":["y",7]} within 9"#,
        "  0 enter Then",
        r#"  0 F {"n":1,"half":0.5} within 9"#,
    ]);
}

#[tokio::test(start_paused = true)]
async fn retriers_back_off_each_by_its_own_count() {
    let retriers = [retry(&["A"], 2, 3, 2.0, Some(6)), retry(&["B", "States.Timeout"], 10, 1, 1.5, None)];
    let machine = machine("T", json!({ "T": task("F", json!({ "Retry": retriers, "End": true })) }));
    let fails = ["A", "States.Timeout", "A", "A", "A"].map(Fails).to_vec();
    let host = script([("F", fails)]);
    let ended = machine.run("x", json!(0), &host).await;
    assert_eq!(ended, failed("A", "A it is", 2 + 1 + 5 * 3));
    let retries: Vec<_> = host.events.borrow().iter().filter(|line| line.contains("retry")).cloned().collect();
    assert_eq!(
        retries,
        [
            "  0 retry T after A in 2",
            "  2 retry T after States.Timeout in 10",
            " 12 retry T after A in 4",
            " 16 retry T after A in 6",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn jitter_takes_its_part_of_the_delay() {
    for (jitter, waited) in [(0.0, 0), (0.25, 25), (0.999, 100)] {
        let fields = json!({ "Retry": [retry(&["A"], 100, 1, 1.0, None)], "End": true });
        let host = Script { jitter, ..script([("F", vec![Fails("A"), Returns(json!(1))])]) };
        machine("T", json!({ "T": task("F", fields) })).run("x", json!(0), &host).await;
        assert_eq!(host.begun.elapsed().as_secs(), waited, "{jitter}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_goes_to_the_first_catcher_that_is_for_it() {
    let nobody = failed("C", "C it is", 6);
    for (catchers, fails, expected) in [
        (vec![catch(&["C"], "End")], "C", succeeded(json!({ "why": "C: C it is" }), 8)),
        (
            vec![catch(&["B"], "Other"), catch(&["States.ALL"], "End")],
            "C",
            succeeded(json!({ "why": "C: C it is" }), 8),
        ),
        (vec![catch(&["B"], "End")], "C", nobody.clone()),
        (vec![], "C", nobody),
        (vec![catch(&["States.ALL"], "End")], "States.Runtime", failed("States.Runtime", "States.Runtime it is", 6)),
        (
            vec![catch(&["States.ALL"], "End")],
            "States.DataLimitExceeded",
            failed("States.DataLimitExceeded", "States.DataLimitExceeded it is", 6),
        ),
    ] {
        let states = json!({
            "T": task("F", json!({ "Catch": catchers, "Next": "Other" })),
            "Other": { "Type": "Fail", "Error": "Wrong", "Cause": "way" },
            "End": { "Type": "Succeed" },
        });
        let ended = machine("T", states).run("x", json!(0), &script([("F", vec![Fails(fails)])])).await;
        // Exited, then Succeed entered and exited.
        let extra = if matches!(ended.outcome, Outcome::Succeeded(_)) { 1 } else { 0 };
        assert_eq!(ended, ExecutionResult { events: expected.events + extra, ..expected }, "{catchers:?} {fails}");
    }
}

// ------------ expressions that fail

#[tokio::test(start_paused = true)]
async fn an_expression_that_returns_nothing_is_an_error_that_is_caught_where_aws_catches_it() {
    let ok = || task("F", json!({ "End": true }));
    let caught = |fields: Value| {
        task("F", with_fields(json!({ "Catch": [catch(&["States.ALL"], "After")], "Next": "After" }), fields))
    };
    for (state, is_caught) in [
        (caught(json!({ "Output": "{% $states.input.nope %}" })), true),
        (caught(json!({ "Output": { "deep": ["{% $states.input.nope %}"] } })), true),
        (caught(json!({ "Assign": { "v": "{% $nobody %}" } })), true),
        (caught(json!({ "Arguments": { "FunctionName": "${FArn}", "Payload": "{% $number('x') %}" } })), true),
        (caught(json!({ "Arguments": { "FunctionName": "${FArn}", "Payload": "{% $sum %}" } })), true),
        (map(1, ok(), json!({ "Catch": [catch(&["States.ALL"], "After")], "Next": "After" })), true),
        (json!({ "Type": "Wait", "Seconds": "{% $states.input.nope %}", "Next": "After" }), false),
        (json!({ "Type": "Wait", "Seconds": "{% -1 %}", "Next": "After" }), false),
        (json!({ "Type": "Wait", "Seconds": "{% 1.5 %}", "Next": "After" }), false),
        (json!({ "Type": "Wait", "Seconds": "soon", "Next": "After" }), false),
        (
            json!({ "Type": "Choice", "Choices": [{ "Condition": "{% $states.input.nope %}", "Next": "After" }], "Default": "After" }),
            false,
        ),
        (
            json!({ "Type": "Choice", "Choices": [{ "Condition": "{% 1 %}", "Next": "After" }], "Default": "After" }),
            false,
        ),
        (json!({ "Type": "Fail", "Error": "E", "Cause": "{% $states.input.nope %}" }), false),
        (json!({ "Type": "Fail", "Error": "{% 1 %}", "Cause": "C" }), false),
    ] {
        let states = json!({ "S": state, "After": { "Type": "Succeed" } });
        let ended = machine("S", states).run("x", json!({ "a": 1 }), &script([("F", vec![Returns(json!(1))])])).await;
        match ended.outcome {
            Outcome::Succeeded(output) => {
                let why = output["why"].as_str().unwrap_or_else(|| panic!("{state}: {output}"));
                assert!(is_caught && why.starts_with("States.QueryEvaluationError: "), "{state}: {output}");
            }
            Outcome::Failed(error) => {
                assert!(!is_caught && error.error == "States.QueryEvaluationError", "{state}: {error:?}");
            }
        }
    }
}

// ------------ choices, waits, ends

#[tokio::test(start_paused = true)]
async fn a_choice_takes_the_first_rule_that_is_true_then_its_default() {
    let rule = |field: &str, next: &str| json!({ "Condition": format!("{{% $states.input.{field} %}}"), "Next": next });
    let choice = json!({ "Type": "Choice", "Choices": [rule("a", "A"), rule("b", "B")] });
    let end = || json!({ "Type": "Succeed" });
    let states = |choice: Value| json!({ "C": choice, "A": end(), "B": end(), "D": end() });
    let with_default = machine("C", states(with_fields(choice.clone(), json!({ "Default": "D" }))));
    for (a, b, next) in [(true, true, "A"), (false, true, "B"), (false, false, "D")] {
        let host = script([]);
        let input = json!({ "a": a, "b": b });
        assert_eq!(with_default.run("x", input.clone(), &host).await, succeeded(input, 6));
        assert_eq!(host.path(), ["C", next]);
    }
    let ended = machine("C", states(choice)).run("x", json!({ "a": false, "b": false }), &script([])).await;
    assert_eq!(failed_with(&ended).error, "States.NoChoiceMatched");
    assert_eq!(ended.events, 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_its_time_and_hands_its_input_on() {
    let states = json!({
        "W": { "Type": "Wait", "Seconds": "{% $states.input.s %}", "Next": "F" },
        "F": { "Type": "Fail", "Error": "E", "Cause": "{% 'after ' & $states.input.s %}" },
    });
    let host = script([]);
    assert_eq!(machine("W", states).run("x", json!({ "s": 86_400 }), &host).await, failed("E", "after 86400", 5));
    assert_eq!(host.begun.elapsed().as_secs(), 86_400);
}

// ------------ maps

#[tokio::test(start_paused = true)]
async fn a_map_runs_at_most_max_concurrency_iterations_and_returns_in_order() {
    let sleeps = [5, 1, 1, 1, 1, 1];
    let items: Vec<_> = sleeps.iter().enumerate().map(|(n, sleep)| json!({ "n": n, "sleep": sleep })).collect();
    let machine = machine("M", json!({ "M": map(2, task("F", json!({ "End": true })), json!({ "End": true })) }));
    let host = script([("F", vec![Echo])]);
    let ended = machine.run("x", json!(items), &host).await;
    assert_eq!(ended, succeeded(json!(items), 2 + 4 + 6 * 7));
    assert_eq!(host.most_running.get(), 2);
    // While the first sleeps for five seconds, the others take the second place one after the other.
    assert_eq!(host.begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_iteration_sees_outer_variables_and_its_item() {
    let inner = task(
        "F",
        json!({
            "Arguments": { "FunctionName": "${FArn}", "Payload": { "v": "{% $v %}", "at": "{% $states.context.Map.Item.Index %}", "all": "{% $states.input %}" } },
            "End": true,
        }),
    );
    let selector =
        json!({ "item": "{% $states.context.Map.Item.Value %}", "v": "{% $v %}", "of": "{% $count($states.input) %}" });
    let states = json!({
        "First": task("F", json!({ "Assign": { "v": "kept" }, "Next": "M" })),
        "M": map(1, inner, json!({ "ItemSelector": selector, "End": true })),
    });
    let ended = machine("First", states).run("x", json!(["a", "b"]), &script([("F", vec![Echo])])).await;
    let one = |at: u64, item: &str| json!({ "v": "kept", "at": at, "all": { "item": item, "v": "kept", "of": 2 } });
    assert_eq!(ended.outcome, Outcome::Succeeded(json!([one(0, "a"), one(1, "b")])));
}

#[tokio::test(start_paused = true)]
async fn the_first_iteration_that_fails_fails_the_map_and_ends_the_others() {
    let items = json!([{ "sleep": 9 }, { "sleep": 2, "fail": "Broken" }, { "sleep": 9 }, { "sleep": 9 }]);
    for (fields, expected) in [
        // Two iterations ended with the third, of which nothing began: 2 + (entered, started, failed) + 3 x (started,
        // entered, scheduled, started) + failed twice + 2 x two abortions.
        (json!({ "End": true }), failed("Broken", "told to", 2 + 3 + 12 + 2 + 4)),
        (
            json!({ "Catch": [catch(&["States.ALL"], "After")], "Next": "After" }),
            succeeded(json!({ "why": "Broken: told to" }), 2 + 3 + 12 + 2 + 4 + 1 + 2),
        ),
    ] {
        let states = json!({ "M": map(3, task("F", json!({ "End": true })), fields), "After": { "Type": "Succeed" } });
        let host = script([("F", vec![Echo])]);
        assert_eq!(machine("M", states).run("x", items.clone(), &host).await, expected);
        sleep(Duration::from_secs(20)).await;
        let ended = host.events.borrow().iter().filter(|line| line.contains("F ends")).count();
        assert_eq!(ended, 1, "{:?}", host.events.borrow());
        assert!(host.events.borrow().contains(&"  0 enter Inner[2]".to_owned()));
    }
}

// ------------ limits

#[tokio::test(start_paused = true)]
async fn more_data_than_step_functions_carries_ends_the_execution() {
    // A string's quotes count.
    let text = |bytes: usize| Value::from("x".repeat(bytes - 2));
    let limit = 256 * 1024;
    let catch_all = || json!({ "Catch": [catch(&["States.ALL"], "T")], "End": true });
    let double = || json!({ "Output": "{% $states.input & $states.input %}" });
    for (input, answer, fields, ok) in [
        (text(limit), json!(1), json!({}), true),
        (text(limit + 1), json!(1), json!({}), false),
        (json!(1), text(limit), json!({}), true),
        (json!(1), text(limit + 1), json!({ "Output": 1 }), false),
        (text(limit - 10), json!(1), double(), false),
        (
            text(limit - 10),
            json!(1),
            json!({ "Arguments": { "FunctionName": "${FArn}", "Payload": ["{% $states.input %}", "abcdefghij"] } }),
            false,
        ),
    ] {
        let machine = machine("T", json!({ "T": task("F", with_fields(catch_all(), fields.clone())) }));
        let ended = machine.run("x", input, &script([("F", vec![Returns(answer)])])).await;
        if ok {
            assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{fields}");
        } else {
            assert_eq!(failed_with(&ended).error, "States.DataLimitExceeded", "{fields}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_history_ends_the_execution() {
    let round = json!({ "Type": "Wait", "Seconds": 1, "Next": "Again" });
    let again = json!({ "Type": "Wait", "Seconds": 1, "Next": "Round" });
    let ended = machine("Round", json!({ "Round": round, "Again": again })).run("x", json!(1), &script([])).await;
    assert_eq!((failed_with(&ended).error.as_str(), ended.events), ("States.Runtime", 25_000));

    // A Map fills it too, and no catcher helps.
    let fields = json!({ "Catch": [catch(&["States.ALL"], "M")], "End": true });
    let states = json!({ "M": map(9, json!({ "Type": "Succeed" }), fields) });
    let items = json!(vec![0; 7_000]);
    let ended = machine("M", states).run("x", items, &script([])).await;
    assert_eq!((failed_with(&ended).error.as_str(), ended.events), ("States.Runtime", 25_000));
}

// ------------ loading

#[test]
fn unknown_fields_and_values_are_refused_by_name() {
    let ok =
        || json!({ "QueryLanguage": "JSONata", "StartAt": "T", "States": { "T": task("F", json!({ "End": true })) } });
    Workflow::load(&ok().to_string()).unwrap();
    let change = |pointer: &str, value: Value| {
        let mut machine = ok();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        machine.pointer_mut(parent).unwrap()[name] = value;
        machine
    };
    let in_task = |name: &str, value: Value| change(&format!("/States/T/{name}"), value);
    let inner_map = |fields: Value| change("/States/T", map(1, task("F", fields), json!({ "End": true })));
    let retrier = retry(&["A"], 1, 1, 1.0, None);
    for (machine, named) in [
        (change("/TimeoutSeconds", json!(1)), "TimeoutSeconds"),
        (change("/QueryLanguage", json!("JSONPath")), "JSONPath"),
        (change("/StartAt", json!("U")), "U"),
        (in_task("HeartbeatSeconds", json!(1)), "T: unknown field `HeartbeatSeconds`"),
        (in_task("Type", json!("Parallel")), "T: unknown variant `Parallel`"),
        (in_task("Resource", json!("arn:aws:states:::sqs:sendMessage")), "T: unknown variant `arn:aws:states:::sqs"),
        (in_task("Next", json!("T")), "T: neither Next nor End, or both"),
        (in_task("Catch", json!([catch(&["A"], "Nowhere")])), "T: there is no state Nowhere"),
        (in_task("Catch", json!([catch(&["States.TaskFailed"], "T")])), "States.TaskFailed"),
        (in_task("Catch", json!([catch(&["States.ALL", "A"], "T")])), "States.ALL"),
        (in_task("Retry", json!([with_fields(retrier, json!({ "JitterStrategy": "NONE" }))])), "NONE"),
        (in_task("Output", json!("{% $states. %}")), "$states."),
        (in_task("Output", json!("so {% 1 %}")), "in part only"),
        (in_task("Arguments", json!({ "FunctionName": "F", "Payload": 1 })), "FunctionName F"),
        (inner_map(json!({ "End": true, "Bogus": 1 })), "Inner: unknown field `Bogus`"),
        (inner_map(json!({ "Next": "T" })), "Inner: there is no state T"),
        (change("/States/T", map(0, task("F", json!({ "End": true })), json!({ "End": true }))), "nonzero"),
    ] {
        let error = Workflow::load(&machine.to_string()).unwrap_err();
        assert!(error.contains(named), "{named}: {error}");
    }
}
