//! Looks up a request's header values by name.
//!
//! It gives no header a meaning; other modules do.

use httparse::{EMPTY_HEADER, Status};

use super::{HEADERS_MAX, Refusal};

/// The headers of one head, in order.
pub(super) struct Headers<'a> {
    /// Names, and values without surrounding blanks; at most [`HEADERS_MAX`].
    fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Headers<'a> {
    /// Splits the header lines, including the empty line that ends them.
    pub(super) fn read(lines: &'a [u8]) -> Result<Headers<'a>, Refusal> {
        let mut slots = [EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(lines, &mut slots) {
            Ok(Status::Complete((length, headers))) if length == lines.len() => {
                let fields = headers.iter().map(|header| (header.name, header.value)).collect();
                Ok(Headers { fields })
            }
            _ => Err(Refusal::bad_request("the headers are malformed")),
        }
    }

    /// The values of all headers with this name.
    ///
    /// # Errors
    ///
    /// If a value is not ASCII: no header that is looked up may have such a value.
    pub(super) fn values(&self, name: &str) -> Result<Vec<&'a str>, Refusal> {
        let named = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named
            .map(|(_, value)| str::from_utf8(value).ok().filter(|value| value.is_ascii()))
            .collect::<Option<Vec<_>>>()
            .ok_or(Refusal::bad_request("the value of a relevant header is not ASCII"))
    }

    /// The value of the only header with this name, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns `several` if there are several, and another refusal if the value is not ASCII.
    pub(super) fn only(&self, name: &str, several: Refusal) -> Result<Option<&'a str>, Refusal> {
        match self.values(name)?.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(several),
        }
    }
}
