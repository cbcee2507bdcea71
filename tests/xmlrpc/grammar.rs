//! Which well-formed documents are calls and answers.

use super::outcome;
use surfstore::value::Value;
use surfstore::xmlrpc::{Fault, parse_call, parse_response};

fn refused(document: &str) -> i32 {
    parse_response(document.as_bytes()).expect_err("the answer is malformed").code()
}

#[test]
fn a_call_without_parameters_may_say_so_in_any_way() {
    for params in ["", "<params/>", "<params></params>", "<params>\n</params>", "<!-- -->"] {
        let call = format!(
            "<methodCall>\n<methodName>\n surfstore.ping </methodName>{params}\n</methodCall>"
        );
        let call = parse_call(call.as_bytes()).expect("the call is valid");
        assert_eq!(call.method, "surfstore.ping");
        assert_eq!(call.params, Ok(vec![]));
    }
}

#[test]
fn what_is_no_call_is_not_xml_rpc() {
    for document in [
        "<html/>",
        "<MethodCall><methodName>m</methodName></MethodCall>",
        "<x:methodCall><methodName>m</methodName></x:methodCall>",
        "<methodResponse><params><param><value/></param></params></methodResponse>",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        "<methodCall><methodName/></methodCall>",
        "<methodCall><methodName> </methodName></methodCall>",
        "<methodCall><methodName><b>m</b></methodName></methodCall>",
        "<methodCall><params/><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params/><params/></methodCall>",
        "<methodCall><methodName>m</methodName><other/></methodCall>",
        "<methodCall>text<methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params><value/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param>1</param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><int>1</int></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value/><value/></param></params></methodCall>",
    ] {
        assert_eq!(outcome(document), Err(-32600), "{document}");
    }
}

#[test]
fn a_call_has_at_most_64_parameters() {
    let call = |count| {
        let params = "<param><value/></param>".repeat(count);
        format!("<methodCall><methodName>m</methodName><params>{params}</params></methodCall>")
    };
    assert_eq!(outcome(call(64)), Ok("m".into()));
    assert_eq!(outcome(call(65)), Err(-32602));
}

#[test]
fn an_answer_is_one_value() {
    let answer = "<methodResponse><params><param><value><int>3</int></value></param></params></methodResponse>";
    assert_eq!(parse_response(answer.as_bytes()), Ok(Ok(Value::Int(3))));
    for document in [
        "<methodCall><methodName>m</methodName></methodCall>",
        "<methodResponse/>",
        "<methodResponse><params/></methodResponse>",
        "<methodResponse><params><param/></params></methodResponse>",
        "<methodResponse><value/></methodResponse>",
        "<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>",
        "<methodResponse><params><param><value/></param></params><params/></methodResponse>",
    ] {
        assert_eq!(refused(document), -32600, "{document}");
    }
    assert_eq!(refused("<methodResponse><params><param><value>"), -32700);
    assert_eq!(refused(&answer.replace('3', "x")), -32602);
}

#[test]
fn a_fault_is_a_struct_of_a_code_and_a_string() {
    let fault = |members: &str| {
        let members = members
            .replace('[', "<member><name>")
            .replace(':', "</name><value>")
            .replace(']', "</value></member>");
        format!(
            "<methodResponse><fault><value><struct>{members}</struct></value></fault></methodResponse>"
        )
    };
    for members in [
        "[faultCode:<int>-32601</int>][faultString:no]",
        "[faultString:<string>no</string>][more:][faultCode:<i4>-32601</i4>]",
    ] {
        let read = parse_response(fault(members).as_bytes());
        assert_eq!(read, Ok(Err(Fault { code: -32601, message: "no".into() })), "{members}");
    }
    for members in [
        "",
        "[faultCode:<int>1</int>]",
        "[faultString:no]",
        "[faultCode:1][faultString:no]",
        "[faultCode:<i8>4294967297</i8>][faultString:no]",
        "[faultCode:<int>1</int>][faultString:<int>1</int>]",
    ] {
        assert_eq!(refused(&fault(members)), -32600, "{members}");
    }
    assert_eq!(
        refused("<methodResponse><fault><value>no</value></fault></methodResponse>"),
        -32600
    );
    assert_eq!(refused("<methodResponse><fault/></methodResponse>"), -32600);
}

#[test]
fn a_refusal_is_one_line_that_quotes_little() {
    let long = "\u{202E}\r\n".repeat(1000);
    for document in [
        format!(
            "<methodCall><methodName>m</methodName><params><param><value><int>{long}</int></value></param></params></methodCall>"
        ),
        format!("<methodCall>{long}x</methodCall>"),
        format!("<methodCall>&{long};</methodCall>"),
        format!("<methodCall a='<{long}'/>"),
        format!("<{}/>", "a".repeat(10_000)),
        format!("<a></{}>", "a".repeat(10_000)),
    ] {
        let read = parse_call(document.as_bytes()).and_then(|call| call.params);
        let message = read.expect_err("the call is malformed").to_string();
        assert!(message.chars().count() < 500, "{message}");
        assert!(!message.contains(['\r', '\n', '\u{202E}']), "{message:?}");
    }
}
