//! `cargo xtask`: the commands for people who work on thaw. One file per command.

mod archive;
mod aws;
mod cloudformation;
mod distribution;
mod down;
mod http;
mod ministack;
mod process;
mod python;
mod sign;
mod simulator;
mod stack;
mod teardown;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// thaw's commands for people who work on it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Boot the local stack and deploy thaw into it
    Up(up::Options),
    /// End the local stack
    Down(stack::Which),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Up(options) => up::run(&options),
        Command::Down(which) => down::run(&which),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
