//! Values packed into bytes, as servers send them to each other: a small part of the size and the work that XML takes.
//!
//! A value is a letter for its type, a number of eight bytes, least significant first, and its content:
//!
//! | Letter | Number | Content |
//! |---|---|---|
//! | `i` | the int | |
//! | `t` | 1 or 0, the boolean | |
//! | `d` | the bits of the double | |
//! | `s`, `b` | how many bytes | the string in UTF-8, the bytes |
//! | `a` | how many elements | the elements |
//! | `m` | how many members | each member's name, as a string, and value |

use super::{DEPTH_MAX, Double, Value, doubled, first_unfit};

impl Value {
    /// The value as bytes.
    pub fn pack(&self) -> Vec<u8> {
        // Exactly as much, since what is packed is often kept.
        let mut packer = Packer::with_capacity(length(self));
        packer.value(self);
        packer.into_bytes()
    }

    /// The value that these bytes are, if they are one and nothing more.
    ///
    /// Bytes from anywhere may be given: what comes out keeps every promise that [`Value`] makes, and takes no more
    /// memory than a small multiple of what went in.
    pub fn unpack(bytes: &[u8]) -> Option<Value> {
        let mut rest = bytes;
        let value = read(&mut rest, 0)?;
        rest.is_empty().then_some(value)
    }
}

/// The bytes of what stands before each content.
const HEAD_BYTES: usize = 9;

/// How many bytes the value takes.
fn length(value: &Value) -> usize {
    let content = match value {
        Value::Int(_) | Value::Boolean(_) | Value::Double(_) => 0,
        Value::String(text) => text.len(),
        Value::Base64(bytes) => bytes.len(),
        Value::Array(elements) => elements.iter().map(length).sum(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| HEAD_BYTES + name.len() + length(value)).sum()
        }
    };
    HEAD_BYTES + content
}

/// Where values are packed one after another, without being made first.
#[derive(Debug)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// Sets so many bytes aside, which may turn out to be too few.
    pub fn with_capacity(bytes: usize) -> Packer {
        Packer(Vec::with_capacity(bytes))
    }

    /// What was packed.
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

    /// Packs bytes, that is `base64`.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.content(b'b', bytes);
    }

    /// Packs an `array`, whose so many elements are packed next.
    pub fn array(&mut self, elements: usize) {
        self.head(b'a', elements as u64);
    }

    /// Packs a `struct`, of whose so many members first the name is packed next, as a string, and then the value.
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

/// Reads the value that `rest` begins with, which stands within so many arrays and structs.
fn read(rest: &mut &[u8], depth: usize) -> Option<Value> {
    let (letter, number) = read_head(rest)?;
    Some(match letter {
        b'i' => Value::Int(number.cast_signed()),
        b't' => Value::Boolean(match number {
            0 => false,
            1 => true,
            _ => return None,
        }),
        b'd' => Value::Double(Double::new(f64::from_bits(number))?),
        b's' => Value::String(read_text(rest, number)?),
        b'b' => Value::Base64(read_bytes(rest, number)?.into()),
        // How many there are is only said: nothing is set aside for them before they come.
        b'a' if depth < DEPTH_MAX => {
            Value::Array((0..number).map(|_| read(rest, depth + 1)).collect::<Option<_>>()?)
        }
        b'm' if depth < DEPTH_MAX => {
            let member = |_| Some((read_name(rest)?, read(rest, depth + 1)?));
            let members: Box<[_]> = (0..number).map(member).collect::<Option<_>>()?;
            if doubled(&members).is_some() {
                return None;
            }
            Value::Struct(members)
        }
        _ => return None,
    })
}

fn read_name(rest: &mut &[u8]) -> Option<Box<str>> {
    match read_head(rest)? {
        (b's', length) => read_text(rest, length),
        _ => None,
    }
}

fn read_text(rest: &mut &[u8], length: u64) -> Option<Box<str>> {
    let text = str::from_utf8(read_bytes(rest, length)?).ok()?;
    first_unfit(text).is_none().then(|| text.into())
}

fn read_bytes<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(bytes)
}

fn read_head(rest: &mut &[u8]) -> Option<(u8, u64)> {
    let (head, after) = rest.split_first_chunk::<HEAD_BYTES>()?;
    let [letter, number @ ..] = *head;
    *rest = after;
    Some((letter, u64::from_le_bytes(number)))
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

    fn samples() -> [Value; 12] {
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
            ([head(b'm', 2), name.clone(), name].concat(), "a name twice"),
            ([head(b'm', 1), head(b'i', 1), head(b'i', 1)].concat(), "a name that is no string"),
        ] {
            assert_eq!(Value::unpack(&bytes), None, "{why}");
        }
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
