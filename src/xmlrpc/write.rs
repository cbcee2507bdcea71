//! Writes calls, answers and faults as bytes, value by value.

use std::fmt::Display;
use std::io::{self, Write};

use super::Fault;
use super::packed::PackedWriter;
use crate::value::{Double, Value, is_xml};

/// The document of a call.
pub fn write_call(method: &str, write: impl FnOnce(&mut Params<'_>)) -> Vec<u8> {
    write_between(CALL, |writer| {
        writer.escaped(method);
        writer.raw(PARAMS);
        write(&mut Params { writer });
    })
}

/// The start of every document.
pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// The bytes around the name and the parameters of a call.
pub(super) const CALL: [&str; 2] = ["<methodCall><methodName>", "</params></methodCall>"];

/// The bytes between the method's name and the parameters.
pub(super) const PARAMS: &str = "</methodName><params>";

/// The bytes around a parameter.
pub(super) const PARAM: [&str; 2] = ["<param>", "</param>"];

/// The bytes around the value of an answer.
pub(super) const RESPONSE: [&str; 2] =
    ["<methodResponse><params><param>", "</param></params></methodResponse>"];

/// The bytes around the elements of an array.
pub(super) const ARRAY: [&str; 2] = ["<value><array><data>", "</data></array></value>"];

/// The bytes around the members of a struct.
pub(super) const STRUCT: [&str; 2] = ["<value><struct>", "</struct></value>"];

/// The bytes before the name of a member, between the name and the value, and after the value.
pub(super) const MEMBER: [&str; 3] = ["<member><name>", "</name>", "</member>"];

/// The bytes around the text of a string.
pub(super) const STRING: [&str; 2] = ["<value><string>", "</string></value>"];

/// The bytes around base64 symbols.
pub(super) const BASE64: [&str; 2] = ["<value><base64>", "</base64></value>"];

/// The bytes around the struct of a fault.
const FAULT: [&str; 2] = ["<methodResponse><fault>", "</fault></methodResponse>"];

/// The document of an answer. `write` must write exactly one value.
pub fn write_response(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    write_between(RESPONSE, write)
}

/// The number of bytes that [`write_response`] returns.
pub fn response_bytes(write: impl FnOnce(&mut Writer)) -> usize {
    let mut writer = Writer { out: Out::Counted(0) };
    writer.document(RESPONSE, write);
    writer.len()
}

/// Members for a struct that is assembled from several parts.
pub fn write_members(write: impl FnOnce(&mut Members<'_>)) -> Vec<u8> {
    written(|writer| write(&mut Members { writer }))
}

/// The bytes before and after the members, in the document of an answer that is a struct.
pub fn write_around_members() -> [Vec<u8>; 2] {
    write_around(STRUCT)
}

/// Elements for an array that is assembled from several parts.
pub fn write_elements(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    written(write)
}

/// The bytes before and after the elements, in the document of an answer that is an array.
pub fn write_around_elements() -> [Vec<u8>; 2] {
    write_around(ARRAY)
}

/// Symbols for a `base64` that is assembled from several parts, of which all but the last have a multiple of 3 bytes.
pub fn write_symbols(bytes: &[u8]) -> Vec<u8> {
    written(|writer| writer.symbols(bytes))
}

/// The bytes before and after the symbols, in the document of an answer that is a `base64`.
pub fn write_around_symbols() -> [Vec<u8>; 2] {
    write_around(BASE64)
}

/// The bytes before and after the content, in the document of an answer with these bytes around it.
fn write_around([open, close]: [&str; 2]) -> [Vec<u8>; 2] {
    let mut content_begins = 0;
    let mut before = write_response(|writer| {
        writer.raw(open);
        content_begins = writer.len();
        writer.raw(close);
    });
    let after = before.split_off(content_begins);
    [before, after]
}

/// The document of an answer that is a fault.
pub fn write_fault(fault: &Fault) -> Vec<u8> {
    write_between(FAULT, |writer| {
        writer.structure(|members| {
            members.member("faultCode", |value| value.int(fault.code.into()));
            members.member("faultString", |value| value.string(&fault.message));
        });
    })
}

/// How a document of this module, the answer to one call, becomes part of the document that answers several: as an
/// array with the call's value, or as the struct of its fault.
#[derive(Debug)]
pub struct MulticallElement {
    /// The numbers of bytes at the document's beginning and end that are left out.
    pub left_out: [usize; 2],
    /// The bytes before and after the rest.
    pub around: [&'static str; 2],
}

/// How an answer of one call, a fault or not, becomes one of several.
pub fn multicall_element(is_fault: bool) -> MulticallElement {
    let ([open, close], around) = if is_fault { (FAULT, ["", ""]) } else { (RESPONSE, ARRAY) };
    MulticallElement { left_out: [DECLARATION.len() + open.len(), close.len()], around }
}

/// Whether a document written by this module is a fault.
pub fn is_fault(document: &[u8]) -> bool {
    between(FAULT, document).is_some()
}

fn write_between(around: [&str; 2], write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    written(|writer| writer.document(around, write))
}

/// Most documents are shorter, so that one allocation is enough.
const SHORT_BYTES: usize = 512;

/// More than the bytes that close a document after its base64.
const END_BYTES: usize = 64;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer { out: Out::Written(Vec::with_capacity(SHORT_BYTES)) };
    write(&mut writer);
    match writer.out {
        Out::Written(bytes) => bytes,
        Out::Counted(_) => Vec::new(),
    }
}

/// The part of a document between these two.
pub(super) fn between<'d>(around: [&str; 2], document: &'d [u8]) -> Option<&'d [u8]> {
    within(around, document.strip_prefix(DECLARATION.as_bytes())?)
}

