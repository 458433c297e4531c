//! Converts a key to its CloudFront path and back. All percent-encoding of paths follows the table in this file.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// The bytes that CloudFront requires percent-encoded in an invalidation path: non-ASCII bytes, control characters, the
/// "unsafe" characters of RFC 1738 section 2.2, and nothing else, "or CloudFront won't invalidate" (Developer Guide,
/// "Specify the objects to invalidate").
///
/// `?` is not in that list, but unencoded it would start a query string. A viewer reaches a key that contains `?` only
/// by `%3F`.
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

/// [`UNSAFE`] and `+`. `%2B` is the only spelling that every S3 endpoint reads as a `+`.
const UNSAFE_OR_PLUS: AsciiSet = UNSAFE.add(b'+');

/// The kind of S3 endpoint, which decides how a `+` in a URL path is read. CloudFront forwards the path as the viewer
/// wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The REST endpoint reads `+` as a blank. The key `a+b` is returned for `/a%2Bb` only, the key `a b` for `/a%20b`
    /// and `/a+b` (measured through CloudFront: hackmd.io/@jdno/r13gNdn82; the S3 console's "Object URL" has the last
    /// form).
    #[default]
    Rest,
    /// The website endpoint reads `+` as itself (reported in ostreedev/ostree#2139). The key `a+b` is returned for
    /// `/a+b` and `/a%2Bb`, the key `a b` for `/a%20b` only.
    Website,
}

/// The spelling of the one character that has two spellings at an endpoint: the blank or the `+`.
///
/// Clients spell all occurrences in a path alike, so a key has at most two paths. A path that mixes both spellings
/// shows the object too, but no browser and no SDK sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Spelling {
    /// `%20` or `%2B`.
    Escaped,
    /// `+`.
    Plus,
}

impl Endpoint {
    /// Whether it is the default, which is not serialised.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_rest(&self) -> bool {
        *self == Self::Rest
    }

    /// The endpoint kind of an S3 domain.
    pub(crate) fn of_domain(domain: &str) -> Self {
        if domain.contains(".s3-website") { Self::Website } else { Self::Rest }
    }

    /// The character that has two spellings at this endpoint.
    pub(crate) fn ambiguous(self) -> char {
        match self {
            Self::Rest => ' ',
            Self::Website => '+',
        }
    }

    /// The spellings that give different paths for this key: both if the key contains the ambiguous character, else
    /// one.
    pub(crate) fn spellings(self, key: &str) -> &'static [Spelling] {
        if key.contains(self.ambiguous()) { &[Spelling::Escaped, Spelling::Plus] } else { &[Spelling::Escaped] }
    }

    /// The encoded path of a key (or of a part of a key) in one spelling, without a leading slash. Never a wildcard.
    ///
    /// `*` is a wildcard only as the last character of a path, so a `*` at the end of a key becomes `%2A`. Elsewhere it
    /// stays. There is no Unicode normalisation: a name in NFC and the same name in NFD are two keys and two paths.
    pub(crate) fn encode(self, key: &str, spelling: Spelling) -> String {
        without_wildcard(self.encode_part(key, spelling))
    }

    /// The same for a text that more of the path follows: a `*` at its end stays.
    pub(crate) fn encode_part(self, part: &str, spelling: Spelling) -> String {
        match (self, spelling) {
            (Self::Website, Spelling::Plus) => utf8_percent_encode(part, &UNSAFE).collect(),
            (Self::Rest, Spelling::Plus) => {
                // Only a blank of the key becomes `%20`: a `%` of the key becomes `%25`.
                utf8_percent_encode(part, &UNSAFE_OR_PLUS).collect::<String>().replace("%20", "+")
            }
            (Self::Rest | Self::Website, Spelling::Escaped) => utf8_percent_encode(part, &UNSAFE_OR_PLUS).collect(),
        }
    }

    /// The key that a path requests from the endpoint. For the beginning of a path: the beginning of the keys.
    pub(crate) fn decode(self, path: &str) -> String {
        let path = match self {
            Self::Rest => path.replace('+', " "),
            Self::Website => path.to_owned(),
        };
        percent_decode_str(&path).decode_utf8_lossy().into_owned()
    }
}

