//! Known bugs, put back in on purpose: what other projects that restore or invalidate got wrong.
//!
//! Each is a switch between a function and the services, or in the workflow's text, so that nothing of it is in what is
//! deployed. A suite that does not find them all proves nothing.

use jiff::Timestamp;
use thaw_core::{Facts, Missing, ObjectId, RestoreAnswer, State, Tier};
use thaw_steps::Step;
use thaw_steps::ports::{Invalidation, Item, ListedRestore, Page, PortError, VersionPage};

use crate::stack::as_row;
use crate::wire::Wire;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBug {
    /// The tier is kept for the price, and never sent.
    TierNotSent,
    /// `Days` is sent for Intelligent-Tiering too.
    DaysAlways,
    /// `Days` is never sent.
    DaysNever,
    /// `Days` is lost for all that come after an Intelligent-Tiering object.
    DaysLost,
    /// The version is left out.
    VersionLost,
    /// 409 is a failure.
    InProgressFails,
    /// No Expedited capacity is a failure, whatever was asked.
    NoCapacityFails,
    /// `ArchiveStatus` is not read: archived Intelligent-Tiering looks readable.
    TieringUnseen,
    /// Only events tell; nobody looks.
    NoLook,
    /// As that, and an event that comes before the note that S3 was asked finds nobody.
    NoteAfterAsking,
    /// After a fixed time it is readable; nobody looks.
    NoCheck,
    /// One bad object fails the others.
    OneFailsAll,
    /// A restore of one object is never complete.
    OneIsNeverDone,
    /// Only one of those who wait for an object is told.
    OneIsTold,
    /// The caller reference is the time.
    ReferenceIsTime,
    /// Errors of CloudFront are dropped.
    ErrorsDropped,
    /// An invalidation counts as done when it is made.
    CompletedUnasked,
    /// A page without a key is the last one, whatever S3 says.
    EmptyPageEnds,
    /// ActionKind others restore is published whatever it costs.
    JoinedWithoutLimit,
    /// A `+` stays a `+` in a path, where S3 reads it as a blank.
    PlusLeftRaw,
    /// A blank is `%20` in a path, and `+` is forgotten.
    BlankOnlyEscaped,
    /// Nobody tells the ledger that an execution died.
    DeadSaidToRun,
}

impl KnownBug {
    /// Every bug.
    pub const ALL: [Self; 22] = [
        Self::TierNotSent,
        Self::DaysAlways,
        Self::DaysNever,
        Self::DaysLost,
        Self::VersionLost,
        Self::InProgressFails,
        Self::NoCapacityFails,
        Self::TieringUnseen,
        Self::NoLook,
        Self::NoteAfterAsking,
        Self::NoCheck,
        Self::OneFailsAll,
        Self::OneIsNeverDone,
        Self::OneIsTold,
        Self::ReferenceIsTime,
        Self::ErrorsDropped,
        Self::CompletedUnasked,
        Self::EmptyPageEnds,
        Self::JoinedWithoutLimit,
        Self::PlusLeftRaw,
        Self::BlankOnlyEscaped,
        Self::DeadSaidToRun,
    ];

