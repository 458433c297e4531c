//! Splits text into records: lines or JSON values that each describe one object.

use serde::{Deserialize, Serialize};

use super::json::{Cutter, CutterPlace, Part};
use super::text::{Text, TextPlace};
use super::why::Why;

/// Maximum of bytes of a line, or of an object in JSON. A key with every byte URL-encoded takes 3,072 bytes. The
/// longest field of an inventory is an access control list of 100 grants, in base64.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// The records of a file, one after the other. Errors are sentences for the user.
#[derive(Debug)]
pub(super) struct Records {
    text: Text,
    cut: Cut,
    /// The record that was returned last, or the beginning of the next one.
    record: Vec<u8>,
    /// The kind of the record, if `record` was returned.
    given: Option<Part>,
    /// The number of line breaks that were read.
    breaks: u64,
    /// The line on which the record begins.
    line: u64,
    /// The position after the record that was returned last.
    place: RecordsPlace,
}

/// A position between two records of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordsPlace {
    text: TextPlace,
    breaks: u64,
    cut: CutPlace,
}

impl RecordsPlace {
    /// The byte from which the file must be read to continue here.
    pub(super) fn first_byte(&self) -> u64 {
        self.text.first_byte()
    }
}

/// The kind of boundary between two records.
#[derive(Debug)]
enum Cut {
    /// Unknown until the first line that is not blank.
    Unknown,
    /// A line break.
    Lines,
    /// The end of a JSON value.
    Json(Cutter),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum CutPlace {
    Unknown,
    Lines,
    Json(CutterPlace),
}

/// A record, which describes one object or none.
#[derive(Debug)]
pub(super) enum Record<'a> {
    /// A line, without its line break.
    Line(&'a [u8]),
    /// A JSON value.
    Json(Part, &'a [u8]),
}

impl Records {
    /// The records of a file of at most `most` unpacked bytes.
    pub(super) fn up_to(most: u64) -> Self {
        Self {
            text: Text::up_to(most),
            cut: Cut::Unknown,
            record: Vec::new(),
            given: None,
            breaks: 0,
            line: 1,
            place: RecordsPlace { text: TextPlace::BEGINNING, breaks: 0, cut: CutPlace::Unknown },
        }
    }

    /// Reads lines only, even if the first one looks like JSON.
    #[must_use]
    pub(super) fn of_lines(self) -> Self {
        let place = RecordsPlace { cut: CutPlace::Lines, ..self.place };
        Self { cut: Cut::Lines, place, ..self }
    }

    /// Continues at a position.
    pub(super) fn from(self, place: RecordsPlace) -> Self {
        let cut = match &place.cut {
            CutPlace::Unknown => Cut::Unknown,
            CutPlace::Lines => Cut::Lines,
            CutPlace::Json(place) => Cut::Json(Cutter::from(place)),
        };
        Self { text: self.text.from(place.text), cut, breaks: place.breaks, place, ..self }
    }

    /// The position after the record that was returned last.
    pub(super) fn place(&self) -> RecordsPlace {
        self.place.clone()
    }

    /// Whether the position where the reader continues is not reached yet.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.text.is_before_its_place()
    }

    /// The number of the line on which the last returned record begins; after an error, of the record with the error.
    /// The first line is 1.
    pub(super) fn number(&self) -> u64 {
        if self.given.is_some() || !self.record.is_empty() { self.line } else { self.breaks + 1 }
    }

    /// The number of the last record in its JSON list; `None` if it is in no list.
    pub(super) fn number_in_list(&self) -> Option<u64> {
        match &self.cut {
            Cut::Unknown | Cut::Lines => None,
            Cut::Json(cutter) => cutter.number_in_list(),
        }
    }

    /// Whether more bytes were read than the file may have.
    pub(super) fn is_over(&self) -> bool {
        self.text.is_over()
    }

    /// The next record that ends in these bytes. Removes the bytes that were read from `bytes`: all of them if it is
    /// `None`.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Record<'_>>, Why> {
        self.forget();
        while self.text.fill(bytes)? {
            if self.advance()? {
                return Ok(self.give());
            }
        }
        Ok(None)
    }

