//! The Lambdas' processes, and their sudden end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thaw_steps::Step;

use super::stack::stack;

/// A process of a function of this stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lambda {
    pub step: Step,
    pid: String,
    /// Hundredths of a second of CPU since it started: it grows only while the process works.
    worked: u64,
}

/// This stack's processes of one function.
pub fn lambdas(step: Step) -> Vec<Lambda> {
    all().into_iter().filter(|lambda| lambda.step == step).collect()
}

/// Kills it, without a chance to say goodbye.
pub fn kill(lambda: &Lambda) {
    // It may have ended by itself since it was seen.
    let _ = Command::new("kill").args(["-KILL", &lambda.pid]).stderr(Stdio::null()).status().expect("kill starts");
}

fn all() -> Vec<Lambda> {
    let here = format!("AWS_ENDPOINT_URL={}", stack().entry("endpoint_url"));
    let processes = fs::read_dir("/proc").expect("processes can be listed").flatten();
    processes.filter_map(|process| read(&process.path(), &here)).collect()
}

fn read(process: &Path, here: &str) -> Option<Lambda> {
    let environment = fs::read(process.join("environ")).ok()?;
    let environment: Vec<&str> =
        environment.split(|byte| *byte == 0).filter_map(|one| std::str::from_utf8(one).ok()).collect();
    let step = environment.iter().find_map(|one| Step::of_handler(one.strip_prefix("_HANDLER=")?))?;
    if !environment.contains(&here) {
        return None;
    }
    // After the name in brackets, which may hold blanks: state, ppid, …, utime and stime as the 12th and 13th.
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let mut times = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(str::parse::<u64>);
    let worked = times.next()?.ok()? + times.next()?.ok()?;
    Some(Lambda { step, pid: process.file_name()?.to_str()?.to_owned(), worked })
}

/// Goes round and kills Lambdas in the middle of their work, until it is stopped.
///
/// Each function's processes die one after the other, the first when it has done little, the next when it has done more:
/// a death in every stage of the work. As work counts the CPU's time, so a slow machine sees the same deaths.
pub struct Reaper {
    stopped: Arc<AtomicBool>,
    round: Option<JoinHandle<BTreeMap<&'static str, usize>>>,
}

/// Hundredths of a second of CPU after which a function's processes die. Starting takes three to four. There are fewer
/// deaths than the state machine has retries, so that what fails, fails for another reason.
const LIVES: [u64; 5] = [6, 8, 12, 20, 36];

/// The lives of a function's processes. Plan is retried three times, because what makes it die makes it die again.
fn lives(step: Step) -> &'static [u64] {
    if step == Step::Plan { &LIVES[..3] } else { &LIVES }
}

/// How often the processes are looked at.
const ROUND: Duration = Duration::from_millis(5);

impl Reaper {
    /// Begins its round. Those that are there already, from other work, end now.
    pub fn of(steps: &'static [Step]) -> Self {
        steps.iter().flat_map(|step| lambdas(*step)).for_each(|lambda| kill(&lambda));
        let stopped = Arc::new(AtomicBool::new(false));
        let over = stopped.clone();
        let round = thread::spawn(move || {
            let mut deaths: BTreeMap<&'static str, usize> = BTreeMap::new();
            let mut dead = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                for lambda in all().iter().filter(|lambda| steps.contains(&lambda.step)) {
                    let died = deaths.entry(lambda.step.name()).or_default();
                    let life = lives(lambda.step).get(*died);
                    if life.is_some_and(|life| lambda.worked >= *life) && dead.insert(lambda.pid.clone()) {
                        kill(lambda);
                        *died += 1;
                    }
                }
                thread::sleep(ROUND);
            }
            deaths
        });
        Self { stopped, round: Some(round) }
    }

    /// Ends it; answers how many of each function's processes died.
    pub fn stop(mut self) -> BTreeMap<&'static str, usize> {
        self.stopped.store(true, Ordering::Relaxed);
        self.round.take().expect("it is stopped once").join().expect("its round ends")
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
