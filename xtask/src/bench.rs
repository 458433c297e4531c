//! `cargo xtask bench`: how fast a function starts and S3 is asked beside others, what a restore costs of thaw itself, how
//! fast paths are folded and objects planned, and how long a whole archive takes.
//!
//! The measuring is done by programs of their own, so that this one stays quick to build: `bench/`,
//! `bench/restore/`, `tests/cost/` and `tests/delay/`. Here they are built and fed, and their tables kept.
//!
//! With `--smoke` all of them run in seconds, in the profile of the tests. `cargo xtask test` does that, so that no bench
//! stops working unseen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::archive_bench;
use crate::node;
use crate::python::python_env;
use crate::report::Mode;
use crate::stack::StackLocation;
use crate::up;
use crate::workspace::{cargo, root, run as run_command, target_dir};

/// What `bench` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Only these [default: all]
    only: Vec<Bench>,
    /// The smallest sizes, in seconds and in the profile of the tests: shows that a bench measures, holds no figure to an aim
    #[arg(long)]
    smoke: bool,
}

/// A bench.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// Cold start and calls of the Lambda binary, beside Rust, Python and Node functions that do the same
    Start,
    /// How fast S3 is asked for restores, beside other clients
    Restore,
    /// What thaw itself uses of AWS for a restore, counted and priced
    Cost,
    /// How long viewers wait for what S3 has restored, beside a fixed wait
    Delay,
    /// Time and memory of folding up to a million paths
    Fold,
    /// Time and memory of planning up to a million objects
    Plan,
    /// Memory of the states that see a whole chunk, for the largest chunk
    Look,
    /// A prefix of a hundred thousand objects on the local stack, while one call in a hundred fails
    Archive,
}

/// Where the archive bench boots its local stack: not where a stack for other things may be.
const ARCHIVE_PORT: u16 = 4700;

/// Runs the benches. Each fails when one of its aims is missed.
pub fn run(options: &Options) -> Result<()> {
    let mode = if options.smoke { Mode::Smoke } else { Mode::Full };
    run_all(&options.only, mode, ARCHIVE_PORT)
}

/// Runs every bench in its smallest size, the one on a local stack beside the stack that the tests use.
pub fn smoke(which: &StackLocation) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("the benches measure on Linux only: nothing to show here");
        return Ok(());
    }
    run_all(&[], Mode::Smoke, which.port.saturating_add(10))
}

