//! JSON log lines for Lambda's advanced logging: one object a line, with `timestamp` and `level`.
//!
//! This is a subscriber of our own, because the usual one brings much that is not needed here: spans, filters by
//! regular expression, formats, time zones. It takes the events of thaw's crates, and errors of the Lambda runtime. It
//! takes none of the SDK, so no header, signature or body is ever logged.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    /// The id of the current invocation. There is one thread, and one invocation at a time.
    static REQUEST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sends events, and the messages of panics, to standard output.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let lines = JsonLines { level: level.unwrap_or(LevelFilter::INFO), write: to_stdout };
    // Fails only if there is a subscriber already, and this is the first call in `main`.
    let _ = tracing::subscriber::set_global_default(lines);
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Begins an invocation: its log lines carry this id.
pub fn begin(request_id: &str) {
    REQUEST.with(|request| request_id.clone_into(&mut request.borrow_mut()));
}

fn to_stdout(line: &str) {
    // If a log line cannot be written, there is no other place to report that.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

#[derive(Debug)]
struct JsonLines {
    level: LevelFilter,
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
        let mut line = line(event, Timestamp::now(), &request);
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

fn line(event: &Event<'_>, at: Timestamp, request: &str) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut line = fields.0;
    line.insert("timestamp".to_owned(), format!("{at:.3}").into());
    line.insert("level".to_owned(), event.metadata().level().as_str().into());
    if !request.is_empty() {
        line.insert("requestId".to_owned(), request.into());
    }
    Value::Object(line).to_string()
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
        with_default(JsonLines { level, write }, log);
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
            "timestamp": null, "level": "INFO", "requestId": "r1", "message": "still waiting",
            "object.key": "a\nb", "wait_seconds": 7, "late": true,
        });
        assert_eq!(lines, [expected]);
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
