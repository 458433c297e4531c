//! Where things are, and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The workspace's root: the folder above this crate.
pub fn root() -> PathBuf {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let xtask = if here.ends_with("xtask") { here } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")) };
    xtask.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Cargo's target directory; everything that xtask makes lies in it too, so deleting it forgets all.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A cargo command of this toolchain, in the workspace's root.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = command_that_builds(&PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    command.args(args);
    command
}

/// A program that calls cargo, in the workspace's root.
pub fn command_that_builds(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    // What `cargo run` or `cargo test` told us about one package must not leak into the builds that we start: some build
    // scripts (ring's) run again when it changes, and half of the AWS SDK with them.
    const ABOUT_A_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if ABOUT_A_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command with its output shown, and makes its failure ours.
pub fn run(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!("`{name} {}` ended with {status}", args.join(" "));
    }
    Ok(())
}

/// Whether a program of this name can be started from PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}
