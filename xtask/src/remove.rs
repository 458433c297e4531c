//! `cargo xtask remove`: removes a stack, after it has said what becomes of its restores, and what stays.
//!
//! The stack itself ends the restores that run: Attachment is deleted first, and does it. This command adds what only a person
//! can do: agree, switch termination protection off, and see whether buckets and distributions are as they were.

use std::collections::BTreeMap;
use std::thread::sleep;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use thaw_core::quantity;

use crate::aws_cli::AwsCli;
use crate::deploy::parameters::CODE_BUCKET;
use crate::deploy::progress::Progress;
use crate::deploy::stack::{Deployed, protect};
use crate::deploy::{Target, events, follow};
use crate::question;

/// What `remove` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    pub target: Target,
    /// Wait until no restore runs, and remove the stack then
    #[arg(long)]
    pub when_done: bool,
}

/// Removes the stack. Fails if that is refused, if CloudFormation could not do it, or if something that is not the stack's has
/// changed meanwhile. A stack that is not there is no failure.
pub fn run(options: &Options) -> Result<()> {
    let Options { target, when_done } = options;
    let name = target.stack_name.as_str();
    let (cli, _) = target.cli()?;
    let account = cli.account()?;
    let found = Deployed::find(&cli, name)?;
    match removal(name, found.as_ref().map(|stack| stack.status.as_str())) {
        Removal::Nothing => {
            println!("there is no stack {name} in account {account}, {}: nothing to remove", cli.region);
        }
        Removal::Begin => remove(&cli, target, *when_done, &found.context("a stack that has a status")?)?,
        Removal::Refuse(why) => bail!("{why}"),
    }
    Ok(())
}

fn remove(cli: &AwsCli, target: &Target, when_done: bool, stack: &Deployed) -> Result<()> {
    let name = target.stack_name.as_str();
    stack.is_of_thaw(name)?;
    println!("the stack {name} in {} is {}\n", cli.region, stack.status);
    // Of a stack that was never whole, nothing has run.
    if stack.outputs.contains_key("StateMachineArn") {
        if when_done {
            wait_until_nothing_runs(cli, target)?;
        }
        running_words(running(cli, name)).iter().for_each(|line| println!("{line}"));
    }
    stays(stack).iter().for_each(|line| println!("{line}"));
    let before = Surroundings::of(cli, stack);
    if !target.yes {
        ensure!(
            question::asked(&format!("\nremove the stack {name}?"), "--yes agrees to what is shown above")?,
            "nothing was changed"
        );
    }

    println!("\nremoving it (versions that are kept go with their functions):");
    let mut progress = Progress::after(&events(cli, &stack.id)?);
    delete(cli, stack, name)?;
    let ended = follow(cli, target, &stack.id, &mut progress)?;
    if let Some(Deployed { status, .. }) = ended.filter(|stack| stack.status != "DELETE_COMPLETE") {
        let failures = progress.failures();
        bail!("{}", not_removed(name, &status, &failures));
    }
    println!("the stack {name} is gone\n");
    let manages = stack.parameters.get("ManageBucketEvents").is_some_and(|manages| manages == "true");
    let findings = before.compared(&Surroundings::of(cli, stack), manages);
    findings.iter().for_each(|finding| println!("{}", finding.words()));
    let changed = findings.iter().filter(|finding| matches!(finding, Finding::Changed(_))).count();
    ensure!(changed == 0, "the stack is gone, but not all that it was attached to is as it was: see above");
    Ok(())
}

/// Begins the deletion. If that is refused, the stack is as well protected as before.
fn delete(cli: &AwsCli, stack: &Deployed, name: &str) -> Result<()> {
    if stack.is_protected {
        protect(cli, name, false)?;
    }
    let begun = cli.text(&["cloudformation", "delete-stack", "--stack-name", name]);
    if begun.is_err() && stack.is_protected {
        protect(cli, name, true)?;
    }
    begun.map(drop)
}

/// What this command does about a stack.
#[derive(Debug, PartialEq, Eq)]
enum Removal {
    Nothing,
    Begin,
    /// It cannot begin, for this reason.
    Refuse(String),
}

/// Decides it by the stack's status; none if there is no stack. Of a deletion that goes on, the rest is shown: to ask for it twice
/// is fine.
fn removal(name: &str, status: Option<&str>) -> Removal {
    match status {
        None | Some("DELETE_COMPLETE") => Removal::Nothing,
        Some("DELETE_IN_PROGRESS" | "REVIEW_IN_PROGRESS") => Removal::Begin,
        Some(busy) if busy.ends_with("_IN_PROGRESS") => Removal::Refuse(format!(
            "the stack {name} is {busy}: somebody else is changing it. Wait until that has ended"
        )),
        Some(_) => Removal::Begin,
    }
}

