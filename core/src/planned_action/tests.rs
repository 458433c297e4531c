use serde_json::json;

use super::*;
use crate::{Head, Missing};

#[test]
fn a_decision_has_one_word() {
    for decision in
        [Decision::Restore, Decision::Extend, Decision::Join, Decision::Watch, Decision::Publish, Decision::Nothing]
    {
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
    assert_eq!(message, "S3 does not offer Expedited for Glacier Deep Archive; it offers Bulk and Standard");
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
fn publishing_only_takes_what_viewers_can_read_and_never_asks_s3() {
    let request = Request::parse(&json!({"bucket": "archive", "keys": ["a"], "publish_only": true})).unwrap();
    let decide = |facts: Facts| decide(&facts, &request, now());
    let until = Some("2026-11-27T00:00:00Z".parse().unwrap());
    for (facts, kind, expires) in [
        (head("STANDARD", None, None), None, None),
        (head("INTELLIGENT_TIERING", None, None), None, None),
        (head("GLACIER", None, DONE), Some(ArchiveKind::Flexible), until),
    ] {
        let known = Some(Event::Readable { at: now(), expires });
        assert_eq!(decide(facts), PlannedAction { decision: Decision::Publish, kind, known });
    }
    for (facts, words) in [
        (head("GLACIER", None, None), "it is archived (Glacier Flexible Retrieval)"),
        (head("INTELLIGENT_TIERING", Some("ARCHIVE_ACCESS"), None), "it is archived ("),
        (head("DEEP_ARCHIVE", None, ONGOING), "S3 is still fetching it"),
    ] {
        let PlannedAction { decision, known, .. } = decide(facts);
        let Some(Event::Failed { code, message, .. }) = known else { panic!("{known:?}") };
        assert_eq!((decision, code), (Decision::Nothing, FailureCode::NotReadable));
        assert!(message.starts_with(words), "{message}");
    }
    let gone = decide(Facts::Missing(Missing::Key)).known;
    assert!(matches!(gone, Some(Event::Failed { code: FailureCode::NoSuchKey, .. })));
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
