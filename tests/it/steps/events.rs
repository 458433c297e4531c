//! Events that come late, twice, or without all that S3 could say.

use jiff::SignedDuration;
use serde_json::{Value, json};
use thaw_core::{State, Status};
use thaw_sim::model::{AccessTier, RestoreRequest, RetrievalRule, RetrievalTier, StorageClass};

use super::world::{BUCKET, World, ask, ask_with};

/// An event of S3 about a key, at a time, of a copy that lives until another.
fn event(what: &str, key: &str, at: &str, expires: Option<&str>) -> Value {
    let mut body = json!({
        "version": "0", "id": "1", "detail-type": format!("Object Restore {what}"), "source": "aws.s3", "time": at,
        "detail": {"version": "0", "bucket": {"name": BUCKET}, "object": {"key": key, "size": 1}},
    });
    if let Some(expires) = expires {
        body["detail"]["restore-expiry-time"] = json!(expires);
    }
    json!({"Records": [{"messageId": "1", "body": body.to_string()}]})
}

fn hours(hours: u64) -> u64 {
    hours * 3_600
}

/// When the world begins, and a second before.
const BEGUN: &str = "2026-11-22T10:00:00Z";
const BEFORE: &str = "2026-11-22T09:59:59Z";
const FAR: Option<&str> = Some("2026-12-01T00:00:00Z");

#[test]
fn an_event_from_before_the_plan_is_about_another_copy() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.completed(event("Completed", "a", BEFORE, FAR));
    assert!(matches!(world.row("a", "r").state, State::Restoring { .. }));
    // S3 and thaw count in seconds and thousandths: what happens in the same moment counts.
    world.completed(event("Completed", "a", BEGUN, FAR));
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_event_of_a_copy_that_is_gone_by_now_publishes_nothing() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.pass(1);
    world.completed(event("Completed", "a", BEGUN, Some("2026-11-22T10:00:01Z")));
    assert!(matches!(world.row("a", "r").state, State::Restoring { .. }));
    assert!(world.invalidated().is_empty());
    world.completed(event("Completed", "a", BEGUN, Some("2026-11-22T10:00:02Z")));
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_event_that_does_not_say_how_long_a_copy_lives_makes_thaw_ask() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.completed(event("Completed", "a", BEGUN, None));
    assert!(world.invalidated().is_empty(), "S3 says that it is still fetching it");
    world.pass(hours(5));
    world.completed(event("Completed", "a", BEGUN, None));
    assert_eq!(world.invalidated(), ["/a"]);
    let (State::Restored { expires, .. } | State::Published { expires, .. }) = world.row("a", "r").state else {
        panic!()
    };
    assert!(expires.is_some());
}

#[test]
fn what_others_had_fetched_may_come_in_the_second_in_which_it_is_joined() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let request = RestoreRequest::new("archive", "a", Some(3), Some(RetrievalTier::Standard));
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    world.aws.clock().advance(SignedDuration::from_millis(777));
    world.begin("r", ask(&["a"]));
    // S3 tells whole seconds.
    world.completed(event("Completed", "a", BEGUN, FAR));
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn what_has_no_copy_needs_no_date() {
    let world = World::new();
    world.put_in_tier("a", AccessTier::ArchiveAccess);
    world.begin("r", ask(&["a"]));
    let heads = || world.aws.with(|sim, _| sim.calls("HeadObject"));
    let before = heads();
    world.completed(event("Completed", "a", BEGUN, None));
    assert_eq!((world.invalidated(), heads() - before), (vec!["/a".to_owned()], 0));
}

#[test]
fn an_event_is_believed_for_ten_minutes_and_then_s3_is_asked() {
    for (key, expires) in [("copied", FAR), ("tiered", None)] {
        for (seconds, paths) in [(599, 1), (600, 0)] {
            let world = World::new();
            world.put("copied", StorageClass::Glacier);
            world.put_in_tier("tiered", AccessTier::ArchiveAccess);
            world.begin("r", ask(&[key]));
            world.pass(seconds);
            // S3 itself would say that it is still fetching it.
            world.completed(event("Completed", key, BEGUN, expires));
            assert_eq!(world.invalidated().len(), paths, "{key} after {seconds} s");
        }
    }
}

