//! Objects of which S3 tells nothing, beside good ones; and answers that look the same and are about all of them.

use serde_json::{Value, json};
use thaw_core::{FailureCode, PublishedReason, State, Status};
use thaw_sim::model::{AccessTier, FaultRule, ObjectRef, PutRequest, RestoreRequest, RetrievalTier, StorageClass};
use thaw_steps::StepError;

use super::world::{BUCKET, World, ask, ask_with};

fn archived(keys: &[&str]) -> World {
    let world = World::new();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world
}

/// An object that is encrypted with a key of its owner's.
fn put_with_customer_key(world: &World, key: &str) {
    let put = PutRequest::new(BUCKET, key, StorageClass::Glacier, key.to_owned()).with_customer_key();
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
}

fn faults(world: &World, rules: Vec<FaultRule>) {
    world.aws.with(|sim, _| sim.set_faults(rules));
}

/// S3 refuses to describe one object.
fn bad_request() -> FaultRule {
    FaultRule { status: Some(400), ..FaultRule::new("HeadObject", "BadRequest").on("bad") }
}

#[track_caller]
fn failed(world: &World, key: &str, restore: &str) -> (FailureCode, String) {
    match world.row(key, restore).state {
        State::Failed { code, message, .. } => (code, message),
        other => panic!("{key} is {other:?}"),
    }
}

fn prefix() -> Value {
    json!({"bucket": BUCKET, "prefix": "2019/"})
}

#[test]
fn of_named_keys_the_one_that_cannot_be_looked_at_fails_alone_and_is_not_paid_for() {
    for with_customer_key in [true, false] {
        let world = archived(&["2019/a", "2019/b"]);
        if with_customer_key {
            put_with_customer_key(&world, "2019/bad");
        } else {
            world.put("2019/bad", StorageClass::Glacier);
            faults(&world, vec![bad_request()]);
        }
        let (report, _) = world.restore("r", ask(&["2019/a", "2019/bad", "2019/b"]));
        assert_eq!((report.status, report.counts.published, report.counts.failed), (Status::PartlyFailed, 2, 1));
        let (code, message) = failed(&world, "2019/bad", "r");
        assert!(code == FailureCode::HeadRefused && message.contains("SSE-C"), "{message}");
        assert_eq!(world.calls("2019/bad").calls, 0, "nothing is asked of S3 for it");
    }
}

/// S3's events are lost: only looks tell.
#[test]
fn of_a_prefix_the_one_that_cannot_be_looked_at_fails_alone_and_the_others_are_published() {
    for objects_per_chunk in [1, 1_000] {
        let mut world = archived(&["2019/a", "2019/b"]);
        world.settings.objects_per_chunk = objects_per_chunk;
        put_with_customer_key(&world, "2019/bad");
        let (report, _) = world.restore("r", prefix());
        assert_eq!((report.status, report.counts.published, report.counts.failed), (Status::PartlyFailed, 2, 1));
        assert_eq!(failed(&world, "2019/bad", "r").0, FailureCode::HeadRefused);
        assert_eq!((world.view("/2019/a"), world.view("/2019/b")), (200, 200));
    }
}

#[test]
fn who_asks_again_after_a_dead_try_is_not_stopped_by_one_that_cannot_be_looked_at() {
    let world = archived(&["2019/a", "2019/b"]);
    put_with_customer_key(&world, "2019/bad");
    world.plan("r", prefix()).unwrap();
    // The first try wrote the rows, and died of trouble before S3 had taken all of them.
    faults(&world, vec![FaultRule::new("RestoreObject", "InternalError").on("2019/b").times(1)]);
    assert!(world.start_restores("r", 0).is_err());
    let asked = world.start_restores("r", 0).unwrap();
    assert_eq!((asked.counts.restoring, asked.counts.failed), (3, 0), "RestoreObject needs no key");
}

/// S3 may have taken the request: nobody knows, and nobody will.
#[test]
fn a_failed_restore_gives_up_what_it_was_about_to_ask_for_and_cannot_look_at() {
    let world = archived(&["2019/a"]);
    put_with_customer_key(&world, "2019/bad");
    world.plan("r", prefix()).unwrap();
    faults(&world, vec![FaultRule::new("RestoreObject", "InternalError").on("2019/bad").times(1)]);
    assert!(world.start_restores("r", 0).is_err());
    let ended = world.report_failure("r");
    assert!(ended.anything_left, "{}", ended.says);
    world.pass(ended.wait_seconds);
    world.check_restores("r").unwrap();
    assert_eq!(failed(&world, "2019/bad", "r").0, FailureCode::HeadRefused);
    assert!(matches!(world.row("2019/a", "r").state, State::Restoring { .. }), "its restore goes on");
}

