//! What each command does.

mod adopt;
mod doctor;
pub mod follow_up;
mod history;
mod invalidate;
pub mod open;
mod paths;
mod plan;
pub mod restore;
mod status;
mod wait;

use clap::CommandFactory;
use jiff::tz::TimeZone;

use crate::args::{Args, Command};
use crate::console;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::terminal::Terminal;

/// Runs the command.
pub fn run(args: Args, terminal: &Terminal) -> Result<Exit, Error> {
    let context = Context { global: &args.global, terminal, form: args.global.output, zone: TimeZone::system() };
    match args.command {
        Command::Plan(args) => plan::run(&args, &context),
        Command::Restore(args) => restore::run(&args, &context),
        Command::Status(args) => status::run(&args.id, &context),
        Command::Wait(args) => wait::run(&args, &context),
        Command::Ls(args) => history::restores(&args, &context),
        Command::Objects(args) => history::objects(&args, &context),
        Command::Cancel(args) => status::cancel(&args.id, &context),
        Command::Retry(args) => follow_up::retry(&args, &context),
        Command::Expedite(args) => follow_up::expedite(&args, &context),
        Command::Extend(args) => follow_up::extend(&args, &context),
        Command::Paths(args) => paths::run(&args, &context),
        Command::Invalidate(args) => invalidate::run(&args, &context),
        Command::Open(args) => open::run(&args, &context),
        Command::Adopt(args) => adopt::run(&args, &context),
        Command::Console(args) => console::run(&args, &context),
        Command::Doctor(args) => doctor::run(&args, &context),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "thaw", &mut script);
            output::text(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Args::command()).render(&mut page);
            rendered.map_err(|error| Error::Failed(error.to_string()))?;
            output::text(&String::from_utf8_lossy(&page))?;
            Ok(Exit::Done)
        }
    }
}
