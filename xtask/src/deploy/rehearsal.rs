//! Deployment and removal as a person does them, on a local stack, beside the stack that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::stack::Deployed;
use super::{Options, Target, run};
use crate::aws_cli::AwsCli;
use crate::lambda_zip::ARCHITECTURE;
use crate::remove;
use crate::stack::{Stack, StackLocation};
use crate::untested::block;
use crate::up;
use crate::workspace::{root, target_dir};

const STACK_NAME: &str = "thaw-second";

/// Deploys a second stack, changes a parameter of it and removes it, and a third one with the commands of the guide. Fails if any
/// of it does otherwise than is said.
pub fn rehearse(which: &StackLocation) -> Result<()> {
    let (cli, stack) = AwsCli::on_local_stack(which)?;
    let folder = release_folder(&stack, &which.dir())?;
    with_the_command(which, &cli, &stack, &folder)?;
    removed(which, &cli, &stack)?;
    by_hand(&cli, &stack, &folder)
}

/// What the guide says that everybody can do without this program.
fn by_hand(cli: &AwsCli, stack: &Stack, folder: &Path) -> Result<()> {
    const STACK_NAME: &str = "thaw-by-hand";
    let guide = fs::read_to_string(root().join("infra/README.md")).context("cannot read the guide")?;
    let commands = block(&guide, "sh deploy").context("the guide has no commands that deploy")?;
    // This machine has no zip for Lambda's usual architecture.
    let architecture = format!("CodeBucket=$CODE_BUCKET Architecture={ARCHITECTURE}");
    let commands = commands.replace("CodeBucket=$CODE_BUCKET", &architecture);
    ensure!(commands.contains(&architecture), "the commands of the guide do not name the code bucket");
    let variables = [
        ("CODE_BUCKET", "thaw-code-by-hand"),
        ("ARCHIVE_BUCKETS", &stack.media_bucket),
        ("DISTRIBUTION_IDS", &stack.media_distribution_id),
        ("STACK", STACK_NAME),
    ];
    cli.bash(&commands, folder, &variables)?;
    let deployed = Deployed::find(cli, STACK_NAME)?.context("the commands of the guide made no stack")?;
    ensure!(deployed.status == "CREATE_COMPLETE", "the stack is {}", deployed.status);
    deployed.is_of_thaw(STACK_NAME)?;
    ensure!(deployed.is_protected, "the commands of the guide do not switch termination protection on");

    let commands = block(&guide, "sh remove").context("the guide has no commands that remove")?;
    cli.bash(commands, folder, &[("STACK", STACK_NAME)])?;
    until("the stack by hand is gone", || Ok(is_gone(cli, STACK_NAME)?.then_some(())))
}

fn is_gone(cli: &AwsCli, name: &str) -> Result<bool> {
    Ok(Deployed::find(cli, name)?.is_none_or(|stack| stack.status == "DELETE_COMPLETE"))
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < Duration::from_secs(120), "waited two minutes until {what}");
        sleep(Duration::from_millis(200));
    }
}

/// The second stack is removed while a restore runs.
fn removed(which: &StackLocation, cli: &AwsCli, stack: &Stack) -> Result<()> {
    let (bucket, key) = (stack.media_bucket.as_str(), "removed/amid");
    let deployed = Deployed::find(cli, STACK_NAME)?.context("the stack is not there")?;
    let (ledger, work) = (deployed.output("LedgerTable")?, deployed.output("WorkBucket")?);
    cli.json(&["s3api", "put-object", "--bucket", bucket, "--key", key, "--storage-class", "DEEP_ARCHIVE"])?;
    let api_url = stack.api_url_of(deployed.output("ApiUrl")?)?;
    let call = |method: &str, path: &str, body: &str| -> Result<Value> {
        stack.api_at(&api_url, method, path, &[], body.as_bytes())?.ok("the API of the second stack")?.json()
    };
    let request = json!({"bucket": bucket, "keys": [key], "tier": "Bulk", "max_cost_usd": 1});
    let id =
        call("POST", "/v1/restores", &request.to_string())?["id"].as_str().context("a restore has an id")?.to_owned();
    until("S3 fetches the object", || {
        let counts = &call("GET", &format!("/v1/restores/{id}"), "")?["counts"];
        Ok((counts["restoring"] == 1).then_some(()))
    })?;

    let by_mistake = cli.text(&["cloudformation", "delete-stack", "--stack-name", STACK_NAME]);
    let refused = by_mistake.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("TerminationProtection"), "a stack was deleted without its protection: {refused:?}");
    let options = |yes: bool| remove::Options { target: target(which, yes), when_done: false };
    let unasked = remove::run(&options(false)).err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(unasked.contains("nobody can be asked"), "a stack was removed that nobody agreed to remove: {unasked:?}");
    remove::run(&options(true))?;
    ensure!(is_gone(cli, STACK_NAME)?, "the stack is still there");
    // Again: there is nothing to remove, and that is no failure.
    remove::run(&options(true))?;

    let item = json!({"pk": {"S": format!("R#{id}")}, "sk": {"S": "restore"}}).to_string();
    let item = cli.json(&["dynamodb", "get-item", "--table-name", ledger, "--key", &item])?.to_string();
    ensure!(item.contains("The stack was deleted while this restore ran"), "the ledger says of the restore: {item}");
    cli.json_of_code(&["s3api", "head-bucket", "--bucket", work]).map(drop)
}

