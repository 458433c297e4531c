//! Patterns over keys.

use serde::{Deserialize, Serialize};

/// Bytes of a pattern: as many as of a key.
pub(crate) const MAX_PATTERN_BYTES: usize = 1_024;

/// A pattern over keys, by the rules that `.gitignore` has for files.
///
/// | pattern | matches |
/// |---|---|
/// | `*` | any characters of one segment, also none: never a `/` |
/// | `**` | any characters; `**/` at the beginning or after a `/` is any folders, also none |
/// | `?` | one character, not `/` |
/// | `[a-z_]`, `[!a-z]` | one character of these, or not of these, and never `/` |
/// | `\*` | the character itself |
///
/// A pattern without `/` is about the last segment of a key: `*.jpg` is every such file, in whatever folder. One with a `/`
/// at its beginning or in its middle is about the whole key, from its first character: `2019/*.jpg`, or `/*.jpg` for those
/// in no folder. (A key that itself begins with `/` has two there.) One that ends in `/` is about all that lies in such a
/// folder: `tmp/` wherever the folder is, `/tmp/` only at the beginning.
///
/// The whole segment or key must match, and case counts. Other patterns of other tools are refused rather than taken
/// for characters: `{jpg,png}` is two patterns here, and `!` is what `exclude` is for.
///
/// A match takes at most as many steps as the key has characters times the pattern, whatever both are.
///
/// ```
/// use thaw_core::Glob;
/// let glob = Glob::try_from("2019/**/*.jpg".to_owned()).unwrap();
/// assert!(glob.matches("2019/cat.jpg") && glob.matches("2019/07/cat.jpg"));
/// assert!(!glob.matches("2018/cat.jpg") && !glob.matches("2019/cat.jpg.tmp"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
    about: About,
}

/// A pattern that says nothing, or something that thaw does not know. Its text is the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a pattern over keys: {0}")]
pub struct InvalidGlob(String);

/// What is held against a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Key,
    LastSegment,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Char(char),
    /// `?`
    AnyChar,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    InSegment,
    /// `**`
    Across,
    /// Before `**` and `/`: both may be left out.
    PerhapsFolders,
}

