//! `cargo xtask down`: ends a local stack and removes its files. Doing it twice is fine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::stack::{ProcessList, StackLocation};

/// Ends the stack and says so.
pub fn run(which: &StackLocation) -> Result<()> {
    let dir = which.dir();
    if !dir.exists() {
        println!("no local stack in {}: nothing to do", dir.display());
        return Ok(());
    }
    stop(&dir)?;
    println!("the local stack in {} is down", dir.display());
    Ok(())
}

/// Ends the processes that the folder lists, and removes the folder.
pub fn stop(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    // A folder given with `--dir` by mistake must survive.
    if !dir.join(MARK).exists() && fs::read_dir(dir)?.next().is_some() {
        bail!("{} is not the folder of a local stack; it is left alone", dir.display());
    }
    process::stop(&ProcessList::read(dir)?.processes)?;
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}

/// The file that marks a folder as ours to remove.
pub const MARK: &str = ".thaw-local-stack";
