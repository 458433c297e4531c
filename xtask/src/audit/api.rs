//! `cargo xtask audit api`: schemathesis calls the HTTP API of a local stack as `infra/openapi.json` describes it, and as
//! it forbids.
//!
//! Several processes, because schemathesis follows links in one thread only, and because a call of a function takes 50 ms on
//! MiniStack whatever the function does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::demo::objects;
use crate::python::{PythonEnv, python_env};
use crate::stack::{Stack, StackLocation};
use crate::up;
use crate::workspace::root;

/// What `audit api` can be told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub which: StackLocation,
    /// How many calls are made at least
    #[arg(long, default_value_t = 10_000)]
    pub cases: u32,
    /// What the calls are made up from
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
}

/// What one process of schemathesis does, until there were enough calls.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The examples of the file, and values at and beyond every limit; once, and then what `Fuzzing` does.
    Coverage,
    /// Random calls.
    Fuzzing,
    /// Random calls that go where the links of earlier answers lead.
    Stateful,
}

impl Phase {
    /// The processes that run side by side.
    const SIDE_BY_SIDE: [Self; 4] = [Self::Coverage, Self::Stateful, Self::Fuzzing, Self::Stateful];

    /// What a process does in a round.
    fn in_round(self, round: u32) -> Self {
        match (self, round) {
            (Self::Coverage, 0) => Self::Coverage,
            (Self::Coverage | Self::Fuzzing, _) => Self::Fuzzing,
            (Self::Stateful, _) => Self::Stateful,
        }
    }

    /// schemathesis's names for it, and how much a round does: calls per operation, or walks along links.
    fn arguments(self) -> [&'static str; 2] {
        match self {
            Self::Coverage => ["examples,coverage", "1"],
            Self::Fuzzing => ["fuzzing", "20"],
            Self::Stateful => ["stateful", "30"],
        }
    }
}

/// Boots a stack, calls its API, and looks at what came of the restores.
pub fn run(options: &Options) -> Result<()> {
    let python = python_env("api-python", &root().join("xtask/python/api/requirements.lock"))?;
    let (stack, teardown) = up::up(&up::Options { auth: true, ..up::Options::at(&options.which) })?;
    let tested = test(&stack, &python, &options.which.dir(), options).and_then(|()| settle(&stack));
    drop(teardown);
    tested
}

/// Calls the API until there were enough calls, or one of the processes has found something.
fn test(stack: &Stack, python: &PythonEnv, dir: &Path, options: &Options) -> Result<()> {
    let demo_objects = objects::all(stack.s3);
    objects::put(stack, &demo_objects)?;
    let keys: Vec<_> = demo_objects.iter().map(|demo_object| demo_object.key).collect();
    let (begun, calls, failed) = (Instant::now(), AtomicU32::new(0), AtomicBool::new(false));
    let rounds = |worker: u32, phase: Phase| -> Result<()> {
        for round in 0.. {
            let phase = phase.in_round(round);
            let process = Process { stack, python, dir, keys: &keys, name: format!("{worker}-{round}") };
            // Every round of every process has a seed of its own.
            let seed = options.seed.wrapping_mul(1_000_000).wrapping_add(worker * 10_000 + round);
            let made = process.run(phase, seed).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            let all = calls.fetch_add(made, Ordering::Relaxed) + made;
            println!("{:>6.0} s {all:>7} calls: {made} more of {phase:?}", begun.elapsed().as_secs_f64());
            if all >= options.cases || failed.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..).zip(Phase::SIDE_BY_SIDE).map(|(worker, phase)| scope.spawn(move || rounds(worker, phase))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    println!("{} calls, and none was answered otherwise than described", calls.into_inner());
    Ok(())
}

/// A process of schemathesis.
struct Process<'a> {
    stack: &'a Stack,
    python: &'a PythonEnv,
    dir: &'a Path,
    keys: &'a [&'a str],
    /// Of its files, in the stack's folder.
    name: String,
}