    /// Ends the file, and returns the last record if it is a line without a line break.
    pub(super) fn finish(&mut self) -> Result<Option<Record<'_>>, Why> {
        self.forget();
        self.text.finish()?;
        // The rest is at most an incomplete character, which ends no record.
        let mut nothing = &[][..];
        while self.text.fill(&mut nothing)? {
            self.advance()?;
        }
        match &mut self.cut {
            Cut::Json(cutter) => {
                cutter.finish()?;
                Ok(None)
            }
            Cut::Unknown | Cut::Lines if self.record.is_empty() => Ok(None),
            Cut::Unknown | Cut::Lines => {
                self.line_ended();
                Ok(self.give())
            }
        }
    }

    /// Reads the ready text up to the end of a record. Returns whether a record has ended.
    fn advance(&mut self) -> Result<bool, Why> {
        let ready = self.text.ready();
        if let Cut::Unknown = self.cut {
            // Decided at the first character, because a JSON file may be one long line.
            let blank = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\r');
            let first = if self.record.iter().find(blank).is_none() { ready.iter().find(blank) } else { None };
            if let Some(b'{' | b'[') = first {
                self.record.clear();
                self.cut = Cut::Json(Cutter::new());
            }
        }
        if let Cut::Json(cutter) = &mut self.cut {
            for (at, byte) in ready.iter().enumerate() {
                let was_empty = self.record.is_empty();
                let part = cutter.read(*byte, &mut self.record)?;
                if was_empty && !self.record.is_empty() {
                    self.line = self.breaks + 1;
                }
                self.breaks += u64::from(*byte == b'\n');
                if self.record.len() > MAX_LINE_BYTES {
                    return Err(format!(
                        "an object is longer than {MAX_LINE_BYTES} bytes. Leave out what thaw has no use for."
                    )
                    .into());
                }
                if part.is_some() {
                    self.given = part;
                    self.text.take(at + 1)?;
                    return Ok(true);
                }
            }
            let all = ready.len();
            self.text.take(all)?;
            return Ok(false);
        }
        let end = ready.iter().position(|byte| *byte == b'\n');
        let (more, read) = end.map_or((ready, ready.len()), |end| (&ready[..end], end + 1));
        self.line = self.breaks + 1;
        let is_too_long = self.record.len() + more.len() > MAX_LINE_BYTES;
        if !is_too_long {
            self.record.extend_from_slice(more);
        }
        self.text.take(read)?;
        if is_too_long {
            return Err(format!("the line is longer than {MAX_LINE_BYTES} bytes. List one object a line.").into());
        }
        if end.is_some() {
            self.breaks += 1;
            self.line_ended();
        }
        Ok(end.is_some())
    }

    /// Called when a line is complete. The first line that is not blank decides whether the file is JSON.
    fn line_ended(&mut self) {
        self.given = Some(Part::Text);
        if let Cut::Unknown = self.cut
            && !self.record.trim_ascii().is_empty()
        {
            // A quotation mark may also begin a field of CSV.
            let is_json = self.record.trim_ascii_start().starts_with(b"\"")
                && serde_json::from_slice::<String>(&self.record).is_ok();
            self.cut = if is_json { Cut::Json(Cutter::new()) } else { Cut::Lines };
        }
    }

    fn give(&mut self) -> Option<Record<'_>> {
        let cut = match &self.cut {
            Cut::Unknown => CutPlace::Unknown,
            Cut::Lines => CutPlace::Lines,
            Cut::Json(cutter) => CutPlace::Json(cutter.place()),
        };
        self.place = RecordsPlace { text: self.text.place(), breaks: self.breaks, cut };
        self.given.map(|part| match self.cut {
            Cut::Unknown | Cut::Lines => Record::Line(&self.record),
            Cut::Json(_) => Record::Json(part, &self.record),
        })
    }

    fn forget(&mut self) {
        if self.given.take().is_some() {
            self.record.clear();
        }
    }

    /// Bytes of memory, except for the state of the decompressor, whose size is fixed.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.record.capacity() + self.text.held()
    }
}
