//! How a bench reports: which commit printed a table, and which aims are met.
//!
//! Every bench includes this file, the two among the tests and the one in `xtask` too.

#![allow(dead_code, reason = "no bench needs all of it")]

use std::process::Command;

/// Whether a bench measures, or only shows that it still can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The sizes of the README. An aim that is missed fails the bench.
    Full,
    /// The smallest sizes, in seconds. No figure is held to an aim: a small size on a busy machine says nothing.
    Smoke,
}

impl Mode {
    /// The argument that asks for [`Mode::Smoke`].
    pub const SMOKE: &'static str = "--smoke";

    /// The mode that the arguments ask for, and the other arguments.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> (Self, Vec<String>) {
        let (smoke, others): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg == Self::SMOKE);
        (if smoke.is_empty() { Self::Full } else { Self::Smoke }, others)
    }

    /// One value for each mode.
    pub fn pick<T>(self, full: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Smoke => smoke,
        }
    }

    /// The word in a table's last column.
    pub fn action(self, met: bool) -> &'static str {
        match (self, met) {
            (Self::Smoke, _) => "not held: smoke",
            (Self::Full, true) => "PASS",
            (Self::Full, false) => "FAIL",
        }
    }
}

/// A figure, and whether it is good enough.
pub struct Aim {
    pub says: String,
    pub measured: String,
    pub met: bool,
}

impl Aim {
    pub fn new(says: impl Into<String>, measured: impl Into<String>, met: bool) -> Self {
        Self { says: says.into(), measured: measured.into(), met }
    }

    /// The measured figure may be at most this.
    pub fn at_most(says: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self::new(says, format!("{measured:.2}"), measured <= limit)
    }
}

/// Prints the aims. Answers whether all are met; a smoke run meets them all.
pub fn print_aims(aims: &[Aim], mode: Mode) -> bool {
    println!("\nAims, {}\n\n| aim | measured | |\n|---|---:|---|", at_commit());
    for Aim { says, measured, met } in aims {
        println!("| {says} | {measured} | {} |", mode.action(*met));
    }
    mode == Mode::Smoke || aims.iter().all(|aim| aim.met)
}

/// `commit 1a2b3c4`, with `+ changes` if the tree has any; `unknown commit` where git does not tell.
pub fn at_commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]).filter(|commit| !commit.is_empty()) else {
        return "unknown commit".to_owned();
    };
    let changes = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    format!("commit {commit}{}", if changes { " + changes" } else { "" })
}

/// What git answers in this repository.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
