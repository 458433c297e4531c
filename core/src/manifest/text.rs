//! Unpacks and decodes a stream of bytes (plain or gzip, UTF-8 or UTF-16) to text in UTF-8.

use flate2::{Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

/// Maximum of bytes that are unpacked or decoded at a time.
const AT_A_TIME: usize = 32 * 1024;

/// The first byte of every gzip file (RFC 1952, section 2.3.1). No text begins with it.
const GZIP: u8 = 0x1f;

/// Unpacks and decodes the bytes of a file. Errors are sentences for the user.
///
/// Invalid text is decoded to bytes that are not UTF-8. The reader of the line refuses them.
#[derive(Debug)]
pub(super) struct Text {
    coding: Coding,
    decoder: Decoder,
    /// The decoded bytes. `read` is how many of them were read.
    ready: Vec<u8>,
    read: usize,
    /// How many bytes of the unpacked file were read, before decoding.
    consumed: u64,
    most: u64,
    /// How many unpacked bytes are still to be skipped, up to the position where the reader continues.
    skip: u64,
}

/// A position in a file, between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextPlace {
    packed: bool,
    encoding: Encoding,
    /// The number of unpacked bytes before it.
    bytes: u64,
}

impl TextPlace {
    /// The beginning of a file.
    pub(super) const BEGINNING: Self = Self { packed: false, encoding: Encoding::Utf8, bytes: 0 };

    /// The byte from which the file must be read to continue here.
    pub(super) fn first_byte(&self) -> u64 {
        if self.packed { 0 } else { self.bytes }
    }
}

/// The character encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// How many bytes of the unpacked file these decoded bytes come from. Half of a surrogate pair is decoded to three
    /// bytes.
    fn bytes_of(self, decoded: &[u8]) -> u64 {
        let of_utf16 = |byte: &u8| match byte {
            0x80..=0xbf => 0,
            0xf0.. => 4,
            _ => 2,
        };
        match self {
            Self::Utf8 => decoded.len() as u64,
            Self::Utf16Le | Self::Utf16Be => decoded.iter().map(of_utf16).sum(),
        }
    }
}

#[derive(Debug)]
enum Coding {
    /// No byte was read yet.
    Unknown,
    Plain,
    Gzip(Box<Gzip>),
}

impl Text {
    /// A text of at most `most` unpacked bytes.
    pub(super) fn up_to(most: u64) -> Self {
        Self {
            coding: Coding::Unknown,
            decoder: Decoder::default(),
            ready: Vec::new(),
            read: 0,
            consumed: 0,
            most,
            skip: 0,
        }
    }

    /// Continues at a position. A plain file is then read from that byte on. A packed file is read from its beginning,
    /// because gzip can be unpacked only from there.
    pub(super) fn from(self, place: TextPlace) -> Self {
        let TextPlace { packed, encoding, bytes } = place;
        if bytes == 0 {
            // The first bytes decide coding and encoding, as in a new file.
            return self;
        }
        let decoder = Decoder { encoding: Some(encoding), ..Decoder::default() };
        let (coding, skip) = if packed { (Coding::Unknown, bytes) } else { (Coding::Plain, 0) };
        Self { coding, decoder, consumed: bytes, skip, ..self }
    }

    /// The position after the last byte that was read.
    pub(super) fn place(&self) -> TextPlace {
        TextPlace {
            packed: self.skip > 0 || matches!(self.coding, Coding::Gzip(_)),
            encoding: self.decoder.encoding.unwrap_or(Encoding::Utf8),
            bytes: self.consumed,
        }
    }

    /// Whether the position where the reader continues is not reached yet.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.skip > 0
    }

    /// Decodes from `bytes` until some text is ready, and removes the decoded part from `bytes`. Returns whether text
    /// is ready; if not, all of `bytes` was used up.
    pub(super) fn fill(&mut self, bytes: &mut &[u8]) -> Result<bool, String> {
        while self.read == self.ready.len() {
            self.ready.clear();
            self.read = 0;
            let raw = match &mut self.coding {
                Coding::Unknown => {
                    self.coding = match bytes.first() {
                        None => return Ok(false),
                        Some(&GZIP) => Coding::Gzip(Box::new(Gzip::new())),
                        Some(_) => Coding::Plain,
                    };
                    continue;
                }
                Coding::Plain => {
                    let (raw, rest) = bytes.split_at(bytes.len().min(AT_A_TIME));
                    *bytes = rest;
                    raw
                }
                Coding::Gzip(gzip) => gzip.unpack(bytes)?,
            };
            if raw.is_empty() {
                return Ok(false);
            }
            let passed = raw.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            self.consumed += self.decoder.decode(&raw[passed..], &mut self.ready);
        }
        Ok(true)
    }

    /// The decoded text that was not read yet.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready[self.read..]
    }

    /// Marks `count` of the ready bytes as read. Fails if the file is longer than it may be.
    pub(super) fn take(&mut self, count: usize) -> Result<(), String> {
        let encoding = self.decoder.encoding.unwrap_or(Encoding::Utf8);
        self.consumed += encoding.bytes_of(&self.ready[self.read..self.read + count]);
        self.read += count;
        if self.is_over() {
            return Err(format!("the manifest is longer than {} bytes, unpacked. Split it.", self.most));
        }
        Ok(())
    }

    /// Whether more bytes were read than the file may have.
    pub(super) fn is_over(&self) -> bool {
        self.consumed > self.most
    }

    /// Ends the file, and makes the rest of it ready. Fails if the gzip stream is incomplete.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        match &self.coding {
            Coding::Unknown | Coding::Plain => {}
            Coding::Gzip(gzip) if gzip.ended => {}
            Coding::Gzip(_) => {
                return Err("the manifest is cut off in the middle of its gzip stream. Upload all of it.".to_owned());
            }
        }
        self.decoder.finish(&mut self.ready);
        Ok(())
    }

    /// Bytes of memory, except for the state of the decompressor, whose size is fixed.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let unpacked = match &self.coding {
            Coding::Unknown | Coding::Plain => 0,
            Coding::Gzip(gzip) => gzip.unpacked.capacity(),
        };
        self.ready.capacity() + unpacked
    }
}

