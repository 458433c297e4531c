//! Folding: time and memory of [`thaw_core::fold`] for ten thousand, a hundred thousand and a million paths.
//!
//! Each line is measured in a process of its own, so that no line works in memory that another left behind. The time is
//! that of the CPU: folding has one thread and waits for nothing.
//!
//! `cargo xtask bench fold` calls this program.

mod brute_force;
mod memory;
mod report;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::time::ClockId;
use thaw_core::{Neighbours, fold};

use crate::memory::memory;
use crate::report::{Aim, Mode, at_commit, print_aims};

/// Paths that are folded, in full and in a smoke run.
const COUNTS: (&[usize], &[usize]) = (&[10_000, 100_000, 1_000_000], &[1_000, 2_000]);

/// So many of five objects are neighbours.
const NEIGHBOURS: usize = 4;

/// Folders of so many objects.
const FOLDER: usize = 100;

/// Of so many foldings the median time is shown, in full and in a smoke run.
const RUNS: (usize, usize) = (5, 1);

/// Random buckets that are compared with all ways to fold them, in full and in a smoke run.
const BUCKETS: (usize, usize) = (20_000, 500);

/// Aims for a million paths: seconds, and MB beyond the paths themselves.
const SECONDS: f64 = 2.0;
const MEGABYTES: f64 = 100.0;

/// A path among a million may take so many times what one of ten thousand takes, which the CPU's caches hold.
const GROWTH: f64 = 3.0;

/// What is restored of a bucket, and what may be covered.
struct Shape {
    says: &'static str,
    /// Whether an object is restored, by its number.
    restored: fn(usize) -> bool,
    /// Whether the others can be read.
    readable: bool,
    max_over: u32,
}

const SHAPES: [Shape; 6] = [
    Shape { says: "whole folders", restored: |number| chosen(number / FOLDER), readable: false, max_over: 0 },
    Shape { says: "one object in five", restored: chosen, readable: false, max_over: 0 },
    Shape { says: "one object in five", restored: chosen, readable: true, max_over: 100 },
    Shape { says: "one object in five", restored: chosen, readable: true, max_over: 10_000 },
    Shape { says: "folders with holes", restored: with_holes, readable: true, max_over: 100 },
    Shape { says: "folders with holes", restored: with_holes, readable: true, max_over: 10_000 },
];

/// One number in five, scattered.
fn chosen(number: usize) -> bool {
    scatter(number).is_multiple_of(1 + NEIGHBOURS)
}

/// One folder in five, but for one of its objects in fifty.
fn with_holes(number: usize) -> bool {
    chosen(number / FOLDER) && !scatter(number + 1).is_multiple_of(50)
}

/// A number that looks like any (the finalizer of SplitMix64).
fn scatter(number: usize) -> usize {
    let mixed = (number as u64 ^ (number as u64 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) as usize
}

fn main() -> Result<()> {
    let (mode, args) = Mode::from_args(std::env::args().skip(1));
    match args.as_slice() {
        [] => measure_all(mode),
        [shape, count, runs] => measure(&SHAPES[shape.parse::<usize>()?], count.parse()?, runs.parse()?),
        _ => anyhow::bail!("started with other arguments than `cargo xtask bench fold` does"),
    }
}

/// Prints one line's figures, parted by spaces.
fn measure(shape: &Shape, count: usize, runs: usize) -> Result<()> {
    let [paths, others] =
        [true, false].map(|restored| Paths::new(count, |number| (shape.restored)(number) == restored));
    let [paths, others] = [&paths, &others].map(Paths::list);
    let (archived, readable): (&[&str], &[&str]) = if shape.readable { (&[], &others) } else { (&others, &[]) };
    let neighbours = Neighbours { listed: &["/archive/"], archived, readable };

    let before = memory("VmRSS:")?;
    std::fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")?;
    let folded = fold(&paths, &neighbours, shape.max_over)?;
    let megabytes = memory("VmHWM:")? - before;
    let mut times = vec![Duration::ZERO; runs];
    for time in &mut times {
        let start = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?);
        let again = fold(&paths, &neighbours, shape.max_over)?;
        *time = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?) - start;
        ensure!(again.billed() == folded.billed(), "the same paths fold in two ways");
    }
    times.sort_unstable();
    let milliseconds = times[runs / 2].as_secs_f64() * 1_000.0;
    let (billed, wildcards, over) = (folded.billed(), folded.wildcards(), folded.over());
    println!("{} {} {billed} {wildcards} {over} {milliseconds} {megabytes}", paths.len(), others.len());
    Ok(())
}

