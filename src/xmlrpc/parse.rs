//! The grammar of XML-RPC: parses calls, answers and values from the tags and text of well-formed XML.
//!
//! Attributes, comments and white space between elements are ignored. Elements that the grammar does not name are
//! refused.

use std::borrow::Cow;

use super::characters::{is_blank, is_space};
use super::document::{DocumentParser, Element, Token};
use super::encoding::decoded;
use super::error::{ParseError, quoted};
use super::scalar::decoder;
use super::{Fault, MethodCall, envelope};
use crate::value::{DEPTH_MAX, Value, doubled};

/// More than any method takes.
const PARAMS_MAX: usize = 64;

/// Parses a `methodCall`.
///
/// # Errors
///
/// If the document is not well-formed, or not a call as far as the method's name. Other errors are in
/// [`MethodCall::params`].
pub fn parse_call(document: &[u8]) -> Result<MethodCall, ParseError> {
    match envelope::call(document) {
        Some(message) => Ok(message),
        None => parse(&decoded(document)?, Parser::call),
    }
}

/// Parses a `methodResponse`: the value answered, or the fault.
pub fn parse_response(document: &[u8]) -> Result<Result<Value, Fault>, ParseError> {
    match envelope::response(document) {
        Some(message) => Ok(Ok(message)),
        None => parse(&decoded(document)?, Parser::response),
    }
}

/// Parses the text of a whole document. `read` parses everything but the prologue and the epilogue.
fn parse<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Parser<'a>) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    let mut parser = Parser { document: DocumentParser::new(text) };
    match read(&mut parser) {
        Err(error) if error.breaks_xml() => Err(error),
        // Well-formedness first: if the rest is broken, that error outweighs any found before it.
        outcome => parser.document.finish().and(outcome),
    }
}

struct Parser<'a> {
    document: DocumentParser<'a>,
}

/// Every method but [`Parser::call`], [`Parser::params`] and [`Parser::response`] starts after the start tag of the
/// element that it parses, and stops after its end tag.
impl<'a> Parser<'a> {
    fn call(&mut self) -> Result<MethodCall, ParseError> {
        self.expect("methodCall")?;
        self.expect("methodName")?;
        let method = self.text("methodName")?.trim_matches(is_space).to_owned();
        if method.is_empty() {
            return Err(ParseError::not_xml_rpc("the methodName is empty"));
        }
        match self.params() {
            Err(error) if error.breaks_xml() => Err(error),
            params => Ok(MethodCall { method, params }),
        }
    }

    /// The rest of a call, after the method's name.
    fn params(&mut self) -> Result<Vec<Value>, ParseError> {
        let mut params = Vec::new();
        if !self.child_named("params")? {
            return Ok(params);
        }
        while self.child_named("param")? {
            if params.len() == PARAMS_MAX {
                return Err(ParseError::bad_value(format!(
                    "a call takes at most {PARAMS_MAX} parameters"
                )));
            }
            params.push(self.only_value("param")?);
        }
        self.close("methodCall")?;
        Ok(params)
    }

    fn response(&mut self) -> Result<Result<Value, Fault>, ParseError> {
        self.expect("methodResponse")?;
        let outcome = match self.child()? {
            Some(child) if child.name() == "fault" => Err(self.fault()?),
            Some(child) if child.name() == "params" => {
                self.expect("param")?;
                let answer = self.only_value("param")?;
                self.close("params")?;
                Ok(answer)
            }
            _ => {
                return Err(ParseError::not_xml_rpc(
                    "a methodResponse must contain params or a fault",
                ));
            }
        };
        self.close("methodResponse")?;
        Ok(outcome)
    }

    fn fault(&mut self) -> Result<Fault, ParseError> {
        let Value::Struct(members) = self.only_value("fault")? else {
            return Err(ParseError::not_xml_rpc("a fault must be a struct"));
        };
        let (mut code, mut message) = (None, None);
        for (name, value) in members {
            match (&*name, value) {
                ("faultCode", Value::Int(number)) => code = i32::try_from(number).ok(),
                ("faultString", Value::String(text)) => message = Some(text.into()),
                _ => {}
            }
        }
        code.zip(message).map(|(code, message)| Fault { code, message }).ok_or_else(|| {
            ParseError::not_xml_rpc("a fault must have an int faultCode and a string faultString")
        })
    }

