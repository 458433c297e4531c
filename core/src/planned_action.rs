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
    match readability {
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
    format!("S3 does not offer {} for {} objects; it offers {}", tier.as_str(), kind.as_str(), offered.join(" and "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Head, Missing};

    #[test]
    fn a_decision_has_one_word() {
        for decision in [Decision::Restore, Decision::Extend, Decision::Join, Decision::Watch, Decision::Nothing] {
            assert_eq!(json!(decision), decision.as_str());
        }
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn head(class: &str, status: Option<&str>, restore: Option<&str>) -> Facts {
        Facts::Found(Head {
            storage_class: Some(class.to_owned()),
            archive_status: status.map(str::to_owned),
            restore: restore.map(str::to_owned),
            ..Head::default()
        })
    }

    fn ask(tier: &str, join_only: bool) -> Request {
        Request::parse(&json!({"bucket": "archive", "keys": ["a"], "tier": tier, "join_only": join_only})).unwrap()
    }

    #[track_caller]
    fn check(facts: &Facts, tier: &str, decision: Decision, failure: Option<FailureCode>) {
        let action = decide(facts, &ask(tier, false), now());
        assert_eq!(action.decision, decision);
        let code = match action.known {
            Some(Event::Failed { code, .. }) => Some(code),
            _ => None,
        };
        assert_eq!(code, failure);
    }

    const ONGOING: Option<&str> = Some(r#"ongoing-request="true""#);
    const DONE: Option<&str> = Some(r#"ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT""#);

    #[test]
    fn every_kind_is_restored_at_every_tier_it_offers() {
        let it = "INTELLIGENT_TIERING";
        for (facts, expedited) in [
            (head("GLACIER", None, None), true),
            (head("DEEP_ARCHIVE", None, None), false),
            (head(it, Some("ARCHIVE_ACCESS"), None), true),
            (head(it, Some("DEEP_ARCHIVE_ACCESS"), None), false),
        ] {
            check(&facts, "Standard", Decision::Restore, None);
            check(&facts, "Bulk", Decision::Restore, None);
            match expedited {
                true => check(&facts, "Expedited", Decision::Restore, None),
                false => check(&facts, "Expedited", Decision::Nothing, Some(FailureCode::TierNotOffered)),
            }
        }
    }

    #[test]
    fn the_failure_of_a_tier_that_is_not_offered_names_the_offered_ones() {
        let action = decide(&head("DEEP_ARCHIVE", None, None), &ask("Expedited", false), now());
        let Some(Event::Failed { message, .. }) = action.known else { panic!("{action:?}") };
        assert_eq!(message, "S3 does not offer Expedited for deep objects; it offers Bulk and Standard");
    }

    #[test]
    fn an_object_that_was_never_archived_is_available() {
        for class in ["STANDARD", "GLACIER_IR", "INTELLIGENT_TIERING"] {
            let action = decide(&head(class, None, None), &ask("Standard", false), now());
            assert_eq!((action.decision, action.known), (Decision::Nothing, Some(Event::NotArchived)));
        }
    }

    #[test]
    fn a_running_restore_is_joined() {
        check(&head("GLACIER", None, ONGOING), "Standard", Decision::Join, None);
        // No tier is slower than Bulk, so S3 would refuse the request.
        check(&head("GLACIER", None, ONGOING), "Bulk", Decision::Watch, None);
        check(&head("DEEP_ARCHIVE", None, ONGOING), "Expedited", Decision::Watch, None);
    }

    #[test]
    fn a_copy_is_never_shortened() {
        let ask = |days: u32| {
            let body = json!({"bucket": "archive", "keys": ["a"], "days": days});
            decide(&head("GLACIER", None, DONE), &Request::parse(&body).unwrap(), now())
        };
        let live = Event::Readable { at: now(), expires: Some("2026-11-27T00:00:00Z".parse().unwrap()) };
        // The copy lives for four and a half days. A copy of four days would expire at the same midnight.
        for days in [1, 3, 4] {
            let action = ask(days);
            assert_eq!((action.decision, action.known), (Decision::Watch, Some(live.clone())), "{days}");
        }
        assert_eq!((ask(5).decision, ask(5).known), (Decision::Extend, None));
    }

    #[test]
    fn joining_only_never_asks_s3() {
        let decide = |facts: Facts| decide(&facts, &ask("Standard", true), now());
        assert_eq!(decide(head("GLACIER", None, ONGOING)).decision, Decision::Watch);
        let live = decide(head("GLACIER", None, DONE));
        assert_eq!(live.decision, Decision::Watch);
        assert!(matches!(live.known, Some(Event::Readable { .. })));
        let cold = decide(head("GLACIER", None, None)).known;
        assert!(matches!(cold, Some(Event::Failed { code: FailureCode::NotBeingRestored, .. })));
    }

    #[test]
    fn every_missing_object_has_its_failure_code() {
        for (missing, code) in [
            (Missing::Key, FailureCode::NoSuchKey),
            (Missing::Version, FailureCode::NoSuchVersion),
            (Missing::DeleteMarker, FailureCode::DeleteMarker),
            (Missing::Denied, FailureCode::AccessDenied),
            (Missing::Refused { says: "HTTP 400".to_owned() }, FailureCode::HeadRefused),
            (Missing::Unreadable { says: "no date".to_owned() }, FailureCode::Unreadable),
        ] {
            check(&Facts::Missing(missing), "Standard", Decision::Nothing, Some(code));
        }
    }

    #[test]
    fn the_failure_of_a_refused_head_quotes_s3() {
        let message = |says: &str| Missing::Refused { says: says.to_owned() }.undescribed().unwrap().1;
        let sse_c = message("HTTP 400");
        assert!(sse_c.contains("(HTTP 400)") && sse_c.contains("SSE-C"), "{sse_c}");
        assert!(!message("HTTP 412").contains("SSE-C"));
        for missing in [Missing::Key, Missing::Version, Missing::DeleteMarker, Missing::Denied] {
            assert_eq!(missing.undescribed(), None);
        }
    }
}
