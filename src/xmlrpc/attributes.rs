//! Attributes, which XML-RPC ignores but which must be well-formed, and those of the XML declaration, which give the
//! encoding of the document.

use super::characters::{is_name, is_space};
use super::encoding::check_declared;
use super::error::{ParseError, quoted};
use super::reference::expand;

/// More than any client sends. The bound keeps the search for duplicates cheap.
const ATTRIBUTES_MAX: usize = 16;

/// The attributes as written, as names and unexpanded values. `tag_rest` is the part of a tag after the element's name.
pub(super) fn attributes(tag_rest: &str) -> Result<Vec<(&str, &str)>, ParseError> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let mut rest = tag_rest;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        if trimmed.is_empty() {
            return Ok(found);
        }
        if trimmed.len() == rest.len() {
            return Err(malformed(rest));
        }
        let Some((name, value, after)) = first(trimmed) else {
            return Err(malformed(trimmed));
        };
        check_value(value)?;
        if found.iter().any(|&(earlier, _)| earlier == name) {
            return Err(ParseError::not_well_formed(format!(
                "an element has the attribute {} twice",
                quoted(name)
            )));
        }
        if found.len() == ATTRIBUTES_MAX {
            return Err(ParseError::not_well_formed(format!(
                "an element has more than {ATTRIBUTES_MAX} attributes"
            )));
        }
        found.push((name, value));
        rest = after;
    }
}

/// The name and the value of the attribute at the start of the text, and the text after it.
fn first(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end_matches(is_space);
    let rest = rest.trim_start_matches(is_space);
    let quote = rest.chars().next().filter(|character| matches!(character, '"' | '\''))?;
    let (value, after) = rest.strip_prefix(quote)?.split_once(quote)?;
    is_name(name).then_some((name, value, after))
}

fn check_value(value: &str) -> Result<(), ParseError> {
    if value.contains('<') {
        return Err(malformed(value));
    }
    for reference in value.split('&').skip(1) {
        let (name, _) = reference.split_once(';').ok_or_else(|| malformed(value))?;
        expand(name)?;
    }
    Ok(())
}

fn malformed(text: &str) -> ParseError {
    ParseError::not_well_formed(format!("an attribute is malformed at {}", quoted(text)))
}

/// Checks the XML declaration of a text, given without `<?` and `?>`.
pub(super) fn check_declaration(declaration: &str, text: &str) -> Result<(), ParseError> {
    let found = attributes(declaration.strip_prefix("xml").unwrap_or_default())?;
    let (version, encoding, standalone) = match found[..] {
        [("version", version)] => (version, None, None),
        [("version", version), ("encoding", encoding)] => (version, Some(encoding), None),
        [("version", version), ("standalone", standalone)] => (version, None, Some(standalone)),
        [("version", version), ("encoding", encoding), ("standalone", standalone)] => {
            (version, Some(encoding), Some(standalone))
        }
        _ => return Err(ParseError::not_well_formed("the XML declaration is malformed")),
    };
    if !is_version(version)
        || standalone.is_some_and(|standalone| !matches!(standalone, "yes" | "no"))
    {
        return Err(ParseError::not_well_formed("the XML declaration is malformed"));
    }
    encoding.map_or(Ok(()), |name| check_declared(name, text))
}

/// Every version 1.x is read as 1.0, as the later editions of XML 1.0 require.
fn is_version(text: &str) -> bool {
    text.strip_prefix("1.")
        .is_some_and(|minor| !minor.is_empty() && minor.chars().all(|digit| digit.is_ascii_digit()))
}