#[test]
fn what_was_readable_and_cannot_be_looked_at_any_more_is_not_invalidated_and_stops_no_others() {
    let world = archived(&["2019/a", "2019/bad"]);
    let wait = world.begin("r", ask(&["2019/a", "2019/bad"]));
    world.pass(wait.max(5 * 3_600));
    world.deliver(0);
    let look = world.check_restores("r").unwrap();
    assert!(look.anything_to_invalidate, "{}", look.says);
    // What S3 said is too old to be believed, and it is asked again.
    world.pass(1_200);
    faults(&world, vec![bad_request()]);
    let (report, _) = world.finish("r", 0);
    assert_eq!((report.counts.published, report.counts.failed), (1, 1), "{}", report.says);
    assert_eq!(failed(&world, "2019/bad", "r").0, FailureCode::HeadRefused);
    assert_eq!(world.invalidated(), ["/2019/a"]);
}

#[test]
fn a_neighbour_that_cannot_be_looked_at_may_be_archived() {
    let world = archived(&["t/x~1"]);
    put_with_customer_key(&world, "t/xy");
    let (report, _) = world.restore("r", ask(&["t/x~1"]));
    assert_eq!(report.counts.failed, 1);
    assert_eq!(failed(&world, "t/x~1", "r").0, FailureCode::PathCannotBeInvalidated);
    assert!(world.invalidated().is_empty());
}

#[test]
fn an_adoption_takes_on_what_it_cannot_look_at_and_its_restore_says_why() {
    let world = archived(&["good"]);
    put_with_customer_key(&world, "bad");
    world.put_in_tier("bad-tiered", AccessTier::ArchiveAccess);
    for key in ["bad", "good"] {
        let request = RestoreRequest::new(BUCKET, key, Some(3), Some(RetrievalTier::Bulk));
        world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    }
    world.aws.with(thaw_sim::Sim::take_events);
    faults(&world, vec![bad_request()]);
    let said = world.adopt(json!({"bucket": BUCKET}));
    assert_eq!((&said["adopted"], &said["looked_at"]), (&json!(2), &json!(3)), "{said}");
    let (id, input) = world.executions.started().into_iter().next().unwrap();
    let (report, _) = world.restore(id.as_str(), input);
    assert_eq!((report.counts.published, report.counts.failed), (1, 1));
    assert_eq!(failed(&world, "bad", id.as_str()).0, FailureCode::HeadRefused);
}

/// The same statuses, and S3 says with a body that they are about the caller.
#[test]
fn what_is_about_the_caller_fails_no_object() {
    for (status, code) in [(400, "ExpiredToken"), (403, "RequestTimeTooSkewed"), (403, "InvalidAccessKeyId")] {
        let world = archived(&["2019/a", "2019/b"]);
        let wait = world.begin("r", ask(&["2019/a", "2019/b"]));
        world.pass(wait);
        let fault = |operation: &str| FaultRule { status: Some(status), ..FaultRule::new(operation, code) };
        faults(&world, vec![fault("HeadObject"), fault("GetObject")]);
        // The chunk file is read with other credentials in this test.
        let only_archive = |rule: FaultRule| rule.on("2019/");
        faults(&world, [fault("HeadObject"), fault("GetObject")].map(only_archive).to_vec());
        let error = world.check_restores("r").unwrap_err();
        assert!(matches!(error, StepError::Unavailable(_)), "{code}: {error}");
        faults(&world, vec![]);
        let (report, _) = world.finish("r", 0);
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 2), "{code}");
    }
}

#[test]
fn a_restore_that_was_asked_for_with_expired_credentials_is_asked_for_again() {
    let world = archived(&["a", "b"]);
    world.plan("r", ask(&["a", "b"])).unwrap();
    faults(&world, vec![FaultRule { status: Some(400), ..FaultRule::new("RestoreObject", "ExpiredToken").times(2) }]);
    assert!(matches!(world.start_restores("r", 0), Err(StepError::Unavailable(_))));
    assert_eq!(world.start_restores("r", 0).unwrap().counts.restoring, 2);
}

#[test]
fn a_refusal_that_nobody_foresaw_is_one_objects_own() {
    let world = archived(&["good", "odd"]);
    faults(&world, vec![FaultRule { status: Some(418), ..FaultRule::new("RestoreObject", "Odd").on("odd") }]);
    let (report, _) = world.restore("r", ask(&["good", "odd"]));
    assert_eq!((report.counts.published, report.counts.failed), (1, 1));
    assert_eq!(failed(&world, "odd", "r").0, FailureCode::RefusedByS3);
}

#[test]
fn a_version_whose_head_is_refused_was_not_deleted_and_one_that_is_no_version_is_none() {
    let mut world = World::new();
    world.settings.archive_buckets.push("versioned".to_owned());
    let version = world.aws.with(|sim, now| {
        sim.create_bucket("versioned", true);
        let put = PutRequest::new("versioned", "bad", StorageClass::Glacier, "body".to_owned()).with_customer_key();
        sim.put_object(put, now).unwrap().version.unwrap()
    });
    let keys = json!([{"key": "bad", "version_id": version}]);
    let (report, _) = world.restore("r", json!({"bucket": "versioned", "keys": keys}));
    assert_eq!(report.status, Status::Failed);
    assert_eq!(failed(&world, "bad", "r").0, FailureCode::HeadRefused);
    let refused = |operation: &str| FaultRule {
        message: Some("Invalid version id specified".to_owned()),
        ..FaultRule::new(operation, "InvalidArgument")
    };
    faults(&world, vec![refused("HeadObject"), refused("GetObject").on("bad")]);
    let keys = json!([{"key": "bad", "version_id": "no version"}]);
    world.plan("s", json!({"bucket": "versioned", "keys": keys})).unwrap();
    assert_eq!(failed(&world, "bad", "s").0, FailureCode::NoSuchVersion);
}

