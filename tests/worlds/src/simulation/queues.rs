//! The way of S3's events to the functions: EventBridge, SQS and their consumers.

use std::rc::Rc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use thaw_sim::Sim;
use thaw_sim::model::RestoreEvent;

use super::functions::invoke;
use super::messages::send;
use super::simulator::Simulator;
use crate::environment::QueueName;
use crate::known_bug::KnownBug;
use crate::world::EventFaultKind;

/// Puts S3's new events into the queues, unless a fault loses, delays or duplicates them.
pub(super) fn deliver_s3_events(simulator: &Rc<Simulator>) {
    let env = &simulator.env;
    for event in env.aws.with(Sim::take_events) {
        let queue = match event.kind {
            RestoreEvent::Initiated => QueueName::RestoreInitiated,
            RestoreEvent::Completed => QueueName::RestoreCompleted,
            RestoreEvent::Expired => continue,
        };
        let fault = simulator.faults.for_event(&env.world);
        env.log(|| {
            let fault = fault.map_or_else(String::new, |fault| format!(" ({fault:?})"));
            format!("S3 event: {:?} {}{fault}", event.kind, event.object.key)
        });
        simulator.checker.borrow_mut().event_sent(fault);
        let body = event.to_json().to_string();
        let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
        let latency = env.latency(200, 3_000);
        match fault {
            None => send(simulator, queue, body, latency),
            Some(EventFaultKind::Lost) => {}
            Some(EventFaultKind::Delayed(delay)) => send(simulator, queue, body, seconds(delay)),
            Some(EventFaultKind::Duplicated(delay)) => {
                send(simulator, queue, body.clone(), latency);
                send(simulator, queue, body, seconds(delay));
            }
        }
    }
}

/// Reads a queue in batches for ever, and invokes its function with them. Messages that fail become visible again.
pub(super) async fn consume(simulator: Rc<Simulator>, name: QueueName) {
    let (env, queue, source) = (&simulator.env, simulator.queue(name), simulator.event_source(name));
    loop {
        queue.wait_for_message(&env.runtime).await;
        if simulator.has_bug(KnownBug::IdleQueuesNotPolled) && name != QueueName::RestoreInitiated {
            while !env.executions.borrow().values().any(Option::is_none) {
                env.runtime.sleep(SignedDuration::from_mins(10)).await;
            }
        }
        env.runtime.sleep(SignedDuration::from_secs(source.batching_window_seconds)).await;
        if name == QueueName::RestoreCompleted {
            // Lambda's pollers take a moment, in which more messages arrive.
            env.runtime.sleep(env.latency(10, 1_500)).await;
        }
        let (batch, dead) = queue.receive(env.messages_at_once(source.batch_size), source, env.now());
        env.dead_letters.borrow_mut().entry(name).or_default().extend(dead);
        if batch.is_empty() {
            continue;
        }
        let records: Vec<Value> =
            batch.iter().map(|(id, body)| json!({"messageId": id.to_string(), "body": body})).collect();
        let Ok(response) = invoke(&simulator, source.function, json!({"Records": records})).await else { continue };
        let failures = response["batchItemFailures"].as_array().cloned().unwrap_or_default();
        let has_failed = |id: u64| {
            failures.iter().any(|failure| failure["itemIdentifier"].as_str() == Some(id.to_string().as_str()))
        };
        let done: Vec<u64> = batch.iter().map(|(id, _)| *id).filter(|id| !has_failed(*id)).collect();
        queue.delete(&done);
    }
}