/// The encoded path with its last character escaped if that would make it a wildcard.
pub(crate) fn without_wildcard(path: String) -> String {
    path.strip_suffix('*').map(|path| format!("{path}%2A")).unwrap_or(path)
}

/// The encoded path of a key, without its leading slash, that every S3 endpoint reads as the key. Never a wildcard.
///
/// A key with a blank has a second path at the REST endpoint, a key with a `+` at the website endpoint.
/// [`crate::Distribution::paths_of`] returns all of them.
pub fn encode_path(key: &str) -> String {
    Endpoint::default().encode(key, Spelling::Escaped)
}

/// The path (without its leading slash) after its dot segments are removed (RFC 3986, section 5.2.4); `None` if it has
/// no dot segments.
///
/// Browsers and most clients remove them before they send a request. CloudFront removes them only to find the
/// behaviour, and forwards the path as it came (Developer Guide, "Path pattern").
pub(crate) fn without_dot_segments(path: &str) -> Option<String> {
    let is_dot = |segment: &str| matches!(segment, "." | "..");
    if !path.split('/').any(is_dot) {
        return None;
    }
    let (mut kept, mut segments): (Vec<&str>, _) = (Vec::new(), path.split('/').peekable());
    while let Some(segment) = segments.next() {
        if segment == ".." {
            kept.pop();
        }
        match is_dot(segment) {
            false => kept.push(segment),
            // A dot segment at the end leaves the slash before it.
            true if segments.peek().is_none() => kept.push(""),
            true => {}
        }
    }
    Some(kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, path: &str) {
        assert_eq!(encode_path(key), path);
        for endpoint in [Endpoint::Rest, Endpoint::Website] {
            assert_eq!(endpoint.decode(path), key);
        }
    }

    #[test]
    fn the_table() {
        check("photos/2019/cat.jpg", "photos/2019/cat.jpg");
        check("a b.jpg", "a%20b.jpg");
        check("a+b.jpg", "a%2Bb.jpg");
        check("a%2Bb.jpg", "a%252Bb.jpg");
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
    fn each_endpoint_reads_every_spelling_as_the_key() {
        for (endpoint, key, paths) in [
            (Endpoint::Rest, "a b", &["a%20b", "a+b"][..]),
            (Endpoint::Rest, "a+b", &["a%2Bb"]),
            (Endpoint::Rest, "a b+c d", &["a%20b%2Bc%20d", "a+b%2Bc+d"]),
            (Endpoint::Rest, "a%20b c", &["a%2520b%20c", "a%2520b+c"]),
            (Endpoint::Rest, "a *", &["a%20%2A", "a+%2A"]),
            (Endpoint::Website, "a b", &["a%20b"]),
            (Endpoint::Website, "a+b", &["a%2Bb", "a+b"]),
            (Endpoint::Website, "a b+c d", &["a%20b%2Bc%20d", "a%20b+c%20d"]),
        ] {
            let spellings = endpoint.spellings(key);
            let found: Vec<String> = spellings.iter().map(|spelling| endpoint.encode(key, *spelling)).collect();
            assert_eq!(found, paths, "{endpoint:?}");
            assert!(found.iter().all(|path| endpoint.decode(path) == key), "{endpoint:?} {found:?}");
        }
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

    #[test]
    fn dot_segments_are_removed_as_a_client_does() {
        for (path, without) in [
            ("a/./b", Some("a/b")),
            ("a/../b", Some("b")),
            ("../a", Some("a")),
            ("a/..", Some("")),
            ("a/b/..", Some("a/")),
            ("a/.", Some("a/")),
            (".", Some("")),
            ("a/b/../../c", Some("c")),
            ("a..b/.c/d.", None),
            ("a//b", None),
        ] {
            assert_eq!(without_dot_segments(path).as_deref(), without, "{path}");
        }
    }
}
