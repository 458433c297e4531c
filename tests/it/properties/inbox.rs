//! Files in the inbox: near a request, near a manifest, and anything at all.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::laws;

fn name() -> impl Strategy<Value = &'static str> {
    select(&["a.json", "a.csv", "a.jsonl", "manifest.json", "2019/a b+c%.gz", "a"][..])
}

/// Pieces of what could stand there.
fn text() -> impl Strategy<Value = String> {
    const WHOLE: [&str; 2] =
        [r#"{"bucket": "archive", "keys": ["a"]}"#, r#"{"sourceBucket": "archive", "fileSchema": "Bucket, Key"}"#];
    let piece = prop_oneof![
        4 => select(&["archive,", "other,", "bucket,key", "a", "\n", "\r\n", "\"", ",", "\u{feff}"][..]),
        2 => select(&["{\"bucket\":\"archive\",\"key\":\"a\"}", "{\"key\":\"a\"}", "\"a\"", "{", "}", "[", "%2"][..]),
        1 => select(&WHOLE[..]),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_near_an_order_keep_the_law(name in name(), text in text()) {
        laws::inbox(name, text.as_bytes());
    }

    #[test]
    fn any_bytes_keep_the_law(name in name(), bytes in vec(any::<u8>(), 0..200)) {
        laws::inbox(name, &bytes);
    }
}
