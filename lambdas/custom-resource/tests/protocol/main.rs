//! The protocol against a hostile CloudFormation: it is answered, once and in time.

mod cloud_formation;
mod malformed;
mod thing;

use std::time::Duration;

use serde_json::{Value, json};
use thaw_custom_resource::{Hosts, Outcome, Responder, Status};
use tokio::time::Instant;

use cloud_formation::{CloudFormation, Reaction, SECRET, URL, VirtualTime, in_virtual_time, logged};
use thing::{Behaviour, Thing};

/// The time of the function.
const TIME: Duration = Duration::from_secs(60);

/// What became of an event, in how much time, and what was logged.
struct Done {
    outcome: Outcome,
    took: Duration,
    log: Vec<String>,
}

/// Sends an event to a new process.
fn send(cloud_formation: &CloudFormation, thing: &Thing, event: &Value) -> Done {
    send_within(cloud_formation, thing, event, TIME)
}

fn send_within(cloud_formation: &CloudFormation, thing: &Thing, event: &Value, time: Duration) -> Done {
    let work = || {
        in_virtual_time(async {
            let responder = Responder::new(cloud_formation.clone(), VirtualTime::begin(), Hosts::Aws);
            let begun = Instant::now();
            (responder.respond(event, thing, time).await, begun.elapsed())
        })
    };
    let ((outcome, took), log) = logged(work);
    assert!(took <= time, "it took {took:?} of {time:?}");
    let all = format!("{outcome:?} {log:?}");
    assert!(!all.contains(SECRET) && !all.contains("X-Amz"), "the response URL is in {all}");
    Done { outcome, took, log }
}

fn event(kind: &str, name: &str, colour: &str) -> Value {
    json!({
        "RequestType": kind, "RequestId": "request-1", "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/thaw/1",
        "ResponseURL": URL, "ResourceType": "Custom::Thing", "LogicalResourceId": "Thing",
        "ResourceProperties": {"ServiceToken": "arn", "Name": name, "Colour": colour},
    })
}

fn create() -> Value {
    event("Create", "a", "red")
}

/// An update of the thing `a`.
fn update(name: &str, colour: &str) -> Value {
    let mut update = event("Update", name, colour);
    update["PhysicalResourceId"] = "thing-a".into();
    update["OldResourceProperties"] = create()["ResourceProperties"].clone();
    update
}

fn delete(physical_id: &str) -> Value {
    let mut delete = event("Delete", "a", "red");
    delete["PhysicalResourceId"] = physical_id.into();
    delete
}

