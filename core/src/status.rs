//! The status of a restore, computed from its rows: counts, stage, outcome and failures.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FailureCode, Row, State, quantity};

/// The number of objects in each state. Once the restore is planned, the counts add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    /// Objects of the request.
    pub total: u64,
    /// Not requested from S3 yet.
    pub planned: u64,
    /// Never archived.
    pub available: u64,
    /// S3 is fetching them.
    pub restoring: u64,
    /// Readable, not yet known to be visible.
    pub restored: u64,
    /// Visible.
    pub published: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// Counts rows. A restore that is not planned yet has a `total` but no rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.total += 1;
            *match row.state {
                State::Planned => &mut counts.planned,
                State::Available => &mut counts.available,
                State::Restoring { .. } => &mut counts.restoring,
                State::Restored { .. } => &mut counts.restored,
                State::Published { .. } => &mut counts.published,
                State::Failed { .. } => &mut counts.failed,
                State::Cancelled { .. } => &mut counts.cancelled,
            } += 1;
        }
        counts
    }

    /// Objects that are not readable yet and may become so.
    pub fn on_their_way(&self) -> u64 {
        self.planned + self.restoring
    }

    /// Objects that are not readable yet and may become so in a restore with this status. A restore that has ended
    /// requests nothing more, so only the objects that S3 is fetching count.
    pub fn awaited(&self, status: Status) -> u64 {
        match status {
            Status::Running => self.on_their_way(),
            Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled => self.restoring,
        }
    }

    /// What the restore is doing, from the states of its objects.
    pub fn stage(&self, status: Status) -> Stage {
        match status {
            Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled => Stage::Ended,
            Status::Running if self.total == 0 => Stage::Planning,
            Status::Running if self.planned > 0 => Stage::Requesting,
            Status::Running if self.restoring > 0 => Stage::Waiting,
            Status::Running if self.restored > 0 => Stage::Publishing,
            Status::Running => Stage::Reporting,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { total, planned, available, restoring, restored, published, failed, cancelled } = other;
        self.total += total;
        self.planned += planned;
        self.available += available;
        self.restoring += restoring;
        self.restored += restored;
        self.published += published;
        self.failed += failed;
        self.cancelled += cancelled;
    }
}

/// Whether a restore runs, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not ended.
    Running,
    /// Every object that was archived is published (or restored, if publishing was not asked for).
    Succeeded,
    /// Some objects failed, the others succeeded.
    PartlyFailed,
    /// All objects failed, or the restore itself failed.
    Failed,
    /// It was cancelled by a caller.
    Cancelled,
}

impl Status {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::PartlyFailed => "partly_failed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Every status.
    pub const ALL: [Self; 5] = [Self::Running, Self::Succeeded, Self::PartlyFailed, Self::Failed, Self::Cancelled];
}

/// What a restore is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Describing the objects and computing the price.
    Planning,
    /// Requesting the objects from S3.
    Requesting,
    /// Waiting for S3.
    Waiting,
    /// Waiting for CloudFront.
    Publishing,
    /// Recording the result.
    Reporting,
    /// It has ended.
    Ended,
}

/// One failed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// The key.
    pub key: String,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Why, for programs.
    pub code: FailureCode,
    /// Why, for people.
    pub message: String,
}

impl Failure {
    /// The failure of a row, if it failed.
    pub fn of(row: &Row) -> Option<Self> {
        match &row.state {
            State::Failed { code, message, .. } => Some(Self {
                key: row.object.key.clone(),
                version_id: row.object.version.clone(),
                code: *code,
                message: message.clone(),
            }),
            State::Planned
            | State::Available
            | State::Restoring { .. }
            | State::Restored { .. }
            | State::Published { .. }
            | State::Cancelled { .. } => None,
        }
    }
}

/// How a restore ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status.
    pub status: Status,
    /// In words, for the execution's Cause and for notices.
    pub says: String,
}

