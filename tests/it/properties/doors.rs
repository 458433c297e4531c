//! Events of API Gateway.

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::laws;

/// A body, as it is or in base64, or something that claims to be.
fn body() -> impl Strategy<Value = (Option<String>, bool)> {
    let request = select(
        &[
            r#"{"bucket":"archive","keys":["2019/cat.jpg"]}"#,
            r#"{"bucket":"archive","keys":["a",{"key":"a","version_id":"v"}],"tier":"Bulk","days":7,"max_cost_usd":0.5}"#,
            r#"{"bucket":"elsewhere","keys":["a"]}"#,
            r#"{"bucket":"archive","keys":["ü \u0000?*~%"],"publish":{"when":"never"},"notify":["x"],"join_only":true}"#,
            "{}",
        ][..],
    );
    let text = prop_oneof![4 => request.prop_map(str::to_owned), 1 => any::<String>()];
    (text, any::<bool>(), any::<bool>()).prop_map(|(text, encoded, flag)| {
        let text = if encoded { base64(text.as_bytes()) } else { text };
        (Some(text), if flag { encoded } else { false })
    })
}

/// RFC 4648, section 4: three bytes are four letters.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = three.iter().chain([&0; 2]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let letter = |place: usize| char::from(LETTERS[bits >> (18 - 6 * place) & 63]);
        (0..4).map(|place| if place <= three.len() { letter(place) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}

fn event() -> impl Strategy<Value = Value> {
    let routes = select(&["GET /v1/restores", "GET /v1/restores/{id}", "GET /v1/restores/{id}/objects", "PUT /"][..]);
    let cursor = prop_oneof![
        any::<String>(),
        "[0-9+-]{1,12}",
        Just("2026-11-22T10:00:00Z~r".to_owned()),
        Just("-009999-01-02T01:59:59Z~r".to_owned()),
        Just("2026-11-22T10:00:00Z~~".to_owned()),
    ];
    let name = select(&["cursor", "status", "state", "colour"][..]).prop_map(str::to_owned);
    let word = select(&["running", "failed", "published", ""][..]).prop_map(str::to_owned);
    let queries = btree_map(name, prop_oneof![cursor, word], 0..2);
    let id = prop_oneof![any::<String>(), "[0-9A-Za-z_-]{0,82}"];
    let key = prop_oneof![any::<String>(), "[!-~]{1,257}"];
    let case = select(&["idempotency-key", "Idempotency-Key"][..]);
    (routes, queries, id, option::of((case, key)), body()).prop_map(|(route, queries, id, key, (body, is_base64))| {
        json!({
            "version": "2.0", "routeKey": route, "queryStringParameters": queries, "pathParameters": {"id": id},
            "headers": key.map(|(name, key)| json!({(name): key})), "requestContext": {"requestId": "r"},
            "body": body, "isBase64Encoded": is_base64,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_door_answers_whatever_comes(event in event()) {
        laws::doors(&serde_json::from_value(event).unwrap());
    }

    #[test]
    fn a_body_in_base64_is_the_body(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let event = json!({"body": base64(&bytes), "isBase64Encoded": true});
        let request: thaw_steps::api::http::Request = serde_json::from_value(event).unwrap();
        prop_assert_eq!(request.body_bytes().ok(), String::from_utf8(bytes).ok().map(String::into_bytes));
    }
}
