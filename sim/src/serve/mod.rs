//! The model behind the wire protocols: S3, CloudFront's API, the edge that viewers ask, and S3's events.
//!
//! One [`Sim`](crate::Sim) behind a lock; every request reads the clock once and calls the model once. All servers listen on
//! 127.0.0.1 only, take any credentials and check none.

mod cloudfront;
mod cloudfront_xml;
mod control;
mod edge;
mod event_delivery;
mod event_queues;
mod http;
mod s3;
mod s3_control;
mod s3_documents;
mod s3_fields;
mod s3_http;
mod s3_model_answer;
mod s3_uploads;
mod server;
mod shared;
#[cfg(test)]
mod tests;

pub use event_queues::{CreatedRule, Queues};
pub use server::{Options, Server};
