//! The values that calls and answers consist of, and that hash lists contain.
//!
//! The wire and the store use the same type, because a hash list returns every element with its original type and
//! value. The module knows neither XML syntax nor Raft.

use std::fmt;

mod characters;
mod date_time;
mod packed;

pub use characters::{first_unfit, is_visible, is_xml};
pub use date_time::DateTime;
pub use packed::{Content, Next, Packer, Unpacker};

/// A value of one of XML-RPC's types, except `nil`, which no method here takes or returns.
///
/// Boxed slices and strings keep its size at 24 bytes plus its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `int`, `i4` or `i8`. Values in answers always fit `int`, that is, 32 bits.
    Int(i64),
    /// `boolean`.
    Boolean(bool),
    /// `double`, always finite.
    Double(Double),
    /// `string`, made of characters that XML 1.0 allows.
    String(Box<str>),
    /// `base64`, decoded.
    Base64(Box<[u8]>),
    /// `dateTime.iso8601`, as it was written.
    DateTime(DateTime),
    /// `array`.
    Array(Box<[Value]>),
    /// `struct`: its members in the order in which they were sent. No name occurs twice.
    Struct(Box<[(Box<str>, Value)]>),
}

/// A finite double that is compared bit by bit, so that every value equals itself and can be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Double(u64);

impl Double {
    /// The double, or `None` for infinities and NaN, which XML-RPC cannot carry.
    pub fn new(number: f64) -> Option<Double> {
        number.is_finite().then(|| Double(number.to_bits()))
    }

    /// The number itself.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

/// The maximum nesting depth of values, counted in arrays and structs; a scalar has depth 0.
///
/// It bounds every recursion over values: parsing, writing, comparing and dropping.
pub const DEPTH_MAX: usize = 64;

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Boolean(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl<const N: usize> From<[Value; N]> for Value {
    fn from(elements: [Value; N]) -> Value {
        Value::Array(elements.into())
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(elements: I) -> Value {
        Value::Array(elements.into_iter().collect())
    }
}

/// A name that two of the members share. It compares in sorted order, so that even a million members cost no more than
/// sorting them.
pub fn doubled(members: &[(Box<str>, Value)]) -> Option<&str> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_finite_and_equals_itself() {
        assert_eq!(Double::new(f64::NAN), None);
        assert_eq!(Double::new(f64::INFINITY), None);
        assert_eq!(Double::new(0.5), Double::new(0.5));
        assert_ne!(Double::new(0.0), Double::new(-0.0));
    }

    #[test]
    fn a_value_takes_24_bytes_beside_its_content() {
        assert_eq!(size_of::<Value>(), 24);
    }
}
