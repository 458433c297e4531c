//! Simulates Lambda: invokes functions with timeouts, crashes and lost responses.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::{Either, select};
use jiff::SignedDuration;
use serde_json::Value;
use thaw_steps::Step;

use super::fault_injector::outage;
use super::handlers::handle;
use super::ports::FaultInjectingPorts;
use super::simulator::Simulator;
use crate::environment::Invocation;
use crate::runtime::Signal;
use crate::workflow::TaskError;
use crate::world::{CallFaultKind, InvocationFaultKind, Service};

/// Invokes a function and waits for its response.
pub(super) async fn invoke(simulator: &Rc<Simulator>, step: Step, payload: Value) -> Result<Value, TaskError> {
    let env = &simulator.env;
    let fault = simulator.faults.for_invocation(&env.world, step);
    if let Some(fault) = fault {
        env.log(|| format!("  ! {step:?}: {fault:?}"));
        simulator.checker.borrow_mut().invocation_fault_injected(fault);
    }
    if fault == Some(InvocationFaultKind::ResponseTooLarge) {
        simulator.checker.borrow_mut().state_failed(step, payload["restore"].as_str());
    }
    env.runtime.sleep(env.latency(3, 200)).await;
    match (fault, outage(env, Service::Lambda)) {
        (Some(InvocationFaultKind::NotStarted), _) | (_, Some(CallFaultKind::Unavailable)) => {
            return Err(injected("Lambda.ServiceException"));
        }
        (_, Some(CallFaultKind::Throttled)) => return Err(injected("Lambda.TooManyRequestsException")),
        _ => {}
    }
    let response = start(simulator, step, payload);
    if fault == Some(InvocationFaultKind::ClientTimeout) {
        env.runtime.sleep(env.latency(1, 500)).await;
        return Err(injected("Lambda.ClientExecutionTimeoutException"));
    }
    response.is_there.wait().await;
    let result = response.result.take().unwrap_or_else(|| Err(injected("Lambda.Unknown")));
    match (fault, outage(env, Service::Lambda)) {
        (Some(InvocationFaultKind::ResponseLost), _) | (_, Some(CallFaultKind::ResponseLost)) => {
            Err(injected("Lambda.SdkClientException"))
        }
        (Some(InvocationFaultKind::ResponseTooLarge), _) => Err(injected("States.DataLimitExceeded")),
        _ => result,
    }
}

/// The response of an invocation, once it is there.
#[derive(Default)]
struct Response {
    result: RefCell<Option<Result<Value, TaskError>>>,
    is_there: Signal,
}

/// Starts a function in a task of its own. It goes on if the caller no longer waits for it.
fn start(simulator: &Rc<Simulator>, step: Step, payload: Value) -> Rc<Response> {
    let env = &simulator.env;
    let invocation = Rc::new(Invocation {
        step,
        number: env.random.position(),
        started_at: env.now(),
        restore: payload["restore"].as_str().map(str::to_owned),
        ended: Signal::default(),
    });
    let response: Rc<Response> = Rc::default();
    let (simulator, sender) = (Rc::clone(simulator), Rc::clone(&response));
    let runtime = env.runtime.clone();
    runtime.spawn(async move {
        let result = run(&simulator, &invocation, payload).await;
        invocation.ended.set();
        sender.result.replace(Some(result));
        sender.is_there.set();
    });
    response
}

/// Runs a function until it returns, crashes or times out.
async fn run(simulator: &Rc<Simulator>, invocation: &Rc<Invocation>, payload: Value) -> Result<Value, TaskError> {
    let runtime = &simulator.env.runtime;
    let timeout = SignedDuration::from_secs(simulator.deployment.timeout_seconds(invocation.step));
    let ports = FaultInjectingPorts {
        simulator: Rc::clone(simulator),
        invocation: Rc::clone(invocation),
        days_lost: Cell::new(false),
    };
    let handled = std::pin::pin!(handle(&ports, payload, runtime.now()));
    let timed_out = std::pin::pin!(runtime.sleep(timeout));
    let crashed = std::pin::pin!(invocation.ended.wait());
    match select(crashed, select(handled, timed_out)).await {
        Either::Left(_) => Err(TaskError { error: "Runtime.ExitError".to_owned(), cause: String::new() }),
        Either::Right((Either::Left((result, _)), _)) => result,
        Either::Right((Either::Right(_), _)) => {
            Err(TaskError { error: "Sandbox.Timedout".to_owned(), cause: String::new() })
        }
    }
}

fn injected(error: &str) -> TaskError {
    TaskError { error: error.to_owned(), cause: "injected fault".to_owned() }
}
