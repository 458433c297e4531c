//! Patterns over keys ([`Glob`]), in the syntax of `.gitignore`, with a matcher whose time is bounded for every pattern.

use serde::{Deserialize, Serialize};

/// The most bytes of a pattern: the same as of a key.
pub(crate) const MAX_PATTERN_BYTES: usize = 1_024;

/// A pattern over keys, with the rules of `.gitignore` for files.
///
/// | pattern | matches |
/// |---|---|
/// | `*` | any characters within one segment, or none; never a `/` |
/// | `**` | any characters; `**/` at the beginning or after a `/` matches any folders, or none |
/// | `?` | one character except `/` |
/// | `[a-z_]`, `[!a-z]` | one of these characters, or one other character; never `/` |
/// | `\*` | the character itself |
///
/// A pattern without `/` applies to the last segment of a key: `*.jpg` matches such files in every folder. A pattern with
/// a `/` at its beginning or in its middle applies to the whole key: `2019/*.jpg`, or `/*.jpg` for files in no folder.
/// (For a key that itself begins with `/`, the pattern begins with `//`.) A pattern that ends in `/` matches all keys in
/// such a folder: `tmp/` anywhere, `/tmp/` only at the beginning of the key.
///
/// The whole segment or key must match, and case matters. Syntax of other tools is refused, and not matched literally:
/// `{jpg,png}` has to be two patterns, and `exclude` replaces `!`.
///
/// A match takes at most (length of the key) × (length of the pattern) steps.
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
    scope: Scope,
}

/// A pattern that is empty or has unknown syntax. The text says how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a pattern over keys: {0}")]
pub struct InvalidGlob(String);

/// The part of a key to which a pattern applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
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
    /// Stands before `**` and `/`, which may both match nothing.
    OptionalFolders,
}

impl Glob {
    /// Whether it matches a key.
    pub fn matches(&self, key: &str) -> bool {
        let text = match self.scope {
            Scope::Key => key,
            Scope::LastSegment => key.rsplit_once('/').map_or(key, |(_, segment)| segment),
        };
        // This simulates an automaton: it keeps all positions in the pattern that are possible after each character.
        // Trying them one after the other (backtracking) takes a time that is exponential in the number of stars.
        let mut current = Positions::none(&self.parts);
        let mut next = Positions::none(&self.parts);
        current.add(0, &self.parts);
        for char in text.chars() {
            for &position in &current.list {
                match self.parts.get(position) {
                    None | Some(Part::OptionalFolders) => {}
                    Some(Part::Across) => next.add(position, &self.parts),
                    Some(Part::InSegment) if char != '/' => next.add(position, &self.parts),
                    Some(part) if part.matches(char) => next.add(position + 1, &self.parts),
                    Some(Part::InSegment | Part::Char(_) | Part::AnyChar | Part::Class { .. }) => {}
                }
            }
            std::mem::swap(&mut current, &mut next);
            next.clear();
        }
        current.contains[self.parts.len()]
    }
}

impl Part {
    /// Whether it is a part for one character, and matches this one.
    fn matches(&self, char: char) -> bool {
        match self {
            Self::Char(this) => *this == char,
            Self::AnyChar => char != '/',
            Self::Class { negated, ranges } => {
                let in_ranges = ranges.iter().any(|(first, last)| (first..=last).contains(&&char));
                char != '/' && in_ranges != *negated
            }
            Self::InSegment | Self::Across | Self::OptionalFolders => false,
        }
    }
}

/// A set of positions in a pattern. A position is the index of the next part; the number of parts is the end.
struct Positions {
    list: Vec<usize>,
    contains: Vec<bool>,
}

impl Positions {
    fn none(parts: &[Part]) -> Self {
        Self { list: Vec::new(), contains: vec![false; parts.len() + 1] }
    }

    fn clear(&mut self) {
        for position in self.list.drain(..) {
            self.contains[position] = false;
        }
    }

