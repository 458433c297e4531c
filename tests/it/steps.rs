//! Whole restores in process: the real steps over the simulated S3 and CloudFront, in virtual time.
//!
//! The walk below does by hand what the state machine does; the local stack runs the state machine itself.

pub mod world;

mod adoption;
mod archives;
mod confirming;
mod distributions;
mod events;
mod faults;
mod folding;
mod history;
mod idempotency;
mod inbox;
mod jobs;
mod joining;
mod kinds;
mod lists;
mod paths;
mod planning;
mod poison;
mod preflight;
mod publish_only;
mod publishing;
mod rewrites;
mod tilde;
mod undescribed;
mod variants;
