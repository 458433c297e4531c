//! Key to path: the one encoding table.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What CloudFront wants percent-encoded in an invalidation path: non-ASCII bytes, control characters, the "unsafe"
/// characters of RFC 1738 section 2.2, and nothing else, "or CloudFront won't invalidate" (Developer Guide, "Specify
/// the objects to invalidate").
///
/// `?` is not in that list, but raw it would start a query string: a viewer reaches a key with `?` in it only by `%3F`.
const UNSAFE: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'<')
    .add(b'>')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'[')
    .add(b']')
    .add(b'`')
    .add(b'?');

/// The path of a key, without what precedes it: encoded, and never a wildcard.
///
/// `*` is a wildcard only as the last character of a path, so a key that ends in one gets `%2A`; elsewhere it stays.
/// Bytes are encoded as they are: a name in NFC and the same name in NFD are two keys and two paths.
pub fn encode_path(key: &str) -> String {
    let mut path: String = utf8_percent_encode(key, &UNSAFE).collect();
    if path.ends_with('*') {
        path.pop();
        path.push_str("%2A");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, path: &str) {
        assert_eq!(encode_path(key), path);
    }

    #[test]
    fn the_table() {
        check("photos/2019/cat.jpg", "photos/2019/cat.jpg");
        check("a b.jpg", "a%20b.jpg");
        check("a+b.jpg", "a+b.jpg");
        check("ü/ñandú.jpg", "%C3%BC/%C3%B1and%C3%BA.jpg");
        check("100%.txt", "100%25.txt");
        check("q?x=1.html", "q%3Fx=1.html");
        check("#tag.txt", "%23tag.txt");
        check("it's (1).png", "it's%20(1).png");
        check("ends-with-*", "ends-with-%2A");
        check("a*b", "a*b");
        check("a**", "a*%2A");
        check("{[<|>]}^`\\\"", "%7B%5B%3C%7C%3E%5D%7D%5E%60%5C%22");
        check("!$&',-./:;=@_", "!$&',-./:;=@_");
        check("tab\there", "tab%09here");
    }

    #[test]
    fn nfc_and_nfd_are_two_paths() {
        check("\u{fc}", "%C3%BC");
        check("u\u{308}", "u%CC%88");
    }

    #[test]
    fn the_longest_key_stays_under_cloudfronts_4000_characters() {
        assert!(encode_path(&"\u{fc}".repeat(512)).len() < 4_000);
    }
}
