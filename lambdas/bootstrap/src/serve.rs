//! Serves one step: receives events, and reports errors under names that the state machine can match.

use std::fmt::{self, Debug, Formatter};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thaw_core::Problem;
use thaw_custom_resource::{Clock, CustomResource, HttpClient, Outcome, Responder};
use thaw_steps::StepError;
use thaw_steps::api::http::{Request, Response};

use crate::log;

/// The time at which Lambda ends the invocation.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(SystemTime);

impl Deadline {
    /// The time that is left.
    pub fn left(self) -> Duration {
        self.0.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

/// Serves a step of the workflow or of an event.
pub async fn serve<I, O>(step: impl AsyncFn(I) -> Result<O, StepError>) -> Result<(), Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let step = &step;
    serve_until(async |input, _| step(input).await).await
}

/// Serves a step that has to know its deadline.
pub async fn serve_until<I, O>(step: impl AsyncFn(I, Deadline) -> Result<O, StepError>) -> Result<(), Error>
where
    I: DeserializeOwned,
    O: Serialize,
{
    let step = &step;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        log::begin(&event.context.request_id);
        answer(step, event.payload, Deadline(event.context.deadline()))
    }))
    .await
}

async fn answer<I, O>(
    step: &impl AsyncFn(I, Deadline) -> Result<O, StepError>,
    payload: Value,
    deadline: Deadline,
) -> Result<O, Reported>
where
    I: DeserializeOwned,
{
    // Boxed, because the future of a step is large and would be on the stack of the runtime's own.
    let done = async { step(read(payload)?, deadline).await }.boxed_local();
    let done = AssertUnwindSafe(done).catch_unwind().await;
    done.unwrap_or_else(|_| Err(panicked())).map_err(Reported::new)
}

/// Serves a function of the HTTP API, which always answers.
pub async fn serve_http(handler: impl AsyncFn(&Request) -> Response) -> Result<(), Error> {
    let handler = &handler;
    serve(async |request: Request| Ok(handler(&request).await)).await
}

/// Serves a read-only function of the HTTP API. Shortly before the deadline it answers `too_late`, which gets the
/// seconds that it had.
pub async fn serve_http_in_time(
    handler: impl AsyncFn(&Request) -> Response,
    too_late: impl Fn(u64) -> Response,
) -> Result<(), Error> {
    let (handler, too_late) = (&handler, &too_late);
    serve_until(async |request: Request, deadline| Ok(in_time(handler(&request), too_late, deadline.left()).await))
        .await
}

async fn in_time(
    handler: impl Future<Output = Response>,
    too_late: impl Fn(u64) -> Response,
    left: Duration,
) -> Response {
    let time = left.saturating_sub(TIME_TO_ANSWER);
    tokio::time::timeout(time, handler).await.unwrap_or_else(|_| too_late(time.as_secs()))
}

/// Serves a custom resource of CloudFormation. An answer that could not be delivered is an error, so that Lambda delivers
/// the event again.
pub async fn serve_custom_resource<H: HttpClient>(
    resource: &impl CustomResource,
    responder: &Responder<H, TokioTime>,
) -> Result<(), Error> {
    serve_until(async |event: Value, deadline: Deadline| {
        match responder.respond(&event, resource, deadline.left()).await {
            Outcome::Answered(status) => Ok(format!("CloudFormation is answered: {status:?}")),
            Outcome::AnsweredBefore => Ok("CloudFormation was answered before".to_owned()),
            // It would be the same another time.
            Outcome::Unanswerable(why) => Ok(format!("CloudFormation cannot be answered: {why}")),
            Outcome::Undelivered(why) => {
                Err(StepError::Unavailable(format!("CloudFormation could not be answered: {why}")))
            }
        }
    })
    .await
}

/// The time of the runtime, for custom resources.
#[derive(Debug)]
pub struct TokioTime(tokio::time::Instant);

impl TokioTime {
    /// It begins now.
    pub fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TokioTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The time that is kept for the answer when a request is given up.
const TIME_TO_ANSWER: Duration = Duration::from_secs(3);

/// Deserialises the input here, because the runtime would report an error under the name of a Rust type.
fn read<I: DeserializeOwned>(payload: Value) -> Result<I, StepError> {
    I::deserialize(&payload)
        .map_err(|error| Problem::field("input", &payload, format!("cannot be read ({error}).")).into())
}

/// A panic is a bug and is reported like one. The panic hook has logged its message.
fn panicked() -> StepError {
    StepError::Unexpected("thaw panicked; its log says where".to_owned())
}

/// The error of a step as it is reported to Lambda.
struct Reported {
    name: &'static str,
    message: String,
}

impl Reported {
    /// Logs the error, because it leaves thaw here.
    fn new(error: StepError) -> Self {
        let (name, message) = (error.name(), error.to_string());
        tracing::error!(error.name = name, Errors = 1_u64, "{message}");
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
    use serde_json::json;

    use super::*;

    /// What is reported to Lambda about this step, which takes a number, with this payload.
    fn check(step: impl AsyncFn(u8) -> Result<u8, StepError>, payload: Value) -> Result<u8, (String, String)> {
        let step = async |input, _| step(input).await;
        let deadline = Deadline(SystemTime::now() + Duration::from_secs(60));
        let answer = answer(&step, payload, deadline).now_or_never().expect("nothing in here waits");
        answer.map_err(Diagnostic::from).map_err(|reported| (reported.error_type, reported.error_message))
    }

    #[test]
    fn a_step_answers() {
        assert_eq!(check(async |n| Ok(n + 1), json!(1)), Ok(2));
    }

    #[test]
    fn a_failure_is_reported_under_its_stable_name() {
        let failed = check(async |_| Err(StepError::Throttled("slower".to_owned())), json!(1));
        assert_eq!(failed, Err(("Throttled".to_owned(), "slower".to_owned())));
    }

    #[test]
    fn an_input_that_cannot_be_read_is_reported_as_a_bad_request() {
        let (name, says) = check(async |n| Ok(n), json!({"a": "b"})).unwrap_err();
        assert_eq!(name, "InvalidRequest");
        assert!(says.starts_with("input: cannot be read"), "{says}");
    }

    #[test]
    fn a_deadline_passes() {
        let now = SystemTime::now();
        assert!(Deadline(now + Duration::from_secs(60)).left() > Duration::from_secs(50));
        assert_eq!(Deadline(now - Duration::from_secs(1)).left(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_still_gets_an_answer() {
        let too_late = |seconds| Response::json(422, &seconds);
        let after = async |seconds| {
            let handler = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Response::json(200, &seconds)
            };
            let response = in_time(handler, too_late, Duration::from_secs(29)).await;
            (response.status_code, response.body)
        };
        assert_eq!(after(25).await, (200, "25".to_owned()));
        assert_eq!(after(27).await, (422, "26".to_owned()));
    }

    #[test]
    fn a_panic_is_reported_as_a_bug() {
        let (name, _) = check(async |n| if n == 1 { panic!("boom") } else { Ok(n) }, json!(1)).unwrap_err();
        assert_eq!(name, "Unexpected");
    }
}
