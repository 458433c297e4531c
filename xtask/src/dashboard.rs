//! `cargo xtask dashboard-picture`: the stack's dashboard as CloudWatch would draw it, from what the functions of a local stack logged.
//!
//! The widgets are the template's. The emulator takes no metrics from log lines, so they are read and summed up here; its queues have no
//! metrics, so their charts stay empty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::stack::{Stack, StackLocation};
use crate::template::{Template, list, text};
use crate::up;
use crate::workspace::{root, target_dir};

/// A day takes a minute and a quarter.
const TIME_SCALE: u32 = 1_200;

/// Restores some objects of each kind on a local stack, one of which is not there, and draws the dashboard of it into docs/dashboard.svg.
pub fn picture(which: &StackLocation) -> Result<()> {
    let (stack, _teardown) = up::up(&up::Options { time_scale: TIME_SCALE, ..up::Options::at(which) })?;
    restore_some(&stack, &which.dir())?;
    let lines = lines_with_metrics(&stack)?;
    let widgets = widgets()?;
    let file = root().join("docs/dashboard.svg");
    fs::write(&file, draw(&widgets, &points(&lines))).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{} metrics of {} lines: {}", points(&lines).len(), lines.len(), file.display());
    Ok(())
}

fn restore_some(stack: &Stack, dir: &Path) -> Result<()> {
    let s3 = stack.s3();
    for (folder, class, count) in [("photos", "GLACIER", 24), ("films", "DEEP_ARCHIVE", 12)] {
        for number in 1..=count {
            let key = format!("{folder}/{number:02}");
            s3.put_object(&stack.archive_bucket, &key, &[("x-amz-storage-class", class)], &[0; 1_000])?;
        }
    }
    let thaw = |args: &[&str], keys: &[&str]| -> Result<()> {
        let mut thaw = Command::new(target_dir().join("debug/thaw"));
        thaw.args(args).args(keys.iter().map(|key| format!("s3://{}/{key}", stack.archive_bucket)));
        thaw.args(["--yes", "--wait=60h"]).arg(format!("--local={}", dir.join("stack.json").display()));
        let output = thaw.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let says = String::from_utf8_lossy(&output.stderr);
        // 4: some objects failed.
        ensure!(matches!(output.status.code(), Some(0 | 4)), "`thaw restore` ended with {}: {says}", output.status);
        Ok(())
    };
    thaw(&["restore", "--tier", "Expedited"], &["photos/01", "photos/02"])?;
    thaw(&["restore", "--recursive"], &["photos/"])?;
    thaw(&["restore"], &["photos/03", "photos/missing"])?;
    thaw(&["restore", "--recursive"], &["films/"])?;
    thaw(&["restore", "--recursive", "--tier", "Bulk"], &["films/"])
}

/// The lines of all functions that have metrics.
fn lines_with_metrics(stack: &Stack) -> Result<Vec<Value>> {
    let logs = |action: &str, body: &Value| stack.aws().json("logs", &format!("Logs_20140328.{action}"), body);
    let groups = logs("DescribeLogGroups", &json!({ "logGroupNamePrefix": "/aws/lambda/thaw-" }))?;
    let mut lines = Vec::new();
    for group in list(&groups["logGroups"]) {
        let asked = json!({ "logGroupName": group["logGroupName"], "filterPattern": "CloudWatchMetrics" });
        let events = logs("FilterLogEvents", &asked)?;
        let messages =
            list(&events["events"]).into_iter().filter_map(|event| event["message"].as_str().map(str::to_owned));
        lines.extend(messages.filter_map(|message| serde_json::from_str::<Value>(message.trim()).ok()));
    }
    lines.retain(|line| line.get("_aws").is_some());
    ensure!(!lines.is_empty(), "no function has logged a metric");
    Ok(lines)
}

fn widgets() -> Result<Vec<Value>> {
    let template = Template::with(&[("Dashboard", json!("ENABLED"))]);
    let body = text(&template.resource("Overview")["DashboardBody"]);
    Ok(list(&serde_json::from_str::<Value>(&body).context("the dashboard is no JSON")?["widgets"]))
}

