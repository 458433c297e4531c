//! Viewer paths: which key they mean, which behaviour serves them, which invalidation covers them.

use crate::model::glob;

/// The key that an S3 origin with this domain is asked for: the origin path and the viewer path, decoded.
///
/// The REST endpoint takes a `+` for a blank, the website endpoint takes it for itself: see `spellings.rs`.
pub fn to_key(domain_name: &str, origin_path: &str, path: &str) -> String {
    let whole = format!("{origin_path}{path}");
    let whole = whole.strip_prefix('/').unwrap_or(&whole);
    if domain_name.contains(".s3-website") { decode(whole) } else { decode(&whole.replace('+', " ")) }
}

/// Takes percent-encoding off; what is no encoding stays.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(16 * digit(*high) + digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        b'a'..=b'f' => hex - b'a' + 10,
        _ => hex.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Does a behaviour's pattern mean this path? The leading `/` may be left out of a pattern; case matters.
pub(crate) fn matches_pattern(pattern: &str, path: &str) -> bool {
    glob(pattern.strip_prefix('/').unwrap_or(pattern), path.strip_prefix('/').unwrap_or(path))
}

/// Does an item of an invalidation cover this path? Compared as the viewer encoded it, case-sensitively;
/// `*` is a wildcard only as the last character (Developer Guide, "Specify what to invalidate").
pub(crate) fn covers(item: &str, path: &str) -> bool {
    match item.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => item == path,
    }
}

/// Can CloudFront take this item? A path begins with `/`, has at most 4,000 characters, and encodes what RFC 1738
/// calls unsafe; `#` begins a cache tag. A `~` works neither plain nor encoded: plain it is refused here.
pub(crate) fn is_valid_item(item: &str) -> bool {
    const LONGEST: usize = 4_000;
    const UNSAFE: [char; 14] = ['<', '>', '"', '#', '{', '}', '|', '\\', '^', '~', '[', ']', '`', ' '];
    if item.len() > LONGEST {
        return false;
    }
    match item.strip_prefix('#') {
        Some(tag) => !tag.is_empty() && tag.chars().all(|c| c.is_ascii_graphic() && c != ',' && c != '*'),
        None => item.starts_with('/') && item.chars().all(|c| c.is_ascii_graphic() && !UNSAFE.contains(&c)),
    }
}

/// A path with a `~` in it, however it is written, is never invalidated by its own name.
pub(crate) fn names_tilde(item: &str) -> bool {
    !item.ends_with('*') && decode(item).contains('~')
}
