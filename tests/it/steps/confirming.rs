//! What an event published is said to be published soon after CloudFront is done, and small restores do not wait for
//! others to be published with.

use std::time::Duration;

use serde_json::{Value, json};
use thaw_core::{Confirmation, FailureCode, State};
use thaw_sim::Sim;
use thaw_sim::model::{FaultRule, StorageClass};
use thaw_steps::events::queue::QueueResponse;

use super::world::{World, ask, ask_with};

/// A restore of these keys that an event has published a moment ago.
fn published(keys: &[&str]) -> World {
    let world = World::new();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.begin("r", ask(keys));
    world.pass(6 * 3_600);
    world.deliver(1);
    world
}

/// Messages with these texts.
fn messages<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    let record = |(id, body): (usize, &str)| json!({"messageId": id.to_string(), "body": body});
    json!({"Records": texts.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// The latest message that was sent to ConfirmInvalidations, and its delay.
fn latest(world: &World) -> (Confirmation, u64) {
    let (message, delay) = world.confirmations.sent().pop().unwrap();
    (message, delay.as_secs())
}

fn confirm(world: &World, message: &Confirmation) -> QueueResponse {
    world.confirm(messages([json!(message).to_string().as_str()]))
}

fn state(world: &World, key: &str) -> &'static str {
    world.row(key, "r").state.as_str()
}

#[test]
fn what_an_event_published_is_published_without_a_look_as_soon_as_cloudfront_is_done() {
    let world = published(&["a", "b"]);
    let (first, delay) = latest(&world);
    assert_eq!((world.confirmations.sent().len(), first.batches.len(), first.asked, delay), (1, 1, 0, 25));
    assert_eq!(state(&world, "a"), "restored", "CloudFront is not done");
    // Asked too early, it is asked again.
    assert_eq!(confirm(&world, &first), QueueResponse::default());
    let (second, delay) = latest(&world);
    assert_eq!((&second.batches, second.asked, delay), (&first.batches, 1, 20));
    world.pass(delay);
    assert_eq!(confirm(&world, &second), QueueResponse::default());
    assert_eq!([state(&world, "a"), state(&world, "b")], ["published"; 2]);
    // Late and doubled messages change nothing and are not followed by others.
    let items = world.ledger.items();
    for message in [&first, &second, &second] {
        assert_eq!(confirm(&world, message), QueueResponse::default());
    }
    assert_eq!((world.ledger.items(), world.confirmations.sent().len()), (items, 2));
    // The look finds all done.
    let look = world.check_restores("r").unwrap();
    assert!(look.all_published && !look.anything_to_confirm, "{}", look.says);
}

#[test]
fn an_event_that_publishes_nothing_asks_for_nothing() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask_with(&["a"], json!({"publish": {"when": "never"}})));
    world.pass(6 * 3_600);
    world.deliver(1);
    assert!(world.confirmations.sent().is_empty());
}

#[test]
fn what_a_cancelled_restore_had_sent_to_cloudfront_is_confirmed_as_well() {
    let world = published(&["a"]);
    world.cancel("r");
    world.pass(60);
    assert_eq!(confirm(&world, &latest(&world).0), QueueResponse::default());
    assert_eq!((state(&world, "a"), world.confirmations.sent().len()), ("published", 1));
}

#[test]
fn an_invalidation_that_is_gone_is_asked_for_once() {
    for code in ["NoSuchInvalidation", "NoSuchDistribution"] {
        let world = published(&["a"]);
        world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("GetInvalidation", code)]));
        assert_eq!(confirm(&world, &latest(&world).0), QueueResponse::default());
        let State::Failed { code, message, .. } = world.row("a", "r").state else { panic!("{code}") };
        assert_eq!(code, FailureCode::RefusedByCloudFront);
        assert!(message.contains("is not known"), "{message}");
        assert_eq!(world.confirmations.sent().len(), 1);
    }
}

#[test]
fn a_message_comes_again_if_cloudfront_does_not_answer_and_stops_no_others() {
    let world = published(&["a"]);
    let message = json!(latest(&world).0).to_string();
    world.pass(60);
    world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("GetInvalidation", "ServiceUnavailable")]));
    let unknown = r#"{"batches": ["not in the ledger"], "asked": 3}"#;
    let response = world.confirm(messages([unknown, message.as_str(), "no message"]));
    assert_eq!(response, QueueResponse::failing(["1"]));
    let letters = world.dead_letters.letters();
    assert_eq!((letters.len(), letters[0].0.as_str()), (1, "no message"));
    assert!(letters[0].1.contains("it is no JSON object"), "{letters:?}");
    world.aws.with(|sim, _| sim.set_faults(Vec::new()));
    assert_eq!(world.confirm(messages([message.as_str()])), QueueResponse::default());
    assert_eq!(state(&world, "a"), "published");
}