impl Process<'_> {
    /// Runs one phase; answers how many calls it made. Fails, with all that it said, if any was answered wrongly.
    fn run(&self, phase: Phase, seed: u32) -> Result<u32> {
        let Self { stack, python, dir, keys, name } = self;
        let file = |extension: &str| -> PathBuf { dir.join(format!("api-{name}.{extension}")) };
        let [phases, examples] = phase.arguments();
        let mut schemathesis = Command::new(python.program("schemathesis"));
        if let Phase::Stateful = phase {
            schemathesis.env("THAW_GO_FAR", "1");
        }
        let output = schemathesis
            .args(["--config-file", "schemathesis.toml", "run"])
            .arg(root().join("infra/openapi.json"))
            .args(["--url", &stack.api_url, "--phases", phases, "--max-examples", examples])
            .args(["--seed", &seed.to_string(), "--no-color"])
            .arg("--report-json-path")
            .arg(file("json"))
            .env("THAW_STACK", dir.join("stack.json"))
            .env("THAW_KEYS", keys.join(","))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(root().join("xtask/python/api"))
            .output()
            .context("cannot start schemathesis")?;
        fs::write(file("log"), [&output.stdout[..], &output.stderr].concat())?;
        if !output.status.success() {
            bail!("{}\nseed {seed}, {phases}: {}", String::from_utf8_lossy(&output.stdout), output.status);
        }
        let report = fs::read(file("json")).context("schemathesis wrote no report")?;
        let report: Value = serde_json::from_slice(&report)?;
        ensure!(report["complete"] == true, "schemathesis stopped before its end: {}", report["stop_reason"]);
        let made = report["test_cases"]["generated"].as_u64().context("a report without a number of calls")?;
        Ok(u32::try_from(made)?)
    }
}

/// What a busy machine may need for the last restores, in real time.
const PATIENCE: Duration = Duration::from_secs(600);

/// How an execution may end, besides well: a request that its plan refuses, and objects that cannot be restored. Every
/// other error would be a bug, or a missing permission.
const EXPECTED_ERRORS: [&str; 3] = ["InvalidRequest", "ObjectsFailed", "SomeObjectsFailed"];

/// Waits until every restore has ended, and looks for one that ended as none should.
fn settle(stack: &Stack) -> Result<()> {
    let begun = Instant::now();
    while !executions(stack, "RUNNING")?.is_empty() {
        ensure!(begun.elapsed() < PATIENCE, "restores still run after {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(500));
    }
    let ends = ["SUCCEEDED", "ABORTED"].map(|end| executions(stack, end).map(|all| (end, all.len())));
    for end in ends {
        let (end, count) = end?;
        ensure!(count > 0 || end == "ABORTED", "no restore succeeded, so the calls reached none");
        println!("{count:>7} restores ended as {end}");
    }
    let failed = executions(stack, "FAILED")?;
    println!("{:>7} restores ended as FAILED", failed.len());
    let mut errors = BTreeMap::<String, u32>::new();
    for arn in failed {
        let execution = states(stack, "DescribeExecution", &json!({"executionArn": arn}))?;
        let error = execution["error"].as_str().unwrap_or_default();
        ensure!(EXPECTED_ERRORS.contains(&error), "{arn} ended as none should: {error}: {}", execution["cause"]);
        *errors.entry(error.to_owned()).or_default() += 1;
    }
    errors.iter().for_each(|(error, count)| println!("{count:>14} of them with {error}"));
    Ok(())
}

/// The executions with this status.
fn executions(stack: &Stack, status: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut query = json!({"stateMachineArn": stack.state_machine_arn, "statusFilter": status, "maxResults": 1000});
    loop {
        let page = states(stack, "ListExecutions", &query)?;
        let arns = page["executions"].as_array().into_iter().flatten();
        found.extend(arns.filter_map(|execution| execution["executionArn"].as_str().map(str::to_owned)));
        match page.get("nextToken").filter(|token| token.is_string()) {
            Some(token) => query["nextToken"] = token.clone(),
            None => return Ok(found),
        }
    }
}

fn states(stack: &Stack, operation: &str, body: &Value) -> Result<Value> {
    stack.aws().json("states", &format!("AWSStepFunctions.{operation}"), body)
}
