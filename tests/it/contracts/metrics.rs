//! Metrics: each is written by the code, watched or shown by its own name, and explained to operators.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use thaw_steps::metrics::{METRICS, Metric, NAMESPACE, STACK};

use super::template::{Template, list, text};

const OPERATIONS: &str = include_str!("../../../infra/README.md");

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Fields of log lines whose name begins with a capital letter, as in `RestoresLate = 1_u64`, with how often they are written.
fn written() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["lambdas/steps/src", "lambdas/bootstrap/src", "aws/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut written = BTreeMap::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (before, _) in source.match_indices(" = ").map(|(at, _)| source.split_at(at)) {
            let begin =
                before.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').map_or(0, |at| at + 1);
            let (rest, name) = before.split_at(begin);
            let is_field = rest.trim_end().ends_with(['(', ',']) && !rest.trim_end().ends_with("#[derive(");
            if is_field
                && name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.contains(char::is_lowercase)
            {
                *written.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
    }
    written
}

#[test]
fn every_metric_is_written_and_every_field_that_looks_like_one_is_one() {
    let known: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(known.len(), METRICS.len(), "a name stands there twice");
    assert_eq!(written().into_keys().collect::<BTreeSet<_>>(), known);
}

#[test]
fn an_alarm_of_ours_watches_a_metric_that_is_written_with_its_dimensions() {
    let template = Template::with(&[("DailyBudgetUsd", json!("20"))]);
    let mut watched = BTreeSet::new();
    for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        let says = text(&alarm["AlarmDescription"]);
        let section = says.split('"').nth(1).unwrap_or_else(|| panic!("{id} names no section"));
        let heading = |line: &str| line.trim_start_matches('#').trim().eq_ignore_ascii_case(section);
        let is_there = OPERATIONS.lines().any(|line| line.starts_with("###") && heading(line));
        assert!(is_there, "{id}: infra/README.md has no section {section:?}");
        if alarm["Namespace"] != NAMESPACE {
            continue;
        }
        let name = text(&alarm["MetricName"]);
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{id}: {name}"));
        let dimensions: Vec<String> = list(&alarm["Dimensions"]).iter().map(|one| text(&one["Name"])).collect();
        let expected: Vec<&str> = std::iter::once(STACK).chain(metric.by.iter().copied()).collect();
        assert_eq!(dimensions, expected, "{id}: CloudWatch sums nothing up over dimensions");
        watched.insert(name);
    }
    assert_eq!(
        watched.into_iter().collect::<Vec<_>>(),
        ["BudgetLeftPercent", "Errors", "RestoresOverdue", "SecondsUnpublished"]
    );
}

/// The table of metrics has a row for each: its name, unit and dimensions.
#[test]
fn operators_are_told_of_every_metric() {
    for Metric { name, unit, by } in METRICS {
        let by = by.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let row = format!("| `{name}` | {} | {by} |", unit.as_str());
        assert!(OPERATIONS.contains(&row), "infra/README.md has no row {row}");
    }
}

fn dashboard() -> Vec<Value> {
    let template = Template::with(&[("Dashboard", json!("ENABLED"))]);
    let body = text(&template.resource("Overview")["DashboardBody"]);
    let body: Value = serde_json::from_str(&body).expect("the dashboard is JSON");
    list(&body["widgets"])
}

/// CloudWatch's grid has 24 columns (CloudWatch User Guide, "Dashboard body structure and syntax").
#[test]
fn the_widgets_of_the_dashboard_fill_its_rows_and_hide_nothing() {
    let mut taken = BTreeSet::new();
    for widget in dashboard() {
        let place = |name: &str| widget[name].as_u64().unwrap_or_else(|| panic!("{name} of {widget}"));
        for row in place("y")..place("y") + place("height") {
            for column in place("x")..place("x") + place("width") {
                assert!(column < 24 && taken.insert((row, column)), "{widget} is over another one, or too wide");
            }
        }
        assert!(widget["properties"]["title"].is_string(), "{widget}");
    }
    let rows = taken.iter().map(|(row, _)| row + 1).max().unwrap_or_default();
    assert_eq!(taken.len() as u64, rows * 24, "there are holes");
}

#[test]
fn the_dashboard_shows_every_metric_and_every_alarm() {
    let (mut shown, mut alarms) = (BTreeSet::new(), Vec::new());
    for widget in dashboard() {
        alarms.extend(list(&widget["properties"]["alarms"]).iter().map(text));
        for metric in list(&widget["properties"]["metrics"]).iter().map(list) {
            if let Some(expression) = metric[0]["expression"].as_str() {
                // `SEARCH('{thaw,kind,stack,tier} MetricName="SecondsToRestore" stack="thaw"', …)`
                let name = expression.split("MetricName=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
                let known = METRICS.iter().find(|known| known.name == name).unwrap_or_else(|| panic!("{expression}"));
                let mut dimensions: Vec<&str> = std::iter::once(STACK).chain(known.by.iter().copied()).collect();
                dimensions.sort_unstable();
                let begin = format!("SEARCH('{{{NAMESPACE},{}}} ", dimensions.join(","));
                assert!(expression.starts_with(&begin), "{expression}");
                shown.insert(name.to_owned());
            } else if metric[0] == NAMESPACE {
                let name = text(&metric[1]);
                let known = METRICS.iter().find(|known| known.name == name).unwrap_or_else(|| panic!("{name}"));
                let words: Vec<&Value> = metric[2..].iter().filter(|word| word.is_string()).collect();
                let dimensions: Vec<&str> = words.iter().step_by(2).filter_map(|word| word.as_str()).collect();
                assert_eq!(
                    dimensions,
                    std::iter::once(STACK).chain(known.by.iter().copied()).collect::<Vec<_>>(),
                    "{name}"
                );
                shown.insert(name);
            }
        }
    }
    assert_eq!(shown, METRICS.iter().map(|metric| metric.name.to_owned()).collect());
    let template = Template::load();
    let all = template.resources("AWS::CloudWatch::Alarm").into_keys().map(|id| format!("{{{id}.Arn}}"));
    assert_eq!(alarms.into_iter().collect::<BTreeSet<_>>(), all.collect::<BTreeSet<_>>());
}
