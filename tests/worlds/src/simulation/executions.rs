//! Runs executions of the workflow, and what Step Functions and EventBridge do when one has ended.

use std::rc::Rc;

use futures_util::future::{Either, select};
use jiff::SignedDuration;
use serde_json::{Value, json};
use thaw_steps::Step;

use super::functions::invoke;
use super::simulator::Simulator;
use super::step_functions;
use crate::environment::ExecutionEnd;
use crate::known_bug::KnownBug;
use crate::promises::is_recorded_as_running;
use crate::runtime::add;
use crate::workflow::{ExecutionResult, Host, Outcome, StateEvent, StateEventKind, TaskError};
use crate::world::KillReason;

/// Seconds between two scheduled runs of CheckExecutions, as in the template.
const CHECK_INTERVAL: i64 = 6 * 3_600;

/// Starts the task that runs an execution to its end.
pub(super) fn spawn(simulator: Rc<Simulator>, name: String, input: Value) {
    let runtime = simulator.env.runtime.clone();
    let controls = simulator.execution_controls.borrow();
    let Some(control) = controls.get(&name) else { return };
    let (stop, kill_reason) = (Rc::clone(&control.stop), Rc::clone(&control.kill_reason));
    drop(controls);
    runtime.spawn(async move {
        let host = SimulatedHost { simulator: Rc::clone(&simulator) };
        let result = {
            let run = std::pin::pin!(simulator.workflow.run(&name, input, &host));
            let stopped = std::pin::pin!(stop.wait());
            match select(stopped, run).await {
                Either::Left(_) => None,
                Either::Right((result, _)) => Some(result),
            }
        };
        let end = match &result {
            None => kill_reason.get().map_or(ExecutionEnd::Stopped, ExecutionEnd::Killed),
            Some(ExecutionResult { outcome: Outcome::Succeeded(_), .. }) => ExecutionEnd::Succeeded,
            Some(ExecutionResult { outcome: Outcome::Failed(TaskError { error, cause }), .. }) => {
                ExecutionEnd::Failed { error: error.clone(), cause: cause.clone() }
            }
        };
        let env = &simulator.env;
        env.log(|| format!("{name} ends: {end:?}"));
        env.executions.borrow_mut().insert(name.clone(), Some((end.clone(), env.now())));
        let history_events = result.map_or(0, |result| result.events);
        simulator.checker.borrow_mut().execution_ended(env, &name, &end, history_events);
        notify_check_executions(&simulator, &name, &end).await;
    });
}

/// Calls CheckExecutions after an execution has ended: by an event of Step Functions, which is sometimes lost, and then by
/// the schedule until the ledger has the end.
async fn notify_check_executions(simulator: &Rc<Simulator>, name: &str, end: &ExecutionEnd) {
    let env = &simulator.env;
    let status = match end {
        ExecutionEnd::Succeeded => return,
        ExecutionEnd::Failed { .. } | ExecutionEnd::Killed(KillReason::RuntimeError) => "FAILED",
        ExecutionEnd::Killed(KillReason::TimedOut) => "TIMED_OUT",
        ExecutionEnd::Stopped | ExecutionEnd::Killed(KillReason::Aborted) => "ABORTED",
    };
    if simulator.has_bug(KnownBug::DeadExecutionNotReported) {
        return;
    }
    if env.random.next().is_multiple_of(6) {
        env.log(|| format!("  ! the event that {name} is {status} is lost"));
    } else {
        env.runtime.sleep(env.latency(200, 3_000)).await;
        let detail = json!({"name": name, "status": status});
        invoke_asynchronously(simulator, json!({"source": "aws.states", "detail": detail})).await;
    }
    // The API call that started it may not have written its record yet.
    env.runtime.sleep(SignedDuration::from_mins(15)).await;
    while is_recorded_as_running(env, name) {
        let elapsed = env.now().duration_since(env.start).as_secs();
        let next = (elapsed / CHECK_INTERVAL + 1) * CHECK_INTERVAL;
        env.runtime.sleep_until(add(env.start, SignedDuration::from_secs(next))).await;
        invoke_asynchronously(simulator, json!({"source": "aws.events", "detail": {}})).await;
    }
}

/// Invokes CheckExecutions as EventBridge does. Lambda retries a failed asynchronous invocation twice (Lambda Developer
/// Guide, "How Lambda handles errors and retries with asynchronous invocation").
async fn invoke_asynchronously(simulator: &Rc<Simulator>, event: Value) {
    for seconds in [60, 120, 0] {
        if invoke(simulator, Step::CheckExecutions, event.clone()).await.is_ok() {
            return;
        }
        simulator.env.runtime.sleep(SignedDuration::from_secs(seconds)).await;
    }
}

/// The host of the workflow: the simulated Lambda and the virtual clock.
struct SimulatedHost {
    simulator: Rc<Simulator>,
}

impl Host for SimulatedHost {
    async fn invoke(&self, _: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError> {
        let Some(step) = Step::ALL.into_iter().find(|step| step.name() == function) else {
            panic!("the workflow invokes {function}, which is no function");
        };
        let invoked = std::pin::pin!(invoke(&self.simulator, step, payload));
        let timeout = std::pin::pin!(self.wait(timeout));
        match select(invoked, timeout).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => Err(TaskError { error: "States.Timeout".to_owned(), cause: String::new() }),
        }
    }

    async fn wait(&self, seconds: u64) {
        self.simulator.env.runtime.sleep(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))).await;
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction of 53 bits")]
    fn jitter(&self) -> f64 {
        (self.simulator.env.random.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn observe(&self, execution: &str, state: &str, event: StateEvent<'_>) {
        self.simulator.env.log(|| format!("{execution} {state}{}", description(&event)));
        self.simulator.checker.borrow_mut().state_event(state, &event);
        if event.kind == StateEventKind::Entered {
            step_functions::state_entered(&self.simulator, execution);
        }
    }
}

fn description(event: &StateEvent<'_>) -> String {
    let iteration = event.iteration.map_or_else(String::new, |iteration| format!(" #{iteration}"));
    match event.kind {
        StateEventKind::Entered => iteration,
        StateEventKind::Retried { error, seconds } => format!("{iteration}: {error}, again in {seconds} s"),
        StateEventKind::Caught { error, next } => format!("{iteration}: {error}, so {next}"),
    }
}
