//! Puts messages on the queues.

use std::rc::Rc;

use jiff::SignedDuration;
use thaw_core::Confirmation;

use super::simulator::Simulator;
use crate::environment::QueueName;
use crate::world::EventFaultKind;

/// Sends a confirmation after a delay, unless a fault loses, delays or duplicates it. SQS itself loses none, but an
/// operator may purge its queue. That is no fault where a restore has ended, and has no more looks: nothing is promised
/// there.
pub(super) fn send_confirmation(simulator: &Rc<Simulator>, message: &Confirmation, delay: SignedDuration) {
    let env = &simulator.env;
    let body = serde_json::to_string(message).unwrap_or_default();
    let has_a_look_left = simulator.checker.borrow().has_a_look_left(env, message);
    let fault = simulator.faults.for_confirmation(&env.world);
    let fault = fault.filter(|fault| *fault != EventFaultKind::Lost || has_a_look_left);
    env.log(|| format!("    confirmation after {delay:#}: {body} {fault:?}"));
    simulator.checker.borrow_mut().confirmation_sent(fault);
    let later = |seconds: u32| delay.saturating_add(SignedDuration::from_secs(i64::from(seconds)));
    let deliver = |delay| send(simulator, QueueName::ConfirmInvalidations, body.clone(), delay);
    match fault {
        None => deliver(delay),
        Some(EventFaultKind::Lost) => {}
        Some(EventFaultKind::Delayed(seconds)) => deliver(later(seconds)),
        Some(EventFaultKind::Duplicated(seconds)) => {
            deliver(delay);
            deliver(later(seconds));
        }
    }
}

/// Sends a message to a queue after a delay.
pub(super) fn send(simulator: &Rc<Simulator>, queue: QueueName, body: String, delay: SignedDuration) {
    let sender = Rc::clone(simulator);
    simulator.env.runtime.spawn(async move {
        let env = &sender.env;
        env.runtime.sleep(delay).await;
        let id = env.random.position();
        env.random.next();
        sender.queue(queue).push(id, body, env.now());
    });
}
