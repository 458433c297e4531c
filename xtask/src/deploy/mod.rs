//! `cargo xtask deploy`: puts a release into an account, after it has said in words what that changes.
//!
//! Every decision is a function over what the `aws` command line printed, in a file of its own; this file asks and does.

mod afterwards;
mod change_set;
mod kinds;
mod package;
pub mod parameters;
mod permissions;
pub mod progress;
mod rehearsal;
pub mod stack;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

pub use rehearsal::rehearse;

use crate::at_rest::Bill;
use crate::aws_cli::{AwsCli, Refused, refusal};
use crate::question;
use crate::stack::{Stack, StackLocation};
use crate::template::Template;
use crate::up;
use crate::workspace::target_dir;
use afterwards::Events;
use change_set::{ChangeSet, Status};
use package::{Package, Upload};
use parameters::{CODE_BUCKET, Parameters, Setting};
use progress::Progress;
use stack::{Deployed, Next};

/// Which stack, in which account.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Target {
    /// Name of the CloudFormation stack
    #[arg(long, default_value = "thaw")]
    pub stack_name: String,
    /// Region [default: AWS_REGION, or the profile's]
    #[arg(long)]
    pub region: Option<String>,
    /// Profile of the `aws` command line [default: its own]
    #[arg(long)]
    pub profile: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// In a running local stack instead of AWS, beside the stack of `cargo xtask up`
    #[arg(long, conflicts_with_all = ["profile", "region"])]
    pub local_stack: bool,
    #[command(flatten)]
    pub which: StackLocation,
}

/// What `deploy` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    pub target: Target,
    /// A parameter of the stack; those that are not named stay as they are [repeat it for several]
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,
    /// Bucket for the code, in the stack's Region [default: the stack's, or thaw-code-ACCOUNT-REGION, which is made]
    #[arg(long)]
    pub code_bucket: Option<String>,
    /// Folder of the release [default: target/package]
    #[arg(long)]
    pub package: Option<PathBuf>,
    /// Agree that a table or bucket with what it stores leaves the stack
    #[arg(long)]
    pub change_storage: bool,
}

impl Target {
    /// The command line for it, and the local stack if it is one.
    pub fn cli(&self) -> Result<(AwsCli, Option<Stack>)> {
        stack::check_name(&self.stack_name)?;
        match self.local_stack {
            true => AwsCli::on_local_stack(&self.which).map(|(cli, stack)| (cli, Some(stack))),
            false => Ok((AwsCli::on_aws(self.profile.as_deref(), self.region.as_deref())?, None)),
        }
    }

    /// How long to wait before CloudFormation is asked again.
    pub fn pause(&self) -> Duration {
        if self.local_stack { Duration::from_millis(200) } else { Duration::from_secs(3) }
    }

    /// The options by which the command `thaw` finds this stack in an account.
    fn address(&self) -> String {
        let mut address = String::new();
        for (option, value) in [("region", &self.region), ("profile", &self.profile)] {
            address += &value.as_ref().map_or_else(String::new, |value| format!(" --{option} {value}"));
        }
        if self.stack_name != "thaw" {
            address += &format!(" --stack {}", self.stack_name);
        }
        address
    }
}

