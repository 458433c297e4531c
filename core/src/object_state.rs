//! The state machine of one object in one restore. [`advance`] takes a state and an event and returns the next state. It is
//! pure, and no other function changes a state.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, BatchId, Decision, ObjectId, Publish, PublishWhen, RestoreId, Tier};

/// The state of an object in a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// In the plan. The row is written before S3 is asked, so that every event finds it.
    Planned,
    /// Never archived: nothing to do, nothing invalidated.
    Available,
    /// S3 is fetching it.
    Restoring {
        /// When S3 accepted the request, or when thaw joined a restore that already ran.
        since: Timestamp,
        /// The tier from which the times of the looks are computed.
        tier: Tier,
        /// Whether thaw joined a retrieval that another request had begun.
        joined: bool,
    },
    /// Readable.
    Restored {
        /// When thaw learned it.
        at: Timestamp,
        /// When the copy expires; `None` for Intelligent-Tiering, which has no copy, and while the time is unknown.
        expires: Option<Timestamp>,
        /// The batch that publishes it. Set before CloudFront is called; released only if the batch loses the object to
        /// another batch. When CloudFront is done, only the batch is updated, for all of its objects; the rows in the
        /// ledger keep this state.
        claim: Option<BatchId>,
    },
    /// Visible on the CDN.
    Published {
        /// When thaw learned it.
        at: Timestamp,
        /// When thaw learned that it can be read. That may be much earlier, and be about an earlier copy.
        readable: Timestamp,
        /// When the copy expires.
        expires: Option<Timestamp>,
        /// How thaw knows that it is visible.
        how: PublishedReason,
    },
    /// It will not be restored or published by this restore.
    Failed {
        /// When thaw gave up.
        at: Timestamp,
        /// Why, for programs.
        code: FailureCode,
        /// Why, for people.
        message: String,
    },
    /// The restore was cancelled before this object was published.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

/// How thaw knows that a published object is visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum PublishedReason {
    /// CloudFront completed the invalidation of this batch.
    Invalidated {
        /// The batch.
        batch: BatchId,
    },
    /// The request has `only_if_stale`, and CloudFront can have no error cached.
    NothingStale,
    /// No distribution serves this key from this bucket.
    NoPath,
    /// It is not the current version, so its path shows another one. The path is not invalidated, because the current
    /// version may be archived while CloudFront still has it cached.
    NotCurrent,
    /// Another restore published this very copy.
    AlreadyPublished,
}

/// Why an object failed. The names are part of the API and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FailureCode {
    /// There is no such key.
    NoSuchKey,
    /// There is no such version of the key.
    NoSuchVersion,
    /// The current version is a delete marker.
    DeleteMarker,
    /// S3 answers 403. It also does for a missing key if the caller may not list the bucket.
    AccessDenied,
    /// S3 does not offer the tier for the object's storage class or access tier.
    TierNotOffered,
    /// S3 had no Expedited capacity, and the request said to fail in that case.
    ExpeditedNotAvailable,
    /// The request was to join a running restore, but S3 is not fetching the object.
    NotBeingRestored,
    /// The request was to publish only, and the object cannot be read: it is archived, or S3 is still fetching it.
    NotReadable,
    /// S3 refused the restore for another reason; the message quotes its answer.
    RefusedByS3,
    /// Not readable at the deadline.
    RetrievalTimedOut,
    /// thaw could not read S3's description of the object.
    Unreadable,
    /// S3 refuses `HeadObject` for the object, as it does for one that is encrypted with a customer's key (SSE-C); the
    /// message quotes its answer.
    HeadRefused,
    /// CloudFront cannot invalidate the object's path without touching archived objects.
    PathCannotBeInvalidated,
    /// CloudFront refused the invalidation; the message quotes its answer.
    RefusedByCloudFront,
    /// Only tenants of a multi-tenant distribution show the object, or may show it, and thaw does not invalidate for them.
    ShownByTenantsOnly,
}

