//! What S3 restores without thaw knowing is found and published: the memory was lost, or nobody ever told.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thaw_core::{Event, State, Status};
use thaw_sim::Sim;
use thaw_sim::model::{AccessTier, FaultRule, ObjectRef, RestoreRequest, RetrievalTier, StorageClass};
use thaw_sim::ports::WorkBucket;
use thaw_steps::ports::Ledger;
use thaw_steps::testing::memory::{MemoryExecutions, MemoryLedger};

use super::world::{BUCKET, World, ask, ask_with};

const HOUR: u64 = 3_600;

/// Somebody restores an object, and nobody hears of it.
fn silently(world: &World, key: &str, days: Option<u32>, tier: RetrievalTier) {
    let request = RestoreRequest::new(BUCKET, key, days, Some(tier));
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    world.aws.with(Sim::take_events);
}

/// Takes everything that thaw knows away from it.
fn forget(world: &mut World) {
    world.ledger = MemoryLedger::default();
    world.aws.with(|sim, _| sim.create_bucket("another", false));
    world.files = WorkBucket::new(&world.aws, "another");
    world.executions = MemoryExecutions::default();
    world.aws.with(Sim::take_events);
}

fn all() -> Value {
    json!({"bucket": BUCKET})
}

/// `looked_at`, `known`, `adopted`.
fn counts(answer: &Value) -> [u64; 3] {
    ["looked_at", "known", "adopted"].map(|count| answer[count].as_u64().unwrap())
}

fn ids(answer: &Value) -> Vec<String> {
    let restores = answer["restores"].as_array().unwrap();
    restores.iter().map(|restore| restore["id"].as_str().unwrap().to_owned()).collect()
}

/// Runs the executions that an adoption began; each must publish all its objects.
#[track_caller]
fn carry_out(world: &World, answer: &Value) {
    let started = world.executions.started();
    for restore in answer["restores"].as_array().unwrap() {
        let id = restore["id"].as_str().unwrap();
        let (_, input) = started.iter().find(|(started, _)| started.as_str() == id).expect("an execution");
        let input = match input["request_in"].as_str() {
            None => input.clone(),
            Some(_) => json!({"request_in": input["request_in"]}),
        };
        let wait = world.begin(id, input);
        let (report, _) = world.finish(id, wait);
        assert_eq!(report.status, Status::Succeeded, "{}", report.says);
        assert_eq!(report.counts.published, restore["objects"].as_u64().unwrap());
    }
}

#[test]
fn a_ledger_lost_in_the_middle_of_a_restore_loses_no_object() {
    let mut world = World::new();
    world.put("flexible", StorageClass::Glacier);
    world.put("deep", StorageClass::DeepArchive);
    world.put_in_tier("tiered", AccessTier::ArchiveAccess);
    world.begin("r", ask(&["flexible", "deep", "tiered"]));
    world.pass(HOUR);
    forget(&mut world);

    let answer = world.adopt(all());
    assert_eq!(counts(&answer), [3, 0, 3]);
    carry_out(&world, &answer);
    let paths: BTreeSet<_> = world.invalidated().into_iter().collect();
    assert_eq!(paths, ["/deep", "/flexible", "/tiered"].map(str::to_owned).into());
    assert_eq!(world.invalidated().len(), 3, "each path once");
    for key in ["flexible", "deep", "tiered"] {
        assert_eq!((world.calls(key).calls, world.view(&format!("/{key}"))), (1, 200), "S3 was asked once: {key}");
    }
}

#[test]
fn what_another_tool_restored_is_found_while_it_is_fetched_and_when_its_copy_lives() {
    let world = World::new();
    world.put("running", StorageClass::DeepArchive);
    world.put("copied", StorageClass::Glacier);
    silently(&world, "copied", Some(5), RetrievalTier::Expedited);
    world.pass(24 * HOUR);
    silently(&world, "running", Some(5), RetrievalTier::Standard);
    world.aws.with(Sim::take_events);

    let answer = world.adopt(all());
    assert_eq!(counts(&answer), [2, 0, 2]);
    let id = &ids(&answer)[0];
    assert_eq!(answer["restores"], json!([{"id": id, "objects": 2, "href": format!("/v1/restores/{id}")}]));
    assert_eq!(answer["says"], "Of 2 objects: 2 adopted, 0 that thaw takes care of already.");
    assert!(answer.get("next_cursor").is_none());
    carry_out(&world, &answer);
    assert!(["running", "copied"].iter().all(|key| world.calls(key).calls == 1), "S3 is asked for nothing");
    assert_eq!(world.invalidated().len(), 2);
}

