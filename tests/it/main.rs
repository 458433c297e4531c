//! thaw's integration tests: one binary, so that the dependencies are linked once.

mod contracts;
mod openapi;
mod steps;
