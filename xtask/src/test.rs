//! `cargo xtask test`: every check there is, cheapest first, ending at the first that fails.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::audit;
use crate::aws_check;
use crate::bench;
use crate::browser;
use crate::dependencies;
use crate::deploy;
use crate::package;
use crate::policies;
use crate::python::python_env;
use crate::recorder;
use crate::secrets;
use crate::stack::{S3, StackLocation};
use crate::untested::block;
use crate::up;
use crate::workflow;
use crate::workspace::{cargo, on_path, root, run as run_command, target_dir};
use crate::worlds;

/// What `test` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Only these checks [default: all]
    only: Vec<Check>,
    #[command(flatten)]
    local_stack: StackLocation,
}

/// A check, in the order in which they run.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The code is formatted
    Format,
    /// Clippy has nothing to say
    Lints,
    /// The documentation builds, and its links lead somewhere
    Docs,
    /// cfn-lint and checkov have nothing to say
    Template,
    /// cloudsplaining finds nothing unexplained in the policies of the roles
    Policies,
    /// asl-validator and cfn-lint have nothing to say about the workflow
    Workflow,
    /// Sources and licenses of what we depend on
    Dependencies,
    /// detect-secrets finds nothing unexplained in the tracked files
    Secrets,
    /// Unit and contract tests, and whole restores in process
    Tests,
    /// Ten thousand simulated worlds, and others with known bugs put back in
    Worlds,
    /// The examples in the documentation
    Examples,
    /// Every bench in its smallest size: that it still measures, not what
    Benches,
    /// The functions' program, built for the other architecture and run under an emulator
    Package,
    /// The pages of `thaw console` in a browser
    Console,
    /// The tests on the local stack
    LocalStack,
    /// The commands that deploy and remove a stack, beside another one on the local stack
    Deployment,
    /// Upgrade, rollback and removal in the middle of restores, on a stack that begins with the release before this one
    Upgrade,
    /// Three thousand calls of the HTTP API, made up from the OpenAPI file
    Api,
}

/// Runs the checks.
pub fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let chosen = |check: &&Check| options.only.is_empty() || options.only.contains(check);
    for check in Check::value_variants().iter().filter(chosen) {
        let name = check.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        println!("\n=== {name}");
        let step_begun = Instant::now();
        check.run(options).map_err(|error| error.context(format!("{name} failed")))?;
        println!("=== {name}: passed in {:.1} s", step_begun.elapsed().as_secs_f64());
    }
    println!("\nall of it passed in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

impl Check {
    fn run(self, options: &Options) -> Result<()> {
        match self {
            Self::Format => run_command(&mut cargo(&["fmt", "--all", "--check"])),
            Self::Lints => run_command(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--features",
                "thaw-tests/local-stack,thaw-cli/local-stack,thaw-cli/browser",
                "--",
                "--deny",
                "warnings",
            ])),
            Self::Docs => run_command(
                cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"),
            ),
            Self::Template => template(),
            Self::Policies => policies::audit(),
            Self::Workflow => workflow::check(),
            Self::Dependencies => dependencies::check(),
            Self::Secrets => secrets::check(),
            Self::Tests => tests(),
            Self::Worlds => worlds::test(),
            Self::Examples => run_command(&mut cargo(&["test", "--workspace", "--doc", "--locked"])),
            Self::Benches => bench::smoke(&options.local_stack),
            Self::Package => package::test(),
            Self::Console => browser::test_console(),
            Self::LocalStack => local_stack(&options.local_stack),
            Self::Deployment => deployment(&options.local_stack),
            Self::Upgrade => upgrade(&options.local_stack),
            Self::Api => audit::api(&audit::ApiOptions { which: options.local_stack.clone(), cases: 3_000, seed: 1 }),
        }
    }
}