#[test]
fn an_event_that_comes_after_the_adoption_publishes_at_once() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    silently(&world, "a", Some(5), RetrievalTier::Standard);
    let answer = world.adopt(all());
    world.begin(&ids(&answer)[0], world.executions.started().into_values().next().unwrap());
    world.pass(5 * HOUR);
    world.deliver(2);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn where_nothing_is_restored_nothing_is_adopted_and_s3_is_asked_only_what_a_listing_cannot_tell() {
    let world = World::new();
    for (key, class) in [
        ("read/it", StorageClass::Standard),
        ("read/instant", StorageClass::GlacierIr),
        ("cold/flexible", StorageClass::Glacier),
        ("cold/deep", StorageClass::DeepArchive),
        ("gone/copy", StorageClass::Glacier),
        ("tiered/readable", StorageClass::IntelligentTiering),
    ] {
        world.put(key, class);
    }
    world.put_in_tier("tiered/cold", AccessTier::ArchiveAccess);
    world.put_in_tier("tiered/back", AccessTier::ArchiveAccess);
    silently(&world, "gone/copy", Some(1), RetrievalTier::Expedited);
    silently(&world, "tiered/back", None, RetrievalTier::Standard);
    world.pass(72 * HOUR);
    let calls = || world.aws.with(|sim, _| [sim.calls("HeadObject"), sim.calls("ListObjectsV2")]);
    let [heads, lists] = calls();
    let answer = world.adopt(all());
    assert_eq!(counts(&answer), [8, 0, 0]);
    assert_eq!(answer["restores"], json!([]));
    assert_eq!(calls()[0] - heads, 3, "those of Intelligent-Tiering");
    assert_eq!(calls()[1] - lists, 1, "there is one page");
    assert!(world.ledger.items().is_empty() && world.executions.started().is_empty());
}

#[test]
fn only_keys_under_the_prefix_are_looked_at() {
    let world = World::new();
    for key in ["a/1", "b/1", "b/2", "c/1"] {
        world.put(key, StorageClass::Glacier);
        silently(&world, key, Some(3), RetrievalTier::Bulk);
    }
    assert_eq!(counts(&world.adopt(json!({"bucket": BUCKET, "prefix": "b/"}))), [2, 0, 2]);
}

#[test]
fn to_adopt_twice_is_to_adopt_once() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    silently(&world, "a", Some(9), RetrievalTier::Bulk);
    let answer = world.adopt(all());
    world.pass(20);
    assert_eq!(ids(&world.adopt(all())), ids(&answer), "before it is planned");
    assert_eq!(world.executions.started().len(), 1);
    let wait = world.begin(&ids(&answer)[0], world.executions.started().into_values().next().unwrap());
    assert_eq!(counts(&world.adopt(all())), [1, 1, 0], "while it runs");
    world.finish(&ids(&answer)[0], wait);
    assert_eq!(counts(&world.adopt(all())), [1, 1, 0], "when it is published");
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn what_thaw_knows_is_left_alone_with_versions_and_without() {
    for versioned in [false, true] {
        let world = World::new();
        world.aws.with(|sim, _| sim.create_bucket(BUCKET, versioned));
        world.put("a", StorageClass::Glacier);
        world.put("b", StorageClass::Glacier);
        world.put("never", StorageClass::Glacier);
        let wait = world.begin("r", ask(&["a", "b"]));
        world.restore("never", ask_with(&["never"], json!({"publish": {"when": "never"}})));
        assert_eq!(counts(&world.adopt(all())), [3, 3, 0], "versioned: {versioned}");
        world.finish("r", wait);
        assert_eq!(counts(&world.adopt(all())), [3, 3, 0], "versioned: {versioned}");
        assert!(world.executions.started().is_empty());
    }
}

#[test]
fn an_older_version_is_known_for_itself_only() {
    let world = World::new();
    world.aws.with(|sim, _| sim.create_bucket(BUCKET, true));
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.put("a", StorageClass::Glacier);
    silently(&world, "a", Some(3), RetrievalTier::Bulk);
    assert_eq!(counts(&world.adopt(all())), [1, 0, 1]);
}

#[test]
fn what_an_ended_restore_left_behind_is_adopted() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    let ended = world.record("r").with(|record| record.status = Status::Failed);
    world.run(world.ledger.replace(&ended)).unwrap();
    let answer = world.adopt(all());
    assert_eq!(counts(&answer), [1, 0, 1]);
    carry_out(&world, &answer);
    assert_eq!((world.invalidated(), world.calls("a").calls), (vec!["/a".to_owned()], 1));
}

