//! Cuts what comes, packed or not, into lines.

use flate2::{Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

use super::MAX_LINE_BYTES;

/// Bytes that are unpacked at a time.
const UNPACKED_AT_A_TIME: usize = 32 * 1024;

/// The first byte of gzip (RFC 1952, section 2.3.1), and of no text.
const GZIP: u8 = 0x1f;

/// A stream of bytes as lines, without their line breaks. What goes wrong is said in words.
#[derive(Debug)]
pub(super) struct Lines {
    coding: Coding,
    /// The line that was given out last, or the beginning of the next one.
    line: Vec<u8>,
    given: bool,
    /// Lines given out.
    count: u64,
    /// Bytes that still may come, unpacked.
    left: u64,
    most: u64,
    /// Unpacked bytes to be passed over: those before the place where the reading goes on.
    skip: u64,
}

/// A place between two lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinesPlace {
    packed: bool,
    /// Bytes before it, unpacked.
    bytes: u64,
    /// Lines before it.
    lines: u64,
}

impl LinesPlace {
    /// The byte of the file from which it must be read.
    pub(super) fn first_byte(&self) -> u64 {
        if self.packed { 0 } else { self.bytes }
    }
}

#[derive(Debug)]
enum Coding {
    /// Nothing has come yet.
    Unknown,
    Plain,
    Gzip(Box<Gzip>),
}

impl Lines {
    /// Of at most so many bytes, unpacked.
    pub(super) fn up_to(most: u64) -> Self {
        Self { coding: Coding::Unknown, line: Vec::new(), given: false, count: 0, left: most, most, skip: 0 }
    }

    /// Goes on at a place. A plain file is then read from that byte on, a packed one from its beginning: only what comes
    /// before tells how the rest is packed.
    pub(super) fn from(self, place: &LinesPlace) -> Self {
        let count = place.lines;
        match (place.bytes, place.packed) {
            // The first byte tells the coding once more.
            (0, _) => Self { count, ..self },
            (bytes, false) => Self { coding: Coding::Plain, left: self.left.saturating_sub(bytes), count, ..self },
            (bytes, true) => Self { skip: bytes, count, ..self },
        }
    }

    /// The place after the last line that was given out.
    pub(super) fn place(&self) -> LinesPlace {
        let begun = if self.given { 0 } else { self.line.len() as u64 };
        let bytes = self.most - self.left + self.skip - begun;
        // Before the first line it makes no difference, and the same place is told as the same.
        let packed = bytes > 0 && (self.skip > 0 || matches!(self.coding, Coding::Gzip(_)));
        LinesPlace { packed, bytes, lines: self.count }
    }

    /// Whether it has not come to the place where the reading goes on.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.skip > 0
    }

    /// Which line was given out last; while there is something wrong, the one that it is wrong with. The first is 1.
    pub(super) fn number(&self) -> u64 {
        if self.given { self.count } else { self.count + 1 }
    }

    /// The next line that ends in these bytes. What is read of them is taken off; without a line, that is all.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&[u8]>, String> {
        self.forget();
        loop {
            let piece = match &mut self.coding {
                Coding::Unknown => match bytes.first() {
                    None => return Ok(None),
                    Some(&GZIP) => {
                        self.coding = Coding::Gzip(Box::new(Gzip::new()));
                        continue;
                    }
                    Some(_) => {
                        self.coding = Coding::Plain;
                        continue;
                    }
                },
                Coding::Plain => *bytes,
                Coding::Gzip(gzip) if self.skip > 0 => {
                    let passed = gzip.unpack(bytes)?.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                    if passed == 0 {
                        return Ok(None);
                    }
                    gzip.unread.start += passed;
                    self.skip -= passed as u64;
                    self.left = self.left.saturating_sub(passed as u64);
                    continue;
                }
                Coding::Gzip(gzip) => gzip.unpack(bytes)?,
            };
            if piece.is_empty() {
                return Ok(None);
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (more, read) = end.map_or((piece, piece.len()), |end| (&piece[..end], end + 1));
            match self.left.checked_sub(read as u64) {
                Some(left) => self.left = left,
                None => return Err(format!("the manifest is longer than {} bytes, unpacked. Split it.", self.most)),
            }
            if self.line.len() + more.len() > MAX_LINE_BYTES {
                return Err(format!("the line is longer than {MAX_LINE_BYTES} bytes. List one object a line."));
            }
            self.line.extend_from_slice(more);
            match &mut self.coding {
                Coding::Unknown => {}
                Coding::Plain => *bytes = &bytes[read..],
                Coding::Gzip(gzip) => gzip.unread.start += read,
            }
            if end.is_some() {
                return Ok(Some(self.give()));
            }
        }
    }

    /// A last line that has no line break.
    pub(super) fn finish(&mut self) -> Result<Option<&[u8]>, String> {
        self.forget();
        match &self.coding {
            Coding::Unknown | Coding::Plain => {}
            Coding::Gzip(gzip) if gzip.ended => {}
            Coding::Gzip(_) => {
                return Err("the manifest is cut off in the middle of its gzip stream. Upload all of it.".to_owned());
            }
        }
        if self.line.is_empty() { Ok(None) } else { Ok(Some(self.give())) }
    }

    fn give(&mut self) -> &[u8] {
        self.given = true;
        self.count += 1;
        &self.line
    }

    fn forget(&mut self) {
        if std::mem::take(&mut self.given) {
            self.line.clear();
        }
    }

    /// Bytes of memory, save the state of the unpacking, whose size is fixed.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let unpacked = match &self.coding {
            Coding::Unknown | Coding::Plain => 0,
            Coding::Gzip(gzip) => gzip.unpacked.capacity(),
        };
        self.line.capacity() + unpacked
    }
}

#[derive(Debug)]
struct Gzip {
    state: Decompress,
    unpacked: Vec<u8>,
    /// Which of the unpacked bytes were not read yet.
    unread: std::ops::Range<usize>,
    /// A member of the file has ended, and no other has begun.
    ended: bool,
    /// It cannot go on after the unread bytes.
    damaged: bool,
}

impl Gzip {
    fn new() -> Self {
        Self { state: fresh(), unpacked: vec![0; UNPACKED_AT_A_TIME], unread: 0..0, ended: false, damaged: false }
    }

    /// Unpacked bytes that were not read yet: none if there are none in what has come. What is packed is taken off.
    fn unpack(&mut self, packed: &mut &[u8]) -> Result<&[u8], String> {
        while self.unread.is_empty() {
            if self.damaged {
                let why = "the gzip stream is damaged from here on. Pack the manifest anew, or upload it plain.";
                return Err(why.to_owned());
            }
            if self.ended {
                if packed.is_empty() {
                    break;
                }
                // Several files that were packed one by one and put together are one file (RFC 1952, section 2.2).
                (self.state, self.ended) = (fresh(), false);
            }
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(packed, &mut self.unpacked, FlushDecompress::None);
            // Both are within the lengths of what was passed in.
            let taken = (self.state.total_in() - before_in) as usize;
            let given = (self.state.total_out() - before_out) as usize;
            *packed = &packed[taken..];
            self.unread = 0..given;
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(Status::Ok | Status::BufError) if taken == 0 && given == 0 => break,
                Ok(Status::Ok | Status::BufError) => {}
                // What was unpacked before is read first: where the pieces of a file end changes nothing. It would change what
                // zlib has to say.
                Err(_) => self.damaged = true,
            }
        }
        Ok(&self.unpacked[self.unread.clone()])
    }
}

fn fresh() -> Decompress {
    // The window of any gzip file: deflate knows none that is larger.
    Decompress::new_gzip(15)
}
