//! Bodies of requests: bodies that are right or wrong in a few fields, any JSON, and any bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::laws;

/// A key of any characters: short keys, of which some are equal, and keys about as long as S3 allows.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[ab]{1,2}",
        8 => any::<String>(),
        1 => (1_010_usize..1_030).prop_map(|length| "k".repeat(length)),
        1 => (500_usize..520).prop_map(|length| "ü".repeat(length)),
    ]
}

fn requested() -> impl Strategy<Value = Value> {
    let version = prop_oneof![
        4 => any::<String>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => (895_usize..1_030).prop_map(|length| Value::from("v".repeat(length))),
    ];
    prop_oneof![
        3 => key().prop_map(Value::from),
        1 => key().prop_map(|key| json!({"key": key})),
        1 => (key(), version).prop_map(|(key, version)| json!({"key": key, "version_id": version})),
    ]
}

/// A value that a field may have by mistake.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn bucket() -> impl Strategy<Value = Value> {
    prop_oneof![8 => "[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", 2 => "[a-z0-9.-]{2,64}", 1 => "([0-9]{1,3}\\.){3}[0-9]{1,3}"]
        .prop_map(Value::from)
}

const WORDS: [&str; 9] = ["Standard", "Bulk", "Expedited", "standard", "fail", "each", "together", "never", ""];

/// A field with a value that may be right.
fn field() -> impl Strategy<Value = (String, Value)> {
    let number = prop_oneof![
        (0_u64..40_000).prop_map(Value::from),
        (0_u64..1_000_000_000_000_000_000).prop_map(|nanos| Value::from(nanos as f64 / 1e9)),
    ];
    let value = prop_oneof![
        4 => select(&WORDS[..]).prop_map(Value::from),
        4 => number,
        2 => any::<bool>().prop_map(Value::from),
        1 => vec(any::<String>(), 0..12).prop_map(Value::from),
        1 => anything(),
    ];
    let publish = (select(&WORDS[..]), any::<bool>(), 0_u32..2).prop_map(
        |(when, only_if_stale, max_over)| json!({"when": when, "only_if_stale": only_if_stale, "max_over": max_over}),
    );
    prop_oneof![
        6 => (select(&["tier", "days", "on_expedited_unavailable", "max_cost_usd", "publish", "notify", "batch_operations", "join_only", "publish_only"][..]), value)
            .prop_map(|(name, value)| (name.to_owned(), value)),
        2 => publish.prop_map(|publish| ("publish".to_owned(), publish)),
        1 => (any::<String>(), anything()),
    ]
}

/// Mostly a request: a bucket and keys, and up to two more fields.
fn body() -> impl Strategy<Value = Value> {
    (bucket(), vec(requested(), 0..5), vec(field(), 0..3)).prop_map(|(bucket, keys, more)| {
        let mut body = json!({"bucket": bucket, "keys": keys});
        body.as_object_mut().unwrap().extend(more);
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bodies_near_a_request_keep_the_law(body in body()) {
        laws::request(body.to_string().as_bytes());
    }

    #[test]
    fn any_json_keeps_the_law(value in anything()) {
        laws::request(value.to_string().as_bytes());
    }

    #[test]
    fn any_bytes_keep_the_law(bytes in vec(any::<u8>(), 0..200)) {
        laws::request(&bytes);
    }

    #[test]
    fn a_request_that_was_cut_or_damaged_keeps_the_law(body in body(), at in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = body.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        laws::request(&bytes);
        laws::request(&bytes[..at]);
    }

    #[test]
    fn a_limit_in_dollars_is_the_same_after_it_was_written_and_read(nanos in 0_u64..1_000_000_000_000_000_000) {
        let limit = nanos as f64 / 1e9;
        laws::request(json!({"bucket": "archive", "keys": ["a"], "max_cost_usd": limit}).to_string().as_bytes());
    }
}