/// Deploys. Fails if it is refused, or if CloudFormation did not do it; then the stack is as it was.
pub fn run(options: &Options) -> Result<()> {
    let Options { target, .. } = options;
    let name = target.stack_name.as_str();
    let folder = options.package.clone().unwrap_or_else(|| target_dir().join("package"));
    let package = Package::read(&folder)?;
    let (cli, local) = target.cli()?;
    let account = cli.account()?;

    let before = Deployed::find(&cli, name)?;
    let is_new = match stack::next(name, before.as_ref().map(|stack| stack.status.as_str())) {
        Next::Create => true,
        Next::Update => false,
        Next::Refuse(why) => bail!("{why}"),
    };
    let before = before.filter(|_| !is_new);
    before.as_ref().map_or(Ok(()), |stack| stack.is_of_thaw(name))?;
    let has = before.map(|stack| stack.parameters).unwrap_or_default();
    let made_here = format!("thaw-code-{account}-{}", cli.region);
    let code_bucket =
        options.code_bucket.clone().or_else(|| has.get(CODE_BUCKET).cloned()).unwrap_or(made_here.clone());
    let parameters = Parameters::decide(&Template::of(&package.template, &[]), &options.set, &code_bucket, &has)?;
    let template = parameters.rendered(&package.template)?;
    let uploads = package.uploads(&template)?;
    let bill = Bill::of(&template)?;

    let is_there = if is_new { "it is not there yet" } else { "it is there" };
    println!(
        "release {} for stack {name} in account {account}, {}: {is_there}",
        package.release(&template),
        cli.region
    );
    let code = CodeBucket { cli: &cli, name: &code_bucket, account: &account };
    code.make_sure(code_bucket == made_here)?;
    code.upload(&uploads)?;

    let url = cli.code_url(&code_bucket, &package.template_key(&template));
    let pending = Pending::create(&cli, target, is_new, &url, &parameters)?;
    let change_set = pending.described()?.with_kept(&template.kept_when_replaced());
    if change_set.is_empty() {
        pending.forget()?;
        println!("nothing would change: the stack {name} is this release with these parameters already");
        return Ok(());
    }
    ensure_ready(&change_set, &pending)?;

    println!();
    let changed = parameters.changes(&has);
    if !changed.is_empty() {
        println!("parameters:");
        changed.iter().for_each(|line| println!("{line}"));
    }
    for line in change_set.words() {
        println!("{line}");
    }
    let may = permissions::words(&template, &change_set.touched());
    if !may.is_empty() {
        println!("\nwhat these may do, beside writing their own logs:");
        may.iter().for_each(|line| println!("{line}"));
    }
    println!();
    match is_new {
        true => bill.words().iter().for_each(|line| println!("{line}")),
        false => println!("at rest it costs ${} a month without storage: cargo xtask cost-at-rest", bill.total()),
    }
    let at_stake = change_set.storage_at_stake();
    for line in &at_stake {
        println!("\n!!! WARNING: {line}");
    }
    if let Err(error) = agreed(options, &at_stake) {
        pending.forget()?;
        return Err(error);
    }

    println!();
    let deployed = pending.execute()?;
    stack::protect(&cli, name, true)?;
    println!("termination protection is on: `cargo xtask remove` removes the stack, and nobody by mistake");
    if let Some(stack) = &local {
        up::complete(stack, deployed.output("WorkBucket")?, deployed.output("LedgerTable")?)?;
    }
    deployed_words(options, &cli, local.as_ref(), &deployed, &parameters, is_new)
}

/// Fails unless somebody agrees.
fn agreed(options: &Options, at_stake: &[String]) -> Result<()> {
    println!();
    if !at_stake.is_empty() {
        ensure!(
            options.change_storage,
            "storage would leave the stack with what is in it. Nothing was changed; --change-storage agrees to it"
        );
    }
    if !options.target.yes {
        ensure!(question::asked("do this?", "--yes agrees to what is shown above")?, "nothing was changed");
    }
    Ok(())
}

fn ensure_ready(change_set: &ChangeSet, pending: &Pending) -> Result<()> {
    match change_set.status {
        Status::CreateComplete => Ok(()),
        Status::CreatePending | Status::CreateInProgress | Status::Failed | Status::Deleted => {
            let why = change_set.reason().to_owned();
            pending.forget()?;
            bail!("CloudFormation refuses the change set: {why}")
        }
    }
}

/// The bucket from which CloudFormation takes the code.
struct CodeBucket<'a> {
    cli: &'a AwsCli,
    name: &'a str,
    account: &'a str,
}