/// The template, by two tools that know CloudFormation and common mistakes, and the guide's template that has it as a nested stack.
fn template() -> Result<()> {
    let python = python_env("infra-python", &root().join("infra/requirements.lock"))?;
    let cfn_lint = || Command::new(python.program("cfn-lint"));
    run_command(cfn_lint().arg("infra/template.yaml").current_dir(root()))?;
    // W3002: a path is nothing that CloudFormation takes. It is here to let the tool compare parameters and outputs.
    run_command(cfn_lint().args(["--ignore-checks", "W3002", "--"]).arg(nesting_template()?))?;
    let checkov = python.program("checkov");
    run_command(Command::new(checkov).args(["--config-file", "infra/checkov.yaml"]).current_dir(root()))
}

/// Writes the guide's template, with this source's template beside it in place of that of a release.
fn nesting_template() -> Result<PathBuf> {
    let guide = fs::read_to_string(root().join("infra/README.md")).context("cannot read the guide")?;
    let nesting = block(&guide, "yaml nested").context("the guide has no template with a nested stack")?;
    let of_release = nesting.lines().find_map(|line| line.trim().strip_prefix("TemplateURL: "));
    let nesting = nesting.replace(of_release.context("the guide's template has no TemplateURL")?, "template.yaml");
    let dir = target_dir().join("nested");
    fs::create_dir_all(&dir)?;
    fs::copy(root().join("infra/template.yaml"), dir.join("template.yaml"))?;
    let file = dir.join("nesting.yaml");
    fs::write(&file, nesting)?;
    Ok(file)
}

/// Everything but the local stack: many small tests, fast and in parallel.
fn tests() -> Result<()> {
    if on_path("cargo-nextest").is_some() {
        run_command(&mut cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]))
    } else {
        run_command(&mut cargo(&["test", "--workspace", "--all-targets", "--locked"]))
    }
}

/// The same as a user would see it, on MiniStack with either S3 and with policies enforced.
fn local_stack(which: &StackLocation) -> Result<()> {
    // They wait more than they work.
    const AT_ONCE: u32 = 4;
    workflow::install_node_programs()?;
    let recorded = |s3| up::Options { s3, auth: true, record: true, ..up::Options::at(which) };
    let rehearsed = || aws_check::rehearse(which);
    on_a_stack(&recorded(S3::Sim), &["local_stack::both", "local_stack::sim"], AT_ONCE, rehearsed)?;
    on_a_stack(&recorded(S3::Ministack), &["local_stack::both"], AT_ONCE, || Ok(()))
}

/// With an attack in the background that scripts the whole simulator, so one test comes after the other.
fn upgrade(which: &StackLocation) -> Result<()> {
    let options = up::Options { upgrade: true, ..up::Options::at(which) };
    on_a_stack(&options, &["local_stack::upgrade"], 1, || Ok(()))
}

/// What an operator does, as it is documented.
fn deployment(which: &StackLocation) -> Result<()> {
    let (_stack, _teardown) = up::up(&up::Options { auth: true, ..up::Options::at(which) })?;
    deploy::rehearse(which)
}

/// Boots a stack, runs these tests on it, so many at once, and then something else; whatever comes of them takes it down.
/// What was recorded meanwhile is held against AWS's service models, and against the policies of the roles.
pub fn on_a_stack(
    options: &up::Options,
    tests: &[&str],
    at_once: u32,
    then: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (stack, teardown) = up::up(options)?;
    let passed = run_command(
        cargo(&["test", "--workspace", "--locked", "--features", "thaw-tests/local-stack,thaw-cli/local-stack"])
            .args(["--test", "it", "--"])
            .args(tests)
            .args(["--test-threads", &at_once.to_string()])
            .env("THAW_STACK", options.which.dir().join("stack.json")),
    );
    let then = then();
    let dir = options.which.dir();
    let check_record = || recorder::check(&dir).and(policies::simulate(&stack, &dir));
    let checked = if options.record { check_record() } else { Ok(()) };
    drop(teardown);
    passed.and(then).and(checked)
}
