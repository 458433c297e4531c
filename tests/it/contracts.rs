//! State machine, template and code name the same things in three languages. These tests hold them together.

mod closed;
mod end_of_support;
mod environments;
mod house;
mod layers;
mod limits;
mod metrics;
mod names;
mod order;
pub mod parameters;
mod permissions;
mod retriers;
mod stack;
#[allow(dead_code, reason = "the commands that deploy need more of it")]
mod template;
mod terraform;
pub mod workflow;
