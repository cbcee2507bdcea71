//! References: `&amp;` and the like, and characters by number.

use std::borrow::Cow;

use super::error::{ParseError, quoted};
use crate::value::is_xml;

/// What stands for the reference, given without its ampersand and semicolon.
///
/// Only the five entities of XML itself exist, because a DOCTYPE that would define others is refused.
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
    // The standard library's numbers may have a sign, those of XML must not.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(ParseError::not_well_formed(format!(
            "the entity {} is not defined",
            quoted(name)
        )));
    }
    // Digits alone fail only by being too many.
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    char::from_u32(number).filter(|&character| is_xml(character)).ok_or_else(|| {
        ParseError::bad_character(format!(
            "the reference {} is to no character of XML",
            quoted(name)
        ))
    })
}
