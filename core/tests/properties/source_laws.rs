//! Laws for patterns, manifests and inventories. The property tests here and the targets in `fuzz/` call them.

use std::io::Write;

use serde_json::json;
use thaw_core::{Glob, Inventory, ManifestReader, Problem, Request, RequestedObject, S3Uri, first_bucket};

/// The most bytes of an answer, which never repeats a large input.
const ANSWER_BYTES: usize = 2_048;

/// A pattern is refused with a short message, or it survives serialisation unchanged and matches by its rules, which
/// [`slowly`] implements with backtracking.
pub fn glob(pattern: &str, key: &str) {
    let glob = match Glob::try_from(pattern.to_owned()) {
        Ok(glob) => glob,
        Err(error) => return assert!(error.to_string().len() <= 256, "{error}"),
    };
    let kept = serde_json::to_string(&glob).unwrap();
    assert_eq!(serde_json::from_str::<Glob>(&kept).unwrap(), glob);
    assert_eq!(String::from(glob.clone()), pattern);
    let matches = glob.matches(key);
    // Backtracking takes a time that is exponential in the number of stars. It supports neither classes nor escapes.
    if pattern.len() <= 16 && key.len() <= 16 && !pattern.contains(['[', '\\']) {
        assert_eq!(matches, slowly(pattern, key), "{pattern:?} {key:?}");
    }
}

fn slowly(pattern: &str, key: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let (pattern, folder) = match pattern.strip_suffix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (from_the_beginning, pattern) = (pattern.contains('/'), pattern.strip_prefix('/').unwrap_or(pattern));
    let (pattern, text) = match (from_the_beginning, folder) {
        (true, true) => (format!("{pattern}/**"), key),
        (false, true) => (format!("**/{pattern}/**"), key),
        (true, false) => (pattern.to_owned(), key),
        (false, false) => (pattern.to_owned(), key.rsplit('/').next().unwrap()),
    };
    holds(&chars(&pattern), &chars(text), true)
}

/// Whether a pattern of characters and stars matches the whole text. `fresh`: a segment of the pattern begins here.
fn holds(pattern: &[char], text: &[char], fresh: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = &rest[rest.iter().take_while(|char| **char == '*').count()..];
            (fresh && rest.first() == Some(&'/') && holds(&rest[1..], text, true))
                || (0..=text.len()).any(|end| holds(rest, &text[end..], false))
        }
        ['*', rest @ ..] => (0..=text.len()).any(|end| !text[..end].contains(&'/') && holds(rest, &text[end..], false)),
        ['?', rest @ ..] => text.first().is_some_and(|char| *char != '/') && holds(rest, &text[1..], false),
        [char, rest @ ..] => text.first() == Some(char) && holds(rest, &text[1..], *char == '/'),
    }
}

/// A manifest has objects that a request could name, up to its end or to a short problem. The sizes of the pieces in
/// which it is read change nothing.
pub fn manifest(bytes: &[u8], pieces_of: usize) -> (Vec<RequestedObject>, Option<Problem>) {
    list(bytes, "2019.csv", pieces_of)
}

/// The same of a file with this name.
pub fn list(bytes: &[u8], name: &str, pieces_of: usize) -> (Vec<RequestedObject>, Option<Problem>) {
    let at = S3Uri::parse(&format!("s3://lists/{name}")).unwrap();
    let read = read(&at, &mut [bytes].into_iter());
    assert_eq!(read, self::read(&at, &mut bytes.chunks(pieces_of.max(1))), "pieces of {pieces_of} bytes");
    assert_eq!(read, self::read(&at, &mut bytes.chunks(1)), "bytes one by one");
    assert_eq!(read, read_by_many(&at, bytes, pieces_of.max(1)), "each {pieces_of} bytes by a reader of their own");
    let (objects, problem) = &read;
    for object in objects {
        let request = Request::parse(&json!({"bucket": "archive", "keys": [object]}));
        assert!(request.is_ok(), "{object:?}: {request:?}");
    }
    if !objects.is_empty() {
        // A door that was not told the bucket learns it, or that nobody says it; if it need not look too far.
        match first_bucket(&at, bytes, false, &["archive".to_owned()]) {
            Ok(bucket) => assert!(bucket.is_none_or(|bucket| bucket == "archive")),
            Err(problem) => assert!(problem.detail.contains("at its beginning"), "{problem}"),
        }
    }
    match problem {
        Some(problem) => {
            let is_whole = problem.detail.contains("names no object");
            assert!(is_whole && objects.is_empty() || problem.detail.contains(", line "), "{problem}");
            is_short(problem);
        }
        None => assert!(!objects.is_empty(), "a restore of nothing"),
    }
    read
}

fn is_short(problem: &Problem) {
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("manifest")));
    let answer = serde_json::to_string(problem).unwrap();
    assert!(answer.len() <= ANSWER_BYTES, "an answer of {} bytes", answer.len());
}

/// All that comes before a problem, and the problem, which stays the same.
fn read(at: &S3Uri, pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<RequestedObject>, Option<Problem>) {
    let mut reader = ManifestReader::new(at.clone(), "archive");
    let (mut all, mut first) = (Vec::new(), None);
    let mut take = |next: Result<RequestedObject, Problem>| match next {
        Ok(object) => {
            assert_eq!(first, None, "{object:?} comes after a problem");
            all.push(object);
        }
        Err(problem) => assert_eq!(first.get_or_insert_with(|| problem.clone()), &problem),
    };
    for piece in pieces {
        reader.push(piece).for_each(&mut take);
    }
    if let Some(last) = reader.finish().transpose() {
        take(last);
    }
    (all, first)
}

/// The same by readers of which each reads no further than the next line, and hands over its place.
fn read_by_many(at: &S3Uri, bytes: &[u8], pieces_of: usize) -> (Vec<RequestedObject>, Option<Problem>) {
    let reader = || ManifestReader::new(at.clone(), "archive");
    let mut place = reader().place();
    let mut all = Vec::new();
    loop {
        let rest = &bytes[usize::try_from(place.first_byte()).unwrap()..];
        let mut reader = reader().from(place.clone());
        let mut pieces = rest.chunks(pieces_of);
        let is_last = loop {
            let Some(piece) = pieces.next() else { break true };
            for next in reader.push(piece) {
                match next {
                    Ok(object) => all.push(object),
                    Err(problem) => return (all, Some(problem)),
                }
            }
            if !reader.is_before_its_place() && reader.place() != place {
                break false;
            }
        };
        if is_last {
            return match reader.finish() {
                Ok(last) => (all.into_iter().chain(last).collect(), None),
                Err(problem) => (all, Some(problem)),
            };
        }
        let kept = serde_json::to_string(&reader.place()).unwrap();
        place = serde_json::from_str(&kept).unwrap();
    }
}

/// A `manifest.json` is refused with a short problem, or it names files in its own bucket.
pub fn inventory(bytes: &[u8]) {
    let at = S3Uri::parse("s3://lists/inventory/manifest.json").unwrap();
    match Inventory::parse(&at, "archive", bytes) {
        Err(problem) => is_short(&problem),
        Ok(inventory) => {
            assert!(!inventory.files.is_empty(), "a restore of nothing");
            for file in &inventory.files {
                assert!(file.at.bucket == at.bucket && (1..=1_024).contains(&file.at.key.len()), "{:?}", file.at);
                assert_eq!(inventory.reader(file).finish(), Ok(None));
            }
        }
    }
}

/// In UTF-16 with a byte order mark, as some editors and shells save it.
pub fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// As the tool of this name packs it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
