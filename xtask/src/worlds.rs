//! `cargo xtask worlds` and `cargo xtask soak`: thaw's whole behaviour under faults, in virtual time (`tests/worlds`).

use anyhow::Result;
use clap::Args;

use crate::workspace::{cargo, run as run_command};

/// What `worlds` can be told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What to run: --seeds 0..10000, --seed 42 for one world and its timeline, --bugs for known bugs put back in;
    /// --help tells the rest
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// What `soak` can be told.
#[derive(Args, Clone, Debug)]
pub struct Soak {
    /// For how many hours
    #[arg(long)]
    hours: f64,
    /// The first world; those below 10000 are part of every test
    #[arg(long, default_value_t = 10_000)]
    from: u64,
}

/// Runs worlds.
pub fn run(options: &Options) -> Result<()> {
    worlds(&options.args)
}

/// Runs world after world.
pub fn soak(options: &Soak) -> Result<()> {
    let Soak { hours, from } = options;
    worlds(&["--hours".to_owned(), hours.to_string(), "--seeds".to_owned(), format!("{from}..{}", u64::MAX)])
}

/// The worlds that are part of every test, and that known bugs are found in them.
pub fn test() -> Result<()> {
    worlds(&["--seeds".to_owned(), "0..10000".to_owned()])?;
    worlds(&["--bugs".to_owned()])
}

fn worlds(args: &[String]) -> Result<()> {
    let mut command = cargo(&["run", "--profile", "worlds", "--locked", "--package", "thaw-worlds", "--"]);
    run_command(command.args(args))
}
