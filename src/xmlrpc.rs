//! XML-RPC documents in both directions: bytes to calls and answers, and back.
//!
//! Parsing has two layers. `encoding` makes text of the bytes, and `document` checks that it is well-formed XML, much
//! of which `quick-xml` does not check, and returns tags and text with all references expanded. `parse` implements the
//! grammar of XML-RPC on top of it, and `scalar` parses the values without parts. Well-formedness comes first: an error
//! anywhere in the XML is reported as such, and a truncated document is never read as a call.
//!
//! Parsing takes time linear in the document (times the logarithm of a struct's size, to find duplicates) and a stack
//! bounded by [`DEPTH_MAX`](crate::value::DEPTH_MAX). Entities cannot be defined, and files and networks are never
//! accessed.
//!
//! A message between servers is a document that contains a single base64 value. `envelope` recognizes it by the fixed
//! bytes around the value, and skips both layers.
//!
//! Writing streams: a large answer is written straight to bytes, without an intermediate [`Value`]. A packed value can
//! also be written in parts, by [`PackedWriter`]. Anything that is written gives a readable document.
//!
//! The module does not know which methods exist, and knows neither HTTP nor Raft.

mod attributes;
mod characters;
mod document;
mod encoding;
mod envelope;
mod error;
mod packed;
mod parse;
mod reference;
mod scalar;
mod write;

use crate::value::Value;

pub use error::ParseError;
pub use packed::PackedWriter;
pub use parse::{parse_call, parse_response};
pub use write::{
    Members, MulticallElement, Params, Writer, is_fault, multicall_element, response_bytes,
    write_around_elements, write_around_members, write_around_symbols, write_call, write_elements,
    write_fault, write_members, write_response, write_symbols,
};

/// A call as it was sent. Methods are not known here, so any name and any parameters may occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCall {
    /// The method's name, never empty, without surrounding white space.
    pub method: String,
    /// The parameters in order, at most 64; or why they cannot be read, although the XML is well-formed. The caller
    /// learns that only if there is such a method.
    pub params: Result<Vec<Value>, ParseError>,
}

/// The answer to a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The error, for programs.
    pub code: i32,
    /// The error, for people.
    pub message: String,
}
