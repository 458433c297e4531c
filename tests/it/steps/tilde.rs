//! An object whose path has a `~` is invalidated by a wildcard. It waits for an archived neighbour under that wildcard if the
//! neighbour is on its way.

use serde_json::json;
use thaw_core::{FailureCode, Row, State, Status};
use thaw_sim::cdn::Behavior;
use thaw_sim::model::{
    AccessTier, FaultRule, ObjectRef, PutRequest, RestoreRequest, RetrievalRule, RetrievalTier, StorageClass,
};

use super::folding::{distribute, put_folders, together};
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

/// Such a file lies beside a document that Word has open. Only `/*` invalidates it.
#[test]
fn a_wildcard_for_a_tilde_covers_no_more_readable_neighbours_than_max_over_allows() {
    let restored = |asked: &[&str], max_over: u32| {
        let world = World::new();
        asked.iter().for_each(|key| world.put(key, StorageClass::Glacier));
        ["a", "b/c", "b/d"].iter().for_each(|key| world.put(key, StorageClass::Standard));
        let publish = json!({"when": "together", "max_over": max_over});
        let (report, _) = world.restore("r", json!({"bucket": BUCKET, "keys": asked, "publish": publish}));
        let message = match world.row("~$report.docx", "r").state {
            State::Failed { code: FailureCode::PathCannotBeInvalidated, message, .. } => message,
            State::Published { .. } => String::new(),
            other => panic!("{other:?}"),
        };
        (report.counts.published, world.invalidated(), message)
    };
    let (published, invalidated, message) = restored(&["~$report.docx"], 2);
    assert_eq!((published, invalidated), (0, vec![]));
    assert!(message.contains("3 other objects that viewers can get, and publish.max_over is 2"), "{message}");
    assert_eq!(restored(&["~$report.docx"], 3), (1, vec!["/*".to_owned()], String::new()));
    // What the same restore brings is not somebody else's.
    assert_eq!(restored(&["~$report.docx", "report.docx"], 3), (2, vec!["/*".to_owned()], String::new()));
    assert_eq!(restored(&["~$report.docx", "report.docx"], 2).0, 1);
}

/// A distribution that shows photographs from another bucket, `other`.
fn with_photographs_elsewhere() -> World {
    let world = World::new();
    let (path_pattern, target_origin_id) = ("*.jpg".to_owned(), "api".to_owned());
    distribute(&world, vec![Behavior { path_pattern, target_origin_id, ..Behavior::default() }]);
    world
}

fn put_elsewhere(world: &World, key: &str) {
    let put = PutRequest::new("other", key, StorageClass::Glacier, "body".to_owned());
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
}

#[test]
fn a_wildcard_for_a_tilde_never_covers_an_archived_object_of_another_bucket() {
    for (is_ours, elsewhere, says) in [
        (true, "t/y.jpg", None),
        (true, "t/x.jpg", Some("such as t/x.jpg in other")),
        (false, "t/y.jpg", Some("what other.s3.us-east-1.amazonaws.com shows")),
    ] {
        let mut world = with_photographs_elsewhere();
        world.settings.archive_buckets.extend(is_ours.then(|| "other".to_owned()));
        world.put("t/x~1", StorageClass::Glacier);
        put_elsewhere(&world, elsewhere);
        let (report, _) = world.restore("r", ask(&["t/x~1"]));
        match says {
            None => assert_eq!((report.status, world.invalidated()), (Status::Succeeded, vec!["/t/x*".to_owned()])),
            Some(says) => {
                assert_eq!((report.status, world.invalidated()), (Status::Failed, Vec::new()));
                assert!(report.says.contains(says), "{}", report.says);
            }
        }
    }
}

/// Restores `t/x~1` while CloudFront does not listen for ten minutes, in which something else happens. What comes of it.
fn restored_late(world: &World, meanwhile: impl FnOnce(&World)) -> (Status, String) {
    world.put("t/x~1", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["t/x~1"]));
    world.pass(wait.max(5 * 3600));
    world.check_restores("r").unwrap();
    let fault = FaultRule::new("CreateInvalidation", "ServiceUnavailable").times(1);
    world.aws.with(|sim, _| sim.set_faults(vec![fault]));
    assert!(world.invalidate("r").is_err());
    meanwhile(world);
    world.pass(600);
    let (report, _) = world.finish("r", 0);
    (report.status, report.says)
}

#[test]
fn the_wildcard_for_a_tilde_is_given_up_when_something_beneath_it_was_archived_meanwhile() {
    let ours = |key: &'static str| move |world: &World| world.put(key, StorageClass::Glacier);
    let world = World::new();
    let (status, _) = restored_late(&world, ours("t/other"));
    assert_eq!((status, world.invalidated()), (Status::Succeeded, vec!["/t/x*".to_owned()]));
    let world = World::new();
    let (status, says) = restored_late(&world, ours("t/xylophone"));
    assert_eq!((status, world.invalidated()), (Status::Failed, Vec::new()));
    assert!(says.contains("such as t/xylophone, "), "{says}");
}

#[test]
fn what_another_bucket_shows_under_the_wildcard_for_a_tilde_is_looked_at_again_too() {
    for (elsewhere, status) in [("t/y.jpg", Status::Succeeded), ("t/x.jpg", Status::Failed)] {
        let mut world = with_photographs_elsewhere();
        world.settings.archive_buckets.push("other".to_owned());
        let (came, says) = restored_late(&world, |world| put_elsewhere(world, elsewhere));
        assert_eq!((came, world.invalidated().is_empty()), (status, status == Status::Failed));
        assert_eq!(says.contains("such as t/x.jpg in other"), status == Status::Failed, "{says}");
    }
}

#[test]
fn a_path_with_a_tilde_costs_nothing_under_a_wildcard() {
    let world = World::new();
    let mut all = put_folders(&world, 1, 3);
    all.push("f000/~4".to_owned());
    world.put("f000/~4", StorageClass::Glacier);
    world.restore("r", together(&all));
    assert_eq!(world.invalidated(), ["/f000/*"]);
    assert_eq!(world.published_keys().len(), 4);
}
