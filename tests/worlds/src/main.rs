//! Runs worlds: a range of them, one of them, or without end; and shows that known bugs are found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use thaw_worlds::check::Broken;
use thaw_worlds::deployment::Deployment;
use thaw_worlds::known_bug::KnownBug;
use thaw_worlds::shrink::shrunk;
use thaw_worlds::workflow::Workflow;
use thaw_worlds::world::World;
use thaw_worlds::{coverage, stack};

const WORKFLOW: &str = include_str!("../../../statemachine/thaw.asl.json");

/// Runs the real workflow over the real steps in made-up worlds, and holds thaw's promises against what is true there
#[derive(Parser)]
#[command(name = "worlds")]
struct Options {
    /// Which worlds, from the first up to but without the last
    #[arg(long, value_parser = range, default_value = "0..10000")]
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

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match ends {
        Some((from, to)) if from < to => Ok(from..to),
        _ => Err("must be two numbers, as in 0..10000, the smaller one first".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // A panic in a world is a broken promise, which is told with its timeline.
    std::panic::set_hook(Box::new(|_| {}));
    let well = if options.bugs {
        bugs()
    } else if let Some(seed) = options.seed {
        let bug = options.bug.and_then(|line| KnownBug::ALL.get(line.checked_sub(1)?).copied());
        Earth::new().explain(&World { known_bug: bug, ..World::from_seed(seed) })
    } else {
        many(&options)
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// ActionKind every world of a thread shares.
struct Earth {
    workflow: Rc<Workflow>,
    deployed: Rc<Deployment>,
}

/// ActionKind came of a world.
#[derive(Default)]
struct Outcome {
    broken: Vec<Broken>,
    reached: BTreeMap<String, u64>,
    journal: String,
}

impl Earth {
    fn new() -> Self {
        let workflow = Workflow::load(WORKFLOW).unwrap_or_else(|error| panic!("{error}"));
        Self { workflow: Rc::new(workflow), deployed: Rc::new(Deployment::from_template()) }
    }

    fn run(&self, world: &World, tell: bool) -> Outcome {
        let (workflow, deployed) = match world.known_bug.and_then(|bug| bug.workflow(WORKFLOW)) {
            None => (Rc::clone(&self.workflow), Rc::clone(&self.deployed)),
            Some(asl) => {
                (Rc::new(Workflow::load(&asl).unwrap_or_else(|error| panic!("{error}"))), Rc::clone(&self.deployed))
            }
        };
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let stack = stack::run(world, &workflow, &deployed, tell);
            let check = stack.check.borrow();
            Outcome { broken: check.broken.clone(), reached: check.reached.clone(), journal: stack.journal() }
        }));
        ran.unwrap_or_else(|panic| {
            let says = panic.downcast_ref::<String>().cloned();
            let says = says.or_else(|| panic.downcast_ref::<&str>().map(|says| (*says).to_owned()));
            let broken = Broken { promise: "no function panics", says: says.unwrap_or_default() };
            Outcome { broken: vec![broken], ..Outcome::default() }
        })
    }

    fn first_broken(&self, world: &World) -> Option<&'static str> {
        self.run(world, false).broken.first().map(|broken| broken.promise)
    }

    /// Tells the story of a world; of one that breaks a promise, that of the smallest like it. Whether all was well.
    fn explain(&self, world: &World) -> bool {
        let small = shrunk(world, |world| self.first_broken(world));
        let outcome = self.run(&small, true);
        println!("{}", serde_json::to_string_pretty(&small).unwrap_or_default());
        println!("\n{}", outcome.journal);
        for Broken { promise, says } in &outcome.broken {
            println!("broken: {promise}\n        {says}");
        }
        println!("\nagain: cargo xtask worlds --seed {}", world.seed);
        outcome.broken.is_empty()
    }
}

/// Runs worlds on all cores until one breaks a promise, or all are done.
fn many(options: &Options) -> bool {
    let jobs = options.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let until = options.hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3_600.0));
    let end = if until.is_some() { u64::MAX } else { options.seeds.end };
    let next = AtomicU64::new(options.seeds.start);
    let failed: Mutex<BTreeMap<&str, Vec<u64>>> = Mutex::default();
    let done = AtomicBool::new(false);
    let reached: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| {
                    let earth = Earth::new();
                    let mut mine = BTreeMap::<String, u64>::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let late = until.is_some_and(|until| Instant::now() >= until);
                        if seed >= end || late || done.load(Ordering::Relaxed) {
                            break;
                        }
                        let world = World::from_seed(seed);
                        let outcome = earth.run(&world, false);
                        // The same seed must be the same world, or nothing that was found could be found again.
                        let twice = seed.is_multiple_of(997) && earth.run(&world, false).reached != outcome.reached;
                        let promise = outcome.broken.first().map(|broken| broken.promise);
                        if let Some(promise) = promise.or(twice.then_some("a seed is one world"))
                            && let Ok(mut failed) = failed.lock()
                        {
                            failed.entry(promise).or_default().push(seed);
                            done.store(!options.all, Ordering::Relaxed);
                        }
                        for (what, times) in outcome.reached {
                            *mine.entry(what).or_default() += times;
                        }
                    }
                    if let Ok(mut reached) = reached.lock() {
                        for (what, times) in mine {
                            *reached.entry(what).or_default() += times;
                        }
                    }
                })
            })
            .collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::park_timeout(Duration::from_millis(50));
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                let count = next.load(Ordering::Relaxed) - options.seeds.start;
                eprintln!("{count} worlds, {:.0} s", begun.elapsed().as_secs_f64());
            }
        }
    });
    let count = next.load(Ordering::Relaxed).min(end) - options.seeds.start;
    let seconds = begun.elapsed().as_secs_f64();
    let failed = failed.into_inner().unwrap_or_default();
    for (promise, seeds) in &failed {
        let first: Vec<_> = seeds.iter().take(5).map(u64::to_string).collect();
        println!("after {count} worlds: {promise}: broken {} times, as in --seed {}", seeds.len(), first.join(", "));
    }
    if let Some(seed) = failed.values().flatten().next() {
        println!("\n");
        Earth::new().explain(&World::from_seed(*seed));
        return false;
    }
    let reached = reached.into_inner().unwrap_or_default();
    println!("what happened in them, and how often:");
    for (what, times) in &reached {
        println!("{times:>12}  {what}");
    }
    let last = options.seeds.start + count;
    println!(
        "\n{count} worlds, seeds {}..{last}: every promise kept, {seconds:.0} s on {jobs} threads",
        options.seeds.start
    );
    let missing = if count >= coverage::MIN_WORLDS { coverage::missing(&reached) } else { Vec::new() };
    for what in &missing {
        println!("never reached: {what}");
    }
    missing.is_empty()
}

/// Puts each known bug back in and looks for the first world that finds it.
fn bugs() -> bool {
    const WORLDS: u64 = 3_000;
    let earth = Earth::new();
    let mut all = true;
    println!("| bug | whose | found as | after worlds |\n|---|---|---|---|");
    for bug in KnownBug::ALL {
        let found = (0..WORLDS).find_map(|seed| {
            let world = World { known_bug: Some(bug), ..World::from_seed(seed) };
            earth.run(&world, false).broken.into_iter().next().map(|broken| (seed + 1, broken.promise))
        });
        let (what, whose) = bug.says();
        match found {
            Some((worlds, promise)) => println!("| {what} | {whose} | {promise} | {worlds} |"),
            None => {
                all = false;
                println!("| {what} | {whose} | **not found** | {WORLDS} |");
            }
        }
    }
    all
}
