//! One execution.
//!
//! # Events
//!
//! The history is counted as the Developer Guide and the API's `HistoryEventType` tell it:
//!
//! | | events |
//! |---|---|
//! | execution | `ExecutionStarted`; `ExecutionSucceeded` or `ExecutionFailed` |
//! | Choice, Wait, Succeed | entered, exited |
//! | Fail | entered |
//! | Task, `lambda:invoke` | entered, exited; for each attempt `TaskScheduled`, `TaskStarted` and `TaskSucceeded`, `TaskFailed` or `TaskTimedOut`. `TaskSubmitted` is for what waits for a job or a token |
//! | Map, inline | entered, `MapStateStarted`, `MapStateSucceeded` or `MapStateFailed`, exited; for each iteration `MapIterationStarted` and `MapIterationSucceeded`, `MapIterationFailed` or `MapIterationAborted`, the last with the abortion of the state it was in |
//! | an expression that fails | `EvaluationFailed` |
//!
//! A state that fails is exited only if the error is caught.

use std::cell::Cell;
use std::io;

use futures_util::{StreamExt, TryStreamExt, stream};
use jsonata_core::value::JValue;
use serde_json::Value;

use super::definition::{Catcher, Choice, Fail, Level, Map, State, Task, Wait};
use super::expression::{Template, plain};
use super::{Ended, Entered, Outcome, PublishedReason, TaskError, Workflow, World};

/// Step Functions' limits (Developer Guide, "Quotas"): events of a history, and bytes of anything that goes into or comes
/// out of a state or a task.
const EVENTS: u64 = 25_000;
const BYTES: usize = 256 * 1024;

/// A Wait state waits so long at most.
const LONGEST_WAIT: f64 = 99_999_999.0;

impl Workflow {
    /// Runs one execution from `StartAt` to its end.
    pub async fn run(&self, name: &str, input: Value, world: &impl World) -> Ended {
        let input = JValue::from(input);
        let run = Run { execution: name, input: input.clone(), world, events: Cell::new(1) };
        let ended = match within_limit("the execution's input", &input) {
            Ok(()) => run.level(&self.0, input, Scope::default()).await,
            Err(error) => Err(error),
        };
        let outcome = match ended {
            Ok(output) => Outcome::Succeeded(plain(&output)),
            Err(error) => Outcome::Failed(error),
        };
        Ended { outcome, events: run.events.get() + 1 }
    }
}

struct Run<'a, W> {
    execution: &'a str,
    input: JValue,
    world: &'a W,
    events: Cell<u64>,
}

/// What is known besides a state's input: the variables, and in a Map the item.
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

/// What a Task or a Map comes to: its output and what it assigns.
struct Done {
    output: JValue,
    assigned: Vec<(String, JValue)>,
}

