//! thaw's whole behaviour under faults: the real workflow over the real steps, in virtual time.

// A world has one thread: its futures need not be `Send`, so async functions in traits are fine.
#![allow(async_fn_in_trait, reason = "one thread, one world")]

pub mod workflow;
