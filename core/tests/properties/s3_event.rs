//! Messages with events of S3, in both formats and with any key.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::laws;

/// A key as S3 writes it into a notification: `application/x-www-form-urlencoded`, with `/` left as it is.
fn form_encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn bridge(key: &str, version: &Value, time: &str) -> Value {
    json!({
        "version": "0", "detail-type": "Object Restore Initiated", "source": "aws.s3", "time": time,
        "detail": {"bucket": {"name": "archive"}, "object": {"key": key, "size": 1, "version-id": version}},
    })
}

fn notification(key: &str, version: &Value, time: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.6", "eventSource": "aws:s3", "eventTime": time, "eventName": "ObjectRestore:Completed",
        "s3": {"bucket": {"name": "archive"}, "object": {"key": key, "size": 1, "versionId": version}},
        "glacierEventData": {"restoreEventData": {"lifecycleRestorationExpiryTime": time}},
    }]})
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => any::<String>(),
        6 => "[ +%a/é0-9A-F]{0,20}",
        1 => (1_010_usize..1_030).prop_map(|length| "k".repeat(length)),
    ]
}

fn version() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        4 => "[A-Za-z0-9._]{0,32}".prop_map(Value::from),
        1 => (890_usize..1_030).prop_map(|length| Value::from("v".repeat(length))),
    ]
}

fn time() -> impl Strategy<Value = String> {
    select(
        &[
            "2026-11-22T10:00:00Z",
            "2026-11-22T10:00:00.000Z",
            "-009999-01-02T01:59:59Z",
            "9999-12-30T22:00:00.999999999Z",
            "",
        ][..],
    )
    .prop_map(str::to_owned)
}

/// A message in either format, with any key, version and time.
fn message() -> impl Strategy<Value = Value> {
    (any::<bool>(), key(), version(), time()).prop_map(|(is_bridge, key, version, time)| {
        if is_bridge { bridge(&key, &version, &time) } else { notification(&form_encoded(&key), &version, &time) }
    })
}

/// The JSON pointers of all values within a value.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), out)),
        Value::Array(items) => (0..).zip(items).for_each(|(index, value)| places(value, &format!("{at}/{index}"), out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_is_read_as_it_is_in_either_shape(key in key().prop_filter("S3 has no such key", |key| (1..=1_024).contains(&key.len()))) {
        let time = "2026-11-22T10:00:00Z";
        for message in [bridge(&key, &Value::Null, time), notification(&form_encoded(&key), &Value::Null, time)] {
            let events = laws::s3_events(&message.to_string());
            prop_assert_eq!(&events[0].object.key, &key);
        }
    }

    #[test]
    fn messages_near_an_event_keep_the_law(message in message()) {
        laws::s3_events(&message.to_string());
    }

    #[test]
    fn a_message_with_something_else_somewhere_keeps_the_law(
        message in message(),
        place in any::<Index>(),
        instead in prop_oneof![
            Just(Value::Null),
            Just(json!([])),
            Just(json!({})),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::from("x".repeat(100_000))),
        ],
    ) {
        let mut message = message;
        let mut all = Vec::new();
        places(&message, "", &mut all);
        *message.pointer_mut(&all[place.index(all.len())]).unwrap() = instead;
        laws::s3_events(&message.to_string());
    }

    #[test]
    fn any_text_keeps_the_law(text in any::<String>()) {
        laws::s3_events(&text);
    }
}
