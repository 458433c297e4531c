//! `cargo xtask`: the commands for people who work on thaw. One file per command.

mod archive_bench;
mod at_rest;
mod attack;
mod audit;
mod aws;
mod aws_check;
mod aws_cli;
mod bench;
mod browser;
mod cloudformation;
mod dashboard;
mod demo;
mod dependencies;
mod deploy;
mod distribution;
mod down;
mod earlier;
mod first_screen;
mod fuzz;
mod http;
mod lambda_zip;
mod ministack;
mod mutants;
mod node;
mod package;
mod picture;
mod policies;
mod process;
mod python;
mod question;
mod recorder;
mod release;
mod remove;
#[path = "../../bench/src/report.rs"]
mod report;
mod secrets;
mod sign;
mod simulator;
mod stack;
mod teardown;
#[path = "../../tests/it/contracts/template.rs"]
#[allow(dead_code, reason = "the contracts need more of it")]
mod template;
mod test;
mod untested;
mod up;
mod workflow;
mod workspace;
mod worlds;

use std::process::ExitCode;

use clap::Parser;

/// thaw's commands for people who work on it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Show thaw's main job on the local stack, from 403 to the bytes
    Demo(demo::Options),
    /// Run every check: format, lints, documentation, template, dependencies, all tests
    Test(test::Options),
    /// Attack the local stack: kill its Lambdas, fail its services, double its events, crowd its doors, try its roles
    ///
    /// A few minutes on a stack of its own. Passes if in the end every object is published, none was restored or
    /// invalidated twice, and every role is denied what lies next to its work; the exit code is the truth.
    Attack(stack::StackLocation),
    /// Audit what thaw lets others do, and what it lets in: its HTTP API, its crates
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Run thaw in simulated worlds: one, many, or with known bugs put back in
    Worlds(worlds::Options),
    /// Run world after world, for hours
    Soak(worlds::Soak),
    /// Boot the local stack and deploy thaw into it
    Up(up::Options),
    /// End the local stack
    Down(stack::StackLocation),
    /// Build what a deployment to AWS needs, for both architectures
    Package(package::Options),
    /// Put a release into an AWS account, after it has said in words what that changes
    ///
    /// Takes the folder of `cargo xtask package`, uploads it, makes a change set, shows what it would create, change, replace
    /// and remove, what each function may do and what it costs at rest, and asks.
    Deploy(deploy::Options),
    /// Remove a stack, after it has said what becomes of its restores, and what stays
    ///
    /// Switches termination protection off, shows what happens, and checks that buckets and distributions are as they were.
    Remove(remove::Options),
    /// Say what the stack costs in a month in which nothing is restored
    CostAtRest(at_rest::Options),
    /// Run the README's first commands on a local stack, and write what they print into it
    FirstScreen(up::Options),
    /// Draw what the demo printed: cargo xtask demo | cargo xtask picture > docs/demo.svg
    Picture,
    /// Take the picture of the console for the README, on a local stack: docs/console.png
    ConsolePicture(stack::StackLocation),
    /// Draw the dashboard of a local stack on which something was restored: docs/dashboard.svg
    DashboardPicture(stack::StackLocation),
    /// Break the code in a thousand small ways, and count what no test notices: hours on two cores
    Mutants(mutants::Options),
    /// Measure how fast a function starts, and what a restore costs of thaw itself
    Bench(bench::Options),
    /// Settle in an AWS account of yours what no document settles: docs/untested-on-aws.md
    ///
    /// Says what it costs and asks first; works in a bucket of its own and removes it again. The exit code is the truth.
    AwsCheck(aws_check::Options),
    /// Feed everything that others write with inputs that nobody thought of
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Attack(which) => attack::run(&which),
        Command::Audit(audit) => audit::run(&audit),
        Command::Worlds(options) => worlds::run(&options),
        Command::Soak(options) => worlds::soak(&options),
        Command::Up(options) => up::run(&options),
        Command::Down(which) => down::run(&which),
        Command::Package(options) => package::run(&options),
        Command::Deploy(options) => deploy::run(&options),
        Command::Remove(options) => remove::run(&options),
        Command::CostAtRest(options) => at_rest::run(&options),
        Command::FirstScreen(options) => first_screen::run(&options),
        Command::Picture => picture::run(),
        Command::ConsolePicture(which) => browser::picture(&which),
        Command::DashboardPicture(which) => dashboard::picture(&which),
        Command::Mutants(options) => mutants::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::AwsCheck(options) => aws_check::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Command::command().debug_assert();
    }
}
