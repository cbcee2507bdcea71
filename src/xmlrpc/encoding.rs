//! The encoding of a document: what its bytes are, whatever its declaration calls them.
//!
//! Documents are UTF-8. Many clients declare another encoding and send UTF-8, or only ASCII, which means the same in
//! most encodings. So a declared name matters only if the bytes leave a doubt.

use std::borrow::Cow;

use super::attributes::attributes;
use super::error::{ParseError, quoted};
use crate::value::first_unfit;

/// An encoding that a document may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, or the part of it that is ASCII.
    Utf8,
    /// ISO-8859-1, in which every byte is a character. Some clients declare it and send UTF-8.
    Latin1,
    /// One in which only the ASCII characters have the same bytes as in UTF-8.
    AsciiSuperset,
}

impl Encoding {
    /// The encoding with that name. The names are those of the IANA registry and of the clients' libraries, which write
    /// them with and without hyphens and underscores.
    fn named(name: &str) -> Option<Encoding> {
        let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
        let name = letters.collect::<String>().to_ascii_lowercase();
        let is_number = |text: &str| text.parse::<u16>().is_ok();
        let ends_with_number = |start| name.strip_prefix(start).is_some_and(is_number);
        match &*name {
            "utf8" | "ascii" | "usascii" => Some(Encoding::Utf8),
            "iso88591" | "latin1" => Some(Encoding::Latin1),
            "koi8r" | "koi8u" => Some(Encoding::AsciiSuperset),
            _ if ["iso8859", "latin", "windows125", "cp125"].into_iter().any(ends_with_number) => {
                Some(Encoding::AsciiSuperset)
            }
            _ => None,
        }
    }
}

/// The document's text, all of which consists of characters that XML allows.
///
/// This includes the characters of comments and processing instructions, because no XML parser accepts others there.
pub(super) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    // A UTF-16 document starts with a byte order mark, or with a `<` next to a zero byte.
    if let [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, b'<', ..] | [b'<', 0, ..] = bytes {
        return Err(ParseError::unknown_encoding("the document is in UTF-16; expected UTF-8"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if declared(bytes) == Some(Encoding::Latin1) => {
            Cow::Owned(bytes.iter().copied().map(char::from).collect())
        }
        Err(error) => {
            return Err(ParseError::bad_character(format!(
                "the document is not UTF-8 at byte {}",
                error.valid_up_to()
            )));
        }
    };
    match first_unfit(&text) {
        None => Ok(text),
        Some((at, character)) => Err(ParseError::bad_character(format!(
            "the character U+{:04X} at byte {at} is not allowed in an XML document",
            u32::from(character)
        ))),
    }
}

/// Checks that the text of a document is what it would be in the encoding that its declaration names.
pub(super) fn check_declared(name: &str, text: &str) -> Result<(), ParseError> {
    match Encoding::named(name) {
        Some(Encoding::Utf8 | Encoding::Latin1) => Ok(()),
        Some(Encoding::AsciiSuperset) if text.is_ascii() => Ok(()),
        Some(Encoding::AsciiSuperset) | None => Err(ParseError::unknown_encoding(format!(
            "the declared encoding is {}; expected UTF-8",
            quoted(name)
        ))),
    }
}

/// The encoding that the declaration at the beginning of the bytes names, if all of it is ASCII.
fn declared(bytes: &[u8]) -> Option<Encoding> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let end = rest.windows(2).position(|window| window == b"?>")?;
    let declaration = std::str::from_utf8(&rest[..end]).ok()?;
    let found = attributes(declaration).ok()?;
    let (_, name) = found.into_iter().find(|(attribute, _)| *attribute == "encoding")?;
    Encoding::named(name)
}
