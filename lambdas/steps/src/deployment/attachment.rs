//! Attachment: what the stack changes in buckets that are not its own, and what becomes of its restores when it is deleted.
//! CloudFormation makes it last and deletes it first.
//!
//! With `ManageBucketEvents` it turns on that the archive buckets send their events to EventBridge, and keeps all else in
//! their notification configurations. It puts back only what it turned on itself. S3 has no condition for this call: a
//! change by somebody else between thaw's read and its write, milliseconds later, is lost.
//!
//! A deletion cannot be refused here. If a custom resource fails to be deleted, CloudFormation deletes all others
//! nevertheless, also those on which it depends (aws-cloudformation/cloudformation-coverage-roadmap#852, #1508). So the
//! restores that run are ended in order, while there is a ledger to say so and a topic to send it to. Only termination
//! protection keeps a stack from being deleted.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use thaw_core::{CallError, RestoreId, Status, with_eventbridge, without_eventbridge};
use thaw_custom_resource::{CustomResource, Event, Properties, Reply};
use tracing::{info, warn};

use super::findings::listed;
use crate::StepError;
use crate::ledger::bucket_events::BucketEvents;
use crate::ledger::ending::{fail, says};
use crate::ledger::progress::RestoreProgress;
use crate::ledger::restores::RestoreRecord;
use crate::ports::{
    Ledger, ListExecutions, PortError, PutEvents, PutNotifications, ReadBuckets, ReadStack, StopExecutions, UpdateJobs,
    WorkFiles,
};

/// The physical id. There is one of it in a stack.
const ID: &str = "attachment";

/// Bytes of an answer for what failed.
const BYTES_OF_FAILURES: usize = 2_800;

/// Restores that are ended at a time.
const AT_ONCE: usize = 8;

/// Why a restore ended.
const WHY: &str = "The stack was deleted while this restore ran.";

/// What becomes of its objects.
const LEFT: &str = "S3 goes on with what it was asked for, and charges for it. A stack that is given this ledger publishes that when S3's events come, and asks for the rest with POST /v1/restores/{id}/retry.";

/// The custom resource.
#[derive(Debug)]
pub struct Attachment<'a, S, B, L, F, X, E, J, N> {
    /// CloudFormation.
    pub stack: &'a S,
    /// S3, the archive buckets.
    pub buckets: &'a B,
    /// The ledger.
    pub ledger: &'a L,
    /// The work bucket.
    pub files: &'a F,
    /// Step Functions.
    pub executions: &'a X,
    /// The default event bus.
    pub events: &'a E,
    /// S3 Batch Operations.
    pub jobs: &'a J,
    /// The time now.
    pub now: N,
}

impl<S, B, L, F, X, E, J, N> CustomResource for Attachment<'_, S, B, L, F, X, E, J, N>
where
    S: ReadStack,
    B: ReadBuckets + PutNotifications,
    L: Ledger,
    F: WorkFiles,
    X: ListExecutions + StopExecutions,
    E: PutEvents,
    J: UpdateJobs,
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
            Event::Delete { .. } => self.detach().await,
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

impl<S, B, L, F, X, E, J, N> Attachment<'_, S, B, L, F, X, E, J, N>
where
    S: ReadStack,
    B: ReadBuckets + PutNotifications,
    L: Ledger,
    F: WorkFiles,
    X: ListExecutions + StopExecutions,
    E: PutEvents,
    J: UpdateJobs,
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

    /// Puts everything back, and ends the restores that run, if the stack goes. After an update that is taken back it stays.
    async fn detach(&self) -> Reply {
        let mut failures = self.put_back(|_| true).await.err().unwrap_or_default();
        match self.stack.is_going().await {
            Ok(true) => self.end_restores(&mut failures).await,
            Ok(false) => {}
            Err(error) => {
                failures.add("Whether the stack is being deleted is not known, so no restore was ended", &error.into());
            }
        }
        failures.reply(
            "CloudFormation deletes the rest of the stack nevertheless: do this by hand, and delete the stack again with `--retain-resources Attached`.",
        )
    }

    /// Ends all restores that run. One that fails stops no others.
    async fn end_restores(&self, failures: &mut Failures) {
        let mut known = BTreeSet::new();
        loop {
            let running = match self.executions.running().await {
                Ok(running) => running,
                Err(error) => return failures.add("The restores that run could not be stopped", &error.into()),
            };
            // Those that were stopped just now may still be listed.
            let new: Vec<_> = running.into_iter().filter(|name| known.insert(name.clone())).collect();
            if new.is_empty() {
                return;
            }
            let ended = stream::iter(new).map(async |name| (self.end(&name).await, name)).buffer_unordered(AT_ONCE);
            for (ended, name) in ended.collect::<Vec<_>>().await {
                if let Err(error) = ended {
                    failures.add(&format!("The restore {name} could not be stopped"), &error);
                }
            }
        }
    }

    /// Ends the restore of an execution that runs.
    async fn end(&self, name: &str) -> Result<(), StepError> {
        // One that was started by hand under another name is no restore, and ends by itself.
        let Ok(id) = RestoreId::try_from(name.to_owned()) else { return Ok(()) };
        let why = match self.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(&id)).await? {
            Some(record) if record.status == Status::Running => {
                let counts = RestoreProgress::of(&record, self.ledger, self.files).await?.counts;
                let why = format!("{} {}", says(WHY, counts), LEFT.replace("{id}", id.as_str()));
                fail(record, counts, &why, self.ledger, self.events, self.jobs, (self.now)()).await?;
                why
            }
            // It has ended, by an earlier attempt or before, and its execution goes on.
            Some(record) => record.says.unwrap_or_else(|| WHY.to_owned()),
            None => WHY.to_owned(),
        };
        // Stopped last: until then the next attempt finds it.
        self.executions.stop(&id, &why).await?;
        Ok(())
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
