//! Splits JSON into values that each describe one object of the bucket. Only one value is held in memory at a time.
//!
//! A file is one JSON value, or several after each other. A string is a key. A JSON object describes one object of the
//! bucket, or it is a listing: an answer of S3 with a list of objects under the name `Contents`, `Versions`,
//! `DeleteMarkers` or `Objects`. A list has strings and JSON objects.

use serde::{Deserialize, Serialize};

use super::why::{Why, quoted};

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A string.
    Text,
    /// A JSON object, as an element of a list or by itself.
    Object,
    /// An element of a list of delete markers.
    Marker,
    /// Members of a listing without its lists: a JSON object with `null` in their place.
    Listing,
}

/// The position of a cutter between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutterPlace {
    /// `None` outside of a list.
    list: Option<List>,
    /// Whether the position is before the first element of the list.
    first: bool,
}

/// A list of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    in_listing: bool,
    markers: bool,
    /// The number of elements that have begun.
    count: u64,
}

/// Reads JSON byte by byte. It checks only brackets and quotation marks. The parser of the values checks the rest.
#[derive(Debug)]
pub(super) struct Cutter {
    state: State,
    list: Option<List>,
    /// The current JSON object has contained a list of objects.
    is_listing: bool,
    /// Whether the position is inside quotation marks; `escaped` is whether it follows a backslash there.
    in_text: bool,
    escaped: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Outside of a list, between values.
    Values,
    /// In a list, before an element.
    Element { first: bool },
    /// In a list, after an element.
    AfterElement,
    /// In a string that is a value.
    Text,
    /// In a JSON object, at this depth of brackets.
    Object { depth: u32 },
    /// In a value of a listing that is skipped.
    Passing { depth: u32 },
}

impl Cutter {
    pub(super) fn new() -> Self {
        Self::from(&CutterPlace { list: None, first: false })
    }

    /// Continues at a position.
    pub(super) fn from(place: &CutterPlace) -> Self {
        let state = match place {
            CutterPlace { list: None, .. } => State::Values,
            CutterPlace { list: Some(_), first: true } => State::Element { first: true },
            CutterPlace { list: Some(_), first: false } => State::AfterElement,
        };
        Self { state, list: place.list, is_listing: false, in_text: false, escaped: false }
    }

    /// The position after the value that was returned last. Valid until the next byte is read.
    pub(super) fn place(&self) -> CutterPlace {
        CutterPlace { list: self.list, first: matches!(self.state, State::Element { first: true }) }
    }

    /// The number of the last element of the current list; `None` outside of a list.
    pub(super) fn number_in_list(&self) -> Option<u64> {
        self.list.map(|list| list.count)
    }

