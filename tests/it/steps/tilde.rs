//! An object whose path has a `~` is invalidated by a wildcard. It waits for an archived neighbour under that wildcard if the
//! neighbour is on its way.

use serde_json::json;
use thaw_core::{FailureCode, Row, State, Status};
use thaw_sim::model::{AccessTier, ObjectRef, RestoreRequest, RetrievalRule, RetrievalTier, StorageClass};

use super::world::{BUCKET, World, ask, ask_with};

const HOUR: u32 = 3_600;

/// Archived objects. S3 takes so many hours to fetch each.
fn archived(objects: &[(&str, StorageClass, u32)]) -> World {
    let world = World::new();
    objects.iter().for_each(|(key, class, _)| world.put(key, *class));
    let rules = objects.iter().map(|(key, _, hours)| RetrievalRule { key: (*key).to_owned(), seconds: hours * HOUR });
    world.aws.with(|sim, _| sim.set_retrieval_rules(rules.collect()));
    world
}

/// A `~` file that is fast, and a neighbour that takes so many hours.
fn beside(hours: u32) -> World {
    archived(&[("a/~b", StorageClass::Glacier, 4), ("a/slow", StorageClass::Glacier, hours)])
}

#[track_caller]
fn message(world: &World, key: &str, restore: &str) -> String {
    match world.row(key, restore).state {
        State::Failed { code: FailureCode::PathCannotBeInvalidated, message, .. } => message,
        other => panic!("{key} is {other:?}"),
    }
}

fn waits(row: &Row) -> bool {
    matches!(row.state, State::Restored { claim: None, .. }) && row.held_until.is_some()
}

/// Passes time and looks until an object waits for its neighbour. Answers the seconds until the next look.
#[track_caller]
fn until_it_waits(world: &World, key: &str, restore: &str, first_wait: u64) -> u64 {
    let mut wait = first_wait;
    for _ in 0..50 {
        world.pass(wait);
        let look = world.check_restores(restore).unwrap();
        wait = look.wait_seconds;
        if look.anything_to_invalidate {
            world.pass(world.invalidate(restore).unwrap().wait_seconds);
            let checked = world.check_invalidations(restore).unwrap();
            assert!(!checked.all_published, "{}", checked.says);
            wait = checked.wait_seconds;
        }
        if waits(&world.row(key, restore)) {
            return wait;
        }
    }
    panic!("{:?}", world.row(key, restore));
}

#[test]
fn objects_with_a_tilde_wait_for_archived_neighbours_of_their_restore() {
    for with_events in [true, false] {
        let world = archived(&[
            ("~", StorageClass::Glacier, 3),
            ("a/~b", StorageClass::Glacier, 4),
            ("a/deep", StorageClass::DeepArchive, 11),
            ("other", StorageClass::Glacier, 5),
            ("slow", StorageClass::DeepArchive, 30),
        ]);
        world.put_in_tier("a/tiered", AccessTier::ArchiveAccess);
        let keys = ["~", "a/~b", "a/deep", "a/tiered", "other", "slow"];
        for key in keys {
            assert_eq!(world.view(&format!("/{key}")), 403);
        }
        let wait = world.begin("r", ask_with(&keys, json!({"days": 5})));
        if with_events {
            world.pass(4 * 3_600 + 60);
            world.deliver(1);
            assert!(matches!(world.row("a/~b", "r").state, State::Restored { claim: None, .. }), "a look decides");
        }
        let walk = world.settle("r", wait);
        let report = world.report("r").unwrap();
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 6), "{}", report.says);
        for key in keys {
            assert_eq!(world.view(&format!("/{key}")), 200, "{key}");
        }
        assert!(walk.looks < 30, "{} looks", walk.looks);
        let invalidated = world.invalidated();
        let times = |path: &str| invalidated.iter().filter(|one| *one == path).count();
        assert_eq!((times("/a/*"), times("/*")), (1, 1), "{invalidated:?}");
    }
}

#[test]
fn a_neighbour_of_another_restore_is_waited_for_at_its_looks() {
    let world = beside(11);
    let wait = world.begin("r", ask(&["a/~b"]));
    world.begin("other", ask(&["a/slow"]));
    let next = until_it_waits(&world, "a/~b", "r", wait);
    assert!(next > 600, "the execution sleeps until the neighbour may have come: {next} s");
    let look = world.check_restores("r").unwrap();
    assert_eq!((look.anything_to_invalidate, look.anything_to_confirm, look.all_published), (false, false, false));
    let (report, walk) = world.finish("r", look.wait_seconds);
    assert_eq!((report.status, world.view("/a/~b")), (Status::Succeeded, 200));
    assert!(walk.looks < 10, "{} looks", walk.looks);
    let (report, _) = world.finish("other", 0);
    assert_eq!((report.status, world.view("/a/slow")), (Status::Succeeded, 200));
}

#[test]
fn a_neighbour_that_somebody_else_restores_is_waited_for() {
    let world = beside(9);
    let wait = world.begin("r", ask_with(&["a/~b"], json!({"publish": {"max_over": 1}})));
    let request = RestoreRequest::new(BUCKET, "a/slow", Some(3), Some(RetrievalTier::Standard));
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    let (report, walk) = world.finish("r", wait);
    assert_eq!((report.status, world.invalidated()), (Status::Succeeded, vec!["/a/*".to_owned()]));
    assert!(walk.looks < 20, "{} looks", walk.looks);
}

