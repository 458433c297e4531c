//! Patterns over keys, and their law ([`source_laws::glob`]).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::source_laws;

/// A text that resembles a pattern: short pieces of syntax in any order.
fn pattern() -> impl Strategy<Value = String> {
    let piece =
        select(&["a", "b", "/", "*", "**", "**/", "/**/", "?", "[ab]", "[!a-b]", "\\*", "ü", "!", "{", "["][..]);
    vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn key() -> impl Strategy<Value = String> {
    vec(select(&["a", "b", "/", "ü", "*"][..]), 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_what_its_rules_say(pattern in pattern(), key in key()) {
        source_laws::glob(&pattern, &key);
    }

    #[test]
    fn any_text_keeps_the_law(pattern in any::<String>(), key in any::<String>()) {
        source_laws::glob(&pattern, &key);
    }
}
