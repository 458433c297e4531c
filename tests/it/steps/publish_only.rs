//! Restores that only publish: what viewers can read is invalidated again, and S3 is asked for nothing.

use serde_json::{Value, json};
use thaw_core::{FailureCode, PublishedReason, State, Status};
use thaw_sim::model::{AccessTier, ObjectRef, PutRequest, StorageClass};

use super::world::{BUCKET, DISTRIBUTION, World, ask, ask_with};

fn publish(keys: &[&str]) -> Value {
    ask_with(keys, json!({"publish_only": true}))
}

/// What a viewer sees.
fn body(world: &World, path: &str) -> String {
    let seen = world.aws.with(|sim, now| sim.serve(DISTRIBUTION, path, now)).unwrap();
    String::from_utf8_lossy(&seen.body).into_owned()
}

fn overwrite(world: &World, key: &str, content: &str) {
    let put = PutRequest::new(BUCKET, key, StorageClass::Standard, content.to_owned());
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
}

/// Whether S3 was asked to restore it, with whatever success.
fn is_asked(world: &World, key: &str) -> bool {
    world.calls(key).calls > 0
}

#[test]
fn an_object_that_was_never_archived_is_invalidated_and_viewers_get_what_was_put_over_it() {
    let world = World::new();
    overwrite(&world, "a", "old");
    assert_eq!(body(&world, "/a"), "old");
    overwrite(&world, "a", "new");
    assert_eq!(body(&world, "/a"), "old", "it is in the cache");
    let (report, _) = world.restore("r", publish(&["a"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1), "{}", report.says);
    assert_eq!(body(&world, "/a"), "new");
    let row = world.row("a", "r");
    assert!(matches!(row.state, State::Published { how: PublishedReason::Invalidated { .. }, expires: None, .. }));
    assert!(!is_asked(&world, "a"));
}

#[test]
fn what_an_ordinary_restore_leaves_alone_is_still_left_alone() {
    let world = World::new();
    overwrite(&world, "a", "old");
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!((report.counts.available, world.invalidated()), (1, vec![]));
}

#[test]
fn an_archived_object_fails_and_its_path_is_never_covered() {
    let world = World::new();
    for key in ["p/1", "p/2", "p/3"] {
        overwrite(&world, key, "warm");
    }
    world.put("p/cold", StorageClass::Standard);
    assert_eq!(world.view("/p/cold"), 200);
    let cold = ObjectRef::new(BUCKET, "p/cold");
    world.aws.with(|sim, now| sim.transition(&cold, StorageClass::Glacier, AccessTier::default(), now)).unwrap();
    let request = json!({"bucket": BUCKET, "prefix": "p/", "publish_only": true, "publish": {"when": "together"}});
    let (report, _) = world.restore("r", request);
    assert_eq!((report.status, report.counts.published, report.counts.failed), (Status::PartlyFailed, 3, 1));
    let State::Failed { code, message, .. } = world.row("p/cold", "r").state else { panic!("it is archived") };
    assert_eq!(code, FailureCode::NotReadable);
    assert!(message.starts_with("it is archived (Glacier Flexible Retrieval)"), "{message}");
    let mut invalidated = world.invalidated();
    invalidated.sort();
    assert_eq!(invalidated, ["/p/1", "/p/2", "/p/3"]);
    assert_eq!((world.view("/p/cold"), is_asked(&world, "p/cold")), (200, false), "it is shown from the cache");
}

#[test]
fn a_folder_that_is_readable_as_a_whole_is_folded_and_priced_as_it_is_billed() {
    let world = World::new();
    for n in 0..5 {
        overwrite(&world, &format!("p/{n}"), "warm");
    }
    let request = json!({"bucket": BUCKET, "prefix": "p/", "publish_only": true});
    let plan = world.plan("r", request.clone()).unwrap();
    let lines: Vec<&str> = plan.cost.lines.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(lines, ["invalidation", "thaw itself"]);
    assert!(plan.says.starts_with("Of 5 objects: 5 to publish again, 0 that cannot be published."), "{}", plan.says);
    world.restore("s", request);
    assert_eq!(world.invalidated(), ["/p/*"]);
    assert_eq!(world.record("s").plan.unwrap().billed_paths, 1);
}

#[test]
fn a_copy_that_another_restore_published_is_invalidated_again() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.restore("first", ask(&["a"]));
    assert_eq!(world.invalidated(), ["/a"]);
    let expires = world.row("a", "first").state.expires();
    let (report, _) = world.restore("second", publish(&["a"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1));
    assert_eq!(world.invalidated(), ["/a", "/a"]);
    assert_eq!((world.row("a", "second").state.expires(), expires.is_some()), (expires, true));
    assert!(!report.says.contains("before the"), "it asked for no days: {}", report.says);
    // Two that ask before CloudFront is asked share an invalidation. One that asks after it has its own.
    let begin = |restore: &str| {
        world.begin(restore, publish(&["a"]));
        world.check_restores(restore).unwrap();
    };
    begin("third");
    begin("fourth");
    world.invalidate("third").unwrap();
    world.invalidate("fourth").unwrap();
    assert_eq!(world.invalidated().len(), 3);
    begin("fifth");
    world.invalidate("fifth").unwrap();
    assert_eq!(world.invalidated().len(), 4);
    for restore in ["third", "fourth", "fifth"] {
        assert_eq!(world.finish(restore, 60).0.counts.published, 1);
    }
    assert_eq!(world.invalidated().len(), 4);
}

#[test]
fn one_restore_pays_once_whatever_runs_twice() {
    let world = World::new();
    overwrite(&world, "a", "new");
    let wait = world.begin("r", publish(&["a"]));
    world.start_restores("r", 0).unwrap();
    world.check_restores("r").unwrap();
    for _ in 0..3 {
        world.invalidate("r").unwrap();
    }
    world.check_restores("r").unwrap();
    world.finish("r", wait);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn a_restore_that_waits_for_the_same_object_needs_no_second_invalidation() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("waits", ask(&["a"]));
    world.pass(5 * 3_600);
    // S3 is done, and nobody has noticed.
    world.restore("asked", publish(&["a"]));
    let (report, _) = world.finish("waits", wait);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1));
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_object_that_s3_is_fetching_is_left_to_the_restore_that_asked() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    let (report, _) = world.restore("s", publish(&["a"]));
    assert_eq!(report.status, Status::Failed);
    assert!(report.says.contains("S3 is still fetching it from the archive"), "{}", report.says);
    assert!(world.invalidated().is_empty());
}

#[test]
fn only_planned_it_invalidates_nothing_and_over_its_price_it_is_refused() {
    let world = World::new();
    overwrite(&world, "a", "new");
    let with = |more: Value| {
        let mut request = publish(&["a"]);
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let plan = world.plan("r", with(json!({"dry_run": true}))).unwrap();
    assert_eq!((plan.chunks, world.report("r").unwrap().status), (vec![], Status::Succeeded));
    assert!(world.record("r").plan.unwrap().cost.total_usd.as_f64() >= 0.005);
    let refused = world.plan("s", with(json!({"max_cost_usd": 0.001}))).unwrap_err();
    assert!(refused.to_string().contains("over the limit of $0.001."), "{refused}");
    assert!(world.invalidated().is_empty());
}
