//! What we let in: `deny.toml` says it, cargo-deny checks it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{cargo, root, run, target_dir};

/// The version that `deny.toml` was written for.
const VERSION: &str = "0.20.2";

/// What `audit advisories` can be told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// A clone of RustSec's advisory-db whose branch main is asked instead of the one that RustSec publishes
    #[arg(long)]
    database: Option<PathBuf>,
}

/// Checks every crate of the lock file, apart from its advisories: their database is not in a package registry, and not every
/// machine reaches it.
pub fn check() -> Result<()> {
    let deny = cargo_deny()?;
    run(Command::new(deny)
        .args(["--all-features", "--locked", "check", "bans", "licenses", "sources"])
        .current_dir(root()))
}

/// Checks every crate of the lock files, that of the fuzz targets included, for advisories that `deny.toml` does not explain.
pub fn advisories(options: &Options) -> Result<()> {
    // Where cargo-deny looks if deny.toml names no other database.
    const PUBLISHED: &str = "https://github.com/RustSec/advisory-db";
    let deny = cargo_deny()?;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        println!("advisories for the crates of {manifest}");
        let mut check = Command::new(&deny);
        check.args(["--all-features", "--locked", "--manifest-path", manifest, "--config", "deny.toml"]);
        check.args(["check", "advisories"]).current_dir(root());
        if let Some(database) = &options.database {
            let database =
                fs::canonicalize(database).with_context(|| format!("--database: no folder {}", database.display()))?;
            // cargo-deny takes no URL without a host, so git fetches from the folder instead.
            check.env("GIT_CONFIG_COUNT", "1");
            check.env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display()));
            check.env("GIT_CONFIG_VALUE_0", PUBLISHED);
        }
        run(&mut check)?;
    }
    Ok(())
}

/// The program; compiled once.
fn cargo_deny() -> Result<PathBuf> {
    let tools = target_dir().join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.is_file() {
        println!("installing cargo-deny {VERSION} into {}, once", tools.display());
        // Compiled without optimisation: it runs for a second.
        let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "cargo-deny", "--version", VERSION]);
        run(install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", tools.join("build")))?;
    }
    Ok(deny)
}
