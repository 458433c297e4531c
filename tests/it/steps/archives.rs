//! Whole archives: what lies under a prefix, chunk by chunk; and what is asked about the objects of another restore.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thaw_core::{State, Status};
use thaw_sim::Sim;
use thaw_sim::model::{AccessTier, ObjectRef, PutRequest, StorageClass};
use thaw_steps::StepError;
use thaw_steps::api::{create_restore, http};
use thaw_steps::ports::Ledger;

use super::world::{BUCKET, World, ask, ask_with};

const HOUR: u64 = 3_600;

/// A folder with something of everything, and a neighbour that nobody means.
fn archive() -> World {
    let world = World::new();
    for key in ["2019/a.jpg", "2019/b.jpg", "2019/raw/c.cr2", "2020/d.jpg"] {
        world.put(key, StorageClass::Glacier);
    }
    world.put("2019/deep.tar", StorageClass::DeepArchive);
    world.put("2019/now.html", StorageClass::Standard);
    world.put_in_tier("2019/tiered.tif", AccessTier::ArchiveAccess);
    world
}

fn prefix(prefix: &str, more: Value) -> Value {
    let mut body = json!({"bucket": BUCKET, "prefix": prefix});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn refusal(error: StepError) -> (u16, String) {
    match error {
        StepError::InvalidRequest(problem) => (problem.status, problem.kind),
        other => panic!("{other}"),
    }
}

#[test]
fn what_lies_under_a_prefix_is_restored_and_published_and_nothing_else() {
    for in_a_chunk in [1_000, 2, 1] {
        let mut world = archive();
        world.settings.objects_per_chunk = in_a_chunk;
        let (report, _) = world.restore("r", prefix("2019/", json!({})));
        assert_eq!((report.counts.total, report.counts.published, report.counts.available), (6, 5, 1));
        let paths = ["/2019/a.jpg", "/2019/b.jpg", "/2019/deep.tar", "/2019/raw/c.cr2", "/2019/tiered.tif"];
        assert_eq!(world.invalidated().into_iter().collect::<BTreeSet<_>>(), paths.map(str::to_owned).into());
        assert_eq!(world.calls("2020/d.jpg").calls, 0);
    }
}

#[test]
fn a_listing_tells_all_but_access_tiers_and_in_a_bucket_with_versions_their_ids() {
    let heads = |world: &World| world.aws.with(|sim, _| sim.calls("HeadObject"));
    let world = archive();
    world.plan("r", prefix("2019/", json!({}))).unwrap();
    assert_eq!(heads(&world), 1, "only of Intelligent-Tiering, whose access tiers no listing tells");

    let world = World::new();
    world.aws.with(|sim, now| {
        sim.create_bucket("versions", true);
        for key in ["a", "a", "b", "gone"] {
            sim.put_object(PutRequest::new("versions", key, StorageClass::Glacier, "x".to_owned()), now).unwrap();
        }
        sim.delete_object(&ObjectRef::new("versions", "gone"), now).unwrap();
        let tiered = PutRequest::new("versions", "tiered", StorageClass::IntelligentTiering, "x".to_owned());
        sim.put_object(tiered.in_tier(AccessTier::ArchiveAccess), now).unwrap();
    });
    let mut world = world;
    world.settings.archive_buckets.push("versions".to_owned());
    world.plan("r", json!({"bucket": "versions", "prefix": "", "max_cost_usd": 1})).unwrap();
    assert_eq!(heads(&world), 1);
    let newest = |key: &str| {
        let page = world.aws.with(|sim, now| sim.list_versions("versions", key, None, now)).unwrap();
        (key.to_owned(), page.versions.into_iter().find(|version| version.latest).map(|version| version.version))
    };
    let planned = world.objects("r").into_iter().map(|row| (row.object.key, row.object.version));
    assert_eq!(planned.collect::<Vec<_>>(), ["a", "b", "tiered"].map(newest));
}

#[test]
fn a_filter_chooses_by_key_and_size_and_time() {
    let world = archive();
    world.pass(HOUR);
    let after = world.now();
    world.put("2019/new.jpg", StorageClass::Glacier);
    for (filter, keys) in [
        (json!({"include": ["2019/*.jpg"]}), &["2019/a.jpg", "2019/b.jpg", "2019/new.jpg"][..]),
        (json!({"include": ["**.jpg"], "exclude": ["**/b.*"]}), &["2019/a.jpg", "2019/new.jpg"]),
        (json!({"modified_after": after}), &["2019/new.jpg"]),
        (json!({"max_size": "2019/a.jpg".len()}), &["2019/a.jpg", "2019/b.jpg"]),
    ] {
        let name = format!("r{}", filter.as_object().unwrap().keys().next().unwrap());
        let id = format!("{name}{}", keys.len()).replace('_', "-");
        world.plan(&id, prefix("2019/", filter.clone())).unwrap();
        let found: Vec<_> = world.objects(&id).into_iter().map(|row| row.object.key).collect();
        assert_eq!(found, keys, "{filter}");
    }
}

fn put_file(world: &World, key: &str, text: &str) {
    let file = PutRequest::new(BUCKET, key, StorageClass::Standard, text.to_owned());
    world.aws.with(|sim, now| sim.put_object(file, now)).unwrap();
}

fn listed(key: &str) -> Value {
    json!({"bucket": BUCKET, "manifest": format!("s3://{BUCKET}/{key}")})
}

#[test]
fn what_a_manifest_lists_is_restored_each_once() {
    let world = archive();
    let lines = format!("{BUCKET},2019/a.jpg\r\n{BUCKET},2019%2Fb.jpg\n{BUCKET},2019/a.jpg\n{BUCKET},2020/d.jpg");
    put_file(&world, "lists/some.csv", &lines);
    let (report, _) = world.restore("r", listed("lists/some.csv"));
    assert_eq!((report.counts.total, report.counts.published), (3, 3));
    assert_eq!(world.calls("2019/a.jpg").calls, 1);
    // The files of an inventory, in its order.
    let inventory = json!({
        "sourceBucket": BUCKET, "destinationBucket": format!("arn:aws:s3:::{BUCKET}"), "version": "2016-11-30",
        "fileFormat": "CSV", "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "lists/1.csv", "size": 1, "MD5checksum": "x"}, {"key": "lists/2.csv", "size": 1, "MD5checksum": "x"}],
    });
    put_file(&world, "lists/manifest.json", &inventory.to_string());
    put_file(&world, "lists/1.csv", &format!("\"{BUCKET}\",\"2019/deep.tar\",\"7\"\n"));
    put_file(&world, "lists/2.csv", &format!("\"{BUCKET}\",\"2019/raw/c.cr2\",\"7\"\n"));
    world.plan("inventory", listed("lists/manifest.json")).unwrap();
    let keys: Vec<_> = world.objects("inventory").into_iter().map(|row| row.object.key).collect();
    assert_eq!(keys, ["2019/deep.tar", "2019/raw/c.cr2"]);
}

#[test]
fn a_broken_manifest_is_refused_by_its_line_and_nothing_is_asked() {
    let world = archive();
    put_file(&world, "lists/foreign.csv", &format!("{BUCKET},2019/a.jpg\nother,2019/b.jpg\n"));
    for (manifest, says) in [
        (listed("lists/foreign.csv"), "line 2: "),
        (listed("lists/none.csv"), "there is no such file"),
        (
            json!({"bucket": BUCKET, "manifest": "s3://elsewhere/list.csv"}),
            "must lie in one of the stack's archive buckets",
        ),
    ] {
        let error = world.plan("r", manifest).unwrap_err();
        assert!(matches!(error, StepError::InvalidRequest(_)) && error.to_string().contains(says), "{error}");
    }
    assert_eq!(world.aws.with(|sim, _| sim.calls("RestoreObject")), 0);
}

#[test]
fn what_cannot_be_planned_is_refused_before_anything_is_asked() {
    let mut world = archive();
    let refused = |world: &World, body: Value| refusal(world.plan("refused", body).unwrap_err());
    assert_eq!(refused(&world, prefix("2018/", json!({}))), (422, "urn:thaw:problem:nothing-matches".to_owned()));
    let confirmed = json!({"confirm": "0123456789abcdef"});
    assert_eq!(refused(&world, prefix("2019/", confirmed)), (409, "urn:thaw:problem:plan-changed".to_owned()));
    world.settings.daily_budget = thaw_core::Usd::from_f64(0.000_001);
    assert_eq!(refused(&world, prefix("2019/", json!({}))), (422, "urn:thaw:problem:over-budget".to_owned()));
    assert_eq!(world.aws.with(|sim, _| sim.calls("RestoreObject")), 0);
}

#[test]
fn a_plan_that_was_looked_at_can_be_confirmed_until_it_changes() {
    let world = archive();
    let planned = world.plan("look", prefix("2019/", json!({"dry_run": true}))).unwrap();
    assert!(planned.chunks.is_empty() && planned.says.starts_with("Only a plan: nothing is asked of S3."));
    let report = world.report("look").unwrap();
    assert_eq!((report.status, report.succeeded), (Status::Succeeded, true));
    assert_eq!(world.aws.with(|sim, _| sim.calls("RestoreObject")), 0);
    // The terms are no part of the plan.
    let confirmed = json!({"confirm": planned.hash, "max_cost_usd": 5});
    assert!(world.plan("same", prefix("2019/", confirmed.clone())).is_ok());
    world.put("2019/one-more.jpg", StorageClass::Glacier);
    assert_eq!(refusal(world.plan("more", prefix("2019/", confirmed)).unwrap_err()).0, 409);
}

#[test]
fn who_confirms_a_plan_confirms_its_objects_and_not_only_how_many_they_are() {
    let world = World::new();
    world.put("2019/a", StorageClass::Glacier);
    let planned = world.plan("look", prefix("2019/", json!({"dry_run": true}))).unwrap();
    world.aws.with(|sim, now| sim.delete_object(&ObjectRef::new(BUCKET, "2019/a"), now).unwrap());
    world.put("2019/b", StorageClass::Glacier);
    let again = world.plan("again", prefix("2019/", json!({"dry_run": true}))).unwrap();
    assert_eq!((again.counts, again.cost.total_usd), (planned.counts, planned.cost.total_usd));
    assert_eq!(refusal(world.plan("b", prefix("2019/", json!({"confirm": planned.hash}))).unwrap_err()).0, 409);
}

#[test]
fn a_plan_names_cheaper_and_faster_ways() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let planned = world.plan("r", ask(&["a"])).unwrap();
    let record = world.record("r");
    let others = &record.plan.as_ref().unwrap().alternatives;
    let tiers: Vec<_> = others.iter().map(|other| other.tier.as_str()).collect();
    assert_eq!(tiers, ["Bulk", "Expedited", "Standard"]);
    assert!(others[0].total_usd < planned.cost.total_usd && planned.cost.total_usd < others[1].total_usd);
    // Its first object is there sooner if a job asks for it.
    assert_eq!(others.iter().map(|other| other.batch_operations).collect::<Vec<_>>(), [false, false, true]);
    assert!(others[2].says.starts_with("Standard by S3 Batch Operations: $0.26"), "{}", others[2].says);
    assert!(others[2].says.ends_with("typically ready 5 min to 5 h from now."), "{}", others[2].says);
    assert!(others[0].says.ends_with("typically ready 5 h to 12 h from now."), "{}", others[0].says);
}