/// What can happen to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// S3 accepted a restore (202).
    Requested {
        /// When.
        at: Timestamp,
        /// At which tier.
        tier: Tier,
    },
    /// S3 was already fetching it: it answered 409, or HeadObject showed it.
    Joined {
        /// When thaw joined.
        at: Timestamp,
        /// The tier of the request: the best guess of the one that runs.
        tier: Tier,
    },
    /// It can be read: a look found it, an event reported it, or S3 answered that the copy exists already (200).
    Readable {
        /// When thaw learned it.
        at: Timestamp,
        /// When the copy expires, if known.
        expires: Option<Timestamp>,
    },
    /// S3 says that it was never archived.
    NotArchived,
    /// A batch claims it.
    Claimed {
        /// The batch.
        batch: BatchId,
    },
    /// The batch that had claimed it lost it to another batch, which publishes the same copy for another restore. The
    /// first batch never will.
    Released {
        /// The batch.
        batch: BatchId,
    },
    /// It is visible.
    Published {
        /// When thaw learned it.
        at: Timestamp,
        /// How thaw knows.
        how: PublishedReason,
    },
    /// It cannot be restored or published.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        code: FailureCode,
        /// Why, in words.
        message: String,
    },
    /// The restore was cancelled.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

/// An event that cannot happen in a state. It means a bug in thaw, not a fault of S3 or CloudFront.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an object that is {state} cannot take {event:?}")]
pub struct IllegalEvent {
    /// The state's word.
    pub state: &'static str,
    /// The event.
    pub event: Event,
}

/// That S3 said that an object can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// When thaw learned it.
    pub at: Timestamp,
    /// When the copy goes away, where known.
    pub expires: Option<Timestamp>,
}

impl From<Readiness> for Event {
    fn from(Readiness { at, expires }: Readiness) -> Self {
        Self::Readable { at, expires }
    }
}

/// One object of one restore, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The object; its version was pinned when it was planned.
    #[serde(flatten)]
    pub object: ObjectId,
    /// The restore that asked for it.
    pub restore: RestoreId,
    /// Size in bytes; 0 while unknown.
    pub size: u64,
    /// Its archive kind; `None` if it is not archived or S3 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArchiveKind>,
    /// The plan's decision.
    pub decision: Decision,
    /// How the restore wants it published.
    pub publish: Publish,
    /// Whether it was the current version when planned. Only the current version is visible under its path.
    pub current: bool,
    /// When it was planned. Earlier events are about an earlier restore of the object.
    pub planned_at: Timestamp,
    /// Its position in the restore's plan; `None` in rows of earlier versions of thaw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ChunkPosition>,
    /// When publishing it is tried again: an archived neighbour is in its way, and S3 brings that neighbour. Cleared by every
    /// change of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Its state.
    #[serde(flatten)]
    pub state: State,
    /// The number of changes of this row. Every write is conditional on it.
    pub revision: u64,
}

/// An object that waits for a neighbour is tried so much earlier if its restore wakes up anyway: the look that finds the
/// neighbour is some seconds earlier than the try that was computed when the last one failed.
const TRIED_EARLIER: Duration = Duration::from_secs(60);

/// The fewest seconds between two tries.
const SHORTEST_WAIT: u64 = 120;

/// How long an object without a copy waits for a neighbour: the longest deadline of a retrieval.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An object's place in the plan of its restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkPosition {
    /// The chunk's number.
    pub chunk: u32,
    /// The number of its entry in the chunk.
    pub entry: u32,
}

