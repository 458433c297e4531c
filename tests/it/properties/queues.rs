//! Batches of S3's messages, some of them damaged.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::laws;

fn message() -> impl Strategy<Value = String> {
    let detail_type = select(&["Object Restore Initiated", "Object Restore Completed", "Object Created"][..]);
    let bucket = select(&[laws::BUCKET, "elsewhere", ""][..]);
    let key =
        prop_oneof![4 => "[ab]", 2 => any::<String>(), 1 => (1_020_usize..1_030).prop_map(|length| "k".repeat(length))];
    let version = prop_oneof![
        2 => Just(Value::Null),
        2 => "[vw]{0,2}".prop_map(Value::from),
        1 => (895_usize..1_030).prop_map(|length| "v".repeat(length).into()),
    ];
    let time = select(&["2026-11-22T10:00:00Z", "-009999-01-02T01:59:59Z", "9999-12-30T22:00:00Z", "now"][..]);
    let event = (detail_type, bucket, key, version, time).prop_map(|(detail_type, bucket, key, version, time)| {
        json!({
            "detail-type": detail_type, "source": "aws.s3", "time": time,
            "detail": {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version}},
        })
        .to_string()
    });
    let cut = (event.clone(), any::<Index>()).prop_map(|(text, at)| {
        let at = at.index(text.len());
        text.char_indices().take_while(|(index, _)| *index < at).map(|(_, char)| char).collect()
    });
    prop_oneof![8 => event, 1 => cut, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_bad_message_never_takes_the_others_down(messages in vec(message(), 0..10)) {
        laws::queues(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