/// The bytes enclosed by these two.
pub(super) fn within<'d>([open, close]: [&str; 2], bytes: &'d [u8]) -> Option<&'d [u8]> {
    bytes.strip_prefix(open.as_bytes())?.strip_suffix(close.as_bytes())
}

/// Writes values, with one call for each.
///
/// ```
/// use surfstore::xmlrpc::write_response;
///
/// let answer = write_response(|writer| {
///     writer.structure(|map| {
///         map.member("a.txt", |writer| {
///             writer.array(|pair| {
///                 pair.int(3);
///                 pair.array(|hashes| hashes.string("e3b0"));
///             });
///         });
///     });
/// });
/// assert!(surfstore::xmlrpc::parse_response(&answer).is_ok());
/// ```
#[derive(Debug)]
pub struct Writer {
    out: Out,
}

/// Where the output goes.
#[derive(Debug)]
enum Out {
    Written(Vec<u8>),
    /// Only the number of bytes is kept.
    Counted(usize),
}

/// Writes the parameters of a call.
#[derive(Debug)]
pub struct Params<'w> {
    writer: &'w mut Writer,
}

/// Writes the members of a struct.
#[derive(Debug)]
pub struct Members<'w> {
    writer: &'w mut Writer,
}

impl Params<'_> {
    /// Writes the next parameter. `write` must write exactly one value.
    pub fn param(&mut self, write: impl FnOnce(&mut Writer)) {
        let [open, close] = PARAM;
        self.writer.raw(open);
        write(self.writer);
        self.writer.raw(close);
    }
}

impl Members<'_> {
    /// Writes a member. `write` must write exactly one value. No name may occur twice.
    pub fn member(&mut self, name: &str, write: impl FnOnce(&mut Writer)) {
        self.begin(name);
        write(self.writer);
        self.end();
    }

    /// Begins a member. Exactly one value must be written next. No name may occur twice.
    pub fn begin(&mut self, name: &str) {
        let [open, between, _] = MEMBER;
        self.writer.raw(open);
        self.writer.escaped(name);
        self.writer.raw(between);
    }

    /// Writes the value of the member that has begun.
    pub fn value(&mut self) -> &mut Writer {
        self.writer
    }

    /// Ends a member.
    pub fn end(&mut self) {
        let [_, _, close] = MEMBER;
        self.writer.raw(close);
    }
}

impl Writer {
    /// Writes an `int`, or an `i8` if the number does not fit in 32 bits.
    pub fn int(&mut self, number: i64) {
        let name = if i32::try_from(number).is_ok() { "int" } else { "i8" };
        self.scalar(name, number);
    }

    /// Writes a `boolean`, as `1` or `0`.
    pub fn boolean(&mut self, truth: bool) {
        self.scalar("boolean", u8::from(truth));
    }

    /// Writes a `double` without an exponent, because XML-RPC has none, and with the decimal point that it requires.
    pub fn double(&mut self, number: Double) {
        let mut digits = number.get().to_string();
        if !digits.contains('.') {
            digits.push_str(".0");
        }
        self.scalar("double", digits);
    }

    /// Writes a `string`.
    pub fn string(&mut self, text: &str) {
        let [open, close] = STRING;
        self.raw(open);
        self.escaped(text);
        self.raw(close);
    }

    /// Writes `base64`.
    pub fn base64(&mut self, bytes: &[u8]) {
        let [open, close] = BASE64;
        self.raw(open);
        self.symbols(bytes);
        self.raw(close);
    }

    /// Writes a `dateTime.iso8601` of this form.
    pub(super) fn date_time(&mut self, text: &str) {
        self.scalar("dateTime.iso8601", text);
    }

    /// Writes an `array` of the values that `write` writes.
    pub fn array(&mut self, write: impl FnOnce(&mut Writer)) {
        self.begin_array();
        write(self);
        self.end_array();
    }

    /// Begins an `array`, whose elements are written next.
    pub fn begin_array(&mut self) {
        let [open, _] = ARRAY;
        self.raw(open);
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        let [_, close] = ARRAY;
        self.raw(close);
    }

