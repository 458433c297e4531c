//! Processes that outlive the command that starts them, and their orderly end.
//!
//! Each is the leader of its own session, so that neither Ctrl-C nor a closed terminal reaches it, and its group holds
//! everything it starts. The list of them is a file, written before anything else can fail.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How long a process may take to end after TERM before it is killed; the emulator can hang in a custom resource.
const GRACE: Duration = Duration::from_secs(5);

/// How long a program of ours may take to open its ports.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often a condition is looked at while we wait for it.
const POLL: Duration = Duration::from_millis(50);

/// Makes the starter the leader of a new session and then becomes the program: the pid stays, no helper remains.
/// `setsid` has no safe Rust form between fork and exec, and Python is there anyway.
const NEW_SESSION: &str = "import os, sys; os.setsid(); os.execvpe(sys.argv[1], sys.argv[1:], os.environ)";

/// A process that we started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    pub name: String,
    pub pid: i32,
    /// When it started, as the system tells it: a pid alone may by now belong to someone else.
    started: String,
}

/// What to start.
pub struct Start<'a> {
    pub name: &'a str,
    pub program: &'a Path,
    pub args: Vec<String>,
    /// The whole environment: nothing of ours is inherited.
    pub env: BTreeMap<String, String>,
    pub log: &'a Path,
    pub dir: &'a Path,
    pub python: &'a Path,
}

/// Starts a process in a session of its own, with its output in a log file.
pub fn start(what: &Start) -> Result<Process> {
    let log = File::create(what.log).with_context(|| format!("cannot write {}", what.log.display()))?;
    let child = Command::new(what.python)
        .args(["-S", "-E", "-c", NEW_SESSION])
        .arg(what.program)
        .args(&what.args)
        .env_clear()
        .envs(&what.env)
        .current_dir(what.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", what.name))?;
    let pid = i32::try_from(child.id()).context("a pid fits")?;
    let started = start_time(pid).with_context(|| format!("{} ended at once", what.name))?;
    Ok(Process { name: what.name.to_owned(), pid, started })
}

/// Waits until a process of ours writes `ready` into its log: it then serves all its ports.
pub fn wait_ready(process: &Process, log: &Path) -> Result<()> {
    let ready = || fs::read_to_string(log).is_ok_and(|text| text.lines().any(|line| line == "ready"));
    if !wait_until(READY_WITHIN, || ready() || !process.is_alive()) {
        bail!("{} is not ready within {} s", process.name, READY_WITHIN.as_secs());
    }
    ensure!(process.is_alive(), "{} ended while starting", process.name);
    Ok(())
}

impl Process {
    /// Whether it still runs, and is the one that we started.
    pub fn is_alive(&self) -> bool {
        // A child of this very command stays as a zombie until someone asks; of others this is an error we ignore.
        let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
        start_time(self.pid).is_some_and(|started| started == self.started)
    }

    fn signal(&self, signal: Signal) {
        // It may have ended since we looked: then there is nothing left to signal.
        let _ = killpg(Pid::from_raw(self.pid), signal);
    }
}

/// Ends the processes: TERM to all, and KILL to those that are still there after five seconds.
pub fn stop(processes: &[Process]) -> Result<()> {
    let mut alive: Vec<&Process> = processes.iter().filter(|process| process.is_alive()).collect();
    for process in &alive {
        process.signal(Signal::SIGTERM);
    }
    let gone = |alive: &mut Vec<&Process>| {
        alive.retain(|process| process.is_alive());
        alive.is_empty()
    };
    if wait_until(GRACE, || gone(&mut alive)) {
        return Ok(());
    }
    for process in &alive {
        process.signal(Signal::SIGKILL);
    }
    if !wait_until(GRACE, || gone(&mut alive)) {
        let names: Vec<_> = alive.iter().map(|process| format!("{} (pid {})", process.name, process.pid)).collect();
        bail!("still running after KILL: {}", names.join(", "));
    }
    Ok(())
}

/// Looks again and again until the condition holds; false if it did not before the deadline.
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > deadline {
            return false;
        }
        sleep(POLL);
    }
}

/// When the process started, in the system's own words; none if there is no such process (any more).
fn start_time(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") {
        // `pid (name) state ppid ... starttime ...`: the name may hold blanks, so count from its closing bracket.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        (fields[0] != "Z").then(|| fields[19].to_owned())
    } else {
        let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (state, started) = text.trim().split_once(' ')?;
        (!state.starts_with('Z')).then(|| started.trim().to_owned())
    }
}