#[test]
fn what_was_cancelled_is_adopted_when_somebody_asks_for_it() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    let cancelled = world.row("a", "r").after(&Event::Cancelled { at: world.now() }).unwrap().unwrap();
    world.run(world.ledger.replace(&cancelled)).unwrap();
    assert!(matches!(world.row("a", "r").state, State::Cancelled { .. }));
    carry_out(&world, &world.adopt(all()));
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_adoption_that_died_before_its_plan_does_not_stand_in_the_way_of_the_next() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    silently(&world, "a", Some(9), RetrievalTier::Bulk);
    let first = ids(&world.adopt(all())).remove(0);
    let ended = world.record(&first).with(|record| record.status = Status::Failed);
    world.run(world.ledger.replace(&ended)).unwrap();
    let answer = world.adopt(all());
    assert_ne!(ids(&answer), [first]);
    carry_out(&world, &answer);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn many_are_found_call_by_call_each_once() {
    const OBJECTS: usize = 2_300;
    let world = World::new();
    let keys: Vec<_> = (0..OBJECTS).map(|n| format!("dir/{n:04}")).collect();
    for key in &keys {
        world.put(key, StorageClass::Glacier);
        silently(&world, key, Some(30), RetrievalTier::Bulk);
    }
    let mut body = all();
    let mut answers = Vec::new();
    loop {
        answers.push(world.adopt(body.clone()));
        assert!(answers.len() < 10, "the adoption does not end");
        let Some(cursor) = answers.last().unwrap().get("next_cursor") else { break };
        assert!(answers.last().unwrap()["says"].as_str().unwrap().contains("There are more"));
        body["cursor"] = cursor.clone();
    }
    let adopted: Vec<_> = answers.iter().map(counts).collect();
    assert_eq!(adopted, [[1_000, 0, 1_000], [1_000, 0, 1_000], [300, 0, 300]], "a page holds a thousand keys");
    answers.iter().for_each(|answer| carry_out(&world, answer));
    assert_eq!(world.published_keys(), keys.into_iter().collect());
    assert_eq!(world.rows().len(), OBJECTS);
}

#[test]
fn a_call_looks_at_twenty_pages_and_says_where_to_go_on() {
    let world = World::new();
    for n in 0..20_001 {
        world.put(&format!("{n:05}"), StorageClass::Standard);
    }
    for key in ["zzz", "00000/a"] {
        world.put(key, StorageClass::Glacier);
        silently(&world, key, Some(30), RetrievalTier::Bulk);
    }
    let first = world.adopt(all());
    assert_eq!(counts(&first), [20_000, 0, 1]);
    let cursor = first["next_cursor"].clone();
    assert_eq!(cursor, "19998", "the last key looked at: 00000/a is one of the 20,000");
    let last = world.adopt(json!({"bucket": BUCKET, "cursor": cursor}));
    assert_eq!((counts(&last), last.get("next_cursor")), ([3, 0, 1], None));
}

#[test]
fn one_that_is_gone_or_may_not_be_looked_at_stops_no_others() {
    let world = World::new();
    for key in ["denied", "good", "tiered/denied"] {
        world.put(key, StorageClass::Glacier);
    }
    world.put_in_tier("tiered/denied", AccessTier::ArchiveAccess);
    silently(&world, "denied", Some(3), RetrievalTier::Bulk);
    silently(&world, "good", Some(3), RetrievalTier::Bulk);
    let denied = FaultRule { status: Some(403), ..FaultRule::new("HeadObject", "AccessDenied").on("denied") };
    world.aws.with(|sim, _| sim.set_faults(vec![denied]));
    // The listing says that it is being restored; why it cannot be followed is what its restore will say.
    assert_eq!(counts(&world.adopt(all())), [3, 0, 2]);
    world.aws.with(|sim, now| {
        sim.set_faults(Vec::new());
        sim.delete_object(&ObjectRef::new(BUCKET, "denied"), now).unwrap();
    });
    assert_eq!(world.adopt(all())["looked_at"], 2);
}

#[test]
fn a_service_that_is_busy_leaves_nothing_half_done_for_the_next_call() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    silently(&world, "a", Some(9), RetrievalTier::Bulk);
    for operation in ["ListObjectsV2", "HeadObject"] {
        world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new(operation, "SlowDown").times(1)]));
        let response = world.adopt_raw(&all());
        assert_eq!((response.status_code, response.headers["retry-after"].as_str()), (503, "5"), "{operation}");
    }
    assert!(world.ledger.items().is_empty());
    assert_eq!(counts(&world.adopt(all())), [1, 0, 1]);
}

#[test]
fn what_is_wrong_with_the_request_is_said() {
    let world = World::new();
    for (body, status, field) in [
        (json!({"bucket": BUCKET, "keys": ["a"]}), 400, "keys"),
        (json!({"prefix": "a/"}), 400, "bucket"),
        (json!({"bucket": "somebody-elses"}), 403, "bucket"),
        (json!({"bucket": BUCKET, "prefix": "b/", "cursor": "a/1"}), 400, "cursor"),
    ] {
        let response = world.adopt_raw(&body);
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!((response.status_code, &problem["field"]), (status, &json!(field)), "{problem}");
        assert_eq!(response.headers["content-type"], "application/problem+json");
    }
}
