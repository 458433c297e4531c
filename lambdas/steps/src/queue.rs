//! The shapes of an SQS event source: only what the steps read.

use serde::{Deserialize, Serialize};

/// The messages of one invocation.
#[derive(Debug, Clone, Deserialize)]
pub struct QueueBatch {
    /// In any order.
    #[serde(rename = "Records")]
    pub records: Vec<QueueMessage>,
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
