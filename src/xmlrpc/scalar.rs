//! Scalar values: parses the text of an element to its value.

use std::borrow::Cow;

use super::characters::is_space;
use super::error::{ParseError, quoted};
use crate::value::{DateTime, Double, Value};

/// Parses the text of the elements of one type.
type Decoder = fn(Cow<'_, str>) -> Result<Value, ParseError>;

/// The decoder for elements with that name.
pub(super) fn decoder(name: &str) -> Result<Decoder, ParseError> {
    Ok(match name {
        "string" => |text| Ok(Value::String(text.into())),
        "int" | "i4" => |text| int(&text),
        "i8" => |text| long(&text),
        "boolean" => |text| boolean(&text),
        "double" => |text| double(&text),
        "base64" => |text| bytes(&text),
        "dateTime.iso8601" => |text| date_time(&text),
        _ => {
            return Err(ParseError::bad_value(format!(
                "values of type {} are not supported; expected int, i4, i8, boolean, double, string, base64, \
                 dateTime.iso8601, array or struct",
                quoted(name)
            )));
        }
    })
}

fn int(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space).parse::<i32>() {
        Ok(number) => Ok(Value::Int(number.into())),
        Err(_) => Err(misspelt(text, "an integer of 32 bits")),
    }
}

fn long(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space).parse() {
        Ok(number) => Ok(Value::Int(number)),
        Err(_) => Err(misspelt(text, "an integer of 64 bits")),
    }
}

/// The words are those of XML Schema. XML-RPC only has the digits, but clients send both.
fn boolean(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space) {
        "0" | "false" => Ok(Value::Boolean(false)),
        "1" | "true" => Ok(Value::Boolean(true)),
        _ => Err(misspelt(text, "a boolean, 0 or 1")),
    }
}

/// The standard library also accepts `inf`, `NaN` and numbers that overflow. None of these is finite.
fn double(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space).parse().ok().and_then(Double::new) {
        Some(number) => Ok(Value::Double(number)),
        None => Err(misspelt(text, "a finite double")),
    }
}

fn date_time(text: &str) -> Result<Value, ParseError> {
    match DateTime::new(text.trim_matches(is_space)) {
        Some(time) => Ok(Value::DateTime(time)),
        None => Err(misspelt(text, "a date and time such as 19980717T14:08:55")),
    }
}

fn bytes(text: &str) -> Result<Value, ParseError> {
    // Most base64 is on one line, and searching megabytes for white space takes time. So white space is removed only if
    // decoding fails.
    let decoded = decoded(text.as_bytes()).or_else(|| {
        let symbols: String = text.split(is_space).collect();
        decoded(symbols.as_bytes())
    });
    decoded.map(Value::Base64).ok_or_else(|| misspelt(text, "base64"))
}

/// The bytes encoded by these base64 symbols, if there are no other characters among them.
pub(super) fn decoded(symbols: &[u8]) -> Option<Box<[u8]>> {
    // Padding carries no information. It may be left out, but only as a whole.
    let padding = symbols.iter().rev().take_while(|symbol| **symbol == b'=').count();
    let (bare, _) = symbols.split_at(symbols.len() - padding);
    let is_padded = padding <= 2 && (padding == 0 || symbols.len().is_multiple_of(4));
    let bytes = base64::decode_config(bare, base64::STANDARD_NO_PAD).ok()?;
    is_padded.then(|| bytes.into())
}

fn misspelt(text: &str, expected: &str) -> ParseError {
    ParseError::bad_value(format!("{} is not {expected}", quoted(text)))
}
