//! The command `worlds`: runs many worlds, or one with its timeline, or shows that the known bugs are found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use thaw_worlds::coverage::{self, Coverage};
use thaw_worlds::deployment::Deployment;
use thaw_worlds::known_bug::KnownBug;
use thaw_worlds::promises::Violation;
use thaw_worlds::shrink::shrink;
use thaw_worlds::simulation::{self, Report};
use thaw_worlds::workflow::Workflow;
use thaw_worlds::world::World;

const WORKFLOW: &str = include_str!("../../../statemachine/thaw.asl.json");

/// Every so many worlds, one is run twice.
const REPEAT_INTERVAL: u64 = 997;

/// Runs the real workflow over the real steps in simulated worlds, and checks thaw's promises
#[derive(Parser)]
#[command(name = "worlds")]
struct Options {
    /// Which worlds, from the first up to but without the last
    #[arg(long, value_parser = seed_range, default_value = "0..10000")]
    seeds: Range<u64>,
    /// One world only, with its timeline
    #[arg(long)]
    seed: Option<u64>,
    /// World after world from the first seed on, for so many hours
    #[arg(long)]
    hours: Option<f64>,
    /// Threads [default: as many as there are cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after a broken promise, and list the first world of each
    #[arg(long)]
    all: bool,
    /// Put known bugs back in, one after the other, and show how they are found
    #[arg(long)]
    bugs: bool,
    /// With --seed: put the known bug of this line of the table back in
    #[arg(long)]
    bug: Option<usize>,
}

fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match ends {
        Some((from, to)) if from < to => Ok(from..to),
        _ => Err("must be two numbers, as in 0..10000, the smaller one first".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // A panic in a simulation is reported as a broken promise.
    std::panic::set_hook(Box::new(|_| {}));
    let is_success = if options.bugs {
        find_known_bugs()
    } else if let Some(seed) = options.seed {
        let known_bug = options.bug.and_then(|line| KnownBug::ALL.get(line.checked_sub(1)?).copied());
        Runner::new().explain(&World { known_bug, ..World::from_seed(seed) })
    } else {
        run_many(&options)
    };
    if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs worlds in one thread.
struct Runner {
    workflow: Rc<Workflow>,
    deployment: Rc<Deployment>,
}

impl Runner {
    fn new() -> Self {
        Self { workflow: Rc::new(load_workflow(WORKFLOW)), deployment: Rc::new(Deployment::from_template()) }
    }

    fn run(&self, world: &World, with_timeline: bool) -> Report {
        let workflow = match world.known_bug.and_then(|bug| bug.changed_workflow(WORKFLOW)) {
            None => Rc::clone(&self.workflow),
            Some(asl) => Rc::new(load_workflow(&asl)),
        };
        let report = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            simulation::run(world, &workflow, &self.deployment, with_timeline)
        }));
        report.unwrap_or_else(|panic| {
            let details = panic.downcast_ref::<String>().cloned();
            let details = details.or_else(|| panic.downcast_ref::<&str>().map(|details| (*details).to_owned()));
            let violation = Violation { promise: "no function panics", details: details.unwrap_or_default() };
            Report { violations: vec![violation], ..Report::default() }
        })
    }

    fn first_violation(&self, world: &World) -> Option<&'static str> {
        self.run(world, false).violations.first().map(|violation| violation.promise)
    }

    /// Prints a world and its timeline. A world that breaks a promise is shrunk first. Returns whether every promise holds.
    fn explain(&self, world: &World) -> bool {
        let smallest = shrink(world, |world| self.first_violation(world));
        let report = self.run(&smallest, true);
        println!("{}", serde_json::to_string_pretty(&smallest).unwrap_or_default());
        println!("\n{}", report.timeline);
        for Violation { promise, details } in &report.violations {
            println!("broken: {promise}\n        {details}");
        }
        println!("\nagain: cargo xtask worlds --seed {}", world.seed);
        report.violations.is_empty()
    }
}

fn load_workflow(asl: &str) -> Workflow {
    Workflow::load(asl).unwrap_or_else(|error| panic!("{error}"))
}

/// What the threads of [`run_many`] share.
struct Progress {
    next_seed: AtomicU64,
    end: u64,
    deadline: Option<Instant>,
    is_stopped: AtomicBool,
    /// By broken promise, the seeds of the worlds that break it.
    failures: Mutex<BTreeMap<&'static str, Vec<u64>>>,
    coverage: Mutex<Coverage>,
}

