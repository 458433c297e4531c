//! Restores: how long a retrieval takes, when its copy is gone, and how it stands in between.

use super::api_error::ApiError;
use super::object_ref::ObjectRef;
use super::storage_class::ArchiveKind;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How fast to fetch an object from its archive; the order is from slow to fast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RetrievalTier {
    /// Cheapest.
    Bulk,
    /// What S3 takes when nothing is said.
    #[default]
    Standard,
    /// Minutes; not offered for the deep kinds.
    Expedited,
}

impl FromStr for RetrievalTier {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        match text {
            "Bulk" => Ok(Self::Bulk),
            "Standard" => Ok(Self::Standard),
            "Expedited" => Ok(Self::Expedited),
            _ => Err(malformed()),
        }
    }
}

/// What `RestoreObject` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Which object.
    pub object: ObjectRef,
    /// For how many days the copy shall live; must be absent for Intelligent-Tiering.
    pub days: Option<u32>,
    /// How fast; absent is `Standard`.
    pub tier: Option<RetrievalTier>,
}

impl RestoreRequest {
    /// A request for the current version.
    pub fn new(bucket: &str, key: &str, days: Option<u32>, tier: Option<RetrievalTier>) -> Self {
        Self { object: ObjectRef::new(bucket, key), days, tier }
    }
}

/// What `RestoreObject` answers when it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreAnswer {
    /// 202: the restore has begun, or goes on in a faster tier.
    Accepted,
    /// 200: a copy was live already, and lives until its new expiry now.
    Extended,
}

impl RestoreAnswer {
    /// The HTTP status, which is all that tells the two apart on the wire.
    pub fn status(self) -> u16 {
        match self {
            Self::Accepted => 202,
            Self::Extended => 200,
        }
    }
}

/// How the restore of an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreState {
    /// Never restored, or the copy has expired, or Intelligent-Tiering has the object back.
    None,
    /// Being fetched.
    Ongoing {
        /// When it will be done. AWS does not tell; a test may want to know.
        ready_at: Timestamp,
    },
    /// A copy is live.
    Copy {
        /// Until when.
        expires: Timestamp,
    },
}

/// How often an object was asked for, and what came of it: "no request is paid twice" is checked with this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RestoreCalls {
    /// All calls, with those that end in an error of their own or of a fault.
    pub calls: u32,
    /// Restores that began.
    pub started: u32,
    /// Restores that were made faster while they ran.
    pub upgraded: u32,
    /// Copies whose expiry was moved.
    pub extended: u32,
}

/// Makes the retrieval of some keys take so many seconds, whatever their class and tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalRule {
    /// Which keys: a glob when it has `*` or `?`, otherwise a part of the key.
    pub key: String,
    /// Model seconds from request to completion.
    pub seconds: u32,
}

/// A retrieval that was asked for. What it means at a moment is computed, never stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retrieval {
    pub(crate) tier: RetrievalTier,
    pub(crate) days: Option<u32>,
    pub(crate) ready_at: Timestamp,
    /// `None` for Intelligent-Tiering: there is no copy, the object itself comes back.
    pub(crate) expires: Option<Timestamp>,
}

/// The shortest and longest time a retrieval takes, in seconds; `None` where the tier is not offered.
///
/// User Guide, "Archive retrieval options". Where it says only "within 12 hours" and "within 48 hours"
/// the lower end is ours: AWS promises none.
pub fn retrieval_window(kind: ArchiveKind, tier: RetrievalTier) -> Option<(i64, i64)> {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 3_600;
    match (kind, tier) {
        (ArchiveKind::Flexible | ArchiveKind::ItArchive, RetrievalTier::Expedited) => Some((MINUTE, 5 * MINUTE)),
        (ArchiveKind::Flexible | ArchiveKind::ItArchive, RetrievalTier::Standard) => Some((3 * HOUR, 5 * HOUR)),
        (ArchiveKind::Flexible | ArchiveKind::ItArchive, RetrievalTier::Bulk) => Some((5 * HOUR, 12 * HOUR)),
        (ArchiveKind::Deep | ArchiveKind::ItDeep, RetrievalTier::Expedited) => None,
        (ArchiveKind::Deep | ArchiveKind::ItDeep, RetrievalTier::Standard) => Some((9 * HOUR, 12 * HOUR)),
        (ArchiveKind::Deep | ArchiveKind::ItDeep, RetrievalTier::Bulk) => Some((24 * HOUR, 48 * HOUR)),
    }
}

/// The same for what S3 Batch Operations asks for: Standard begins sooner there. "Within minutes" is five here.
pub fn retrieval_window_by_jobs(kind: ArchiveKind, tier: RetrievalTier) -> Option<(i64, i64)> {
    match (kind, tier) {
        (_, RetrievalTier::Expedited) => None,
        (ArchiveKind::Flexible | ArchiveKind::ItArchive, RetrievalTier::Standard) => Some((5 * 60, 5 * 3_600)),
        (ArchiveKind::Deep | ArchiveKind::ItDeep, RetrievalTier::Standard) | (_, RetrievalTier::Bulk) => {
            retrieval_window(kind, tier)
        }
    }
}

/// When a copy of so many days is gone: the next UTC midnight after that time (User Guide, "Restoring an archived
/// object": made 2012-10-15 10:30Z for 3 days, gone 2012-10-19 00:00Z).
pub fn next_midnight(completed: Timestamp, days: u32) -> Timestamp {
    const DAY: i64 = 86_400;
    let end = completed.as_second().saturating_add(i64::from(days).saturating_mul(DAY));
    let midnight = end.div_euclid(DAY).saturating_add(i64::from(end.rem_euclid(DAY) > 0)).saturating_mul(DAY);
    Timestamp::from_second(midnight).unwrap_or(Timestamp::MAX)
}

pub(crate) fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

pub(super) fn malformed() -> ApiError {
    ApiError::new(
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}
