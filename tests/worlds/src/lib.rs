//! thaw's whole behaviour under faults: the real workflow over the real steps, in virtual time.
//!
//! A [`world::World`] is data: objects, what people do, and what goes wrong. [`stack::run`] runs it to its end in
//! milliseconds, however many days that are; [`check`] holds thaw's promises against what is true in the model of S3 and
//! CloudFront. One number decides all of it.

// A world has one thread: its futures need not be `Send`, so async functions in traits are fine.
#![allow(async_fn_in_trait, reason = "one thread, one world")]
#![allow(missing_debug_implementations, reason = "nobody prints a running world; its journal is for that")]

pub mod check;
pub mod coverage;
pub mod deployment;
pub mod known_bug;
pub mod rng;
pub mod runtime;
pub mod shrink;
pub mod stack;
#[path = "../../it/contracts/template.rs"]
#[allow(dead_code, missing_docs, reason = "the contracts need more of it")]
mod template;
pub mod wire;
pub mod workflow;
pub mod world;