impl Glob {
    /// Whether it matches a key.
    pub fn matches(&self, key: &str) -> bool {
        let text = match self.about {
            About::Key => key,
            About::LastSegment => key.rsplit_once('/').map_or(key, |(_, segment)| segment),
        };
        // All places of the pattern that can be reached are gone through at once: going through them one after the other
        // takes a time that grows with the power of the stars.
        let mut now = Places::none(&self.parts);
        let mut next = Places::none(&self.parts);
        now.readability(0, &self.parts);
        for char in text.chars() {
            for &place in &now.reached {
                match self.parts.get(place) {
                    None | Some(Part::PerhapsFolders) => {}
                    Some(Part::Across) => next.readability(place, &self.parts),
                    Some(Part::InSegment) if char != '/' => next.readability(place, &self.parts),
                    Some(part) if part.takes(char) => next.readability(place + 1, &self.parts),
                    Some(Part::InSegment | Part::Char(_) | Part::AnyChar | Part::Class { .. }) => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
        }
        now.is[self.parts.len()]
    }
}

impl Part {
    /// Whether it stands for this one character.
    fn takes(&self, char: char) -> bool {
        match self {
            Self::Char(this) => *this == char,
            Self::AnyChar => char != '/',
            Self::Class { negated, ranges } => {
                let among = ranges.iter().any(|(first, last)| (first..=last).contains(&&char));
                char != '/' && among != *negated
            }
            Self::InSegment | Self::Across | Self::PerhapsFolders => false,
        }
    }
}

/// Places before a part of a pattern, or at its end.
struct Places {
    reached: Vec<usize>,
    is: Vec<bool>,
}

impl Places {
    fn none(parts: &[Part]) -> Self {
        Self { reached: Vec::new(), is: vec![false; parts.len() + 1] }
    }

    fn clear(&mut self) {
        for place in self.reached.drain(..) {
            self.is[place] = false;
        }
    }

    /// A place, and those beyond it that are reached without a character.
    fn readability(&mut self, place: usize, parts: &[Part]) {
        if std::mem::replace(&mut self.is[place], true) {
            return;
        }
        self.reached.push(place);
        match parts.get(place) {
            Some(Part::InSegment | Part::Across) => self.readability(place + 1, parts),
            Some(Part::PerhapsFolders) => {
                self.readability(place + 1, parts);
                self.readability(place + 3, parts);
            }
            None | Some(Part::Char(_) | Part::AnyChar | Part::Class { .. }) => {}
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = InvalidGlob;

    fn try_from(text: String) -> Result<Self, InvalidGlob> {
        if !(1..=MAX_PATTERN_BYTES).contains(&text.len()) {
            return Err(because(format!("it has 1 to {MAX_PATTERN_BYTES} bytes.")));
        }
        if text.starts_with('!') {
            return Err(because("list it under exclude, without its !. For a key that begins with one, write \\!."));
        }
        let mut parts = parse(&text)?;
        let folder = parts.last() == Some(&Part::Char('/'));
        let from_the_beginning = parts[..parts.len() - 1].contains(&Part::Char('/'));
        if parts.first() == Some(&Part::Char('/')) {
            parts.remove(0);
        }
        if parts.is_empty() {
            return Err(because("/ alone names nothing. For everything, leave it out."));
        }
        if folder {
            parts.push(Part::Across);
            if !from_the_beginning {
                parts.splice(0..0, [Part::PerhapsFolders, Part::Across, Part::Char('/')]);
            }
        }
        let about = if folder || from_the_beginning { About::Key } else { About::LastSegment };
        Ok(Self { text, parts, about })
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.text
    }
}

fn because(why: impl Into<String>) -> InvalidGlob {
    InvalidGlob(why.into())
}

/// At least one part, for a text that is not empty.
fn parse(text: &str) -> Result<Vec<Part>, InvalidGlob> {
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => parts.push(Part::Char(escaped(&mut chars)?)),
            '?' => parts.push(Part::AnyChar),
            '[' => parts.push(class(&mut chars)?),
            '{' | '}' => {
                return Err(because(format!(
                    "send one pattern for each of the words in braces. For the character itself, write \\{char}."
                )));
            }
            '*' => {
                let mut across = false;
                while chars.next_if_eq(&'*').is_some() {
                    across = true;
                }
                let begins_a_segment = matches!(parts.last(), None | Some(Part::Char('/')));
                if across && begins_a_segment && chars.peek() == Some(&'/') {
                    parts.push(Part::PerhapsFolders);
                }
                parts.push(if across { Part::Across } else { Part::InSegment });
            }
            char => parts.push(Part::Char(char)),
        }
    }
    Ok(parts)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn escaped(chars: &mut Chars<'_>) -> Result<char, InvalidGlob> {
    chars.next().ok_or_else(|| because("it ends in a \\ that is before nothing. For the character itself, write \\\\."))
}

/// What follows a `[`. A `]` that comes first is one of the characters.
fn class(chars: &mut Chars<'_>) -> Result<Part, InvalidGlob> {
    let negated = chars.next_if(|&char| char == '!' || char == '^').is_some();
    let mut ranges = Vec::new();
    loop {
        let open = || because("a [ is never closed. For the character itself, write \\[.");
        let first = match chars.next().ok_or_else(open)? {
            ']' if !ranges.is_empty() => return Ok(Part::Class { negated, ranges }),
            '[' if chars.peek() == Some(&':') => {
                return Err(because("write the characters of a named class out, such as [0-9] for [[:digit:]]."));
            }
            '\\' => escaped(chars)?,
            char => char,
        };
        let mut beyond = chars.clone();
        let is_range = beyond.next() == Some('-') && beyond.next().is_some_and(|char| char != ']');
        let last = if is_range {
            chars.next();
            match chars.next().ok_or_else(open)? {
                '\\' => escaped(chars)?,
                char => char,
            }
        } else {
            first
        };
        if last < first {
            return Err(because(format!("the range {first}-{last} is empty. Turn it round.")));
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::try_from(text.to_owned()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[track_caller]
    fn check(text: &str, matches: &[&str], others: &[&str]) {
        let glob = glob(text);
        for key in matches {
            assert!(glob.matches(key), "{text} does not match {key}");
        }
        for key in others {
            assert!(!glob.matches(key), "{text} matches {key}");
        }
    }

    #[test]
    fn a_bracket_may_be_one_of_the_characters() {
        check("[[a]x", &["[x", "ax"], &["x", ":x"]);
        check("[[]", &["["], &["[]"]);
        assert!(Glob::try_from("[[:digit:]]".to_owned()).unwrap_err().to_string().contains("[0-9]"));
    }

    #[test]
    fn without_a_slash_it_is_about_the_last_segment() {
        check(
            "*.jpg",
            &["a.jpg", ".jpg", "2019/a.jpg", "/a.jpg", "a.jpg/b.jpg"],
            &["a.jpeg", "a.jpg/b", "a.jpg/", "A.JPG"],
        );
        check("cat", &["cat", "a/b/cat"], &["cats", "tomcat", "cat/a"]);
        check("*", &["a", "a/b", "a/", ""], &[]);
        check("**", &["a", "a/b"], &[]);
    }

    #[test]
    fn with_a_slash_it_is_about_the_whole_key() {
        check("2019/*.jpg", &["2019/a.jpg"], &["old/2019/a.jpg", "2019/07/a.jpg", "2019/a.jpg/"]);
        check("/*.jpg", &["a.jpg"], &["2019/a.jpg", "/a.jpg"]);
        check("//*.jpg", &["/a.jpg"], &["a.jpg", "b/a.jpg"]);
        check("a/b", &["a/b"], &["a/b/c", "x/a/b", "a//b"]);
        check("a\\/b", &["a/b"], &["c/a/b"]);
    }

    #[test]
    fn with_a_slash_at_its_end_it_is_about_a_folder() {
        check("tmp/", &["tmp/a", "tmp/", "a/tmp/b/c"], &["tmp", "atmp/a", "a/tmp"]);
        check("/tmp/", &["tmp/a", "tmp/b/c"], &["a/tmp/b", "/tmp/a"]);
        check("a/*/", &["a/b/c", "a/b/"], &["a/b", "x/a/b/c"]);
        check("//", &["/a", "/"], &["a", "a/"]);
    }

    #[test]
    fn two_stars_go_across_folders_also_none() {
        check("2019/**", &["2019/a", "2019/b/c", "2019/"], &["2019", "12019/a"]);
        check("**/cat", &["cat", "a/cat", "a/b/cat", "/cat"], &["tomcat", "a/tomcat"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z", "a//z"], &["az", "a/bz", "b/a/z"]);
        check("a/**/**/z", &["a/z", "a/b/z"], &["a/bz"]);
        check("a/b**z/c", &["a/bz/c", "a/b/x/z/c"], &["a/b/c"]);
        check("a**/z", &["a/z", "ab/z", "a/b/z"], &["az"]);
        check("a/***", &["a/b/c"], &["b"]);
    }

    #[test]
    fn a_question_mark_is_one_character_whatever_its_bytes() {
        check("?.jpg", &["a.jpg", "ü.jpg", "日.jpg", "a/?.jpg"], &["ab.jpg", ".jpg", "u\u{308}.jpg"]);
        check("a/?", &["a/b"], &["a//", "a/"]);
    }

    #[test]
    fn a_class_is_one_character_of_it_and_no_slash() {
        check("[a-c_]x", &["ax", "cx", "_x"], &["dx", "-x", "x", "abx"]);
        check("[!a-c]x", &["dx", "ax/dx"], &["ax", "x"]);
        check("[^a]", &["b"], &["a"]);
        check("a[!x]b/c", &["aub/c"], &["axb/c", "a/b/c"]);
        check("a[/]b/c", &[], &["a/b/c"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[!]a]", &["b"], &["]", "a"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[\\]-a]", &["]", "^", "a"], &["b", "-"]);
        check("[ä-ü]", &["ö"], &["o"]);
        check("[{}!]", &["{", "}", "!"], &["a"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_from_what_follows() {
        check("\\*\\?\\[\\{\\}\\\\", &["*?[{}\\"], &["a?[{}\\"]);
        check("\\!a", &["!a"], &["a"]);
        check("a!", &["a!"], &["a"]);
    }

    #[test]
    fn what_says_nothing_or_something_of_another_tool_is_refused() {
        for (text, fix) in [
            ("", "1 to 1024 bytes"),
            (&*"a".repeat(1_025), "1 to 1024 bytes"),
            ("!a", "under exclude"),
            ("/", "names nothing"),
            ("*.{jpg,png}", "one pattern for each"),
            ("a}", "write \\}"),
            ("[a", "never closed"),
            ("[]", "never closed"),
            ("[!", "never closed"),
            ("[a-", "never closed"),
            ("[z-a]", "z-a is empty"),
            ("[[:digit:]]", "[0-9] for"),
            ("a\\", "before nothing"),
            ("[a\\", "before nothing"),
            ("[a-\\", "before nothing"),
        ] {
            let error = Glob::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(error.contains(fix), "{text}: {error}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_like_any_other() {
        let stars = format!("{}b", "*a".repeat(511));
        check(&stars, &[], &[&"a".repeat(1_024)]);
        let folders = format!("{}b", "**/".repeat(341));
        check(&folders, &[&format!("{}b", "/".repeat(1_023))], &[&"/".repeat(1_024)]);
    }

    #[test]
    fn it_is_kept_as_its_text() {
        let kept = serde_json::to_string(&glob("a/**/[!b]\\*")).unwrap();
        assert_eq!(kept, r#""a/**/[!b]\\*""#);
        assert_eq!(serde_json::from_str::<Glob>(&kept).unwrap(), glob("a/**/[!b]\\*"));
        assert!(serde_json::from_str::<Glob>(r#""{a}""#).is_err());
    }
}