fn run_all(only: &[Bench], mode: Mode, archive_port: u16) -> Result<()> {
    let dir = target_dir().join(mode.pick("bench", "bench-smoke"));
    fs::create_dir_all(&dir)?;
    if mode == Mode::Smoke {
        build_for_smoke()?;
    }
    let chosen = |bench: &&Bench| only.is_empty() || only.contains(bench);
    for bench in Bench::value_variants().iter().filter(chosen) {
        let begun = Instant::now();
        let name = bench.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let program = match bench {
            Bench::Start => Some(start(mode, &dir)?),
            Bench::Restore => Some(restore(mode, &dir)?),
            Bench::Cost => Some(example(mode, "cost")?),
            Bench::Delay => Some(example(mode, "delay")?),
            Bench::Fold => Some(of_itself(mode, "thaw-bench-fold")?),
            Bench::Plan => Some(of_itself(mode, "thaw-bench-plan")?),
            Bench::Look => Some(of_itself(mode, "thaw-bench-look")?),
            Bench::Archive => None,
        };
        if let Some(mut program) = program {
            program.args(mode.pick(None, Some(Mode::SMOKE)));
            kept(&mut program, &dir.join(format!("{name}.txt")))?;
        } else {
            archive_bench::run(mode, archive_port)?;
        }
        println!("({name}: {:.1} s)\n", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Builds what smoke runs use, exactly as the tests and the local stack build it: nothing is compiled for this alone.
fn build_for_smoke() -> Result<()> {
    up::build(false)?;
    run_command(&mut cargo(&["build", "--workspace", "--examples", "--locked"]))
}

/// A program of a package: as a deployed function is built, and built for smoke runs already.
fn built(mode: Mode, package: &str, program: &str) -> Result<PathBuf> {
    if mode == Mode::Full {
        run_command(&mut cargo(&["build", "--release", "--locked", "--package", package, "--bin", program]))?;
    }
    Ok(target_dir().join(mode.pick("release", "debug")).join(program))
}

/// A program that measures itself.
fn of_itself(mode: Mode, program: &str) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the peak of memory is read as Linux tells it");
    Ok(Command::new(built(mode, "thaw-bench", program)?))
}

/// A bench among the tests, which counts in virtual time.
fn example(mode: Mode, name: &str) -> Result<Command> {
    // As fast as worlds: one of them counts four restores of a hundred thousand objects.
    const PROFILE: &str = "worlds";
    if mode == Mode::Full {
        let package = ["--package", "thaw-tests", "--example", name];
        run_command(cargo(&["build", "--locked", "--profile", PROFILE]).args(package))?;
    }
    Ok(Command::new(target_dir().join(mode.pick(PROFILE, "debug")).join("examples").join(name)))
}

fn start(mode: Mode, dir: &Path) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the CPU time of other processes is read as Linux tells it");
    // One by one: built together, each would get the features that the others ask of what they share.
    let thaw = built(mode, "thaw-bootstrap", "bootstrap")?;
    let lean = built(mode, "thaw-bench-lean", "thaw-bench-lean")?;
    let mut bench = Command::new(built(mode, "thaw-bench", "thaw-bench")?);
    let handlers = root().join("bench/handlers");
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let node = node::node()?;
    bench.args([thaw, lean]);
    bench.args([python.program("python"), handlers.join("handler.py")]);
    bench.args([node, node_program(&handlers.join("node"), "index.mjs", "start")?, dir.to_owned()]);
    Ok(bench)
}

fn restore(mode: Mode, dir: &Path) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the memory of other processes is read as Linux tells it");
    let mut bench = Command::new(built(mode, "thaw-bench-restore", "thaw-bench-restore")?);
    let clients = root().join("bench/restore/clients");
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let others = python_env("bench-clients", &clients.join("requirements.lock"))?;
    let node = node::node()?;
    let script = node_program(&clients, "restore.mjs", "restore")?;
    fs::copy(clients.join("restore.py"), script.with_file_name("restore.py"))?;
    bench.arg("measure").args([python.program("python"), python.program("aws"), others.program("")]);
    bench.args([node, script, dir.to_owned()]);
    Ok(bench)
}

/// A Node program with its packages beside it, as a deployment has them.
fn node_program(source: &Path, script: &str, name: &str) -> Result<PathBuf> {
    let dir = target_dir().join("bench-node").join(name);
    node::install(source, &[script], &dir)?;
    Ok(dir.join(script))
}

/// Runs a bench, shows what it prints, and keeps that in a file.
fn kept(bench: &mut Command, file: &Path) -> Result<()> {
    let output = bench.stderr(Stdio::inherit()).output().context("cannot start the bench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    fs::write(file, text.as_bytes())?;
    println!("(kept in {})", file.display());
    ensure!(output.status.success(), "the bench ended with {}", output.status);
    ensure!(text.contains("\n|---"), "the bench has printed no table");
    if let Some(table) = table_without_commit(&text) {
        bail!("no line above this table tells which commit printed it: {table}");
    }
    Ok(())
}

/// The head of the first table that has no line with a commit between it and the table before it.
fn table_without_commit(text: &str) -> Option<&str> {
    let mut has_commit = false;
    let mut in_table = false;
    for line in text.lines() {
        let begins = line.starts_with('|') && !in_table;
        if begins && !has_commit {
            return Some(line);
        }
        in_table = line.starts_with('|');
        // `commit 1a2b3c4`, or `unknown commit`.
        has_commit = !in_table && (has_commit || line.contains("commit"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_commit_is_found() {
        let table = "| a | b |\n|---|---|\n| 1 | 2 |\n";
        for commit in ["commit 1a2b3c4", "commit 1a2b3c4 + changes", "unknown commit"] {
            let text = format!("Sizes; {commit}\n\n{table}\nAims, {commit}\n\n{table}");
            assert_eq!(table_without_commit(&text), None, "{text}");
        }
        assert_eq!(table_without_commit(table), Some("| a | b |"));
        let second = table.replace('a', "c");
        assert_eq!(table_without_commit(&format!("commit 1a2b3c4\n{table}\n{second}")), Some("| c | b |"));
    }
}
