//! Documents that are not calls: which fault they get, how soon, and that they leave no trace.

use std::time::{Duration, Instant};

use support::client::{Client, TRUE, assert_fault};

use crate::raw::{Raw, assert_refused, post};
use crate::servers::{assert_unharmed, shared};

/// A call of `crash` with this text after the name.
fn crash_and(rest: &str) -> String {
    format!("<methodCall><methodName>surfstore.crash</methodName>{rest}</methodCall>")
}

/// The fault code for a document.
#[track_caller]
fn code_of(server: &Client, document: &[u8]) -> i32 {
    let mut connection = Raw::to(server);
    connection.send(post(document)).unwrap();
    match connection.response().answer() {
        Err(fault) => fault.code,
        answer => panic!("{answer:?} to {:?}", String::from_utf8_lossy(document)),
    }
}

/// Checks that each document gets one of these faults, and that no call was made.
#[track_caller]
fn assert_codes(documents: &[&[u8]], codes: &[i32]) {
    let cluster = shared();
    for document in documents {
        let code = code_of(cluster.at(0), document);
        let shown = String::from_utf8_lossy(&document[..document.len().min(100)]);
        assert!(codes.contains(&code), "{code} for {shown:?}");
    }
    assert!(!cluster.at(0).another().is_crashed());
    assert_unharmed(&cluster);
}

#[test]
fn what_is_not_one_whole_document_is_not_well_formed() {
    let crash = crash_and("<params/>");
    let documents = [
        "",
        " \r\n\t",
        "crash",
        &crash[..crash.len() - 1],
        &crash[..crash.len() / 2],
        &crash_and("<params>"),
        &crash.repeat(2),
        &format!("{crash}x"),
        &format!("x{crash}"),
        &format!("{crash}<a/>"),
        &crash.replace("</methodName>", "</methodname>"),
        &crash_and("]]>"),
    ];
    assert_codes(&documents.map(str::as_bytes), &[-32700]);
}

#[test]
fn a_doctype_is_refused_at_once_and_nothing_is_fetched() {
    let cluster = shared();
    // A file whose reading would be noticed, because it has no end.
    let outside = "<!ENTITY a SYSTEM \"file:///dev/zero\">";
    let laughs: String = (1..30)
        .map(|n| format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10)))
        .collect();
    let quadratic = format!("<!ENTITY a \"{}\">", "x".repeat(1 << 20));
    let parameter = "<!ENTITY % a SYSTEM \"http://127.0.0.1:9/\"> %a;";
    for subset in [outside, &laughs, &quadratic, parameter, ""] {
        let call = crash_and("<params><param><value>&a;&a29;</value></param></params>");
        let document = format!("<!DOCTYPE methodCall [{subset}]>{call}");
        assert_eq!(code_of(cluster.at(0), document.as_bytes()), -32700);
    }
    let external = format!("<!DOCTYPE a SYSTEM \"http://127.0.0.1:9/a.dtd\">{}", crash_and(""));
    let start = Instant::now();
    assert_eq!(code_of(cluster.at(0), external.as_bytes()), -32700);
    assert!(start.elapsed() < Duration::from_millis(200), "it took {:?}", start.elapsed());
    assert!(!cluster.at(0).another().is_crashed());
    assert_unharmed(&cluster);
}

/// `cargo bench --bench readers` measures what that costs.
#[test]
fn a_doctype_of_8_mib_is_refused_where_it_begins_whatever_follows() {
    let cluster = shared();
    let mut messages = Vec::new();
    for begin in ["", "<?xml version='1.0'?>\n", "<!-- a -->"] {
        for piece in ["<!ENTITY a 'b'>", "<!DOCTYPE", "]]>", "&", "x", "<a>", "--", "'"] {
            let mut document = format!("{begin}<!DOCTYPE a [");
            document.push_str(&piece.repeat(((8 << 20) - 1 - document.len()) / piece.len()));
            let mut connection = Raw::to(cluster.at(0));
            connection.send(post(document.as_bytes())).unwrap();
            let fault = connection.response().answer().unwrap_err();
            assert_eq!(fault.code, -32700, "{fault:?} for {begin:?} and {piece:?}");
            messages.push(fault.message);
        }
    }
    // A parser that had gone on would have reported another error.
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("DOCTYPE"), "{messages:?}");
    assert_unharmed(&cluster);
}

