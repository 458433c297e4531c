//! The shapes of an SQS event source: only what the steps read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thaw_core::{S3Event, S3EventKind, read_s3_events};
use tracing::warn;

/// The messages of one invocation.
#[derive(Debug, Clone, Deserialize)]
pub struct QueueBatch {
    /// In any order.
    #[serde(rename = "Records")]
    pub records: Vec<QueueMessage>,
}

impl QueueBatch {
    /// The events of this kind with the ids of their messages, and the ids of messages that cannot be read: those come
    /// again, and at last go to the dead-letter queue.
    pub(crate) fn read(&self, kind: S3EventKind) -> (Vec<(&str, S3Event)>, BTreeSet<&str>) {
        let (mut events, mut unreadable) = (Vec::new(), BTreeSet::new());
        for message in &self.records {
            let id = message.message_id.as_str();
            match read_s3_events(&message.body) {
                Ok(read) => events.extend(read.into_iter().filter(|event| event.kind == kind).map(|event| (id, event))),
                Err(error) => {
                    warn!(message_id = id, "{error}");
                    unreadable.insert(id);
                }
            }
        }
        (events, unreadable)
    }
}

/// One message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueMessage {
    /// Its id.
    pub message_id: String,
    /// Its text.
    pub body: String,
}

/// Which messages come again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueResponse {
    /// All others are done.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its id.
    pub item_identifier: String,
}

impl QueueResponse {
    /// These messages come again.
    pub fn failing<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let failure = |id: &str| BatchItemFailure { item_identifier: id.to_owned() };
        Self { batch_item_failures: ids.into_iter().map(failure).collect() }
    }
}