#[test]
fn a_bucket_in_another_region_or_none_is_a_problem_and_nothing_is_tried_again() {
    for (bucket, says) in [("elsewhere", "PermanentRedirect"), ("missing", "NoSuchBucket")] {
        let mut world = World::new();
        world.settings.archive_buckets.push(bucket.to_owned());
        if bucket == "elsewhere" {
            world.aws.with(|sim, now| {
                sim.create_bucket(bucket, false);
                sim.put_object(PutRequest::new(bucket, "a", StorageClass::Glacier, "a".to_owned()), now).unwrap();
                sim.set_bucket_region(bucket, "eu-west-1").unwrap();
            });
        }
        for request in [json!({"bucket": bucket, "keys": ["a"]}), json!({"bucket": bucket, "prefix": "a"})] {
            let error = world.plan("r", request.clone()).unwrap_err();
            assert_eq!(error.name(), "InvalidRequest", "{request}: {error}");
            assert!(
                error.to_string().starts_with("bucket: ") && error.to_string().contains(says),
                "{request}: {error}"
            );
            assert_eq!(error.problem().status, 422);
        }
    }
}

#[test]
fn the_null_version_of_a_bucket_without_versions_is_the_object() {
    for how in ["keys", "jobs"] {
        let mut world = archived(&["a", "b"]);
        assert_eq!(world.view("/a"), 403);
        let keys = json!([{"key": "a", "version_id": "null"}, "a", {"key": "b", "version_id": "null"}]);
        let mut request = json!({"bucket": BUCKET, "keys": keys});
        if how == "jobs" {
            world.settings.batch_operations_over = 0;
            request["batch_operations"] = json!(true);
        }
        let wait = world.begin("r", request);
        // S3 tells of it without a version.
        world.pass(5 * 3_600);
        world.deliver(1);
        let mut paths = world.invalidated();
        paths.sort();
        assert_eq!(paths, ["/a", "/b"], "{how}: the event meets the row");
        let (report, _) = world.finish("r", wait);
        assert_eq!((report.status, report.counts.published, report.counts.total), (Status::Succeeded, 2, 2), "{how}");
        assert!(matches!(world.row("a", "r").state, State::Published { how: PublishedReason::Invalidated { .. }, .. }));
        assert_eq!((world.view("/a"), world.calls("a").started), (200, 1), "{how}");
    }
}

#[test]
fn the_null_version_beside_others_is_told_from_the_newest() {
    let mut world = World::new();
    world.settings.archive_buckets.push("suspended".to_owned());
    world.aws.with(|sim, now| {
        sim.create_bucket("suspended", false);
        for key in ["hidden", "newest"] {
            let put = PutRequest::new("suspended", key, StorageClass::Glacier, "old".to_owned());
            sim.put_object(put, now).unwrap();
        }
        sim.create_bucket("suspended", true);
        let put = PutRequest::new("suspended", "hidden", StorageClass::Standard, "new".to_owned());
        sim.put_object(put, now).unwrap();
    });
    let named = |key: &str| json!({"key": key, "version_id": "null"});
    let (report, _) = world.restore("r", json!({"bucket": "suspended", "keys": [named("hidden"), named("newest")]}));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 2));
    let how = |key: &str| match world.row(key, "r").state {
        State::Published { how, .. } => how,
        other => panic!("{other:?}"),
    };
    assert_eq!((how("hidden"), how("newest")), (PublishedReason::NotCurrent, PublishedReason::NoPath));
    let asked = |version: Option<&str>| {
        world.aws.with(|sim, _| sim.restore_calls(&ObjectRef::version("suspended", "hidden", version)))
    };
    assert_eq!(asked(Some("null")).started, 1, "the version that was named, and not the newest");
}

#[test]
fn a_distribution_or_an_invalidation_that_goes_away_ends_no_restore() {
    for (operation, code) in [("CreateInvalidation", "NoSuchDistribution"), ("GetInvalidation", "NoSuchInvalidation")] {
        let world = archived(&["a", "b", "c"]);
        faults(&world, vec![FaultRule::new(operation, code)]);
        let (report, _) = world.restore("r", ask_with(&["a", "b", "c"], json!({"publish": {"when": "together"}})));
        assert_eq!((report.status, report.counts.failed), (Status::Failed, 3), "{operation}: {}", report.says);
        let (failure, message) = failed(&world, "a", "r");
        assert!(failure == FailureCode::RefusedByCloudFront && message.contains(code), "{message}");
        let calls = world.aws.with(|sim, _| sim.calls("CreateInvalidation"));
        assert_eq!(calls, 1, "{operation}: what is gone is not asked path by path");
    }
}