/// A restore that runs.
#[derive(Debug, PartialEq, Eq)]
struct Running {
    id: String,
    /// How far it is, in the words of the HTTP API.
    says: String,
    /// How many objects S3 was asked for and has not restored yet.
    restoring: u64,
}

/// How many restores run, and the newest of them.
struct AllRunning {
    newest: Vec<Running>,
    /// Up to [`PAGE`].
    count: usize,
}

/// Restores that are named one by one.
const NAMED: usize = 20;

/// The longest page of the HTTP API. More restores are not counted.
const PAGE: usize = 100;

/// Asks the function behind `GET /v1/restores`, so that this command needs no signature and says what `thaw` says.
fn running(cli: &AwsCli, name: &str) -> Result<AllRunning> {
    let ask = |route: &str, parameters: Value, queries: Value| -> Result<Value> {
        let event = json!({"routeKey": route, "pathParameters": parameters, "queryStringParameters": queries});
        let answer = cli.invoke(&format!("{name}-GetRestores"), &event)?;
        let body = answer["body"].as_str().with_context(|| format!("the function answers {answer}"))?;
        Ok(serde_json::from_str(body)?)
    };
    let page = ask("GET /v1/restores", json!({}), json!({"status": "running", "limit": PAGE.to_string()}))?;
    let restores = page["restores"].as_array().with_context(|| format!("the function answers {page}"))?;
    let ids = restores.iter().filter_map(|restore| restore["id"].as_str());
    let mut newest = Vec::new();
    for id in ids.take(NAMED) {
        let restore = ask("GET /v1/restores/{id}", json!({ "id": id }), json!({}))?;
        newest.push(Running {
            id: id.to_owned(),
            says: restore["says"].as_str().unwrap_or_default().to_owned(),
            restoring: restore["counts"]["restoring"].as_u64().unwrap_or_default(),
        });
    }
    Ok(AllRunning { newest, count: restores.len() })
}

fn wait_until_nothing_runs(cli: &AwsCli, target: &Target) -> Result<()> {
    let mut shown = None;
    loop {
        let count = running(cli, &target.stack_name)?.count;
        if count == 0 {
            return Ok(());
        }
        if shown != Some(count) {
            println!("waiting until no restore runs: {} now", number(count));
            shown = Some(count);
        }
        sleep(target.pause());
    }
}

fn number(count: usize) -> String {
    if count == PAGE { format!("{PAGE} or more") } else { count.to_string() }
}

/// What becomes of what runs.
fn running_words(running: Result<AllRunning>) -> Vec<String> {
    let AllRunning { newest, count } = match running {
        Ok(running) => running,
        Err(error) => {
            return vec![
                format!("Which restores run could not be read: {error:#}."),
                "Those that do end as failed; S3 goes on with what it was asked for, and charges for it.".to_owned(),
            ];
        }
    };
    if count == 0 {
        return vec!["No restore runs.".to_owned()];
    }
    let restoring: u64 = newest.iter().map(|restore| restore.restoring).sum();
    let least = if count > newest.len() { "at least " } else { "" };
    let mut lines = vec![format!(
        "Restores that run: {}. They end as failed. S3 goes on with {least}{}, and charges for that. --when-done lets these restores end first.",
        number(count),
        quantity(restoring, "object", "objects"),
    )];
    lines.extend(newest.iter().map(|restore| format!("  {}  {}", restore.id, restore.says)));
    if count > newest.len() {
        lines.push("  and older ones".to_owned());
    }
    lines
}

/// What is left when the stack is gone, with how to use it again and how to delete it.
fn stays(stack: &Deployed) -> Vec<String> {
    let output = |name: &str| stack.outputs.get(name).filter(|name| !name.is_empty());
    let mut lines = Vec::new();
    if let (Some(ledger), Some(bucket)) = (output("LedgerTable"), output("WorkBucket")) {
        lines.extend([
            format!("These stay: the ledger {ledger} and the work bucket {bucket}. They record what was paid for and published."),
            format!("  a new stack goes on with them: cargo xtask deploy --set ExistingLedger={ledger} --set ExistingWorkBucket={bucket}"),
            format!("  to delete them: aws dynamodb delete-table --table-name {ledger}; aws s3 rb --force s3://{bucket}"),
        ]);
    }
    if let Some(code) = stack.parameters.get(CODE_BUCKET) {
        lines.push(format!(
            "The code bucket {code} stays. To delete the releases in it: aws s3 rm --recursive s3://{code}/thaw/"
        ));
    }
    lines
}

