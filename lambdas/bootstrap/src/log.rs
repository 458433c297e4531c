//! JSON log lines for Lambda's advanced logging: one object a line, with `timestamp` and `level`. CloudWatch takes the metrics of
//! `thaw_steps::metrics` from them.
//!
//! This is a subscriber of our own, because the usual one brings much that is not needed here: spans, filters by
//! regular expression, formats, time zones. It takes the events of thaw's crates, and errors of the Lambda runtime. It
//! takes none of the SDK, so no header, signature or body is ever logged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use thaw_steps::metrics::{METRICS, NAMESPACE, STACK};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    /// The id of the current invocation. There is one thread, and one invocation at a time.
    static REQUEST: RefCell<String> = const { RefCell::new(String::new()) };
    /// How many invocations have begun. The first one had to wait until the function had started.
    static INVOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Sends events, and the messages of panics, to standard output.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let lines = JsonLines { level: level.unwrap_or(LevelFilter::INFO), origin: Origin::of(&name), write: to_stdout };
    // Fails only if there is a subscriber already, and this is the first call in `main`.
    let _ = tracing::subscriber::set_global_default(lines);
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Begins an invocation: its log lines carry this id.
pub fn begin(request_id: &str) {
    REQUEST.with(|request| request_id.clone_into(&mut request.borrow_mut()));
    INVOCATIONS.set(INVOCATIONS.get() + 1);
}

fn to_stdout(line: &str) {
    // If a log line cannot be written, there is no other place to report that.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Whose lines these are. A function is called `<stack>-<function>`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    stack: String,
    function: String,
}

impl Origin {
    fn of(name: &str) -> Self {
        let (stack, function) = name.rsplit_once('-').unwrap_or(("", name));
        Self { stack: stack.to_owned(), function: function.to_owned() }
    }
}

#[derive(Debug)]
struct JsonLines {
    level: LevelFilter,
    origin: Origin,
    write: fn(&str),
}

impl JsonLines {
    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        // The runtime logs errors and panics of a handler too; thaw logs them already.
        let of_runtime = target.starts_with("lambda_runtime") && !target.ends_with("::panic");
        let ours = target.starts_with("thaw") || target.starts_with("bootstrap");
        metadata.is_event()
            && *metadata.level() <= self.level
            && (ours || (of_runtime && *metadata.level() <= Level::ERROR))
    }
}

impl Subscriber for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.takes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let request = REQUEST.with(|request| request.borrow().clone());
        let mut line = line(event, Timestamp::now(), &self.origin, &request, INVOCATIONS.get() == 1);
        line.push('\n');
        (self.write)(&line);
    }

    // No span is enabled, so none of these is ever called.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn line(event: &Event<'_>, at: Timestamp, origin: &Origin, request: &str, cold_start: bool) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut line = fields.0;
    line.insert("timestamp".to_owned(), format!("{at:.3}").into());
    line.insert("level".to_owned(), event.metadata().level().as_str().into());
    line.insert("service".to_owned(), "thaw".into());
    if !origin.function.is_empty() {
        line.insert(STACK.to_owned(), origin.stack.as_str().into());
        line.insert("function".to_owned(), origin.function.as_str().into());
    }
    if !request.is_empty() {
        line.insert("requestId".to_owned(), request.into());
        line.insert("cold_start".to_owned(), cold_start.into());
    }
    if let Some(metrics) = metrics(&mut line) {
        line.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": metrics }));
    }
    Value::Object(line).to_string()
}

/// What CloudWatch needs to take the metrics from a line; `None` if it has none. Values that are a list are text until here, because an
/// event has no lists.
fn metrics(line: &mut Map<String, Value>) -> Option<Vec<Value>> {
    let mut by_dimensions: BTreeMap<Vec<&str>, Vec<Value>> = BTreeMap::new();
    for metric in METRICS {
        let Some(value) = line.get_mut(metric.name) else { continue };
        if let Some(list) = value.as_str().and_then(|list| serde_json::from_str(list).ok()) {
            *value = list;
        }
        let dimensions: Vec<&str> = std::iter::once(STACK).chain(metric.by.iter().copied()).collect();
        // A dimension that is not there would make CloudWatch refuse all of the line's metrics.
        if dimensions.iter().all(|name| line.contains_key(*name)) {
            let definition = json!({ "Name": metric.name, "Unit": metric.unit.as_str() });
            by_dimensions.entry(dimensions).or_default().push(definition);
        }
    }
    let directive =
        |(dimensions, metrics)| json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics });
    (!by_dimensions.is_empty()).then(|| by_dimensions.into_iter().map(directive).collect())
}

