//! A stream of bytes, packed or not, as text in UTF-8.

use flate2::{Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

/// Bytes that are unpacked or decoded at a time.
const AT_A_TIME: usize = 32 * 1024;

/// The first byte of gzip (RFC 1952, section 2.3.1), and of no text.
const GZIP: u8 = 0x1f;

/// Unpacks and decodes what comes. What goes wrong is said in words.
///
/// Text that is not valid comes out as bytes that are not UTF-8: whoever reads the line refuses it.
#[derive(Debug)]
pub(super) struct Text {
    coding: Coding,
    decoder: Decoder,
    /// Decoded bytes, and how many of them were read.
    ready: Vec<u8>,
    read: usize,
    /// Unpacked bytes of what was read, as the file has them.
    consumed: u64,
    most: u64,
    /// Unpacked bytes to be passed over: those before the place where the reading goes on.
    skip: u64,
}

/// A place in a file, between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextPlace {
    packed: bool,
    encoding: Encoding,
    /// Bytes before it, unpacked.
    bytes: u64,
}

impl TextPlace {
    /// The beginning of a file.
    pub(super) const BEGINNING: Self = Self { packed: false, encoding: Encoding::Utf8, bytes: 0 };

    /// The byte of the file from which it must be read.
    pub(super) fn first_byte(&self) -> u64 {
        if self.packed { 0 } else { self.bytes }
    }
}

/// How characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// The bytes that decoded ones had in the file. A unit that is half a character is decoded to three bytes.
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
    /// Nothing has come yet.
    Unknown,
    Plain,
    Gzip(Box<Gzip>),
}

impl Text {
    /// Of at most so many bytes, unpacked.
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

    /// Goes on at a place. A plain file is then read from that byte on, a packed one from its beginning: only what comes
    /// before tells how the rest is packed.
    pub(super) fn from(self, place: TextPlace) -> Self {
        let TextPlace { packed, encoding, bytes } = place;
        if bytes == 0 {
            // The first bytes tell coding and encoding once more.
            return self;
        }
        let decoder = Decoder { encoding: Some(encoding), ..Decoder::default() };
        let (coding, skip) = if packed { (Coding::Unknown, bytes) } else { (Coding::Plain, 0) };
        Self { coding, decoder, consumed: bytes, skip, ..self }
    }

    /// The place after what was read.
    pub(super) fn place(&self) -> TextPlace {
        TextPlace {
            packed: self.skip > 0 || matches!(self.coding, Coding::Gzip(_)),
            encoding: self.decoder.encoding.unwrap_or(Encoding::Utf8),
            bytes: self.consumed,
        }
    }

    /// Whether it has not come to the place where the reading goes on.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.skip > 0
    }

    /// Makes sure that something is ready to be read, if these bytes have it. What is decoded of them is taken off; if
    /// nothing is ready, that is all.
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

    /// What is ready to be read.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready[self.read..]
    }

    /// So many of the ready bytes were read.
    pub(super) fn take(&mut self, count: usize) -> Result<(), String> {
        let encoding = self.decoder.encoding.unwrap_or(Encoding::Utf8);
        self.consumed += encoding.bytes_of(&self.ready[self.read..self.read + count]);
        self.read += count;
        if self.is_over() {
            return Err(format!("the manifest is longer than {} bytes, unpacked. Split it.", self.most));
        }
        Ok(())
    }

    /// Whether more was read than may be.
    pub(super) fn is_over(&self) -> bool {
        self.consumed > self.most
    }

    /// Ends the file. What is left of it is then ready.
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

    /// Bytes of memory, save the state of the unpacking, whose size is fixed.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let unpacked = match &self.coding {
            Coding::Unknown | Coding::Plain => 0,
            Coding::Gzip(gzip) => gzip.unpacked.capacity(),
        };
        self.ready.capacity() + unpacked
    }
}

/// Decodes UTF-16 that begins with a mark of byte order, and passes everything else on, without such a mark.
#[derive(Debug, Default)]
struct Decoder {
    /// `None` until the first bytes tell.
    encoding: Option<Encoding>,
    /// The first bytes, as long as they may be the beginning of a mark.
    head: Vec<u8>,
    /// The first byte of a unit of UTF-16.
    half: Option<u8>,
    /// The first unit of a character that has two.
    high: Option<u16>,
}

const MARKS: [(&[u8], Encoding); 3] =
    [(b"\xef\xbb\xbf", Encoding::Utf8), (b"\xff\xfe", Encoding::Utf16Le), (b"\xfe\xff", Encoding::Utf16Be)];

impl Decoder {
    /// Adds what is decoded. Answers the bytes of the mark, if it came to its end.
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

    /// Adds what never came to its end: bytes that are no text.
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

/// Adds a character in UTF-8; half of one as the three bytes that it would have, which are not UTF-8.
fn push(char: u32, out: &mut Vec<u8>) {
    match char::from_u32(char) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        // Each is below 0x10000, so its first four bits and twice six fit into three bytes.
        None => out.extend([char >> 12 | 0xe0, char >> 6 & 0x3f | 0x80, char & 0x3f | 0x80].map(|byte| byte as u8)),
    }
}

#[derive(Debug)]
struct Gzip {
    state: Decompress,
    unpacked: Vec<u8>,
    /// A member of the file has ended, and no other has begun.
    ended: bool,
    /// It cannot go on after what was unpacked.
    damaged: bool,
}

impl Gzip {
    fn new() -> Self {
        Self { state: fresh(), unpacked: vec![0; AT_A_TIME], ended: false, damaged: false }
    }

    /// The next unpacked bytes: none if there are none in what has come. What is packed is taken off.
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
                // Several files that were packed one by one and put together are one file (RFC 1952, section 2.2).
                (self.state, self.ended) = (fresh(), false);
            }
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(packed, &mut self.unpacked, FlushDecompress::None);
            // Both are within the lengths of what was passed in.
            let taken = (self.state.total_in() - before_in) as usize;
            let given = (self.state.total_out() - before_out) as usize;
            *packed = &packed[taken..];
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(Status::Ok | Status::BufError) if taken == 0 && given == 0 => return Ok(&[]),
                Ok(Status::Ok | Status::BufError) => {}
                // What was unpacked before is read first: where the pieces of a file end changes nothing. It would change what
                // zlib has to say.
                Err(_) => self.damaged = true,
            }
            if given > 0 {
                return Ok(&self.unpacked[..given]);
            }
        }
    }
}

fn fresh() -> Decompress {
    // The window of any gzip file: deflate knows none that is larger.
    Decompress::new_gzip(15)
}
