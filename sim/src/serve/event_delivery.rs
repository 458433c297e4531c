//! Brings events to their queues when they are due.

use super::shared::Shared;
use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The most messages that one call takes (`SendMessageBatch`).
const BATCH: usize = 10;

/// Messages that are put on a queue before somebody has read some. The emulator's queues are lists, which it walks for
/// every call: with 32,000 messages a reader gets 75 a second, with 500 thousands.
const QUEUE_HOLDS: usize = 500;

/// How long to wait before a full queue is looked at again.
const FULL: Duration = Duration::from_millis(50);

/// Delivers events when they are due, for as long as the task lives. Wakes when the next one is due by the clock, or
/// when told that this may have changed.
pub(crate) async fn deliver(shared: Arc<Shared>) {
    let mut queues: HashMap<String, mpsc::UnboundedSender<String>> = HashMap::new();
    let mut workers = JoinSet::new();
    loop {
        let (events, next) = {
            let mut sim = shared.sim();
            (sim.take_events(shared.clock.now()), sim.next_event_at())
        };
        let told =
            events.into_iter().filter_map(|event| Some((shared.events.queue_of(&event)?, event.to_json().to_string())));
        for (queue, message) in told.chain(shared.events.take_written()) {
            let messages = queues.entry(queue.clone()).or_insert_with(|| {
                let (sender, messages) = mpsc::unbounded_channel();
                workers.spawn(fill(shared.clone(), queue, messages));
                sender
            });
            let _the_worker_lives_as_long_as_we = messages.send(message);
        }
        let due = async {
            match next {
                Some(next) => tokio::time::sleep(shared.clock.until(next)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.changed.notified() => {}
        }
    }
}

/// Puts messages on one queue, as many in a call as there are, and no more than the queue can hold.
async fn fill(shared: Arc<Shared>, queue: String, mut messages: mpsc::UnboundedReceiver<String>) {
    let mut room = QUEUE_HOLDS;
    let mut batch = Vec::with_capacity(BATCH);
    while messages.recv_many(&mut batch, room.clamp(1, BATCH)).await > 0 {
        while room == 0 {
            room = QUEUE_HOLDS.saturating_sub(shared.events.depth(&queue).await);
            if room == 0 {
                tokio::time::sleep(FULL).await;
            }
        }
        shared.events.send(&queue, &batch).await;
        room -= batch.len();
        batch.clear();
    }
}
