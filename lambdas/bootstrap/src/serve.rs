//! Runs one step for ever, and turns its errors into names that the state machine can match.

use std::fmt::{self, Debug, Formatter};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thaw_core::Problem;
use thaw_steps::StepError;
use thaw_steps::http::{Request, Response};

use crate::log;

/// Serves a step: a state of the workflow or a queue's reader.
pub async fn serve<I, O>(step: impl AsyncFn(I) -> Result<O, StepError>) -> Result<(), Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let step = &step;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        log::begin(&event.context.request_id);
        answer(step, event.payload)
    }))
    .await
}

async fn answer<I, O>(step: &impl AsyncFn(I) -> Result<O, StepError>, payload: Value) -> Result<O, Reported>
where
    I: DeserializeOwned,
{
    // Boxed: the future of a step is large, and this keeps it off the stack of the runtime's own.
    let done = async { step(read(payload)?).await }.boxed_local();
    let done = AssertUnwindSafe(done).catch_unwind().await;
    done.unwrap_or_else(|_| Err(panicked())).map_err(Reported::new)
}

/// Serves a door, which always answers.
pub async fn serve_door(door: impl AsyncFn(&Request) -> Response) -> Result<(), Error> {
    let door = &door;
    serve(async |request: Request| Ok(door(&request).await)).await
}

/// Reads the input ourselves: an error of the runtime's own parser would be reported under the name of a Rust type.
fn read<I: DeserializeOwned>(payload: Value) -> Result<I, StepError> {
    I::deserialize(&payload)
        .map_err(|error| Problem::field("input", &payload, format!("cannot be read ({error}).")).into())
}

/// A panic is a bug, and reported like one. What it says was logged by the panic hook.
fn panicked() -> StepError {
    StepError::Unexpected("thaw panicked; its log says where".to_owned())
}

/// A step's error on its way to Lambda.
struct Reported {
    name: &'static str,
    message: String,
}

impl Reported {
    /// Logs the error: here it leaves thaw.
    fn new(error: StepError) -> Self {
        let (name, message) = (error.name(), error.to_string());
        tracing::error!(error.name = name, "{message}");
        Self { name, message }
    }
}

impl From<Reported> for Diagnostic {
    fn from(Reported { name, message }: Reported) -> Self {
        Self { error_type: name.to_owned(), error_message: message }
    }
}

impl Debug for Reported {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What Lambda is told when a step that takes a number and fails like this gets this payload.
    fn check(step: impl AsyncFn(u8) -> Result<u8, StepError>, payload: Value) -> Result<u8, (String, String)> {
        let answer = answer(&step, payload).now_or_never().expect("nothing in here waits");
        answer.map_err(Diagnostic::from).map_err(|told| (told.error_type, told.error_message))
    }

    #[test]
    fn a_step_answers() {
        assert_eq!(check(async |n| Ok(n + 1), json!(1)), Ok(2));
    }

    #[test]
    fn a_failure_is_told_under_its_stable_name() {
        let failed = check(async |_| Err(StepError::Throttled("slower".to_owned())), json!(1));
        assert_eq!(failed, Err(("Throttled".to_owned(), "slower".to_owned())));
    }

    #[test]
    fn an_input_that_cannot_be_read_is_told_as_a_bad_request() {
        let (name, says) = check(async |n| Ok(n), json!({"a": "b"})).unwrap_err();
        assert_eq!(name, "InvalidRequest");
        assert!(says.starts_with("input: cannot be read"), "{says}");
    }

    #[test]
    fn a_panic_is_told_as_a_bug() {
        let (name, _) = check(async |n| if n == 1 { panic!("boom") } else { Ok(n) }, json!(1)).unwrap_err();
        assert_eq!(name, "Unexpected");
    }
}
