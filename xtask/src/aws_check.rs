//! `cargo xtask aws-check`: settles in a real account what no document settles, by the commands of
//! `docs/untested-on-aws.md`.
//!
//! The commands are bash and the `aws` command line. Nothing is made before the account is confirmed and the price accepted;
//! whatever is made goes away again, also after a failure and after Ctrl-C.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use clap::Args;
use jiff::Timestamp;

use crate::aws_cli::{AwsCli, last_line};
use crate::question;
use crate::stack::StackLocation;
use crate::untested::{Emulated, Page, Row, SettledBy};
use crate::workspace::on_path;

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
    println!("{} rows are asked in account {} ({})", asked.len(), options.account, account.cli.region);
    println!("it costs about {}.{:02} USD at list prices, and some minutes", cents / 100, cents % 100);
    if !account.is_local && !options.yes {
        ensure!(question::asked("go on?", "--yes accepts the price")?, "nothing was made and nothing spent");
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

/// Where the commands run, and with what.
struct Account {
    is_local: bool,
    has_distribution: bool,
    cli: AwsCli,
    /// In the names of all that is made.
    run: String,
    bucket: String,
}

impl Account {
    fn of(options: &Options) -> Result<Self> {
        ensure!(on_path("bash").is_some(), "bash is not on PATH; the commands of the rows need it");
        let run = Timestamp::now().as_second().to_string();
        let (cli, stack) = match options.local_stack {
            true => AwsCli::on_local_stack(&options.which).map(|(cli, stack)| (cli, Some(stack)))?,
            false => (AwsCli::on_aws(options.profile.as_deref(), options.region.as_deref())?, None),
        };
        let mut account = Self {
            is_local: options.local_stack,
            has_distribution: options.distribution.is_some() || options.local_stack,
            cli,
            bucket: format!("thaw-aws-check-{}-{run}", options.account),
            run,
        };
        account.cli.set("ACCOUNT", &options.account);
        account.cli.set("RUN", account.run.clone());
        account.cli.set("BUCKET", account.bucket.clone());
        // A role that was just made may be used only some seconds later.
        account.cli.set("IAM_SECONDS", if options.local_stack { "0" } else { "15" });
        if let Some(stack) = stack {
            account.shows(&stack.archive_bucket, &stack.distribution_id, &stack.edge_host, &stack.edge_url);
        } else if let (Some(distribution), Some(bucket)) = (&options.distribution, &options.bucket) {
            let asked = ["cloudfront", "get-distribution", "--id", distribution];
            let host = [&asked[..], &["--query", "Distribution.DomainName", "--output", "text"]].concat();
            let host = account.cli.text(&host)?;
            account.shows(bucket, distribution, &host, &format!("https://{host}"));
        }
        Ok(account)
    }

    fn shows(&mut self, bucket: &str, distribution: &str, host: &str, edge: &str) {
        self.cli.set("SHOWN", bucket);
        self.cli.set("DISTRIBUTION", distribution);
        self.cli.set("HOST", host);
        self.cli.set("EDGE", edge);
    }

    /// Refuses another account than the named one.
    fn confirm(&self, account: &str) -> Result<()> {
        let found = self.cli.account()?;
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
            .envs(self.cli.env.iter().cloned())
            .env("NAME", name)
            .env("AT", at)
            .env("AWS_MAX_ATTEMPTS", "1");
        match bash.stdin(Stdio::null()).output() {
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(output) if !output.status.success() => Outcome::Failed(last_line(&output.stderr)),
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
        let place = format!("LocationConstraint={}", self.cli.region);
        let mut arguments = vec!["s3api", "create-bucket", "--bucket", &self.bucket];
        // The API takes no constraint for the Region in which it was born.
        if self.cli.region != "us-east-1" {
            arguments.extend(["--create-bucket-configuration", &place]);
        }
        self.cli.text(&arguments)?;
        Ok(made)
    }

    /// Every version of every object of this run in a bucket.
    fn empty(&self, bucket: &str) -> Result<()> {
        let query = "[Versions, DeleteMarkers][][].[VersionId, Key]";
        let at = format!("thaw-aws-check/{}/", self.run);
        let listed = ["s3api", "list-object-versions", "--bucket", bucket, "--prefix", &at, "--query", query];
        let listed = self.cli.text(&[&listed[..], &["--output", "text"]].concat())?;
        for (version, key) in listed.lines().filter_map(|line| line.split_once('\t')) {
            self.cli.text(&["s3api", "delete-object", "--bucket", bucket, "--key", key, "--version-id", version])?;
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
        if let Some((_, shown)) = account.cli.env.iter().find(|(name, _)| *name == "SHOWN") {
            account.empty(&shown.to_string_lossy())?;
        }
        account.empty(&account.bucket)?;
        account.cli.text(&["s3api", "delete-bucket", "--bucket", &account.bucket])?;
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
        let cli = AwsCli::without_credentials("eu-central-1");
        Account { is_local, has_distribution, cli, run: String::from("1"), bucket: String::from("b") }
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
        assert_eq!(ask("say a; false; say b"), Outcome::Failed(String::from("it printed no error")));
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
