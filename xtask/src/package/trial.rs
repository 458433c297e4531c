//! Runs what was built for Lambda: natively, or under QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::architecture::Architecture;
use super::debian;
use crate::workspace::{cargo, run, target_dir};

/// Starts the Lambda binary under a stand-in of the Lambda Runtime API, lets it answer some events with a call of DynamoDB
/// over TLS each, and says so. `false` if this machine cannot run programs of this architecture; it says why.
pub fn run_function(program: &Path, architecture: Architecture) -> Result<bool> {
    let emulator = match emulator(architecture) {
        Ok(emulator) => emulator,
        Err(error) => {
            println!("{} is not run: no QEMU can be had from Debian ({error:#})", architecture.name());
            return Ok(false);
        }
    };
    // As `cargo xtask test` builds it, so that nothing is compiled twice.
    run(&mut cargo(&["build", "--workspace", "--locked", "--bin", "thaw-bench"]))?;
    let dir = target_dir().join("package-trial");
    fs::create_dir_all(&dir)?;
    let mut trial = Command::new(target_dir().join("debug/thaw-bench"));
    run(trial.arg("once").arg(dir).args(emulator).arg(program))?;
    Ok(true)
}

/// What stands before a program's name to run it here.
fn emulator(architecture: Architecture) -> Result<Vec<PathBuf>> {
    if cfg!(target_os = "linux") && architecture == Architecture::here() {
        return Ok(Vec::new());
    }
    let (library, root) = architecture.c_library();
    let qemu = format!("usr/bin/qemu-{}", architecture.emulated());
    let files = debian::unpacked(&[
        debian::Package { name: "qemu-user", pinned: None, members: &[&qemu] },
        debian::Package { name: library, pinned: None, members: &[root] },
    ])?;
    Ok(vec![files.join(qemu), PathBuf::from("-L"), files.join(root)])
}
