//! CloudFormation's protocol of custom resources: every event is answered, once and in time.
//!
//! CloudFormation calls a function with an event, and then waits for an HTTP PUT to the URL in the event. If nobody sends
//! it, the stack waits for `ServiceTimeout`, an hour by default. [`Responder::respond`] runs a [`CustomResource`] and
//! sends the answer, whatever happens: a success, a failure, a panic, an event that cannot be read, a function that runs
//! out of time, a URL that answers only at the third attempt.
//!
//! | word | meaning |
//! |---|---|
//! | event | what CloudFormation sends, in JSON, and what the resource gets of it ([`Event`]) |
//! | answer | what CloudFormation gets: `SUCCESS` with [`Data`], or `FAILED` with a reason |
//! | physical id | CloudFormation's name for what a resource made. A new one means a replacement ([`CustomResource::physical_id`]) |
//! | settled | a [`Reply`] is settled if running the resource again, seconds later, would give the same |
//!
//! Source: CloudFormation User Guide, "Custom resource reference" and "Custom resource request types".
//!
//! ```
//! use std::time::Duration;
//! use futures_util::FutureExt;
//! use serde_json::json;
//! use thaw_custom_resource::*;
//!
//! /// Makes nothing, and wants a name.
//! struct Greeting;
//!
//! impl CustomResource for Greeting {
//!     fn physical_id(&self, _: &Properties, _: Option<&str>) -> String {
//!         "greeting".to_owned()
//!     }
//!
//!     async fn handle(&self, event: &Event<'_>) -> Reply {
//!         match event {
//!             Event::Create { properties } | Event::Update { properties, .. } | Event::Replace { properties, .. } => {
//!                 match properties.text("Name") {
//!                     Ok(name) => Reply::done([("Greeting", format!("Hello, {name}"))]),
//!                     Err(wrong) => Reply::failed(wrong.to_string()),
//!                 }
//!             }
//!             Event::Delete { .. } => Reply::done([]),
//!         }
//!     }
//! }
//!
//! /// An HTTP client that prints what it would send.
//! struct Printer;
//!
//! impl HttpClient for Printer {
//!     async fn put(&self, answer: &Put) -> Result<u16, String> {
//!         println!("{}", String::from_utf8_lossy(answer.body()));
//!         Ok(200)
//!     }
//! }
//!
//! /// A clock that stands still.
//! struct Still;
//!
//! impl Clock for Still {
//!     fn now(&self) -> Duration {
//!         Duration::ZERO
//!     }
//!     async fn sleep(&self, _: Duration) {
//!         std::future::pending().await
//!     }
//! }
//!
//! let event = json!({
//!     "RequestType": "Create", "RequestId": "r", "StackId": "arn:aws:cloudformation:…", "LogicalResourceId": "Hello",
//!     "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/…?X-Amz-Signature=…",
//!     "ResourceProperties": {"Name": "CloudFormation"},
//! });
//! # let event = serde_json::from_str(&event.to_string().replace('…', "x")).unwrap();
//! let responder = Responder::new(Printer, Still, Hosts::Aws);
//! let outcome = responder.respond(&event, &Greeting, Duration::from_secs(60)).now_or_never().unwrap();
//! assert_eq!(outcome, Outcome::Answered(Status::Success));
//! ```
//!
//! # What does this crate not do?
//!
//! It has no HTTP client, no clock and no runtime: [`HttpClient`] and [`Clock`] are ports of some lines each. It logs by
//! `tracing`, and never the response URL, with which anyone can answer. It does not set `NoEcho`: put no secrets into
//! [`Data`]. It knows no waiting over several invocations: a resource has the time of one.
//!
//! A resource must be idempotent. Lambda may deliver an event twice, and to two processes.

// One event at a time on one thread: futures need not be `Send`.
#![allow(async_fn_in_trait, reason = "a Lambda function runs one event at a time")]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod answer;
mod properties;
mod request;
mod resource;
mod responder;
mod response_url;

pub use answer::{MAX_BODY_BYTES, Status};
pub use properties::{Properties, WrongProperty};
pub use resource::{CustomResource, Data, Event, Reply};
pub use responder::{Clock, HttpClient, Outcome, Put, Responder};
pub use response_url::Hosts;
