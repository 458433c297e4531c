//! A real browser for the console: for its tests, and for the picture of it in the README.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;

use crate::node;
use crate::stack::{Stack, StackLocation};
use crate::up;
use crate::workspace::{cargo, on_path, root, run, target_dir};

/// The names of Chromium and its relatives.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Drives the console in a browser. Where there is none and none can be installed, says so and does nothing; in CI that is an
/// error.
pub fn test_console() -> Result<()> {
    let Some(browser) = browser()? else {
        ensure!(std::env::var_os("CI").is_none(), "{NONE} CI never skips this check.");
        println!("skipped: {NONE}");
        return Ok(());
    };
    let scripts = scripts()?;
    let mut test = cargo(&["test", "--workspace", "--locked", "--features", "thaw-cli/browser"]);
    test.args(["--test", "it", "--", "console::browser::", "--nocapture"]);
    test.env("THAW_BROWSER", browser).env("THAW_BROWSER_SCRIPT", scripts.join("console.mjs"));
    run(test.env("THAW_BROWSER_SHOTS", scripts.join("shots")))
}

const NONE: &str = "there is no Chromium here, and only root on Debian can install one. Set THAW_BROWSER to a browser.";

/// Takes the picture of the README: a restore of photos and films, which S3 is bringing back on a local stack.
pub fn picture(which: &StackLocation) -> Result<()> {
    // Twelve hours take half a minute.
    const TIME_SCALE: u32 = 1_200;
    let Some(browser) = browser()? else { bail!("{NONE}") };
    let scripts = scripts()?;
    let (stack, _teardown) = up::up(&up::Options { time_scale: TIME_SCALE, ..up::Options::at(which) })?;
    put_photos_and_films(&stack)?;
    let thaw = |args: &[&str]| {
        let mut thaw = Command::new(target_dir().join("debug/thaw"));
        thaw.args(args).arg(format!("--local={}", which.dir().join("stack.json").display()));
        thaw
    };
    let uri = format!("s3://{}/2019/", stack.archive_bucket);
    let restore = thaw(&["restore", &uri, "--recursive", "--yes"]).stderr(Stdio::null()).output()?;
    let id = String::from_utf8(restore.stdout)?.trim().to_owned();
    ensure!(!id.is_empty(), "the restore was not started");
    let mut console = thaw(&["console"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let taken = (|| {
        let mut url = String::new();
        BufReader::new(console.stdout.take().context("stdout is piped")?).read_line(&mut url)?;
        let mut script = Command::new("node");
        script.arg(scripts.join("picture.mjs")).env("CONSOLE", url.trim()).env("ID", &id);
        run(script.env("BROWSER", &browser).env("FILE", root().join("docs/console.png")))
    })();
    console.kill()?;
    console.wait()?;
    taken
}

/// Photos in Flexible Retrieval, and a few films in Deep Archive, which S3 takes longer for.
fn put_photos_and_films(stack: &Stack) -> Result<()> {
    let s3 = stack.s3();
    let photos = (1..=72).map(|number| (format!("2019/photos/{number:03}.jpg"), "GLACIER", 600_000));
    let films = (1..=24).map(|number| (format!("2019/films/{number:02}.mp4"), "DEEP_ARCHIVE", 2_000_000));
    for (key, class, size) in photos.chain(films) {
        s3.put_object(&stack.archive_bucket, &key, &[("x-amz-storage-class", class)], &vec![0; size])?;
    }
    Ok(())
}

/// The folder with the scripts and their packages.
fn scripts() -> Result<PathBuf> {
    let dir = target_dir().join("console");
    node::install(&root().join("cli/tests/browser"), &["console.mjs", "picture.mjs"], &dir)?;
    Ok(dir)
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
