//! thaw's integration tests: one binary, so that the dependencies are linked once.

mod contracts;
#[cfg(feature = "local-stack")]
mod local_stack;
mod openapi;
mod properties;
mod steps;
