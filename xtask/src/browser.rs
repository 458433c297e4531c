//! A real browser for the console's tests, and the script that drives it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::node;
use crate::workspace::{cargo, on_path, root, run, target_dir};

/// The names of Chromium and its relatives.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Drives the console in a browser. Where there is none and none can be installed, says so and does nothing; in CI that is an
/// error.
pub fn test_console() -> Result<()> {
    let Some(browser) = browser()? else {
        if std::env::var_os("CI").is_some() {
            bail!(
                "there is no Chromium, and CI runs this check always. Install one (on Debian: apt-get install chromium)"
            );
        }
        println!(
            "skipped: there is no Chromium here, and only root on Debian can install one. Set THAW_BROWSER to a browser."
        );
        return Ok(());
    };
    run(&mut drive(browser, &[])?)
}

/// The command that runs the console's tests in this browser.
fn drive(browser: PathBuf, variables: &[(&str, PathBuf)]) -> Result<Command> {
    let dir = target_dir().join("console");
    node::install(&root().join("cli/tests/browser"), &["console.mjs"], &dir)?;
    let mut test = cargo(&["test", "--workspace", "--locked", "--features", "thaw-cli/browser"]);
    test.args(["--test", "it", "--", "console::browser::", "--nocapture"]);
    test.env("THAW_BROWSER", browser).env("THAW_BROWSER_SCRIPT", dir.join("console.mjs"));
    test.env("THAW_BROWSER_SHOTS", dir.join("shots")).envs(variables.iter().cloned());
    Ok(test)
}

/// A browser that is there, or that Debian has. `THAW_BROWSER` names another one.
fn browser() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("THAW_BROWSER") {
        return Ok(Some(PathBuf::from(named)));
    }
    let installed = || NAMES.into_iter().find_map(on_path);
    if let Some(browser) = installed() {
        return Ok(Some(browser));
    }
    if on_path("apt-get").is_none() || !Uid::effective().is_root() {
        return Ok(None);
    }
    println!("installing Chromium with apt-get (once)");
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    // The fonts are those of the pictures, so that they look alike everywhere.
    let packages = ["install", "--yes", "--quiet=2", "--no-install-recommends", "chromium", "fonts-dejavu-core"];
    run(Command::new("apt-get").args(packages).env("DEBIAN_FRONTEND", "noninteractive"))?;
    installed().map(Some).context("apt-get has installed Chromium, and it is not on PATH")
}
