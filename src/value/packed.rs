//! Values packed into bytes for messages between servers. This takes a fraction of the size and the work of XML.
//!
//! A value is a letter for its type, an eight-byte number, least significant byte first, and its content:
//!
//! | Letter | Number | Content |
//! |---|---|---|
//! | `i` | the int | |
//! | `t` | 1 or 0, the boolean | |
//! | `d` | the bits of the double | |
//! | `s`, `b`, `z` | the number of bytes | the string in UTF-8, the bytes, the text of a `dateTime.iso8601` |
//! | `a` | the number of elements | the elements |
//! | `m` | the number of members | each member's name, as a string, and value |

use super::{DEPTH_MAX, DateTime, Double, Value, doubled, first_unfit};

impl Value {
    /// The packed value.
    pub fn pack(&self) -> Vec<u8> {
        // The exact size, because packed values are often kept.
        let mut packer = Packer::with_capacity(length(self));
        packer.value(self);
        packer.into_bytes()
    }

    /// The value of these bytes, if they are exactly one value.
    ///
    /// The bytes may be untrusted. The result keeps every guarantee of [`Value`], and takes at most a small multiple of
    /// the input's memory.
    pub fn unpack(bytes: &[u8]) -> Option<Value> {
        let mut unpacker = Unpacker::new(bytes);
        let value = unpacker.value()?;
        unpacker.is_at_end().then_some(value)
    }
}

/// The size of the letter and the number, in bytes.
const HEAD_BYTES: usize = 9;

/// The number of bytes that the value takes when packed.
fn length(value: &Value) -> usize {
    let content = match value {
        Value::Int(_) | Value::Boolean(_) | Value::Double(_) => 0,
        Value::String(text) => text.len(),
        Value::Base64(bytes) => bytes.len(),
        Value::DateTime(time) => time.as_str().len(),
        Value::Array(elements) => elements.iter().map(length).sum(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| HEAD_BYTES + name.len() + length(value)).sum()
        }
    };
    HEAD_BYTES + content
}

