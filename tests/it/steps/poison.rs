//! Messages that nobody can read, and messages that are not for us.

use serde_json::{Value, json};
use thaw_sim::Sim;
use thaw_sim::model::{RestoreRequest, RetrievalTier, StorageClass};
use thaw_steps::events::queue::QueueResponse;

use super::world::{BUCKET, World, ask};

/// A batch of messages with these bodies.
fn batch<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Value {
    let record = |(id, body): (usize, &str)| json!({"messageId": id.to_string(), "body": body});
    json!({"Records": bodies.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// An event of an object that S3 restored, and of one that somebody else began to restore.
fn good(world: &World) -> [String; 2] {
    world.put("ours", StorageClass::Glacier);
    world.begin("r", ask(&["ours"]));
    world.pass(5 * 3_600);
    let completed = world.aws.with(Sim::take_events).pop().unwrap().to_json();
    world.put("theirs", StorageClass::Glacier);
    let request = RestoreRequest::new(BUCKET, "theirs", Some(3), Some(RetrievalTier::Bulk));
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    let initiated = world.aws.with(Sim::take_events).pop().unwrap().to_json();
    [completed.to_string(), initiated.to_string()]
}

#[test]
fn what_can_never_be_read_is_put_aside_at_once_with_its_reason_and_stops_no_others() {
    let world = World::new();
    let [completed, initiated] = good(&world);
    let mut created: Value = serde_json::from_str(&completed).unwrap();
    created["detail-type"] = json!("Object Created");
    let created = created.to_string();
    let huge_key = completed.replace(r#""key":"ours""#, &format!(r#""key":"{}""#, "k".repeat(1_000_000)));
    let deep = "[".repeat(1_000_000);
    let poison = [
        ("no event at all", "it is no JSON object"),
        (&completed[..completed.len() / 2], "EOF while parsing"),
        (r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": "{}"}"#, "neither an EventBridge event"),
        (created.as_str(), r#"its detail-type is "Object Created""#),
        (huge_key.as_str(), "its key or version is longer"),
        (deep.as_str(), "it is no JSON object"),
    ];
    let bodies = poison.map(|(body, _)| body);
    assert_eq!(world.completed(batch(bodies.into_iter().chain([completed.as_str()]))), QueueResponse::default());
    assert_eq!(world.initiated(batch(bodies.into_iter().chain([initiated.as_str()]))), QueueResponse::default());

    let letters = world.dead_letters.letters();
    assert_eq!(letters.len(), 2 * poison.len(), "of both readers");
    for ((body, reason), (poison, why)) in letters.iter().zip(poison.iter().cycle()) {
        assert_eq!(body, poison);
        assert!(reason.contains(why) && reason.chars().count() <= 256, "{reason}");
    }
    assert_eq!(world.invalidated(), ["/ours"]);
    assert_eq!(world.executions.started().len(), 1, "theirs is joined");
}

#[test]
fn what_can_never_be_a_file_is_put_aside_at_once_with_its_reason_and_stops_no_others() {
    let world = World::new();
    let good = world.drop("inbox/a.json", &ask(&["a"]).to_string(), 1).to_string();
    let with = |from: &str, to: &str| {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        bad
    };
    let poison = [
        ("no event at all".to_owned(), "it is no JSON object"),
        (good[..good.len() / 2].to_owned(), "EOF while parsing"),
        (with("Object Created", "Object Deleted"), r#"its detail-type is "Object Deleted""#),
        (with("aws.s3", "my.app"), r#"its source is "my.app""#),
        (with("sequencer", "sequel"), "missing field `sequencer`"),
        (with("inbox/a.json", &format!("inbox/{}", "k".repeat(1_000_000))), "its key or version is longer"),
        (
            with("inbox/a.json", &format!("inbox/{}", "k".repeat(1_007))),
            "its key leaves no room for that of its answer",
        ),
    ];
    let bodies = poison.iter().map(|(body, _)| body.as_str());
    assert_eq!(world.inbox(batch(bodies.chain([good.as_str()]))), QueueResponse::default());
    let letters = world.dead_letters.letters();
    assert_eq!(letters.len(), poison.len());
    for ((body, reason), (poison, why)) in letters.iter().zip(&poison) {
        assert!(body == poison && reason.contains(why) && reason.chars().count() <= 256, "{reason}");
    }
    assert_eq!(world.executions.started().len(), 1, "the good one is accepted");
}

#[test]
fn what_can_be_read_but_is_not_for_us_is_done() {
    let world = World::new();
    let [completed, initiated] = good(&world);
    let elsewhere = |event: &str| event.replace(r#""name":"archive""#, r#""name":"elsewhere""#);
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"archive"}"#;
    let expired = completed.replace("Object Restore Completed", "Object Restore Expired");
    for body in [test, &expired, &initiated, &elsewhere(&completed)] {
        assert_eq!(world.completed(batch([body])), QueueResponse::default(), "{body}");
    }
    for body in [test, &expired, &completed, &elsewhere(&initiated)] {
        assert_eq!(world.initiated(batch([body])), QueueResponse::default(), "{body}");
    }
    for body in [test, &expired, &completed, &initiated] {
        assert_eq!(world.inbox(batch([body])), QueueResponse::default(), "{body}");
    }
    assert!(world.dead_letters.letters().is_empty());
    assert!(world.invalidated().is_empty() && world.executions.started().is_empty());
}

#[test]
fn a_bucket_whose_name_runs_into_a_key_is_no_bucket_of_ours() {
    let world = World::new();
    world.put("dir/a", StorageClass::Glacier);
    world.begin("r", ask(&["dir/a"]));
    world.pass(5 * 3_600);
    let event = world.aws.with(Sim::take_events).pop().unwrap().to_json().to_string();
    let forged = event.replace(r#""name":"archive""#, r#""name":"archive/dir""#).replace("dir/a\"", "a\"");
    assert_ne!(forged, event);
    world.completed(batch([forged.as_str()]));
    assert!(world.invalidated().is_empty());
    world.completed(batch([event.as_str()]));
    assert_eq!(world.invalidated(), ["/dir/a"]);
}