/// Prints the table and the aims. Fails if one is missed.
fn measure_all(mode: Mode) -> Result<()> {
    let (counts, runs) = (mode.pick(COUNTS.0, COUNTS.1), mode.pick(RUNS.0, RUNS.1));
    let commit = at_commit();
    println!(
        "CPU time: the median of {runs}; MB: beyond the paths and neighbours; `cargo xtask bench fold`, {commit}\n"
    );
    println!(
        "| restored | max_over | paths | neighbours | billed | wildcards | over | CPU ms | ns per path and neighbour | MB |"
    );
    println!("|---|{}", "---:|".repeat(9));
    let (mut slowest, mut largest, mut growth) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (index, shape) in SHAPES.iter().enumerate() {
        let mut first = None;
        for &count in counts {
            let args = [index, count, runs].map(|number| number.to_string());
            let output = Command::new(std::env::current_exe()?).args(args).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let output = String::from_utf8(output.stdout)?;
            let figures: Vec<f64> = output.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            let [paths, neighbours, billed, wildcards, over, milliseconds, megabytes] = figures[..] else {
                anyhow::bail!("a line has other figures: {output}")
            };
            let objects = (count * (1 + NEIGHBOURS)) as f64;
            ensure!(paths > 0.0 && paths + neighbours == objects, "{paths} and {neighbours} of {objects} were folded");
            ensure!(wildcards <= billed && billed <= paths, "{paths} paths are billed as {billed}");
            let nanoseconds = milliseconds * 1e6 / (paths + neighbours);
            let Shape { says, max_over, .. } = shape;
            println!(
                "| {says} | {max_over} | {paths} | {neighbours} | {billed} | {wildcards} | {over} | {milliseconds:.1} | {nanoseconds:.0} | {megabytes:.1} |"
            );
            if shape.max_over == 0 {
                growth = growth.max(nanoseconds / *first.get_or_insert(nanoseconds));
                slowest = slowest.max(milliseconds / 1_000.0);
            }
            largest = largest.max(megabytes);
        }
    }
    println!();
    brute_force::compare(mode.pick(BUCKETS.0, BUCKETS.1))?;
    let aims = [
        Aim::at_most(format!("a million paths fold in under {SECONDS} s"), slowest, SECONDS),
        Aim::at_most(format!("in under {MEGABYTES} MB, also over readable neighbours"), largest, MEGABYTES),
        Aim::at_most(
            format!("a path takes at most {GROWTH} times as long among a hundred times as many"),
            growth,
            GROWTH,
        ),
    ];
    ensure!(print_aims(&aims, mode), "an aim is missed");
    Ok(())
}

/// Paths in one piece of memory, as a listing would keep them.
struct Paths {
    text: String,
    ends: Vec<usize>,
}

impl Paths {
    /// Those that are wanted of five times as many objects as paths are to be folded.
    fn new(count: usize, is_wanted: impl Fn(usize) -> bool) -> Self {
        let mut paths = Self { text: String::new(), ends: Vec::new() };
        for number in (0..count * (1 + NEIGHBOURS)).filter(|number| is_wanted(*number)) {
            let (folder, file) = (number / FOLDER, number % FOLDER);
            paths.text.push_str(&format!("/archive/2019/event-{folder:05}/IMG_{file:04}.jpg"));
            paths.ends.push(paths.text.len());
        }
        paths
    }

    fn list(&self) -> Vec<&str> {
        let starts = [0].iter().chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.text[*start..*end]).collect()
    }
}
