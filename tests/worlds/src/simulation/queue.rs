//! An SQS queue.

use std::cell::RefCell;

use futures_util::future::select;
use jiff::{SignedDuration, Timestamp};

use crate::deployment::EventSourceMapping;
use crate::runtime::{Runtime, Signal, add};

/// A queue.
#[derive(Default)]
pub(super) struct Queue {
    messages: RefCell<Vec<Message>>,
    arrived: Signal,
}

struct Message {
    id: u64,
    body: String,
    visible_at: Timestamp,
    receive_count: i64,
}

/// A batch of messages, each with its id and its body.
pub(super) type MessageBatch = Vec<(u64, String)>;

impl Queue {
    /// Adds a message that is visible now.
    pub(super) fn push(&self, id: u64, body: String, now: Timestamp) {
        self.messages.borrow_mut().push(Message { id, body, visible_at: now, receive_count: 0 });
        self.arrived.set();
    }

    /// Waits until a message is visible.
    pub(super) async fn wait_for_message(&self, runtime: &Runtime) {
        loop {
            let next = self.messages.borrow().iter().map(|message| message.visible_at).min();
            self.arrived.reset();
            match next {
                Some(next) if next <= runtime.now() => return,
                Some(next) => {
                    let timer = std::pin::pin!(runtime.sleep_until(next));
                    let arrived = std::pin::pin!(self.arrived.wait());
                    select(timer, arrived).await;
                }
                None => self.arrived.wait().await,
            }
        }
    }

    /// Receives so many messages at most. The second list has the bodies of the messages that were received too often and were removed.
    pub(super) fn receive(
        &self,
        most: usize,
        source: &EventSourceMapping,
        now: Timestamp,
    ) -> (MessageBatch, Vec<String>) {
        let mut messages = self.messages.borrow_mut();
        let mut batch = Vec::new();
        let mut dead = Vec::new();
        let mut dead_bodies = Vec::new();
        for message in messages.iter_mut().filter(|message| message.visible_at <= now).take(most) {
            if message.receive_count >= source.max_receive_count {
                dead.push(message.id);
                dead_bodies.push(message.body.clone());
                continue;
            }
            message.receive_count += 1;
            message.visible_at = add(now, SignedDuration::from_secs(source.visibility_timeout_seconds));
            batch.push((message.id, message.body.clone()));
        }
        messages.retain(|message| !dead.contains(&message.id));
        (batch, dead_bodies)
    }

    pub(super) fn delete(&self, ids: &[u64]) {
        self.messages.borrow_mut().retain(|message| !ids.contains(&message.id));
    }
}
