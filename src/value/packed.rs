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
        let mut out = Vec::with_capacity(length(self));
        write(&mut out, self);
        out
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

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Int(number) => write_head(out, b'i', number.cast_unsigned()),
        Value::Boolean(truth) => write_head(out, b't', u64::from(*truth)),
        Value::Double(number) => write_head(out, b'd', number.get().to_bits()),
        Value::String(text) => write_bytes(out, b's', text.as_bytes()),
        Value::Base64(bytes) => write_bytes(out, b'b', bytes),
        Value::Array(elements) => {
            write_head(out, b'a', elements.len() as u64);
            elements.iter().for_each(|element| write(out, element));
        }
        Value::Struct(members) => {
            write_head(out, b'm', members.len() as u64);
            for (name, value) in members {
                write_bytes(out, b's', name.as_bytes());
                write(out, value);
            }
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, letter: u8, bytes: &[u8]) {
    write_head(out, letter, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_head(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.push(letter);
    out.extend_from_slice(&number.to_le_bytes());
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
            let mut out = Vec::new();
            write_head(&mut out, letter, number);
            out
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
