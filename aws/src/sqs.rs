//! SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use thaw_steps::ports::{DeadLetters, PortError};

use crate::error::{port_error, unexpected};

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