    /// Reads a byte, and appends the bytes of the current value to `kept`. Returns the kind of the value that ends
    /// here.
    pub(super) fn read(&mut self, byte: u8, kept: &mut Vec<u8>) -> Result<Option<Part>, Why> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.state {
            State::Text => {
                kept.push(byte);
                self.pass_text(byte);
                return Ok(if self.in_text { None } else { Some(self.value_ended(Part::Text)) });
            }
            State::Object { .. } if self.in_text => {
                kept.push(byte);
                self.pass_text(byte);
            }
            State::Passing { .. } if self.in_text => self.pass_text(byte),
            State::Object { depth } => return Ok(self.read_in_object(byte, depth, kept)),
            State::Passing { depth } => {
                self.in_text = byte == b'"';
                let depth = deeper(byte, depth);
                self.state = if depth == 0 { State::Object { depth: 1 } } else { State::Passing { depth } };
            }
            State::Values | State::Element { .. } | State::AfterElement if blank => {}
            State::Values | State::Element { .. } if matches!(byte, b'"' | b'{') => {
                kept.push(byte);
                self.in_text = byte == b'"';
                self.state = if self.in_text { State::Text } else { State::Object { depth: 1 } };
                self.is_listing = false;
                if let Some(list) = &mut self.list {
                    list.count += 1;
                }
            }
            State::Values if byte == b'[' => self.begin_list(false, false),
            State::AfterElement if byte == b',' => self.state = State::Element { first: false },
            State::Element { first: true } | State::AfterElement if byte == b']' => {
                let was_in_listing = self.list.take().is_some_and(|list| list.in_listing);
                self.state = State::Values;
                if was_in_listing {
                    kept.extend_from_slice(b"{\"\":null");
                    (self.state, self.is_listing) = (State::Object { depth: 1 }, true);
                }
            }
            State::Values | State::Element { .. } => {
                return Err(unexpected(byte, "a key as a text, or an object, should begin"));
            }
            State::AfterElement => return Err(unexpected(byte, "a comma or the end of the list should be")),
        }
        Ok(None)
    }

    /// Ends the file. Fails if a value or a list is incomplete.
    pub(super) fn finish(&self) -> Result<(), Why> {
        match self.state {
            State::Values => Ok(()),
            State::Element { .. }
            | State::AfterElement
            | State::Text
            | State::Object { .. }
            | State::Passing { .. } => {
                Err("the file ends in the middle of its JSON: a bracket or a quotation mark is never closed. Upload all of it.".into())
            }
        }
    }

    fn read_in_object(&mut self, byte: u8, depth: u32, kept: &mut Vec<u8>) -> Option<Part> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if kept.last() == Some(&b' ') => {}
            b' ' | b'\t' | b'\r' | b'\n' => kept.push(b' '),
            b'[' if depth == 1
                && self.list.is_none()
                && let Some(markers) = list_named_at_the_end_of(kept) =>
            {
                kept.extend_from_slice(b"null}");
                self.begin_list(true, markers);
                return Some(Part::Listing);
            }
            b'[' | b'{' if depth == 1 && self.is_listing => {
                kept.extend_from_slice(b"null");
                self.state = State::Passing { depth: 1 };
            }
            _ => {
                kept.push(byte);
                self.in_text = byte == b'"';
                let depth = deeper(byte, depth);
                self.state = State::Object { depth };
                if depth == 0 {
                    return Some(self.value_ended(if self.is_listing { Part::Listing } else { Part::Object }));
                }
            }
        }
        None
    }

    fn begin_list(&mut self, in_listing: bool, markers: bool) {
        self.list = Some(List { in_listing, markers, count: 0 });
        self.state = State::Element { first: true };
    }

    fn value_ended(&mut self, part: Part) -> Part {
        self.state = if self.list.is_some() { State::AfterElement } else { State::Values };
        if self.list.is_some_and(|list| list.markers) { Part::Marker } else { part }
    }

    fn pass_text(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_text = false,
            _ => {}
        }
    }
}

/// The depth of brackets after a byte outside of a string.
fn deeper(byte: u8, depth: u32) -> u32 {
    match byte {
        b'[' | b'{' => depth.saturating_add(1),
        b']' | b'}' => depth.saturating_sub(1),
        _ => depth,
    }
}

/// Whether the list that follows these members of a JSON object has delete markers; `None` if its name is not that of a
/// list of objects.
fn list_named_at_the_end_of(members: &[u8]) -> Option<bool> {
    let before = members.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let lists = [
        (&b"\"Contents\""[..], false),
        (b"\"Versions\"", false),
        (b"\"Objects\"", false),
        (b"\"DeleteMarkers\"", true),
    ];
    lists.into_iter().find_map(|(name, markers)| {
        let before = before.strip_suffix(name)?.trim_ascii_end();
        matches!(before.last(), Some(b'{' | b',')).then_some(markers)
    })
}

fn unexpected(byte: u8, instead: &str) -> Why {
    let fix = "A list in JSON has keys as texts, or {\"key\": …, \"version_id\": …}, or is what aws s3api list-objects-v2 writes. A key that begins with a bracket must be written as a text.";
    let what = if byte.is_ascii_graphic() { quoted(&char::from(byte).to_string()) } else { "a byte".to_owned() };
    format!("{what} stands where {instead}. {fix}").into()
}
