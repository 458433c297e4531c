//! Whole restores in process: the real steps over the simulated S3 and CloudFront, in virtual time.
//!
//! The walk below does by hand what the state machine does; the local stack runs the state machine itself.

mod world;

mod adoption;
mod faults;
mod history;
mod joining;
mod kinds;
mod poison;
mod publishing;
