//! The workflow's expressions as three evaluators understand them: the one that runs the workflow in virtual time, the
//! emulator's, which is jsonata-python, and the reference implementation of the version that Step Functions names.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::{Map, Value, json};
use thaw_worlds::workflow::Template;

use crate::contracts::workflow::{Machine, strings};
use crate::local_stack::stack::{stack, until};

/// What `$states` can be: as the steps answer, and what is at the edge of that.
fn cases() -> Vec<Value> {
    let context = json!({ "Execution": { "Name": "r-1", "Input": { "bucket": "archive", "keys": ["a"] } }, "Map": { "Item": { "Index": 0, "Value": "chunk-0" } } });
    let input = json!({
        "anything_to_wait_for": true, "anything_to_invalidate": false, "anything_to_confirm": true,
        "all_published": false, "succeeded": true, "status": "partly_failed", "wait_seconds": 43_200, "chunks": ["chunk-0", "chunk-1"],
        "cursor": "1-1795341600000-a1b2", "jobs": true, "jobs_done": false, "next_part": 1, "next_chunk": 2, "says": "1 of 2 objects failed: Größe", "error": "Throttled", "anything_left": false,
    });
    let error = json!({ "Error": "States.Timeout", "Cause": "" });
    let case = |input: Value, result: Value| json!({ "input": input, "result": result, "errorOutput": error, "context": context });
    let with = |field: &str, value: Value| {
        let mut input = input.clone();
        input[field] = value;
        input
    };
    vec![
        case(input.clone(), json!({ "Payload": input })),
        case(input.clone(), json!([{ "wait_seconds": 18_000 }, { "wait_seconds": 240 }, { "wait_seconds": 18_000 }])),
        // One item must stay an array where an array is wanted, and be a number where a number is.
        case(with("chunks", json!(["only"])), json!([{ "wait_seconds": 0 }])),
        case(with("chunks", json!([])), json!([])),
        case(with("chunks", json!([["nested"]])), json!({ "Payload": ["only"] })),
        case(with("chunks", json!([{ "wait_seconds": [1] }])), json!({ "Payload": [] })),
        case(json!([]), json!({ "Payload": null })),
        case(json!(["only"]), json!({ "Payload": [[]] })),
        case(input.clone(), json!([{}, { "wait_seconds": 5.5 }])),
        // For no job, for one of many, for the only one.
        case(with("jobs_done", json!(true)), json!([{ "wait_seconds": 0, "for_a_job": false }])),
        case(with("next_part", json!(0)), json!([{ "for_a_job": false }, { "wait_seconds": 7, "for_a_job": true }])),
        case(with("next_chunk", json!(0)), json!([{ "wait_seconds": 1, "for_a_job": true }])),
        case(with("wait_seconds", json!(null)), json!([])),
        case(with("anything_left", json!(true)), json!([{}, {}])),
        case(with("status", json!("failed")), json!([])),
        // An error as a catcher hands it on, with its cause and without.
        case(
            json!({ "Error": "Denied", "Cause": "{\"errorMessage\":\"S3 says no.\"}" }),
            json!({ "Payload": { "error": "Denied", "says": "no" } }),
        ),
        case(json!({ "Error": "States.Timeout" }), json!({ "Payload": { "wait_seconds": 1, "for_a_job": true } })),
        // Nothing of what is asked for.
        json!({ "input": {}, "result": {}, "errorOutput": {}, "context": {} }),
        json!({ "input": "text", "result": 7, "errorOutput": { "Error": "E" }, "context": { "Map": { "Item": { "Value": {} } } } }),
    ]
}

/// What ReportFailure leaves.
fn failure() -> Value {
    json!({ "error": "Denied", "says": "S3 says no." })
}

/// What the reference implementation (npm's `jsonata`) answers to these expressions, each with the number of its case:
/// `{"value": …}`, `{"undefined": true}` or `{"error": …}`. It runs in Node.
fn reference(variables: &Map<String, Value>, questions: &[(usize, &str)]) -> Vec<Value> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp lies in target");
    let script = target.join("workflow/evaluate.mjs");
    assert!(script.exists(), "there is no {}: `cargo xtask test workflow` installs it", script.display());
    let started = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = started.expect("node is on PATH; the reference implementation of JSONata needs Node 20 or later");
    let source = |expression: &str| expression.trim_start_matches("{%").trim_end_matches("%}").trim().to_owned();
    let questions: Vec<_> = questions
        .iter()
        .map(|(case, expression)| json!({ "case": case.to_string(), "expression": source(expression) }))
        .collect();
    let asked = json!({ "variables": variables, "questions": questions }).to_string();
    // Dropped when it is written: that ends the input.
    node.stdin.take().expect("its input is a pipe").write_all(asked.as_bytes()).expect("node reads its input");
    let answered = node.wait_with_output().expect("node ends");
    serde_json::from_slice(&answered.stdout).unwrap_or_else(|error| panic!("node answers no JSON: {error}"))
}