    /// ActionKind it is, and in which project it was seen.
    pub fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::TierNotSent => ("the tier is priced and never sent", "aws-stepfunctions-examples"),
            Self::DaysAlways => ("Days is sent for Intelligent-Tiering", "steps-s3-copy, s3cmd"),
            Self::DaysNever => ("Days is never sent", "media2cloud"),
            Self::DaysLost => ("Days is lost after an Intelligent-Tiering object", "rclone"),
            Self::VersionLost => ("the version is left out", "most"),
            Self::InProgressFails => ("409 is a failure", "cumulus-orca, aws-stepfunctions-examples"),
            Self::NoCapacityFails => ("no Expedited capacity is a failure", "all"),
            Self::TieringUnseen => ("archived Intelligent-Tiering looks readable", "steps-s3-copy"),
            Self::NoLook => ("only events tell, nobody looks", "cumulus-orca"),
            Self::NoteAfterAsking => ("the note is written after S3 is asked", "step-functions-workflows-collection"),
            Self::NoCheck => ("a fixed wait, and no look", "guidance for automated restore and copy"),
            Self::OneFailsAll => ("one bad object fails all", "cloud-pipeline, herd"),
            Self::OneIsNeverDone => ("a restore of one object is never complete", "preservation-services"),
            Self::OneIsTold => ("one of two requesters is told", "aws-stepfunctions-examples"),
            Self::ReferenceIsTime => ("the caller reference is the time", "terraform-aws-cloudfront-invalidation"),
            Self::ErrorsDropped => ("errors of CloudFront are dropped", "terraform-aws-cloudfront-invalidation"),
            Self::CompletedUnasked => ("an invalidation is done when it is made", "most"),
            Self::EmptyPageEnds => ("an empty truncated page ends the listing", "TileDB, s3ql"),
            Self::JoinedWithoutLimit => ("joined restores without limit", "an earlier thaw"),
            Self::PlusLeftRaw => ("a plus is left raw in a path", "crates.io"),
            Self::BlankOnlyEscaped => ("a blank's second spelling is forgotten", "most"),
            Self::DeadSaidToRun => ("a dead execution is said to run", "most"),
        }
    }

    /// The workflow with the bug in it, if that is where it is.
    pub fn workflow(self, asl: &str) -> Option<String> {
        let (right, wrong) = match self {
            Self::OneIsNeverDone => (
                "{% $states.input.all_published %}",
                "{% $states.input.all_published and $states.input.counts.published > 1 %}",
            ),
            _ => return None,
        };
        assert!(asl.contains(right), "the workflow no longer has {right}");
        Some(asl.replace(right, wrong))
    }
}

