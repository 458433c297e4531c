//! Known bugs: mistakes of other projects that restore or invalidate, put back in on purpose.
//!
//! Each is a change between a function and a service, in the path rules, or in the text of the workflow. None of it is
//! deployed code. A suite that does not find all of them proves nothing.

use std::cell::Cell;

use jiff::Timestamp;
use thaw_core::{Facts, Missing, ObjectId, RestoreAnswer, Row, State, Tier, is_any_query_string};
use thaw_steps::Step;
use thaw_steps::ports::{Distributions, Invalidation, Item, ListedRestore, Page, PortError, VersionPage};

use crate::ledger_item::{as_row, is_row};

/// A known bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBug {
    /// The price is for the requested tier, and the request to S3 does not have it.
    TierNotSent,
    /// `Days` is also sent for Intelligent-Tiering.
    DaysSentForIntelligentTiering,
    /// `Days` is never sent.
    DaysNotSent,
    /// `Days` is not sent for any object after an Intelligent-Tiering object.
    DaysLost,
    /// The version is not sent.
    VersionNotSent,
    /// A 409 from S3 is a failure.
    InProgressIsFailure,
    /// No Expedited capacity is a failure, whatever the request says.
    NoCapacityIsFailure,
    /// `ArchiveStatus` is ignored, so archived Intelligent-Tiering looks readable.
    ArchiveStatusIgnored,
    /// Only events report that a copy is ready. Nothing polls S3.
    NoPolling,
    /// As [`Self::NoPolling`], and an event that comes before the row is written finds no restore.
    RowWrittenAfterRequest,
    /// An object counts as readable after a fixed time. Nothing polls S3.
    FixedWait,
    /// One bad object fails the others.
    OneObjectFailsAll,
    /// A restore of one object never ends.
    SingleObjectNeverDone,
    /// Only one of the restores that wait for an object is notified.
    OneRequesterNotified,
    /// The caller reference of an invalidation is the time.
    CallerReferenceIsTime,
    /// Errors of CloudFront are ignored.
    CloudFrontErrorsDropped,
    /// An invalidation counts as completed when it is created.
    InvalidationNotAwaited,
    /// A listing ends at an empty page, even if S3 says that more follow.
    EmptyPageEndsListing,
    /// Restores of other tools are joined without a cost limit.
    JoinedWithoutLimit,
    /// A `+` is not escaped in a path, and S3 reads it as a blank.
    PlusNotEscaped,
    /// Of a path with a blank, only the spelling with `%20` is invalidated, and not the one with `+`.
    BlankSpelledOneWay,
    /// A path is invalidated without a query string only.
    QueryStringsForgotten,
    /// The ledger is not told that an execution died.
    DeadExecutionNotReported,
    /// An object whose path cannot be invalidated fails at once, although its archived neighbour is on its way.
    NeighbourForgotten,
    /// Only one of the distributions of a bucket is invalidated.
    OneDistribution,
    /// Every distribution is sent the paths of the first.
    SamePathsEverywhere,
    /// The query strings of the default behaviour count for all paths.
    CacheKeyOfDefaultBehaviour,
    /// Only the invalidation of one distribution is awaited.
    OneInvalidationAwaited,
    /// A cached holding page, which has status 200, does not count as stale.
    HoldingPageIsFresh,
    /// A staging distribution is never invalidated.
    StagingForgotten,
    /// A path that a function rewrites is never invalidated, although a rule says what the function does.
    RulesForgotten,
    /// A rule for one distribution is applied to the other.
    RuleOfAnotherDistribution,
    /// A path is cleared with any query string by `/path*`, and not by `/path?*`.
    QueryStringWildcardTooShort,
    /// A `?` of a key is not escaped in a path, and begins a query string.
    QuestionMarkNotEscaped,
    /// The queues of completed restores and of confirmations are polled only while an execution runs.
    IdleQueuesNotPolled,
}

impl KnownBug {
    /// Every known bug, in the order of `known-bugs.md`.
    pub const ALL: [Self; 35] = [
        Self::TierNotSent,
        Self::DaysSentForIntelligentTiering,
        Self::DaysNotSent,
        Self::DaysLost,
        Self::VersionNotSent,
        Self::InProgressIsFailure,
        Self::NoCapacityIsFailure,
        Self::ArchiveStatusIgnored,
        Self::NoPolling,
        Self::RowWrittenAfterRequest,
        Self::FixedWait,
        Self::OneObjectFailsAll,
        Self::SingleObjectNeverDone,
        Self::OneRequesterNotified,
        Self::CallerReferenceIsTime,
        Self::CloudFrontErrorsDropped,
        Self::InvalidationNotAwaited,
        Self::EmptyPageEndsListing,
        Self::JoinedWithoutLimit,
        Self::PlusNotEscaped,
        Self::BlankSpelledOneWay,
        Self::QueryStringsForgotten,
        Self::DeadExecutionNotReported,
        Self::NeighbourForgotten,
        Self::OneDistribution,
        Self::SamePathsEverywhere,
        Self::CacheKeyOfDefaultBehaviour,
        Self::OneInvalidationAwaited,
        Self::HoldingPageIsFresh,
        Self::StagingForgotten,
        Self::RulesForgotten,
        Self::RuleOfAnotherDistribution,
        Self::QueryStringWildcardTooShort,
        Self::QuestionMarkNotEscaped,
        Self::IdleQueuesNotPolled,
    ];