/// A metric with its dimensions in their order: `RestoresEnded`, `[("stack", "thaw"), ("status", "succeeded")]`.
type Series = (String, Vec<(String, String)>);

/// Values with the virtual second at which each was logged, counted from the first line.
type Points = Vec<(f64, f64)>;

/// What CloudWatch would have after these lines.
fn points(lines: &[Value]) -> BTreeMap<Series, Points> {
    let at = |line: &Value| line["_aws"]["Timestamp"].as_f64().unwrap_or_default();
    let first = lines.iter().map(at).fold(f64::INFINITY, f64::min);
    let mut points: BTreeMap<Series, Points> = BTreeMap::new();
    for line in lines {
        for directive in list(&line["_aws"]["CloudWatchMetrics"]) {
            let names = list(&directive["Dimensions"][0]).iter().map(text).collect::<Vec<_>>();
            let dimensions: Vec<_> = names.into_iter().map(|name| (name.clone(), text(&line[name.as_str()]))).collect();
            for metric in list(&directive["Metrics"]) {
                let name = text(&metric["Name"]);
                let value = &line[name.as_str()];
                let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                let second = (at(line) - first) / 1e3 * f64::from(TIME_SCALE);
                let series = points.entry((name, dimensions.clone())).or_default();
                series.extend(values.iter().filter_map(Value::as_f64).map(|value| (second, value)));
            }
        }
    }
    points
}

/// One value for each period, by CloudWatch's name for a statistic.
fn summed_up(points: &Points, period: f64, statistic: &str) -> Points {
    let mut periods: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no second is negative")]
    for (second, value) in points {
        periods.entry((second / period) as u64).or_default().push(*value);
    }
    let value = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let percentile = |percent: usize| values[(values.len() - 1) * percent / 100];
        match statistic {
            "Sum" => values.iter().sum(),
            "Minimum" => percentile(0),
            "p50" => percentile(50),
            "p99" => percentile(99),
            _ => percentile(100),
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a few thousand periods")]
    let summed = periods.into_iter().map(|(nth, mut values)| (nth as f64 * period, value(&mut values)));
    summed.collect()
}

/// A line of a chart.
struct Line {
    label: String,
    points: Points,
}

/// The lines of a widget. A metric is `["thaw", "RestoresEnded", "stack", "thaw", "status", "failed", {"label": "failed"}]`, or a search
/// for all series of a metric, one for each combination of dimensions.
fn lines(widget: &Value, all: &BTreeMap<Series, Points>) -> Vec<Line> {
    let properties = &widget["properties"];
    let period = properties["period"].as_f64().unwrap_or(300.0);
    let mut found = Vec::new();
    for metric in list(&properties["metrics"]).iter().map(list) {
        if let Some(expression) = metric[0]["expression"].as_str() {
            let name =
                expression.split("MetricName=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let statistic = expression.rsplit("', '").next().and_then(|rest| rest.split('\'').next()).unwrap_or("Sum");
            let divisor = expression.rsplit(" / ").next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(1.0);
            for ((_, dimensions), points) in all.iter().filter(|((one, _), _)| one == name) {
                let label = dimensions[1..].iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ");
                let points = summed_up(points, period, statistic);
                found.push(Line {
                    label,
                    points: points.into_iter().map(|(at, value)| (at, value / divisor)).collect(),
                });
            }
            continue;
        }
        let options = metric.last().filter(|last| last.is_object()).cloned().unwrap_or_default();
        let words: Vec<String> = metric.iter().filter(|word| word.is_string()).map(text).collect();
        let dimensions = words[2..].chunks(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())));
        let series = (words[1].clone(), dimensions.collect());
        let statistic = options["stat"].as_str().or(properties["stat"].as_str()).unwrap_or("Sum");
        let points = all.get(&series).map(|points| summed_up(points, period, statistic)).unwrap_or_default();
        found.push(Line { label: options["label"].as_str().unwrap_or(&words[1]).to_owned(), points });
    }
    found
}