/// A call of one of the doors that ask about another restore's objects; the new restore runs to its end.
fn again(world: &World, call: &str, restore: &str, body: Value) -> (u16, Value) {
    again_with_key(world, call, restore, None, body)
}

fn again_with_key(world: &World, call: &str, restore: &str, key: Option<&str>, body: Value) -> (u16, Value) {
    let headers = key.map(|key| json!({"idempotency-key": key}));
    let event = json!({
        "headers": headers,
        "routeKey": format!("POST /v1/restores/{{id}}/{call}"), "pathParameters": {"id": restore}, "body": body.to_string(),
        "requestContext": {"requestId": format!("{call} at {}", world.now())},
    });
    let request: http::Request = serde_json::from_value(event).unwrap();
    let World { ledger, files, executions, settings, .. } = world;
    let response = world.run(create_restore::run(&request, ledger, files, executions, settings, world.now()));
    (response.status_code, serde_json::from_str(&response.body).unwrap())
}

/// The same; it must be accepted. Answers the new restore's id, and runs it to its end.
fn again_to_the_end(world: &World, call: &str, restore: &str, body: Value) -> String {
    let (status, answer) = again(world, call, restore, body);
    assert_eq!(status, 202, "{answer}");
    let id = answer["id"].as_str().unwrap().to_owned();
    let started = world.executions.started();
    let (_, input) = started.iter().find(|(started, _)| started.as_str() == id).unwrap();
    world.restore(&id, input.clone());
    id
}