    /// An element that contains exactly one `value`.
    fn only_value(&mut self, parent: &str) -> Result<Value, ParseError> {
        self.expect("value")?;
        let value = self.value(0)?;
        self.close(parent)?;
        Ok(value)
    }

    /// A `value` at this nesting depth of arrays and structs.
    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        match self.text_and_tag()? {
            (text, None) => Ok(Value::String(text.into())),
            (text, Some(element)) if is_blank(&text) => {
                let value = self.typed(&element, depth)?;
                self.close("value")?;
                Ok(value)
            }
            (text, Some(_)) => Err(stray(&text)),
        }
    }

    fn typed(&mut self, element: &Element<'a>, depth: usize) -> Result<Value, ParseError> {
        match element.local_name() {
            "array" | "struct" if depth == DEPTH_MAX => {
                Err(ParseError::not_well_formed(format!("values nest deeper than {DEPTH_MAX}")))
            }
            "array" => self.array(depth + 1),
            "struct" => self.structure(depth + 1),
            name => {
                let decode = decoder(name)?;
                decode(self.text(name)?)
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut elements = Vec::new();
        // Some clients write an empty array without the `data` that the grammar requires.
        if self.child_named("data")? {
            while self.child_named("value")? {
                elements.push(self.value(depth)?);
            }
            self.close("array")?;
        }
        Ok(Value::Array(elements.into()))
    }

    fn structure(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut members = Vec::new();
        while self.child_named("member")? {
            self.expect("name")?;
            let name = self.text("name")?.into();
            self.expect("value")?;
            members.push((name, self.value(depth)?));
            self.close("member")?;
        }
        check_unique(&members)?;
        Ok(Value::Struct(members.into()))
    }

    /// Opens the element that must come next.
    fn expect(&mut self, name: &str) -> Result<(), ParseError> {
        match self.child_named(name)? {
            true => Ok(()),
            false => Err(ParseError::not_xml_rpc(format!("a {name} is missing"))),
        }
    }

    /// Closes an element that must not contain anything else.
    fn close(&mut self, name: &str) -> Result<(), ParseError> {
        match self.child()? {
            None => Ok(()),
            Some(child) => Err(ParseError::not_xml_rpc(format!(
                "there is an unexpected {} in a {name}",
                quoted(child.name())
            ))),
        }
    }

    /// Opens the next child, which must have that name. Returns false if the parent ends instead.
    fn child_named(&mut self, name: &str) -> Result<bool, ParseError> {
        match self.child()? {
            None => Ok(false),
            Some(child) if child.name() == name => Ok(true),
            Some(child) => Err(ParseError::not_xml_rpc(format!(
                "expected a {name}, not a {}",
                quoted(child.name())
            ))),
        }
    }

    /// Opens the next child. Returns `None` if the parent ends instead.
    fn child(&mut self) -> Result<Option<Element<'a>>, ParseError> {
        match self.text_and_tag()? {
            (text, tag) if is_blank(&text) => Ok(tag),
            (text, _) => Err(stray(&text)),
        }
    }

    /// The text of an element without children.
    fn text(&mut self, name: &str) -> Result<Cow<'a, str>, ParseError> {
        match self.text_and_tag()? {
            (text, None) => Ok(text),
            (_, Some(child)) => Err(ParseError::not_xml_rpc(format!(
                "a {name} must contain text, not a {}",
                quoted(child.name())
            ))),
        }
    }

    /// The text up to the next tag, and the element if that is a start tag.
    fn text_and_tag(&mut self) -> Result<(Cow<'a, str>, Option<Element<'a>>), ParseError> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.document.next()? {
                // Appending to an empty `Cow` borrows, so text in one piece is not copied.
                Token::Text(piece) => text += piece,
                Token::Start(element) => return Ok((text, Some(element))),
                // The end of the document cannot come while an element is open.
                Token::End | Token::Finish => return Ok((text, None)),
            }
        }
    }
}

fn stray(text: &str) -> ParseError {
    ParseError::not_xml_rpc(format!("there is text between elements: {}", quoted(text)))
}

fn check_unique(members: &[(Box<str>, Value)]) -> Result<(), ParseError> {
    match doubled(members) {
        None => Ok(()),
        Some(name) => {
            Err(ParseError::not_xml_rpc(format!("a struct has the member {} twice", quoted(name))))
        }
    }
}
