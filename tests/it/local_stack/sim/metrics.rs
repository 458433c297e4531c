//! What CloudWatch would count of a restore, from the lines that its functions wrote.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::stack::{sim, until};

/// The lines of a function's log that have metrics.
fn lines_with_metrics(function: &str) -> Vec<Value> {
    let group = json!({ "logGroupName": format!("/aws/lambda/thaw-{function}"), "filterPattern": "CloudWatchMetrics" });
    let events = sim().aws("logs", "filter_log_events", group)["events"].clone();
    let messages = events.as_array().expect("events").iter().filter_map(|event| event["message"].as_str());
    let lines = messages.filter_map(|message| serde_json::from_str::<Value>(message.trim()).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The metrics of a line that CloudWatch would take, each with its dimensions. Fails where the line does not have what it
/// announces.
fn metrics(line: &Value) -> BTreeMap<String, (Value, Vec<String>)> {
    let mut found = BTreeMap::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("directives") {
        assert_eq!(directive["Namespace"], "thaw");
        let names = directive["Dimensions"][0].as_array().expect("dimensions").iter();
        let dimensions: Vec<String> = names
            .map(|name| line[name.as_str().unwrap()].as_str().unwrap_or_else(|| panic!("{name}: {line}")).to_owned())
            .collect();
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let name = metric["Name"].as_str().unwrap();
            let value = line[name].clone();
            assert!(value.is_number() || value.as_array().is_some_and(|values| values.len() <= 100), "{name}: {line}");
            found.insert(name.to_owned(), (value, dimensions.clone()));
        }
    }
    found
}

#[test]
fn a_restore_is_counted_from_its_plan_to_its_end() {
    let stack = sim();
    let keys: Vec<String> = (0..3).map(|n| format!("metrics/{n}.jpg")).collect();
    stack.put("DEEP_ARCHIVE", keys.iter().map(String::as_str));
    let body = json!({ "bucket": stack.bucket(), "keys": keys, "tier": "Bulk", "max_cost_usd": 1 });
    let id = stack.api("POST", "/v1/restores", &body).json(202)["id"].as_str().unwrap().to_owned();
    stack.succeeds(&id);

    let of_restore = |function: &str| {
        let lines = lines_with_metrics(function).into_iter().filter(|line| line["restore"] == id.as_str());
        lines.flat_map(|line| metrics(&line)).collect::<BTreeMap<_, _>>()
    };
    let stack_only = || vec!["thaw".to_owned()];
    let planned = of_restore("Plan");
    assert_eq!(planned["RestoresStarted"], (json!(1), stack_only()));
    assert!(planned["PlannedUsd"].0.as_f64().is_some_and(|usd| usd > 0.0 && usd < 1.0), "{planned:?}");
    let ended = of_restore("Report");
    assert_eq!(ended["RestoresEnded"], (json!(1), vec!["thaw".to_owned(), "succeeded".to_owned()]));
    assert_eq!(ended["ObjectsPublished"], (json!(3), stack_only()));
    assert_eq!((&ended["ObjectsFailed"].0, &ended["ObjectsCancelled"].0), (&json!(0), &json!(0)));

    // S3's events came, or a look was faster.
    let all = |functions: &[&str]| -> Vec<(String, (Value, Vec<String>))> {
        functions.iter().flat_map(|function| lines_with_metrics(function)).flat_map(|line| metrics(&line)).collect()
    };
    let took: Vec<f64> = all(&["OnRestoreCompleted", "CheckRestores"])
        .into_iter()
        .filter(|(name, (_, dimensions))| name == "SecondsToRestore" && dimensions[1..] == ["deep", "Bulk"])
        .flat_map(|(_, (values, _))| values.as_array().unwrap().clone())
        .map(|value| value.as_f64().unwrap())
        .collect();
    assert!(took.iter().filter(|seconds| (3_600.0..200_000.0).contains(*seconds)).count() >= 3, "{took:?}");
    let publishing = ["OnRestoreCompleted", "Invalidate", "CheckInvalidations", "ConfirmInvalidations"];
    until("the paths are counted, and the time until they were clean", || {
        let names: Vec<String> = all(&publishing).into_iter().map(|(name, _)| name).collect();
        ["PathsInvalidated", "SecondsToPublish"].iter().all(|name| names.iter().any(|one| one == name)).then_some(())
    });
}