#[test]
fn only_what_failed_is_asked_for_again() {
    let world = World::new();
    world.put("there", StorageClass::Glacier);
    world.restore("r", ask(&["there", "late"]));
    world.put("late", StorageClass::Glacier);
    let id = again_to_the_end(&world, "retry", "r", json!({"tier": "Bulk"}));
    let keys: Vec<_> = world.objects(&id).into_iter().map(|row| row.object.key).collect();
    assert_eq!(keys, ["late"]);
    assert_eq!(world.invalidated(), ["/there", "/late"]);
    assert_eq!(world.calls("there").calls, 1);
}

#[test]
fn a_retry_of_what_was_only_planned_is_no_plan() {
    let world = World::new();
    world.restore("r", ask_with(&["late"], json!({"dry_run": true})));
    world.put("late", StorageClass::Glacier);
    let id = again_to_the_end(&world, "retry", "r", json!({}));
    assert_eq!((world.record(&id).request.dry_run, world.invalidated()), (false, vec!["/late".to_owned()]));
}

#[test]
fn what_still_runs_is_hurried_up_and_published_once_for_both() {
    let world = World::new();
    for key in ["a", "b"] {
        world.put(key, StorageClass::Glacier);
    }
    let wait = world.begin("r", ask_with(&["a", "b"], json!({"tier": "Bulk"})));
    world.aws.with(Sim::take_events);
    let id = again_to_the_end(&world, "expedite", "r", json!({}));
    assert!(id.contains("expedite") && world.calls("a").upgraded == 1);
    assert!(world.objects(&id).iter().all(|row| matches!(row.state, State::Published { .. })));
    world.finish("r", wait);
    // Nothing else is there, so one wildcard covers both.
    assert_eq!(world.invalidated(), ["/*"]);
    // Nothing is left to hurry up, and slower is not faster.
    let (status, answer) = again(&world, "expedite", "r", json!({"tier": "Bulk"}));
    assert_eq!((status, &answer["field"]), (400, &json!("tier")));
}