fn not_removed(name: &str, status: &str, failures: &[String]) -> String {
    format!(
        "the stack {name} is {status}. What could not be deleted, and why:\n{}\nMend that, and remove the stack again. What cannot be mended can be left: aws cloudformation delete-stack --stack-name {name} --retain-resources NAME",
        failures.join("\n")
    )
}

/// What the stack is attached to and does not own: notification configurations of buckets, and distributions. None for what could
/// not be read.
struct Surroundings {
    notifications: BTreeMap<String, Option<Value>>,
    distributions: BTreeMap<String, Option<Value>>,
}

impl Surroundings {
    fn of(cli: &AwsCli, stack: &Deployed) -> Self {
        let named = |parameter: &str| {
            let names = stack.parameters.get(parameter).map(String::as_str).unwrap_or_default();
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
        };
        let notifications = named("ArchiveBuckets").map(|bucket| {
            let read = cli.json(&["s3api", "get-bucket-notification-configuration", "--bucket", &bucket]);
            (bucket, read.ok())
        });
        let distributions = named("DistributionIds").map(|id| {
            let read = cli.json(&["cloudfront", "get-distribution-config", "--id", &id]);
            (id, read.ok())
        });
        Self { notifications: notifications.collect(), distributions: distributions.collect() }
    }

    /// What is to be said about each, given how all was before. `manages`: the stack may have turned events on, and then turns them
    /// off.
    fn compared(&self, after: &Self, manages: bool) -> Vec<Finding> {
        let put_back = |before: &Value, after: &Value| {
            manages && without_eventbridge(before) == without_eventbridge(after) && !sends(after)
        };
        let notifications = self.notifications.iter().map(|(bucket, before)| {
            let what = format!("the notifications of bucket {bucket}");
            Finding::of(what, before.as_ref(), after.notifications.get(bucket).and_then(Option::as_ref), put_back)
        });
        let distributions = self.distributions.iter().map(|(id, before)| {
            let what = format!("distribution {id}");
            Finding::of(what, before.as_ref(), after.distributions.get(id).and_then(Option::as_ref), |_, _| false)
        });
        notifications.chain(distributions).collect()
    }
}

const EVENTS: &str = "EventBridgeConfiguration";

fn sends(configuration: &Value) -> bool {
    configuration.get(EVENTS).is_some()
}

/// The rest of a configuration. S3 answers one without any setting with nothing.
fn without_eventbridge(configuration: &Value) -> Value {
    let mut rest = configuration.as_object().cloned().unwrap_or_default();
    rest.remove(EVENTS);
    rest.into()
}

/// How something is after the removal that was there before.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Same(String),
    PutBack(String),
    Changed(String),
    Unknown(String),
}

