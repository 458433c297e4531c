//! Runs one execution, and counts its history events.
//!
//! # Events
//!
//! The Developer Guide and the API's `HistoryEventType` define which events a state writes:
//!
//! | | events |
//! |---|---|
//! | execution | `ExecutionStarted`; `ExecutionSucceeded` or `ExecutionFailed` |
//! | Choice, Wait, Succeed | entered, exited |
//! | Fail | entered |
//! | Task, `lambda:invoke` | entered, exited; for each attempt `TaskScheduled`, `TaskStarted` and `TaskSucceeded`, `TaskFailed` or `TaskTimedOut`. `TaskSubmitted` is written only for a task that waits for a job or a token |
//! | Map, inline | entered, `MapStateStarted`, `MapStateSucceeded` or `MapStateFailed`, exited; for each iteration `MapIterationStarted` and `MapIterationSucceeded`, `MapIterationFailed` or `MapIterationAborted`; an aborted iteration also writes that its state was aborted |
//! | an expression that fails | `EvaluationFailed` |
//!
//! A failed state is exited only if its error is caught.

use std::cell::Cell;
use std::io;

use futures_util::{StreamExt, TryStreamExt, stream};
use jsonata_core::value::JValue;
use serde_json::Value;

use super::definition::{Catcher, Choice, Fail, Map, State, StateGraph, Task, Wait};
use super::expression::{Template, to_json};
use super::{ExecutionResult, Host, Outcome, StateEvent, StateEventKind, TaskError, Workflow};

/// Events in a history at most (Developer Guide, "Quotas").
const MAX_EVENTS: u64 = 25_000;
/// Bytes in an input or output of a state or task at most (Developer Guide, "Quotas").
const MAX_BYTES: usize = 256 * 1024;

/// The longest wait of a Wait state.
const MAX_WAIT_SECONDS: f64 = 99_999_999.0;

impl Workflow {
    /// Runs one execution from `StartAt` to its end.
    pub async fn run(&self, name: &str, input: Value, host: &impl Host) -> ExecutionResult {
        let input = JValue::from(input);
        let run = Run { execution: name, input: input.clone(), host, events: Cell::new(1) };
        let ended = match within_limit("the execution's input", &input) {
            Ok(()) => run.run_states(&self.0, input, Scope::default()).await,
            Err(error) => Err(error),
        };
        let outcome = match ended {
            Ok(output) => Outcome::Succeeded(to_json(&output)),
            Err(error) => Outcome::Failed(error),
        };
        ExecutionResult { outcome, events: run.events.get() + 1 }
    }
}

struct Run<'a, H> {
    execution: &'a str,
    input: JValue,
    host: &'a H,
    events: Cell<u64>,
}

/// What expressions can read besides a state's input: the variables and, in a Map, the item.
#[derive(Clone, Default)]
struct Scope {
    variables: Vec<(String, JValue)>,
    item: Option<(usize, JValue)>,
}

impl Scope {
    fn assign(&mut self, name: String, value: JValue) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value));
    }

    fn iteration(&self) -> Option<usize> {
        self.item.as_ref().map(|(index, _)| *index)
    }
}

/// The result of a Task: its output and the variables that it assigns.
struct StateResult {
    output: JValue,
    assigned: Vec<(String, JValue)>,
}