    /// Its description, and the projects that have it.
    pub fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::TierNotSent => ("the tier is priced and not sent", "aws-stepfunctions-examples"),
            Self::DaysSentForIntelligentTiering => ("Days is sent for Intelligent-Tiering", "steps-s3-copy, s3cmd"),
            Self::DaysNotSent => ("Days is never sent", "media2cloud"),
            Self::DaysLost => ("Days is lost after an Intelligent-Tiering object", "rclone"),
            Self::VersionNotSent => ("the version is left out", "most"),
            Self::InProgressIsFailure => ("409 is a failure", "cumulus-orca, aws-stepfunctions-examples"),
            Self::NoCapacityIsFailure => ("no Expedited capacity is a failure", "all"),
            Self::ArchiveStatusIgnored => ("archived Intelligent-Tiering looks readable", "steps-s3-copy"),
            Self::NoPolling => ("only events report a copy, nothing polls", "cumulus-orca"),
            Self::RowWrittenAfterRequest => {
                ("the row is written after S3 is asked", "step-functions-workflows-collection")
            }
            Self::FixedWait => ("a fixed wait without a poll", "guidance for automated restore and copy"),
            Self::OneObjectFailsAll => ("one bad object fails all", "cloud-pipeline, herd"),
            Self::SingleObjectNeverDone => ("a restore of one object is never complete", "preservation-services"),
            Self::OneRequesterNotified => ("one of two requesters is notified", "aws-stepfunctions-examples"),
            Self::CallerReferenceIsTime => {
                ("the caller reference is the time", "terraform-aws-cloudfront-invalidation")
            }
            Self::CloudFrontErrorsDropped => {
                ("errors of CloudFront are dropped", "terraform-aws-cloudfront-invalidation")
            }
            Self::InvalidationNotAwaited => ("an invalidation counts as completed when it is created", "most"),
            Self::EmptyPageEndsListing => ("an empty truncated page ends the listing", "TileDB, s3ql"),
            Self::JoinedWithoutLimit => ("joined restores without limit", "an earlier thaw"),
            Self::PlusNotEscaped => ("a plus is not escaped in a path", "crates.io"),
            Self::BlankSpelledOneWay => ("a blank's second spelling is not invalidated", "most"),
            Self::QueryStringsForgotten => ("a path is invalidated without a query string only", "most"),
            Self::DeadExecutionNotReported => ("a dead execution is reported as running", "most"),
            Self::NeighbourForgotten => ("a waiting neighbour is forgotten", "an earlier thaw"),
            Self::OneDistribution => ("only one distribution of a bucket is invalidated", "most"),
            Self::SamePathsEverywhere => ("every distribution is sent the paths of the first", "most"),
            Self::CacheKeyOfDefaultBehaviour => ("the cache key of the default behaviour counts for all paths", "most"),
            Self::OneInvalidationAwaited => ("only the invalidation of one distribution is awaited", "most"),
            Self::HoldingPageIsFresh => ("a cached holding page counts as the object", "most"),
            Self::StagingForgotten => ("a staging distribution is forgotten", "most"),
            Self::RulesForgotten => ("a path that a function rewrites is forgotten", "most"),
            Self::RuleOfAnotherDistribution => ("a rule is applied to the wrong distribution", "none yet"),
            Self::QueryStringWildcardTooShort => ("the wildcard for query strings covers other keys", "most"),
            Self::QuestionMarkNotEscaped => ("a question mark is not escaped in a path", "most"),
            Self::IdleQueuesNotPolled => ("queues are polled only while a restore runs", "none yet"),
        }
    }

    /// The workflow with the bug, if the bug is in the workflow.
    pub fn changed_workflow(self, asl: &str) -> Option<String> {
        let (right, wrong) = match self {
            Self::SingleObjectNeverDone => (
                "{% $states.input.all_published %}",
                "{% $states.input.all_published and $states.input.counts.published > 1 %}",
            ),
            _ => return None,
        };
        assert!(asl.contains(right), "the workflow no longer has {right}");
        Some(asl.replace(right, wrong))
    }
}