#[test]
fn a_copy_is_kept_longer_and_not_published_again() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.put("warm", StorageClass::Standard);
    world.restore("r", ask_with(&["a", "warm"], json!({"days": 1})));
    let (status, answer) = again(&world, "extend", "r", json!({}));
    assert_eq!((status, &answer["field"]), (400, &json!("days")));
    let id = again_to_the_end(&world, "extend", "r", json!({"days": 30}));
    let objects = world.objects(&id);
    let State::Published { expires: Some(expires), .. } = objects[0].state else { panic!("{objects:?}") };
    assert!(expires > world.now() + std::time::Duration::from_secs(29 * 24 * HOUR));
    assert_eq!((objects.len(), world.calls("a").extended, world.invalidated()), (1, 1, vec!["/a".to_owned()]));
}

#[test]
fn cancelled_objects_can_be_asked_for_again() {
    let world = World::new();
    for key in ["a", "b"] {
        world.put(key, StorageClass::Glacier);
    }
    world.begin("r", ask(&["a", "b"]));
    world.cancel("r");
    let id = again_to_the_end(&world, "retry", "r", json!({}));
    assert_eq!(world.record(&id).status, Status::Succeeded);
    assert_eq!((world.invalidated(), world.calls("a").started), (vec!["/*".to_owned()], 1));
}

#[test]
fn a_call_about_a_restore_without_objects_for_it_is_refused_at_once_and_a_repeated_one_is_answered_as_before() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask_with(&["a"], json!({"tier": "Bulk"})));
    let expedite = || again_with_key(&world, "expedite", "r", Some("key"), json!({}));
    let first = expedite();
    assert_eq!(first.0, 202, "{}", first.1);
    world.finish("r", wait);
    assert_eq!(expedite(), (200, first.1), "the key was used while S3 still fetched the object");
    world.plan("planning", ask_with(&["a"], json!({"max_cost_usd": 0}))).unwrap_err();
    world.begin("stopped", ask_with(&["a"], json!({"tier": "Bulk"})));
    world.cancel("stopped");
    let executions = world.executions.started().len();
    for (call, restore, body, says) in [
        ("retry", "r", json!({}), "None of its objects failed or was cancelled."),
        ("expedite", "r", json!({}), "S3 fetches none of its objects any more."),
        ("expedite", "stopped", json!({}), "Send retry with the tier Expedited"),
        ("retry", "planning", json!({}), "It is still being planned."),
        ("extend", "planning", json!({"days": 3}), "It is still being planned."),
    ] {
        let (status, answer) = again(&world, call, restore, body);
        let detail = answer["detail"].as_str().unwrap();
        assert_eq!((status, &answer["type"]), (409, &json!("urn:thaw:problem:wrong-state")), "{call} of {restore}");
        assert!(detail.contains(says) && detail.ends_with("Nothing was asked of S3."), "{detail}");
    }
    assert_eq!(world.executions.started().len(), executions);
}

#[test]
fn a_call_about_another_restore_is_checked() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.restore("r", ask(&["a"]));
    for (call, restore, body, status, field) in [
        ("retry", "nobody", json!({}), 404, "id"),
        ("retry", "r", json!({"keys": ["b"]}), 400, "keys"),
        ("retry", "r", json!([]), 400, "body"),
        ("expedite", "r", json!({"days": 3}), 400, "days"),
        ("extend", "r", json!({"days": 0}), 400, "days"),
    ] {
        let (answered, answer) = again(&world, call, restore, body);
        assert_eq!((answered, &answer["field"]), (status, &json!(field)), "{call} {restore}");
    }
}

#[test]
fn of_a_cancelled_restore_nothing_is_published_however_many_rows_its_door_left() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    // As the door leaves a restore of more objects than it can wait for.
    let cancelled = world.record("r").with(|record| {
        record.status = Status::Cancelled;
        record.completed_at = Some(record.requested_at);
    });
    world.run(world.ledger.replace(&cancelled)).unwrap();
    world.pass(6 * HOUR);
    world.deliver(1);
    assert!(world.invalidated().is_empty());
    assert!(matches!(world.row("a", "r").state, State::Cancelled { .. }));
}
