//! Hash lists as they are kept: packed, since a log keeps every one that there ever was.

use std::fmt;

use crate::value::Value;

/// A hash list; its elements keep the type and value they came with.
///
/// It takes nine bytes beside the text of each hash, in one piece of memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HashList(Box<[u8]>);

impl HashList {
    /// The list that was packed into these bytes; `None` if none was.
    pub fn unpack(packed: Box<[u8]>) -> Option<HashList> {
        matches!(Value::unpack(&packed), Some(Value::Array(_))).then_some(HashList(packed))
    }

    /// The list packed, as [`unpack`](HashList::unpack) takes it.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// The elements in their order.
    pub fn elements(&self) -> Box<[Value]> {
        match Value::unpack(&self.0) {
            Some(Value::Array(elements)) => elements,
            // Nothing else was ever packed here.
            _ => Box::default(),
        }
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
    fn a_hash_takes_nine_bytes_and_its_text() {
        let bytes = |count| {
            (0..count).map(|_| "x".repeat(64).as_str().into()).collect::<HashList>().0.len()
        };
        assert_eq!(bytes(2) - bytes(1), 9 + 64);
    }
}
