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
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        log::begin(&event.context.request_id);
        // Boxed: the future of a step is large, and this keeps it off the stack of the runtime's own.
        let done = async { step(read(event.payload)?).await }.boxed_local();
        let done = AssertUnwindSafe(done).catch_unwind().await;
        done.unwrap_or_else(|_| Err(panicked())).map_err(Reported::new)
    }))
    .await
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