impl Finding {
    fn of(
        what: String,
        before: Option<&Value>,
        after: Option<&Value>,
        put_back: impl Fn(&Value, &Value) -> bool,
    ) -> Self {
        match (before, after) {
            (Some(before), Some(after)) if before == after => Self::Same(what),
            (Some(before), Some(after)) if put_back(before, after) => Self::PutBack(what),
            (Some(_), Some(_)) => Self::Changed(what),
            (None, _) | (_, None) => Self::Unknown(what),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Same(what) => format!("  as it was   {what}"),
            Self::PutBack(what) => {
                format!("  as it was   {what}: not to EventBridge, as before the stack turned that on")
            }
            Self::Changed(what) => format!("  CHANGED     {what}: not by the stack, which changes nothing else there"),
            Self::Unknown(what) => format!("  unknown     {what} could not be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_follows_from_the_status() {
        for status in [None, Some("DELETE_COMPLETE")] {
            assert_eq!(removal("thaw", status), Removal::Nothing, "{status:?}");
        }
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_ROLLBACK_FAILED",
            "ROLLBACK_COMPLETE",
            "CREATE_FAILED",
            "DELETE_FAILED",
            "DELETE_IN_PROGRESS",
            "REVIEW_IN_PROGRESS",
        ] {
            assert_eq!(removal("thaw", Some(status)), Removal::Begin, "{status}");
        }
        for status in ["UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"] {
            let Removal::Refuse(why) = removal("thaw", Some(status)) else { panic!("{status}") };
            assert!(why.contains(status) && why.contains("somebody else"), "{why}");
        }
    }

    fn restore(id: &str) -> Running {
        Running { id: id.to_owned(), says: "5 objects: 2 published, 3 restoring".to_owned(), restoring: 3 }
    }

    #[test]
    fn it_is_said_what_becomes_of_restores_that_run() {
        assert_eq!(running_words(Ok(AllRunning { newest: vec![], count: 0 })), ["No restore runs."]);
        let two = running_words(Ok(AllRunning { newest: vec![restore("r1"), restore("r2")], count: 2 }));
        assert!(two[0].starts_with("Restores that run: 2. They end as failed. S3 goes on with 6 objects"), "{two:?}");
        assert_eq!(
            two[1..],
            ["  r1  5 objects: 2 published, 3 restoring", "  r2  5 objects: 2 published, 3 restoring"]
        );
        let many = running_words(Ok(AllRunning { newest: vec![restore("r")], count: PAGE }));
        assert!(many[0].contains("100 or more") && many[0].contains("at least 3 objects"), "{many:?}");
        assert_eq!(many[2], "  and older ones");
        let unknown = running_words(Err(anyhow::anyhow!("AccessDenied"))).join("\n");
        assert!(unknown.contains("could not be read: AccessDenied") && unknown.contains("end as failed"), "{unknown}");
    }

    fn stack(outputs: &[(&str, &str)], parameters: &[(&str, &str)]) -> Deployed {
        let texts =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Deployed {
            id: "id".to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            is_protected: false,
            parameters: texts(parameters),
            outputs: texts(outputs),
        }
    }

    #[test]
    fn what_stays_is_named_with_how_to_use_and_how_to_delete_it() {
        let whole =
            stays(&stack(&[("LedgerTable", "thaw-L"), ("WorkBucket", "thaw-w")], &[("CodeBucket", "code")])).join("\n");
        for said in [
            "--set ExistingLedger=thaw-L --set ExistingWorkBucket=thaw-w",
            "delete-table --table-name thaw-L",
            "s3 rb --force s3://thaw-w",
            "s3://code/thaw/",
        ] {
            assert!(whole.contains(said), "{said}: {whole}");
        }
        assert_eq!(stays(&stack(&[], &[("CodeBucket", "code")])).len(), 1);
    }

    fn surroundings(notifications: Option<Value>, distribution: Option<Value>) -> Surroundings {
        Surroundings {
            notifications: [("b".to_owned(), notifications)].into(),
            distributions: [("E1".to_owned(), distribution)].into(),
        }
    }

    #[test]
    fn only_what_the_stack_puts_back_may_have_changed() {
        let queues = json!({"QueueConfigurations": [{"Id": "mine"}]});
        let both = json!({"QueueConfigurations": [{"Id": "mine"}], "EventBridgeConfiguration": {}});
        let (notifications, distribution) =
            (|| "the notifications of bucket b".to_owned(), || "distribution E1".to_owned());
        let compared = |before: Option<&Value>, after: Option<&Value>, manages| {
            let of = |notifications: Option<&Value>| surroundings(notifications.cloned(), Some(json!({"ETag": "1"})));
            of(before).compared(&of(after), manages).remove(0)
        };
        assert_eq!(compared(Some(&queues), Some(&queues), true), Finding::Same(notifications()));
        assert_eq!(compared(Some(&both), Some(&queues), true), Finding::PutBack(notifications()));
        assert_eq!(
            compared(Some(&json!({"EventBridgeConfiguration": {}})), Some(&Value::Null), true),
            Finding::PutBack(notifications())
        );
        assert_eq!(compared(Some(&both), Some(&queues), false), Finding::Changed(notifications()));
        assert_eq!(compared(Some(&both), Some(&Value::Null), true), Finding::Changed(notifications()));
        assert_eq!(compared(Some(&queues), Some(&both), true), Finding::Changed(notifications()));
        assert_eq!(compared(Some(&both), None, true), Finding::Unknown(notifications()));
        assert_eq!(compared(None, Some(&both), true), Finding::Unknown(notifications()));
        let of = |etag: &str| surroundings(Some(Value::Null), Some(json!({ "ETag": etag })));
        assert_eq!(of("1").compared(&of("2"), true)[1], Finding::Changed(distribution()));
        assert_eq!(of("1").compared(&of("1"), true)[1], Finding::Same(distribution()));
        assert_eq!(of("1").compared(&surroundings(None, None), true)[1], Finding::Unknown(distribution()));
    }
}
