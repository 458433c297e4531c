//! `cargo xtask aws-check`: settles in a real account what no document settles, by the commands of
//! `docs/untested-on-aws.md`.
//!
//! The commands are bash and the `aws` command line. Nothing is made before the account is confirmed and the price accepted;
//! whatever is made goes away again, also after a failure and after Ctrl-C.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;

use crate::python::python_env;
use crate::stack::{S3, Stack, StackLocation};
use crate::untested::{Emulated, Page, Row, SettledBy};
use crate::workspace::{on_path, root};

/// What `aws-check` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Only these rows of docs/untested-on-aws.md [default: all that can be run]
    only: Vec<String>,
    /// The account that may be charged; it must be the one that the credentials belong to
    #[arg(long)]
    account: String,
    /// Profile of the `aws` command line [default: its own]
    #[arg(long)]
    profile: Option<String>,
    /// Region [default: AWS_REGION, or the profile's]
    #[arg(long)]
    region: Option<String>,
    /// Distribution for the rows about CloudFront
    #[arg(long, requires = "bucket")]
    distribution: Option<String>,
    /// Bucket that the distribution shows at its root; objects are put under thaw-aws-check/ and removed
    #[arg(long, requires = "distribution")]
    bucket: Option<String>,
    /// Do not ask before money is spent
    #[arg(long)]
    yes: bool,
    /// Ask a running local stack instead of AWS: tests the commands and tells what the emulators believe
    #[arg(long, conflicts_with_all = ["profile", "region", "distribution", "bucket"])]
    local_stack: bool,
    #[command(flatten)]
    which: StackLocation,
}

/// After Ctrl-C the row that runs cleans up, no other begins, and what was made goes away.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// So many rows are rehearsed on the local stack at once: a command line mostly starts.
const AT_ONCE: usize = 4;

/// How one row ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    AsBelieved,
    /// What was printed instead.
    Otherwise(String),
    /// The command failed; its last words.
    Failed(String),
}

/// Settles the rows. Fails if one is not as believed, or could not be asked.
pub fn run(options: &Options) -> Result<()> {
    let page = Page::read()?;
    let unknown: Vec<_> = options.only.iter().filter(|id| page.rows.iter().all(|row| row.id != **id)).collect();
    ensure!(unknown.is_empty(), "docs/untested-on-aws.md has no row {unknown:?}");
    let account = Account::of(options)?;
    account.confirm(&options.account)?;

    let chosen = page.rows.iter().filter(|row| options.only.is_empty() || options.only.contains(&row.id));
    let (mut asked, mut left) = (Vec::new(), Vec::new());
    for row in chosen {
        match account.cannot_ask(row) {
            None => asked.push(row),
            Some(why) => left.push((row, why)),
        }
    }
    for (row, why) in &left {
        println!("{:<30} not asked: {why}", row.id);
    }
    ensure!(!asked.is_empty(), "none of these rows can be asked here");
    let cents: u32 = asked.iter().map(|row| row.cents).sum();
    println!("{} rows are asked in account {} ({})", asked.len(), options.account, account.region);
    println!("it costs about {}.{:02} USD at list prices, and some minutes", cents / 100, cents % 100);
    if !account.is_local && !options.yes && !accepted()? {
        bail!("nothing was made and nothing spent");
    }

    // A second handler is not needed: the first one stays.
    let _already_watched = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    let made = account.make_bucket()?;
    let next = AtomicUsize::new(0);
    let apart = AtomicUsize::new(0);
    let work = || {
        while let Some(row) = asked.get(next.fetch_add(1, Ordering::Relaxed))
            && !INTERRUPTED.load(Ordering::Relaxed)
        {
            let as_believed = told(row, &account.ask(&page, row), account.is_local);
            apart.fetch_add(usize::from(!as_believed), Ordering::Relaxed);
        }
    };
    // One after the other on AWS: some rows are about quotas, which are the account's.
    std::thread::scope(|scope| {
        for _ in 0..if account.is_local { AT_ONCE } else { 1 } {
            scope.spawn(work);
        }
    });
    let apart = apart.into_inner();
    made.take_away()?;
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted; what was made is gone again");
    ensure!(apart == 0, "{apart} of {} rows are not as believed", asked.len());
    let whom = if account.is_local { "as the emulators should answer" } else { "as believed" };
    println!("all {} rows are {whom}", asked.len());
    Ok(())
}

