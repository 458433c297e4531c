//! `thaw`: plans, starts and watches restores through thaw's HTTP API, with the caller's own AWS credentials.
//!
//! Data goes to stdout, everything else to stderr. The exit code says how it ended: [`exit`].

mod address;
mod answers;
mod api;
mod args;
mod commands;
mod console;
mod context;
mod credentials;
mod doctor;
mod error;
mod exit;
mod http;
mod output;
mod selection;
mod shell;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let terminal = terminal::Terminal::new(&args.global);
    match commands::run(args, &terminal) {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal.error(&error.to_string());
            error.exit().into()
        }
    }
}
