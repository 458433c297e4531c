//! What takes an S3 with real waiting times, a CloudFront with a memory, and somebody who counts the calls.

mod adoption;
mod doors;
mod events;
mod faults;
mod jobs;
mod keys;
mod metrics;
mod paths;
mod tour;
