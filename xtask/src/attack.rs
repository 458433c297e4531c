//! `cargo xtask attack`: the local stack under attack, with dying Lambdas, storms of errors, doubled events and crowds.

use anyhow::Result;

use crate::stack::{S3, StackLocation};
use crate::test::on_a_stack;
use crate::up;

/// Boots a stack with either S3 and attacks it. All of it is one suite: `tests/it/local_stack/attack.rs`.
pub fn run(which: &StackLocation) -> Result<()> {
    // Each attack scripts the whole simulator, so one comes after the other. Policies cost half of the emulator's time
    // and are tried on the other stack.
    let attacks = ["local_stack::attack", "--skip", "local_stack::attack::roles"];
    on_a_stack(&up::Options::at(which), &attacks, 1, || Ok(()))?;
    let guarded = up::Options { s3: S3::Ministack, auth: true, ..up::Options::at(which) };
    on_a_stack(&guarded, &["local_stack::attack::roles"], 1, || Ok(()))
}
