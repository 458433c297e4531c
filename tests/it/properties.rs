//! Inputs that nobody thought of, against the laws, where it takes the steps or the simulated AWS to judge them.
//!
//! The properties that the core can judge alone are in `core/tests/properties`.

mod laws;

mod doors;
mod inbox;
mod paths;
mod plans;
mod queues;
mod work_files;