impl Progress {
    /// The seed to run next, unless the run is over.
    fn next_seed(&self) -> Option<u64> {
        let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        (seed < self.end && !is_late && !self.is_stopped.load(Ordering::Relaxed)).then_some(seed)
    }

    /// Runs worlds until the run is over.
    fn run_worlds(&self, go_on_after_failure: bool) {
        let runner = Runner::new();
        let mut coverage = Coverage::new();
        while let Some(seed) = self.next_seed() {
            let world = World::from_seed(seed);
            let report = runner.run(&world, false);
            // Without this a failure could not be reproduced.
            let is_repeatable =
                !seed.is_multiple_of(REPEAT_INTERVAL) || runner.run(&world, false).coverage == report.coverage;
            let promise = report.violations.first().map(|violation| violation.promise);
            if let Some(promise) = promise.or((!is_repeatable).then_some("a seed gives one run"))
                && let Ok(mut failures) = self.failures.lock()
            {
                failures.entry(promise).or_default().push(seed);
                self.is_stopped.store(!go_on_after_failure, Ordering::Relaxed);
            }
            merge(&mut coverage, report.coverage);
        }
        if let Ok(mut total) = self.coverage.lock() {
            merge(&mut total, coverage);
        }
    }
}

fn merge(total: &mut Coverage, coverage: Coverage) {
    for (event, count) in coverage {
        *total.entry(event).or_default() += count;
    }
}

/// Runs worlds on all cores until one breaks a promise, or all are done. Returns whether every promise holds and every
/// required event happened.
fn run_many(options: &Options) -> bool {
    let jobs = options.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let deadline = options.hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3_600.0));
    let start = options.seeds.start;
    let progress = Progress {
        next_seed: AtomicU64::new(start),
        end: if deadline.is_some() { u64::MAX } else { options.seeds.end },
        deadline,
        is_stopped: AtomicBool::new(false),
        failures: Mutex::default(),
        coverage: Mutex::default(),
    };
    let started_at = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| progress.run_worlds(options.all))).collect();
        let mut printed_at = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::park_timeout(Duration::from_millis(50));
            if printed_at.elapsed() > Duration::from_secs(20) {
                printed_at = Instant::now();
                let count = progress.next_seed.load(Ordering::Relaxed) - start;
                eprintln!("{count} worlds, {:.0} s", started_at.elapsed().as_secs_f64());
            }
        }
    });
    let count = progress.next_seed.load(Ordering::Relaxed).min(progress.end) - start;
    let seconds = started_at.elapsed().as_secs_f64();
    let failures = progress.failures.into_inner().unwrap_or_default();
    for (promise, seeds) in &failures {
        let first: Vec<_> = seeds.iter().take(5).map(u64::to_string).collect();
        println!("after {count} worlds: {promise}: broken {} times, as in --seed {}", seeds.len(), first.join(", "));
    }
    if let Some(seed) = failures.values().flatten().next() {
        println!("\n");
        Runner::new().explain(&World::from_seed(*seed));
        return false;
    }
    let coverage = progress.coverage.into_inner().unwrap_or_default();
    println!("what happened in them, and how often:");
    for (event, times) in &coverage {
        println!("{times:>12}  {event}");
    }
    let end = start + count;
    println!("\n{count} worlds, seeds {start}..{end}: every promise kept, {seconds:.0} s on {jobs} threads");
    let missing = if count >= coverage::MIN_WORLDS { coverage::missing(&coverage) } else { Vec::new() };
    for event in &missing {
        println!("never happened: {event}");
    }
    missing.is_empty()
}

/// Puts each known bug back in, and prints the first world that finds it. Returns whether all are found.
fn find_known_bugs() -> bool {
    const MAX_WORLDS: u64 = 3_000;
    let runner = Runner::new();
    let mut are_all_found = true;
    println!("| bug | whose | found as | after worlds |\n|---|---|---|---|");
    for bug in KnownBug::ALL {
        let found = (0..MAX_WORLDS).find_map(|seed| {
            let world = World { known_bug: Some(bug), ..World::from_seed(seed) };
            Some((seed + 1, runner.first_violation(&world)?))
        });
        let (description, projects) = bug.description();
        match found {
            Some((worlds, promise)) => println!("| {description} | {projects} | {promise} | {worlds} |"),
            None => {
                are_all_found = false;
                println!("| {description} | {projects} | **not found** | {MAX_WORLDS} |");
            }
        }
    }
    are_all_found
}
