//! The reason for which a record is refused, as a sentence that may quote the file.

/// A sentence in which quotations from the file are marked, so that they can be hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why(String);

/// The marks before and after a quotation. No quotation contains them, because control characters are escaped in it.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// A quotation for a sentence: the first 80 characters of the text, between quotation marks.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{short:?}{more}{}", MARKS[0], MARKS[1])
}

impl Why {
    /// The sentence with its quotations.
    pub(super) fn shown(&self) -> String {
        self.0.replace(MARKS, "")
    }

    /// The sentence with each quotation replaced by `"…"`.
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
