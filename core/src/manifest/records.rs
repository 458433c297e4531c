//! Cuts text into the lines, or the JSON values, of which each is about one object.

use serde::{Deserialize, Serialize};

use super::json::{Cutter, CutterPlace, Part};
use super::text::{Text, TextPlace};
use super::why::Why;

/// Bytes of a line, or of an object in JSON. A key takes 3,072 when each of its bytes is URL-encoded; the longest thing in an
/// inventory is an access control list of 100 grants, in base64.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// A file as records, one after the other. What goes wrong is said in words.
#[derive(Debug)]
pub(super) struct Records {
    text: Text,
    cut: Cut,
    /// The record that was given out last, or the beginning of the next one.
    record: Vec<u8>,
    /// What was given out, if it was.
    given: Option<Part>,
    /// Line breaks that were read.
    breaks: u64,
    /// The line on which the record begins.
    line: u64,
    /// The place after the record that was given out last.
    place: RecordsPlace,
}

/// A place between two records of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordsPlace {
    text: TextPlace,
    breaks: u64,
    cut: CutPlace,
}

impl RecordsPlace {
    /// The byte of the file from which it must be read.
    pub(super) fn first_byte(&self) -> u64 {
        self.text.first_byte()
    }
}

/// Where one record ends and the next one begins.
#[derive(Debug)]
enum Cut {
    /// The first line that is not blank tells.
    Unknown,
    /// At a line break.
    Lines,
    /// Where a JSON value ends.
    Json(Cutter),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum CutPlace {
    Unknown,
    Lines,
    Json(CutterPlace),
}

/// What is about one object, or about none.
#[derive(Debug)]
pub(super) enum Record<'a> {
    /// A line, without its line break.
    Line(&'a [u8]),
    /// A JSON value.
    Json(Part, &'a [u8]),
}

impl Records {
    /// Of at most so many bytes, unpacked.
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

    /// Of lines only, whatever the first one looks like.
    #[must_use]
    pub(super) fn of_lines(self) -> Self {
        let place = RecordsPlace { cut: CutPlace::Lines, ..self.place };
        Self { cut: Cut::Lines, place, ..self }
    }

    /// Goes on at a place.
    pub(super) fn from(self, place: RecordsPlace) -> Self {
        let cut = match &place.cut {
            CutPlace::Unknown => Cut::Unknown,
            CutPlace::Lines => Cut::Lines,
            CutPlace::Json(place) => Cut::Json(Cutter::from(place)),
        };
        Self { text: self.text.from(place.text), cut, breaks: place.breaks, place, ..self }
    }

    /// The place after the last record that was given out.
    pub(super) fn place(&self) -> RecordsPlace {
        self.place.clone()
    }

    /// Whether it has not come to the place where the reading goes on.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.text.is_before_its_place()
    }

    /// The line on which the record begins that was given out last; while there is something wrong, the one that it is wrong
    /// with. The first is 1.
    pub(super) fn number(&self) -> u64 {
        if self.given.is_some() || !self.record.is_empty() { self.line } else { self.breaks + 1 }
    }

    /// How many objects its list has up to the record that was given out last; `None` if it stands in none.
    pub(super) fn number_in_list(&self) -> Option<u64> {
        match &self.cut {
            Cut::Unknown | Cut::Lines => None,
            Cut::Json(cutter) => cutter.number_in_list(),
        }
    }

    /// Whether the file is longer than it may be.
    pub(super) fn is_over(&self) -> bool {
        self.text.is_over()
    }

    /// The next record that ends in these bytes. What is read of them is taken off; without a record, that is all.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Record<'_>>, Why> {
        self.forget();
        while self.text.fill(bytes)? {
            if self.advance()? {
                return Ok(self.give());
            }
        }
        Ok(None)
    }

    /// A last record that has no end of its own: a line without a line break.
    pub(super) fn finish(&mut self) -> Result<Option<Record<'_>>, Why> {
        self.forget();
        self.text.finish()?;
        // What is left over is half a character, which ends no record.
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

    /// Reads on in what is ready, to the end of a record if there is one.
    fn advance(&mut self) -> Result<bool, Why> {
        let ready = self.text.ready();
        if let Cut::Unknown = self.cut {
            // JSON may be one long line.
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

    /// A line is all there. The first one that is not blank tells whether the others are JSON.
    fn line_ended(&mut self) {
        self.given = Some(Part::Text);
        if let Cut::Unknown = self.cut
            && !self.record.trim_ascii().is_empty()
        {
            // A quotation mark may begin a field of CSV as well.
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

    /// Bytes of memory, save the state of the unpacking, whose size is fixed.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.record.capacity() + self.text.held()
    }
}
