//! The definition as types. Loading a field that is not here is an error.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::expression::Template;

/// A state machine.
#[derive(Debug)]
pub struct Workflow(pub(super) StateGraph);

impl Workflow {
    /// Reads a definition. An error names the state and the field that it does not understand.
    pub fn load(asl: &str) -> Result<Self, String> {
        let machine: StateMachine = serde_json::from_str(asl).map_err(|error| error.to_string())?;
        let StateMachine { _comment, _query_language: QueryLanguage::JSONata, start_at, states } = machine;
        let graph = StateGraph { start_at, states };
        graph.check()?;
        Ok(Self(graph))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StateMachine {
    _comment: Option<String>,
    _query_language: QueryLanguage,
    start_at: String,
    #[serde(deserialize_with = "states")]
    states: BTreeMap<String, State>,
}

#[derive(Deserialize)]
enum QueryLanguage {
    JSONata,
}

/// The states of a state machine or of a Map's `ItemProcessor`.
#[derive(Debug)]
pub(super) struct StateGraph {
    pub start_at: String,
    pub states: BTreeMap<String, State>,
}

impl StateGraph {
    /// Checks that every transition leads to a state, and that no state lacks one.
    fn check(&self) -> Result<(), String> {
        self.check_target("StartAt", &self.start_at)?;
        self.states.iter().try_for_each(|(name, state)| match state {
            State::Task(task) => self.check_transitions(name, &task.next, task.end, &task.catch),
            State::Map(map) => {
                map.item_processor.graph.check()?;
                self.check_transitions(name, &map.next, map.end, &map.catch)
            }
            State::Wait(wait) => self.check_transitions(name, &wait.next, wait.end, &[]),
            State::Choice(choice) => {
                choice.default.iter().try_for_each(|next| self.check_target(name, next))?;
                choice.choices.iter().try_for_each(|rule| self.check_target(name, &rule.next))
            }
            State::Succeed(Succeed { _comment }) => Ok(()),
            State::Fail(_) => Ok(()),
        })
    }

    fn check_transitions(&self, name: &str, next: &Option<String>, end: bool, catch: &[Catcher]) -> Result<(), String> {
        if next.is_some() == end {
            return Err(format!("{name}: neither Next nor End, or both"));
        }
        next.iter().chain(catch.iter().map(|catcher| &catcher.next)).try_for_each(|next| self.check_target(name, next))
    }

    fn check_target(&self, from: &str, name: &str) -> Result<(), String> {
        if self.states.contains_key(name) { Ok(()) } else { Err(format!("{from}: there is no state {name}")) }
    }
}

/// Parses the states one by one, so that an error names its state.
fn states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, State>, D::Error> {
    let states = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let state = |(name, state)| match State::deserialize(state) {
        Ok(state) => Ok((name, state)),
        Err(error) => Err(D::Error::custom(format!("{name}: {error}"))),
    };
    states.into_iter().map(state).collect()
}

#[derive(Debug, Deserialize)]
#[serde(tag = "Type")]
pub(super) enum State {
    Task(Task),
    Choice(Choice),
    Map(Map),
    Wait(Wait),
    Succeed(Succeed),
    Fail(Fail),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Task {
    _comment: Option<String>,
    _resource: Resource,
    pub arguments: Arguments,
    pub timeout_seconds: u64,
    #[serde(default)]
    pub assign: BTreeMap<String, Template>,
    pub output: Template,
    #[serde(default)]
    pub retry: Vec<Retrier>,
    #[serde(default)]
    pub catch: Vec<Catcher>,
    pub next: Option<String>,
    #[serde(default)]
    end: bool,
}

#[derive(Debug, Deserialize)]
enum Resource {
    #[serde(rename = "arn:aws:states:::lambda:invoke")]
    LambdaInvoke,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(deserialize_with = "step")]
    pub function_name: String,
    pub payload: Template,
}

/// `${PlanArn}` stands for the step `Plan`, as the template substitutes it.
fn step<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let step = name.strip_prefix("${").and_then(|name| name.strip_suffix("Arn}"));
    step.map(str::to_owned).ok_or_else(|| D::Error::custom(format!("FunctionName {name} is no ${{StepArn}}")))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Choice {
    _comment: Option<String>,
    pub choices: Vec<ChoiceRule>,
    pub default: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ChoiceRule {
    pub condition: Template,
    pub next: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Map {
    _comment: Option<String>,
    pub items: Template,
    pub item_selector: Template,
    /// Zero would mean "no limit". thaw always has a limit.
    pub max_concurrency: NonZeroUsize,
    pub item_processor: ItemProcessor,
    pub output: Template,
    #[serde(default)]
    pub catch: Vec<Catcher>,
    pub next: Option<String>,
    #[serde(default)]
    end: bool,
}

#[derive(Debug, Deserialize)]
#[serde(from = "Processor")]
pub(super) struct ItemProcessor {
    pub graph: StateGraph,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Processor {
    _processor_config: ProcessorConfig,
    start_at: String,
    #[serde(deserialize_with = "states")]
    states: BTreeMap<String, State>,
}

impl From<Processor> for ItemProcessor {
    fn from(processor: Processor) -> Self {
        Self { graph: StateGraph { start_at: processor.start_at, states: processor.states } }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ProcessorConfig {
    _mode: Mode,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    Inline,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Wait {
    _comment: Option<String>,
    pub seconds: Template,
    pub next: Option<String>,
    #[serde(default)]
    end: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Succeed {
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Fail {
    _comment: Option<String>,
    pub error: Template,
    pub cause: Template,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Catcher {
    pub error_equals: ErrorEquals,
    pub output: Template,
    pub next: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Retrier {
    pub error_equals: ErrorEquals,
    interval_seconds: u32,
    pub max_attempts: u32,
    backoff_rate: f64,
    max_delay_seconds: Option<u32>,
    _jitter_strategy: JitterStrategy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum JitterStrategy {
    Full,
}

impl Retrier {
    /// Seconds to wait before the next attempt, after `made` retries of this retrier. `jitter` is a random number. The
    /// documentation allows anything from 0 to the full delay. This rounds it to whole seconds.
    pub(super) fn delay(&self, made: u32, jitter: f64) -> u64 {
        let backed_off = f64::from(self.interval_seconds) * self.backoff_rate.powf(f64::from(made));
        let most = self.max_delay_seconds.map_or(backed_off, |most| backed_off.min(f64::from(most)));
        (most * jitter).round() as u64
    }
}

/// The errors that a retrier or a catcher handles.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) enum ErrorEquals {
    /// `States.ALL`.
    All,
    These(Vec<String>),
}

impl TryFrom<Vec<String>> for ErrorEquals {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if names == ["States.ALL"] {
            return Ok(Self::All);
        }
        // `States.ALL` must stand alone. `States.TaskFailed` is also a wildcard, and thaw does not use it.
        let is_known = |name: &str| matches!(name, "States.Timeout" | "States.DataLimitExceeded");
        match names.iter().find(|name| name.starts_with("States.") && !is_known(name)) {
            Some(name) => Err(format!("ErrorEquals: {name} in {names:?} is not known here")),
            None => Ok(Self::These(names)),
        }
    }
}

impl ErrorEquals {
    /// Whether it handles this error. `States.ALL` handles neither of the two that end an execution (Developer Guide,
    /// "Handling errors in Step Functions workflows").
    pub(super) fn matches(&self, error: &str) -> bool {
        match self {
            Self::All => !matches!(error, "States.DataLimitExceeded" | "States.Runtime"),
            Self::These(names) => names.iter().any(|name| name == error),
        }
    }
}
