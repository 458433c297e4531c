//! What the plan does with each object of a request, decided from S3's description of the object ([`decide`]).

use jiff::Timestamp;

use crate::{ArchiveKind, Decision, Event, Facts, FailureCode, Readability, Request, Tier, copy_expiry};

/// A decision, and what the plan knows about the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAction {
    /// What to do.
    pub decision: Decision,
    /// Its archive kind; `None` if it is not archived or S3 did not say.
    pub kind: Option<ArchiveKind>,
    /// An event that the plan already applies to the object's row: it is readable, was never archived, or has failed.
    pub known: Option<Event>,
}

/// Decides what to do with one object.
pub fn decide(facts: &Facts, request: &Request, now: Timestamp) -> PlannedAction {
    let fail = |code, message| PlannedAction {
        decision: Decision::Nothing,
        kind: None,
        known: Some(Event::Failed { at: now, code, message }),
    };
    match facts {
        Facts::Found(head) => match head.readability(now) {
            Ok(readability) => decide_readability(readability, request, now),
            Err(unreadable) => fail(FailureCode::Unreadable, unreadable.to_string()),
        },
        Facts::Missing(missing) => {
            let (code, message) = missing.explain();
            fail(code, message)
        }
    }
}

/// Decides what to do with one object that S3 has described.
pub fn decide_readability(readability: Readability, request: &Request, now: Timestamp) -> PlannedAction {
    let nothing = |kind, known| PlannedAction { decision: Decision::Nothing, kind, known: Some(known) };
    let fail = |kind, code, message: String| nothing(kind, Event::Failed { at: now, code, message });
    let act = |decision, kind| PlannedAction { decision, kind: Some(kind), known: None };
    let publish = |kind, expires| PlannedAction {
        decision: Decision::Publish,
        kind,
        known: Some(Event::Readable { at: now, expires }),
    };
    match readability {
        Readability::Readable if request.publish_only => publish(None, None),
        Readability::Copy { kind, expires } if request.publish_only => publish(Some(kind), Some(expires)),
        Readability::Archived(kind) if request.publish_only => {
            let message = format!(
                "it is archived ({}): viewers would get an error instead of what is still cached. Restore it first",
                kind.name()
            );
            fail(Some(kind), FailureCode::NotReadable, message)
        }
        Readability::Restoring(kind) if request.publish_only => {
            let message = "S3 is still fetching it from the archive. The restore that asked for it publishes it";
            fail(Some(kind), FailureCode::NotReadable, message.to_owned())
        }
        Readability::Readable => nothing(None, Event::NotArchived),
        Readability::Archived(kind) if request.join_only => {
            let message =
                "S3 is not restoring this object, and the request was to join running restores only".to_owned();
            fail(Some(kind), FailureCode::NotBeingRestored, message)
        }
        Readability::Archived(kind) => match kind.window(request.tier) {
            Some(_) => act(Decision::Restore, kind),
            None => fail(Some(kind), FailureCode::TierNotOffered, not_offered(kind, request.tier)),
        },
        // Waiting for a running restore needs no tier. Only Standard and Expedited can make it faster, and only if S3 offers
        // the tier for this kind.
        Readability::Restoring(kind) => {
            let faster = !request.join_only && request.tier > Tier::Bulk && kind.window(request.tier).is_some();
            act(if faster { Decision::Join } else { Decision::Watch }, kind)
        }
        // A request replaces the copy's expiry by one that is counted from now. If the copy lives long enough, asking
        // would only shorten it for the caller who asked for more days.
        Readability::Copy { kind, expires }
            if request.join_only || copy_expiry(now, request.copy_days()) <= expires =>
        {
            PlannedAction {
                known: Some(Event::Readable { at: now, expires: Some(expires) }),
                ..act(Decision::Watch, kind)
            }
        }
        Readability::Copy { kind, .. } => act(Decision::Extend, kind),
    }
}

fn not_offered(kind: ArchiveKind, tier: Tier) -> String {
    let offered: Vec<_> = Tier::ALL.into_iter().filter(|tier| kind.window(*tier).is_some()).map(Tier::as_str).collect();
    format!("S3 does not offer {} for {}; it offers {}", tier.as_str(), kind.name(), offered.join(" and "))
}

#[cfg(test)]
mod tests;