impl Outcome {
    /// The outcome of a restore whose objects are all settled. The text has the first few failures only.
    pub fn of(counts: Counts, failures: &[Failure]) -> Self {
        let status = if counts.failed == 0 {
            Status::Succeeded
        } else if counts.failed == counts.total {
            Status::Failed
        } else {
            Status::PartlyFailed
        };
        Self { status, says: sentence(counts, failures) }
    }
}

/// A text for a restore that has not ended: what it is doing, and the counts of its objects. `None` if it has ended.
/// `ready_between` is when its first and last object are typically readable.
pub fn progress(stage: Stage, counts: Counts, ready_between: Option<[Timestamp; 2]>) -> Option<String> {
    let doing = match stage {
        Stage::Planning => return Some("thaw looks at the objects. S3 was not asked for any of them yet.".to_owned()),
        Stage::Requesting => "thaw asks S3 for the objects.".to_owned(),
        Stage::Waiting => match ready_between {
            Some([first, last]) => {
                format!("S3 fetches objects. They are typically readable between {first:.0} and {last:.0}.")
            }
            None => "S3 fetches objects.".to_owned(),
        },
        Stage::Publishing => "CloudFront forgets what it has cached for the objects.".to_owned(),
        Stage::Reporting => "Nothing is left to do. The restore is about to end.".to_owned(),
        Stage::Ended => return None,
    };
    Some(format!("{doing} {}", sentence(counts, &[])))
}