impl CodeBucket<'_> {
    /// Makes the bucket if it may and it is not there. Its name can be guessed, so it may belong to somebody else, who would
    /// then choose what the functions run: every call names the owner that is expected.
    fn make_sure(&self, may_make: bool) -> Result<()> {
        let Self { cli, name, account } = self;
        let head = ["s3api", "head-bucket", "--bucket", name, "--expected-bucket-owner", account];
        let found = match cli.json_of_code(&head) {
            Ok(found) => found,
            Err(error) => match refusal(&error).map(Refused::code) {
                Some("404" | "NoSuchBucket") if may_make => return self.make(),
                Some("404" | "NoSuchBucket") => {
                    bail!("there is no bucket {name}. Make it, or leave --code-bucket out: then one is made")
                }
                Some("403") => {
                    bail!("the bucket {name} belongs to another account than {account}, or you may not use it")
                }
                Some(_) | None => return Err(error),
            },
        };
        let region = found["BucketRegion"].as_str().unwrap_or(&cli.region);
        ensure!(
            region == cli.region,
            "the bucket {name} is in {region}; Lambda takes code from a bucket in {} only",
            cli.region
        );
        Ok(())
    }

    /// Private and without versions: every file is written once, under a key with a hash of the release.
    fn make(&self) -> Result<()> {
        let Self { cli, name, .. } = self;
        println!("making the bucket {name} for the code, private");
        let place = format!("LocationConstraint={}", cli.region);
        let mut arguments = vec!["s3api", "create-bucket", "--bucket", name];
        // The API takes no constraint for the Region in which it was born.
        if cli.region != "us-east-1" {
            arguments.extend(["--create-bucket-configuration", &place]);
        }
        cli.json_of_code(&arguments)?;
        let private = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";
        let block =
            ["s3api", "put-public-access-block", "--bucket", name, "--public-access-block-configuration", private];
        cli.json_of_code(&block)?;
        Ok(())
    }

    /// Uploads what is not there. A key has a hash of the whole release, so a file of the same length under it is the same file.
    fn upload(&self, uploads: &[Upload]) -> Result<()> {
        let Self { cli, name, account } = self;
        let prefix = uploads.first().and_then(|upload| upload.key.rsplit_once('/')).map_or("", |(prefix, _)| prefix);
        let of = ["--bucket", name, "--expected-bucket-owner", account];
        let listed = cli.json_of_code(&[&["s3api", "list-objects-v2", "--prefix", prefix], &of[..]].concat())?;
        for Upload { key, file, .. } in uploads.iter().filter(|upload| !is_there(upload, &listed)) {
            println!("uploading {key}");
            let file = file.to_str().context("the folder's name is no text")?;
            cli.json_of_code(&[&["s3api", "put-object", "--key", key, "--body", file], &of[..]].concat())?;
        }
        Ok(())
    }
}

/// Whether a listing has the file.
fn is_there(upload: &Upload, listed: &Value) -> bool {
    let mut contents = listed["Contents"].as_array().into_iter().flatten();
    contents.any(|object| object["Key"] == upload.key && object["Size"] == upload.bytes)
}

/// A change set that was not executed yet.
struct Pending<'a> {
    cli: &'a AwsCli,
    target: &'a Target,
    is_new: bool,
    id: String,
    stack_id: String,
}

impl<'a> Pending<'a> {
    fn create(cli: &'a AwsCli, target: &'a Target, is_new: bool, url: &str, parameters: &Parameters) -> Result<Self> {
        let change_set = format!("thaw-{}", Timestamp::now().as_second());
        let kind = if is_new { "CREATE" } else { "UPDATE" };
        let submitted = parameters.submitted().to_string();
        let mut arguments = vec!["cloudformation", "create-change-set", "--stack-name", &target.stack_name];
        arguments.extend(["--change-set-name", &change_set, "--change-set-type", kind, "--template-url", url]);
        arguments.extend(["--capabilities", "CAPABILITY_IAM", "--parameters", &submitted]);
        if is_new {
            // A creation that fails leaves nothing behind, so that the next one can begin at once.
            arguments.extend(["--on-stack-failure", "DELETE"]);
        }
        let created = cli.json(&arguments)?;
        let field = |name: &str| created[name].as_str().map(str::to_owned).context("a change set has ids");
        Ok(Self { cli, target, is_new, id: field("Id")?, stack_id: field("StackId")? })
    }