/// ActionKind the bug makes of S3's description of an object.
pub fn head(bug: Option<KnownBug>, step: Step, facts: Facts, now: Timestamp) -> Result<Facts, PortError> {
    let mut head = match facts {
        Facts::Found(head) => head,
        Facts::Missing(Missing::Refused { says }) if bug == Some(KnownBug::OneFailsAll) => {
            return Err(PortError { what: "HeadObject".to_owned(), says, trouble: None });
        }
        Facts::Missing(_) => return Ok(facts),
    };
    let looks = step == Step::CheckRestores;
    match bug {
        Some(KnownBug::TieringUnseen) => head.archive_status = None,
        Some(KnownBug::NoLook | KnownBug::NoteAfterAsking) if looks => {
            head.storage_class = Some("GLACIER".to_owned());
            head.restore = Some(r#"ongoing-request="true""#.to_owned());
        }
        Some(KnownBug::NoCheck) if looks => {
            let expires = (now + jiff::SignedDuration::from_hours(48)).strftime("%a, %d %b %Y 00:00:00 GMT");
            head.storage_class = Some("GLACIER".to_owned());
            head.restore = Some(format!(r#"ongoing-request="false", expiry-date="{expires}""#));
        }
        _ => {}
    }
    Ok(Facts::Found(head))
}

/// ActionKind the bug makes of a listing.
pub fn list(bug: Option<KnownBug>, step: Step, mut page: Page) -> Page {
    if step == Step::CheckRestores && matches!(bug, Some(KnownBug::NoLook | KnownBug::NoteAfterAsking)) {
        page.objects.iter_mut().for_each(|listed| listed.restore = Some(ListedRestore::Ongoing));
    }
    if bug == Some(KnownBug::EmptyPageEnds) && page.objects.is_empty() {
        page.next = None;
    }
    page
}

/// ActionKind the bug makes of a listing of versions.
pub fn list_versions(bug: Option<KnownBug>, mut page: VersionPage) -> VersionPage {
    if bug == Some(KnownBug::EmptyPageEnds) && page.objects.is_empty() {
        page.next = None;
    }
    page
}

/// ActionKind the bug makes of a restore.
pub fn restore(
    bug: Option<KnownBug>,
    wire: &Wire,
    object: &ObjectId,
    days: Option<u32>,
    tier: Tier,
) -> (ObjectId, Option<u32>, Tier) {
    let mut object = object.clone();
    match bug {
        Some(KnownBug::TierNotSent) => return (object, days, Tier::Standard),
        Some(KnownBug::DaysAlways) => return (object, days.or(Some(3)), tier),
        Some(KnownBug::DaysNever) => return (object, None, tier),
        Some(KnownBug::DaysLost) => {
            let mut memory = wire.memory.borrow_mut();
            if days.is_none() {
                memory.push("Days".to_owned());
            }
            return (object, days.filter(|_| memory.is_empty()), tier);
        }
        Some(KnownBug::VersionLost) => object.version = None,
        _ => {}
    }
    (object, days, tier)
}

/// ActionKind the bug makes of S3's answer.
pub fn answer(bug: Option<KnownBug>, answer: RestoreAnswer) -> Result<RestoreAnswer, PortError> {
    let refused = |code: &str| RestoreAnswer::Refused { code: code.to_owned(), message: "a bug".to_owned() };
    match (bug, answer) {
        (Some(KnownBug::InProgressFails), RestoreAnswer::InProgress) => Ok(refused("RestoreAlreadyInProgress")),
        (Some(KnownBug::NoCapacityFails), RestoreAnswer::NoExpeditedCapacity) => {
            Ok(refused("GlacierExpeditedRetrievalNotAvailable"))
        }
        (Some(KnownBug::OneFailsAll), RestoreAnswer::InProgress | RestoreAnswer::Refused { .. }) => {
            Err(PortError { what: "RestoreObject".to_owned(), says: "a bug".to_owned(), trouble: None })
        }
        (_, answer) => Ok(answer),
    }
}

/// ActionKind the bug makes of a caller reference.
pub fn reference(bug: Option<KnownBug>, wire: &Wire, reference: &str) -> String {
    match bug {
        Some(KnownBug::ReferenceIsTime) => format!("{}", wire.stack.runtime.now()),
        _ => reference.to_owned(),
    }
}

/// ActionKind the bug makes of the items of an invalidation.
pub fn items(bug: Option<KnownBug>, items: &[String]) -> Vec<String> {
    match bug {
        Some(KnownBug::PlusLeftRaw) => items.iter().map(|item| item.replace("%2B", "+")).collect(),
        Some(KnownBug::BlankOnlyEscaped) => {
            // CloudFront takes no empty list.
            let is_left = |item: &&String| !item.contains('+') || items.len() == 1;
            items.iter().filter(is_left).cloned().collect()
        }
        _ => items.to_vec(),
    }
}

/// ActionKind the bug makes of CloudFront's answer.
pub fn invalidation(bug: Option<KnownBug>, made: Result<Invalidation, PortError>) -> Result<Invalidation, PortError> {
    match (bug, made) {
        (Some(KnownBug::ErrorsDropped), Err(_)) => {
            Ok(Invalidation::Accepted { id: "dropped".to_owned(), completed: true })
        }
        (_, made) => made,
    }
}

/// ActionKind the bug makes of the answer to a query: of the rows of an object.
pub fn queried<T: Item>(bug: Option<KnownBug>, step: Step, mut items: Vec<T>) -> Vec<T> {
    let is_row = |item: &T| item.key().pk.contains('/');
    match bug {
        Some(KnownBug::OneIsTold) if items.first().is_some_and(is_row) => items.truncate(1),
        Some(KnownBug::NoteAfterAsking) if step == Step::OnRestoreCompleted => {
            items.retain(|item| !is_row(item) || as_row(item).state != State::Planned);
        }
        _ => {}
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_bug_is_in_the_list() {
        let list = include_str!("../../known-bugs.md");
        for (what, whose) in KnownBug::ALL.map(KnownBug::says) {
            assert!(list.contains(&format!("| {what} | {whose} |")), "{what}");
        }
        assert_eq!(list.lines().filter(|line| line.starts_with("| ")).count(), 1 + KnownBug::ALL.len());
    }
}