/// A text with the counts in one sentence and the first failures.
pub fn sentence(counts: Counts, failures: &[Failure]) -> String {
    let parts: Vec<_> = [
        (counts.published, "published"),
        (counts.restored, "restored"),
        (counts.available, "never archived"),
        (counts.restoring, "still being restored"),
        (counts.planned, "not asked for yet"),
        (counts.cancelled, "cancelled"),
        (counts.failed, "failed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let mut says = format!("Of {}: {}.", quantity(counts.total, "object", "objects"), parts.join(", "));
    const SHOWN: usize = 5;
    for failure in failures.iter().take(SHOWN) {
        says.push_str(&format!(" {}: {}.", failure.key.chars().take(200).collect::<String>(), failure.message));
    }
    let shown = failures.len().min(SHOWN) as u64;
    if shown > 0 && counts.failed > shown {
        says.push_str(&format!(" And {} more.", counts.failed - shown));
    }
    says
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, ObjectId, Publish, RestoreId};

    fn row(key: &str, state: State) -> Row {
        Row {
            object: ObjectId { bucket: "archive".to_owned(), key: key.to_owned(), version: None },
            restore: RestoreId::try_from("r".to_owned()).unwrap(),
            size: 1,
            kind: None,
            decision: Decision::Nothing,
            publish: Publish::default(),
            current: true,
            planned_at: now(),
            place: None,
            held_until: None,
            state,
            revision: 0,
        }
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn missing(key: &str) -> Row {
        let message = "there is no object with this key".to_owned();
        row(key, State::Failed { at: now(), code: FailureCode::NoSuchKey, message })
    }

    fn outcome(rows: &[Row]) -> Outcome {
        let failures: Vec<_> = rows.iter().filter_map(Failure::of).collect();
        Outcome::of(Counts::of(rows), &failures)
    }

    #[test]
    fn an_outcome_reads_like_a_sentence() {
        let outcome = outcome(&[row("a", State::Available), missing("b")]);
        assert_eq!(outcome.status, Status::PartlyFailed);
        assert_eq!(outcome.says, "Of 2 objects: 1 never archived, 1 failed. b: there is no object with this key.");
    }

    #[test]
    fn all_failed_is_failed_and_none_is_succeeded() {
        assert_eq!(outcome(&[missing("a")]).status, Status::Failed);
        assert_eq!(outcome(&[row("a", State::Available)]).status, Status::Succeeded);
    }

    #[test]
    fn a_thousand_failures_stay_readable() {
        let rows: Vec<_> = (0..1_000).map(|n| missing(&format!("{n}{}", "k".repeat(1_000)))).collect();
        let says = outcome(&rows).says;
        // Step Functions cuts a Cause off at 32,768 characters.
        assert!(says.len() < 3_000 && says.ends_with("And 995 more."), "{says}");
    }

    #[test]
    fn the_stage_follows_the_objects() {
        let counts = Counts { total: 2, planned: 1, restored: 1, ..Counts::default() };
        assert_eq!(counts.stage(Status::Running), Stage::Requesting);
        assert_eq!(Counts { total: 1, restored: 1, ..Counts::default() }.stage(Status::Running), Stage::Publishing);
        let waiting = Counts { total: 2, restoring: 1, restored: 1, ..Counts::default() };
        assert_eq!(waiting.stage(Status::Running), Stage::Waiting);
        assert_eq!(Counts { total: 1, published: 1, ..Counts::default() }.stage(Status::Running), Stage::Reporting);
        assert_eq!(counts.stage(Status::Cancelled), Stage::Ended);
        assert_eq!(Counts::default().stage(Status::Running), Stage::Planning);
    }

    #[test]
    fn a_running_restore_says_what_it_does_and_how_far_it_is() {
        let counts = Counts { total: 3, restoring: 2, published: 1, ..Counts::default() };
        let ready = Some([now(), now() + std::time::Duration::from_millis(1_500)]);
        let count = "Of 3 objects: 1 published, 2 still being restored.";
        for (stage, ready, says) in [
            (Stage::Requesting, ready, format!("thaw asks S3 for the objects. {count}")),
            (
                Stage::Waiting,
                ready,
                format!(
                    "S3 fetches objects. They are typically readable between 2026-11-22T10:00:00Z and 2026-11-22T10:00:01Z. {count}"
                ),
            ),
            (Stage::Waiting, None, format!("S3 fetches objects. {count}")),
            (Stage::Publishing, ready, format!("CloudFront forgets what it has cached for the objects. {count}")),
            (Stage::Reporting, ready, format!("Nothing is left to do. The restore is about to end. {count}")),
        ] {
            assert_eq!(progress(stage, counts, ready), Some(says), "{stage:?}");
        }
        let planning = progress(Stage::Planning, Counts::default(), None).unwrap();
        assert_eq!(planning, "thaw looks at the objects. S3 was not asked for any of them yet.");
        assert_eq!(progress(Stage::Ended, counts, ready), None);
    }

    #[test]
    fn every_object_is_counted_once_by_its_state() {
        let restoring = State::Restoring { since: now(), tier: crate::Tier::Bulk, joined: false };
        let restored = State::Restored { at: now(), expires: None, claim: None };
        let published =
            State::Published { at: now(), readable: now(), expires: None, how: crate::PublishedReason::NoPath };
        let states = [State::Planned, State::Available, restoring, restored, published, State::Cancelled { at: now() }];
        let rows: Vec<_> = states.into_iter().map(|state| row("a", state)).chain([missing("b")]).collect();
        let once = Counts {
            total: 7,
            planned: 1,
            available: 1,
            restoring: 1,
            restored: 1,
            published: 1,
            failed: 1,
            cancelled: 1,
        };
        assert_eq!(Counts::of(&rows), once);
        assert_eq!(
            Counts::of(rows.iter().chain(&rows)),
            Counts {
                total: 14,
                planned: 2,
                available: 2,
                restoring: 2,
                restored: 2,
                published: 2,
                failed: 2,
                cancelled: 2
            }
        );
        let mut twice = once;
        twice += once;
        assert_eq!(twice, Counts::of(rows.iter().chain(&rows)));
        assert_eq!(once.on_their_way(), 2);
        assert_eq!(Status::ALL.map(|status| once.awaited(status)), [2, 1, 1, 1, 1]);
    }

    #[test]
    fn a_status_is_serialised_under_its_word() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_sentence_has_up_to_five_failures_and_the_singular_for_one_object() {
        let says = |count: usize| outcome(&vec![missing("k"); count]).says;
        assert_eq!(says(1), "Of 1 object: 1 failed. k: there is no object with this key.");
        assert_eq!(says(5).matches("k: there is no object with this key.").count(), 5);
        assert!(!says(5).contains("more") && says(6).ends_with("And 1 more."));
    }
}
