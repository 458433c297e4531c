//! The real template, workflow and Lambda binary on the local stack, asked by AWS's own clients.
//!
//! `cargo xtask test local-stack` boots a stack with either S3, runs these tests on it and takes it down. To run them on
//! a stack of your own: `cargo xtask up --auth`, then
//! `cargo test --workspace --features thaw-tests/local-stack --test it local_stack::both local_stack::sim`.
//! `cargo xtask attack` does the same with `local_stack::attack`, and `cargo xtask test upgrade` with `local_stack::upgrade`:
//! each needs a stack for itself.

mod client;
mod lambdas;
mod stack;

mod attack;
mod both;
mod sim;
mod upgrade;