/// The fields of an event by name. Its message is the field `message`.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tracing::subscriber::with_default;

    use super::*;

    thread_local! {
        static LINES: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    }

    fn logged(level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
        let write = |line: &str| {
            assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
            LINES.with(|lines| lines.borrow_mut().push(serde_json::from_str(line).unwrap()));
        };
        with_default(JsonLines { level, origin: Origin::of("my-thaw-Plan"), write }, log);
        LINES.take()
    }

    #[test]
    fn a_line_is_one_object_with_everything_in_it() {
        begin("r1");
        let mut lines = logged(LevelFilter::INFO, || {
            tracing::info!(object.key = "a\nb", wait_seconds = 7_u64, late = true, "still {}", "waiting");
        });
        let timestamp = lines[0]["timestamp"].take();
        assert_eq!(timestamp.as_str().unwrap().len(), "2026-11-22T10:00:00.000Z".len());
        let expected = json!({
            "timestamp": null, "level": "INFO", "service": "thaw", "stack": "my-thaw", "function": "Plan",
            "requestId": "r1", "cold_start": true, "message": "still waiting",
            "object.key": "a\nb", "wait_seconds": 7, "late": true,
        });
        assert_eq!(lines, [expected]);
        begin("r2");
        let lines = logged(LevelFilter::INFO, || tracing::info!("warm"));
        assert_eq!((&lines[0]["requestId"], &lines[0]["cold_start"]), (&json!("r2"), &json!(false)));
    }

    /// The form that CloudWatch documents (User Guide, "Specification: Embedded metric format").
    #[test]
    fn a_field_with_the_name_of_a_metric_is_one() {
        let lines = logged(LevelFilter::INFO, || {
            tracing::info!(
                kind = "glacier",
                tier = "Bulk",
                SecondsToRestore = "[1.5, 2.0]",
                PathsInvalidated = 3_u64,
                "both"
            );
            tracing::info!(SecondsToRestore = "[1.5]", "of no kind");
            tracing::info!(RestoresStarted = None::<u64>, paths = 1_u64, "none");
        });
        let [both, of_no_kind, none] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(both["SecondsToRestore"], json!([1.5, 2.0]));
        assert!(both["_aws"]["Timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000));
        let directives = json!([
            {"Namespace": "thaw", "Dimensions": [["stack"]], "Metrics": [{"Name": "PathsInvalidated", "Unit": "Count"}]},
            {
                "Namespace": "thaw", "Dimensions": [["stack", "kind", "tier"]],
                "Metrics": [{"Name": "SecondsToRestore", "Unit": "Seconds"}],
            },
        ]);
        assert_eq!(both["_aws"]["CloudWatchMetrics"], directives);
        assert_eq!((of_no_kind.get("_aws"), none.get("_aws")), (None, None));
    }

    #[test]
    fn only_events_of_thaw_and_errors_of_the_runtime_are_logged() {
        let lines = logged(LevelFilter::INFO, || {
            tracing::debug!("too quiet");
            tracing::error!(target: "aws_smithy_runtime", "headers of a request");
            tracing::warn!(target: "lambda_runtime::runtime", "no news");
            tracing::error!(target: "lambda_runtime::layers::panic", "said already");
            tracing::error!(target: "lambda_runtime::layers::api_client", "no answer");
            tracing::info!(target: "thaw_steps::workflow::plan", "planned");
            let _span = tracing::info_span!(target: "thaw_steps", "a span").entered();
        });
        let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(said, ["no answer", "planned"]);
    }
}