/// Pixels of a column and of a row of CloudWatch's grid.
const COLUMN: f64 = 50.0;
const ROW: f64 = 40.0;

/// Colours that are told apart by who sees few.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"];

fn draw(widgets: &[Value], all: &BTreeMap<Series, Points>) -> String {
    let number = |widget: &Value, name: &str| widget[name].as_f64().unwrap_or_default();
    let height = widgets.iter().map(|widget| number(widget, "y") + number(widget, "height")).fold(0.0, f64::max) * ROW;
    let width = 24.0 * COLUMN;
    let end = all.values().flatten().map(|(at, _)| *at).fold(1.0, f64::max);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="The dashboard of a stack">
<rect width="100%" height="100%" fill="#f2f3f3"/>
<g font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="11" fill="#16191f">
"##
    );
    for widget in widgets {
        let (x, y) = (number(widget, "x") * COLUMN + 4.0, number(widget, "y") * ROW + 4.0);
        let (w, h) = (number(widget, "width") * COLUMN - 8.0, number(widget, "height") * ROW - 8.0);
        let title = escaped(&text(&widget["properties"]["title"]));
        let _ = writeln!(
            svg,
            r##"<g transform="translate({x} {y})"><rect width="{w}" height="{h}" rx="4" fill="#fff" stroke="#d5dbdb"/><text x="10" y="18" font-weight="600">{title}</text>"##
        );
        match widget["type"].as_str() {
            Some("alarm") => alarms(&mut svg, widget, w),
            _ => chart(&mut svg, &lines(widget, all), w, h, end),
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The alarms by name. Nobody evaluates them here, so they have no colour of a state.
fn alarms(svg: &mut String, widget: &Value, width: f64) {
    let names = list(&widget["properties"]["alarms"]);
    #[expect(clippy::cast_precision_loss, reason = "ten alarms")]
    for (nth, name) in names.iter().enumerate() {
        let step = (width - 20.0) / 5.0;
        let (x, y) = (10.0 + (nth % 5) as f64 * step, 28.0 + (nth / 5) as f64 * 36.0);
        let name = escaped(text(name).trim_matches(['{', '}']).trim_end_matches(".Arn"));
        let _ = writeln!(
            svg,
            r##"<rect x="{x}" y="{y}" width="{}" height="28" rx="3" fill="#eaeded"/><text x="{}" y="{}">{name}</text>"##,
            step - 8.0,
            x + 8.0,
            y + 18.0
        );
    }
}

fn chart(svg: &mut String, lines: &[Line], width: f64, height: f64, end: f64) {
    let (left, top, right, bottom) = (44.0, 30.0, width - 12.0, height - 40.0);
    let most = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let place = |(at, value): &(f64, f64)| (left + at / end * (right - left), bottom - value / most * (bottom - top));
    let _ = writeln!(
        svg,
        r##"<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#aab7b8"/><text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{bottom}" text-anchor="end">0</text><text x="{right}" y="{}" text-anchor="end">{} h</text>"##,
        left - 4.0,
        top + 8.0,
        short(most),
        left - 4.0,
        bottom + 14.0,
        short(end / 3_600.0),
    );
    if lines.iter().all(|line| line.points.is_empty()) {
        let _ = writeln!(
            svg,
            r##"<text x="{}" y="{}" text-anchor="middle" fill="#687078">no data</text>"##,
            width / 2.0,
            height / 2.0
        );
    }
    let mut x = left;
    for (line, colour) in lines.iter().filter(|line| !line.points.is_empty()).zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = line.points.iter().map(place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#,
            path.join(" ")
        );
        for (x, y) in line.points.iter().map(place) {
            let _ = writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" fill="{colour}"/>"#);
        }
        let label = escaped(&line.label);
        let y = height - 10.0;
        let _ = writeln!(
            svg,
            r#"<rect x="{x}" y="{}" width="8" height="8" fill="{colour}"/><text x="{}" y="{y}">{label}</text>"#,
            y - 8.0,
            x + 11.0
        );
        #[expect(clippy::cast_precision_loss, reason = "a label is short")]
        let label_width = line.label.chars().count() as f64 * 6.0;
        x += label_width + 24.0;
    }
}

/// A number with as many digits as a chart needs.
fn short(number: f64) -> String {
    if number >= 100.0 || number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ms: u64, fields: &Value, dimensions: &[&str], metrics: &[&str]) -> Value {
        let metrics: Vec<Value> = metrics.iter().map(|name| json!({ "Name": name })).collect();
        let directive = json!({ "Namespace": "thaw", "Dimensions": [dimensions], "Metrics": metrics });
        let mut line = fields.clone();
        line["_aws"] = json!({ "Timestamp": ms, "CloudWatchMetrics": [directive] });
        line
    }

    #[test]
    fn lines_become_series_in_the_time_of_the_stack() {
        let ended = |status: &str| json!({"stack": "thaw", "status": status, "RestoresEnded": 1});
        let lines = [
            line(10_000, &ended("failed"), &["stack", "status"], &["RestoresEnded"]),
            line(13_000, &ended("succeeded"), &["stack", "status"], &["RestoresEnded"]),
            line(13_000, &json!({"stack": "thaw", "SecondsToPublish": [1.5, 2.5]}), &["stack"], &["SecondsToPublish"]),
        ];
        let points = points(&lines);
        let dimensions = |status: &str| vec![("stack".into(), "thaw".into()), ("status".into(), status.into())];
        assert_eq!(points[&("RestoresEnded".into(), dimensions("failed"))], [(0.0, 1.0)]);
        assert_eq!(points[&("RestoresEnded".into(), dimensions("succeeded"))], [(3_600.0, 1.0)]);
        let seconds = &points[&("SecondsToPublish".into(), vec![("stack".into(), "thaw".into())])];
        assert_eq!(*seconds, [(3_600.0, 1.5), (3_600.0, 2.5)]);
    }

    #[test]
    fn a_period_has_one_value() {
        let points = vec![(0.0, 4.0), (10.0, 1.0), (299.0, 2.0), (300.0, 8.0)];
        for (statistic, expected) in [("Sum", 7.0), ("Minimum", 1.0), ("Maximum", 4.0), ("p50", 2.0)] {
            assert_eq!(summed_up(&points, 300.0, statistic), [(0.0, expected), (300.0, 8.0)], "{statistic}");
        }
    }

    #[test]
    fn every_widget_of_the_template_is_drawn_with_its_lines() {
        let series = |name: &str, more: &[(&str, &str)]| {
            let dimensions = [("stack", "thaw")].iter().chain(more).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            (name.to_owned(), dimensions.collect::<Vec<_>>())
        };
        let all = BTreeMap::from([
            (series("RestoresEnded", &[("status", "failed")]), vec![(0.0, 1.0), (7_200.0, 1.0)]),
            (series("SecondsToRestore", &[("kind", "deep"), ("tier", "Bulk")]), vec![(7_200.0, 172_800.0)]),
        ]);
        let widgets = widgets().unwrap();
        let drawn: Vec<Vec<Line>> = widgets.iter().map(|widget| lines(widget, &all)).collect();
        let line =
            |label: &str| drawn.iter().flatten().find(|line| line.label == label).unwrap_or_else(|| panic!("{label}"));
        assert_eq!(line("failed").points.len(), 2);
        assert_eq!(line("deep, Bulk").points, [(7_200.0, 48.0)], "in hours");
        let svg = draw(&widgets, &all);
        assert_eq!(svg.matches("<g transform").count(), widgets.len());
        assert!(svg.contains("deep, Bulk") && svg.contains("UnpublishedAlarm") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains("no data") && !svg.contains("succeeded"), "lines without data are left out: {svg}");
    }
}
