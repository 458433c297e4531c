use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-29T{text}:00Z").parse().unwrap()
}

/// A restore that S3 is typically done with between 13:00 and 15:00.
fn restore(changes: Value) -> Restore {
    let mut restore = json!({
        "id": "r", "status": "running", "stage": "waiting", "bucket": "b", "tier": "Standard", "days": 3,
        "counts": { "total": 2, "planned": 0, "available": 0, "restoring": 2, "restored": 0, "published": 0, "failed": 0, "cancelled": 0 },
        "requested_at": at("10:00"), "ready_between": [at("13:00"), at("15:00")],
        "by_kind": [{ "kind": "flexible", "objects": 2, "bytes": 1 }],
    });
    restore.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(restore).unwrap()
}

fn object(state: &str, since: &str) -> Object {
    serde_json::from_value(json!({ "key": "k", "size": 1, "state": state, "since": at(since) })).unwrap()
}

#[test]
fn a_running_restore_is_shown_from_its_request_to_the_end_of_the_typical_window() {
    let shown = timeline(&restore(json!({})), &[], at("11:00"));
    let length = at("15:00").duration_since(at("10:00"));
    assert_eq!(shown.axis, Axis { from: at("10:00"), to: at("15:00") + length / 20 });
    assert_eq!((shown.requested, shown.ended, shown.now), (at("10:00"), None, at("11:00")));
    let [window] = shown.windows.as_slice() else { panic!("{shown:?}") };
    assert_eq!((window.kind, window.earliest, window.typical), (ArchiveKind::Flexible, at("13:00"), at("15:00")));
    assert_eq!(window.looks, [at("13:00"), at("14:00"), at("15:00")]);
}

#[test]
fn the_typical_window_begins_with_the_plan_and_invalidations_last_until_they_are_done() {
    let invalidation = |requested: &str, completed: Option<&str>| json!({ "distribution": "E1", "status": "in_progress", "paths": 1, "requested_at": at(requested), "completed_at": completed.map(at) });
    let invalidations = json!([invalidation("13:05", Some("13:06")), invalidation("14:00", None)]);
    let shown =
        timeline(&restore(json!({ "planned_at": at("10:05"), "invalidations": invalidations })), &[], at("14:10"));
    assert_eq!((shown.planned, shown.windows[0].earliest), (Some(at("10:05")), at("13:05")));
    assert_eq!(shown.windows[0].looks[0], at("13:05"));
    assert_eq!(shown.invalidations, [[at("13:05"), at("13:06")], [at("14:00"), at("14:10")]]);
    let older = json!({ "invalidations": [{ "distribution": "E1", "status": "completed", "paths": 1 }] });
    assert_eq!(timeline(&restore(older), &[], at("14:10")).invalidations.len(), 0, "an older API says no times");
}

#[test]
fn a_late_restore_is_shown_up_to_now_with_the_looks_that_come() {
    let shown = timeline(&restore(json!({})), &[], at("20:00"));
    assert!(shown.axis.to > at("20:00"));
    let last = at("18:53") + SignedDuration::from_secs(20);
    assert_eq!(shown.windows[0].looks, [at("13:00"), at("14:00"), at("15:00"), at("16:40"), last]);
}

#[test]
fn a_kind_whose_objects_have_all_come_is_not_looked_for_any_more() {
    let of_kind = |kind: &str, state: &str, since: &str| Object {
        kind: Some(serde_json::from_value(json!(kind)).unwrap()),
        ..object(state, since)
    };
    let kinds = json!({ "by_kind": [{ "kind": "flexible", "objects": 1, "bytes": 1 }, { "kind": "deep", "objects": 1, "bytes": 1 }] });
    let objects = [of_kind("flexible", "published", "13:30"), of_kind("deep", "restoring", "10:00")];
    let looks = |objects: &[Object]| {
        let shown = timeline(&restore(kinds.clone()), objects, at("17:00"));
        shown.windows.iter().map(|window| window.looks.len()).collect::<Vec<_>>()
    };
    assert_eq!(looks(&objects)[0], 1, "at 13:00");
    assert!(looks(&objects)[1] > 1);
    assert!(looks(&objects[..1])[0] > 1, "the others are not known");
}

#[test]
fn a_restore_that_has_ended_looks_no_more() {
    let shown = timeline(&restore(json!({ "status": "succeeded", "completed_at": at("13:30") })), &[], at("23:00"));
    assert_eq!((shown.ended, shown.windows[0].looks.as_slice()), (Some(at("13:30")), &[at("13:00")][..]));
    assert!(shown.axis.to < at("16:00"), "now is of no importance any more");
}

#[test]
fn each_kind_has_its_own_window_and_a_tier_that_s3_does_not_offer_has_none() {
    let kinds = json!([{ "kind": "flexible", "objects": 1, "bytes": 1 }, { "kind": "deep", "objects": 1, "bytes": 1 }, { "kind": "it_deep", "objects": 0, "bytes": 0 }]);
    let windows = |tier: &str| {
        let shown = timeline(&restore(json!({ "by_kind": kinds, "tier": tier })), &[], at("11:00"));
        shown.windows.into_iter().map(|window| (window.kind, window.typical)).collect::<Vec<_>>()
    };
    assert_eq!(windows("Standard"), [(ArchiveKind::Flexible, at("15:00")), (ArchiveKind::Deep, at("22:00"))]);
    assert_eq!(windows("Expedited"), [(ArchiveKind::Flexible, at("10:05"))]);
}

#[test]
fn jobs_of_batch_operations_have_their_own_window_and_no_looks_that_are_known_now() {
    let shown = timeline(&restore(json!({ "batch_operations": true })), &[], at("11:00"));
    assert_eq!((shown.windows[0].earliest, shown.windows[0].looks.len()), (at("10:05"), 0));
}

#[test]
fn a_restore_for_which_s3_was_asked_for_nothing_has_no_window() {
    for changes in [
        json!({ "ready_between": null }),
        json!({ "status": "failed", "problem": "urn:thaw:problem:over-price", "completed_at": at("10:00") }),
    ] {
        let shown = timeline(&restore(changes), &[], at("10:01"));
        assert!(shown.windows.is_empty() && shown.axis.to > shown.axis.from, "{shown:?}");
    }
}

#[test]
fn what_happened_to_objects_is_counted_by_pieces_of_time() {
    let objects = [
        object("published", "13:00"),
        object("published", "13:01"),
        object("failed", "10:00"),
        object("restored", "14:59"),
        object("restoring", "10:01"),
        object("a state of a newer API", "10:01"),
    ];
    let shown = timeline(&restore(json!({})), &objects, at("15:00"));
    let seen: Vec<_> = shown.changes.iter().map(|change| (change.state, change.objects)).collect();
    assert_eq!(seen, [(ObjectState::Failed, 1), (ObjectState::Published, 2), (ObjectState::Restored, 1)]);
    assert!(shown.changes.iter().all(|change| change.at >= shown.axis.from && change.at <= shown.axis.to), "{shown:?}");
}

#[test]
fn ten_thousand_changes_are_few_columns() {
    let objects: Vec<Object> =
        (0..10_000).map(|number| object("published", &format!("{:02}:{:02}", 13 + number % 2, number % 60))).collect();
    let shown = timeline(&restore(json!({})), &objects, at("15:00"));
    assert!(shown.changes.len() <= 61, "{}", shown.changes.len());
    assert_eq!(shown.changes.iter().map(|change| change.objects).sum::<u32>(), 10_000);
}
