//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use thaw_core::{PublishWhen, Status, Tier, Usd};

const EXAMPLES: &str = "Examples:
  thaw plan s3://my-archive/photos/2019/cat.jpg
  thaw restore s3://my-archive/photos/2019/ --recursive --tier Bulk --max-cost 5 --wait
  thaw restore --from-file cats.csv --yes
  thaw wait ID

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 accepted and not ready yet, 4 some objects failed,
  5 refused (price, budget, or your answer), 124 waited too long, 130 Ctrl-C. A restore goes on after 124 and 130.";

/// Restores archived S3 objects and shows them on CloudFront again.
#[derive(Debug, Parser)]
#[command(name = "thaw", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Profile of the AWS configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region of the stack
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Name of the CloudFormation stack
    #[arg(long, global = true, env = "THAW_STACK", default_value = "thaw", value_name = "NAME")]
    pub stack: String,
    /// Address of the HTTP API: the stack's output ApiUrl. Without it, CloudFormation is asked for the stack
    #[arg(long, global = true, env = "THAW_API_URL", value_name = "URL")]
    pub api_url: Option<String>,
    /// Address at which AWS is asked (CloudFormation, and whatever doctor reads), instead of AWS's own
    #[arg(long, global = true, env = "AWS_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Use the local stack of `cargo xtask up`, which this file describes
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "target/local/stack.json")]
    pub local: Option<PathBuf>,
    /// Form of the data on stdout
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORM")]
    pub output: Form,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on stderr what is called
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Answer yes to the question about the price
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Ask nothing: without --yes, what costs money is refused
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Colors and progress bars
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

/// The form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// The API's answer; a list is one array
    Json,
    /// One line of JSON for each item
    Ndjson,
    /// Comma-separated values with a header
    Csv,
}

/// Whether to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// If stderr is a terminal and NO_COLOR is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a restore would do, take and cost. Starts nothing
    Plan(PlanArgs),
    /// Show the price, ask, and start a restore
    Restore(RestoreArgs),
    /// Show how a restore stands
    Status(StatusArgs),
    /// Wait until a restore has ended
    Wait(WaitArgs),
    /// List restores, newest first
    Ls(LsArgs),
    /// List the objects of a restore
    Objects(ObjectsArgs),
    /// Cancel a restore. What S3 has begun goes on and is paid for
    Cancel(StatusArgs),
    /// Ask again for the objects of a restore that failed or were cancelled
    Retry(RetryArgs),
    /// Ask at a faster tier for the objects that S3 is still fetching
    Expedite(ExpediteArgs),
    /// Keep the copies of a restore for more days
    Extend(ExtendArgs),
    /// Show under which paths viewers get objects, and whether they can be invalidated
    Paths(PathsArgs),
    /// Show the price, ask, and invalidate objects that viewers can read. S3 is asked for nothing
    Invalidate(InvalidateArgs),
    /// Open a restore's execution in the AWS console, or the list of them
    Open(OpenArgs),
    /// Find restores that other tools began, and publish their objects too
    Adopt(AdoptArgs),
    /// Show restores in a browser, on this machine
    Console(ConsoleArgs),
    /// Say what would keep a restore from being seen, or make it dear. Changes nothing
    Doctor(DoctorArgs),
    /// Print the script that completes commands in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Which objects.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Which objects")]
pub struct Which {
    /// Objects of one bucket, as s3://bucket/key; with --recursive, one s3://bucket/prefix
    #[arg(value_name = "S3_URI")]
    pub uris: Vec<String>,
    /// All objects whose keys begin so
    #[arg(long, short = 'r')]
    pub recursive: bool,
    /// Only keys that match (as in .gitignore); with --recursive
    #[arg(long, value_name = "PATTERN", requires = "recursive")]
    pub include: Vec<String>,
    /// No keys that match; with --recursive
    #[arg(long, value_name = "PATTERN", requires = "recursive")]
    pub exclude: Vec<String>,
    /// Only objects modified at this time or later; with --recursive
    #[arg(long, value_name = "TIME", requires = "recursive")]
    pub modified_after: Option<Timestamp>,
    /// Only objects modified before this time; with --recursive
    #[arg(long, value_name = "TIME", requires = "recursive")]
    pub modified_before: Option<Timestamp>,
    /// A list on this machine, or - for stdin: keys or s3:// addresses a line, CSV, JSON, listings of the AWS CLI
    #[arg(long, value_name = "FILE", conflicts_with_all = ["uris", "recursive"])]
    pub from_file: Option<PathBuf>,
    /// A list in an archive bucket or in the stack's inbox
    #[arg(long, value_name = "S3_URI", conflicts_with_all = ["uris", "recursive", "from_file"])]
    pub manifest: Option<String>,
    /// The bucket of the objects, where a list does not name it
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
}

/// How to restore.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "How to restore")]
pub struct How {
    /// How fast S3 fetches: Expedited, Standard or Bulk
    #[arg(long, value_name = "TIER", value_parser = tier)]
    pub tier: Option<Tier>,
    /// Days for which the readable copies stay
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u32>,
    /// Refuse if it costs more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_cost: Option<Usd>,
    /// When to invalidate: each (an object when it can be read), together (all with the last), or never
    #[arg(long, value_name = "WHEN", value_parser = publish_when)]
    pub publish: Option<PublishWhen>,
}

#[derive(Debug, ClapArgs)]
pub struct PlanArgs {
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub how: How,
}

#[derive(Debug, ClapArgs)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub how: How,
    #[command(flatten)]
    pub start: Start,
}