/// The answer to an event of [`create`] and the like.
fn answer(status: &str, physical_id: &str, more: &Value) -> Value {
    let mut answer = json!({
        "Status": status, "PhysicalResourceId": physical_id, "RequestId": "request-1",
        "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/thaw/1", "LogicalResourceId": "Thing",
    });
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

/// Of an event and a behaviour comes this answer.
#[track_caller]
fn check(thing: &Thing, event: &Value, expected: &Value) {
    let cloud_formation = CloudFormation::default();
    let done = send(&cloud_formation, thing, event);
    assert_eq!(cloud_formation.answer(), *expected);
    let status = if expected["Status"] == "SUCCESS" { Status::Success } else { Status::Failed };
    assert_eq!(done.outcome, Outcome::Answered(status));
}

#[test]
fn a_resource_is_made_changed_replaced_and_removed() {
    let thing = Thing::new(Behaviour::Works);
    let made = |name: &str| json!({"Data": {"Made": name}});
    check(&thing, &create(), &answer("SUCCESS", "thing-a", &made("thing-a")));
    thing.are(&[("thing-a", "red")]);
    check(&thing, &update("a", "blue"), &answer("SUCCESS", "thing-a", &made("thing-a")));
    thing.are(&[("thing-a", "blue")]);
    // Another name is another thing. The old one stays until CloudFormation has it deleted.
    check(&thing, &update("b", "blue"), &answer("SUCCESS", "thing-b", &made("thing-b")));
    thing.are(&[("thing-a", "blue"), ("thing-b", "blue")]);
    check(&thing, &delete("thing-a"), &answer("SUCCESS", "thing-a", &json!({})));
    check(&thing, &delete("thing-b"), &answer("SUCCESS", "thing-b", &json!({})));
    thing.are(&[]);
}

#[test]
fn the_request_is_the_one_that_the_url_is_signed_for() {
    let cloud_formation = CloudFormation::default();
    send(&cloud_formation, &Thing::new(Behaviour::Works), &create());
    let received = cloud_formation.received().remove(0);
    let uri = URL.split_once(".com").unwrap().1;
    assert_eq!((received.method.as_str(), received.uri.as_str()), ("PUT", uri));
    let header = |name: &str| {
        let values: Vec<_> = received.headers.iter().filter(|header| header.0 == name).collect();
        assert_eq!(values.len(), 1, "{name}");
        values[0].1.clone()
    };
    assert_eq!(header("content-type"), "");
    assert_eq!(header("content-length"), received.body.len().to_string());
}

#[test]
fn a_failure_is_answered_with_its_reason_and_the_id_that_there_was() {
    let fails = Thing::new(Behaviour::Fails);
    let why = json!({"Reason": "It cannot be done."});
    check(&fails, &create(), &answer("FAILED", "not-made", &why));
    check(&fails, &update("a", "blue"), &answer("FAILED", "thing-a", &why));
    // Not the new id: CloudFormation would delete the thing that is there.
    check(&fails, &update("b", "blue"), &answer("FAILED", "thing-a", &why));
    check(&fails, &delete("thing-a"), &answer("FAILED", "thing-a", &why));
}

#[test]
fn what_was_never_made_is_deleted_without_trouble() {
    let thing = Thing::new(Behaviour::Works);
    thing.make_another();
    // After a creation that failed, one that was never answered, and one that nobody heard of.
    for id in ["not-made", "thaw-Thing-1ABCDEFGHIJKL"] {
        check(&thing, &delete(id), &answer("SUCCESS", id, &json!({})));
    }
    check(&thing, &delete(""), &answer("SUCCESS", "not-made", &json!({})));
    thing.are(&[("thing-other", "green")]);
}

impl Thing {
    fn make_another(&self) {
        self.made.borrow_mut().insert("thing-other".to_owned(), "green".to_owned());
    }
}

#[test]
fn an_event_that_comes_twice_is_answered_once() {
    let (cloud_formation, thing) = (CloudFormation::default(), Thing::new(Behaviour::Works));
    in_virtual_time(async {
        let responder = Responder::new(cloud_formation.clone(), VirtualTime::begin(), Hosts::Aws);
        let first = responder.respond(&create(), &thing, TIME).await;
        let second = responder.respond(&create(), &thing, TIME).await;
        assert_eq!((first, second), (Outcome::Answered(Status::Success), Outcome::AnsweredBefore));
    });
    assert_eq!((cloud_formation.received().len(), thing.calls.get()), (1, 1));
}

#[test]
fn an_event_that_comes_to_two_processes_gets_the_same_answer_and_makes_one_thing() {
    let (cloud_formation, thing) = (CloudFormation::default(), Thing::new(Behaviour::Works));
    send(&cloud_formation, &thing, &create());
    send(&cloud_formation, &thing, &create());
    let received = cloud_formation.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
    thing.are(&[("thing-a", "red")]);
}

#[test]
fn an_event_whose_answer_did_not_arrive_is_answered_when_it_comes_again() {
    let (cloud_formation, thing) = (CloudFormation::new([Reaction::Refuse; 100]), Thing::new(Behaviour::Works));
    let done = send(&cloud_formation, &thing, &create());
    assert!(matches!(done.outcome, Outcome::Undelivered(_)), "{:?}", done.outcome);
    let cloud_formation = CloudFormation::default();
    send(&cloud_formation, &thing, &create());
    assert_eq!(cloud_formation.answer()["Status"], "SUCCESS");
}

#[test]
fn a_slow_answer_is_waited_for() {
    let slow = Reaction::Slowly(Duration::from_secs(20), 200);
    let cloud_formation = CloudFormation::new([slow]);
    send(&cloud_formation, &Thing::new(Behaviour::Works), &create());
    assert_eq!((cloud_formation.answer()["Status"].as_str(), cloud_formation.received().len()), (Some("SUCCESS"), 1));
}

#[test]
fn whoever_does_not_answer_is_asked_again() {
    for reaction in [
        Reaction::Refuse,
        Reaction::Hang,
        Reaction::BreakOff,
        Reaction::Panic,
        Reaction::Status(500),
        Reaction::Status(503),
        Reaction::Status(429),
    ] {
        for times in [1, 2] {
            let cloud_formation = CloudFormation::new(vec![reaction; times]);
            let done = send(&cloud_formation, &Thing::new(Behaviour::Works), &create());
            assert_eq!(cloud_formation.answer()["Status"], "SUCCESS", "{reaction:?}");
            let warned = done.log.iter().filter(|line| line.starts_with("WARN")).count();
            assert_eq!(warned, times, "{reaction:?}: {:?}", done.log);
        }
    }
}

#[test]
fn whoever_cannot_be_reached_at_all_is_asked_until_the_time_is_up() {
    for reaction in [Reaction::Refuse, Reaction::Hang, Reaction::Status(503)] {
        let cloud_formation = CloudFormation::new([reaction; 1_000]);
        let done = send(&cloud_formation, &Thing::new(Behaviour::Works), &create());
        assert!(matches!(done.outcome, Outcome::Undelivered(_)), "{reaction:?}: {:?}", done.outcome);
        assert!(done.took > TIME / 2, "{reaction:?}: {:?}", done.took);
    }
}

#[test]
fn a_url_that_has_expired_is_not_asked_again() {
    let cloud_formation = CloudFormation::new([Reaction::Status(403)]);
    let done = send(&cloud_formation, &Thing::new(Behaviour::Works), &create());
    assert_eq!(done.outcome, Outcome::Unanswerable("the response URL answers HTTP 403".to_owned()));
    assert_eq!(cloud_formation.received().len(), 1);
}

#[test]
fn a_panic_is_a_failure_of_the_resource() {
    for behaviour in [Behaviour::Panics, Behaviour::PanicsInPhysicalId] {
        let cloud_formation = CloudFormation::default();
        send(&cloud_formation, &Thing::new(behaviour), &create());
        let answer = cloud_formation.answer();
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("not-made")));
        assert!(answer["Reason"].as_str().unwrap().contains("panicked"), "{answer}");
    }
}

