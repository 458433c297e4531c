//! `cargo xtask first-screen`: runs the README's first commands on a local stack, and writes what they print into the README.

use std::fs;
use std::io::{self, Read};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::demo::objects;
use crate::up::{self, up};
use crate::workspace::{root, target_dir};

/// The commands, without the path of the stack's file.
const COMMANDS: [&[&str]; 2] = [
    &["plan", "--local", "s3://thaw-archive/photos/2019/cat.jpg"],
    &["restore", "--local", "s3://thaw-archive/films/", "--recursive", "--wait", "--yes", "--quiet"],
];

/// What stands before and after the commands in the README.
const BEGIN: &str = "<!-- printed by cargo xtask first-screen -->\n```\n";
const END: &str = "```\n<!-- end -->\n";

/// Boots a stack, runs the commands, and takes the stack down.
pub fn run(options: &up::Options) -> Result<()> {
    let (stack, _teardown) = up(options)?;
    objects::put(&stack, &objects::all(stack.s3))?;
    let local = format!("--local={}", options.which.dir().join("stack.json").display());
    let mut screen = String::new();
    for args in COMMANDS {
        let given = args.iter().map(|arg| if *arg == "--local" { local.as_str() } else { arg });
        // Data and progress in their order, as a terminal has them.
        let (mut reader, writer) = io::pipe().context("cannot make a pipe")?;
        let mut command = Command::new(target_dir().join("debug/thaw"));
        command.args(given).env("TZ", "UTC").stdout(writer.try_clone().context("cannot make a pipe")?).stderr(writer);
        let mut started = command.spawn().context("cannot start thaw")?;
        drop(command);
        let mut printed = String::new();
        reader.read_to_string(&mut printed).context("thaw prints no text")?;
        let status = started.wait().context("thaw does not end")?;
        ensure!(status.success(), "thaw {} ended with {status}: {printed}", args.join(" "));
        screen += &format!("$ thaw {}\n{}\n", args.join(" "), printed.replace(&local, "--local"));
    }
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).context("cannot read README.md")?;
    fs::write(&readme, with_screen(&text, screen.trim_end())?).context("cannot write README.md")?;
    println!("{screen}");
    Ok(())
}

/// The README with another first screen.
fn with_screen(readme: &str, screen: &str) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).context("README.md has no place for the first screen")?;
    let (_, after) = rest.split_once(END).context("the first screen in README.md does not end")?;
    Ok(format!("{before}{BEGIN}{screen}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_of_the_readme_is_replaced_and_nothing_else() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let changed = with_screen(&readme, "$ thaw --version").unwrap();
        assert!(changed.contains("```\n$ thaw --version\n```\n"));
        let screen = readme.split_once(BEGIN).unwrap().1.split_once(END).unwrap().0.trim_end();
        assert_eq!(with_screen(&changed, screen).unwrap(), readme);
        assert!(with_screen("no screen", "").is_err());
    }
}