/// Decodes UTF-16 that begins with a byte order mark. Passes all other bytes on unchanged, without a byte order mark of
/// UTF-8.
#[derive(Debug, Default)]
struct Decoder {
    /// `None` until the first bytes have decided it.
    encoding: Option<Encoding>,
    /// The first bytes, as long as they may be the beginning of a byte order mark.
    head: Vec<u8>,
    /// The first byte of a UTF-16 code unit.
    half: Option<u8>,
    /// The first code unit of a surrogate pair.
    high: Option<u16>,
}

const MARKS: [(&[u8], Encoding); 3] =
    [(b"\xef\xbb\xbf", Encoding::Utf8), (b"\xff\xfe", Encoding::Utf16Le), (b"\xfe\xff", Encoding::Utf16Be)];

impl Decoder {
    /// Appends the decoded bytes to `out`. Returns the length of the byte order mark in the call that completes it,
    /// else 0.
    fn decode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> u64 {
        let Some(encoding) = self.encoding else {
            self.head.extend_from_slice(raw);
            if MARKS.iter().any(|(mark, _)| self.head.len() < mark.len() && mark.starts_with(&self.head)) {
                return 0;
            }
            let (mark, encoding) =
                MARKS.into_iter().find(|(mark, _)| self.head.starts_with(mark)).unwrap_or((&[], Encoding::Utf8));
            self.encoding = Some(encoding);
            let head = std::mem::take(&mut self.head);
            self.decode(&head[mark.len()..], out);
            return mark.len() as u64;
        };
        match encoding {
            Encoding::Utf8 => out.extend_from_slice(raw),
            Encoding::Utf16Le => raw.iter().for_each(|byte| self.add(*byte, u16::from_le_bytes, out)),
            Encoding::Utf16Be => raw.iter().for_each(|byte| self.add(*byte, u16::from_be_bytes, out)),
        }
        0
    }

    fn add(&mut self, byte: u8, unit: fn([u8; 2]) -> u16, out: &mut Vec<u8>) {
        let Some(first) = self.half.take() else {
            self.half = Some(byte);
            return;
        };
        let unit = unit([first, byte]);
        let high = self.high.take();
        if let (Some(high), 0xdc00..=0xdfff) = (high, unit) {
            let char = 0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
            push(char, out);
            return;
        }
        if let Some(high) = high {
            push(u32::from(high), out);
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => push(u32::from(unit), out),
        }
    }

    /// Appends what is incomplete at the end of the file, as bytes that are not UTF-8.
    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.head);
        if let Some(high) = self.high.take() {
            push(u32::from(high), out);
        }
        if self.half.take().is_some() {
            out.push(0xff);
        }
    }
}

/// Appends a character in UTF-8. Half of a surrogate pair becomes the three bytes of its code point, which are not
/// UTF-8.
fn push(char: u32, out: &mut Vec<u8>) {
    match char::from_u32(char) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        // Surrogates are below 0x10000, so three bytes hold them: four bits, and twice six.
        None => out.extend([char >> 12 | 0xe0, char >> 6 & 0x3f | 0x80, char & 0x3f | 0x80].map(|byte| byte as u8)),
    }
}

#[derive(Debug)]
struct Gzip {
    state: Decompress,
    unpacked: Vec<u8>,
    /// A gzip member of the file has ended, and the next one has not begun.
    ended: bool,
    /// The stream is damaged after the bytes that were unpacked.
    damaged: bool,
}

impl Gzip {
    fn new() -> Self {
        Self { state: fresh(), unpacked: vec![0; AT_A_TIME], ended: false, damaged: false }
    }

    /// The next unpacked bytes, empty if `packed` yields no more. Removes the bytes that were used from `packed`.
    fn unpack(&mut self, packed: &mut &[u8]) -> Result<&[u8], String> {
        loop {
            if self.damaged {
                let why = "the gzip stream is damaged from here on. Pack the manifest anew, or upload it plain.";
                return Err(why.to_owned());
            }
            if self.ended {
                if packed.is_empty() {
                    return Ok(&[]);
                }
                // A gzip file may consist of several members after each other (RFC 1952, section 2.2).
                (self.state, self.ended) = (fresh(), false);
            }
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(packed, &mut self.unpacked, FlushDecompress::None);
            // Both differences are at most the lengths of the slices that were passed in.
            let taken = (self.state.total_in() - before_in) as usize;
            let given = (self.state.total_out() - before_out) as usize;
            *packed = &packed[taken..];
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(Status::Ok | Status::BufError) if taken == 0 && given == 0 => return Ok(&[]),
                Ok(Status::Ok | Status::BufError) => {}
                // The bytes that were unpacked before are read first, so that the result does not depend on where the
                // pieces of a file end. zlib's message would depend on it, so it is not shown.
                Err(_) => self.damaged = true,
            }
            if given > 0 {
                return Ok(&self.unpacked[..given]);
            }
        }
    }
}

fn fresh() -> Decompress {
    // The largest window of deflate, which unpacks every gzip file.
    Decompress::new_gzip(15)
}
