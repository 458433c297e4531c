//! `cargo xtask test`: every check there is, cheapest first, ending at the first that fails.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::dependencies;
use crate::python::python_env;
use crate::workspace::{cargo, on_path, root, run as run_command};

/// Runs every check.
pub fn run() -> Result<()> {
    let begun = Instant::now();
    step("format", || run_command(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("lints", || {
        run_command(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
    })?;
    step("documentation", || {
        run_command(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("template", template)?;
    step("dependencies", dependencies::check)?;
    step("tests", tests)?;
    step("tests in documentation", || run_command(&mut cargo(&["test", "--workspace", "--doc", "--locked"])))?;
    step("tests on the local stack", local_stack_tests)?;
    println!("\nall checks passed in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n=== {name}");
    let begun = Instant::now();
    check().map_err(|error| error.context(format!("{name} failed")))?;
    println!("=== {name}: passed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// The template, by two tools that know CloudFormation and common mistakes.
fn template() -> Result<()> {
    let python = python_env("infra-python", &root().join("infra/requirements.lock"))?;
    run_command(Command::new(python.program("cfn-lint")).arg("infra/template.yaml").current_dir(root()))?;
    let checkov = python.program("checkov");
    run_command(Command::new(checkov).args(["--config-file", "infra/checkov.yaml"]).current_dir(root()))
}

/// Everything but the local stack: many small tests, fast and in parallel.
fn tests() -> Result<()> {
    if on_path("cargo-nextest").is_some() {
        run_command(&mut cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--filterset",
            "not test(/^local_stack/)",
        ]))
    } else {
        run_command(&mut cargo(&["test", "--workspace", "--all-targets", "--locked", "--", "--skip", "local_stack"]))
    }
}

/// The same as a user would see it, on MiniStack with either S3. In one process, so that tests can share a stack.
fn local_stack_tests() -> Result<()> {
    run_command(&mut cargo(&["test", "--workspace", "--locked", "--test", "it", "local_stack"]))
}
