//! The values of a request's headers by their names.
//!
//! Knows no header: which ones matter is for others.

use httparse::{EMPTY_HEADER, Status};

use super::{HEADERS_MAX, Refusal};

/// The headers of one head, in their order.
pub(super) struct Headers<'a> {
    /// Names, and values without the blanks around them; at most [`HEADERS_MAX`].
    fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Headers<'a> {
    /// Splits the header lines, with the empty line that ends them.
    pub(super) fn read(lines: &'a [u8]) -> Result<Headers<'a>, Refusal> {
        let mut slots = [EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(lines, &mut slots) {
            Ok(Status::Complete((length, headers))) if length == lines.len() => {
                let fields = headers.iter().map(|header| (header.name, header.value)).collect();
                Ok(Headers { fields })
            }
            _ => Err(Refusal::bad_request("the headers cannot be read")),
        }
    }

    /// The values of all headers of this name.
    ///
    /// # Errors
    ///
    /// If one is not ASCII: no header that is asked for has a meaning beyond it.
    pub(super) fn values(&self, name: &str) -> Result<Vec<&'a str>, Refusal> {
        let named = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named
            .map(|(_, value)| str::from_utf8(value).ok().filter(|value| value.is_ascii()))
            .collect::<Option<Vec<_>>>()
            .ok_or(Refusal::bad_request("a header that matters has a value that is not ASCII"))
    }

    /// The value of the only header of this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If there are several, with `several`; or if one is not ASCII.
    pub(super) fn only(&self, name: &str, several: Refusal) -> Result<Option<&'a str>, Refusal> {
        match self.values(name)?.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(several),
        }
    }
}
