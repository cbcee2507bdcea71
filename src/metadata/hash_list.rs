//! Hash lists in their stored form: packed, because a log keeps all of them, not only the newest.

use std::fmt;

use crate::value::{Next, Unpacker, Value};

/// A hash list: an array whose elements keep their original type and value, or a scalar that a client stored in its
/// place. Some clients write a deletion as `"0"` instead of `["0"]`, and look for what they wrote.
///
/// It takes nine bytes in addition to the text of each hash, in one allocation. The scalar is packed as itself, so the
/// packed form tells it from a list of one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HashList(Box<[u8]>);

/// The maximum nesting depth of the elements of a list. Answers contain them some levels deeper.
const ELEMENT_DEPTH_MAX: usize = 16;

/// The size in bytes of the longest packed tombstone: an array, and in it a string of one byte.
const TOMBSTONE_BYTES_MAX: usize = 9 + 9 + 1;

impl HashList {
    /// The hash list that is this array or scalar; `None` if clients may not store it, because it is a struct or no
    /// answer can carry it.
    pub fn new(hashes: &Value) -> Option<HashList> {
        let may_be_stored = match hashes {
            Value::Array(elements) => {
                elements.iter().all(|element| can_be_answered(element, ELEMENT_DEPTH_MAX))
            }
            Value::Struct(_) => false,
            scalar => can_be_answered(scalar, 0),
        };
        may_be_stored.then(|| HashList(hashes.pack().into()))
    }

    /// The list that was packed into these bytes; `None` if clients may not store such a list.
    pub fn unpack(packed: Box<[u8]>) -> Option<HashList> {
        let mut unpacker = Unpacker::new(&packed);
        match unpacker.next()? {
            Next::Array(count) => (0..count).try_for_each(|_| check_next(&mut unpacker))?,
            Next::Struct(_) => return None,
            _ => {
                unpacker = Unpacker::new(&packed);
                check_next(&mut unpacker)?;
            }
        }
        unpacker.is_at_end().then_some(HashList(packed))
    }

    /// The packed list, as [`unpack`](HashList::unpack) accepts it.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// The array or scalar.
    pub fn value(&self) -> Value {
        Value::unpack(&self.0).expect("bug: a hash list keeps only bytes that unpack")
    }

    /// The number of elements.
    #[expect(clippy::len_without_is_empty, reason = "no caller asks whether a list is empty")]
    pub fn len(&self) -> usize {
        match Unpacker::new(&self.0).next() {
            Some(Next::Array(count)) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => 1,
        }
    }

    /// The elements, in order. A scalar is its own only element.
    pub fn elements(&self) -> Box<[Value]> {
        match self.value() {
            Value::Array(elements) => elements,
            scalar => [scalar].into(),
        }
    }

    /// Whether it marks a deleted file: it is a single 0, as a number or as text, in a list or not.
    pub fn is_tombstone(&self) -> bool {
        // Most lists are longer, some by far.
        if TOMBSTONE_BYTES_MAX < self.0.len() {
            return false;
        }
        match &*self.elements() {
            [Value::Int(number)] => *number == 0,
            [Value::String(text)] => **text == *"0",
            _ => false,
        }
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
        Value::Boolean(_)
        | Value::Double(_)
        | Value::String(_)
        | Value::Base64(_)
        | Value::DateTime(_) => true,
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
        match self.value() {
            Value::Array(elements) => elements.fmt(f),
            scalar => scalar.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{DateTime, Double};

    #[test]
    fn a_list_is_unpacked_as_it_was_packed() {
        for elements in [vec![], vec!["h1".into(), 2.into(), true.into()]] {
            let list: HashList = elements.iter().cloned().collect();
            assert_eq!(&*list.elements(), &elements[..]);
            assert_eq!(HashList::unpack(list.packed().into()), Some(list));
        }
    }

    fn scalars() -> [Value; 6] {
        let double = Value::Double(Double::new(-0.5).unwrap());
        let time = Value::DateTime(DateTime::new("19980717T14:08:55").unwrap());
        ["h1".into(), 0.into(), true.into(), double, Value::Base64([0].into()), time]
    }

    #[test]
    fn a_scalar_in_a_lists_place_is_unpacked_as_it_was_packed_and_differs_from_a_list_of_it() {
        for scalar in scalars() {
            let stored = HashList::new(&scalar).expect("clients may store it");
            assert_eq!(HashList::unpack(stored.packed().into()), Some(stored.clone()));
            assert_eq!(stored.value(), scalar);
            assert_eq!(*stored.elements(), *std::slice::from_ref(&scalar));
            let list = HashList::from([scalar.clone()]);
            assert_ne!(stored, list);
            assert_eq!(list.value(), Value::Array([scalar].into()));
        }
    }

    #[test]
    fn a_lone_0_is_a_tombstone_in_a_list_or_not() {
        let list = |elements: &[Value]| Value::Array(elements.into());
        let is_tombstone = |hashes: &Value| HashList::new(hashes).unwrap().is_tombstone();
        for zero in ["0".into(), Value::from(0)] {
            assert!(is_tombstone(&zero) && is_tombstone(&list(std::slice::from_ref(&zero))));
            assert!(!is_tombstone(&list(&[zero.clone(), zero])));
        }
        for other in [list(&[]), "".into(), "00".into(), 1.into(), false.into()] {
            assert!(!is_tombstone(&other), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_packed_list_is_none() {
        let structure = Value::Struct([].into());
        assert_eq!(HashList::new(&structure), None);
        let two = [Value::from("h1").pack(), Value::from("h2").pack()].concat();
        for packed in [vec![], b"garbage".to_vec(), structure.pack(), two] {
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
            assert_eq!(HashList::new(&Value::Array([element.clone()].into())), None);
            assert_eq!(unpacked(element), None);
        }
        let scalar = Value::from(1 << 31);
        assert_eq!(HashList::new(&scalar), None);
        assert_eq!(HashList::unpack(scalar.pack().into()), None);
    }

    #[test]
    fn a_hash_takes_nine_bytes_and_its_text() {
        let bytes = |count| {
            (0..count).map(|_| "x".repeat(64).as_str().into()).collect::<HashList>().0.len()
        };
        assert_eq!(bytes(2) - bytes(1), 9 + 64);
    }
}