    /// Writes a `struct` of the members that `write` writes.
    pub fn structure(&mut self, write: impl FnOnce(&mut Members<'_>)) {
        let [open, close] = STRUCT;
        self.raw(open);
        write(&mut Members { writer: self });
        self.raw(close);
    }

    /// Writes a value with all its parts.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Int(number) => self.int(*number),
            Value::Boolean(truth) => self.boolean(*truth),
            Value::Double(number) => self.double(*number),
            Value::String(text) => self.string(text),
            Value::Base64(bytes) => self.base64(bytes),
            Value::DateTime(time) => self.date_time(time.as_str()),
            Value::Array(elements) => {
                self.array(|writer| elements.iter().for_each(|element| writer.value(element)))
            }
            Value::Struct(members) => self.structure(|writer| {
                for (name, value) in members {
                    writer.member(name, |writer| writer.value(value));
                }
            }),
        }
    }

    /// Writes the value that the packed bytes begin with, which must be valid.
    pub fn packed(&mut self, packed: &[u8]) {
        PackedWriter::new().write(packed, usize::MAX, self);
    }

    /// The number of bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes the start of a document, its content, and its end.
    fn document(&mut self, [open, close]: [&str; 2], write: impl FnOnce(&mut Writer)) {
        self.raw(DECLARATION);
        self.raw(open);
        write(self);
        self.raw(close);
    }

    fn scalar(&mut self, name: &str, content: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "<value><{name}>{content}</{name}></value>");
    }

    pub(super) fn raw(&mut self, markup: &str) {
        self.out.push(markup.as_bytes());
    }

    /// Writes bytes as symbols of base64.
    pub(super) fn symbols(&mut self, bytes: &[u8]) {
        self.out.push_base64(bytes);
    }

    /// Writes text such that every XML parser returns it unchanged, as far as XML can carry it.
    pub(super) fn escaped(&mut self, text: &str) {
        // What is not written yet.
        let mut rest = text;
        while let Some(begin) = first_delicate_chunk(rest) {
            let (plain, delicate) = rest.split_at(begin);
            let end = (CHUNK_BYTES..delicate.len()).find(|at| delicate.is_char_boundary(*at));
            let (chunk, after) = delicate.split_at(end.unwrap_or(delicate.len()));
            self.raw(plain);
            self.escaped_chunk(chunk);
            rest = after;
        }
        self.raw(rest);
    }

    fn escaped_chunk(&mut self, chunk: &str) {
        let mut plain_from = 0;
        for (at, character) in chunk.char_indices() {
            let Some(replacement) = replacement(character) else { continue };
            self.raw(&chunk[plain_from..at]);
            self.raw(replacement);
            plain_from = at + character.len_utf8();
        }
        self.raw(&chunk[plain_from..]);
    }
}

impl Out {
    fn len(&self) -> usize {
        match self {
            Out::Written(out) => out.len(),
            Out::Counted(count) => *count,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Out::Written(out) => out.extend_from_slice(bytes),
            Out::Counted(count) => *count += bytes.len(),
        }
    }

    fn push_base64(&mut self, bytes: &[u8]) {
        let symbols = bytes.len().div_ceil(3) * 4;
        match self {
            Out::Written(out) => {
                let start = out.len();
                // Leave room for the end of a document that contains nothing else.
                out.reserve(symbols + END_BYTES);
                out.resize(start + symbols, b'=');
                if let Some(end) = out.get_mut(start..) {
                    base64::encode_config_slice(bytes, base64::STANDARD, end);
                }
            }
            Out::Counted(count) => *count += symbols,
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a chunk begins that may contain a character to escape; none before it does.
fn first_delicate_chunk(text: &str) -> Option<usize> {
    let start = text.as_bytes().chunks(CHUNK_BYTES).position(may_be_delicate)? * CHUNK_BYTES;
    // A chunk may start within a character.
    (0..=start).rev().find(|at| text.is_char_boundary(*at))
}

/// What to write instead of a character that must be escaped.
fn replacement(character: char) -> Option<&'static str> {
    Some(match character {
        '&' => "&amp;",
        '<' => "&lt;",
        // It must not be written raw in "]]>".
        '>' => "&gt;",
        // A bare CR would be read as LF.
        '\r' => "&#13;",
        _ if is_xml(character) => return None,
        // Not even a reference can carry it, and one such character would make the whole document unreadable.
        _ => "\u{FFFD}",
    })
}

const CHUNK_BYTES: usize = 64;

/// Whether a chunk contains a byte of a character that may need escaping. Checking all its bytes without an early exit
/// takes a tenth of the time of checking characters, and almost no chunk contains one.
fn may_be_delicate(chunk: &[u8]) -> bool {
    // 0xEF may start U+FFFE or U+FFFF.
    let is = |byte: u8| {
        (byte < b' ') & !matches!(byte, b'\t' | b'\n') | matches!(byte, b'&' | b'<' | b'>' | 0xEF)
    };
    chunk.iter().fold(false, |found, &byte| found | is(byte))
}
