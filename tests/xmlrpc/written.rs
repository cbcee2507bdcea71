//! The bytes that are written.

use super::{array, read_value, structure};
use surfstore::value::{Double, Value};
use surfstore::xmlrpc::{
    Fault, Members, PackedWriter, Writer, parse_call, parse_response, write_call, write_fault,
    write_members, write_response,
};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// The `value` element that is written, without the answer around it.
fn written(write: impl FnOnce(&mut Writer)) -> String {
    let answer = String::from_utf8(write_response(write)).expect("an answer is UTF-8");
    let value = answer.strip_prefix(&format!("{DECLARATION}<methodResponse><params><param>"));
    let value = value.and_then(|value| value.strip_suffix("</param></params></methodResponse>"));
    value.expect("an answer is one parameter").to_owned()
}

#[test]
fn integers_are_ints_as_long_as_32_bits_hold_them() {
    for (number, element) in [
        (0, "<int>0</int>"),
        (2_147_483_647, "<int>2147483647</int>"),
        (-2_147_483_648, "<int>-2147483648</int>"),
        (2_147_483_648, "<i8>2147483648</i8>"),
        (i64::MIN, "<i8>-9223372036854775808</i8>"),
    ] {
        assert_eq!(written(|writer| writer.int(number)), format!("<value>{element}</value>"));
    }
}

#[test]
fn booleans_are_digits_and_bytes_are_padded_base64() {
    assert_eq!(written(|writer| writer.boolean(true)), "<value><boolean>1</boolean></value>");
    assert_eq!(written(|writer| writer.boolean(false)), "<value><boolean>0</boolean></value>");
    assert_eq!(written(|writer| writer.base64(b"a")), "<value><base64>YQ==</base64></value>");
    assert_eq!(written(|writer| writer.base64(b"")), "<value><base64></base64></value>");
}

#[test]
fn doubles_have_a_point_and_no_exponent_and_are_read_back_bit_by_bit() {
    let double = |number| Double::new(number).expect("the test's doubles are finite");
    for (number, text) in [
        (5.0, "5.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1e20, "100000000000000000000.0"),
        (1e-7, "0.0000001"),
    ] {
        assert_eq!(
            written(|writer| writer.double(double(number))),
            format!("<value><double>{text}</double></value>")
        );
    }
    for number in [f64::MIN_POSITIVE, f64::MAX, 5e-324, -1.0 / 3.0] {
        let element = written(|writer| writer.double(double(number)));
        let digits =
            element.trim_matches(|character| matches!(character, 'a'..='z' | '<' | '>' | '/'));
        assert!(!digits.contains(['e', 'E']), "{element}");
        assert_eq!(read_value(&element), Ok(Value::Double(double(number))));
    }
}

#[test]
fn strings_and_names_are_escaped() {
    for (text, escaped) in [
        ("", ""),
        ("a&b<c>d", "a&amp;b&lt;c&gt;d"),
        ("]]>", "]]&gt;"),
        ("\r\n\t", "&#13;\n\t"),
        ("\"'é😀", "\"'é😀"),
        ("\0a\u{1}\u{FFFE}\u{FFFF}b", "\u{FFFD}a\u{FFFD}\u{FFFD}\u{FFFD}b"),
    ] {
        assert_eq!(
            written(|writer| writer.string(text)),
            format!("<value><string>{escaped}</string></value>")
        );
        assert_eq!(
            written(|writer| writer.structure(|members| members.member(text, |value| value.int(3)))),
            format!(
                "<value><struct><member><name>{escaped}</name><value><int>3</int></value></member></struct></value>"
            )
        );
    }
}

#[test]
fn a_long_text_is_escaped_like_its_characters_one_by_one() {
    let characters = ['a', '&', '漢', '😀', '\u{FFFE}', '\r'];
    for plain in 0..200 {
        let long: String = std::iter::repeat_n('é', plain / 2)
            .chain(std::iter::repeat_n('x', plain % 7))
            .chain(characters.into_iter().cycle().take(plain))
            .collect();
        let string = |text: &str| written(|writer| writer.string(text));
        let [open, close] = ["<value><string>", "</string></value>"];
        let one = |character: char| {
            let one = string(character.encode_utf8(&mut [0; 4]));
            one.replace(open, "").replace(close, "")
        };
        let expected: String = long.chars().map(one).collect();
        assert_eq!(string(&long), format!("{open}{expected}{close}"));
    }
}

#[test]
fn a_call_names_its_method_and_its_parameters_in_order() {
    let call = write_call("surfstore.updatefile", |params| {
        params.param(|writer| writer.string("a"));
        params.param(|writer| writer.int(1));
        params.param(|writer| {
            writer.array(|hashes| ["b", "c"].iter().for_each(|hash| hashes.string(hash)))
        });
    });
    let call = parse_call(&call).expect("the call is readable");
    assert_eq!(call.method, "surfstore.updatefile");
    let hashes = array(["b".into(), "c".into()]);
    assert_eq!(call.params, Ok(vec!["a".into(), Value::Int(1), hashes]));
    assert_eq!(
        write_call("a<b", |_| {}),
        format!(
            "{DECLARATION}<methodCall><methodName>a&lt;b</methodName><params></params></methodCall>"
        )
        .into_bytes()
    );
}

#[test]
fn a_fault_is_readable_whatever_its_message_quotes() {
    let fault = Fault { code: -32602, message: "bad name \"\u{1}\r<]]>\"".into() };
    let read = parse_response(&write_fault(&fault)).expect("the fault is readable");
    assert_eq!(read, Err(Fault { code: -32602, message: "bad name \"\u{FFFD}\r<]]>\"".into() }));
}

#[test]
fn a_long_packed_value_is_written_in_short_parts_and_like_the_value_itself() {
    const LONG: usize = 1_000_000;
    let text = |unit: &str| unit.repeat(LONG / unit.len());
    let bytes: Box<[u8]> = (0..LONG).map(|at| at.to_le_bytes()[at % 3]).collect();
    for value in [
        Value::from(text("h").as_str()),
        text("<漢\u{10000}é").as_str().into(),
        Value::Base64(bytes),
        array(vec!["h".into(); LONG / 10]),
        array(["".into(), structure([(&text("n&"), 1.into()), ("m", array([]))]), true.into()]),
    ] {
        let packed = value.pack();
        let mut writer = PackedWriter::new();
        let mut is_whole = false;
        let mut parts = Vec::new();
        while !is_whole {
            let mut write = |members: &mut Members<'_>| writer.write(&packed, 1, members.value());
            parts.push(write_members(|members| is_whole = write(members)));
        }
        let whole = write_members(|members| members.value().value(&value));
        assert!(parts.concat() == whole, "the bytes are the same");
        let longest = parts.iter().map(Vec::len).max();
        assert!(longest <= Some(5 * (48 << 10)), "{longest:?}");
    }
}
