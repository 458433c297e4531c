//! Cold start and calls of thaw's Lambda binary beside three functions that make the same call.
//!
//! The stand-in of the Lambda Runtime API is this process; DynamoDB is a stub behind TLS. The call is one strongly
//! consistent `GetItem` per event: thaw's function is `report-failure` for a restore that the ledger does not know, which
//! is just that. All variants run in turns, so that a noisy moment of the machine disturbs all of them.
//!
//! `cargo xtask bench start` builds the functions and calls this program. `cargo xtask package` calls it with `once` and a
//! program for Lambda, perhaps under an emulator: that it starts, and answers.

mod certificates;
mod dynamodb;
mod function;
mod http;
mod invoke;
mod report;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::dynamodb::DynamoDb;
use crate::invoke::{Sample, Variant};
use crate::report::Mode;

/// Turns that every variant takes, in full and in a smoke run.
const RUNS: (usize, usize) = (15, 1);

/// Events in one life of a function.
const EVENTS: u32 = 1 + invoke::WARM_CALLS;

fn main() -> Result<()> {
    let (mode, args) = Mode::from_args(std::env::args().skip(1));
    let runs = mode.pick(RUNS.0, RUNS.1);
    let args: Vec<PathBuf> = args.into_iter().map(PathBuf::from).collect();
    if let [once, work_dir, program, args @ ..] = args.as_slice()
        && once == Path::new("once")
    {
        return answers(&Variant { name: "the program", program: program.clone(), args: args.to_vec() }, work_dir);
    }
    let [thaw, lean, python, boto3, node, sdk_for_js, work_dir] = args.as_slice() else {
        bail!("started with other arguments than `cargo xtask bench start` does")
    };
    let dynamodb = DynamoDb::start(work_dir)?;
    let variant = |name, program: &Path, script: Option<&Path>| Variant {
        name,
        program: program.to_owned(),
        args: script.map(Path::to_owned).into_iter().collect(),
    };
    let variants = [
        variant("thaw", thaw, None),
        variant("Rust, least possible", lean, None),
        variant("Python, boto3", python, Some(boto3)),
        variant("Node, SDK v3", node, Some(sdk_for_js)),
    ];
    let mut samples = variants.each_ref().map(|_| Vec::<Sample>::new());
    for run in 0..=runs {
        for (variant, samples) in variants.iter().zip(&mut samples) {
            let sample = counted(variant, &dynamodb, work_dir)?;
            // The first turn reads the programs from the disk, which is not ours to measure.
            if run > 0 {
                samples.push(sample);
            }
        }
    }
    let names = variants.each_ref().map(|variant| variant.name);
    table::print(&names, &samples, runs);
    ensure!(report::print_aims(&table::aims(&samples), mode), "an aim is missed");
    Ok(())
}

/// One life of a function, in which it must ask DynamoDB once for each event.
fn counted(variant: &Variant, dynamodb: &DynamoDb, work_dir: &Path) -> Result<Sample> {
    let before = dynamodb.calls();
    let sample = invoke::once(variant, dynamodb, work_dir).with_context(|| format!("{} failed", variant.name))?;
    let calls = dynamodb.calls() - before;
    ensure!(calls == EVENTS, "{} made {calls} calls for {EVENTS} events", variant.name);
    Ok(sample)
}

/// Shows that thaw's binary starts and answers, with a call over TLS for each event.
fn answers(function: &Variant, work_dir: &Path) -> Result<()> {
    counted(function, &DynamoDb::start(work_dir)?, work_dir)?;
    println!("it started and answered {EVENTS} events, with a call over TLS for each");
    Ok(())
}