#[test]
fn an_object_fails_at_once_for_a_neighbour_that_is_not_on_its_way() {
    let world = beside(4);
    let wait = world.begin("cancelled", ask(&["a/slow"]));
    world.cancel("cancelled");
    world.pass(wait);
    world.put("a/slow", StorageClass::Glacier);
    let (report, walk) = world.restore("r", ask(&["a/~b"]));
    assert_eq!((report.status, world.invalidated().is_empty()), (Status::Failed, true));
    assert!(message(&world, "a/~b", "r").contains("archived objects such as a/slow, which would then answer 403"));
    assert!(walk.looks <= 3, "{} looks", walk.looks);
}

#[test]
fn an_object_fails_when_its_neighbour_has_failed() {
    let world = beside(30);
    let wait = world.begin("r", ask_with(&["a/~b", "a/slow"], json!({"days": 9})));
    let wait = until_it_waits(&world, "a/~b", "r", wait);
    // Somebody writes the neighbour anew, into the archive.
    world.put("a/slow", StorageClass::Glacier);
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.status, report.counts.failed), (Status::Failed, 2), "{}", report.says);
    let State::Failed { code, .. } = world.row("a/slow", "r").state else { panic!() };
    assert_eq!(code, FailureCode::NotBeingRestored);
    assert!(message(&world, "a/~b", "r").contains("such as a/slow, "));
    assert!(world.invalidated().is_empty());
}

/// S3 never delivers the neighbour, and always says that it will.
#[test]
fn an_object_waits_no_longer_than_its_copy_lives() {
    for (publish, key) in [("each", "a/~b"), ("together", "a/~b"), ("each", "a/~tiered")] {
        let world = archived(&[("a/~b", StorageClass::Glacier, 4), ("a/slow", StorageClass::Glacier, 24 * 60)]);
        world.put_in_tier("a/~tiered", AccessTier::ArchiveAccess);
        let begun = world.now();
        let request = ask_with(&[key, "a/slow"], json!({"days": 5, "publish": {"when": publish}}));
        let (report, walk) = world.restore("r", request);
        assert_eq!((report.status, report.counts.failed), (Status::Failed, 2), "{}", report.says);
        assert!(message(&world, key, "r").contains("such as a/slow, "));
        let hours = (world.now().as_second() - begun.as_second()) / 3_600;
        // Five days, to the midnight after that, less half a day; or a week.
        let most = if key == "a/~b" { 122 } else { 172 };
        assert!(hours <= most + 1 && hours > 100, "{hours} hours");
        assert!(walk.looks < 50, "{} looks", walk.looks);
        assert!(world.invalidated().is_empty());
    }
}

/// Only the copy tells of it: the row was written before.
#[test]
fn an_object_waits_as_long_as_a_copy_that_another_restore_has_extended() {
    let world = beside(24 * 60);
    let begun = world.now();
    let wait = world.begin("r", ask_with(&["a/~b"], json!({"days": 2})));
    world.begin("other", ask(&["a/slow"]));
    let wait = until_it_waits(&world, "a/~b", "r", wait);
    world.begin("longer", ask_with(&["a/~b"], json!({"days": 5, "publish": {"when": "never"}})));
    let (report, _) = world.finish("r", wait);
    let hours = (world.now().as_second() - begun.as_second()) / 3_600;
    // To the midnight after five days, less half a day. After two days it would be 50 hours.
    assert!(report.status == Status::Failed && (121..=123).contains(&hours), "{hours} hours: {}", report.says);
    assert!(world.invalidated().is_empty());
}

#[test]
fn a_cancel_ends_the_waiting() {
    let world = beside(30);
    let wait = world.begin("r", ask(&["a/~b", "a/slow"]));
    let wait = until_it_waits(&world, "a/~b", "r", wait);
    world.cancel("r");
    world.pass(wait);
    assert!(world.check_restores("r").unwrap().all_published);
    let states: Vec<_> = world.objects("r").iter().map(|row| row.state.as_str()).collect();
    assert_eq!((states, world.invalidated().is_empty()), (vec!["cancelled", "cancelled"], true));
}

/// The others of its restore do not wait for it.
#[test]
fn only_the_object_with_a_tilde_waits_also_where_a_restore_publishes_together() {
    let world = archived(&[
        ("a/~b", StorageClass::Glacier, 4),
        ("plain", StorageClass::Glacier, 5),
        ("a/slow", StorageClass::Glacier, 20),
    ]);
    let wait = world.begin("r", ask_with(&["a/~b", "plain"], json!({"publish": {"when": "together"}})));
    world.begin("other", ask(&["a/slow"]));
    let wait = until_it_waits(&world, "a/~b", "r", wait);
    assert_eq!(world.published_keys().into_iter().collect::<Vec<_>>(), ["plain"]);
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.status, world.view("/a/~b")), (Status::Succeeded, 200));
    // Nothing waits where nothing is published.
    let world = beside(20);
    world.begin("other", ask(&["a/slow"]));
    let (report, walk) = world.restore("r", ask_with(&["a/~b"], json!({"publish": {"when": "never"}})));
    assert_eq!((report.status, world.invalidated().is_empty()), (Status::Succeeded, true));
    assert!(walk.looks <= 3, "{} looks", walk.looks);
}

#[test]
fn a_wildcard_never_covers_a_neighbour_that_is_still_being_fetched() {
    let world = beside(11);
    let wait = world.begin("r", ask(&["a/~b", "a/slow"]));
    until_it_waits(&world, "a/~b", "r", wait);
    assert!(world.invalidated().is_empty());
    let is_readable =
        world.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::new(BUCKET, "a/slow"), now)).unwrap().readable;
    assert!(!is_readable);
}
