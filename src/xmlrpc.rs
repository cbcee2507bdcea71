//! XML-RPC documents, in both directions: bytes to calls and answers, and back.
//!
//! A document is read in two layers. `document` decides whether the bytes are well-formed XML, which `quick-xml`
//! leaves open in many respects, and gives out tags and text with every reference expanded. `parse` reads the grammar of
//! XML-RPC from those, and `scalar` the values within. Whether a document is well-formed is decided first: what breaks
//! XML anywhere is reported as that, and no call is ever read from a document that was cut short.
//!
//! Reading takes time linear in the document (times the logarithm of a struct's size, for the duplicates) and a stack
//! bounded by [`DEPTH_MAX`](crate::value::DEPTH_MAX). Entities are never defined, files and networks never touched.
//!
//! The messages of servers to each other are documents of one base64. `envelope` knows them by what stands around it, and
//! spares them both layers.
//!
//! Writing streams: a big answer goes straight into its bytes, without a [`Value`] in between, and nothing that is
//! written can make the document unreadable.
//!
//! The module knows no method, no HTTP and no Raft.

mod attributes;
mod characters;
mod document;
mod envelope;
mod error;
mod parse;
mod reference;
mod scalar;
mod write;

use crate::value::Value;

pub use error::ParseError;
pub use parse::{parse_call, parse_response};
pub use write::{
    Members, Params, Writer, is_fault, response_bytes, write_around_members, write_call,
    write_fault, write_members, write_multicall, write_response,
};

/// A call as it was sent: no method is known here, so any name and any parameters may stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCall {
    /// The method's name, never empty, without the white space around it.
    pub method: String,
    /// The parameters in order, at most 64.
    pub params: Vec<Value>,
}

/// The answer of a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong, for programs.
    pub code: i32,
    /// What went wrong, for people.
    pub message: String,
}
