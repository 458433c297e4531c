//! The API of Step Functions: starts, stops, describes and kills executions.

use std::cell::Cell;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use thaw_core::{Execution, ExecutionStatus};

use super::simulator::{ExecutionControl, Simulator};
use super::stale_reads::MAX_LAG;
use crate::environment::ExecutionEnd;
use crate::runtime::{Signal, add};
use crate::world::{ExecutionKill, KillReason};

/// StartExecution. A name that was used before has no effect.
pub(super) fn start_execution(simulator: &Rc<Simulator>, name: &str, input: &Value) {
    let mut executions = simulator.env.executions.borrow_mut();
    if executions.contains_key(name) {
        return;
    }
    let control = ExecutionControl {
        stop: Rc::new(Signal::default()),
        kill_reason: Rc::new(Cell::new(None)),
        nth: u32::try_from(executions.len()).unwrap_or(u32::MAX),
        states_entered: Cell::new(0),
    };
    executions.insert(name.to_owned(), None);
    simulator.execution_controls.borrow_mut().insert(name.to_owned(), control);
    drop(executions);
    (simulator.spawn_execution)(Rc::clone(simulator), name.to_owned(), input.clone());
}

/// StopExecution.
pub(super) fn stop_execution(simulator: &Simulator, name: &str) {
    if let Some(control) = simulator.execution_controls.borrow().get(name) {
        control.stop.set();
    }
}

/// DescribeExecution. Shortly after an execution has ended it may still be described as running.
pub(super) fn describe_execution(simulator: &Simulator, name: &str) -> Option<Execution> {
    let env = &simulator.env;
    let executions = env.executions.borrow();
    let is_stale = |ended_at: Timestamp| ended_at > add(env.now(), -MAX_LAG) && env.random.next().is_multiple_of(4);
    let (status, error, cause) = match executions.get(name)? {
        Some((_, ended_at)) if is_stale(*ended_at) => (ExecutionStatus::Running, None, None),
        None => (ExecutionStatus::Running, None, None),
        Some((end, _)) => match end {
            ExecutionEnd::Succeeded => (ExecutionStatus::Succeeded, None, None),
            ExecutionEnd::Failed { error, cause } => {
                (ExecutionStatus::Failed, Some(error.clone()), Some(cause.clone()))
            }
            ExecutionEnd::Stopped => (ExecutionStatus::Aborted, None, Some("by its requester".to_owned())),
            ExecutionEnd::Killed(KillReason::RuntimeError) => {
                (ExecutionStatus::Failed, Some("States.Runtime".to_owned()), None)
            }
            ExecutionEnd::Killed(KillReason::TimedOut) => (ExecutionStatus::TimedOut, None, Some(String::new())),
            ExecutionEnd::Killed(KillReason::Aborted) => (ExecutionStatus::Aborted, None, None),
        },
    };
    Some(Execution { status, error, cause, redrives: 0 })
}

/// Counts a state that an execution enters, and kills the execution if a fault of the world says so.
pub(super) fn state_entered(simulator: &Rc<Simulator>, name: &str) {
    let controls = simulator.execution_controls.borrow();
    let Some(control) = controls.get(name) else { return };
    control.states_entered.set(control.states_entered.get() + 1);
    let is_now =
        |kill: &&ExecutionKill| (kill.execution, kill.states_entered) == (control.nth, control.states_entered.get());
    for kill in simulator.env.world.execution_kills.iter().filter(is_now) {
        spawn_kill(simulator, name, control, kill);
    }
}

/// Kills an execution after a delay, if it still runs.
fn spawn_kill(simulator: &Rc<Simulator>, name: &str, control: &ExecutionControl, kill: &ExecutionKill) {
    let (stop, kill_reason) = (Rc::clone(&control.stop), Rc::clone(&control.kill_reason));
    let (name, reason) = (name.to_owned(), kill.reason);
    let delay = SignedDuration::from_millis(i64::from(kill.delay_millis));
    let killer = Rc::clone(simulator);
    simulator.env.runtime.spawn(async move {
        let env = &killer.env;
        env.runtime.sleep(delay).await;
        let is_running = env.executions.borrow().get(&name).is_some_and(Option::is_none);
        // A cancel request may have stopped it at the same time.
        if is_running && !stop.is_set() {
            env.log(|| format!("  ! {name} is killed: {reason:?}"));
            kill_reason.set(Some(reason));
            stop.set();
        }
    });
}
