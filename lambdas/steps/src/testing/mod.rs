//! Used only by tests, benches and the simulator.

#[cfg(test)]
pub(crate) mod archive;
#[cfg(test)]
pub(crate) mod cdn;
pub mod memory;
#[cfg(test)]
pub(crate) mod stack;
