//! What we let in: `deny.toml` says it, cargo-deny checks it.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{cargo, root, run, target_dir};

/// The version that `deny.toml` was written for.
const VERSION: &str = "0.20.2";

/// Checks every crate of the lock file.
///
/// Advisories are left to those who can reach their database: `cargo deny check advisories`.
pub fn check() -> Result<()> {
    let tools = target_dir().join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.is_file() {
        println!("installing cargo-deny {VERSION} into {}, once", tools.display());
        // Compiled without optimisation: it runs for a second.
        let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "cargo-deny", "--version", VERSION]);
        run(install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", tools.join("build")))?;
    }
    run(Command::new(deny)
        .args(["--all-features", "--locked", "check", "bans", "licenses", "sources"])
        .current_dir(root()))
}
