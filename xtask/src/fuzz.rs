//! `cargo xtask fuzz`: inputs that nobody thought of, for a while. `fuzz/README.md` says which.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::{cargo, root, run as run_command, target_dir};

/// The version that this file was written for.
const VERSION: &str = "0.13.2";

/// Every target, as `fuzz/Cargo.toml` names them.
const TARGETS: [&str; 9] =
    ["request", "http_request", "s3_event", "restore_header", "distribution", "glob", "manifest", "inventory", "inbox"];

/// What `fuzz` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Only this target [default: all, one after the other]
    target: Option<String>,
    /// Seconds for each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs the targets, ending at the first that breaks a law.
pub fn run(options: &Options) -> Result<()> {
    if let Some(unknown) = options.target.as_deref().filter(|target| !TARGETS.contains(target)) {
        bail!("there is no target {unknown}; there are {}", TARGETS.join(", "));
    }
    let tools = target_dir().join("tools");
    let fuzzer = tools.join("bin/cargo-fuzz");
    if !fuzzer.is_file() {
        println!("installing cargo-fuzz {VERSION} into {}, once", tools.display());
        let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "cargo-fuzz", "--version", VERSION]);
        run_command(install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", tools.join("build")))?;
    }
    let dir = root().join("fuzz");
    for target in TARGETS.iter().filter(|target| options.target.as_deref().is_none_or(|only| only == **target)) {
        println!("\n=== {target}");
        let (corpus, seeds) = (dir.join("corpus").join(target), dir.join("seeds").join(target));
        std::fs::create_dir_all(&corpus)?;
        run_command(
            Command::new(&fuzzer)
                // A sanitizer takes a nightly compiler. The target directory is passed on, or it would be one of its own.
                .args(["run", "--sanitizer", "none", "--fuzz-dir"])
                .arg(&dir)
                .arg("--target-dir")
                .arg(target_dir().join("fuzz"))
                .arg(target)
                .args([corpus, seeds])
                .arg("--")
                // Sizes that AWS lets through are the properties' business; many small inputs find more.
                .args(["-max_len=4096", "-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1"])
                .arg(format!("-max_total_time={}", options.seconds))
                .current_dir(&dir),
        )?;
    }
    Ok(())
}
