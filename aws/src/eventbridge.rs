//! EventBridge.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use serde_json::Value;
use thaw_steps::ports::{PortError, PutEvents};

use crate::error::{port_error, unexpected};

/// The default event bus.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
}

impl Bus {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl PutEvents for Bus {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        let what = format!("PutEvents of {detail_type:?}");
        let entry =
            PutEventsRequestEntry::builder().source("thaw").detail_type(detail_type).detail(detail.to_string()).build();
        match self.client.put_events().entries(entry).send().await {
            Ok(output) => output.entries().iter().try_for_each(|entry| taken(&what, entry)),
            Err(error) => Err(port_error(what, &error)),
        }
    }
}

/// EventBridge answers 200 even if it refused all events: each entry has its own result.
fn taken(what: &str, entry: &PutEventsResultEntry) -> Result<(), PortError> {
    let Some(code) = entry.error_code() else { return Ok(()) };
    // Read like the errors of other services. `InternalFailure` is specific to EventBridge.
    let trouble = match code {
        "InternalFailure" | "InternalException" => Some(thaw_core::CallError::Unavailable),
        _ => thaw_core::trouble(200, code),
    };
    let says = format!("{code}: {}", entry.error_message().unwrap_or_default());
    Err(PortError { trouble, ..unexpected(what, says) })
}

#[cfg(test)]
mod tests {
    use thaw_core::CallError;

    use super::*;

    #[test]
    fn an_entry_that_was_not_taken_is_an_error() {
        let entry = |code: &str| PutEventsResultEntry::builder().error_code(code).error_message("no").build();
        assert!(taken("x", &PutEventsResultEntry::builder().event_id("1").build()).is_ok());
        for (code, trouble) in [
            ("ThrottlingException", Some(CallError::Throttled)),
            ("InternalFailure", Some(CallError::Unavailable)),
            ("MalformedDetail", None),
        ] {
            assert_eq!(taken("x", &entry(code)).unwrap_err().trouble, trouble, "{code}");
        }
    }
}
