//! Documents that are large in one respect cost time and memory in proportion, and no stack.
//!
//! Nothing here measures time. Work that is not linear in these sizes would take hours, and recursion would overflow
//! the stack of a thread, which is made small for this purpose.

use super::{call_with, outcome, read_value};
use surfstore::value::Value;
use surfstore::xmlrpc::{parse_call, parse_response};

const MANY: usize = 1_000_000;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    const STACK: usize = 512 * 1024;
    let thread =
        std::thread::Builder::new().stack_size(STACK).spawn(test).expect("a thread starts");
    thread.join().expect("the test passes on the small stack");
}

#[test]
fn a_million_nested_elements_are_refused() {
    on_a_small_stack(|| {
        assert_eq!(outcome("<a>".repeat(MANY)), Err(-32700));
        for open in ["<value>", "<value><array><data>", "<value><struct><member><name/>"] {
            assert_eq!(outcome(call_with(&open.repeat(MANY / 3))), Err(-32700), "{open}");
        }
        let whole = format!("{}{}", "<a>".repeat(MANY), "</a>".repeat(MANY));
        assert_eq!(outcome(&whole), Err(-32700));
        assert_eq!(parse_response(whole.as_bytes()).map_err(|error| error.code()), Err(-32700));
    });
}

#[test]
fn the_deepest_value_is_read_and_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        let depth = surfstore::value::DEPTH_MAX;
        let open = "<value><struct><member><name/>".repeat(depth);
        let close = "</member></struct></value>".repeat(depth);
        assert!(read_value(&format!("{open}<value/>{close}")).is_ok());
    });
}

#[test]
fn a_million_attributes_are_refused() {
    let attributes: String = (0..MANY).map(|number| format!(" a{number}='{number}'")).collect();
    assert_eq!(outcome(format!("<methodCall{attributes}/>")), Err(-32700));
    assert_eq!(outcome(format!("<methodCall{}/>", " a".repeat(MANY))), Err(-32700));
}

#[test]
fn a_million_parameters_are_refused() {
    let call = |param: &str| {
        format!(
            "<methodCall><methodName>m</methodName><params>{}</params></methodCall>",
            param.repeat(MANY)
        )
    };
    assert_eq!(outcome(call("<param><value/></param>")), Err(-32602));
    assert_eq!(outcome(call("<param/>")), Err(-32600));
}

#[test]
fn long_names_are_read_once() {
    let name = "a".repeat(10_000_000);
    assert_eq!(outcome(format!("<{name}/>")), Err(-32600));
    assert_eq!(outcome(format!("<{name}>")), Err(-32700));
    assert_eq!(outcome(format!("<methodCall {name}=''/>")), Err(-32600));
    assert_eq!(
        outcome(format!("<methodCall><methodName>{name}</methodName></methodCall>")),
        Ok(name)
    );
}

#[test]
fn a_value_may_have_a_hundred_thousand_parts() {
    const PARTS: usize = MANY / 10;
    let elements = "<value><int>1</int></value>".repeat(PARTS);
    let Ok(Value::Array(elements)) =
        read_value(&format!("<value><array><data>{elements}</data></array></value>"))
    else {
        panic!("a long array is an array");
    };
    assert_eq!(elements.len(), PARTS);
    for (piece, read) in
        [("&amp;", "&"), ("a<!---->", "a"), ("&#97;", "a"), ("<![CDATA[a]]>", "a"), ("a\r", "a\n")]
    {
        let whole = read_value(&format!("<value>{}</value>", piece.repeat(PARTS)));
        assert_eq!(whole, Ok(Value::from(&*read.repeat(PARTS))), "{piece}");
    }
}

#[test]
fn a_doubled_member_is_found_among_a_hundred_thousand() {
    let member = |number: usize| format!("<member><name>{number}</name><value/></member>");
    let members: String = (0..100_000).map(member).collect();
    assert!(read_value(&format!("<value><struct>{members}</struct></value>")).is_ok());
    assert_eq!(
        read_value(&format!("<value><struct>{members}{}</struct></value>", member(7))),
        Err(-32600)
    );
}

#[test]
fn a_long_doctype_is_refused_where_it_begins() {
    // It has no end; a parser that read it to the end would report that instead.
    let endless = format!("<!DOCTYPE a [{}", "<!ENTITY a 'b'>".repeat(MANY));
    let refusal = parse_call(endless.as_bytes()).expect_err("a DOCTYPE is not accepted");
    assert_eq!(refusal.code(), -32700);
    assert_eq!(refusal.to_string(), "the document has a DOCTYPE, which is not accepted");
}
