//! Well-formed XML: from bytes to tags and text, or the reason why the bytes are not an XML document.
//!
//! `quick-xml` finds the tags. It leaves to its caller whether the document is complete, what a name is, which
//! characters and references may occur, and what may occur outside the root. This module decides all of that, so the
//! grammar of XML-RPC, which it does not know, is parsed from well-formed XML only. Comments and processing
//! instructions are dropped here.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesStart, BytesText, Event};

use super::attributes::{attributes, check_declaration};
use super::characters::{is_blank, is_name};
use super::error::{ParseError, quoted};
use super::reference::expand;

/// The maximum nesting depth of elements: room for 64 levels of values, with three elements each, and for the elements
/// around them.
const ELEMENTS_DEPTH_MAX: usize = 256;

/// A document that is being parsed.
pub(super) struct DocumentParser<'a> {
    /// All of it.
    text: &'a str,
    reader: Reader<&'a [u8]>,
    /// The number of open elements.
    depth: usize,
    /// Whether the last start tag closes itself, so that its end must still be reported.
    self_closed: bool,
    /// Whether anything was read yet. The XML declaration must come first.
    begun: bool,
    /// Whether the root element was read yet. There must not be a second one.
    rooted: bool,
}

/// A token within the root element, including the root's own tags.
pub(super) enum Token<'a> {
    /// A start tag.
    Start(Element<'a>),
    /// The end of the innermost open element. It needs no name.
    End,
    /// Text with normalized line ends (LF) and expanded references. Adjacent texts belong together.
    Text(Cow<'a, str>),
    /// The end of the document, which comes only after the root element is closed.
    Finish,
}

/// An element that was opened.
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name as written.
    pub(super) fn name(&self) -> &str {
        self.0.name().0
    }

    /// The name without its namespace prefix.
    pub(super) fn local_name(&self) -> &str {
        self.name().rsplit(':').next().unwrap_or_default()
    }
}

impl<'a> DocumentParser<'a> {
    /// A document whose characters have been checked, but nothing else.
    pub(super) fn new(text: &'a str) -> DocumentParser<'a> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        DocumentParser { text, reader, depth: 0, self_closed: false, begun: false, rooted: false }
    }

    /// Reads to the end, to check that the rest is well-formed.
    pub(super) fn finish(&mut self) -> Result<(), ParseError> {
        while !matches!(self.next()?, Token::Finish) {}
        Ok(())
    }

    /// The next token, or the reason why the document is not well-formed at this point.
    pub(super) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        if std::mem::take(&mut self.self_closed) {
            return Ok(self.end());
        }
        loop {
            let event = self.event()?;
            let first = !std::mem::replace(&mut self.begun, true);
            return Ok(match event {
                Event::Start(tag) => self.start(tag)?,
                Event::Empty(tag) => {
                    self.self_closed = true;
                    self.start(tag)?
                }
                Event::End(_) => self.end(),
                Event::Text(text) if self.depth == 0 && is_blank(&text) => continue,
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => {
                    return Err(ParseError::not_well_formed(
                        "there is text outside the root element",
                    ));
                }
                Event::Text(text) => Token::Text(content(&text)?),
                Event::CData(text) => Token::Text(text.xml10_content()),
                Event::GeneralRef(name) => Token::Text(expand(&name)?),
                Event::Comment(_) => continue,
                Event::Decl(declaration) if first => {
                    check_declaration(&declaration, self.text)?;
                    continue;
                }
                Event::Decl(_) => return Err(reserved()),
                Event::PI(instruction) => {
                    check_target(instruction.target())?;
                    continue;
                }
                Event::DocType(_) => return Err(doctype()),
                Event::Eof => self.end_of_document()?,
            });
        }
    }

    fn event(&mut self) -> Result<Event<'a>, ParseError> {
        // A DOCTYPE is refused at its start: none of its content is used, and it may be long.
        if let [b'<', b'!', b'D' | b'd', ..] = self.reader.get_ref() {
            return Err(doctype());
        }
        self.reader.read_event().map_err(broken)
    }

    fn end_of_document(&self) -> Result<Token<'a>, ParseError> {
        match (self.depth, self.rooted) {
            (0, true) => Ok(Token::Finish),
            (0, false) => Err(ParseError::not_well_formed("the document has no root element")),
            _ => {
                Err(ParseError::not_well_formed("the document ends before its elements are closed"))
            }
        }
    }

    fn start(&mut self, tag: BytesStart<'a>) -> Result<Token<'a>, ParseError> {
        check_name(tag.name().0)?;
        attributes(tag.attributes_raw())?;
        if self.depth == 0 && self.rooted {
            return Err(ParseError::not_well_formed("there is a second root element"));
        }
        if self.depth == ELEMENTS_DEPTH_MAX {
            return Err(ParseError::not_well_formed(format!(
                "elements nest deeper than {ELEMENTS_DEPTH_MAX}"
            )));
        }
        self.rooted = true;
        self.depth += 1;
        Ok(Token::Start(Element(tag)))
    }

    /// An end tag always matches an open element, because `quick-xml` has compared the names.
    fn end(&mut self) -> Token<'a> {
        self.depth -= 1;
        Token::End
    }
}

/// Character data between markup.
fn content<'a>(text: &BytesText<'a>) -> Result<Cow<'a, str>, ParseError> {
    if text.contains("]]>") {
        return Err(ParseError::not_well_formed("\"]]>\" in text must be written \"]]&gt;\""));
    }
    Ok(text.xml10_content())
}

fn check_name(name: &str) -> Result<(), ParseError> {
    if is_name(name) {
        return Ok(());
    }
    Err(ParseError::not_well_formed(format!("{} is not an XML name", quoted(name))))
}

/// Checks the name of a processing instruction.
fn check_target(target: &str) -> Result<(), ParseError> {
    if target.eq_ignore_ascii_case("xml") {
        return Err(reserved());
    }
    check_name(target)
}

fn reserved() -> ParseError {
    ParseError::not_well_formed("an XML declaration is not at the beginning of the document")
}

fn doctype() -> ParseError {
    ParseError::not_well_formed("the document has a DOCTYPE, which is not accepted")
}

/// The error of `quick-xml`, as a sentence of bounded length.
fn broken(error: Error) -> ParseError {
    ParseError::not_well_formed(match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            format!("the element {} is closed by {}", quoted(&expected), quoted(&found))
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(found)) => {
            format!("{} is closed but was not opened", quoted(&found))
        }
        Error::IllFormed(other) => format!("the document is not well-formed: {other}"),
        Error::Syntax(other) => format!("the document is not well-formed: {other}"),
        _ => "the document is not well-formed".to_owned(),
    })
}
