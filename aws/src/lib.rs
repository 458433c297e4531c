//! The ports of [`thaw_steps`] on AWS: the only crate that names an AWS SDK.
//!
//! | outside system | here | ports |
//! |---|---|---|
//! | S3, archive buckets | [`Archive`] | `ReadArchive`, `RequestRestores` |
//! | S3, configurations of archive buckets | [`Buckets`] | `ReadBuckets`, `PutNotifications` |
//! | S3, work bucket | [`WorkBucket`] | `WorkFiles`, `LongFiles` |
//! | S3 Batch Operations | [`NewJobs`], [`Jobs`] | `CreateJobs`, `ReadJobs`, `UpdateJobs` |
//! | CloudFront | [`Cdn`] | `ReadDistributions`, `DescribeDistributions`, `CreateInvalidations`, `ReadInvalidations` |
//! | DynamoDB | [`LedgerTable`] | `Ledger`, `ListRestores` |
//! | Step Functions | [`Executions`] | `StartExecutions`, `StopExecutions`, `ReadExecutions`, `ListExecutions` |
//! | EventBridge | [`Bus`] | `PutEvents` |
//! | SQS | [`Queue`], [`DeadLetterQueue`] | `ReceiveMessages`, `SendConfirmations`, `DeadLetters` |
//! | Lambda | [`Lambda`] | `ReadLambdaQuota` |
//! | CloudFormation | [`Stack`] | `ReadStack` |
//! | CloudFormation, which waits for an answer | [`Https`] | `HttpClient` of [`thaw_custom_resource`] |
//!
//! [`Clients`] makes each of them on request, over one connection pool.
//!
//! # What does this crate not do?
//!
//! It decides nothing. [`thaw_core`] says what an answer means, and [`thaw_steps`] what to do about it. Calls are
//! retried within seconds, as the SDK does; longer waits are left to the workflow.

mod buckets;
mod clients;
mod cloudformation;
mod cloudfront;
mod dynamodb;
mod error;
mod eventbridge;
mod https;
mod lambda;
mod s3;
mod s3control;
mod signed_get;
mod sqs;
mod step_functions;
mod work_bucket;

pub use buckets::Buckets;
pub use clients::{Clients, StartError};
pub use cloudformation::Stack;
pub use cloudfront::Cdn;
pub use dynamodb::LedgerTable;
pub use eventbridge::Bus;
pub use https::Https;
pub use lambda::Lambda;
pub use s3::Archive;
pub use s3control::{Jobs, NewJobs};
pub use sqs::{DeadLetterQueue, Queue};
pub use step_functions::Executions;
pub use work_bucket::WorkBucket;
