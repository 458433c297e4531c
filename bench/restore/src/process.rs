//! A client's process, and what it took.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

/// How often a process's memory is read. Linux keeps the peak, so only growth in the last moment is missed.
const LOOK: Duration = Duration::from_millis(10);

/// What processes took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    /// When the first of them ended.
    pub first_end_seconds: f64,
    /// Of the largest process.
    pub peak_mb: f64,
}

/// A program with its arguments.
#[derive(Clone)]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
}

impl Program {
    fn start(&self) -> Result<Child> {
        Command::new(&self.path)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }
}

/// Runs programs at once. No other child of this process may run meanwhile: CPU is that of all children.
pub fn run(programs: &[Program]) -> Result<Spent> {
    let (begun, before) = (Instant::now(), cpu_of_children()?);
    let mut children: Vec<Child> = programs.iter().map(Program::start).collect::<Result<_>>()?;
    let mut peak: f64 = 0.0;
    let (mut failed, mut first_end) = (None, None);
    while !children.is_empty() {
        let mut running = Vec::new();
        for mut child in children {
            peak = peak.max(peak_of(&child).unwrap_or_default());
            match child.try_wait()? {
                None => running.push(child),
                Some(status) => {
                    first_end.get_or_insert_with(|| begun.elapsed().as_secs_f64());
                    failed = failed.or(Some(status).filter(|status| !status.success()));
                }
            }
        }
        children = running;
        if !children.is_empty() {
            thread::sleep(LOOK);
        }
    }
    if let Some(status) = failed {
        bail!("{} ended with {status}", programs[0].path.display());
    }
    let cpu = cpu_of_children()? - before;
    Ok(Spent {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: cpu,
        first_end_seconds: first_end.unwrap_or_default(),
        peak_mb: peak,
    })
}

fn cpu_of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// In MB; nothing of a process that has ended.
fn peak_of(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kilobytes.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1_024.0)
}