    /// Adds a position, and all positions that are possible after it without another character.
    fn add(&mut self, position: usize, parts: &[Part]) {
        if std::mem::replace(&mut self.contains[position], true) {
            return;
        }
        self.list.push(position);
        match parts.get(position) {
            Some(Part::InSegment | Part::Across) => self.add(position + 1, parts),
            Some(Part::OptionalFolders) => {
                self.add(position + 1, parts);
                // Without folders: after the `**` and the `/`.
                self.add(position + 3, parts);
            }
            None | Some(Part::Char(_) | Part::AnyChar | Part::Class { .. }) => {}
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = InvalidGlob;

    fn try_from(text: String) -> Result<Self, InvalidGlob> {
        if !(1..=MAX_PATTERN_BYTES).contains(&text.len()) {
            return Err(invalid(format!("it has 1 to {MAX_PATTERN_BYTES} bytes.")));
        }
        if text.starts_with('!') {
            return Err(invalid("list it under exclude, without its !. For a key that begins with one, write \\!."));
        }
        let mut parts = parse(&text)?;
        let is_folder = parts.last() == Some(&Part::Char('/'));
        let is_anchored = parts[..parts.len() - 1].contains(&Part::Char('/'));
        if parts.first() == Some(&Part::Char('/')) {
            parts.remove(0);
        }
        if parts.is_empty() {
            return Err(invalid("/ alone names nothing. For everything, leave it out."));
        }
        if is_folder {
            parts.push(Part::Across);
            if !is_anchored {
                parts.splice(0..0, [Part::OptionalFolders, Part::Across, Part::Char('/')]);
            }
        }
        let scope = if is_folder || is_anchored { Scope::Key } else { Scope::LastSegment };
        Ok(Self { text, parts, scope })
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.text
    }
}

fn invalid(why: impl Into<String>) -> InvalidGlob {
    InvalidGlob(why.into())
}

/// The parts of a pattern; at least one if the text is not empty.
fn parse(text: &str) -> Result<Vec<Part>, InvalidGlob> {
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => parts.push(Part::Char(escaped(&mut chars)?)),
            '?' => parts.push(Part::AnyChar),
            '[' => parts.push(class(&mut chars)?),
            '{' | '}' => {
                return Err(invalid(format!(
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
                    parts.push(Part::OptionalFolders);
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
    chars.next().ok_or_else(|| invalid("it ends in a \\ that is before nothing. For the character itself, write \\\\."))
}

/// Reads a class after its `[`. A `]` that is first is one of its characters.
fn class(chars: &mut Chars<'_>) -> Result<Part, InvalidGlob> {
    let negated = chars.next_if(|&char| char == '!' || char == '^').is_some();
    let mut ranges = Vec::new();
    loop {
        let open = || invalid("a [ is never closed. For the character itself, write \\[.");
        let first = match chars.next().ok_or_else(open)? {
            ']' if !ranges.is_empty() => return Ok(Part::Class { negated, ranges }),
            '[' if chars.peek() == Some(&':') => {
                return Err(invalid("write the characters of a named class out, such as [0-9] for [[:digit:]]."));
            }
            '\\' => escaped(chars)?,
            char => char,
        };
        let mut ahead = chars.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|char| char != ']');
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
            return Err(invalid(format!("the range {first}-{last} is empty. Turn it round.")));
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
    fn a_pattern_without_a_slash_applies_to_the_last_segment() {
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
    fn a_pattern_with_a_slash_applies_to_the_whole_key() {
        check("2019/*.jpg", &["2019/a.jpg"], &["old/2019/a.jpg", "2019/07/a.jpg", "2019/a.jpg/"]);
        check("/*.jpg", &["a.jpg"], &["2019/a.jpg", "/a.jpg"]);
        check("//*.jpg", &["/a.jpg"], &["a.jpg", "b/a.jpg"]);
        check("a/b", &["a/b"], &["a/b/c", "x/a/b", "a//b"]);
        check("a\\/b", &["a/b"], &["c/a/b"]);
    }

    #[test]
    fn a_pattern_with_a_slash_at_its_end_matches_all_keys_in_a_folder() {
        check("tmp/", &["tmp/a", "tmp/", "a/tmp/b/c"], &["tmp", "atmp/a", "a/tmp"]);
        check("/tmp/", &["tmp/a", "tmp/b/c"], &["a/tmp/b", "/tmp/a"]);
        check("a/*/", &["a/b/c", "a/b/"], &["a/b", "x/a/b/c"]);
        check("//", &["/a", "/"], &["a", "a/"]);
    }

    #[test]
    fn two_stars_match_any_folders_or_none() {
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
    fn a_class_matches_one_of_its_characters_and_never_a_slash() {
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
    fn a_backslash_makes_the_next_character_literal() {
        check("\\*\\?\\[\\{\\}\\\\", &["*?[{}\\"], &["a?[{}\\"]);
        check("\\!a", &["!a"], &["a"]);
        check("a!", &["a!"], &["a"]);
    }

    #[test]
    fn empty_patterns_and_syntax_of_other_tools_are_refused() {
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
    fn a_hostile_pattern_does_not_take_exponential_time() {
        let stars = format!("{}b", "*a".repeat(511));
        check(&stars, &[], &[&"a".repeat(1_024)]);
        let folders = format!("{}b", "**/".repeat(341));
        check(&folders, &[&format!("{}b", "/".repeat(1_023))], &[&"/".repeat(1_024)]);
    }

    #[test]
    fn a_pattern_is_serialised_as_its_text() {
        let kept = serde_json::to_string(&glob("a/**/[!b]\\*")).unwrap();
        assert_eq!(kept, r#""a/**/[!b]\\*""#);
        assert_eq!(serde_json::from_str::<Glob>(&kept).unwrap(), glob("a/**/[!b]\\*"));
        assert!(serde_json::from_str::<Glob>(r#""{a}""#).is_err());
    }
}