impl<H: Host> Run<'_, H> {
    /// Runs states from `StartAt` to a state without a next one, and returns its output.
    async fn run_states(&self, graph: &StateGraph, mut input: JValue, mut scope: Scope) -> Result<JValue, TaskError> {
        let mut name = graph.start_at.as_str();
        loop {
            self.notify(name, &scope, StateEventKind::Entered);
            self.record(1)?;
            let (next, output) = match &graph.states[name] {
                State::Succeed(_) => (None, input),
                State::Fail(fail) => return Err(self.failure(fail, &input, &scope)?),
                State::Choice(choice) => (Some(self.choose(name, choice, &input, &scope)?), input),
                State::Wait(wait) => {
                    self.host.wait(self.wait_seconds(wait, &input, &scope)?).await;
                    (wait.next.as_deref(), input)
                }
                State::Task(task) => match self.task(name, task, &input, &scope).await {
                    Ok(done) => {
                        done.assigned.into_iter().for_each(|(name, value)| scope.assign(name, value));
                        (task.next.as_deref(), done.output)
                    }
                    Err(error) => self.catch(name, &task.catch, error, &input, &scope)?,
                },
                State::Map(map) => match Box::pin(self.map(map, &input, &scope)).await {
                    Ok(output) => (map.next.as_deref(), output),
                    Err(error) => self.catch(name, &map.catch, error, &input, &scope)?,
                },
            };
            self.record(1)?;
            match next {
                Some(next) => (name, input) = (next, output),
                None => return Ok(output),
            }
        }
    }

    /// Runs a Task with its retries. Every retrier counts its own attempts.
    async fn task(&self, name: &str, task: &Task, input: &JValue, scope: &Scope) -> Result<StateResult, TaskError> {
        let mut made = vec![0; task.retry.len()];
        loop {
            let error = match self.attempt(task, input, scope).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(at) = task.retry.iter().position(|retrier| retrier.error_equals.matches(&error.error)) else {
                return Err(error);
            };
            let retrier = &task.retry[at];
            if made[at] >= retrier.max_attempts {
                return Err(error);
            }
            let seconds = retrier.delay(made[at], self.host.jitter());
            made[at] += 1;
            self.notify(name, scope, StateEventKind::Retried { error: &error.error, seconds });
            self.host.wait(seconds).await;
        }
    }

    async fn attempt(&self, task: &Task, input: &JValue, scope: &Scope) -> Result<StateResult, TaskError> {
        let payload = self.evaluate("Arguments", &task.arguments.payload, scope, [("input", input.clone())])?;
        within_limit("the task's input", &payload)?;
        self.record(2)?;
        let function = &task.arguments.function_name;
        let answer = self.host.invoke(self.execution, function, to_json(&payload), task.timeout_seconds).await;
        self.record(1)?;
        let answer = JValue::from(answer?);
        within_limit("the task's result", &answer)?;
        let result = object([("Payload", answer)]);
        let bindings = || [("input", input.clone()), ("result", result.clone())];
        let mut assigned = Vec::new();
        for (name, value) in &task.assign {
            assigned.push((name.clone(), self.evaluate("Assign", value, scope, bindings())?));
        }
        let output = self.evaluate("Output", &task.output, scope, bindings())?;
        within_limit("the state's output", &output)?;
        Ok(StateResult { output, assigned })
    }

    /// Runs the iterations of a Map, at most `MaxConcurrency` at the same time. The first failure ends all of them.
    async fn map(&self, map: &Map, input: &JValue, scope: &Scope) -> Result<JValue, TaskError> {
        let items = self.evaluate("Items", &map.items, scope, [("input", input.clone())])?;
        let Some(items) = items.as_array() else {
            return Err(self.evaluation_error("Items", "is no array"));
        };
        self.record(1)?;
        let running = Cell::new(0_u64);
        let iterations = items.iter().cloned().enumerate().map(async |(index, item)| {
            let mut scope = scope.clone();
            scope.item = Some((index, item));
            self.record(1)?;
            running.set(running.get() + 1);
            let output = self.iterate(map, input, scope).await;
            running.set(running.get() - 1);
            self.record(1)?;
            Ok((index, output?))
        });
        let ended = stream::iter(iterations).buffer_unordered(map.max_concurrency.get()).try_collect::<Vec<_>>().await;
        let mut outputs = match ended {
            Ok(outputs) => outputs,
            Err(error) => {
                self.record(2 * running.get() + 1)?;
                return Err(error);
            }
        };
        outputs.sort_by_key(|(index, _)| *index);
        self.record(1)?;
        let result = JValue::array(outputs.into_iter().map(|(_, output)| output).collect());
        within_limit("the Map's result", &result)?;
        let output = self.evaluate("Output", &map.output, scope, [("input", input.clone()), ("result", result)])?;
        within_limit("the state's output", &output)?;
        Ok(output)
    }

    async fn iterate(&self, map: &Map, input: &JValue, scope: Scope) -> Result<JValue, TaskError> {
        let selected = self.evaluate("ItemSelector", &map.item_selector, &scope, [("input", input.clone())])?;
        within_limit("the item", &selected)?;
        self.run_states(&map.item_processor.graph, selected, scope).await
    }

    fn choose<'a>(&self, name: &str, choice: &'a Choice, input: &JValue, scope: &Scope) -> Result<&'a str, TaskError> {
        for rule in &choice.choices {
            let met = self.evaluate("Condition", &rule.condition, scope, [("input", input.clone())])?;
            match met.as_bool() {
                Some(true) => return Ok(&rule.next),
                Some(false) => {}
                None => return Err(self.evaluation_error("Condition", "is neither true nor false")),
            }
        }
        let none = || error("States.NoChoiceMatched", format!("no rule of {name} matched, and it has no Default"));
        choice.default.as_deref().ok_or_else(none)
    }

    fn wait_seconds(&self, wait: &Wait, input: &JValue, scope: &Scope) -> Result<u64, TaskError> {
        let seconds = self.evaluate("Seconds", &wait.seconds, scope, [("input", input.clone())])?;
        match seconds.as_f64() {
            Some(seconds) if seconds.fract() == 0.0 && (0.0..=MAX_WAIT_SECONDS).contains(&seconds) => {
                Ok(seconds as u64)
            }
            Some(_) | None => {
                Err(self.evaluation_error("Seconds", "is no whole number of seconds that Step Functions can wait"))
            }
        }
    }

    /// The error of a Fail state. It is an `Err` if one of its expressions fails.
    fn failure(&self, fail: &Fail, input: &JValue, scope: &Scope) -> Result<TaskError, TaskError> {
        let text = |field, template| {
            let value = self.evaluate(field, template, scope, [("input", input.clone())])?;
            value.as_str().map(str::to_owned).ok_or_else(|| self.evaluation_error(field, "is no text"))
        };
        Ok(TaskError { error: text("Error", &fail.error)?, cause: text("Cause", &fail.cause)? })
    }

    /// The next state and its input after an error, by the first matching catcher. Without one it returns the error.
    fn catch<'a>(
        &self,
        name: &str,
        catchers: &'a [Catcher],
        error: TaskError,
        input: &JValue,
        scope: &Scope,
    ) -> Result<(Option<&'a str>, JValue), TaskError> {
        let Some(catcher) = catchers.iter().find(|catcher| catcher.error_equals.matches(&error.error)) else {
            return Err(error);
        };
        self.notify(name, scope, StateEventKind::Caught { error: &error.error, next: &catcher.next });
        // `Cause` is optional, as in the history's events.
        let cause = (!error.cause.is_empty()).then(|| ("Cause", error.cause.into()));
        let told = object([("Error", error.error.into())].into_iter().chain(cause));
        let bindings = [("input", input.clone()), ("errorOutput", told)];
        let output = self.evaluate("Catch", &catcher.output, scope, bindings)?;
        within_limit("the state's output", &output)?;
        Ok((Some(&catcher.next), output))
    }

    /// Evaluates a field. `bindings` are the members of `$states` besides `context`.
    fn evaluate<const N: usize>(
        &self,
        field: &str,
        template: &Template,
        scope: &Scope,
        bindings: [(&str, JValue); N],
    ) -> Result<JValue, TaskError> {
        let execution = object([("Name", self.execution.into()), ("Input", self.input.clone())]);
        let execution = ("Execution", execution);
        let context = match &scope.item {
            Some((index, item)) => {
                let item = object([("Index", (*index).into()), ("Value", item.clone())]);
                object([execution, ("Map", object([("Item", item)]))])
            }
            None => object([execution]),
        };
        let states = object(bindings.into_iter().chain([("context", context)]));
        let mut variables = vec![("states", states)];
        variables.extend(scope.variables.iter().map(|(name, value)| (name.as_str(), value.clone())));
        template.evaluate(&variables).map_err(|cause| self.evaluation_error(field, &cause))
    }

    /// The error for a field whose expression fails or has an unsuitable value.
    fn evaluation_error(&self, field: &str, why: &str) -> TaskError {
        match self.record(1) {
            Ok(()) => error("States.QueryEvaluationError", format!("{field}: {why}")),
            Err(full) => full,
        }
    }

    /// Writes events into the history. The last event that fits is reserved for the end of the execution (Developer
    /// Guide, "Avoid reaching the history quota").
    fn record(&self, events: u64) -> Result<(), TaskError> {
        let so_far = self.events.get();
        if so_far + events >= MAX_EVENTS {
            self.events.set(MAX_EVENTS - 1);
            let cause = format!("The execution reached the maximum number of history events ({MAX_EVENTS}).");
            return Err(error("States.Runtime", cause));
        }
        self.events.set(so_far + events);
        Ok(())
    }

    fn notify(&self, state: &str, scope: &Scope, kind: StateEventKind<'_>) {
        self.host.observe(self.execution, state, StateEvent { iteration: scope.iteration(), kind });
    }
}

fn error(error: &str, cause: String) -> TaskError {
    TaskError { error: error.to_owned(), cause }
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, JValue)>) -> JValue {
    JValue::object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn within_limit(what: &str, value: &JValue) -> Result<(), TaskError> {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).expect("counting does not fail");
    if counter.0 <= MAX_BYTES {
        return Ok(());
    }
    Err(error("States.DataLimitExceeded", format!("{what} has {} bytes, more than {MAX_BYTES}", counter.0)))
}