/// The state after an event, or `None` if the event changes nothing.
///
/// Events arrive twice, late and in any order, so most late ones change nothing. An error is an event that our own code must
/// never produce in this state.
pub fn advance(state: &State, event: &Event) -> Result<Option<State>, IllegalEvent> {
    let illegal = || Err(IllegalEvent { state: state.as_str(), event: event.clone() });
    let failed = |at: &Timestamp, code: &FailureCode, message: &String| State::Failed {
        at: *at,
        code: *code,
        message: message.clone(),
    };
    match (state, event) {
        // The retrieval.
        (State::Planned, Event::Requested { at, tier }) => {
            Ok(Some(State::Restoring { since: *at, tier: *tier, joined: false }))
        }
        (State::Planned, Event::Joined { at, tier }) => {
            Ok(Some(State::Restoring { since: *at, tier: *tier, joined: true }))
        }
        (State::Planned | State::Restoring { .. }, Event::Readable { at, expires }) => {
            Ok(Some(State::Restored { at: *at, expires: *expires, claim: None }))
        }
        (State::Planned, Event::NotArchived) => Ok(Some(State::Available)),
        // The completion came after the deadline. The retrieval was paid for, so the object is published.
        (State::Failed { code: FailureCode::RetrievalTimedOut, .. }, Event::Readable { at, expires }) => {
            Ok(Some(State::Restored { at: *at, expires: *expires, claim: None }))
        }
        // S3's latest expiry applies: another request may have shortened the copy's days while the object waits.
        (State::Restored { at, expires: recorded, claim: None }, Event::Readable { expires, .. }) => {
            Ok((recorded != expires).then_some(State::Restored { at: *at, expires: *expires, claim: None }))
        }
        // The completion arrived before our own record that S3 was asked.
        (
            State::Restoring { .. } | State::Restored { .. },
            Event::Requested { .. } | Event::Joined { .. } | Event::NotArchived,
        )
        | (State::Restored { claim: Some(_), .. }, Event::Readable { .. }) => Ok(None),

        // Publishing.
        (State::Restored { at, expires, claim: None }, Event::Claimed { batch }) => {
            Ok(Some(State::Restored { at: *at, expires: *expires, claim: Some(batch.clone()) }))
        }
        (State::Restored { claim: Some(held), .. }, Event::Claimed { batch }) => {
            if held == batch {
                Ok(None)
            } else {
                illegal()
            }
        }
        (State::Restored { at, expires, claim }, Event::Released { batch }) => {
            let is_held = claim.as_ref() == Some(batch);
            Ok(is_held.then_some(State::Restored { at: *at, expires: *expires, claim: None }))
        }
        (State::Restored { at: readable, expires, claim }, Event::Published { at, how }) => match how {
            PublishedReason::Invalidated { batch } if claim.as_ref() != Some(batch) => illegal(),
            PublishedReason::Invalidated { .. }
            | PublishedReason::NothingStale
            | PublishedReason::NoPath
            | PublishedReason::NotCurrent
            | PublishedReason::AlreadyPublished => {
                Ok(Some(State::Published { at: *at, readable: *readable, expires: *expires, how: how.clone() }))
            }
        },
        (
            State::Planned | State::Restoring { .. },
            Event::Claimed { .. } | Event::Released { .. } | Event::Published { .. },
        ) => illegal(),

        // Giving up.
        (State::Planned | State::Restoring { .. } | State::Restored { .. }, Event::Failed { at, code, message }) => {
            Ok(Some(failed(at, code, message)))
        }
        (State::Planned | State::Restoring { .. } | State::Restored { claim: None, .. }, Event::Cancelled { at }) => {
            Ok(Some(State::Cancelled { at: *at }))
        }
        // The invalidation may be paid for and done already: the batch decides how the object ends.
        (State::Restored { claim: Some(_), .. }, Event::Cancelled { .. }) => Ok(None),

        // Settled: late events change nothing.
        (
            State::Available | State::Published { .. } | State::Failed { .. } | State::Cancelled { .. },
            Event::Requested { .. }
            | Event::Joined { .. }
            | Event::Readable { .. }
            | Event::NotArchived
            | Event::Claimed { .. }
            | Event::Released { .. }
            | Event::Published { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. },
        ) => Ok(None),
    }
}

impl State {
    /// The word used in the API and the ledger.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Available => "available",
            Self::Restoring { .. } => "restoring",
            Self::Restored { .. } => "restored",
            Self::Published { .. } => "published",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// When its copy expires, if known.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Restored { expires, .. } | Self::Published { expires, .. } => *expires,
            Self::Planned | Self::Available | Self::Restoring { .. } | Self::Failed { .. } | Self::Cancelled { .. } => {
                None
            }
        }
    }

    /// The batch that has claimed it; `None` once it is known to be published.
    pub fn claim(&self) -> Option<&BatchId> {
        match self {
            Self::Restored { claim, .. } => claim.as_ref(),
            Self::Planned
            | Self::Available
            | Self::Restoring { .. }
            | Self::Published { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => None,
        }
    }
}

