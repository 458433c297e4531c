//! The API's view of one object of a restore.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{ArchiveKind, Batch, FailureCode, PublishedReason, Row, State, Tier};

use crate::ledger::progress::claim;

/// A page of a restore's objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectPage {
    /// The objects. Within a page they are in the order of keys and versions.
    pub objects: Vec<ObjectView>,
    /// The cursor of the next page; absent on the last one. A page of a filtered list may be empty without being the
    /// last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One object of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectView {
    /// The key.
    pub key: String,
    /// The version, fixed when the restore was planned; absent in a bucket without versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Bytes; 0 if S3 did not say.
    pub size: u64,
    /// Which kind of archive it is in; absent if it is not archived or S3 did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArchiveKind>,
    /// The object's state.
    pub state: ObjectState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// The tier while it is restored. It differs from the requested one if S3 had no Expedited capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Whether somebody else's request is fetching it, while it is restored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// When its copy expires, if there is one and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_expires: Option<Timestamp>,
    /// Why a published object is known to be visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<PublishedHow>,
    /// The paths that are invalidated for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Why it failed, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The state of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// S3 has not been asked for it yet.
    Planned,
    /// It was not archived, so there is nothing to do.
    Available,
    /// S3 is fetching it.
    Restoring,
    /// It can be read.
    Restored,
    /// It is visible on the CDN.
    Published,
    /// It will not be restored or published by this restore.
    Failed,
    /// The restore was cancelled before it was published.
    Cancelled,
}

/// Why a published object is known to be visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PublishedHow {
    /// CloudFront completed the invalidation of its paths.
    Invalidated,
    /// `only_if_stale` was requested, and nothing stale can be cached.
    NothingStale,
    /// No distribution serves it.
    NoPath,
    /// It is not the current version, so no viewer gets it under its path.
    NotCurrent,
    /// Another restore published this very copy.
    AlreadyPublished,
}

impl ObjectState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Available,
        Self::Restoring,
        Self::Restored,
        Self::Published,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The API's word for a state.
    pub(crate) fn of(state: &State) -> Self {
        match state {
            State::Planned => Self::Planned,
            State::Available => Self::Available,
            State::Restoring { .. } => Self::Restoring,
            State::Restored { .. } => Self::Restored,
            State::Published { .. } => Self::Published,
            State::Failed { .. } => Self::Failed,
            State::Cancelled { .. } => Self::Cancelled,
        }
    }

    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Available => "available",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
            Self::Published => "published",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl PublishedHow {
    fn of(how: &PublishedReason) -> Self {
        match how {
            PublishedReason::Invalidated { .. } => Self::Invalidated,
            PublishedReason::NothingStale => Self::NothingStale,
            PublishedReason::NoPath => Self::NoPath,
            PublishedReason::NotCurrent => Self::NotCurrent,
            PublishedReason::AlreadyPublished => Self::AlreadyPublished,
        }
    }
}

impl ObjectView {
    /// The view of a row, with its paths from the batch that claimed it.
    pub(crate) fn of(row: &Row, batches: &[Batch]) -> Self {
        let base = Self {
            key: row.object.key.clone(),
            version_id: row.object.version.clone(),
            size: row.size,
            kind: row.kind,
            state: ObjectState::of(&row.state),
            since: row.planned_at,
            tier: None,
            joined: false,
            copy_expires: None,
            how: None,
            paths: paths(row, batches),
            code: None,
            message: None,
        };
        match &row.state {
            State::Planned | State::Available => base,
            State::Restoring { since, tier, joined } => {
                Self { since: *since, tier: Some(*tier), joined: *joined, ..base }
            }
            State::Restored { at, expires, claim: _ } => Self { since: *at, copy_expires: *expires, ..base },
            State::Published { at, readable: _, expires, how } => {
                Self { since: *at, copy_expires: *expires, how: Some(PublishedHow::of(how)), ..base }
            }
            State::Failed { at, code, message } => {
                Self { since: *at, code: Some(*code), message: Some(message.clone()), ..base }
            }
            State::Cancelled { at } => Self { since: *at, ..base },
        }
    }
}

/// The paths of an object in the batch that claimed it, for all distributions, each once.
fn paths(row: &Row, batches: &[Batch]) -> Vec<String> {
    let Some(batch) = claim(row).and_then(|id| batches.iter().find(|batch| batch.id == *id)) else {
        return Vec::new();
    };
    let own = batch.candidates.iter().filter(|candidate| candidate.object == row.object);
    let paths: BTreeSet<&String> = own.flat_map(|candidate| candidate.paths.values().flatten()).collect();
    paths.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thaw_core::{BatchId, RestoreId};

    use super::*;
    use crate::testing::stack::{now, row};

    #[test]
    fn an_object_has_been_in_its_state_since_it_came_into_it() {
        let at = now() + Duration::from_secs(1);
        let expires = Some(now() + Duration::from_secs(2));
        let failed = State::Failed { at, code: FailureCode::NoSuchKey, message: "gone".to_owned() };
        for (state, since, copy_expires) in [
            (State::Planned, now(), None),
            (State::Available, now(), None),
            (State::Restoring { since: at, tier: Tier::Bulk, joined: true }, at, None),
            (State::Restored { at, expires, claim: None }, at, expires),
            (State::Published { at, readable: at, expires, how: PublishedReason::NoPath }, at, expires),
            (failed, at, None),
            (State::Cancelled { at }, at, None),
        ] {
            let view = ObjectView::of(&row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state.clone()), &[]);
            assert_eq!((view.since, view.copy_expires), (since, copy_expires), "{state:?}");
            assert_eq!((view.state.as_str(), view.joined), (state.as_str(), matches!(state, State::Restoring { .. })));
        }
    }

    #[test]
    fn every_way_of_being_published_is_shown() {
        let by_batch = PublishedReason::Invalidated { batch: BatchId::from("b".to_owned()) };
        for (how, shown) in [
            (by_batch, PublishedHow::Invalidated),
            (PublishedReason::NothingStale, PublishedHow::NothingStale),
            (PublishedReason::NoPath, PublishedHow::NoPath),
            (PublishedReason::NotCurrent, PublishedHow::NotCurrent),
            (PublishedReason::AlreadyPublished, PublishedHow::AlreadyPublished),
        ] {
            assert_eq!(PublishedHow::of(&how), shown);
        }
    }
}
