//! Preflight: whether the stack could work with its parameters. CloudFormation runs it before it makes anything else.
//!
//! It reads and changes nothing. What is wrong refuses the deployment, all of it at once; what is doubtful is in the
//! stack's outputs.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use thaw_core::sends_to_eventbridge;
use thaw_custom_resource::{CustomResource, Event, Properties, Reply, WrongProperty};
use tracing::{error, warn};

use super::findings::{Bucket, Facts, Findings, MoreOfBucket, findings, listed};
use super::release::release;
use crate::Settings;
use crate::ports::{DescribeDistributions, FoundBucket, PortError, ReadBuckets, ReadLambdaQuota};

/// Reads at a time. CloudFront's API takes few calls a second.
const AT_ONCE: usize = 8;

/// Bytes of an answer for findings, of 4,096.
const BYTES_OF_FINDINGS: usize = 2_800;

/// The settings that can be wrong in themselves, and the parameters from which the functions get them.
const SETTINGS: [(&str, &str); 6] = [
    ("DIRECTORY_INDEX", "DirectoryIndex"),
    ("PATH_RULES", "PathRules"),
    ("DAILY_BUDGET_USD", "DailyBudgetUsd"),
    ("INBOX_MAX_COST_USD", "InboxMaxCostUsd"),
    ("JOINED_MAX_COST_USD", "JoinedMaxCostUsd"),
    ("BATCH_OPERATIONS_OVER", "BatchOperationsOver"),
];

/// How each id begins.
const ID: &str = "preflight-";
/// What separates the release from the one before it.
const AFTER: &str = "-after-";

/// The custom resource.
#[derive(Debug)]
pub struct Preflight<'a, B, D, L> {
    /// S3.
    pub buckets: &'a B,
    /// CloudFront.
    pub cdn: &'a D,
    /// Lambda.
    pub lambda: &'a L,
    /// The Region of the stack.
    pub region: &'a str,
    /// The architecture of this program, as Rust names it.
    pub architecture: &'a str,
}

impl<B: ReadBuckets, D: DescribeDistributions, L: ReadLambdaQuota> CustomResource for Preflight<'_, B, D, L> {
    /// The release, and the one before it. So an update is a replacement, and an update back to the release before it is
    /// known as one: CloudFormation takes back a failed update so, and that must not fail in its turn.
    fn physical_id(&self, properties: &Properties, current: Option<&str>) -> String {
        let release = release(properties);
        match current.and_then(releases) {
            None => format!("{ID}{release}"),
            Some((now, _)) if now == release => current.unwrap_or_default().to_owned(),
            Some((now, _)) => format!("{ID}{release}{AFTER}{now}"),
        }
    }

    async fn handle(&self, event: &Event<'_>) -> Reply {
        let (properties, has_passed) = match event {
            Event::Create { properties } => (*properties, false),
            Event::Update { properties, .. } => (*properties, true),
            Event::Replace { properties, old_physical_id, .. } => {
                let before = releases(old_physical_id).and_then(|(_, before)| before);
                (*properties, before == Some(release(properties).as_str()))
            }
            Event::Delete { .. } => return Reply::done([]),
        };
        match self.facts(properties).await {
            Ok(facts) => reply(findings(&facts), properties, has_passed),
            Err(wrong) => Reply::failed(wrong.to_string()),
        }
    }
}

/// The releases in an id: the one that it is for, and the one before that.
fn releases(physical_id: &str) -> Option<(&str, Option<&str>)> {
    let releases = physical_id.strip_prefix(ID)?;
    Some(match releases.split_once(AFTER) {
        Some((release, before)) => (release, Some(before)),
        None => (releases, None),
    })
}

/// What CloudFormation is answered. Parameters that have passed before are not refused.
fn reply(found: Findings, properties: &Properties, has_passed: bool) -> Reply {
    let Findings { mut wrong, mut doubtful, may_pass } = found;
    if has_passed {
        doubtful.splice(0..0, std::mem::take(&mut wrong));
    }
    let reply = if wrong.is_empty() {
        doubtful.iter().for_each(|says| warn!("{says}"));
        let warnings = if doubtful.is_empty() { "none".to_owned() } else { listed(&doubtful, BYTES_OF_FINDINGS) };
        Reply::done([("Release", release(properties)), ("Warnings", warnings)])
    } else {
        wrong.iter().for_each(|says| error!("{says}"));
        Reply::failed(listed(&wrong, BYTES_OF_FINDINGS))
    };
    if may_pass { reply.unsettled() } else { reply }
}

impl<B: ReadBuckets, D: DescribeDistributions, L: ReadLambdaQuota> Preflight<'_, B, D, L> {
    async fn facts(&self, properties: &Properties) -> Result<Facts, WrongProperty> {
        let ids = properties.list("DistributionIds")?;
        // The very code with which the functions read their settings later.
        let mut variables = BTreeMap::new();
        for (variable, parameter) in SETTINGS {
            variables.insert(variable, properties.text(parameter)?);
        }
        let settings = Settings::read(|variable| variables.get(variable).cloned());
        let buckets = stream::iter(properties.list("ArchiveBuckets")?)
            .map(async |name| self.bucket(name, ids.is_empty()).await)
            .buffered(AT_ONCE);
        let distributions = stream::iter(ids.clone())
            .map(async |id| {
                let read = self.cdn.describe(&id).await;
                (id, read)
            })
            .buffered(AT_ONCE);
        let compiled = match self.architecture {
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Facts {
            region: self.region.to_owned(),
            kms_keys: properties.list("ArchiveKmsKeys")?,
            uses_events: properties.text("EventRules")? != "DISABLED",
            manages_events: properties.flag("ManageBucketEvents")?,
            settings: settings.map(drop),
            architecture: [properties.text("Architecture")?, compiled.to_owned()],
            buckets: buckets.collect().await,
            distributions: distributions.collect().await,
            lambda: self.lambda.lambda_quota().await,
        })
    }

    async fn bucket(&self, name: String, finds_distributions: bool) -> Bucket {
        let found = self.buckets.bucket(&name).await;
        let more = match &found {
            Ok(FoundBucket::Ours) => Some(MoreOfBucket {
                encryption: self.buckets.encryption(&name).await,
                sends_events: self.buckets.notifications(&name).await.and_then(|xml| {
                    sends_to_eventbridge(&xml).map_err(|error| PortError {
                        what: format!("GetBucketNotificationConfiguration of {name}"),
                        says: error.to_string(),
                        trouble: None,
                    })
                }),
                distributions: match finds_distributions {
                    true => Some(self.cdn.with_origin(&name).await),
                    false => None,
                },
            }),
            Ok(FoundBucket::Elsewhere { .. } | FoundBucket::OfAnotherAccount | FoundBucket::Missing) | Err(_) => None,
        };
        Bucket { name, found, more }
    }
}

#[cfg(test)]
mod tests;
