//! The path patterns of cache behaviours, compared as CloudFront does.

use percent_encoding::percent_decode_str;

use crate::path::without_dot_segments;

/// The forms of a path, or of the beginning of a path, that CloudFront may compare with patterns. `path` is encoded and
/// has no leading slash. Whether CloudFront compares before or after decoding is not documented, so both are returned.
/// Dot segments are removed first (Developer Guide, "Path pattern").
pub(crate) fn as_patterns_may_see(path: &str) -> Vec<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut seen = vec![path.to_owned()];
    seen.extend(Some(decoded).filter(|decoded| decoded != path));
    let without: Vec<String> = seen.iter().filter_map(|path| without_dot_segments(path)).collect();
    seen.extend(without);
    seen
}

/// Whether a pattern of CloudFront's, or of IAM's, matches a text: `*` is any bytes, `?` any one. It backtracks to the last
/// `*` only, so that no pattern takes exponential time.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while s < path.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            star = Some((p, s));
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == path[s]) {
            p += 1;
            s += 1;
        } else if let Some((after, matched)) = &mut star {
            *matched += 1;
            (p, s) = (*after, *matched);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many of the paths under a prefix a pattern matches.
pub(crate) enum Under {
    Nothing,
    Something,
    Everything,
}

/// How many of the paths that begin with `prefix` a pattern matches. `Everything` is returned only if the rest of the
/// pattern is `*`: a pattern that matches everything in another way counts as `Something`.
pub(crate) fn under(pattern: &str, prefix: &str) -> Under {
    let pattern = pattern.as_bytes();
    // The positions in the pattern that the bytes read so far can reach. From each of them some path matches the rest.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    let skip_stars = |places: &mut Vec<bool>| {
        for place in 0..pattern.len() {
            places[place + 1] |= places[place] && pattern[place] == b'*';
        }
    };
    skip_stars(&mut places);
    for byte in prefix.bytes() {
        let mut next = vec![false; pattern.len() + 1];
        for place in (0..pattern.len()).filter(|place| places[*place]) {
            match pattern[place] {
                b'*' => next[place] = true,
                b'?' => next[place + 1] = true,
                literal => next[place + 1] |= literal == byte,
            }
        }
        skip_stars(&mut next);
        places = next;
    }
    let is_all = |place: usize| place < pattern.len() && pattern[place..].iter().all(|byte| *byte == b'*');
    let reached: Vec<usize> = (0..=pattern.len()).filter(|place| places[*place]).collect();
    if reached.is_empty() {
        Under::Nothing
    } else if reached.into_iter().any(is_all) {
        Under::Everything
    } else {
        Under::Something
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_cloudfront_says() {
        for (pattern, path, expect) in [
            ("*", "", true),
            ("*.jpg", "a/b.jpg", true),
            ("*.jpg", "a/b.JPG", false),
            ("a/*/c", "a/x/y/c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**a**", "bab", true),
            ("a*b*c", "axxbxx", false),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_matches_nothing_something_or_everything_under_a_folder() {
        for (pattern, prefix, matched) in [
            ("*", "/a/", "everything"),
            ("/a/*", "/a/", "everything"),
            ("/a/**", "/a/", "everything"),
            ("/?/*", "/a/", "everything"),
            ("/a*/*", "/a/", "everything"),
            ("*/*", "/a/", "everything"),
            ("/a/?", "/a/", "something"),
            ("/a/?*", "/a/", "something"),
            ("/a/b*", "/a/", "something"),
            ("*.jpg", "/a/", "something"),
            ("/a/", "/a/", "something"),
            ("/a", "/a/", "nothing"),
            ("/b/*", "/a/", "nothing"),
        ] {
            let found = match under(pattern, prefix) {
                Under::Nothing => "nothing",
                Under::Something => "something",
                Under::Everything => "everything",
            };
            assert_eq!(found, matched, "{pattern} under {prefix}");
        }
    }
}