#[test]
fn after_a_day_a_message_becomes_a_dead_letter() {
    let world = published(&["a"]);
    let last = Confirmation { asked: 171, ..latest(&world).0 };
    assert_eq!(confirm(&world, &last), QueueResponse::default());
    let letters = world.dead_letters.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(Confirmation::read(&letters[0].0).unwrap().batches, last.batches);
    assert!(letters[0].1.contains("for a day"), "{letters:?}");
    // Sent back by an operator, it is asked again.
    world.pass(60);
    assert_eq!(world.confirm(messages([letters[0].0.as_str()])), QueueResponse::default());
    assert_eq!(state(&world, "a"), "published");
}

/// A restore of so many objects that can be read, the events of all, and how many objects are small.
fn ready(objects: usize, collect_over: u64) -> (World, Vec<String>) {
    let mut world = World::new();
    world.settings.collect_over = collect_over;
    let keys: Vec<String> = (0..objects).map(|number| format!("{number:04}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.begin("r", ask(&keys));
    world.pass(6 * 3_600);
    let events = world.aws.with(Sim::take_events);
    let events: Vec<String> = events.iter().map(|event| event.to_json().to_string()).collect();
    let events = events.into_iter().filter(|event| event.contains("Object Restore Completed")).collect();
    (world, events)
}

fn send(world: &World, events: &[String]) {
    events.iter().enumerate().for_each(|(number, event)| world.queue.send(&format!("more {number}"), event));
}

fn invalidations(world: &World) -> usize {
    world.aws.with(|sim, _| sim.distributions().map(|one| one.invalidations().len()).sum())
}

const AT_ONCE: Duration = Duration::ZERO;
const A_SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_small_restore_is_published_with_what_is_on_the_queue_and_waits_for_nothing() {
    let (world, events) = ready(100, 100);
    send(&world, &events[10..]);
    assert_eq!(world.completed(messages(events[..10].iter().map(String::as_str))), QueueResponse::default());
    assert_eq!((world.invalidated().len(), invalidations(&world)), (100, 1));
    assert_eq!((world.queue.waits(), world.queue.deleted().len()), (vec![AT_ONCE], 90));
}

#[test]
fn the_objects_of_a_large_restore_are_collected_for_ten_seconds() {
    let (world, events) = ready(30, 29);
    assert_eq!(world.completed(messages([events[0].as_str()])), QueueResponse::default());
    let mut waits = vec![AT_ONCE];
    waits.extend([A_SECOND; 10]);
    assert_eq!((world.queue.waits(), invalidations(&world)), (waits, 1));
}

#[test]
fn collecting_ends_with_the_first_object_of_a_small_restore() {
    let (world, events) = ready(30, 29);
    world.put("small", StorageClass::Glacier);
    world.begin("s", ask(&["small"]));
    world.pass(6 * 3_600);
    let small = world.aws.with(Sim::take_events).pop().unwrap().to_json().to_string();
    world.queue.send("small", &small);
    world.completed(messages([events[0].as_str()]));
    assert_eq!((world.queue.waits(), world.invalidated().len()), (vec![AT_ONCE], 2));
}

#[test]
fn nothing_is_collected_for_objects_that_nobody_waits_for() {
    let (world, events) = ready(30, 29);
    world.cancel("r");
    let mut other: Value = serde_json::from_str(&events[0]).unwrap();
    other["detail"]["object"]["key"] = json!("other");
    world.completed(messages([other.to_string().as_str()]));
    assert_eq!(world.queue.waits(), [AT_ONCE]);
}

#[test]
fn what_was_received_and_failed_comes_again_and_the_rest_is_deleted() {
    let (world, events) = ready(3, 100);
    send(&world, &events[1..]);
    let refused = FaultRule::new("CreateInvalidation", "ServiceUnavailable");
    world.aws.with(|sim, _| sim.set_faults(vec![refused]));
    world.queue.send("poison", "no event");
    let response = world.completed(messages([events[0].as_str()]));
    // Lambda only knows its own messages: "an unknown itemIdentifier" would make the whole batch fail.
    assert_eq!(response, QueueResponse::failing(["0"]));
    assert_eq!(world.queue.deleted(), ["receipt of poison"]);
    world.aws.with(|sim, _| sim.set_faults(Vec::new()));
    send(&world, &events[1..]);
    assert_eq!(world.completed(messages([events[0].as_str()])), QueueResponse::default());
    assert_eq!((world.invalidated().len(), world.queue.deleted().len()), (3, 3));
}

#[test]
fn an_invocation_takes_five_hundred_messages() {
    let (world, events) = ready(600, 100);
    send(&world, &events[1..]);
    world.completed(messages([events[0].as_str()]));
    assert_eq!(world.invalidated().len(), 500);
}
