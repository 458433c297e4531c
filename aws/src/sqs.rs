//! SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageAttributeValue};
use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use futures_util::future::join_all;
use thaw_core::{CallError, Confirmation};
use thaw_steps::ports::{DeadLetters, PortError, ReceiveMessages, ReceivedMessage, SendConfirmations};

use crate::error::{port_error, unexpected};

/// Messages that one call receives or deletes at most (API Reference, "ReceiveMessage", "DeleteMessageBatch").
const MESSAGES_PER_CALL: usize = 10;

/// Calls that are made at once while each is answered with ten messages.
const RECEIVED_AT_ONCE: usize = 8;

/// A queue from which a function receives messages, or to which it sends them.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    queue_url: String,
    /// Seconds of thaw's time that pass in a second: more than one on the local stack only.
    pace: f64,
}

impl Queue {
    pub(crate) fn new(client: Client, queue_url: String, pace: f64) -> Self {
        Self { client, queue_url, pace }
    }

    /// One call, which does not wait: a call that waits does so for a whole second if there is nothing.
    async fn receive_once(&self) -> Result<Vec<ReceivedMessage>, PortError> {
        let call = self.client.receive_message().queue_url(&self.queue_url).wait_time_seconds(0);
        let call = call.max_number_of_messages(10);
        let answer = call.send().await.map_err(|error| port_error("ReceiveMessage", &error))?;
        let read = |message: Message| {
            let (id, receipt) = (message.message_id?, message.receipt_handle?);
            Some(ReceivedMessage { id, body: message.body.unwrap_or_default(), receipt })
        };
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(read).collect())
    }
}

impl ReceiveMessages for Queue {
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError> {
        TokioSleep::new().sleep(wait.div_f64(self.pace)).await;
        let (mut received, mut calls) = (Vec::new(), 1);
        loop {
            let answers = join_all((0..calls).map(|_| self.receive_once())).await;
            let is_full =
                answers.iter().all(|answer| answer.as_ref().is_ok_and(|page| page.len() >= MESSAGES_PER_CALL));
            let mut trouble = None;
            for answer in answers {
                match answer {
                    Ok(page) => received.extend(page),
                    Err(error) => trouble = Some(error),
                }
            }
            // What was received is invisible to others by now, so an error beside it is no reason to drop it.
            if let Some(error) = trouble.filter(|_| received.is_empty()) {
                return Err(error);
            }
            calls = most.saturating_sub(received.len()).div_ceil(MESSAGES_PER_CALL).min(RECEIVED_AT_ONCE);
            if !is_full || calls == 0 {
                return Ok(received);
            }
        }
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), PortError> {
        let what = "DeleteMessageBatch";
        for page in receipts.chunks(MESSAGES_PER_CALL) {
            let entries = page.iter().enumerate().map(|(number, receipt)| {
                DeleteMessageBatchRequestEntry::builder().id(number.to_string()).receipt_handle(receipt).build()
            });
            let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|error| unexpected(what, error))?;
            let call = self.client.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            let answer = call.send().await.map_err(|error| port_error(what, &error))?;
            if let Some(failed) = answer.failed.first() {
                let says = format!("{} of {}: {}", answer.failed.len(), page.len(), failed.code());
                return Err(PortError { what: what.to_owned(), says, trouble: Some(CallError::Unavailable) });
            }
        }
        Ok(())
    }
}

impl SendConfirmations for Queue {
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError> {
        let what = "SendMessage of a confirmation";
        let body = serde_json::to_string(message).map_err(|error| unexpected(what, error))?;
        let seconds = delay.div_f64(self.pace).as_secs();
        let seconds = i32::try_from(seconds).map_err(|error| unexpected(what, error))?;
        let call = self.client.send_message().queue_url(&self.queue_url).message_body(body).delay_seconds(seconds);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(port_error(what, &error)),
        }
    }
}

/// The dead-letter queue of a queue's reader.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    client: Client,
    queue_url: String,
}

impl DeadLetterQueue {
    pub(crate) fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

impl DeadLetters for DeadLetterQueue {
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError> {
        let what = "SendMessage of a dead letter";
        let reason = MessageAttributeValue::builder().data_type("String").string_value(attribute(reason)).build();
        let reason = reason.map_err(|error| unexpected(what, error))?;
        let call = self.client.send_message().queue_url(&self.queue_url).message_body(message);
        match call.message_attributes("reason", reason).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(port_error(what, &error)),
        }
    }
}

/// The reason as a valid message attribute of SQS: not empty, and only characters of XML 1.0 (API Reference,
/// "SendMessage"). The message itself came through SQS, so its characters are valid.
fn attribute(reason: &str) -> String {
    let is_taken = |char: char| !matches!(char, '\u{0}'..'\u{20}' | '\u{fffe}' | '\u{ffff}') || "\t\n\r".contains(char);
    let text: String = reason.chars().map(|char| if is_taken(char) { char } else { '\u{fffd}' }).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_only_characters_that_sqs_takes() {
        assert_eq!(attribute("its key is \"a\tb ü🐈\""), "its key is \"a\tb ü🐈\"");
        assert_eq!(attribute("\0\u{1}\u{1f}\u{fffe}\u{ffff}"), "\u{fffd}".repeat(5));
        assert_eq!(attribute(""), "unknown");
    }
}
