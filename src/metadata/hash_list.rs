//! Hash lists in their stored form: packed, because a log keeps all of them, not only the newest.

use std::fmt;

use crate::value::{Next, Unpacker, Value};

/// A hash list. Its elements keep their original type and value.
///
/// It takes nine bytes in addition to the text of each hash, in one allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HashList(Box<[u8]>);

/// The maximum nesting depth of the elements of a list. Answers contain them some levels deeper.
const ELEMENT_DEPTH_MAX: usize = 16;

impl HashList {
    /// Whether a list may contain these elements: answers with the map must be able to carry them.
    pub fn may_have(elements: &[Value]) -> bool {
        elements.iter().all(|element| can_be_answered(element, ELEMENT_DEPTH_MAX))
    }

    /// The list that was packed into these bytes; `None` if clients may not store such a list.
    pub fn unpack(packed: Box<[u8]>) -> Option<HashList> {
        let mut unpacker = Unpacker::new(&packed);
        let Next::Array(count) = unpacker.next()? else { return None };
        (0..count).try_for_each(|_| check_next(&mut unpacker))?;
        unpacker.is_at_end().then_some(HashList(packed))
    }

    /// The packed list, as [`unpack`](HashList::unpack) accepts it.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// The elements, in order.
    pub fn elements(&self) -> Box<[Value]> {
        let unpacked = match Value::unpack(&self.0) {
            Some(Value::Array(elements)) => Some(elements),
            _ => None,
        };
        unpacked.expect("bug: a hash list keeps only bytes that unpack to a list")
    }
}

/// Skips the next element, if a list may contain it.
fn check_next(unpacker: &mut Unpacker<'_>) -> Option<()> {
    let here = *unpacker;
    // Nearly all elements are strings. They are checked without building a value.
    if let Next::String(_) = unpacker.next()? {
        return Some(());
    }
    *unpacker = here;
    can_be_answered(&unpacker.value()?, ELEMENT_DEPTH_MAX).then_some(())
}

/// Whether an answer can carry the element: it must not contain an int beyond 32 bits.
fn can_be_answered(element: &Value, depth_max: usize) -> bool {
    let deeper = |element: &Value| {
        depth_max.checked_sub(1).is_some_and(|depth| can_be_answered(element, depth))
    };
    match element {
        Value::Int(number) => i32::try_from(*number).is_ok(),
        Value::Array(elements) => elements.iter().all(deeper),
        Value::Struct(members) => members.iter().all(|(_, element)| deeper(element)),
        Value::Boolean(_) | Value::Double(_) | Value::String(_) | Value::Base64(_) => true,
    }
}

impl From<Box<[Value]>> for HashList {
    fn from(elements: Box<[Value]>) -> HashList {
        HashList(Value::Array(elements).pack().into())
    }
}

impl<const N: usize> From<[Value; N]> for HashList {
    fn from(elements: [Value; N]) -> HashList {
        HashList::from(Box::<[Value]>::from(elements))
    }
}

impl FromIterator<Value> for HashList {
    fn from_iter<I: IntoIterator<Item = Value>>(elements: I) -> HashList {
        HashList::from(elements.into_iter().collect::<Box<[Value]>>())
    }
}

impl Default for HashList {
    fn default() -> HashList {
        HashList::from([])
    }
}

impl fmt::Debug for HashList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_unpacked_as_it_was_packed() {
        for elements in [vec![], vec!["h1".into(), 2.into(), true.into()]] {
            let list: HashList = elements.iter().cloned().collect();
            assert_eq!(&*list.elements(), &elements[..]);
            assert_eq!(HashList::unpack(list.packed().into()), Some(list));
        }
    }

    #[test]
    fn what_is_no_packed_list_is_none() {
        for packed in [vec![], b"garbage".to_vec(), Value::from("h1").pack()] {
            assert_eq!(HashList::unpack(packed.into()), None);
        }
    }

    #[test]
    fn a_packed_list_has_no_element_that_no_answer_can_carry() {
        let nested =
            |depth| (0..depth).fold(Value::from(1), |value, _| Value::Array([value].into()));
        let unpacked = |element| {
            HashList::unpack(Value::Array([element].into()).pack().into())
                .map(|list| list.elements()[0].clone())
        };
        for element in [i64::from(i32::MIN).into(), nested(ELEMENT_DEPTH_MAX)] {
            assert_eq!(unpacked(element.clone()), Some(element));
        }
        for element in [(1 << 31).into(), i64::MIN.into(), nested(ELEMENT_DEPTH_MAX + 1)] {
            assert_eq!(unpacked(element), None);
        }
    }

    #[test]
    fn a_hash_takes_nine_bytes_and_its_text() {
        let bytes = |count| {
            (0..count).map(|_| "x".repeat(64).as_str().into()).collect::<HashList>().0.len()
        };
        assert_eq!(bytes(2) - bytes(1), 9 + 64);
    }
}
