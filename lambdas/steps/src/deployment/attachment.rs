//! Attachment: what the stack changes in buckets that are not its own, and whether it may be deleted. CloudFormation makes it
//! last and deletes it first.
//!
//! With `ManageBucketEvents` it turns on that the archive buckets send their events to EventBridge, and keeps all else in
//! their notification configurations. It puts back only what it turned on itself. S3 has no condition for this call: a
//! change by somebody else between thaw's read and its write, milliseconds later, is lost.

use std::collections::BTreeSet;

use jiff::Timestamp;
use thaw_core::{CallError, with_eventbridge, without_eventbridge};
use thaw_custom_resource::{CustomResource, Event, Properties, Reply};
use tracing::{info, warn};

use super::findings::listed;
use crate::StepError;
use crate::ledger::bucket_events::BucketEvents;
use crate::ports::{CountExecutions, Ledger, PortError, PutNotifications, ReadBuckets, Running};

/// The physical id. There is one of it in a stack.
const ID: &str = "attachment";

/// Bytes of an answer for what failed.
const BYTES_OF_FAILURES: usize = 2_800;

/// The custom resource.
#[derive(Debug)]
pub struct Attachment<'a, B, L, X, N> {
    /// S3.
    pub buckets: &'a B,
    /// The ledger.
    pub ledger: &'a L,
    /// Step Functions.
    pub executions: &'a X,
    /// The ARN of the state machine, for the command that helps.
    pub state_machine: &'a str,
    /// The time now.
    pub now: N,
}

impl<B, L, X, N> CustomResource for Attachment<'_, B, L, X, N>
where
    B: ReadBuckets + PutNotifications,
    L: Ledger,
    X: CountExecutions,
    N: Fn() -> Timestamp,
{
    fn physical_id(&self, _: &Properties, _: Option<&str>) -> String {
        ID.to_owned()
    }

    async fn handle(&self, event: &Event<'_>) -> Reply {
        match event {
            Event::Create { properties } | Event::Update { properties, .. } | Event::Replace { properties, .. } => {
                let wanted = properties.flag("ManageBucketEvents").and_then(|manages| match manages {
                    true => properties.list("ArchiveBuckets"),
                    false => Ok(Vec::new()),
                });
                match wanted {
                    Ok(wanted) => self.attach(wanted.into_iter().collect()).await,
                    Err(wrong) => Reply::failed(wrong.to_string()),
                }
            }
            Event::Delete { physical_id, .. } => self.detach(*physical_id == Some(ID)).await,
        }
    }
}

/// What failed, in sentences, and whether it may pass within seconds.
#[derive(Debug, Default)]
struct Failures {
    says: Vec<String>,
    may_pass: bool,
}

impl Failures {
    fn add(&mut self, what: &str, error: &StepError) {
        self.may_pass |= error.may_pass() || matches!(error, StepError::Denied(_));
        self.says.push(format!("{what}: {error}."));
    }

    fn reply(self, advice: &str) -> Reply {
        self.says.iter().for_each(|says| warn!("{says}"));
        let reply = match self.says.is_empty() {
            true => Reply::done([]),
            false => Reply::failed(format!("{} {advice}", listed(&self.says, BYTES_OF_FAILURES))),
        };
        if self.may_pass { reply.unsettled() } else { reply }
    }
}

impl<B, L, X, N> Attachment<'_, B, L, X, N>
where
    B: ReadBuckets + PutNotifications,
    L: Ledger,
    X: CountExecutions,
    N: Fn() -> Timestamp,
{
    /// Turns the events of these buckets on, and puts back those of others.
    async fn attach(&self, wanted: BTreeSet<String>) -> Reply {
        let mut failures = Failures::default();
        if let Err(others) = self.put_back(|bucket| !wanted.contains(bucket)).await {
            // A bucket that the stack may not touch any more is no reason to refuse the update. The ledger keeps it.
            others.says.iter().for_each(|says| warn!("{says}"));
            failures.may_pass = others.may_pass;
        }
        for bucket in &wanted {
            if let Err(error) = self.turn_on(bucket).await {
                failures.add(&format!("ManageBucketEvents: the events of {bucket} could not be turned on"), &error);
            }
        }
        failures.reply("Allow it, or set ManageBucketEvents to false.")
    }

    async fn turn_on(&self, bucket: &str) -> Result<(), StepError> {
        let before = self.buckets.notifications(bucket).await?;
        let after = with_eventbridge(&before).map_err(|error| StepError::Unexpected(error.to_string()))?;
        if before == after {
            return Ok(());
        }
        BucketEvents::add(bucket, self.ledger, (self.now)()).await?;
        self.buckets.put_notifications(bucket, &after).await?;
        info!(bucket, "its events go to EventBridge now");
        Ok(())
    }

    /// Puts everything back. If the stack `is_whole`, it is not deleted while restores run; after a creation that failed it is.
    async fn detach(&self, is_whole: bool) -> Reply {
        if is_whole {
            match self.executions.running().await {
                Ok(Running { count: 0, .. }) => {}
                Ok(running) => return Reply::failed(self.refusal(running)),
                Err(error) => {
                    let mut failures = Failures::default();
                    failures.add("Whether restores run is not known", &error.into());
                    return failures.reply("Allow states:ListExecutions, and delete the stack again.");
                }
            }
        }
        match self.put_back(|_| true).await {
            Ok(()) => Reply::done([]),
            Err(failures) => failures.reply(
                "Allow it and delete the stack again; or turn the events off by hand, and delete it with `--retain-resources Attached`.",
            ),
        }
    }

    fn refusal(&self, Running { count, more }: Running) -> String {
        let restores = match (count, more) {
            (1, false) => "1 restore is running".to_owned(),
            (count, false) => format!("{count} restores are running"),
            (count, true) => format!("{count} restores or more are running"),
        };
        let arn = self.state_machine;
        format!(
            "{restores}. Deleted now, the stack would leave them half done: S3 goes on and charges, and nothing is published. Wait until they have ended, or stop them, and then delete the stack again. This stops all of them: aws stepfunctions list-executions --state-machine-arn {arn} --status-filter RUNNING --query 'executions[].[executionArn]' --output text | xargs -n 1 aws stepfunctions stop-execution --execution-arn"
        )
    }

    /// Puts back the setting of these buckets, where it was turned on here. One that fails stops no others.
    async fn put_back(&self, is_meant: impl Fn(&str) -> bool) -> Result<(), Failures> {
        let mut failures = Failures::default();
        let mut item = match BucketEvents::read(self.ledger).await {
            Ok(item) => item,
            Err(error) => {
                failures.add("The ledger could not be read", &error);
                return Err(failures);
            }
        };
        let meant: Vec<_> = item.turned_on.keys().filter(|bucket| is_meant(bucket)).cloned().collect();
        for bucket in meant {
            let done = match self.turn_off(&bucket).await {
                Ok(()) => item.clone().remove(&bucket, self.ledger).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(next) => item = next,
                Err(error) => failures.add(&format!("The events of {bucket} could not be turned off"), &error),
            }
        }
        if failures.says.is_empty() { Ok(()) } else { Err(failures) }
    }

    async fn turn_off(&self, bucket: &str) -> Result<(), StepError> {
        let before = match self.buckets.notifications(bucket).await {
            Ok(before) => before,
            // The bucket was deleted, and its setting with it.
            Err(PortError { trouble: Some(CallError::WrongBucket), .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let after = without_eventbridge(&before).map_err(|error| StepError::Unexpected(error.to_string()))?;
        if before != after {
            self.buckets.put_notifications(bucket, &after).await?;
            info!(bucket, "its events do not go to EventBridge any more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
