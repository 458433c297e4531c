//! What is told of keys that are not there, where it can be seen what was meant.

use thaw_core::{Facts, KeyReading, ObjectId, Problem, RequestedObject, SecondReading};

use crate::StepError;
use crate::planning::sources::ListPage;
use crate::ports::{ListFrom, ReadArchive};

/// Fails if the first key of a list that can be read in two ways is there only in the way in which the list was not read: then
/// so are the others.
pub(super) async fn refuse_the_other_reading(
    bucket: &str,
    list: &ListPage,
    second: &SecondReading,
    archive: &impl ReadArchive,
) -> Result<(), StepError> {
    let SecondReading { line, asked: RequestedObject { key, version_id }, reading, other } = second;
    let is_there = async |key: &str| -> Result<bool, StepError> {
        let object = ObjectId { bucket: bucket.to_owned(), key: key.to_owned(), version: version_id.clone() };
        Ok(matches!(archive.head(&object).await?, Facts::Found(_)))
    };
    if is_there(key).await? || !is_there(other).await? {
        return Ok(());
    }
    let fix = match reading {
        KeyReading::AsIs => {
            "Keys in JSON, and keys that stand on a line by themselves, are read as they are, and these are URL-encoded. Decode them, or write CSV: bucket,key."
        }
        KeyReading::UrlEncoded => {
            "Keys in CSV are read URL-encoded, and these are not. Write % as %25, + as %2B and a blank as %20, or list one key a line, as it is, in a file whose name ends in .txt."
        }
    };
    let why = format!("the bucket has {other:?}, and not {key:?}. {fix}");
    Err(Problem::manifest(&list.at, Some(*line), why).into())
}

/// None of the keys is there. Nothing of the list is quoted: it may be any text, and who asks may not be allowed to read it.
pub(super) fn no_list_of_keys(list: &ListPage, keys: u64, bucket: &str) -> Problem {
    let why = format!(
        "none of its first {keys} keys is that of an object in bucket {bucket}. Lines without a comma, and texts in JSON, are read as keys, as they are. Check the bucket, and that the file is the list that you mean."
    );
    Problem::manifest(&list.at, None, why)
}

/// The key of the bucket that differs from a missing one only in how accents are written, in words: `é` is one character, or an
/// `e` and an accent. macOS writes file names in the second way, most others in the first.
pub(super) async fn other_spelling(
    missing: &ObjectId,
    archive: &impl ReadArchive,
) -> Result<Option<String>, StepError> {
    let ObjectId { bucket, key, .. } = missing;
    let Some(end) = key.find(|char: char| !char.is_ascii()) else { return Ok(None) };
    // The letter before an accent is another one where they are one character.
    let prefix = &key[..end.saturating_sub(1)];
    let page = archive.list(bucket, prefix, &ListFrom::after("")).await?;
    let Some(listed) = page.objects.iter().find(|listed| is_spelled_otherwise(key, &listed.key)) else {
        return Ok(None);
    };
    let (asked, there) = if key.chars().count() < listed.key.chars().count() {
        ("composed characters (NFC)", "letters and accents (NFD)")
    } else {
        ("letters and accents (NFD)", "composed characters (NFC)")
    };
    Ok(Some(format!(
        "The bucket has a key that looks the same, {}: it is written in {there}, and this one in {asked}",
        escaped(&listed.key)
    )))
}

/// A key with an escape for each character that is not ASCII, so that two spellings can be told apart.
fn escaped(key: &str) -> String {
    let escape = |char: char| if char.is_ascii() { char.to_string() } else { char.escape_unicode().to_string() };
    format!("\"{}\"", key.chars().map(escape).collect::<String>())
}

/// Whether two keys are the same but for characters that one of them writes as a letter and its marks. Of which letter a
/// composed character is made is not looked up: it is a hint.
fn is_spelled_otherwise(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (mut at, mut beside, mut differs) = (0, 0, false);
    while at < one.len() && beside < other.len() {
        let (marks, marks_beside) = (parts(&one[at..]), parts(&other[beside..]));
        match (marks, marks_beside) {
            _ if one[at] == other[beside] && marks == marks_beside => (at, beside) = (at + 1, beside + 1),
            (1, more @ 2..) if !one[at].is_ascii() => (at, beside, differs) = (at + 1, beside + more, true),
            (more @ 2.., 1) if !other[beside].is_ascii() => (at, beside, differs) = (at + more, beside + 1, true),
            _ => return false,
        }
    }
    differs && at == one.len() && beside == other.len()
}

/// How many characters a letter has with its marks: accents, the marks of kana, the parts of a Hangul syllable.
fn parts(chars: &[char]) -> usize {
    let is_mark =
        |char: &&char| matches!(char, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}' | '\u{1160}'..='\u{11ff}');
    1 + chars.iter().skip(1).take_while(is_mark).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_but_for_how_its_accents_are_written() {
        for (one, other) in [
            ("caf\u{e9}.jpg", "cafe\u{301}.jpg"),
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
            ("\u{30ac}", "\u{30ab}\u{3099}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            ("\u{1ec7}", "e\u{323}\u{302}"),
        ] {
            assert!(is_spelled_otherwise(one, other) && is_spelled_otherwise(other, one), "{one:?} {other:?}");
        }
        for (one, other) in [
            ("a", "a"),
            ("e\u{301}", "e\u{301}"),
            ("\u{e9}", "\u{e8}"),
            ("e", "e\u{301}"),
            ("\u{e9}", ""),
            ("\u{e9}a", "e\u{301}b"),
        ] {
            assert!(!is_spelled_otherwise(one, other), "{one:?} {other:?}");
        }
    }
}
