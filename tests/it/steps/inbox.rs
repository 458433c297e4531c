//! Files that are dropped into the inbox: what they start, and what is written beside them.

use serde_json::{Value, json};
use thaw_core::{MAX_BODY_BYTES, Usd};
use thaw_sim::model::{FaultRule, ObjectRef, PutRequest, StorageClass};
use thaw_steps::StepError;
use thaw_steps::events::queue::QueueResponse;
use thaw_steps::ports::WorkFiles;

use super::world::{BUCKET, WORK, World, ask};

/// Messages with these events.
fn batch<'a>(events: impl IntoIterator<Item = &'a Value>) -> Value {
    let record = |(id, event): (usize, &Value)| json!({"messageId": id.to_string(), "body": event.to_string()});
    json!({"Records": events.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// Tells of these files, all of which must be done then.
#[track_caller]
fn tell<'a>(world: &World, events: impl IntoIterator<Item = &'a Value>) {
    assert_eq!(world.inbox(batch(events)), QueueResponse::default());
    assert!(world.dead_letters.letters().is_empty());
}

fn answer(world: &World, file: &str) -> Option<Value> {
    let bytes = world.run(world.files.get(&format!("{file}.answer.json"))).unwrap();
    bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

/// Drops a file that cannot start anything; answers the problem that is written beside it.
#[track_caller]
fn refused(world: &World, file: &str, content: &str) -> Value {
    let ledger = world.ledger.items();
    let started = world.executions.started();
    tell(world, [&world.drop(file, content, 7)]);
    assert_eq!(world.ledger.items(), ledger, "nothing is written down");
    assert_eq!(world.executions.started(), started, "nothing is started");
    let there = ObjectRef::new(WORK, file);
    assert_eq!(world.aws.with(|sim, now| sim.get_object(&there, now)).unwrap().content.body, content.as_bytes());
    let problem = answer(world, file).unwrap();
    assert!(problem["type"].as_str().unwrap().starts_with("urn:thaw:problem:"), "{problem}");
    problem
}

/// The only restore that was started, and what with.
fn only(world: &World) -> (String, Value) {
    let mut started = world.executions.started().into_iter();
    let (id, input) = started.next().unwrap();
    assert!(started.next().is_none(), "one restore");
    (id.to_string(), input)
}

#[test]
fn a_request_is_accepted_as_over_http_and_answered_beside_it() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    tell(&world, [&world.drop("inbox/2026/cats.json", &ask(&["a"]).to_string(), 1)]);
    let (id, input) = only(&world);
    assert_eq!((&input["keys"], &input["max_cost_usd"]), (&json!([{"key": "a"}]), &Value::Null));
    let answer = answer(&world, "inbox/2026/cats.json").unwrap();
    assert_eq!((&answer["id"], &answer["status"]), (&json!(id), &json!("running")));
    assert_eq!(answer["links"]["self"], format!("/v1/restores/{id}"));
    assert_eq!(world.record(&id).asked, Some(1));
    let (report, _) = world.restore(&id, input);
    assert_eq!((report.counts.published, world.invalidated()), (1, vec!["/a".to_owned()]));
}

#[test]
fn a_list_is_restored_with_the_defaults_and_for_no_more_than_the_stack_says() {
    for (file, list) in [
        ("inbox/list.csv", "bucket,key\narchive,2019/a+b.jpg\narchive,c\n"),
        ("inbox/list.jsonl", "{\"key\":\"2019/a b.jpg\"}\n\"c\"\n"),
        ("inbox/list", "archive,2019/a%20b.jpg\narchive,c"),
        ("inbox/list.txt", "2019/a b.jpg\r\nc\r\n"),
        ("inbox/addresses", "s3://archive/2019/a b.jpg\ns3://archive/c\n"),
        (
            "inbox/list.json",
            "{\"Contents\": [{\"Key\": \"2019/a b.jpg\", \"Size\": 1}, {\"Key\": \"c\"}], \"RequestCharged\": null}",
        ),
    ] {
        let mut world = World::new();
        world.settings.inbox_max_cost = Usd::from_f64(1.0);
        for key in ["2019/a b.jpg", "c", "d"] {
            world.put(key, StorageClass::Glacier);
        }
        tell(&world, [&world.drop(file, list, 1)]);
        let (id, input) = only(&world);
        let asked = (&input["manifest"], &input["tier"], &input["max_cost_usd"]);
        assert_eq!(asked, (&json!(format!("s3://{WORK}/{file}")), &json!("Standard"), &json!(1.0)));
        assert_eq!(answer(&world, file).unwrap()["id"], json!(id));
        let (report, _) = world.restore(&id, input);
        assert_eq!((report.counts.total, report.counts.published), (2, 2), "{file}");
        assert_eq!(world.calls("d").calls, 0);
    }
}

#[test]
fn the_first_line_of_a_list_may_be_as_long_as_a_key() {
    let world = World::new();
    // A character of two bytes is six when it is encoded.
    let list = format!("bucket,key\narchive,{}\n", "%C3%BC".repeat(512));
    tell(&world, [&world.drop("inbox/long.csv", &list, 1)]);
    assert_eq!(only(&world).1["bucket"], "archive");
}

#[test]
fn a_request_with_a_mark_of_byte_order_is_one() {
    let world = World::new();
    tell(&world, [&world.drop("inbox/a.json", &format!("\u{feff}{}", ask(&["a"])), 1)]);
    assert_eq!(only(&world).1["keys"], json!([{"key": "a"}]));
}

#[test]
fn a_file_that_is_archived_itself_says_so() {
    let world = World::new();
    let event = world.drop("inbox/list.csv", "archive,a\n", 1);
    let put = PutRequest::new(WORK, "inbox/list.csv", StorageClass::Glacier, "archive,a\n");
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
    tell(&world, [&event]);
    let problem = answer(&world, "inbox/list.csv").unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("the file is archived itself"), "{problem}");
    assert!(world.executions.started().is_empty());
}

#[test]
fn a_list_that_costs_more_than_the_stack_allows_is_refused_before_anything_is_spent() {
    let mut world = World::new();
    world.settings.inbox_max_cost = Usd::from_f64(0.000_001);
    world.put("a", StorageClass::Glacier);
    tell(&world, [&world.drop("inbox/list.csv", "archive,a\n", 1)]);
    let (id, input) = only(&world);
    let Err(StepError::InvalidRequest(problem)) = world.plan(&id, input) else { panic!("it is planned") };
    assert_eq!(problem.field.as_deref(), Some("max_cost_usd"));
    assert_eq!(world.calls("a").calls, 0);
}

#[test]
fn a_list_that_was_written_again_is_not_read_for_the_order_before() {
    let world = World::new();
    for key in ["a", "b"] {
        world.put(key, StorageClass::Glacier);
    }
    let first = world.drop("inbox/list.csv", "archive,a\n", 1);
    tell(&world, [&first]);
    let (id, input) = only(&world);
    let second = world.drop("inbox/list.csv", "archive,b\n", 2);
    let Err(StepError::InvalidRequest(problem)) = world.plan(&id, input) else { panic!("it is planned") };
    assert!(problem.detail.contains("its ETag is"), "{problem}");

    // The next writing is an order of its own; and what is told of the first once more changes nothing.
    tell(&world, [&second, &first]);
    let started = world.executions.started();
    let (next, input) = started.into_iter().find(|(other, _)| other.as_str() != id).unwrap();
    assert_eq!(answer(&world, "inbox/list.csv").unwrap()["id"], json!(next));
    let (report, _) = world.restore(next.as_str(), input);
    assert_eq!((report.counts.published, world.calls("a").calls), (1, 0));
}

#[test]
fn however_often_a_file_is_told_of_it_makes_one_restore_and_each_writing_makes_its_own() {
    let world = World::new();
    let body = ask(&["a"]).to_string();
    let first = world.drop("inbox/a.json", &body, 1);
    tell(&world, [&first, &first]);
    let (id, _) = only(&world);
    let answered = answer(&world, "inbox/a.json");
    world.pass(3_600);
    tell(&world, [&first]);
    assert_eq!(only(&world).0, id);
    assert_eq!(answer(&world, "inbox/a.json"), answered, "also later");

    // Who drops the same file again wants it again; who drops it under another name, too.
    tell(&world, [&world.drop("inbox/a.json", &body, 2)]);
    assert_eq!(world.executions.started().len(), 2);
    assert_ne!(answer(&world, "inbox/a.json"), answered);
    tell(&world, [&world.drop("inbox/b.json", &body, 3), &world.drop("inbox/a.json", &ask(&["b"]).to_string(), 4)]);
    assert_eq!(world.executions.started().len(), 4);
}

#[test]
fn settings_that_were_changed_meanwhile_change_nothing_of_an_order() {
    let mut world = World::new();
    let list = world.drop("inbox/list.csv", "archive,a\n", 1);
    tell(&world, [&list]);
    let (id, answered) = (only(&world).0, answer(&world, "inbox/list.csv"));
    world.settings.inbox_max_cost = Usd::from_f64(5.0);
    tell(&world, [&list]);
    assert_eq!((only(&world).0, &answer(&world, "inbox/list.csv")), (id.clone(), &answered));
    world.settings.archive_buckets = vec!["another".to_owned()];
    tell(&world, [&list]);
    assert_eq!((only(&world).0, answer(&world, "inbox/list.csv")), (id, answered));
}

#[test]
fn what_is_wrong_with_a_file_is_written_beside_it_and_the_file_stays() {
    let world = World::new();
    for (file, content, status, field) in [
        ("inbox/no.json", "no request", 400, Some("body")),
        ("inbox/colour.json", r#"{"bucket": "archive", "keys": ["a"], "colour": "red"}"#, 400, Some("colour")),
        ("inbox/theirs.json", r#"{"bucket": "theirs", "keys": ["a"]}"#, 403, Some("bucket")),
        ("inbox/far.json", r#"{"bucket": "archive", "manifest": "s3://theirs/a.csv"}"#, 400, Some("manifest")),
        ("inbox/near.json", r#"{"bucket": "archive", "manifest": "s3://work/restores/a"}"#, 400, Some("manifest")),
        ("inbox/theirs.csv", "theirs,a\narchive,b\n", 403, Some("bucket")),
        ("inbox/words.csv", "hello,\n", 422, Some("manifest")),
        ("inbox/names.csv", "bucket,key\n", 422, Some("manifest")),
        ("inbox/empty.csv", "", 422, None),
        ("inbox/empty.json", "", 422, None),
        ("inbox/manifest.json", r#"{"sourceBucket": "archive", "fileSchema": "Bucket, Key", "files": []}"#, 422, None),
        ("inbox/large.json", &" ".repeat(MAX_BODY_BYTES + 1), 413, Some("body")),
    ] {
        let problem = refused(&world, file, content);
        assert_eq!((problem["status"].as_u64(), problem["field"].as_str()), (Some(status), field), "{file}: {problem}");
    }
}

#[test]
fn a_list_in_the_inbox_can_be_named_by_a_request_with_all_that_a_request_can_say() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.drop("inbox/list.csv", "archive,a\n", 1);
    let body = json!({"bucket": BUCKET, "manifest": "s3://work/inbox/list.csv", "tier": "Bulk", "max_cost_usd": 500});
    tell(&world, [&world.drop("inbox/order.json", &body.to_string(), 2)]);
    let (id, input) = only(&world);
    let (report, _) = world.restore(&id, input);
    assert_eq!(report.counts.published, 1);
}

#[test]
fn what_is_no_order_is_let_pass() {
    let world = World::new();
    let body = ask(&["a"]).to_string();
    for key in [
        "inbox/",
        "inbox/2026/",
        "inbox/a.json.answer.json",
        "inbox/a.csv.answer.json",
        "restores/r/request.json",
        "inbox",
    ] {
        tell(&world, [&world.drop(key, &body, 1)]);
    }
    let mut elsewhere = world.drop("inbox/a.json", &body, 1);
    elsewhere["detail"]["bucket"]["name"] = json!(BUCKET);
    tell(&world, [&elsewhere]);
    assert!(world.ledger.items().is_empty() && world.executions.started().is_empty());
    assert!(world.files.names().is_empty(), "not even an answer: {:?}", world.files.names());
}

#[test]
fn a_file_that_is_gone_before_it_is_read_starts_nothing_and_one_that_was_read_keeps_its_answer() {
    let world = World::new();
    let file = world.drop("inbox/a.json", &ask(&["a"]).to_string(), 1);
    let delete = || world.aws.with(|sim, now| sim.delete_object(&ObjectRef::new(WORK, "inbox/a.json"), now)).unwrap();
    delete();
    tell(&world, [&file]);
    assert!(world.executions.started().is_empty());
    assert!(answer(&world, "inbox/a.json").unwrap()["detail"].as_str().unwrap().contains("the file is gone"));

    let file = world.drop("inbox/a.json", &ask(&["a"]).to_string(), 2);
    tell(&world, [&file]);
    let answered = answer(&world, "inbox/a.json");
    assert_eq!(answered.as_ref().unwrap()["id"], json!(only(&world).0));
    delete();
    tell(&world, [&file]);
    assert_eq!(answer(&world, "inbox/a.json"), answered);
}

#[test]
fn trouble_is_not_answered_and_the_message_comes_again() {
    let world = World::new();
    let (one, two) = (
        world.drop("inbox/slow/a.json", &ask(&["a"]).to_string(), 1),
        world.drop("inbox/b.json", &ask(&["b"]).to_string(), 2),
    );
    let slow = FaultRule::new("GetObject", "SlowDown").on("slow/").times(1);
    world.aws.with(|sim, _| sim.set_faults(vec![slow]));
    let said = world.inbox(batch([&one, &two]));
    assert_eq!(said.batch_item_failures.len(), 1);
    assert_eq!(said.batch_item_failures[0].item_identifier, "0");
    assert_eq!((answer(&world, "inbox/slow/a.json"), world.executions.started().len()), (None, 1));
    tell(&world, [&one]);
    assert_eq!(world.executions.started().len(), 2);
    assert!(answer(&world, "inbox/slow/a.json").unwrap()["id"].is_string());
}
