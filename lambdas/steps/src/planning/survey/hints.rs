//! Hints for keys that the bucket does not have, where it can be found out what was meant.

use thaw_core::{Facts, KeyReading, ObjectId, Problem, RequestedObject, SecondReading};

use crate::StepError;
use crate::planning::sources::ListPage;
use crate::ports::{ListFrom, ReadArchive};

/// Fails if the first key of a list that has two readings exists in the bucket only under the other reading. Then the
/// whole list was written for the other reading.
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

/// The problem for a list of which no key exists. Nothing of the list is quoted, because it may be any text, and the
/// caller may not be allowed to read it.
pub(super) fn no_list_of_keys(list: &ListPage, keys: u64, bucket: &str) -> Problem {
    let why = format!(
        "none of its first {keys} keys is that of an object in bucket {bucket}. Lines without a comma, and texts in JSON, are read as keys, as they are. Check the bucket, and that the file is the list that you mean."
    );
    Problem::manifest(&list.at, None, why)
}

/// A sentence about a key of the bucket that differs from the missing key only in its Unicode normalisation; `None` if
/// there is no such key. `é` is one character (NFC), or an `e` and an accent (NFD). macOS writes file names in NFD,
/// most other systems in NFC.
pub(super) async fn other_spelling(
    missing: &ObjectId,
    archive: &impl ReadArchive,
) -> Result<Option<String>, StepError> {
    let ObjectId { bucket, key, .. } = missing;
    let Some(end) = key.find(|char: char| !char.is_ascii()) else { return Ok(None) };
    // The letter before the first accent is left out, because in NFC both are one character.
    let prefix = &key[..end.saturating_sub(1)];
    let page = archive.list(bucket, prefix, &ListFrom::after("")).await?;
    let Some(listed) = page.objects.iter().find(|listed| differs_in_normal_form(key, &listed.key)) else {
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

/// A key with each character outside of ASCII escaped, so that two normal forms can be distinguished.
fn escaped(key: &str) -> String {
    let escape = |char: char| if char.is_ascii() { char.to_string() } else { char.escape_unicode().to_string() };
    format!("\"{}\"", key.chars().map(escape).collect::<String>())
}

/// Whether two keys are equal except for characters that one of them writes as a letter and its marks. It does not
/// check that the letter and the marks are those of the composed character, because the result is only a hint.
fn differs_in_normal_form(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (mut at, mut at_other, mut differs) = (0, 0, false);
    while at < one.len() && at_other < other.len() {
        let (marks, marks_other) = (parts(&one[at..]), parts(&other[at_other..]));
        match (marks, marks_other) {
            _ if one[at] == other[at_other] && marks == marks_other => (at, at_other) = (at + 1, at_other + 1),
            (1, more @ 2..) if !one[at].is_ascii() => (at, at_other, differs) = (at + 1, at_other + more, true),
            (more @ 2.., 1) if !other[at_other].is_ascii() => (at, at_other, differs) = (at + more, at_other + 1, true),
            _ => return false,
        }
    }
    differs && at == one.len() && at_other == other.len()
}

/// The number of characters of a letter with its marks: accents, voicing marks of kana, parts of a Hangul syllable.
fn parts(chars: &[char]) -> usize {
    let is_mark =
        |char: &&char| matches!(char, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}' | '\u{1160}'..='\u{11ff}');
    1 + chars.iter().skip(1).take_while(is_mark).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_only_in_their_normal_form_are_found() {
        for (one, other) in [
            ("caf\u{e9}.jpg", "cafe\u{301}.jpg"),
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
            ("\u{30ac}", "\u{30ab}\u{3099}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            ("\u{1ec7}", "e\u{323}\u{302}"),
        ] {
            assert!(differs_in_normal_form(one, other) && differs_in_normal_form(other, one), "{one:?} {other:?}");
        }
        for (one, other) in [
            ("a", "a"),
            ("e\u{301}", "e\u{301}"),
            ("\u{e9}", "\u{e8}"),
            ("e", "e\u{301}"),
            ("\u{e9}", ""),
            ("\u{e9}a", "e\u{301}b"),
        ] {
            assert!(!differs_in_normal_form(one, other), "{one:?} {other:?}");
        }
    }
}
