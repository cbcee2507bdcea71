//! References: `&amp;` and the like, and characters by number.

use std::borrow::Cow;

use super::error::{ParseError, quoted};
use crate::value::is_xml;

/// The replacement text of the reference, given without its ampersand and semicolon.
///
/// Only the five predefined entities of XML exist, because a DOCTYPE that would define others is refused.
pub(super) fn expand(name: &str) -> Result<Cow<'static, str>, ParseError> {
    Ok(Cow::Borrowed(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Ok(Cow::Owned(numbered(name)?.into())),
    }))
}

fn numbered(name: &str) -> Result<char, ParseError> {
    let (digits, radix) = match name.strip_prefix("#x") {
        Some(digits) => (digits, 16),
        None => (name.strip_prefix('#').unwrap_or_default(), 10),
    };
    // The standard library accepts a sign; XML does not.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(ParseError::not_well_formed(format!(
            "the entity {} is not defined",
            quoted(name)
        )));
    }
    // A string of digits fails to parse only if it is too long.
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    char::from_u32(number).filter(|&character| is_xml(character)).ok_or_else(|| {
        ParseError::bad_character(format!(
            "the reference {} is not to an XML character",
            quoted(name)
        ))
    })
}
