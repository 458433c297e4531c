//! A thousand events that CloudFormation would not send.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use thaw_custom_resource::{MAX_BODY_BYTES, Outcome};

use super::cloud_formation::{CloudFormation, Reaction, URL};
use super::thing::{Behaviour, Thing};
use super::{TIME, create, send};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// A field: as it should be, missing, or anything.
fn field(good: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![4 => prop::sample::select(good).prop_map(Some), 1 => Just(None), 2 => json().prop_map(Some)]
}

fn event() -> impl Strategy<Value = Value> {
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
    let fields = [
        ("RequestType", texts(&["Create", "Update", "Delete"])),
        ("RequestId", texts(&["r"])),
        ("StackId", texts(&["s"])),
        ("LogicalResourceId", texts(&["l"])),
        ("PhysicalResourceId", texts(&["thing-a", "not-made"])),
        ("ResourceType", texts(&["Custom::Thing"])),
        ("ResponseURL", texts(&[URL])),
        ("ResourceProperties", vec![json!({"Name": "a", "Colour": "red"}), json!({"Name": "b", "Colour": true})]),
        ("OldResourceProperties", vec![json!({"Name": "a"})]),
    ];
    let fields = fields.map(|(name, good)| field(good).prop_map(move |value| (name, value)));
    let object = Vec::from(fields).prop_map(|fields| {
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(fields.collect())
    });
    prop_oneof![20 => object, 1 => json()]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        4 => Just(Behaviour::Works),
        1 => Just(Behaviour::Fails),
        1 => Just(Behaviour::Panics),
        1 => Just(Behaviour::PanicsInPhysicalId),
        1 => Just(Behaviour::Hangs),
        1 => Just(Behaviour::Unsettled(1)),
        1 => Just(Behaviour::LongData),
        1 => Just(Behaviour::EmptyId),
    ]
}

fn reactions() -> impl Strategy<Value = Vec<Reaction>> {
    let reaction = prop_oneof![
        Just(Reaction::Status(500)),
        Just(Reaction::Refuse),
        Just(Reaction::Hang),
        Just(Reaction::BreakOff),
        Just(Reaction::Slowly(Duration::from_secs(3), 200)),
    ];
    prop_oneof![Just(Vec::new()), prop::collection::vec(reaction, 0..3)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_event_is_answered_once_and_in_time_or_ends_at_once(event in event(), behaviour in behaviour(), reactions in reactions()) {
        let cloud_formation = CloudFormation::new(reactions);
        // It takes no longer than the function has: `send` looks at that.
        let done = send(&cloud_formation, &Thing::new(behaviour), &event);
        if event["ResponseURL"] != URL {
            prop_assert!(matches!(done.outcome, Outcome::Unanswerable(_)), "{:?}", done.outcome);
            prop_assert_eq!((done.took, cloud_formation.received().len()), (Duration::ZERO, 0));
            return Ok(());
        }
        prop_assert!(matches!(done.outcome, Outcome::Answered(_)), "{:?}", done.outcome);
        let answer = cloud_formation.answer();
        prop_assert!(cloud_formation.received()[0].body.len() <= MAX_BODY_BYTES);
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            prop_assert_eq!(&answer[name], event[name].as_str().unwrap_or_default());
        }
        prop_assert!(answer["PhysicalResourceId"].as_str().is_some_and(|id| !id.is_empty()), "{}", answer);
        let has_reason = answer["Reason"].as_str().is_some_and(|reason| !reason.is_empty());
        prop_assert!(answer["Status"] == "SUCCESS" || (answer["Status"] == "FAILED" && has_reason), "{}", answer);
    }
}

#[test]
fn an_event_that_leaves_no_room_for_an_answer_ends_with_a_clear_line() {
    let mut event = create();
    event["StackId"] = "s".repeat(MAX_BODY_BYTES).into();
    let done = send(&CloudFormation::default(), &Thing::new(Behaviour::Works), &event);
    assert!(done.took < TIME);
    let line = done.log.last().unwrap();
    assert!(line.contains("is longer than an answer"), "{line}");
}
