//! Validates the header lines of a head and the trailers of a chunked body, byte by byte.
//!
//! It checks only the grammar, so an invalid line is refused at its first invalid byte. Other modules interpret the
//! lines.

use super::{HEADERS_MAX, Refusal};

/// Parses header lines up to the empty line that ends them.
#[derive(Debug)]
pub(super) struct Fields {
    place: LinePart,
    /// The number of lines started so far; at most [`HEADERS_MAX`].
    count: usize,
}

#[derive(Clone, Copy, Debug)]
enum LinePart {
    LineStart,
    Name,
    Value,
    /// After the CR of a line.
    LineEnd,
    /// After the CR of the empty line.
    LastEnd,
}

impl Fields {
    pub(super) fn new() -> Fields {
        Fields { place: LinePart::LineStart, count: 0 }
    }

    /// Takes the next byte, and returns whether it was the last.
    pub(super) fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.place = match self.place {
            LinePart::LineStart => self.begin_line(byte)?,
            LinePart::Name => match byte {
                b':' => LinePart::Value,
                _ if is_token(byte) => LinePart::Name,
                b' ' | b'\t' => {
                    return Err(Refusal::bad_request("there is whitespace after a header name"));
                }
                _ => return Err(Refusal::bad_request("a header name has an invalid character")),
            },
            LinePart::Value => match byte {
                b'\r' => LinePart::LineEnd,
                _ if is_of_value(byte) => LinePart::Value,
                _ => return Err(Refusal::bad_request("a header value has a control character")),
            },
            LinePart::LineEnd => {
                expect_line_feed(byte)?;
                LinePart::LineStart
            }
            LinePart::LastEnd => {
                expect_line_feed(byte)?;
                return Ok(true);
            }
        };
        Ok(false)
    }

    /// Whether the next byte may continue a value.
    pub(super) fn is_in_value(&self) -> bool {
        matches!(self.place, LinePart::Value)
    }

    fn begin_line(&mut self, byte: u8) -> Result<LinePart, Refusal> {
        match byte {
            b'\r' => Ok(LinePart::LastEnd),
            b' ' | b'\t' => Err(Refusal::bad_request("a header is folded onto a second line")),
            _ if !is_token(byte) => Err(Refusal::bad_request("a header has no name")),
            _ if self.count == HEADERS_MAX => {
                Err(Refusal { status: 431, reason: "there are more than 64 headers" })
            }
            _ => {
                self.count += 1;
                Ok(LinePart::Name)
            }
        }
    }
}

/// Whether the byte may occur in a header name or a method.
pub(super) fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
        | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether the byte may occur in a header's value.
pub(super) fn is_of_value(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Checks the byte after a CR.
pub(super) fn expect_line_feed(byte: u8) -> Result<(), Refusal> {
    if byte == b'\n' {
        Ok(())
    } else {
        Err(Refusal::bad_request("a carriage return is not followed by a line feed"))
    }
}
