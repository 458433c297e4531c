//! The release before this one, built from its commit: what a test of an upgrade begins with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::{self, cargo, root, target_dir};

/// The commit of the release before this one. Whoever changes what a release shares with the next one (the ledger, files in
/// the work bucket, inputs of the functions, names in the template) tests the upgrade from it.
const COMMIT: &str = "d1bcf467f1333c75e61b219cfd3441e7219f09d7";

/// The files of that release.
pub struct Earlier {
    /// The program of its functions.
    pub bootstrap: PathBuf,
    /// Its state machine's definition.
    pub definition: Vec<u8>,
    /// Its template.
    pub template: String,
}

/// Builds it. Dependencies that it shares with this one are compiled once for both.
pub fn build() -> Result<Earlier> {
    let folder = target_dir().join("earlier");
    let source = folder.join("source");
    let (done, bootstrap) = (folder.join("commit"), folder.join("bootstrap"));
    if fs::read_to_string(&done).is_ok_and(|commit| commit == COMMIT) {
        return read(&source, bootstrap);
    }
    println!("building the release before this one ({})", COMMIT.get(..12).unwrap_or(COMMIT));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&source)?;
    unpack(&source)?;
    rename(&source)?;
    // The same selection as `up::build` has, so that shared crates have the same features.
    let mut build = cargo(&["build", "--workspace", "--bin", "bootstrap", "--locked"]);
    workspace::run(build.current_dir(&source).env("CARGO_TARGET_DIR", target_dir()))?;
    fs::copy(target_dir().join("debug/bootstrap"), &bootstrap).context("cannot keep the earlier release's program")?;
    fs::write(done, COMMIT)?;
    read(&source, bootstrap)
}

fn read(source: &Path, bootstrap: PathBuf) -> Result<Earlier> {
    let text = |name: &str| fs::read_to_string(source.join(name)).with_context(|| format!("cannot read its {name}"));
    let definition = text("statemachine/thaw.asl.json")?.into_bytes();
    Ok(Earlier { bootstrap, definition, template: text("infra/template.yaml")? })
}

/// Gives its crates another version than ours. cargo tells crates apart by name, version and place in their workspace; ours would
/// otherwise be compiled into the same files as these, and be taken for up to date afterwards.
fn rename(source: &Path) -> Result<()> {
    const OURS: &str = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
    const ITS_OWN: &str = "version = \"0.0.0-earlier\"";
    for name in ["Cargo.toml", "Cargo.lock"] {
        let file = source.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let parts = text.split("\n[").map(|part| {
            match part.contains("name = \"thaw-")
                || part.contains("name = \"xtask\"")
                || part.starts_with("workspace.package]")
            {
                true => part.replace(OURS, ITS_OWN),
                false => part.to_owned(),
            }
        });
        fs::write(&file, parts.collect::<Vec<_>>().join("\n["))?;
    }
    Ok(())
}

/// The files of the commit.
fn unpack(folder: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["archive", "--format=tar", COMMIT]).current_dir(root()).stdout(Stdio::piped());
    let mut git = git.spawn().context("cannot start git")?;
    let packed = git.stdout.take().context("git has no output")?;
    let unpacked =
        Command::new("tar").args(["-x", "-C"]).arg(folder).stdin(packed).status().context("cannot start tar")?;
    ensure!(
        git.wait()?.success() && unpacked.success(),
        "this clone does not have commit {COMMIT}, the release before this one; `git fetch --unshallow` brings it"
    );
    Ok(())
}