#[test]
fn characters_that_xml_cannot_carry_are_refused() {
    for characters in [
        "&a;",
        "&#0;",
        "&#x1;",
        "&#xD800;",
        "&#99999999999;",
        "&#xFFFE;",
        "\u{1}",
        "\u{FFFE}",
        "\0",
    ] {
        let value = format!("<params><param><value>{characters}</value></param></params>");
        assert_codes(&[crash_and(&value).as_bytes()], &[-32700, -32702]);
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let utf_16 = |encode: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{FEFF}{}", crash_and("")).encode_utf16().flat_map(encode).collect()
    };
    assert_codes(&[&utf_16(u16::to_le_bytes), &utf_16(u16::to_be_bytes)], &[-32701, -32702]);
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
    {
        let document = [b"<methodCall><methodName>", bytes, b"</methodName></methodCall>"].concat();
        assert_codes(&[&document], &[-32702]);
    }
    let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", crash_and(""));
    assert_codes(&[declared.as_bytes()], &[-32701]);
}

#[test]
fn a_byte_order_mark_and_the_declared_subsets_of_utf_8_do_no_harm() {
    let cluster = shared();
    let ping = "<methodCall><methodName>ping</methodName></methodCall>";
    for begin in [
        "\u{FEFF}",
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<?xml version='1.0' encoding='us-ascii'?>",
        "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\r\n",
        "<?xml version=\"1.0\"?><!-- \u{F6} -->",
    ] {
        let mut connection = Raw::to(cluster.at(0));
        connection.send(post(format!("{begin}{ping}").as_bytes())).unwrap();
        assert_eq!(connection.response().answer(), TRUE, "{begin:?}");
    }
}

#[test]
fn documents_beyond_the_bounds_take_linear_time_and_a_constant_stack() {
    let value = |inside: &str| crash_and(&format!("<params><param>{inside}</param></params>"));
    let nested = |depth: usize| {
        let (begin, end) = ("<value><array><data>", "</data></array></value>");
        value(&format!("{}{}", begin.repeat(depth), end.repeat(depth)))
    };
    let params = crash_and(&format!("<params>{}</params>", "<param/>".repeat(900_000)));
    let attributes: String = (0..700_000).map(|n| format!(" a{n}=\"\"")).collect();
    let documents = [
        nested(65),
        nested(150_000),
        "<a>".repeat(1_000_000),
        format!("<methodCall{attributes}/>"),
        format!("<methodCall>{}", "<!--".repeat(1_000_000)),
        format!("<methodCall>{}", "<![CDATA[".repeat(800_000)),
        format!("<methodCall>{}", "&amp".repeat(1_000_000)),
    ];
    let start = Instant::now();
    let bytes: Vec<_> = documents.iter().map(String::as_bytes).collect();
    assert_codes(&bytes, &[-32700]);
    let name = format!("<{}/>", "a".repeat(8_000_000));
    assert_codes(&[params.as_bytes(), name.as_bytes()], &[-32600]);
    let longer = format!("<{}/>", "a".repeat(10_000_000));
    assert_refused(shared().at(0), post(longer.as_bytes()), 413);
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
}

#[test]
fn a_document_that_is_not_xml_rpc_is_told_so() {
    let twice = "<member><name>a</name><value/></member>".repeat(2);
    let nameless = "<member><value/></member>";
    for members in [&twice, nameless] {
        let params =
            format!("<params><param><value><struct>{members}</struct></value></param></params>");
        assert_codes(&[crash_and(&params).as_bytes()], &[-32600]);
    }
    let documents = ["<a/>", "<methodCall/>", "<methodCall><params/></methodCall>"];
    assert_codes(&documents.map(str::as_bytes), &[-32600]);
}

#[test]
fn a_method_that_does_not_exist_is_told_so() {
    let cluster = shared();
    for method in ["nothing", "surfstore.", &"x".repeat(4 << 10), "\u{1F600}"] {
        assert_fault(&cluster.at(0).another().call(method, &[]), -32601, "");
    }
    assert_codes(&[crash_and("<params><param><value/></param></params>").as_bytes()], &[-32602]);
}

#[test]
fn a_multicall_of_as_many_calls_as_a_body_holds_makes_none_of_them() {
    let crash = "<value><struct><member><name>methodName</name><value>surfstore.crash</value></member>\
                 <member><name>params</name><value><array><data></data></array></value></member></struct></value>";
    let many = |calls: usize| {
        format!(
            "<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>\
             {}</data></array></value></param></params></methodCall>",
            crash.repeat(calls)
        )
    };
    let most = (7 << 20) / crash.len();
    assert_codes(&[many(65).as_bytes(), many(most).as_bytes()], &[-32602]);
    assert_refused(shared().at(0), post(many(2 * most).as_bytes()), 413);
    let empty = "<value/>".repeat(800_000);
    let empty = many(0).replace("</data>", &format!("{empty}</data>"));
    assert_codes(&[empty.as_bytes()], &[-32602]);
}