/// Shows how a row ended, and answers whether that is as it should be.
fn told(row: &Row, outcome: &Outcome, is_local: bool) -> bool {
    let Row { id, title, .. } = row;
    let expected = if is_local { row.emulated() } else { &row.prints };
    // In one piece: several may be told at once.
    let told = match outcome {
        Outcome::AsBelieved if is_local && expected != row.prints => {
            format!("the emulator cannot settle it: {expected}, where {} is believed", row.prints)
        }
        Outcome::AsBelieved => format!("as believed: {expected}"),
        Outcome::Otherwise(found) => {
            format!("NOT as believed: {title}\n{:<31}believed {expected}\n{:<31}found    {found}", "", "")
        }
        Outcome::Failed(words) => format!("FAILED: {words}"),
    };
    println!("{id:<30} {told}");
    *outcome == Outcome::AsBelieved
}

impl Row {
    /// What its command prints on the local stack.
    fn emulated(&self) -> &str {
        match &self.on_the_local_stack {
            Emulated::Otherwise(other) => other,
            Emulated::TheSame | Emulated::Not(_) => &self.prints,
        }
    }
}

fn accepted() -> Result<bool> {
    ensure!(std::io::stdin().is_terminal(), "nobody can be asked here; --yes accepts the price");
    print!("go on? (yes/no) ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// Where the commands run, and with what.
struct Account {
    is_local: bool,
    region: String,
    has_distribution: bool,
    /// What the commands find in their environment.
    env: Vec<(&'static str, OsString)>,
    /// In the names of all that is made.
    run: String,
    bucket: String,
}

impl Account {
    fn of(options: &Options) -> Result<Self> {
        ensure!(on_path("bash").is_some(), "bash is not on PATH; the commands of the rows need it");
        let run = Timestamp::now().as_second().to_string();
        let mut account = Self {
            is_local: options.local_stack,
            region: String::new(),
            has_distribution: options.distribution.is_some() || options.local_stack,
            env: Vec::new(),
            bucket: format!("thaw-aws-check-{}-{run}", options.account),
            run,
        };
        account.set("AWS_PAGER", "");
        account.set("ACCOUNT", &options.account);
        account.set("RUN", account.run.clone());
        account.set("BUCKET", account.bucket.clone());
        if options.local_stack {
            account.on_the_local_stack(&options.which)?;
        } else {
            account.on_aws(options)?;
        }
        Ok(account)
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.env.push((name, value.into()));
    }

    fn on_aws(&mut self, options: &Options) -> Result<()> {
        ensure!(
            on_path("aws").is_some(),
            "the `aws` command line is not on PATH; install it, or see its own documentation"
        );
        self.set("IAM_SECONDS", "15");
        if let Some(profile) = &options.profile {
            self.set("AWS_PROFILE", profile);
        }
        let named = options.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
        self.region = match named {
            Some(region) => region,
            None => self.aws(&["configure", "get", "region"]).context("no Region is set; name one with --region")?,
        };
        self.set("AWS_REGION", self.region.clone());
        self.set("AWS_DEFAULT_REGION", self.region.clone());
        if let (Some(distribution), Some(bucket)) = (&options.distribution, &options.bucket) {
            let asked = ["cloudfront", "get-distribution", "--id", distribution];
            let host = self.aws(&[&asked[..], &["--query", "Distribution.DomainName", "--output", "text"]].concat())?;
            self.shows(bucket, distribution, &host, &format!("https://{host}"));
        }
        Ok(())
    }

    /// Nothing of it may leave the machine: every endpoint is the stack's.
    fn on_the_local_stack(&mut self, which: &StackLocation) -> Result<()> {
        let stack = Stack::read(&which.dir())?.filter(Stack::is_up);
        let stack = stack.context("there is no local stack; boot one with `cargo xtask up`")?;
        ensure!(stack.s3 == S3::Sim, "only a stack with --s3 sim knows what the rows are about");
        let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
        let programs = python.program("aws");
        let programs = programs.parent().context("programs are in a folder")?;
        let mut path = vec![programs.to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        self.set("PATH", std::env::join_paths(path)?);
        self.region = stack.region.clone();
        self.set("AWS_DEFAULT_REGION", stack.region.clone());
        self.set("AWS_REGION", stack.region.clone());
        self.set("AWS_ACCESS_KEY_ID", stack.access_key_id.clone());
        self.set("AWS_SECRET_ACCESS_KEY", stack.secret_access_key.clone());
        self.set("AWS_CONFIG_FILE", "/dev/null");
        self.set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        self.set("AWS_EC2_METADATA_DISABLED", "true");
        self.set("AWS_DISABLE_HOST_PREFIX_INJECTION", "true");
        self.set("AWS_ENDPOINT_URL", stack.endpoint_url.clone());
        self.set("AWS_ENDPOINT_URL_S3", stack.s3_endpoint_url.clone());
        self.set("AWS_ENDPOINT_URL_S3_CONTROL", stack.s3_endpoint_url.clone());
        self.set("AWS_ENDPOINT_URL_CLOUDFRONT", stack.cloudfront_endpoint_url.clone());
        self.set("IAM_SECONDS", "0");
        self.shows(&stack.archive_bucket, &stack.distribution_id, &stack.edge_host, &stack.edge_url);
        Ok(())
    }

    fn shows(&mut self, bucket: &str, distribution: &str, host: &str, edge: &str) {
        self.set("SHOWN", bucket);
        self.set("DISTRIBUTION", distribution);
        self.set("HOST", host);
        self.set("EDGE", edge);
    }

    /// Refuses another account than the named one.
    fn confirm(&self, account: &str) -> Result<()> {
        let found = self.aws(&["sts", "get-caller-identity", "--query", "Account", "--output", "text"])?;
        ensure!(found == account, "the credentials are those of account {found}, not of {account}; nothing was asked");
        Ok(())
    }

    fn cannot_ask(&self, row: &Row) -> Option<String> {
        match (&row.settled_by, &row.on_the_local_stack) {
            (SettledBy::Hand(why), _) => Some(format!("by hand, as {why}")),
            (SettledBy::CheckWithDistribution, _) if !self.has_distribution => {
                Some("it needs --distribution and --bucket".to_owned())
            }
            (SettledBy::Check | SettledBy::CheckWithDistribution, Emulated::Not(why)) if self.is_local => {
                Some(format!("not on the local stack: {why}"))
            }
            (SettledBy::Check | SettledBy::CheckWithDistribution, _) => None,
        }
    }

    /// What an `aws` command prints.
    fn aws(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("aws").args(arguments).envs(self.env.iter().cloned()).output().context("aws")?;
        if !output.status.success() {
            bail!("aws {}: {}", arguments.join(" "), log_tails(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a row's command, and what cleans up after it, whatever comes of it.
    fn ask(&self, page: &Page, row: &Row) -> Outcome {
        let Row { command, cleanup, .. } = row;
        // A command may fail before it has made what is to be cleaned up, so that may fail as well.
        let script = format!(
            "set -euo pipefail\ntrap 'exit 130' INT TERM\n{}\ncleanup() {{ set +eu\n{}\n}}\n\
             trap '{{ cleanup; }} > /dev/null 2>&1' EXIT\n{command}\n",
            page.functions,
            if cleanup.is_empty() { ":" } else { cleanup },
        );
        let name = format!("thaw-{}-{}", self.run, row.id);
        let at = format!("thaw-aws-check/{}/{}", self.run, row.id);
        let mut bash = Command::new("bash");
        // Each try of a command line is one request: what is refused as too fast must be seen.
        bash.args(["-c", &script])
            .envs(self.env.iter().cloned())
            .env("NAME", name)
            .env("AT", at)
            .env("AWS_MAX_ATTEMPTS", "1");
        match bash.stdin(Stdio::null()).output() {
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(output) if !output.status.success() => Outcome::Failed(log_tails(&output.stderr)),
            Ok(output) => {
                let printed = String::from_utf8_lossy(&output.stdout);
                let found = printed.split_whitespace().collect::<Vec<_>>().join(" ");
                let expected = if self.is_local { row.emulated() } else { &row.prints };
                if found == expected { Outcome::AsBelieved } else { Outcome::Otherwise(found) }
            }
        }
    }

    /// The bucket of the rows that need no distribution.
    fn make_bucket(&self) -> Result<Made<'_>> {
        let made = Made { account: Some(self) };
        let place = format!("LocationConstraint={}", self.region);
        let mut arguments = vec!["s3api", "create-bucket", "--bucket", &self.bucket];
        // The API takes no constraint for the Region in which it was born.
        if self.region != "us-east-1" {
            arguments.extend(["--create-bucket-configuration", &place]);
        }
        self.aws(&arguments)?;
        Ok(made)
    }

    /// Every version of every object of this run in a bucket.
    fn empty(&self, bucket: &str) -> Result<()> {
        let query = "[Versions, DeleteMarkers][][].[VersionId, Key]";
        let at = format!("thaw-aws-check/{}/", self.run);
        let listed = ["s3api", "list-object-versions", "--bucket", bucket, "--prefix", &at, "--query", query];
        let listed = self.aws(&[&listed[..], &["--output", "text"]].concat())?;
        for (version, key) in listed.lines().filter_map(|line| line.split_once('\t')) {
            self.aws(&["s3api", "delete-object", "--bucket", bucket, "--key", key, "--version-id", version])?;
        }
        Ok(())
    }
}

/// What goes away when it is dropped: the bucket, and the objects in the bucket that the distribution shows.
struct Made<'a> {
    account: Option<&'a Account>,
}

impl Made<'_> {
    fn take_away(mut self) -> Result<()> {
        self.account.take().map_or(Ok(()), Self::away)
    }

    fn away(account: &Account) -> Result<()> {
        if let Some((_, shown)) = account.env.iter().find(|(name, _)| *name == "SHOWN") {
            account.empty(&shown.to_string_lossy())?;
        }
        account.empty(&account.bucket)?;
        account.aws(&["s3api", "delete-bucket", "--bucket", &account.bucket])?;
        Ok(())
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.account.take()
            && let Err(error) = Self::away(account)
        {
            eprintln!("the bucket {} may still be there: {error:#}", account.bucket);
        }
    }
}

fn log_tails(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("without a word").trim().to_owned()
}

/// Runs the rows on a local stack that was booted for tests, after it was refused to run them in another account.
pub fn rehearse(which: &StackLocation) -> Result<()> {
    let of_account = |account: &str| Options {
        only: Vec::new(),
        account: account.to_owned(),
        profile: None,
        region: None,
        distribution: None,
        bucket: None,
        yes: false,
        local_stack: true,
        which: which.clone(),
    };
    let refused = run(&of_account("123456789012")).err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.ends_with("nothing was asked"), "rows are asked in an account that nobody named: {refused}");
    run(&of_account(LOCAL_ACCOUNT))
}

/// The account that MiniStack plays.
const LOCAL_ACCOUNT: &str = "000000000000";

#[cfg(test)]
mod tests {
    use super::*;

    fn account(is_local: bool, has_distribution: bool) -> Account {
        let (env, region) = (Vec::new(), String::from("eu-central-1"));
        Account { is_local, region, has_distribution, env, run: String::from("1"), bucket: String::from("b") }
    }

    fn row(command: &str, prints: &str, cleanup: &str) -> Row {
        Row {
            id: String::from("row"),
            title: String::from("it is so"),
            cents: 1,
            settled_by: SettledBy::Check,
            prints: prints.to_owned(),
            on_the_local_stack: Emulated::TheSame,
            command: command.to_owned(),
            cleanup: cleanup.to_owned(),
        }
    }

    fn page() -> Page {
        Page { functions: String::from("say() { echo \"$1\"; }"), rows: Vec::new() }
    }

    #[test]
    fn what_is_printed_is_held_against_what_is_believed() {
        let ask = |command: &str| account(false, false).ask(&page(), &row(command, "a b", ""));
        assert_eq!(ask("say a\nsay b"), Outcome::AsBelieved);
        assert_eq!(ask("say a"), Outcome::Otherwise(String::from("a")));
        assert_eq!(ask("say a; false; say b"), Outcome::Failed(String::from("without a word")));
        assert_eq!(ask("say a; echo why >&2; exit 3"), Outcome::Failed(String::from("why")));
        assert!(matches!(ask("say a; say $unset"), Outcome::Failed(_)));
    }

    #[test]
    fn a_row_cleans_up_whether_its_command_fails_or_not() {
        let file = std::env::temp_dir().join(format!("thaw-row-{}", std::process::id()));
        for ending in ["true", "false", "kill -INT $$", "echo $unset"] {
            let command = format!("made={}; echo > \"$made\"; test -f \"$made\"; {ending}", file.display());
            account(false, false).ask(&page(), &row(&command, "", "say \"$nothing\"; false; rm \"$made\""));
            assert!(!file.exists(), "{ending}");
        }
    }

    #[test]
    fn a_row_is_asked_only_where_its_answer_means_something() {
        let mut row = row("", "a", "");
        assert_eq!(account(false, false).cannot_ask(&row), None);
        row.settled_by = SettledBy::CheckWithDistribution;
        assert!(account(false, false).cannot_ask(&row).is_some());
        assert_eq!(account(false, true).cannot_ask(&row), None);
        row.on_the_local_stack = Emulated::Not(String::from("it has none"));
        assert_eq!(account(false, true).cannot_ask(&row), None);
        assert!(account(true, true).cannot_ask(&row).is_some());
        row.settled_by = SettledBy::Hand(String::from("it takes months"));
        assert!(account(false, true).cannot_ask(&row).is_some());
    }
}
