//! Deterministic simulation tests of thaw: the real workflow over the real steps, with faults, in virtual time.
//!
//! A [`world::World`] is data: a configuration, the actions of clients and others, and faults. A seed generates it.
//! [`simulation::run`] runs a world to its end in milliseconds, however many days that are, and checks [`promises`] all the
//! way against the model of S3 and CloudFront. Start reading at `simulation.rs`, then `promises.rs`.

// A simulation has one thread, so futures need not be `Send`.
#![allow(async_fn_in_trait, reason = "a simulation has one thread")]
#![allow(missing_debug_implementations, reason = "nobody prints a running simulation; it has a timeline")]

pub mod coverage;
pub mod deployment;
mod environment;
pub mod known_bug;
mod ledger_item;
pub mod promises;
mod rng;
mod runtime;
pub mod shrink;
pub mod simulation;
#[path = "../../it/contracts/template.rs"]
#[allow(dead_code, missing_docs, reason = "the contract tests use the rest of it")]
mod template;
pub mod workflow;
pub mod world;