#[test]
fn a_resource_that_never_ends_is_a_failure_before_the_time_is_up() {
    for time in [1, 2, 10, 60, 900].map(Duration::from_secs) {
        // The answer itself has trouble too.
        let cloud_formation = CloudFormation::new([Reaction::Status(500)]);
        let done = send_within(&cloud_formation, &Thing::new(Behaviour::Hangs), &create(), time);
        let answer = cloud_formation.answer();
        assert!(answer["Reason"].as_str().unwrap().contains("ran out of time"), "{answer}");
        assert!(done.took >= time / 4, "after {:?} of {time:?} there was more time", done.took);
    }
}

#[test]
fn without_any_time_it_ends_at_once() {
    let done =
        send_within(&CloudFormation::new([Reaction::Hang]), &Thing::new(Behaviour::Hangs), &create(), Duration::ZERO);
    assert!(matches!(done.outcome, Outcome::Undelivered(_)), "{:?}", done.outcome);
}

#[test]
fn what_is_not_settled_is_run_again() {
    let thing = Thing::new(Behaviour::Unsettled(3));
    check(&thing, &create(), &answer("SUCCESS", "thing-a", &json!({"Data": {"Made": "thing-a"}})));
    assert_eq!(thing.calls.get(), 4);
    // If it never is, that is the answer.
    let thing = Thing::new(Behaviour::Unsettled(1_000));
    check(&thing, &create(), &answer("FAILED", "not-made", &json!({"Reason": "Not yet."})));
    assert_eq!(thing.calls.get(), 7, "every five seconds of thirty");
}

#[test]
fn an_answer_that_cannot_be_sent_is_a_failure() {
    for (behaviour, says) in
        [(Behaviour::LongData, "attributes of the resource are too long"), (Behaviour::EmptyId, "0 bytes")]
    {
        let cloud_formation = CloudFormation::default();
        send(&cloud_formation, &Thing::new(behaviour), &create());
        let answer = cloud_formation.answer();
        assert!(answer["Reason"].as_str().unwrap().contains(says), "{answer}");
    }
}

#[test]
fn without_a_usable_url_it_ends_at_once_and_says_so() {
    for url in [
        Value::Null,
        json!(7),
        json!("no url"),
        json!("http://b.s3.amazonaws.com/5ec2e7"),
        json!("https://example.com/5ec2e7"),
    ] {
        let mut event = create();
        event["ResponseURL"] = url.clone();
        let (cloud_formation, thing) = (CloudFormation::default(), Thing::new(Behaviour::Hangs));
        let done = send(&cloud_formation, &thing, &event);
        assert!(matches!(done.outcome, Outcome::Unanswerable(_)), "{url}: {:?}", done.outcome);
        assert_eq!((done.took, cloud_formation.received().len(), thing.calls.get()), (Duration::ZERO, 0, 0));
        let [line] = done.log.as_slice() else { panic!("one line: {:?}", done.log) };
        assert!(line.starts_with("ERROR message=CloudFormation cannot be answered"), "{line}");
        assert!(line.contains("ResponseURL"), "{line}");
    }
}
