//! Writes packed values without building them first, which would take several times as long.

use super::Writer;
use super::write::{ARRAY, BASE64, MEMBER, STRING, STRUCT};
use crate::value::{Content, Next, Unpacker};

/// The size of the chunks in which a long text and long bytes are written: a multiple of 3, so that chunks of base64
/// follow each other without padding.
const CHUNK_BYTES: usize = 48 << 10;

/// Writes a packed value in parts, because a large one takes long.
#[derive(Debug)]
pub struct PackedWriter {
    /// The number of bytes that have been read.
    read: usize,
    /// What is still to be written, in reverse order. It takes the place of a recursion, which could not be resumed.
    ahead: Vec<Ahead>,
}

/// What is written next.
#[derive(Clone, Copy, Debug)]
enum Ahead {
    /// This many values.
    Values(u64),
    /// This many members of a struct.
    Members(u64),
    /// The content of a long string or name, of which this many bytes are left.
    Text(usize),
    /// Long bytes, of which this many are left.
    Bytes(usize),
    /// The end of what has begun before.
    Markup(&'static str),
}

impl PackedWriter {
    /// A writer for a value of which nothing has been written.
    #[expect(clippy::new_without_default, reason = "it is made for one value")]
    pub fn new() -> PackedWriter {
        PackedWriter { read: 0, ahead: vec![Ahead::Values(1)] }
    }

    /// Writes the next part of the value that `packed` begins with, until the writer has about `bytes` bytes. Returns
    /// whether the value is complete. It must be valid, and the same at every call.
    pub fn write(&mut self, packed: &[u8], bytes: usize, writer: &mut Writer) -> bool {
        let mut unpacker = Unpacker::new(packed.get(self.read..).unwrap_or_default());
        while writer.len() < bytes
            && let Some(ahead) = self.ahead.pop()
        {
            if self.step(ahead, &mut unpacker, writer).is_none() {
                self.ahead.clear();
            }
        }
        self.read = packed.len() - unpacker.left();
        self.ahead.is_empty()
    }

    fn step(
        &mut self,
        ahead: Ahead,
        unpacker: &mut Unpacker<'_>,
        writer: &mut Writer,
    ) -> Option<()> {
        match ahead {
            Ahead::Values(0) | Ahead::Members(0) => {}
            Ahead::Values(count) => {
                self.ahead.push(Ahead::Values(count - 1));
                self.value(unpacker, writer)?;
            }
            Ahead::Members(count) => {
                let [open, between, close] = MEMBER;
                let after = [Ahead::Markup(close), Ahead::Values(1), Ahead::Markup(between)];
                self.ahead.push(Ahead::Members(count - 1));
                self.ahead.extend(after);
                writer.raw(open);
                match unpacker.begin_long(CHUNK_BYTES) {
                    Some((_, length)) => self.ahead.push(Ahead::Text(length)),
                    None => writer.escaped(unpacker.name()?),
                }
            }
            Ahead::Text(left) => {
                let chunk = unpacker.text_chunk(left.min(CHUNK_BYTES))?;
                writer.escaped(chunk);
                if chunk.len() < left {
                    self.ahead.push(Ahead::Text(left - chunk.len()));
                }
            }
            Ahead::Bytes(left) => {
                let chunk = unpacker.bytes(left.min(CHUNK_BYTES) as u64)?;
                writer.symbols(chunk);
                if chunk.len() < left {
                    self.ahead.push(Ahead::Bytes(left - chunk.len()));
                }
            }
            Ahead::Markup(markup) => writer.raw(markup),
        }
        Some(())
    }

    /// Writes the next value, or its beginning if it is long or has parts.
    fn value(&mut self, unpacker: &mut Unpacker<'_>, writer: &mut Writer) -> Option<()> {
        match unpacker.begin_long(CHUNK_BYTES) {
            Some((Content::Text, length)) => self.begin(STRING, Ahead::Text(length), writer),
            Some((Content::Bytes, length)) => self.begin(BASE64, Ahead::Bytes(length), writer),
            None => match unpacker.next()? {
                Next::Array(count) => self.begin(ARRAY, Ahead::Values(count), writer),
                Next::Struct(count) => self.begin(STRUCT, Ahead::Members(count), writer),
                Next::Int(number) => writer.int(number),
                Next::Boolean(truth) => writer.boolean(truth),
                Next::Double(number) => writer.double(number),
                Next::String(text) => writer.string(text),
                Next::Bytes(bytes) => writer.base64(bytes),
                Next::DateTime(text) => writer.date_time(text),
            },
        }
        Some(())
    }

    fn begin(&mut self, [open, close]: [&'static str; 2], content: Ahead, writer: &mut Writer) {
        writer.raw(open);
        self.ahead.extend([Ahead::Markup(close), content]);
    }
}
