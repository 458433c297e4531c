//! What only tests, benches and the simulator use.

pub mod memory;
#[cfg(test)]
pub(crate) mod stack;
