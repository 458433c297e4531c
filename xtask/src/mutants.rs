//! `cargo xtask mutants`: breaks `core` and `steps` in a thousand small ways, and counts what no test notices.
//!
//! What is broken and what is left alone stands in `.cargo/mutants.toml`; the mutants that may live stand in
//! `tests/mutants.md`, each with its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::workspace::{cargo, root, run as run_command, target_dir};

/// The version that `.cargo/mutants.toml` and the reading of its lists were written for.
const VERSION: &str = "27.1.0";

/// So many mutants of a hundred may live.
const MAY_LIVE: usize = 5;

/// A crate that is broken.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Core,
    Steps,
}

impl Broken {
    /// The name of its package, and its folder.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Core => ("thaw-core", "core/"),
            Self::Steps => ("thaw-steps", "lambdas/steps/"),
        }
    }
}

/// What `mutants` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Go on where a run was interrupted, or try the survivors again after tests were added. What was caught before is
    /// believed, so the figure to quote is that of a run without it
    #[arg(long)]
    resume: bool,
    /// Break only this crate: both together take hours
    #[arg(long)]
    only: Option<Broken>,
    /// Break only this file, and others that are named so: those that were changed
    #[arg(long)]
    file: Vec<String>,
    /// Try one mutant of so many, evenly spread over the code, where there is no time for all
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    one_in: u16,
}

/// Whose tests look for the mutants. Cheapest first: what one stage catches, the next ones leave out.
///
/// No test waits for anything: those of the first stage take a tenth of a second, those of the last a few. Timeouts are
/// far above that, because a machine with other things to do must not make what is slow look like what never ends.
struct Stage {
    says: &'static str,
    /// The crate that it breaks; `None` is both.
    of: Option<Broken>,
    args: &'static [&'static str],
    /// Tests that are too slow for it.
    without: &'static [&'static str],
}

const CORES_OWN: &[&str] = &["--package=thaw-core", "--cargo-arg=--lib", "--timeout=60"];

const STEPS_OWN: &[&str] = &["--package=thaw-steps", "--cargo-arg=--lib", "--timeout=60"];

const LAWS: &[&str] = &[
    "--test-package=thaw-core",
    "--test-package=thaw-tests",
    "--cargo-arg=--test=properties",
    "--cargo-arg=--test=it",
    // The tool would look for the unbroken tests in the broken crates, so `pass_unbroken` runs them.
    "--baseline=skip",
    "--timeout=180",
];

const STAGES: [Stage; 6] = [
    Stage {
        says: "core, by its quick tests",
        of: Some(Broken::Core),
        args: CORES_OWN,
        without: &[
            "batch::tests::a_batch_of_keys_without_a_pattern",
            "fold::tests::a_hundred_thousand",
            "fold::tests::of_twenty_thousand",
            "fold::tests::where_there_is_no_room",
            "manifest::tests::a_bucket_is_looked_for",
            "manifest::tests::a_zip_bomb",
            "rate_limiter::",
        ],
    },
    Stage { says: "core, by its own tests", of: Some(Broken::Core), args: CORES_OWN, without: &[] },
    Stage {
        says: "steps, by their quick tests",
        of: Some(Broken::Steps),
        args: STEPS_OWN,
        without: &[
            "create_jobs::tests::a_list_that_is_longer",
            "folding::tests::many_neighbours",
            "folding::tests::thousands_of_objects",
            "folding::tests::what_is_foretold",
            "invalidate::tests::",
            "listing::tests::",
        ],
    },
    Stage {
        says: "what is left, by the quick ones of the laws, contracts and whole restores in process",
        of: None,
        args: LAWS,
        without: &[
            "steps::adoption::many_are_found_call_by_call",
            "steps::idempotency::every_step_that_is_killed",
            "steps::publishing::twenty_thousand_keys",
            "steps::publishing::two_thousand_keys",
        ],
    },
    Stage { says: "steps, by their own tests", of: Some(Broken::Steps), args: STEPS_OWN, without: &[] },
    Stage { says: "what is left, by all of them", of: None, args: LAWS, without: &[] },
];

