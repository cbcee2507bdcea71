//! Why a document was refused, numbered by the list of fault codes for interoperability.

use std::fmt;

/// A document that cannot be parsed, with a sentence for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    // Boxed, because every parsing step returns either its result or this error, and one word is cheaper to pass on.
    cause: Box<Cause>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NotWellFormed,
    UnknownEncoding,
    BadCharacter,
    NotXmlRpc,
    BadValue,
}

impl ParseError {
    /// The fault code that answers such a document.
    ///
    /// - −32700: not well-formed XML, or beyond a bound on depth or attributes, or with a DOCTYPE.
    /// - −32701: UTF-16, or declared to be in an encoding that is not a subset of UTF-8.
    /// - −32702: bytes that are not UTF-8, or a character, raw or by number, that XML 1.0 does not allow.
    /// - −32600: well-formed, but not XML-RPC.
    /// - −32602: XML-RPC with a value that is out of range, malformed or of an unsupported type, or with too many
    ///   parameters.
    pub fn code(&self) -> i32 {
        match self.cause.kind {
            Kind::NotWellFormed => -32700,
            Kind::UnknownEncoding => -32701,
            Kind::BadCharacter => -32702,
            Kind::NotXmlRpc => -32600,
            Kind::BadValue => -32602,
        }
    }

    /// Whether the XML itself is broken, so that nothing after this point can be trusted.
    pub(super) fn breaks_xml(&self) -> bool {
        match self.cause.kind {
            Kind::NotWellFormed | Kind::UnknownEncoding | Kind::BadCharacter => true,
            Kind::NotXmlRpc | Kind::BadValue => false,
        }
    }

    fn new(kind: Kind, message: String) -> ParseError {
        ParseError { cause: Box::new(Cause { kind, message }) }
    }

    pub(super) fn not_well_formed(message: impl Into<String>) -> ParseError {
        ParseError::new(Kind::NotWellFormed, message.into())
    }

    pub(super) fn unknown_encoding(message: impl Into<String>) -> ParseError {
        ParseError::new(Kind::UnknownEncoding, message.into())
    }

    pub(super) fn bad_character(message: impl Into<String>) -> ParseError {
        ParseError::new(Kind::BadCharacter, message.into())
    }

    pub(super) fn not_xml_rpc(message: impl Into<String>) -> ParseError {
        ParseError::new(Kind::NotXmlRpc, message.into())
    }

    pub(super) fn bad_value(message: impl Into<String>) -> ParseError {
        ParseError::new(Kind::BadValue, message.into())
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause.message)
    }
}

impl std::error::Error for ParseError {}

/// Untrusted text of any length, made safe for a message: truncated, quoted, and without control characters.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