impl Row {
    /// Whether nothing is left to do for this object: no waiting, no look, no invalidation.
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::Planned | State::Restoring { .. } => false,
            State::Restored { .. } => self.publish.never(),
            State::Available | State::Published { .. } | State::Failed { .. } | State::Cancelled { .. } => true,
        }
    }

    /// Whether no event can change its state any more.
    pub fn is_final(&self) -> bool {
        match &self.state {
            State::Planned | State::Restoring { .. } | State::Restored { .. } => false,
            // An object that S3 delivers after the deadline is published.
            State::Failed { code, .. } => *code != FailureCode::RetrievalTimedOut,
            State::Available | State::Published { .. } | State::Cancelled { .. } => true,
        }
    }

    /// Whether an event of that time is about the retrieval that the row waits for, and not about an earlier copy.
    ///
    /// S3's events have whole seconds. A retrieval that ran before the row was planned may complete in the second of the
    /// plan; one that was requested after the plan takes longer than that.
    pub fn is_concerned_by(&self, event: Timestamp) -> bool {
        let in_that_second = match self.decision {
            Decision::Watch | Decision::Join => event.as_second() == self.planned_at.as_second(),
            Decision::Restore | Decision::Extend | Decision::Publish | Decision::Nothing => false,
        };
        event >= self.planned_at || in_that_second
    }

    /// Whether cancelling its restore ends it. An object that a batch has claimed keeps its claim: the invalidation may be
    /// paid for, and without the claim another restore would pay for the same copy again.
    pub fn ends_with_a_cancel(&self) -> bool {
        !self.is_settled() && self.state.claim().is_none()
    }

    /// Whether it is readable and has to be published now. With `together` that is when no other object of its restore is
    /// still on its way, or when its copy would expire otherwise. An object that waits for an archived neighbour is not
    /// published before it is tried again.
    pub fn is_to_publish(&self, others_on_their_way: bool, now: Timestamp) -> bool {
        let is_due = match self.publish.when {
            PublishWhen::Each => true,
            PublishWhen::Together => !others_on_their_way || self.waits_until().is_some_and(|until| until <= now),
            PublishWhen::Never => false,
        };
        is_due && matches!(self.state, State::Restored { .. }) && self.held(now).is_none()
    }

    /// Until when it waits for an archived neighbour; `None` if it does not, or no longer.
    pub fn held(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = matches!(self.state, State::Restored { claim: None, .. });
        self.held_until.filter(|until| waits && now + TRIED_EARLIER < *until)
    }

    /// The row, waiting for an archived neighbour whose next look is in so many seconds; `None` if it can wait no longer, or
    /// does not wait to be published.
    ///
    /// The interval between two tries is at least a third of the time that it has waited, as that between two looks is. So an
    /// execution's history stays short, whichever neighbours come one after the other.
    pub fn waiting_for_neighbour(&self, seconds: u64, now: Timestamp) -> Option<Self> {
        let State::Restored { at, claim: None, .. } = &self.state else { return None };
        let last = self.waits_until().unwrap_or(*at + LONGEST_WAIT);
        let waited = u64::try_from(now.as_second() - at.as_second()).unwrap_or(0);
        let next = Timestamp::from_second(now.as_second()).unwrap_or(now)
            + Duration::from_secs(seconds.max(waited / 3).max(SHORTEST_WAIT));
        (now < last).then(|| Self { held_until: Some(next.min(last)), revision: self.revision + 1, ..self.clone() })
    }

    /// Whether it is readable, waits for the others of its restore or for a neighbour, and has a copy that may expire while it
    /// waits.
    pub fn is_held_back(&self, others_on_their_way: bool, now: Timestamp) -> bool {
        let waits = match self.publish.when {
            PublishWhen::Each | PublishWhen::Together => {
                self.state.claim().is_none() && !self.is_to_publish(others_on_their_way, now)
            }
            PublishWhen::Never => false,
        };
        waits && self.waits_until().is_some()
    }

    /// Until when it can wait for other objects; `None` if it is not readable or its copy does not expire.
    pub fn waits_until(&self) -> Option<Timestamp> {
        match &self.state {
            // The shortest copy lives a day. Half a day is enough for CloudFront, even if it throttles or fails for a while.
            State::Restored { expires, .. } => expires.map(|expires| expires - Duration::from_secs(12 * 3_600)),
            State::Planned
            | State::Available
            | State::Restoring { .. }
            | State::Published { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => None,
        }
    }

    /// The row's current state, given a readiness of its object that is recorded outside the row. The revision stays that of
    /// the ledger.
    pub fn with_readiness(self, readiness: Readiness) -> Self {
        match advance(&self.state, &readiness.into()) {
            Ok(Some(state)) => Self { state, ..self },
            Ok(None) | Err(_) => self,
        }
    }

    /// The row after the event, or `None` if the event changes nothing.
    pub fn after(&self, event: &Event) -> Result<Option<Self>, IllegalEvent> {
        self.after_all(std::slice::from_ref(event))
    }

    /// The row after several events, in their order, that are written together: one new revision, however many of them
    /// change the state. `None` if none does.
    pub fn after_all(&self, events: &[Event]) -> Result<Option<Self>, IllegalEvent> {
        let mut state = None;
        for event in events {
            if let Some(next) = advance(state.as_ref().unwrap_or(&self.state), event)? {
                state = Some(next);
            }
        }
        Ok(state.map(|state| Self { state, held_until: None, revision: self.revision + 1, ..self.clone() }))
    }
}

#[cfg(test)]
mod tests;