/// Runs the stages, prints the figure, and fails when more mutants live than may, or one that is not listed.
pub fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let dir = target_dir().join("mutation/out");
    if !options.resume && dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    install()?;
    let all = all()?;
    let is_in = |mutant: &str, file: &String| mutant.strip_prefix(file).is_some_and(|rest| rest.starts_with(':'));
    let is_chosen = |mutant: &&str| {
        options.only.is_none_or(|only| mutant.starts_with(only.place().1))
            && (options.file.is_empty() || options.file.iter().any(|file| is_in(mutant, file)))
    };
    let (sample, left_out) = sample(&all, options.one_in.into());
    let (sample, others): (Vec<&str>, Vec<&str>) = sample.into_iter().partition(is_chosen);
    let left_out = [left_out, others].concat();
    let breaks = |stage: &&Stage| match options.only {
        Some(only) => stage.of.is_none_or(|of| of == only),
        None => true,
    };
    for stage in STAGES.iter().filter(breaks) {
        println!("\n=== {}", stage.says);
        keep(&dir, &left_out)?;
        if stage.args.contains(&"--baseline=skip") {
            pass_unbroken()?;
        }
        let mut tool = tool(stage.args);
        tool.args(["--iterate", "--no-shuffle", "--output"]).arg(&dir);
        if !stage.without.is_empty() {
            // One `--` ends the tool's own arguments, the other those of `cargo test`.
            tool.args(["--", "--"]).args(stage.without.iter().map(|test| format!("--skip={test}")));
        }
        let code = tool.status()?.code();
        // 2 and 3: some lived, some took their time.
        ensure!(matches!(code, Some(0 | 2 | 3)), "cargo mutants ended with {code:?}; --resume goes on from here");
    }
    keep(&dir, &left_out)?;
    println!("\n=== {:.0} minutes; {} of {} mutants", begun.elapsed().as_secs_f64() / 60.0, sample.len(), all.len());
    judge(&dir, &sample)
}

/// The names of all mutants, in the order of the code.
fn all() -> Result<Vec<String>> {
    let all = tool(&["--list"]).output()?;
    ensure!(all.status.success(), "cargo mutants --list: {}", String::from_utf8_lossy(&all.stderr));
    Ok(String::from_utf8_lossy(&all.stdout).lines().map(str::to_owned).collect())
}

/// One of so many, and the others.
fn sample(all: &[String], one_in: usize) -> (Vec<&str>, Vec<&str>) {
    let places = all.iter().map(String::as_str).enumerate();
    let (sample, left_out): (Vec<_>, Vec<_>) = places.partition(|(place, _)| place % one_in == 0);
    let names = |mutants: Vec<(usize, _)>| mutants.into_iter().map(|(_, name)| name).collect();
    (names(sample), names(left_out))
}

fn judge(dir: &Path, sample: &[&str]) -> Result<()> {
    let fates = [read(dir, "caught")?, read(dir, "timeout")?, read(dir, "unviable")?];
    let of = |folder: &str| Figure::of(folder, sample, &fates);
    for broken in Broken::value_variants() {
        let (package, folder) = broken.place();
        of(folder).show(package);
    }
    let both = of("");
    both.show("both");
    println!("never end:\n{}", both.timeout.join("\n"));
    let list = fs::read_to_string(root().join("tests/mutants.md"))?;
    let unlisted = unlisted(&both.live, &list);
    ensure!(unlisted.is_empty(), "these live, and tests/mutants.md does not say why:\n{}", unlisted.join("\n"));
    ensure!(both.live.len() * 100 <= both.viable() * MAY_LIVE, "more than {MAY_LIVE} % live");
    Ok(())
}

fn install() -> Result<()> {
    let tools = target_dir().join("tools");
    if tools.join("bin/cargo-mutants").is_file() {
        return Ok(());
    }
    println!("installing cargo-mutants {VERSION} into {}, once", tools.display());
    // Compiled without optimisation: it only waits for the compiler.
    let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "cargo-mutants", "--version", VERSION]);
    run_command(install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", tools.join("build")))
}