#[test]
fn an_event_publishes_what_waits_for_others_if_its_copy_has_half_a_day_left() {
    for (expires, paths) in [("2026-11-22T22:00:00Z", 1), ("2026-11-22T22:00:01Z", 0)] {
        let world = World::new();
        world.put("quick", StorageClass::Glacier);
        world.put("slow", StorageClass::DeepArchive);
        world.begin("r", ask_with(&["quick", "slow"], json!({"publish": {"when": "together"}})));
        world.completed(event("Completed", "quick", BEGUN, Some(expires)));
        assert_eq!(world.invalidated().len(), paths, "{expires}");
    }
}

#[test]
fn what_comes_after_the_end_of_its_restore_is_confirmed_although_nobody_looks() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let slow = RetrievalRule { key: "a".to_owned(), seconds: 60 * 3_600 };
    world.aws.with(|sim, _| sim.set_retrieval_rules(vec![slow]));
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Failed);
    world.pass(hours(24));
    let at = world.now().to_string();
    let comes_again = || !world.completed(event("Completed", "a", &at, FAR)).batch_item_failures.is_empty();
    assert!(!comes_again(), "CloudFront has accepted it");
    assert!(matches!(world.row("a", "r").state, State::Restored { .. }));
    world.pass(60);
    let (message, _) = world.confirmations.sent().pop().unwrap();
    world.confirm(json!({"Records": [{"messageId": "1", "body": json!(message).to_string()}]}));
    assert!(matches!(world.row("a", "r").state, State::Published { .. }));
    assert!(!comes_again());
    assert_eq!((world.invalidated(), world.confirmations.sent().len()), (vec!["/a".to_owned()], 1));
}

#[test]
fn our_own_restores_are_known_however_late_their_events_come_and_new_ones_are_joined() {
    let world = World::new();
    world.put("cold", StorageClass::Glacier);
    world.put("warm", StorageClass::Standard);
    world.restore("r", ask_with(&["cold", "warm"], json!({"days": 1})));
    world.initiated(event("Initiated", "cold", BEGUN, None));
    assert!(world.executions.started().is_empty());
    // Archived by now, and restored by somebody else.
    world.pass(hours(24 * 10));
    let now = world.now().to_string();
    world.initiated(event("Initiated", "warm", &now, None));
    assert_eq!(world.executions.started().len(), 1);
    world.initiated(event("Initiated", "cold", &now, None));
    assert_eq!(world.executions.started().len(), 2);
}

#[test]
fn a_copy_that_somebody_kept_longer_is_published_after_the_date_that_thaw_knew() {
    let world = World::new();
    world.put("quick", StorageClass::Glacier);
    world.put("slow", StorageClass::DeepArchive);
    world.put("stays", StorageClass::DeepArchive);
    let more = json!({"tier": "Bulk", "days": 1, "publish": {"when": "together"}});
    let wait = world.begin("r", ask_with(&["quick", "slow"], more));
    world.pass(hours(12));
    world.deliver(1);
    let longer = RestoreRequest::new(BUCKET, "quick", Some(30), Some(RetrievalTier::Bulk));
    world.aws.with(|sim, now| sim.restore_object(&longer, now)).unwrap();
    world.pass(hours(40));
    world.finish("r", wait);
    assert_eq!(world.invalidated(), ["/quick", "/slow"]);
}

#[test]
fn only_if_stale_pays_where_an_error_is_kept_for_long() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.restore("r", ask_with(&["a"], json!({"publish": {"only_if_stale": true}})));
    assert_eq!(world.invalidated(), ["/a"], "the world's distribution keeps a 403 for a month");
}

#[test]
fn what_is_with_cloudfront_is_counted_and_what_took_effect_is_noted_in_the_same_look() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["a"]));
    world.pass(wait.max(hours(5)));
    let look = world.check_restores("r").unwrap();
    assert!(look.anything_to_invalidate && look.anything_to_confirm && !look.all_published);
    let invalidated = world.invalidate("r").unwrap();
    assert_eq!(invalidated.says, "CloudFront was sent 1 invalidation of 1 path.");
    assert!(!world.check_restores("r").unwrap().anything_to_invalidate);
    assert!(!world.check_invalidations("r").unwrap().all_published, "the edges take a moment");
    world.pass(invalidated.wait_seconds * 10);
    let checked = world.check_invalidations("r").unwrap();
    assert_eq!((checked.all_published, checked.counts.published), (true, 1));
}
