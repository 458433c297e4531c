//! The parts of an SQS event that the steps read, and their answer.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use thaw_core::{Confirmation, InboxFile, S3Event, S3EventKind, UnreadableEvent, read_inbox_file, read_s3_events};
use tracing::warn;

use crate::Settings;
use crate::ports::{DeadLetters, IN_FLIGHT, ReceivedMessage};

/// The messages of one invocation.
#[derive(Debug, Clone, Deserialize)]
pub struct QueueBatch {
    /// The messages, in any order.
    #[serde(rename = "Records")]
    pub records: Vec<QueueMessage>,
}

impl QueueBatch {
    /// The S3 events of this kind in the stack's archive buckets, with the ids of their messages; and the ids of
    /// messages that must come again.
    ///
    /// A message that can never be read goes to the dead-letter queue at once, with the reason. It comes again only if
    /// that fails. A message that can be read but is of another kind or bucket (or is S3's test message) is done.
    pub(crate) async fn read(
        &self,
        kind: S3EventKind,
        dead_letters: &impl DeadLetters,
        settings: &Settings,
    ) -> (Vec<(&str, S3Event)>, BTreeSet<&str>) {
        let is_ours = |event: &S3Event| event.kind == kind && settings.archive_buckets.contains(&event.object.bucket);
        let ours = |body: &str| Ok(read_s3_events(body)?.into_iter().filter(is_ours).collect());
        self.read_with(ours, dead_letters).await
    }

    /// The same for the events of files that were written, in any bucket.
    pub(crate) async fn dropped(&self, dead_letters: &impl DeadLetters) -> (Vec<(&str, InboxFile)>, BTreeSet<&str>) {
        self.read_with(|body| Ok(read_inbox_file(body)?.into_iter().collect()), dead_letters).await
    }

    /// The same for the messages that thaw sends itself about invalidations in progress.
    pub(crate) async fn confirmations(
        &self,
        dead_letters: &impl DeadLetters,
    ) -> (Vec<(&str, Confirmation)>, BTreeSet<&str>) {
        self.read_with(|body| Ok(vec![Confirmation::read(body)?]), dead_letters).await
    }

    async fn read_with<T>(
        &self,
        read: impl Fn(&str) -> Result<Vec<T>, UnreadableEvent>,
        dead_letters: &impl DeadLetters,
    ) -> (Vec<(&str, T)>, BTreeSet<&str>) {
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for message in &self.records {
            match read(&message.body) {
                Ok(read) => events.extend(read.into_iter().map(|event| (message.message_id.as_str(), event))),
                Err(error) => unreadable.push((message, error)),
            }
        }
        let failing = stream::iter(unreadable)
            .map(|(message, error)| put_aside(message, error, dead_letters))
            .buffer_unordered(IN_FLIGHT)
            .filter_map(std::future::ready)
            .collect()
            .await;
        (events, failing)
    }
}

/// Sends a message to the dead-letter queue. Answers its id if that fails and it must come again.
async fn put_aside<'a>(
    message: &'a QueueMessage,
    error: UnreadableEvent,
    dead_letters: &impl DeadLetters,
) -> Option<&'a str> {
    let id = message.message_id.as_str();
    match dead_letters.put_aside(&message.body, &error.to_string()).await {
        Ok(()) => {
            warn!(message_id = id, "a message is now a dead letter: {error}");
            None
        }
        Err(trouble) => {
            warn!(message_id = id, "a message that cannot be read comes again: {error}; {trouble}");
            Some(id)
        }
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

impl From<&ReceivedMessage> for QueueMessage {
    fn from(message: &ReceivedMessage) -> Self {
        Self { message_id: message.id.clone(), body: message.body.clone() }
    }
}

/// The answer: the messages that must come again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueResponse {
    /// The messages that must come again. All others are done.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that must come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The message's id.
    pub item_identifier: String,
}

impl QueueResponse {
    /// An answer with these messages.
    pub fn failing<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let failure = |id: &str| BatchItemFailure { item_identifier: id.to_owned() };
        Self { batch_item_failures: ids.into_iter().map(failure).collect() }
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::CallError;

    use super::*;
    use crate::ports::PortError;

    struct Down;

    impl DeadLetters for Down {
        async fn put_aside(&self, _: &str, _: &str) -> Result<(), PortError> {
            let trouble = Some(CallError::Unavailable);
            Err(PortError { what: "SendMessage".to_owned(), says: "no answer".to_owned(), trouble })
        }
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_read_comes_again_while_it_cannot_be_put_aside() {
        let message = |id: &str, body: &str| QueueMessage { message_id: id.to_owned(), body: body.to_owned() };
        let test = message("test", r#"{"Event": "s3:TestEvent"}"#);
        let batch = QueueBatch { records: vec![message("one", "?"), test, message("two", "{}")] };
        let (events, failing) = batch.read(S3EventKind::Completed, &Down, &Settings::default()).await;
        assert!(events.is_empty());
        assert_eq!(failing, ["one", "two"].into());
    }
}