/// What every command takes that starts a restore.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "How to start")]
pub struct Start {
    /// Only show the plan
    #[arg(long, alias = "dryrun")]
    pub dry_run: bool,
    /// Wait until the restore has ended, or for so long (6h, 30m)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "49h", value_parser = duration)]
    pub wait: Option<SignedDuration>,
    /// A name for this request: repeated with the same name, it starts nothing new
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// The restore's id
    pub id: String,
}

#[derive(Debug, ClapArgs)]
pub struct WaitArgs {
    /// The restore's id
    pub id: String,
    /// Give up after so long (6h, 30m). The restore goes on
    #[arg(long, value_name = "TIME", default_value = "49h", value_parser = duration)]
    pub timeout: SignedDuration,
}

#[derive(Debug, ClapArgs)]
pub struct LsArgs {
    /// Only restores with this status: running, succeeded, partly_failed, failed or cancelled
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Option<Status>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "NUMBER", default_value = "50")]
    pub limit: usize,
}

#[derive(Debug, ClapArgs)]
pub struct ObjectsArgs {
    /// The restore's id
    pub id: String,
    /// Only objects in this state
    #[arg(long, value_name = "STATE", value_parser = ["planned", "available", "restoring", "restored", "published", "failed", "cancelled"])]
    pub state: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "NUMBER")]
    pub limit: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub struct RetryArgs {
    /// The restore's id
    pub id: String,
    #[command(flatten)]
    pub how: How,
    #[command(flatten)]
    pub start: Start,
}

#[derive(Debug, ClapArgs)]
pub struct ExpediteArgs {
    /// The restore's id
    pub id: String,
    /// The tier: Expedited or Standard
    #[arg(long, value_name = "TIER", default_value = "Expedited", value_parser = tier)]
    pub tier: Tier,
    /// Refuse if it costs more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_cost: Option<Usd>,
    #[command(flatten)]
    pub start: Start,
}

#[derive(Debug, ClapArgs)]
pub struct ExtendArgs {
    /// The restore's id
    pub id: String,
    /// Days for which the copies stay, counted from now
    #[arg(long, value_name = "DAYS")]
    pub days: u32,
    /// Refuse if it costs more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_cost: Option<Usd>,
    #[command(flatten)]
    pub start: Start,
}

#[derive(Debug, ClapArgs)]
pub struct PathsArgs {
    /// Objects of one bucket, as s3://bucket/key
    #[arg(value_name = "S3_URI", required = true)]
    pub uris: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct InvalidateArgs {
    #[command(flatten)]
    pub which: Which,
    /// Refuse if it costs more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_cost: Option<Usd>,
    #[command(flatten)]
    pub start: Start,
}

#[derive(Debug, ClapArgs)]
pub struct OpenArgs {
    /// The restore's id. Without it, the list of executions
    pub id: Option<String>,
    /// Only print the address
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, ClapArgs)]
pub struct AdoptArgs {
    /// Where to look: s3://bucket or s3://bucket/prefix
    #[arg(value_name = "S3_URI")]
    pub uri: String,
}

#[derive(Debug, ClapArgs)]
pub struct ConsoleArgs {
    /// Port on 127.0.0.1; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub port: u16,
    /// Show and plan only. The default, except with --local
    #[arg(long)]
    pub read_only: bool,
    /// Start and cancel restores, too. The default with --local
    #[arg(long, conflicts_with = "read_only")]
    pub allow_changes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct DoctorArgs {
    /// Only this archive bucket, instead of all of the stack
    #[arg(long, value_name = "NAME", value_parser = bucket)]
    pub bucket: Option<String>,
    /// Days for which copies should stay
    #[arg(long, value_name = "DAYS", default_value = "3")]
    pub days: u32,
}

/// A bucket by its name, or as s3://name.
fn bucket(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("s3://").unwrap_or(text).trim_end_matches('/');
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if is_name { Ok(name.to_owned()) } else { Err("a bucket is its name, such as my-archive".to_owned()) }
}

fn tier(text: &str) -> Result<Tier, String> {
    let named = Tier::ALL.into_iter().find(|tier| tier.as_str().eq_ignore_ascii_case(text));
    named.ok_or_else(|| "a tier is Expedited, Standard or Bulk".to_owned())
}

fn publish_when(text: &str) -> Result<PublishWhen, String> {
    serde_json::from_value(text.into()).map_err(|_| "objects are published each, together or never".to_owned())
}

fn status(text: &str) -> Result<Status, String> {
    let words = || Status::ALL.map(Status::as_str).join(", ");
    let named = Status::ALL.into_iter().find(|status| status.as_str() == text);
    named.ok_or_else(|| format!("a status is one of {}", words()))
}

fn usd(text: &str) -> Result<Usd, String> {
    let amount = text.trim_start_matches('$').parse().ok().and_then(Usd::from_f64);
    amount.ok_or_else(|| "an amount is a number of US dollars, such as 5 or 0.50".to_owned())
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration = text.parse::<SignedDuration>().ok().filter(SignedDuration::is_positive);
    duration.ok_or_else(|| "a time is a number with its unit, such as 6h or 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!((tier("bulk"), tier("Expedited")), (Ok(Tier::Bulk), Ok(Tier::Expedited)));
        assert_eq!((usd("$5"), usd("0.5")), (Ok(Usd::from_f64(5.0).unwrap()), Ok(Usd::from_f64(0.5).unwrap())));
        assert_eq!((bucket("b.c-d"), bucket("s3://b/")), (Ok("b.c-d".to_owned()), Ok("b".to_owned())));
        assert!(bucket("s3://b/key").is_err() && bucket("").is_err() && bucket("a?b").is_err());
        assert_eq!(duration("6h"), Ok(SignedDuration::from_hours(6)));
        for wrong in ["", "6", "-6h", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(tier("fast").is_err() && usd("-1").is_err() && usd("much").is_err());
    }
}