fn target(which: &StackLocation, yes: bool) -> Target {
    Target {
        stack_name: STACK_NAME.to_owned(),
        region: None,
        profile: None,
        yes,
        local_stack: true,
        which: which.clone(),
    }
}

fn with_the_command(which: &StackLocation, cli: &AwsCli, stack: &Stack, folder: &Path) -> Result<()> {
    let bucket = &stack.media_bucket;
    let archive = format!("ArchiveBuckets={bucket}");
    let architecture = format!("Architecture={ARCHITECTURE}");
    let options = |yes: bool, set: &[&str]| -> Result<Options> {
        let set = set.iter().map(|setting| setting.parse().map_err(anyhow::Error::msg)).collect::<Result<_>>()?;
        Ok(Options {
            target: target(which, yes),
            set,
            code_bucket: None,
            package: Some(folder.to_owned()),
            change_storage: false,
        })
    };
    let refused = |options: &Options, why: &str| -> Result<()> {
        let error = run(options).err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(error.contains(why), "it was to be refused because of {why:?}, but: {error:?}");
        Ok(())
    };
    let found = || Deployed::find(cli, STACK_NAME);

    refused(&options(true, &[&architecture])?, "--set ArchiveBuckets=")?;
    refused(&options(true, &[&archive, "EventRule=DISABLED"])?, "Did you mean EventRules?")?;
    refused(&options(true, &[&archive, &architecture, "EventRules=OFF"])?, "EventRules")?;
    refused(&options(false, &[&archive, &architecture])?, "nobody can be asked")?;
    ensure!(found()?.is_none(), "a deployment that nobody agreed to left a stack behind");

    run(&options(true, &[&archive, &architecture])?)?;
    let first = found()?.context("the stack is not there")?;
    let api_url = stack.api_url_of(first.output("ApiUrl")?)?;
    let listed = stack.api_at(&api_url, "GET", "/v1/restores", &[], b"")?.ok("the API of the second stack")?.json()?;
    ensure!(listed["restores"].as_array().is_some_and(Vec::is_empty), "the second stack has restores: {listed}");

    // Again, with the same: nothing changes, and that is no failure.
    run(&options(true, &[])?)?;
    run(&options(true, &["DailyBudgetUsd=20"])?)?;
    let second = found()?.context("the stack is not there")?;
    ensure!(second.status == "UPDATE_COMPLETE", "the stack is {}", second.status);
    ensure!(second.parameters["DailyBudgetUsd"] == "20", "the parameter that was set has not changed");
    ensure!(second.parameters["ArchiveBuckets"] == *bucket, "a parameter that was not named has changed");
    for output in ["ApiUrl", "StateMachineArn", "LedgerTable", "WorkBucket"] {
        ensure!(second.output(output)? == first.output(output)?, "{output} was replaced");
    }
    Ok(())
}

/// A folder as `cargo xtask package` makes it, of what the local stack runs.
fn release_folder(stack: &Stack, dir: &Path) -> Result<PathBuf> {
    let folder = dir.join("package");
    fs::create_dir_all(&folder)?;
    let release = up::release_of_this_source(stack.auth, dir, &target_dir().join("debug/bootstrap"))?;
    for (name, content) in release.files {
        fs::write(folder.join(name), content)?;
    }
    Ok(folder)
}
