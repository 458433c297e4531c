//! `cargo xtask test secrets`: no tracked file holds a secret, as detect-secrets sees it.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::python::python_env;
use crate::workspace::root;

/// Scans the files that git tracks.
pub fn check() -> Result<()> {
    let python = python_env("audit-python", &root().join("xtask/python/audit/requirements.lock"))?;
    let tracked = Command::new("git").arg("ls-files").current_dir(root()).output().context("cannot start git")?;
    ensure!(tracked.status.success(), "git ls-files ended with {}: this must be a clone", tracked.status);
    let mut scan = Command::new(python.program("python"))
        .arg("xtask/python/audit/find_secrets.py")
        .current_dir(root())
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start Python")?;
    scan.stdin.take().context("Python has no standard input")?.write_all(&tracked.stdout)?;
    let status = scan.wait()?;
    ensure!(status.success(), "find_secrets.py ended with {status}");
    Ok(())
}
