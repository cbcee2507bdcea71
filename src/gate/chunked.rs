//! Chunked bodies: each chunk follows its size.
//!
//! Extensions and trailers must be valid and are ignored.

use super::Refusal;
use super::body::Content;
use super::fields::{Fields, expect_line_feed};

/// The maximum number of digits of a chunk size, including leading zeros. Any such number fits in 64 bits.
const SIZE_DIGITS_MAX: u32 = 16;

/// The maximum total size of the extensions and trailers of one body, in bytes.
const IGNORED_BYTES_MAX: usize = 8 << 10;

/// Parses the chunks of one body.
#[derive(Debug)]
pub(super) struct Chunked {
    place: ChunkPart,
    /// The size of the extensions and trailers so far, in bytes; at most [`IGNORED_BYTES_MAX`].
    ignored: usize,
}

#[derive(Debug)]
enum ChunkPart {
    /// In the line before a chunk, after this many digits with this value.
    Size {
        digits: u32,
        size: u64,
    },
    /// After a blank that follows the size. Only blanks or an extension may follow.
    Blank {
        size: usize,
    },
    Extension {
        size: usize,
    },
    /// After the CR of the line.
    SizeEnd {
        size: usize,
    },
    /// In a chunk, with this many bytes missing.
    Data {
        left: usize,
    },
    DataCarriageReturn,
    DataLineFeed,
    /// After the chunk of size 0, which is the last.
    Trailers(Fields),
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked { place: SIZE_START, ignored: 0 }
    }

    /// Continues reading, adds the data of the chunks to the content, and returns whether the body is complete.
    pub(super) fn read(
        &mut self,
        unread: &mut &[u8],
        content: &mut Content,
    ) -> Result<bool, Refusal> {
        while let Some((&byte, rest)) = unread.split_first() {
            if let ChunkPart::Data { left } = &mut self.place {
                *left -= content.take(unread, *left)?;
                if *left == 0 {
                    self.place = ChunkPart::DataCarriageReturn;
                }
                continue;
            }
            *unread = rest;
            if self.step(byte, content.room())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the next byte, which is not data, and returns whether it was the last.
    fn step(&mut self, byte: u8, room: usize) -> Result<bool, Refusal> {
        if let ChunkPart::Trailers(fields) = &mut self.place {
            let is_last = fields.step(byte)?;
            self.ignore_one()?;
            return Ok(is_last);
        }
        self.place = match self.place {
            ChunkPart::Size { digits, size } => self.step_size(byte, digits, size, room)?,
            ChunkPart::Blank { size } => self.step_behind_size(byte, size)?,
            ChunkPart::Extension { size } => match byte {
                b'\r' => ChunkPart::SizeEnd { size },
                b'\t' | b' '..=b'~' | 0x80.. => {
                    self.ignore_one()?;
                    ChunkPart::Extension { size }
                }
                _ => return Err(BAD_SIZE_LINE),
            },
            ChunkPart::SizeEnd { size } => {
                expect_line_feed(byte)?;
                match size {
                    0 => ChunkPart::Trailers(Fields::new()),
                    left => ChunkPart::Data { left },
                }
            }
            ChunkPart::DataCarriageReturn if byte == b'\r' => ChunkPart::DataLineFeed,
            ChunkPart::DataLineFeed if byte == b'\n' => SIZE_START,
            _ => return Err(Refusal::bad_request("a chunk is longer than its size")),
        };
        Ok(false)
    }

    fn step_size(
        &mut self,
        byte: u8,
        digits: u32,
        size: u64,
        room: usize,
    ) -> Result<ChunkPart, Refusal> {
        match char::from(byte).to_digit(16) {
            Some(_) if digits == SIZE_DIGITS_MAX => Err(BAD_SIZE_LINE),
            Some(digit) => {
                Ok(ChunkPart::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            None if digits == 0 => Err(BAD_SIZE_LINE),
            None => match usize::try_from(size) {
                Ok(size) if size <= room => self.step_behind_size(byte, size),
                _ => Err(Refusal::BODY_TOO_LARGE),
            },
        }
    }

    fn step_behind_size(&mut self, byte: u8, size: usize) -> Result<ChunkPart, Refusal> {
        match byte {
            b'\r' => return Ok(ChunkPart::SizeEnd { size }),
            b' ' | b'\t' | b';' => self.ignore_one()?,
            _ => return Err(BAD_SIZE_LINE),
        }
        Ok(if byte == b';' { ChunkPart::Extension { size } } else { ChunkPart::Blank { size } })
    }

    fn ignore_one(&mut self) -> Result<(), Refusal> {
        if self.ignored == IGNORED_BYTES_MAX {
            let reason = "the extensions and trailers of the chunks are larger than 8 KiB";
            return Err(Refusal { status: 431, reason });
        }
        self.ignored += 1;
        Ok(())
    }
}

const SIZE_START: ChunkPart = ChunkPart::Size { digits: 0, size: 0 };

const BAD_SIZE_LINE: Refusal =
    Refusal::bad_request("a chunk does not begin with its size in at most 16 hexadecimal digits");