impl<W: World> Run<'_, W> {
    /// Runs states from `StartAt` until one has nothing after it, and answers its output.
    async fn level(&self, level: &Level, mut input: JValue, mut scope: Scope) -> Result<JValue, TaskError> {
        let mut name = level.start_at.as_str();
        loop {
            self.tell(name, &scope, PublishedReason::First);
            self.record(1)?;
            let (next, output) = match &level.states[name] {
                State::Succeed(_) => (None, input),
                State::Fail(fail) => return Err(self.fail(fail, &input, &scope)?),
                State::Choice(choice) => (Some(self.choose(name, choice, &input, &scope)?), input),
                State::Wait(wait) => {
                    self.world.wait(self.seconds(wait, &input, &scope)?).await;
                    (wait.next.as_deref(), input)
                }
                State::Task(task) => match self.task(name, task, &input, &scope).await {
                    Ok(done) => {
                        done.assigned.into_iter().for_each(|(name, value)| scope.assign(name, value));
                        (task.next.as_deref(), done.output)
                    }
                    Err(error) => self.caught(name, &task.catch, error, &input, &scope)?,
                },
                State::Map(map) => match Box::pin(self.map(map, &input, &scope)).await {
                    Ok(output) => (map.next.as_deref(), output),
                    Err(error) => self.caught(name, &map.catch, error, &input, &scope)?,
                },
            };
            self.record(1)?;
            match next {
                Some(next) => (name, input) = (next, output),
                None => return Ok(output),
            }
        }
    }

    /// Attempts until one succeeds or nothing is left to retry. Every retrier counts for itself.
    async fn task(&self, name: &str, task: &Task, input: &JValue, scope: &Scope) -> Result<Done, TaskError> {
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
            let seconds = retrier.delay(made[at], self.world.jitter());
            made[at] += 1;
            self.tell(name, scope, PublishedReason::Retry { error: &error.error, seconds });
            self.world.wait(seconds).await;
        }
    }

    async fn attempt(&self, task: &Task, input: &JValue, scope: &Scope) -> Result<Done, TaskError> {
        let payload = self.evaluate("Arguments", &task.arguments.payload, scope, [("input", input.clone())])?;
        within_limit("the task's input", &payload)?;
        self.record(2)?;
        let function = &task.arguments.function_name;
        let answer = self.world.invoke(self.execution, function, plain(&payload), task.timeout_seconds).await;
        self.record(1)?;
        let answer = JValue::from(answer?);
        within_limit("the task's result", &answer)?;
        let result = object([("Payload", answer)]);
        let known = || [("input", input.clone()), ("result", result.clone())];
        let mut assigned = Vec::new();
        for (name, value) in &task.assign {
            assigned.push((name.clone(), self.evaluate("Assign", value, scope, known())?));
        }
        let output = self.evaluate("Output", &task.output, scope, known())?;
        within_limit("the state's output", &output)?;
        Ok(Done { output, assigned })
    }

    /// Runs the iterations, so many at once, each as soon as another has ended. The first that fails ends all.
    async fn map(&self, map: &Map, input: &JValue, scope: &Scope) -> Result<JValue, TaskError> {
        let items = self.evaluate("Items", &map.items, scope, [("input", input.clone())])?;
        let Some(items) = items.as_array() else {
            return Err(self.unfit("Items", "is no array"));
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
        self.level(&map.item_processor.level, selected, scope).await
    }

    fn choose<'a>(&self, name: &str, choice: &'a Choice, input: &JValue, scope: &Scope) -> Result<&'a str, TaskError> {
        for rule in &choice.choices {
            let met = self.evaluate("Condition", &rule.condition, scope, [("input", input.clone())])?;
            match met.as_bool() {
                Some(true) => return Ok(&rule.next),
                Some(false) => {}
                None => return Err(self.unfit("Condition", "is neither true nor false")),
            }
        }
        let none = || error("States.NoChoiceMatched", format!("no rule of {name} matched, and it has no Default"));
        choice.default.as_deref().ok_or_else(none)
    }

    fn seconds(&self, wait: &Wait, input: &JValue, scope: &Scope) -> Result<u64, TaskError> {
        let seconds = self.evaluate("Seconds", &wait.seconds, scope, [("input", input.clone())])?;
        match seconds.as_f64() {
            Some(seconds) if seconds.fract() == 0.0 && (0.0..=LONGEST_WAIT).contains(&seconds) => Ok(seconds as u64),
            Some(_) | None => Err(self.unfit("Seconds", "is no whole number of seconds that Step Functions can wait")),
        }
    }

    /// The error that a Fail state tells; or the one that it meets on the way.
    fn fail(&self, fail: &Fail, input: &JValue, scope: &Scope) -> Result<TaskError, TaskError> {
        let text = |field, template| {
            let value = self.evaluate(field, template, scope, [("input", input.clone())])?;
            value.as_str().map(str::to_owned).ok_or_else(|| self.unfit(field, "is no text"))
        };
        Ok(TaskError { error: text("Error", &fail.error)?, cause: text("Cause", &fail.cause)? })
    }

    /// Where an error leads: to the first catcher that is for it, or on to whoever holds this state.
    fn caught<'a>(
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
        self.tell(name, scope, PublishedReason::Catch { error: &error.error, next: &catcher.next });
        // `Cause` is optional, as in the history's events.
        let cause = (!error.cause.is_empty()).then(|| ("Cause", error.cause.into()));
        let told = object([("Error", error.error.into())].into_iter().chain(cause));
        let known = [("input", input.clone()), ("errorOutput", told)];
        let output = self.evaluate("Catch", &catcher.output, scope, known)?;
        within_limit("the state's output", &output)?;
        Ok((Some(&catcher.next), output))
    }

    /// A field's value; `known` is what `$states` has besides `context`.
    fn evaluate<const N: usize>(
        &self,
        field: &str,
        template: &Template,
        scope: &Scope,
        known: [(&str, JValue); N],
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
        let states = object(known.into_iter().chain([("context", context)]));
        let mut variables = vec![("states", states)];
        variables.extend(scope.variables.iter().map(|(name, value)| (name.as_str(), value.clone())));
        template.evaluate(&variables).map_err(|cause| self.unfit(field, &cause))
    }

    /// A field has a value that its state can do nothing with.
    fn unfit(&self, field: &str, why: &str) -> TaskError {
        match self.record(1) {
            Ok(()) => error("States.QueryEvaluationError", format!("{field}: {why}")),
            Err(full) => full,
        }
    }

    /// Writes events into the history. The last one that fits is kept for the execution's end (Developer Guide, "Avoid
    /// reaching the history quota").
    fn record(&self, events: u64) -> Result<(), TaskError> {
        let so_far = self.events.get();
        if so_far + events >= EVENTS {
            self.events.set(EVENTS - 1);
            let cause = format!("The execution reached the maximum number of history events ({EVENTS}).");
            return Err(error("States.Runtime", cause));
        }
        self.events.set(so_far + events);
        Ok(())
    }

    fn tell(&self, state: &str, scope: &Scope, how: PublishedReason<'_>) {
        self.world.entered(self.execution, state, Entered { iteration: scope.iteration(), how });
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
    if counter.0 <= BYTES {
        return Ok(());
    }
    Err(error("States.DataLimitExceeded", format!("{what} has {} bytes, more than {BYTES}", counter.0)))
}
