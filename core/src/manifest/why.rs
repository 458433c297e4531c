//! Why a record is refused.

/// A sentence in which what was quoted of the file is told from thaw's own words, so that it can be hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why(String);

/// Stand around what is quoted. No quoted text has them: control characters are written as escapes there.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// A text of somebody else's in a sentence: its first 80 characters, and always both quotation marks.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{short:?}{more}{}", MARKS[0], MARKS[1])
}

impl Why {
    /// All of it.
    pub(super) fn shown(&self) -> String {
        self.0.replace(MARKS, "")
    }

    /// Without what was quoted.
    pub(super) fn hidden(&self) -> String {
        let mut out = String::new();
        for (at, part) in self.0.split(MARKS).enumerate() {
            out.push_str(if at % 2 == 0 { part } else { "\"…\"" });
        }
        out
    }
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