/// cargo-mutants on the crates that are broken, or on those that the arguments name.
fn tool(args: &[&str]) -> Command {
    let mut tool = with_own_target(cargo(&["mutants"]));
    let mut path = vec![target_dir().join("tools/bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    tool.env("PATH", std::env::join_paths(path).expect("it was a list of folders before"));
    if !args.iter().any(|arg| arg.starts_with("--package=")) {
        tool.args(Broken::value_variants().iter().map(|broken| format!("--package={}", broken.place().0)));
    }
    tool.args(args);
    tool
}

/// Dependencies are compiled once for all stages and runs; only the copies of the workspace are new each time.
fn with_own_target(mut cargo: Command) -> Command {
    cargo.env("CARGO_TARGET_DIR", target_dir().join("mutation/build"));
    cargo
}

/// That the tests of the last stage pass while nothing is broken: else every mutant would look as if they caught it.
fn pass_unbroken() -> Result<()> {
    // The last mutant of an earlier run is compiled still, and newer than the files here: cargo would take it for them.
    let clean = ["clean", "--quiet", "--profile=mutants", "--package=thaw-core", "--package=thaw-steps"];
    run_command(&mut with_own_target(cargo(&clean)))?;
    let test = ["test", "--quiet", "--locked", "--profile=mutants", "--package=thaw-core", "--package=thaw-tests"];
    run_command(with_own_target(cargo(&test)).args(["--test=properties", "--test=it"]))
}

/// Keeps what the tool's last run found, finished or not, and tells the next one not to try that again, nor what is left
/// out.
fn keep(dir: &Path, left_out: &[&str]) -> Result<()> {
    let mut done = left_out.join("\n") + "\n";
    for fate in ["caught", "timeout", "unviable"] {
        let mut names = read(dir, fate)?;
        names.extend(read(&dir.join("mutants.out"), fate)?);
        let text: String = names.into_iter().map(|name| name + "\n").collect();
        fs::write(dir.join(fate).with_extension("txt"), &text)?;
        done.push_str(&text);
    }
    fs::create_dir_all(dir.join("mutants.out"))?;
    Ok(fs::write(dir.join("mutants.out/previously_caught.txt"), done)?)
}

/// A list of mutants, one a line; none if there is no such list.
fn read(dir: &Path, list: &str) -> Result<BTreeSet<String>> {
    let file = dir.join(list).with_extension("txt");
    let text = if file.exists() { fs::read_to_string(file)? } else { String::new() };
    Ok(text.lines().map(str::to_owned).collect())
}

/// What became of the mutants.
struct Figure {
    /// A test failed.
    caught: usize,
    /// The tests never ended: nobody would overlook that.
    timeout: Vec<String>,
    /// It does not compile, so it is none.
    unviable: usize,
    /// Every test passed.
    live: Vec<String>,
}

impl Figure {
    /// What became of those in a folder.
    fn of(folder: &str, sample: &[&str], [caught, timeout, unviable]: &[BTreeSet<String>; 3]) -> Self {
        let mut figure = Self { caught: 0, timeout: Vec::new(), unviable: 0, live: Vec::new() };
        for mutant in sample.iter().copied().filter(|mutant| mutant.starts_with(folder)) {
            if caught.contains(mutant) {
                figure.caught += 1;
            } else if timeout.contains(mutant) {
                figure.timeout.push(mutant.to_owned());
            } else if unviable.contains(mutant) {
                figure.unviable += 1;
            } else {
                figure.live.push(mutant.to_owned());
            }
        }
        figure
    }

    fn viable(&self) -> usize {
        self.caught + self.timeout.len() + self.live.len()
    }

    fn show(&self, name: &str) {
        let (viable, live) = (self.viable(), self.live.len());
        #[expect(clippy::cast_precision_loss, reason = "there are a thousand")]
        let percent = 100.0 * live as f64 / viable as f64;
        let Self { caught, unviable, .. } = self;
        let timeout = self.timeout.len();
        if viable == 0 {
            return;
        }
        println!(
            "{name}: {viable} viable, {caught} caught, {timeout} never end, {live} live ({percent:.1} %); {unviable} unviable"
        );
    }
}

/// The mutants that live and that the list does not allow to, with their places.
///
/// The list has one line for each, ``- `file: what was done`: why``, without the place, which moves with every change of
/// the file.
fn unlisted<'a>(live: &'a [String], list: &str) -> Vec<&'a str> {
    let mut listed: Vec<&str> =
        list.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`')).map(|(name, _)| name).collect();
    let is_new = |mutant: &&str| {
        let name = without_place(mutant);
        match listed.iter().position(|listed| *listed == name) {
            Some(at) => {
                listed.swap_remove(at);
                false
            }
            None => true,
        }
    };
    live.iter().map(String::as_str).filter(is_new).collect()
}

/// `core/src/id.rs:7:9: replace …` is `core/src/id.rs: replace …`.
fn without_place(mutant: &str) -> String {
    let (place, what) = mutant.split_once(": ").unwrap_or((mutant, ""));
    format!("{}: {what}", place.split(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: [&str; 3] =
        ["a.rs:1:2: delete ! in f", "a.rs:7:9: delete ! in f", "b.rs:1:1: replace g -> bool with true"];

    fn live() -> Vec<String> {
        LIVE.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_line_of_the_list_allows_one_mutant_wherever_it_stands() {
        let list =
            "# Mutants\n\n- `a.rs: delete ! in f`: the same either way\n- `b.rs: replace g -> bool with true`: slow\n";
        assert_eq!(unlisted(&live(), list), [LIVE[1]]);
        assert_eq!(unlisted(&live(), ""), LIVE);
    }

    #[test]
    fn a_sample_is_spread_over_the_code() {
        let all = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(sample(&all, 2), (vec!["a", "c", "e"], vec!["b", "d"]));
        assert_eq!(sample(&all, 1), (vec!["a", "b", "c", "d", "e"], vec![]));
    }

    #[test]
    fn who_was_neither_caught_nor_looped_nor_was_unviable_lives() {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let all = ["a.rs:1:1: w", "a.rs:1:2: x", "a.rs:1:3: y", "a.rs:1:4: z", "b.rs:1:1: z"];
        let figure = Figure::of("a.rs", &all, &[set("a.rs:1:1: w"), set("a.rs:1:2: x"), set("a.rs:1:3: y")]);
        assert_eq!((figure.caught, figure.timeout.len(), figure.unviable, figure.viable()), (1, 1, 1, 3));
        assert_eq!(figure.live, ["a.rs:1:4: z"]);
    }
}
