//! Node programs with exactly the locked packages, under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::sign::sha256_hex;
use crate::workspace::{on_path, run};

/// `node` itself.
pub fn node() -> Result<PathBuf> {
    on_path("node")
        .context("node is not on PATH; install Node 20 or later and npm (on Debian: apt-get install nodejs npm)")
}

/// Copies scripts and their lock file from a folder into another, with the packages beside them: Node looks for those where
/// the script is. Packages are installed once, by the hashes of the lock file, and without their own scripts.
pub fn install(source: &Path, scripts: &[&str], dir: &Path) -> Result<()> {
    node()?;
    fs::create_dir_all(dir)?;
    for file in ["package.json", "package-lock.json", ".npmrc"].iter().chain(scripts) {
        fs::copy(source.join(file), dir.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let stamp = dir.join("lock.sha256");
    let wanted = sha256_hex(&fs::read(dir.join("package-lock.json"))?);
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == wanted) {
        return Ok(());
    }
    println!("installing the Node packages of {} (once)", source.display());
    run(Command::new("npm").args(["ci", "--silent", "--ignore-scripts"]).current_dir(dir))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
