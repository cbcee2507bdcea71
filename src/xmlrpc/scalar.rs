//! The values without parts: from the text of an element to the value that it spells.

use std::borrow::Cow;

use super::characters::is_space;
use super::error::{ParseError, quoted};
use crate::value::{Double, Value};

/// Reads the text of one type's elements.
type Decoder = fn(Cow<'_, str>) -> Result<Value, ParseError>;

/// How elements of that name are read.
pub(super) fn decoder(name: &str) -> Result<Decoder, ParseError> {
    Ok(match name {
        "string" => |text| Ok(Value::String(text.into())),
        "int" | "i4" => |text| int(&text),
        "i8" => |text| long(&text),
        "boolean" => |text| boolean(&text),
        "double" => |text| double(&text),
        "base64" => |text| bytes(&text),
        _ => {
            return Err(ParseError::bad_value(format!(
                "values of type {} are not used here: int, i4, i8, boolean, double, string, base64, array or struct is \
                 expected",
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

fn boolean(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space) {
        "0" => Ok(Value::Boolean(false)),
        "1" => Ok(Value::Boolean(true)),
        _ => Err(misspelt(text, "a boolean, 0 or 1")),
    }
}

/// The standard library reads `inf`, `NaN` and what overflows as well, none of which is finite.
fn double(text: &str) -> Result<Value, ParseError> {
    match text.trim_matches(is_space).parse().ok().and_then(Double::new) {
        Some(number) => Ok(Value::Double(number)),
        None => Err(misspelt(text, "a finite double")),
    }
}

fn bytes(text: &str) -> Result<Value, ParseError> {
    // Most is in one line, and to look for white space in megabytes takes time: it is done where they cannot be decoded.
    let decoded = decoded(text.as_bytes()).or_else(|| {
        let symbols: String = text.split(is_space).collect();
        decoded(symbols.as_bytes())
    });
    decoded.map(Value::Base64).ok_or_else(|| misspelt(text, "base64"))
}

/// The bytes that these symbols of base64 stand for, if nothing else is among them.
pub(super) fn decoded(symbols: &[u8]) -> Option<Box<[u8]>> {
    // The padding tells nothing: it may be left away altogether, but not in part.
    let padding = symbols.iter().rev().take_while(|symbol| **symbol == b'=').count();
    let (bare, _) = symbols.split_at(symbols.len() - padding);
    let is_padded = padding <= 2 && (padding == 0 || symbols.len().is_multiple_of(4));
    let bytes = base64::decode_config(bare, base64::STANDARD_NO_PAD).ok()?;
    is_padded.then(|| bytes.into())
}

fn misspelt(text: &str, expected: &str) -> ParseError {
    ParseError::bad_value(format!("{} is not {expected}", quoted(text)))
}
