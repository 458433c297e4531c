//! `cargo xtask bench`: how fast a function starts and S3 is asked beside others, what a restore costs of thaw itself, how
//! fast paths are folded and objects planned, and how long a whole archive takes.
//!
//! The measuring is done by programs of their own, so that this one stays quick to build: `bench/`,
//! `bench/restore/` and `tests/cost/`. Here they are built, fed and their tables kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::node;
use crate::python::python_env;
use crate::whole_archive;
use crate::workspace::{cargo, root, run as run_command, target_dir};

/// What `bench` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Only these [default: all]
    only: Vec<Bench>,
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

/// Runs the benches. Each fails when one of its aims is missed.
pub fn run(options: &Options) -> Result<()> {
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir)?;
    let chosen = |bench: &&Bench| options.only.is_empty() || options.only.contains(bench);
    for bench in Bench::value_variants().iter().filter(chosen) {
        match bench {
            Bench::Start => kept(&mut start(&dir)?, &dir.join("start.txt"))?,
            Bench::Restore => kept(&mut restore(&dir)?, &dir.join("restore.txt"))?,
            Bench::Cost => {
                // As fast as worlds: it counts four restores of a hundred thousand objects.
                let of_tests = ["--package", "thaw-tests", "--example", "cost"];
                let mut cost = cargo(&["run", "--quiet", "--locked", "--profile", "worlds"]);
                kept(cost.args(of_tests), &dir.join("cost.txt"))?;
            }
            Bench::Delay => {
                let mut delay = cargo(&["run", "--quiet", "--locked", "--package", "thaw-tests", "--example", "delay"]);
                kept(&mut delay, &dir.join("delay.txt"))?;
            }
            Bench::Fold => kept(&mut of_itself("thaw-bench-fold")?, &dir.join("fold.txt"))?,
            Bench::Plan => kept(&mut of_itself("thaw-bench-plan")?, &dir.join("plan.txt"))?,
            Bench::Look => kept(&mut of_itself("thaw-bench-look")?, &dir.join("look.txt"))?,
            Bench::Archive => whole_archive::run()?,
        }
    }
    Ok(())
}

/// A program that measures itself, built as a deployed function is.
fn of_itself(program: &str) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the peak of memory is read as Linux tells it");
    Ok(cargo(&["run", "--quiet", "--release", "--locked", "--package", "thaw-bench", "--bin", program]))
}

fn start(dir: &Path) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the CPU time of other processes is read as Linux tells it");
    // One by one: built together, each would get the features that the others ask of what they share.
    for package in ["thaw-bootstrap", "thaw-bench-lean", "thaw-bench"] {
        run_command(&mut cargo(&["build", "--release", "--locked", "--package", package]))?;
    }
    let built = |name: &str| target_dir().join("release").join(name);
    let handlers = root().join("bench/handlers");
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let node = node::node()?;
    let mut bench = Command::new(built("thaw-bench"));
    bench.args([built("bootstrap"), built("thaw-bench-lean")]);
    bench.args([python.program("python"), handlers.join("handler.py")]);
    bench.args([node, node_program(&handlers.join("node"), "index.mjs", &dir.join("node"))?, dir.to_owned()]);
    Ok(bench)
}

/// Rounds of the restore bench.
const ROUNDS: &str = "3";

fn restore(dir: &Path) -> Result<Command> {
    ensure!(cfg!(target_os = "linux"), "the memory of other processes is read as Linux tells it");
    run_command(&mut cargo(&["build", "--release", "--locked", "--package", "thaw-bench-restore"]))?;
    let clients = root().join("bench/restore/clients");
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let others = python_env("bench-clients", &clients.join("requirements.lock"))?;
    let node = node::node()?;
    let dir = dir.join("restore");
    let script = node_program(&clients, "restore.mjs", &dir)?;
    fs::copy(clients.join("restore.py"), dir.join("restore.py"))?;
    let mut bench = Command::new(target_dir().join("release/thaw-bench-restore"));
    bench.arg("measure").args([python.program("python"), python.program("aws"), others.program("")]);
    bench.args([node, script, dir]).arg(ROUNDS);
    Ok(bench)
}

/// A Node program with its packages beside it, as a deployment has them.
fn node_program(source: &Path, script: &str, dir: &Path) -> Result<PathBuf> {
    node::install(source, &[script], dir)?;
    Ok(dir.join(script))
}

/// Runs a bench, shows what it prints, and keeps that in a file.
fn kept(bench: &mut Command, file: &Path) -> Result<()> {
    let output = bench.stderr(Stdio::inherit()).output().context("cannot start the bench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    fs::write(file, text.as_bytes())?;
    println!("(kept in {})\n", file.display());
    ensure!(output.status.success(), "the bench ended with {}", output.status);
    Ok(())
}