/// Packs values one after another, without building a [`Value`] first.
#[derive(Debug)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// Allocates this many bytes. More are allocated if they are needed.
    pub fn with_capacity(bytes: usize) -> Packer {
        Packer(Vec::with_capacity(bytes))
    }

    /// The packed bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Packs an `int`.
    pub fn int(&mut self, number: i64) {
        self.head(b'i', number.cast_unsigned());
    }

    /// Packs a `boolean`.
    pub fn boolean(&mut self, truth: bool) {
        self.head(b't', u64::from(truth));
    }

    /// Packs a `string`.
    pub fn string(&mut self, text: &str) {
        self.content(b's', text.as_bytes());
    }

    /// Packs bytes as `base64`.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.content(b'b', bytes);
    }

    /// Packs an `array`. That many elements must be packed next.
    pub fn array(&mut self, elements: usize) {
        self.head(b'a', elements as u64);
    }

    /// Packs a `struct`. For each of that many members, its name, as a string, and then its value must be packed next.
    pub fn structure(&mut self, members: usize) {
        self.head(b'm', members as u64);
    }

    /// Packs a value with all its parts.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Int(number) => self.int(*number),
            Value::Boolean(truth) => self.boolean(*truth),
            Value::Double(number) => self.head(b'd', number.get().to_bits()),
            Value::String(text) => self.string(text),
            Value::Base64(bytes) => self.bytes(bytes),
            Value::DateTime(time) => self.content(b'z', time.as_str().as_bytes()),
            Value::Array(elements) => {
                self.array(elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Value::Struct(members) => {
                self.structure(members.len());
                for (name, value) in members {
                    self.string(name);
                    self.value(value);
                }
            }
        }
    }

    fn content(&mut self, letter: u8, bytes: &[u8]) {
        self.head(letter, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn head(&mut self, letter: u8, number: u64) {
        self.0.push(letter);
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

/// Unpacks values one after another, without building a [`Value`] first. A copy can be used to look ahead.
///
/// The bytes may be untrusted. The result keeps every guarantee of [`Value`].
#[derive(Clone, Copy, Debug)]
pub struct Unpacker<'a>(&'a [u8]);

/// The next item: a value without parts, or the number of parts that follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next<'a> {
    /// An `int`.
    Int(i64),
    /// A `boolean`.
    Boolean(bool),
    /// A `double`.
    Double(Double),
    /// A `string`.
    String(&'a str),
    /// `base64`.
    Bytes(&'a [u8]),
    /// The text of a `dateTime.iso8601`, whose form is not checked yet.
    DateTime(&'a str),
    /// An `array` with this many elements.
    Array(u64),
    /// A `struct` with this many members: each has a name, as a string, and a value.
    Struct(u64),
}

/// What the content of a long item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The text of a `string`.
    Text,
    /// The bytes of `base64`.
    Bytes,
}

impl<'a> Unpacker<'a> {
    /// An unpacker for these bytes.
    pub fn new(bytes: &'a [u8]) -> Unpacker<'a> {
        Unpacker(bytes)
    }

    /// The number of bytes that have not been read.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Whether all bytes have been read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next item; `None` if the bytes are not valid.
    #[expect(
        clippy::should_implement_trait,
        reason = "what comes next may be parts of what came before"
    )]
    pub fn next(&mut self) -> Option<Next<'a>> {
        let (letter, number) = self.head()?;
        Some(match letter {
            b'i' => Next::Int(number.cast_signed()),
            b't' => Next::Boolean(match number {
                0 => false,
                1 => true,
                _ => return None,
            }),
            b'd' => Next::Double(Double::new(f64::from_bits(number))?),
            b's' => Next::String(self.text(number)?),
            b'b' => Next::Bytes(self.bytes(number)?),
            b'z' => Next::DateTime(self.text(number)?),
            b'a' => Next::Array(number),
            b'm' => Next::Struct(number),
            _ => return None,
        })
    }

    /// If the next item is a `string` or `base64` of more than `bytes` bytes, reads all but its content, and returns
    /// what that is and its size in bytes. The content must then be read in chunks.
    pub fn begin_long(&mut self, bytes: usize) -> Option<(Content, usize)> {
        let mut content = *self;
        let (letter, length) = content.head()?;
        let kind = match letter {
            b's' => Content::Text,
            b'b' => Content::Bytes,
            _ => return None,
        };
        let length = usize::try_from(length).ok().filter(|length| bytes < *length)?;
        *self = content;
        Some((kind, length))
    }

    /// The next chunk of a text: at most this many bytes, and as many as are whole characters.
    pub fn text_chunk(&mut self, bytes: usize) -> Option<&'a str> {
        let is_boundary = |at: &usize| self.0.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
        let length = (1..=bytes).rev().find(is_boundary)?;
        self.text(length as u64)
    }

    /// The next value, with all its parts.
    pub fn value(&mut self) -> Option<Value> {
        self.value_within(0)
    }

    /// Skips the next value and returns an unpacker for it alone. Only its structure is checked, not its content.
    pub fn skip(&mut self) -> Option<Unpacker<'a>> {
        let begin = self.0;
        self.skip_within(0)?;
        let (skipped, _) = begin.split_at_checked(begin.len() - self.0.len())?;
        Some(Unpacker(skipped))
    }

    /// The next value, at this nesting depth of arrays and structs.
    fn value_within(&mut self, depth: usize) -> Option<Value> {
        Some(match self.next()? {
            Next::Int(number) => Value::Int(number),
            Next::Boolean(truth) => Value::Boolean(truth),
            Next::Double(number) => Value::Double(number),
            Next::String(text) => Value::String(text.into()),
            Next::Bytes(bytes) => Value::Base64(bytes.into()),
            Next::DateTime(text) => Value::DateTime(DateTime::new(text)?),
            // The count is only a claim: no memory is reserved for elements before they come.
            Next::Array(count) if depth < DEPTH_MAX => {
                let element = |_| self.value_within(depth + 1);
                Value::Array((0..count).map(element).collect::<Option<_>>()?)
            }
            Next::Struct(count) if depth < DEPTH_MAX => {
                let member = |_| Some((self.name()?.into(), self.value_within(depth + 1)?));
                let members: Box<[_]> = (0..count).map(member).collect::<Option<_>>()?;
                if doubled(&members).is_some() {
                    return None;
                }
                Value::Struct(members)
            }
            Next::Array(_) | Next::Struct(_) => return None,
        })
    }

    fn skip_within(&mut self, depth: usize) -> Option<()> {
        let (letter, number) = self.head()?;
        match letter {
            b'i' | b't' | b'd' => {}
            b's' | b'b' | b'z' => _ = self.bytes(number)?,
            b'a' if depth < DEPTH_MAX => {
                (0..number).try_for_each(|_| self.skip_within(depth + 1))?;
            }
            b'm' if depth < DEPTH_MAX => {
                (0..number)
                    .try_for_each(|_| self.name().and_then(|_| self.skip_within(depth + 1)))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The name of a member.
    pub fn name(&mut self) -> Option<&'a str> {
        match self.head()? {
            (b's', length) => self.text(length),
            _ => None,
        }
    }

    fn text(&mut self, length: u64) -> Option<&'a str> {
        let text = str::from_utf8(self.bytes(length)?).ok()?;
        first_unfit(text).is_none().then_some(text)
    }

    /// The next bytes, this many.
    pub fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn head(&mut self) -> Option<(u8, u64)> {
        let (head, rest) = self.0.split_first_chunk::<HEAD_BYTES>()?;
        let [letter, number @ ..] = *head;
        self.0 = rest;
        Some((letter, u64::from_le_bytes(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(elements: &[Value]) -> Value {
        Value::Array(elements.into())
    }

    fn structure(members: &[(&str, Value)]) -> Value {
        Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    fn samples() -> [Value; 13] {
        [
            0.into(),
            i64::MIN.into(),
            i64::MAX.into(),
            true.into(),
            false.into(),
            Value::Double(Double::new(-0.5).unwrap()),
            "".into(),
            "漢 \r\n<&>".into(),
            Value::Base64([0, 255].into()),
            Value::DateTime(DateTime::new("19980717T14:08:55").unwrap()),
            array(&[]),
            array(&[1.into(), array(&["a".into()])]),
            structure(&[("", 1.into()), ("a", structure(&[]))]),
        ]
    }

    #[test]
    fn what_is_packed_is_unpacked_as_it_was() {
        for value in samples() {
            assert_eq!(Value::unpack(&value.pack()), Some(value));
        }
    }

    #[test]
    fn neither_less_nor_more_than_a_value_is_one() {
        for value in samples() {
            let packed = value.pack();
            assert_eq!(packed.capacity(), packed.len(), "{value:?}");
            for length in 0..packed.len() {
                assert_eq!(Value::unpack(&packed[..length]), None, "{length} bytes of {value:?}");
            }
            assert_eq!(Value::unpack(&[&packed[..], b"i"].concat()), None);
        }
    }

    /// Hash lists are compared by their bytes.
    #[test]
    fn a_value_is_packed_in_one_way_only() {
        for value in samples() {
            let packed = value.pack();
            for (place, byte) in
                (0..packed.len()).flat_map(|place| (0..=255).map(move |b| (place, b)))
            {
                let mut changed = packed.clone();
                changed[place] = byte;
                if let Some(value) = Value::unpack(&changed) {
                    assert_eq!(value.pack(), changed, "{value:?}");
                }
            }
        }
    }

    #[test]
    fn bytes_that_keep_no_promise_are_no_value() {
        let head = |letter, number: u64| {
            let mut packer = Packer::with_capacity(HEAD_BYTES);
            packer.head(letter, number);
            packer.into_bytes()
        };
        let name = [head(b's', 1), b"a".to_vec(), head(b'i', 1)].concat();
        for (bytes, why) in [
            (head(b'x', 0), "no such type"),
            (head(b't', 2), "neither true nor false"),
            (head(b'd', f64::NAN.to_bits()), "not finite"),
            (head(b's', u64::MAX), "longer than there are bytes"),
            (head(b'a', u64::MAX), "more elements than there are bytes"),
            ([head(b's', 1), vec![0xFF]].concat(), "not UTF-8"),
            ([head(b's', 1), vec![1]].concat(), "a character that XML cannot carry"),
            ([head(b'z', 1), b"T".to_vec()].concat(), "neither date nor time"),
            ([head(b'm', 2), name.clone(), name].concat(), "a name twice"),
            ([head(b'm', 1), head(b'i', 1), head(b'i', 1)].concat(), "a name that is no string"),
        ] {
            assert_eq!(Value::unpack(&bytes), None, "{why}");
        }
    }

    #[test]
    fn the_content_of_a_long_item_is_read_in_chunks_of_whole_characters() {
        let text = "a漢\u{10000}é";
        let packed = Value::from(text).pack();
        for bytes in 4..=text.len() {
            let mut unpacker = Unpacker::new(&packed);
            assert_eq!(unpacker.begin_long(text.len()), None, "it is not longer");
            let begun = unpacker.begin_long(text.len() - 1);
            assert_eq!(begun, Some((Content::Text, text.len())));
            let mut chunks = Vec::new();
            while !unpacker.is_at_end() {
                chunks.push(unpacker.text_chunk(bytes.min(unpacker.left())).unwrap());
                assert!(chunks.iter().all(|chunk| (1..=bytes).contains(&chunk.len())));
            }
            assert_eq!(chunks.concat(), text);
        }
        let packed = Value::Base64([0, 255].into()).pack();
        let mut unpacker = Unpacker::new(&packed);
        assert_eq!(unpacker.begin_long(1), Some((Content::Bytes, 2)));
        assert_eq!(unpacker.bytes(2), Some(&[0, 255][..]));
        assert_eq!(Unpacker::new(&array(&[]).pack()).begin_long(0), None);
    }

    #[test]
    fn values_nest_as_deep_as_may_be_and_no_deeper() {
        let mut value = Value::from(1);
        for _ in 0..DEPTH_MAX {
            value = array(&[value]);
        }
        assert_eq!(Value::unpack(&value.pack()), Some(value.clone()));
        assert_eq!(Value::unpack(&array(&[value]).pack()), None);
    }
}