#[test]
fn the_workflows_expressions_mean_the_same_to_three_evaluators() {
    let stack = stack();
    let name = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let name = format!("expressions-{name}");
    let written: BTreeSet<_> = strings(&Machine::load().0).into_iter().filter(|text| text.starts_with("{%")).collect();
    assert!(written.len() >= 15, "{written:?}");

    // Each case lies in the input of one Pass state, whose output asks for every expression of every case.
    let (mut asked, mut ours) = (Map::new(), Map::new());
    let (mut variables_of, mut questions, mut nothing) = (Map::new(), Vec::new(), BTreeSet::new());
    for (number, case) in cases().into_iter().enumerate() {
        variables_of.insert(
            number.to_string(),
            json!({ "states": case, "restore": name, "failing": true, "failure": failure() }),
        );
        for expression in &written {
            questions.push((number, expression.as_str()));
            let variables = [
                ("states", case.clone()),
                ("restore", name.clone().into()),
                ("failing", true.into()),
                ("failure", failure()),
            ];
            let of_case = expression.replace("$states", &format!("$states.input[{number}]"));
            let question = format!("{number}: {expression}");
            match Template::parse(expression.clone().into()).unwrap().value(&variables) {
                Ok(value) => {
                    asked.insert(question.clone(), of_case.into());
                    ours.insert(question, value);
                }
                Err(error) => {
                    assert!(error.ends_with("returned nothing (undefined)"), "{question}: {error}");
                    nothing.insert(question.clone());
                    let exists = of_case.replace("{%", "{% $exists((").replace("%}", ")) %}");
                    asked.insert(question.clone(), exists.into());
                    ours.insert(question, false.into());
                }
            }
        }
    }
    assert!(!nothing.is_empty(), "no case is without an answer");

    let of_reference = reference(&variables_of, &questions);
    assert_eq!(of_reference.len(), questions.len());
    let apart = questions.iter().zip(of_reference).filter_map(|((number, expression), reference)| {
        let question = format!("{number}: {expression}");
        let ours = match nothing.contains(&question) {
            true => json!({ "undefined": true }),
            false => json!({ "value": ours[&question] }),
        };
        (ours != reference).then(|| format!("{question}: ours {ours}, the reference {reference}"))
    });
    let apart: Vec<_> = apart.collect();
    assert!(apart.is_empty(), "{}", apart.join("\n"));

    let machine = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Assign",
        "States": {
            "Assign": {
                "Type": "Pass",
                "Assign": { "restore": "{% $states.context.Execution.Name %}", "failing": true, "failure": failure() },
                "Next": "Ask",
            },
            "Ask": { "Type": "Pass", "Output": asked, "End": true },
        },
    });
    let of_thaw = json!({ "stateMachineArn": stack.entry("state_machine_arn") });
    let role = stack.aws("stepfunctions", "describe_state_machine", of_thaw)["roleArn"].clone();
    let create = json!({ "name": name, "definition": machine.to_string(), "roleArn": role });
    let arn = stack.aws("stepfunctions", "create_state_machine", create)["stateMachineArn"].clone();
    let start = json!({ "stateMachineArn": arn, "name": name, "input": Value::from(cases()).to_string() });
    let execution = stack.aws("stepfunctions", "start_execution", start)["executionArn"].clone();
    let ended = until("the expressions are evaluated", || {
        let execution = stack.aws("stepfunctions", "describe_execution", json!({ "executionArn": execution }));
        (execution["status"] != "RUNNING").then_some(execution)
    });
    stack.aws("stepfunctions", "delete_state_machine", json!({ "stateMachineArn": arn }));
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");

    let theirs: Map<String, Value> = serde_json::from_str(ended["output"].as_str().unwrap()).unwrap();
    assert_eq!(theirs.len(), ours.len());
    let apart = ours.iter().filter(|(question, value)| theirs.get(*question) != Some(*value));
    let apart: Vec<_> =
        apart.map(|(question, value)| format!("{question}: ours {value}, theirs {:?}", theirs.get(question))).collect();
    assert!(apart.is_empty(), "{}", apart.join("\n"));
}