    /// Waits until CloudFormation knows what would change.
    fn described(&self) -> Result<ChangeSet> {
        loop {
            let described = self.cli.json(&["cloudformation", "describe-change-set", "--change-set-name", &self.id])?;
            let change_set: ChangeSet =
                serde_json::from_value(described).context("the change set is not as documented")?;
            match change_set.status {
                Status::CreatePending | Status::CreateInProgress => sleep(self.target.pause()),
                Status::CreateComplete | Status::Failed | Status::Deleted => return Ok(change_set),
            }
        }
    }

    /// Removes it, and the stack without resources that a change set of a new stack makes.
    fn forget(&self) -> Result<()> {
        self.cli.json(&["cloudformation", "delete-change-set", "--change-set-name", &self.id])?;
        if self.is_new {
            self.cli.json(&["cloudformation", "delete-stack", "--stack-name", &self.stack_id])?;
        }
        Ok(())
    }

    /// Executes it, and shows the stack's events until it has ended.
    fn execute(self) -> Result<Deployed> {
        let mut progress = Progress::after(&events(self.cli, &self.stack_id)?);
        self.cli.json(&["cloudformation", "execute-change-set", "--change-set-name", &self.id])?;
        let ended = follow(self.cli, self.target, &self.stack_id, &mut progress)?.context("the stack is gone")?;
        if stack::ended(&ended.status) == Some(true) && ended.status != "DELETE_COMPLETE" {
            println!("the stack {} is {}", self.target.stack_name, ended.status);
            return Ok(ended);
        }
        let left = if self.is_new { "Nothing of it is left" } else { "The stack is as it was before" };
        bail!(
            "the stack {} is {}. {left}. What failed, in this order:\n{}",
            self.target.stack_name,
            ended.status,
            progress.failures().join("\n")
        )
    }
}

/// The newest events of a stack.
pub fn events(cli: &AwsCli, stack_id: &str) -> Result<Value> {
    // As many as a stack of this size can have between two questions; older ones were seen.
    cli.json(&["cloudformation", "describe-stack-events", "--stack-name", stack_id, "--max-items", "500"])
}

/// Shows a stack's events until what happens to it has ended. None if there is no such stack any more.
pub fn follow(cli: &AwsCli, target: &Target, stack_id: &str, progress: &mut Progress) -> Result<Option<Deployed>> {
    loop {
        // The status first: whatever happened before it ended is then among the events.
        let Some(deployed) = Deployed::find(cli, stack_id)? else { return Ok(None) };
        for line in progress.take(&events(cli, stack_id)?) {
            println!("{line}");
        }
        if stack::ended(&deployed.status).is_some() {
            return Ok(Some(deployed));
        }
        sleep(target.pause());
    }
}

/// Says where the API is, what is not set yet and what to try.
fn deployed_words(
    options: &Options,
    cli: &AwsCli,
    local: Option<&Stack>,
    deployed: &Deployed,
    parameters: &Parameters,
    is_new: bool,
) -> Result<()> {
    println!("\nHTTP API  {}", deployed.output("ApiUrl")?);
    // The output of a stack that has nothing to warn of is `none`.
    if let Some(warnings) = deployed.outputs.get("PreflightWarnings").filter(|warnings| *warnings != "none") {
        println!("\ndoubtful, as Preflight found:\n{warnings}");
    }
    let buckets = parameters.list("ArchiveBuckets");
    let mut unset = Vec::new();
    if parameters.value("EventRules") == "ENABLED" {
        for bucket in &buckets {
            let read = cli.json(&["s3api", "get-bucket-notification-configuration", "--bucket", bucket]);
            unset.extend(afterwards::unset(bucket, Events::of(read.ok().as_ref())));
        }
    }
    unset.extend(afterwards::unset_parameters(parameters, is_new));
    if !unset.is_empty() {
        println!("\nnot set yet:");
        unset.iter().for_each(|line| println!("{line}"));
    }
    println!("\ntry first:");
    let address = match local {
        None => options.target.address(),
        Some(stack) => format!(" --api-url '{}'", stack.api_url_of(deployed.output("ApiUrl")?)?),
    };
    let bucket = buckets.first().copied().unwrap_or("my-archive");
    afterwards::first_commands(bucket, &address).iter().for_each(|line| println!("{line}"));
    Ok(())
}
