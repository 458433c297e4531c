//! The interpreter's rules one by one, then every branch of the real definition.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Ended, Entered, Outcome, PublishedReason, TaskError, Workflow, World};

const THAW: &str = include_str!("../../../../statemachine/thaw.asl.json");

/// A world that answers what it is told to, function by function; the last answer of a function stays.
struct Script {
    answers: RefCell<BTreeMap<&'static str, VecDeque<Answer>>>,
    jitter: f64,
    begun: Instant,
    /// What happened, a line each.
    seen: RefCell<Vec<String>>,
    running: Cell<usize>,
    most_running: Cell<usize>,
}

#[derive(Clone)]
enum Answer {
    Says(Value),
    Fails(&'static str),
    /// Without a cause.
    FailsInSilence(&'static str),
    /// The payload itself, after so many seconds as its `sleep` says; fails if it has `fail`.
    Echo,
}

use Answer::{Echo, Fails, FailsInSilence, Says};

fn script<const N: usize>(answers: [(&'static str, Vec<Answer>); N]) -> Script {
    Script {
        answers: RefCell::new(answers.into_iter().map(|(name, all)| (name, all.into())).collect()),
        jitter: 1.0,
        begun: Instant::now(),
        seen: RefCell::default(),
        running: Cell::new(0),
        most_running: Cell::new(0),
    }
}

impl Script {
    fn note(&self, line: String) {
        self.seen.borrow_mut().push(format!("{:>3} {line}", self.begun.elapsed().as_secs()));
    }

    #[track_caller]
    fn saw(&self, lines: &[&str]) {
        assert_eq!(*self.seen.borrow(), lines);
    }

    /// The states that were entered, in order.
    fn path(&self) -> Vec<String> {
        let seen = self.seen.borrow();
        seen.iter().filter_map(|line| Some(line.split_once("enter ")?.1.to_owned())).collect()
    }
}

impl World for Script {
    async fn invoke(&self, _: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError> {
        self.note(format!("{function} {payload} within {timeout}"));
        let answer = {
            let mut answers = self.answers.borrow_mut();
            let answers = answers.get_mut(function).unwrap_or_else(|| panic!("nobody expects a call of {function}"));
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.expect("an answer")
        };
        match answer {
            Says(value) => Ok(value),
            FailsInSilence(error) => Err(TaskError { error: error.to_owned(), cause: String::new() }),
            Fails(error) => Err(TaskError { error: error.to_owned(), cause: format!("{error} it is") }),
            Echo => {
                self.running.set(self.running.get() + 1);
                self.most_running.set(self.most_running.get().max(self.running.get()));
                sleep(Duration::from_secs(payload["sleep"].as_u64().unwrap_or(0))).await;
                self.running.set(self.running.get() - 1);
                self.note(format!("{function} ends"));
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

    fn entered(&self, _: &str, state: &str, what: Entered<'_>) {
        let inside = what.iteration.map(|index| format!("[{index}]")).unwrap_or_default();
        self.note(match what.how {
            PublishedReason::First => format!("enter {state}{inside}"),
            PublishedReason::Retry { error, seconds } => format!("retry {state}{inside} after {error} in {seconds}"),
            PublishedReason::Catch { error, next } => format!("catch {error} of {state}{inside} by {next}"),
        });
    }
}

// ------------ definitions of a few states

fn machine(start_at: &str, states: Value) -> Workflow {
    let machine = json!({ "QueryLanguage": "JSONata", "StartAt": start_at, "States": states });
    Workflow::load(&machine.to_string()).unwrap()
}

/// A Task that hands on what it is given, and these fields besides.
fn task(function: &str, fields: Value) -> Value {
    let arguments = json!({ "FunctionName": format!("${{{function}Arn}}"), "Payload": "{% $states.input %}" });
    let task = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "TimeoutSeconds": 9,
        "Output": "{% $states.result.Payload %}",
    });
    with(task, fields)
}

fn with(mut value: Value, fields: Value) -> Value {
    value.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    value
}

fn retry(errors: &[&str], interval: u32, attempts: u32, rate: f64, most: Option<u32>) -> Value {
    let retrier = json!({
        "ErrorEquals": errors, "IntervalSeconds": interval, "MaxAttempts": attempts, "BackoffRate": rate,
        "JitterStrategy": "FULL",
    });
    with(retrier, most.map_or(json!({}), |most| json!({ "MaxDelaySeconds": most })))
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
    with(map, fields)
}

fn succeeded(output: Value, events: u64) -> Ended {
    Ended { outcome: Outcome::Succeeded(output), events }
}

fn failed(error: &str, cause: &str, events: u64) -> Ended {
    let error = TaskError { error: error.to_owned(), cause: cause.to_owned() };
    Ended { outcome: Outcome::Failed(error), events }
}

#[track_caller]
fn failed_with(ended: &Ended) -> &TaskError {
    match &ended.outcome {
        Outcome::Failed(error) => error,
        Outcome::Succeeded(output) => panic!("it succeeded: {output}"),
    }
}

// ------------ tasks

#[tokio::test(start_paused = true)]
async fn a_task_is_invoked_with_its_arguments_and_its_result_goes_on() {
    let world = script([("F", vec![Says(json!({ "n": 1, "half": 0.5 }))])]);
    let fields = json!({
        "Arguments": { "FunctionName": "${FArn}", "Payload": { "is": "{% $states.context.Execution.Name %}", "all": ["{% $states.input.x %}", 7] } },
        "Assign": { "kept": "{% $states.input.x %}" },
        "Output": { "n": "{% $states.result.Payload.n %}", "half": "{% $states.result.Payload.half %}" },
        "Next": "Then",
    });
    let then = json!({ "Output": { "x": "{% $kept %}", "n": "{% $states.input.n %}" }, "End": true });
    let machine = machine("First", json!({ "First": task("F", fields), "Then": task("F", then) }));
    let ended = machine.run("some-name", json!({ "x": "y" }), &world).await;
    assert_eq!(ended, succeeded(json!({ "x": "y", "n": 1 }), 2 + 5 + 5));
    world.saw(&[
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
    let world = script([("F", fails)]);
    let ended = machine.run("x", json!(0), &world).await;
    assert_eq!(ended, failed("A", "A it is", 2 + 1 + 5 * 3));
    let retries: Vec<_> = world.seen.borrow().iter().filter(|line| line.contains("retry")).cloned().collect();
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
        let world = Script { jitter, ..script([("F", vec![Fails("A"), Says(json!(1))])]) };
        machine("T", json!({ "T": task("F", fields) })).run("x", json!(0), &world).await;
        assert_eq!(world.begun.elapsed().as_secs(), waited, "{jitter}");
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
        assert_eq!(ended, Ended { events: expected.events + extra, ..expected }, "{catchers:?} {fails}");
    }
}

// ------------ expressions that fail

#[tokio::test(start_paused = true)]
async fn an_expression_that_answers_nothing_is_an_error_and_is_caught_where_aws_catches_it() {
    let ok = || task("F", json!({ "End": true }));
    let caught =
        |fields: Value| task("F", with(json!({ "Catch": [catch(&["States.ALL"], "After")], "Next": "After" }), fields));
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
        let ended = machine("S", states).run("x", json!({ "a": 1 }), &script([("F", vec![Says(json!(1))])])).await;
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
    let with_default = machine("C", states(with(choice.clone(), json!({ "Default": "D" }))));
    for (a, b, next) in [(true, true, "A"), (false, true, "B"), (false, false, "D")] {
        let world = script([]);
        let input = json!({ "a": a, "b": b });
        assert_eq!(with_default.run("x", input.clone(), &world).await, succeeded(input, 6));
        assert_eq!(world.path(), ["C", next]);
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
    let world = script([]);
    assert_eq!(machine("W", states).run("x", json!({ "s": 86_400 }), &world).await, failed("E", "after 86400", 5));
    assert_eq!(world.begun.elapsed().as_secs(), 86_400);
}

// ------------ maps

#[tokio::test(start_paused = true)]
async fn a_map_runs_so_many_at_once_and_answers_in_order() {
    let sleeps = [5, 1, 1, 1, 1, 1];
    let items: Vec<_> = sleeps.iter().enumerate().map(|(n, sleep)| json!({ "n": n, "sleep": sleep })).collect();
    let machine = machine("M", json!({ "M": map(2, task("F", json!({ "End": true })), json!({ "End": true })) }));
    let world = script([("F", vec![Echo])]);
    let ended = machine.run("x", json!(items), &world).await;
    assert_eq!(ended, succeeded(json!(items), 2 + 4 + 6 * 7));
    assert_eq!(world.most_running.get(), 2);
    // While the first sleeps for five seconds, the others take the second place one after the other.
    assert_eq!(world.begun.elapsed().as_secs(), 5);
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
        let world = script([("F", vec![Echo])]);
        assert_eq!(machine("M", states).run("x", items.clone(), &world).await, expected);
        sleep(Duration::from_secs(20)).await;
        let ended = world.seen.borrow().iter().filter(|line| line.contains("F ends")).count();
        assert_eq!(ended, 1, "{:?}", world.seen.borrow());
        assert!(world.seen.borrow().contains(&"  0 enter Inner[2]".to_owned()));
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
        let machine = machine("T", json!({ "T": task("F", with(catch_all(), fields.clone())) }));
        let ended = machine.run("x", input, &script([("F", vec![Says(answer)])])).await;
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
fn what_is_not_known_is_refused_by_name() {
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
        (in_task("Retry", json!([with(retrier, json!({ "JitterStrategy": "NONE" }))])), "NONE"),
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

// ------------ the real definition

const PLAN: &str = "Plan";
const START: &str = "StartRestores";
const CHECK: &str = "CheckRestores";
const INVALIDATE: &str = "Invalidate";
const CONFIRM: &str = "CheckInvalidations";
const REPORT: &str = "Report";
const CREATE_JOBS: &str = "CreateJobs";
const CHECK_JOBS: &str = "CheckJobs";
const REPORT_FAILURE: &str = "ReportFailure";

fn planned(chunks: usize) -> Answer {
    let chunks: Vec<_> = (0..chunks).map(|number| format!("chunk-{number}")).collect();
    Says(json!({ "chunks": chunks }))
}

fn looked(invalidate: bool, confirm: bool, all: bool) -> Answer {
    let said = json!({ "anything_to_invalidate": invalidate, "anything_to_confirm": confirm, "all_published": all, "wait_seconds": 900, "next_chunk": 0 });
    Says(said)
}

fn confirmed(all: bool) -> Answer {
    confirmed_some(0, 0, all)
}

fn confirmed_some(next_chunk: u32, until_chunk: u32, all: bool) -> Answer {
    let more = next_chunk == 0 && until_chunk > 0;
    Says(
        json!({ "anything_to_invalidate": more, "all_published": all, "wait_seconds": 900, "next_chunk": next_chunk, "until_chunk": until_chunk }),
    )
}

fn reported(well: bool) -> Answer {
    Says(json!({ "succeeded": well, "says": "1 of 2 failed" }))
}

fn waits(seconds: u64) -> Answer {
    Says(json!({ "wait_seconds": seconds, "for_a_job": false }))
}

fn gave_up(anything_left: bool) -> Answer {
    Says(json!({ "error": "Broken", "says": "in words", "anything_left": anything_left, "wait_seconds": 900 }))
}

#[tokio::test(start_paused = true)]
async fn a_restore_goes_every_step_of_the_real_definition() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![waits(20_000), waits(10_000)]),
        (CHECK, vec![looked(false, false, false), looked(true, false, false)]),
        (INVALIDATE, vec![waits(30)]),
        (CONFIRM, vec![confirmed(true)]),
        (REPORT, vec![reported(true)]),
    ]);
    let input = json!({ "bucket": "b", "keys": ["k"] });
    let ended = Workflow::load(THAW).unwrap().run("r-1", input.clone(), &world).await;
    // 6 tasks, 2 iterations of one each, 5 choices, 3 waits, and the end.
    let events = 2 + 6 * 5 + (4 + 2 * 7) + 5 * 2 + 3 * 2 + 2;
    assert_eq!(ended, succeeded(json!({ "succeeded": true, "says": "1 of 2 failed" }), events));
    world.saw(&[
        "  0 enter Plan",
        &format!(r#"  0 Plan {{"restore":"r-1","request":{input},"cursor":""}} within 910"#),
        "  0 enter ForEachChunk",
        "  0 enter StartRestores[0]",
        r#"  0 StartRestores {"restore":"r-1","chunk":"chunk-0"} within 910"#,
        "  0 enter StartRestores[1]",
        r#"  0 StartRestores {"restore":"r-1","chunk":"chunk-1"} within 910"#,
        "  0 enter AnythingToWaitFor?",
        "  0 enter WaitForRetrieval",
        "10000 enter CheckRestores",
        r#"10000 CheckRestores {"restore":"r-1","from_chunk":0} within 910"#,
        "10000 enter AnythingToInvalidate?",
        "10000 enter WaitForRetrieval",
        "10900 enter CheckRestores",
        r#"10900 CheckRestores {"restore":"r-1","from_chunk":0} within 910"#,
        "10900 enter AnythingToInvalidate?",
        "10900 enter Invalidate",
        r#"10900 Invalidate {"restore":"r-1"} within 910"#,
        "10900 enter WaitForEdges",
        "10930 enter CheckInvalidations",
        r#"10930 CheckInvalidations {"restore":"r-1","from_chunk":0,"until_chunk":0} within 910"#,
        "10930 enter AllPublished?",
        "10930 enter Report",
        r#"10930 Report {"restore":"r-1"} within 310"#,
        "10930 enter AllWell?",
        "10930 enter Done",
    ]);
}

fn left_to_a_job(seconds: u64) -> Answer {
    Says(json!({ "wait_seconds": seconds, "for_a_job": true }))
}

fn created(next_part: u64) -> Answer {
    Says(json!({ "wait_seconds": 60, "next_part": next_part }))
}

fn checked(done: bool, chunks: &[u32], next_chunk: u32) -> Answer {
    Says(json!({ "jobs_done": done, "chunks": chunks, "wait_seconds": 100, "next_chunk": next_chunk }))
}

#[tokio::test(start_paused = true)]
async fn jobs_are_created_part_by_part_and_what_they_leave_is_asked_for() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![left_to_a_job(0), Says(json!({ "wait_seconds": 7, "for_a_job": false })), waits(9_000)]),
        (CREATE_JOBS, vec![created(1), created(0)]),
        (CHECK_JOBS, vec![checked(false, &[], 0), checked(true, &[1], 5), checked(true, &[1], 0)]),
        (CHECK, vec![looked(false, false, true)]),
        (REPORT, vec![reported(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{ended:?}");
    let seen = world.seen.borrow();
    let from = seen.iter().position(|line| line.ends_with("AnythingToWaitFor?")).unwrap();
    let to = seen.iter().position(|line| line.ends_with("enter CheckRestores")).unwrap();
    assert_eq!(
        seen[from..=to],
        [
            "  0 enter AnythingToWaitFor?",
            "  0 enter CreateJobs",
            r#"  0 CreateJobs {"restore":"r","part":0} within 910"#,
            "  0 enter AllJobsCreated?",
            "  0 enter CreateJobs",
            r#"  0 CreateJobs {"restore":"r","part":1} within 910"#,
            "  0 enter AllJobsCreated?",
            "  0 enter WaitForJobs",
            " 60 enter CheckJobs",
            r#" 60 CheckJobs {"restore":"r","from_chunk":0} within 910"#,
            " 60 enter JobsDone?",
            " 60 enter WaitForJobs",
            "160 enter CheckJobs",
            r#"160 CheckJobs {"restore":"r","from_chunk":0} within 910"#,
            "160 enter JobsDone?",
            "160 enter CheckJobs",
            r#"160 CheckJobs {"restore":"r","from_chunk":5} within 910"#,
            "160 enter JobsDone?",
            "160 enter ForEachChunk",
            "160 enter StartRestores[0]",
            r#"160 StartRestores {"restore":"r","chunk":1} within 910"#,
            "160 enter AnythingToWaitFor?",
            // The jobs' objects are due before those that were asked for now.
            "160 enter WaitForRetrieval",
            "260 enter CheckRestores",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_takes_every_branch() {
    let workflow = Workflow::load(THAW).unwrap();
    let table = [
        // Nothing to restore, and the red end.
        (
            vec![(PLAN, vec![planned(0)]), (REPORT, vec![reported(false)])],
            vec![],
            Some(("ObjectsFailed", "1 of 2 failed")),
        ),
        // What came back is with CloudFront already: an event was first.
        (vec![(CHECK, vec![looked(false, true, false)])], vec![CHECK, CONFIRM], None),
        (vec![(CHECK, vec![looked(false, false, true)])], vec![CHECK], None),
        // Very many are invalidated some at a time, and looked at as far as that.
        (
            vec![
                (CHECK, vec![looked(true, true, false)]),
                (INVALIDATE, vec![Says(json!({ "wait_seconds": 5, "until_chunk": 7 })), waits(5)]),
                (CONFIRM, vec![confirmed_some(3, 7, false), confirmed_some(0, 7, false), confirmed(true)]),
            ],
            vec![CHECK, INVALIDATE, CONFIRM, CONFIRM, INVALIDATE, CONFIRM],
            None,
        ),
        // Another round, because not all was published.
        (
            vec![(CHECK, vec![looked(true, true, true)]), (CONFIRM, vec![confirmed(false), confirmed(true)])],
            vec![CHECK, INVALIDATE, CONFIRM, CHECK, INVALIDATE, CONFIRM],
            None,
        ),
    ];
    for (answers, middle, ends) in table {
        let world = script([
            (PLAN, vec![planned(1)]),
            (START, vec![waits(7)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
            (REPORT, vec![reported(true)]),
        ]);
        let begins = if middle.is_empty() { vec![PLAN] } else { vec![PLAN, "StartRestores[0]"] };
        world.answers.borrow_mut().extend(answers.into_iter().map(|(name, all)| (name, all.into())));
        let ended = workflow.run("r", json!({}), &world).await;
        let functions: Vec<_> = [begins, middle, vec![REPORT]].concat();
        let called: Vec<_> = world.path().into_iter().filter(|state| functions.contains(&state.as_str())).collect();
        assert_eq!(called, functions, "{:?}", world.path());
        match ends {
            Some((error, cause)) => assert_eq!(ended, failed(error, cause, ended.events)),
            None => assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{ended:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_the_real_definition_is_reported() {
    let workflow = Workflow::load(THAW).unwrap();
    for broken in [PLAN, START, CREATE_JOBS, CHECK_JOBS, CHECK, INVALIDATE, CONFIRM, REPORT] {
        let world = script([
            (PLAN, vec![planned(2)]),
            (START, vec![left_to_a_job(7)]),
            (CREATE_JOBS, vec![created(0)]),
            (CHECK_JOBS, vec![checked(true, &[], 0)]),
            (CHECK, vec![looked(true, false, false)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
            (REPORT, vec![reported(true)]),
            (REPORT_FAILURE, vec![Fails("Throttled"), gave_up(false)]),
        ]);
        world.answers.borrow_mut().insert(broken, vec![Fails("Broken")].into());
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let told = r#"ReportFailure {"restore":"r","error":"Broken","cause":"Broken it is"} within 310"#;
        assert_eq!(world.seen.borrow().iter().filter(|line| line.ends_with(told)).count(), 2, "{broken}");
    }
}

/// Step Functions Developer Guide, "Handling errors": `States.ALL` catches all but these two, and the second nothing catches.
#[tokio::test(start_paused = true)]
async fn too_much_data_is_reported_and_a_runtime_error_ends_the_execution() {
    let workflow = Workflow::load(THAW).unwrap();
    for (error, reports) in [("States.DataLimitExceeded", 1), ("States.Runtime", 0)] {
        let world = script([(PLAN, vec![Fails(error)]), (REPORT_FAILURE, vec![gave_up(false)])]);
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(world.path().iter().filter(|state| *state == REPORT_FAILURE).count(), reports, "{error}");
        assert_eq!(failed_with(&ended).error, if reports == 1 { "Broken" } else { error });
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_cause_is_reported_like_any_other() {
    let world = script([(PLAN, vec![FailsInSilence("Sandbox.Odd")]), (REPORT_FAILURE, vec![gave_up(false)])]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let told = r#"ReportFailure {"restore":"r","error":"Sandbox.Odd","cause":""} within 310"#;
    assert!(world.seen.borrow().iter().any(|line| line.ends_with(told)), "{:?}", world.seen.borrow());
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_go_on_publishes_what_s3_was_asked_for_and_then_ends_in_the_words_of_its_failure() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![waits(7), Fails("Broken")]),
        (REPORT_FAILURE, vec![gave_up(true)]),
        (CHECK, vec![looked(false, false, false), looked(true, true, false)]),
        (INVALIDATE, vec![waits(5)]),
        (CONFIRM, vec![confirmed(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let path = world.path();
    let from = path.iter().position(|state| state == REPORT_FAILURE).unwrap();
    let after = [
        REPORT_FAILURE,
        "AnythingLeft?",
        "WaitForRetrieval",
        CHECK,
        "AnythingToInvalidate?",
        "WaitForRetrieval",
        CHECK,
        "AnythingToInvalidate?",
        INVALIDATE,
        "WaitForEdges",
        CONFIRM,
        "AllPublished?",
        "Failed",
    ];
    assert_eq!(path[from..], after);
    // What was asking goes on for a quarter of an hour at most.
    assert!(world.seen.borrow().contains(&"900 enter CheckRestores".to_owned()), "{:?}", world.seen.borrow());
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_a_failure_ends_the_execution_in_the_words_of_the_first() {
    let workflow = Workflow::load(THAW).unwrap();
    for broken in [CHECK, INVALIDATE, CONFIRM] {
        let world = script([
            (PLAN, vec![planned(1)]),
            (START, vec![Fails("Denied")]),
            (REPORT_FAILURE, vec![gave_up(true)]),
            (CHECK, vec![looked(true, true, false)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
        ]);
        world.answers.borrow_mut().insert(broken, vec![Fails("Unexpected")].into());
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let path = world.path();
        assert_eq!(path.iter().filter(|state| *state == REPORT_FAILURE).count(), 1, "{broken}: {path:?}");
        assert_eq!(path[path.len() - 3..], [broken, "FirstFailure?", "Failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_waits_no_longer_than_its_retriers_say() {
    // Throttled for as long as a step is tried: each delay at most its MaxDelaySeconds.
    let world = script([
        (PLAN, vec![Fails("Throttled")]),
        (REPORT_FAILURE, vec![Says(json!({ "error": "Throttled", "says": "", "anything_left": false }))]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(failed_with(&ended).error, "Throttled");
    assert_eq!(world.begun.elapsed().as_secs(), 5 + 10 + 20 + 40 + 80 + 160 + 320 + 640 + 392 * 900);
}