/// Changes the response of HeadObject.
pub fn head(bug: Option<KnownBug>, step: Step, facts: Facts, now: Timestamp) -> Result<Facts, PortError> {
    let mut head = match facts {
        Facts::Found(head) => head,
        Facts::Missing(Missing::Refused { says }) if bug == Some(KnownBug::OneObjectFailsAll) => {
            return Err(PortError { what: "HeadObject".to_owned(), says, trouble: None });
        }
        Facts::Missing(_) => return Ok(facts),
    };
    let is_poll = step == Step::CheckRestores;
    match bug {
        Some(KnownBug::ArchiveStatusIgnored) => head.archive_status = None,
        Some(KnownBug::NoPolling | KnownBug::RowWrittenAfterRequest) if is_poll => {
            head.storage_class = Some("GLACIER".to_owned());
            head.restore = Some(r#"ongoing-request="true""#.to_owned());
        }
        Some(KnownBug::NeighbourForgotten) if step == Step::Invalidate => {
            head.restore = head.restore.filter(|restore| !restore.contains("\"true\""));
        }
        Some(KnownBug::FixedWait) if is_poll => {
            let expires = (now + jiff::SignedDuration::from_hours(48)).strftime("%a, %d %b %Y 00:00:00 GMT");
            head.storage_class = Some("GLACIER".to_owned());
            head.restore = Some(format!(r#"ongoing-request="false", expiry-date="{expires}""#));
        }
        _ => {}
    }
    Ok(Facts::Found(head))
}

/// Changes a page of a listing.
pub fn list(bug: Option<KnownBug>, step: Step, mut page: Page) -> Page {
    if step == Step::CheckRestores && matches!(bug, Some(KnownBug::NoPolling | KnownBug::RowWrittenAfterRequest)) {
        page.objects.iter_mut().for_each(|listed| listed.restore = Some(ListedRestore::Ongoing));
    }
    if bug == Some(KnownBug::EmptyPageEndsListing) && page.objects.is_empty() {
        page.next = None;
    }
    page
}

/// Changes a page of a listing of versions.
pub fn list_versions(bug: Option<KnownBug>, mut page: VersionPage) -> VersionPage {
    if bug == Some(KnownBug::EmptyPageEndsListing) && page.objects.is_empty() {
        page.next = None;
    }
    page
}

/// Changes a request for RestoreObject. `days_lost` is the state of [`KnownBug::DaysLost`] in one invocation.
pub fn restore(
    bug: Option<KnownBug>,
    days_lost: &Cell<bool>,
    object: &ObjectId,
    days: Option<u32>,
    tier: Tier,
) -> (ObjectId, Option<u32>, Tier) {
    let mut object = object.clone();
    match bug {
        Some(KnownBug::TierNotSent) => return (object, days, Tier::Standard),
        Some(KnownBug::DaysSentForIntelligentTiering) => return (object, days.or(Some(3)), tier),
        Some(KnownBug::DaysNotSent) => return (object, None, tier),
        Some(KnownBug::DaysLost) => {
            if days.is_none() {
                days_lost.set(true);
            }
            return (object, days.filter(|_| !days_lost.get()), tier);
        }
        Some(KnownBug::VersionNotSent) => object.version = None,
        _ => {}
    }
    (object, days, tier)
}

/// Changes the response of RestoreObject.
pub fn restore_answer(bug: Option<KnownBug>, answer: RestoreAnswer) -> Result<RestoreAnswer, PortError> {
    let refused = |code: &str| RestoreAnswer::Refused { code: code.to_owned(), message: "a bug".to_owned() };
    match (bug, answer) {
        (Some(KnownBug::InProgressIsFailure), RestoreAnswer::InProgress) => Ok(refused("RestoreAlreadyInProgress")),
        (Some(KnownBug::NoCapacityIsFailure), RestoreAnswer::NoExpeditedCapacity) => {
            Ok(refused("GlacierExpeditedRetrievalNotAvailable"))
        }
        (Some(KnownBug::OneObjectFailsAll), RestoreAnswer::InProgress | RestoreAnswer::Refused { .. }) => {
            Err(PortError { what: "RestoreObject".to_owned(), says: "a bug".to_owned(), trouble: None })
        }
        (_, answer) => Ok(answer),
    }
}

/// Changes the caller reference of an invalidation.
pub fn reference(bug: Option<KnownBug>, now: Timestamp, reference: &str) -> String {
    match bug {
        Some(KnownBug::CallerReferenceIsTime) => now.to_string(),
        _ => reference.to_owned(),
    }
}

/// Changes the paths of an invalidation.
pub fn items(bug: Option<KnownBug>, items: &[String]) -> Vec<String> {
    match bug {
        Some(KnownBug::PlusNotEscaped) => items.iter().map(|item| item.replace("%2B", "+")).collect(),
        Some(KnownBug::BlankSpelledOneWay) => {
            // CloudFront refuses an empty list.
            let is_left = |item: &&String| !item.contains('+') || items.len() == 1;
            items.iter().filter(is_left).cloned().collect()
        }
        Some(KnownBug::QueryStringsForgotten) => {
            let is_left = |item: &&String| !is_any_query_string(item) || items.len() == 1;
            items.iter().filter(is_left).cloned().collect()
        }
        Some(KnownBug::QueryStringWildcardTooShort) => items.iter().map(|item| item.replace("?*", "*")).collect(),
        Some(KnownBug::QuestionMarkNotEscaped) => items.iter().map(|item| item.replace("%3F", "?")).collect(),
        _ => items.to_vec(),
    }
}

/// Changes the distributions of a bucket. `staging` is the id of the staging distribution.
pub fn distributions(bug: Option<KnownBug>, staging: &str, mut distributions: Distributions) -> Distributions {
    let Some((first, others)) = distributions.shown.split_first_mut() else { return distributions };
    match bug {
        Some(KnownBug::OneDistribution) => distributions.shown.truncate(1),
        Some(KnownBug::SamePathsEverywhere) => others.iter_mut().for_each(|one| one.origins.clone_from(&first.origins)),
        Some(KnownBug::CacheKeyOfDefaultBehaviour) => {
            for distribution in &mut distributions.shown {
                if let Some((default, others)) = distribution.behaviours.split_last_mut() {
                    others.iter_mut().for_each(|one| one.query_strings.clone_from(&default.query_strings));
                }
            }
        }
        Some(KnownBug::HoldingPageIsFresh) => {
            let groups = distributions.shown.iter_mut().flat_map(|distribution| &mut distribution.groups);
            groups.for_each(|group| group.fails_over_on.clear());
        }
        Some(KnownBug::StagingForgotten) => distributions.shown.retain(|distribution| distribution.id != staging),
        _ => {}
    }
    distributions
}

/// The id of the distribution in a rule for this distribution.
pub fn distribution_of_rule<'a>(
    bug: Option<KnownBug>,
    [primary, second]: [&'a str; 2],
    distribution: &'a str,
) -> &'a str {
    match bug {
        Some(KnownBug::RuleOfAnotherDistribution) if distribution == primary => second,
        Some(KnownBug::RuleOfAnotherDistribution) => primary,
        _ => distribution,
    }
}

/// The rules for rewritten paths.
pub fn path_rules(bug: Option<KnownBug>, rules: String) -> String {
    match bug {
        Some(KnownBug::RulesForgotten) => String::new(),
        _ => rules,
    }
}

/// Whether an invalidation is not awaited. `primary` is the id of the primary distribution.
pub fn is_not_awaited(bug: Option<KnownBug>, primary: &str, distribution: &str) -> bool {
    match bug {
        Some(KnownBug::InvalidationNotAwaited) => true,
        Some(KnownBug::OneInvalidationAwaited) => distribution != primary,
        _ => false,
    }
}

/// Changes the response of CreateInvalidation.
pub fn invalidation(bug: Option<KnownBug>, made: Result<Invalidation, PortError>) -> Result<Invalidation, PortError> {
    match (bug, made) {
        (Some(KnownBug::CloudFrontErrorsDropped), Err(_)) => {
            Ok(Invalidation::Accepted { id: "dropped".to_owned(), completed: true })
        }
        (_, made) => made,
    }
}

/// Changes the response of a query for the rows of an object.
pub fn query<T: Item>(bug: Option<KnownBug>, step: Step, mut items: Vec<T>) -> Vec<T> {
    match bug {
        Some(KnownBug::OneRequesterNotified) if items.first().is_some_and(|item| is_row(&item.key())) => {
            items.truncate(1);
        }
        Some(KnownBug::RowWrittenAfterRequest) if step == Step::OnRestoreCompleted => {
            items.retain(|item| !is_row(&item.key()) || as_row(item).state != State::Planned);
        }
        _ => {}
    }
    items
}

/// Changes the response of a strongly consistent query.
pub fn query_consistently<T: Item>(bug: Option<KnownBug>, step: Step, mut items: Vec<T>) -> Vec<T> {
    if bug == Some(KnownBug::NeighbourForgotten) && step == Step::Invalidate {
        let waits = |row: &Row| matches!(row.state, State::Planned | State::Restoring { .. });
        items.retain(|item| !is_row(&item.key()) || !waits(&as_row(item)));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_bug_is_in_the_list() {
        let list = include_str!("../../known-bugs.md");
        for (description, projects) in KnownBug::ALL.map(KnownBug::description) {
            assert!(list.contains(&format!("| {description} | {projects} |")), "{description}");
        }
        assert_eq!(list.lines().filter(|line| line.starts_with("| ")).count(), 1 + KnownBug::ALL.len());
    }
}
