//! A fast path for messages between servers, and for blocks: documents with a single base64 value, as `write` writes
//! them. The bytes around the base64 symbols are always the same, so they are stripped without parsing.
//!
//! No base64 symbol is markup, so the result is the same as that of the parser.

use super::MethodCall;
use super::scalar::decoded;
use super::write::{BASE64, CALL, PARAM, PARAMS, RESPONSE, between, within};
use crate::value::Value;

/// The call, if the document is such a message.
pub(super) fn call(document: &[u8]) -> Option<MethodCall> {
    let call = between(CALL, document)?;
    let (method, rest) = call.split_at(call.iter().position(|byte| *byte == b'<')?);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
    if method.is_empty() || !method.iter().all(is_plain) {
        return None;
    }
    let message = message(within(PARAM, rest.strip_prefix(PARAMS.as_bytes())?)?)?;
    let method = method.iter().copied().map(char::from).collect();
    Some(MethodCall { method, params: Ok(vec![message]) })
}

/// The value answered, if the document is such a message.
pub(super) fn response(document: &[u8]) -> Option<Value> {
    message(between(RESPONSE, document)?)
}

fn message(value: &[u8]) -> Option<Value> {
    decoded(within(BASE64, value)?).map(Value::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmlrpc::{Params, write_call, write_response};

    fn a_call(method: &str, bytes: &[u8]) -> Vec<u8> {
        write_call(method, |params| params.param(|writer| writer.base64(bytes)))
    }

    #[test]
    fn messages_are_read_without_a_parser_whatever_they_carry() {
        for length in 0..100 {
            let bytes: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(77)).collect();
            let value = Value::Base64(bytes.clone().into());
            let method = "a.b";
            let expected =
                MethodCall { method: method.to_owned(), params: Ok(vec![value.clone()]) };
            assert_eq!(call(&a_call(method, &bytes)), Some(expected));
            assert_eq!(response(&write_response(|writer| writer.base64(&bytes))), Some(value));
        }
    }

    #[test]
    fn other_documents_are_left_to_the_parser() {
        let two = |params: &mut Params<'_>| {
            params.param(|writer| writer.base64(b"one"));
            params.param(|writer| writer.base64(b"two"));
        };
        for document in [
            write_call("ping", |_| {}),
            write_call("ping", |params| params.param(|writer| writer.string("text"))),
            write_call("ping", two),
            a_call("", b"bytes"),
            a_call("a b", b"bytes"),
            a_call("a&b", b"bytes"),
            [&*a_call("ping", b"bytes"), b"\n"].concat(),
        ] {
            assert_eq!(call(&document), None, "{}", String::from_utf8_lossy(&document));
        }
        assert_eq!(response(&write_response(|writer| writer.int(1))), None);
        assert_eq!(response(&write_response(|writer| writer.array(|one| one.base64(b"1")))), None);
    }
}
