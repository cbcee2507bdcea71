//! Documents that are not XML are refused as such, before any other check.

use super::{call_with, outcome, read_value};
use surfstore::value::Value;

const CALL: &str = "<methodCall><methodName>m</methodName></methodCall>";

fn refused(code: i32, documents: &[&str]) {
    for document in documents {
        assert_eq!(outcome(document), Err(code), "{document}");
    }
}

#[test]
fn a_document_cut_short_anywhere_is_not_well_formed() {
    let whole = format!(
        "<?xml version='1.0'?>{}",
        call_with(
            "<value><struct><member><name>a&amp;</name><value><i4>1</i4></value></member></struct></value>"
        )
    );
    for length in 0..whole.len() {
        assert_eq!(outcome(&whole[..length]), Err(-32700), "{}", &whole[..length]);
    }
    assert_eq!(outcome(&whole), Ok("m".into()));
}

#[test]
fn a_document_is_one_element() {
    refused(
        -32700,
        &["", " \r\n\t", "surfstore.ping", "POST / HTTP/1.1", "<!-- -->", "<?xml version='1.0'?>"],
    );
    for around in
        [format!("{CALL}{CALL}"), format!("x{CALL}"), format!("{CALL}x"), format!("{CALL}&#32;")]
    {
        refused(-32700, &[&around]);
    }
    for around in [
        format!("{CALL}<a/>"),
        format!("{CALL}<![CDATA[ ]]>"),
        format!("{CALL}</a>"),
        format!("{CALL}<"),
    ] {
        refused(-32700, &[&around]);
    }
    for around in [format!(" \n{CALL}\r\n"), format!("<!-- a --><?p?>{CALL}<!-- b --><?p q?>")] {
        assert_eq!(outcome(&around), Ok("m".into()), "{around}");
    }
}

#[test]
fn tags_match_and_carry_names() {
    refused(
        -32700,
        &[
            "<methodCall></methodName>",
            "<methodCall><methodName>m</methodCall></methodName>",
            "<methodCall></ methodCall>",
            "<methodCall></methodCall a='1'>",
            "< methodCall/>",
            "<1a/>",
            "<-a/>",
            "<a!/>",
            "<a/ >",
            "<>",
            "</>",
            "<a></>",
            "</a>",
        ],
    );
    assert_eq!(
        outcome("<methodCall ><methodName\n>m</methodName\t></methodCall >"),
        Ok("m".into())
    );
}

#[test]
fn a_syntax_error_outweighs_anything_before_it() {
    refused(
        -32700,
        &[
            "<html><p></html>",
            "<methodCall><methodName/><a></methodCall>",
            "<methodCall/>x",
            "<other>&nbsp;</other>",
        ],
    );
    assert_eq!(
        outcome(call_with("<value><int>x</int></value>").replace("</params>", "")),
        Err(-32700)
    );
}

#[test]
fn a_doctype_is_refused_wherever_and_however_it_stands() {
    for doctype in [
        "<!DOCTYPE methodCall>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\">",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'http://localhost/'>]>",
        "<!DOCTYPE a [<!ENTITY b '0123456789'><!ENTITY c '&b;&b;&b;&b;'>]>",
        "<!DOCTYPE a [<!ENTITY % b '%c;'> %b;]>",
        "<!DOCTYPE",
        "<!doctype html>",
    ] {
        for document in [
            format!("{doctype}{CALL}"),
            format!("<?xml version='1.0'?>\n{doctype}{CALL}"),
            format!("\u{FEFF}{doctype}{CALL}"),
            call_with(&format!("<value>{doctype}</value>")),
            format!("{CALL}{doctype}"),
        ] {
            refused(-32700, &[&document]);
        }
    }
}

#[test]
fn only_the_entities_of_xml_itself_exist() {
    assert_eq!(read_value("<value>&lt;&gt;&amp;&quot;&apos;</value>"), Ok("<>&\"'".into()));
    for reference in
        ["&nbsp;", "&a", "&", "&;", "&#;", "&#x;", "&#X41;", "&#+65;", "&#6 5;", "&AMP;", "& amp;"]
    {
        assert_eq!(read_value(&format!("<value>{reference}</value>")), Err(-32700), "{reference}");
    }
}

#[test]
fn characters_by_number_are_those_of_xml() {
    for (reference, character) in [
        ("&#65;", "A"),
        ("&#x41;", "A"),
        ("&#0000000000000065;", "A"),
        ("&#9;&#10;&#13;", "\t\n\r"),
        ("&#xe9;&#xE9;", "éé"),
        ("&#x1F600;", "😀"),
        ("&#xFFFD;&#x10FFFF;", "\u{FFFD}\u{10FFFF}"),
    ] {
        assert_eq!(
            read_value(&format!("<value>{reference}</value>")),
            Ok(character.into()),
            "{reference}"
        );
    }
    for reference in [
        "&#0;",
        "&#x1;",
        "&#31;",
        "&#xD800;",
        "&#xDFFF;",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#x110000;",
        "&#99999999999;",
    ] {
        assert_eq!(read_value(&format!("<value>{reference}</value>")), Err(-32702), "{reference}");
        assert_eq!(
            outcome(CALL.replace("<methodCall>", &format!("<methodCall a='{reference}'>"))),
            Err(-32702)
        );
    }
}

#[test]
fn characters_that_xml_cannot_carry_are_refused_raw_wherever_they_stand() {
    for character in ["\0", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
        for value in [
            format!("<value>{character}</value>"),
            format!("<value><![CDATA[{character}]]></value>"),
            format!("<value><!--{character}--></value>"),
            format!("<value a='{character}'/>"),
        ] {
            assert_eq!(read_value(&value), Err(-32702), "{value:?}");
        }
    }
    assert_eq!(
        read_value("<value>\u{7F}\u{85}\u{FFFD}</value>"),
        Ok("\u{7F}\u{85}\u{FFFD}".into())
    );
}

#[test]
fn the_end_of_a_cdata_section_cannot_stand_in_text() {
    assert_eq!(read_value("<value>]]></value>"), Err(-32700));
    assert_eq!(read_value("<value>]]&gt; ]> ]] ></value>"), Ok("]]> ]> ]] >".into()));
    assert_eq!(read_value("<value><![CDATA[]]]]><![CDATA[>]]></value>"), Ok("]]>".into()));
}

#[test]
fn text_comes_in_pieces_that_are_joined() {
    for (written, read) in [
        ("a<!-- b -->c", "ac"),
        ("a<?p b?>c", "ac"),
        ("a<![CDATA[<&>]]>c", "a<&>c"),
        ("a&amp;b", "a&b"),
        ("<![CDATA[]]>", ""),
        (" a <!-- --> b ", " a  b "),
    ] {
        assert_eq!(read_value(&format!("<value>{written}</value>")), Ok(read.into()));
        assert_eq!(
            read_value(&format!("<value><string>{written}</string></value>")),
            Ok(read.into())
        );
    }
}

#[test]
fn line_ends_are_read_as_line_feeds_and_a_carriage_return_by_number_stays_one() {
    for (written, read) in [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\r\r\n", "a\n\n"),
        ("&#13;\n", "\r\n"),
        ("\r&#10;", "\n\n"),
    ] {
        assert_eq!(read_value(&format!("<value>{written}</value>")), Ok(read.into()));
    }
    assert_eq!(read_value("<value><![CDATA[a\r\nb]]></value>"), Ok("a\nb".into()));
}

#[test]
fn comments_and_instructions_are_well_formed_too() {
    for markup in [
        "<!-- a -- b -->",
        "<!--->",
        "<!- a -->",
        "<!a>",
        "<?1?>",
        "<??>",
        "<? a?>",
        "<?a",
        "<?xml?>",
        "<?XML a?>",
    ] {
        assert_eq!(
            outcome(format!("<methodCall>{markup}<methodName>m</methodName></methodCall>")),
            Err(-32700),
            "{markup}"
        );
    }
}

#[test]
fn attributes_are_ignored_where_they_are_well_formed() {
    for attributes in [
        "",
        " a='1'",
        " a=\"1\"\n\tb = '2' ",
        " xmlns:ex='http://example.org/'",
        " a='>\"'",
        " a='&lt;&#65;'",
    ] {
        assert_eq!(
            outcome(CALL.replace("<methodCall>", &format!("<methodCall{attributes}>"))),
            Ok("m".into())
        );
    }
    for attributes in [
        " a",
        " a=",
        " a=1",
        " a='1",
        " a='1' a='2'",
        " a='1'b='2'",
        " a='<'",
        " a='&'",
        " a='&nbsp;'",
        " 1='1'",
        " ='1'",
        " a b='1'",
        " a==''",
        "='1'",
        " a=''='1'",
    ] {
        assert_eq!(
            outcome(CALL.replace("<methodCall>", &format!("<methodCall{attributes}>"))),
            Err(-32700),
            "{attributes}"
        );
    }
}

#[test]
fn an_element_has_at_most_16_attributes() {
    let attributes = |count| (0..count).map(|number| format!(" a{number}=''")).collect::<String>();
    assert_eq!(read_value(&format!("<value{}/>", attributes(16))), Ok(Value::from("")));
    assert_eq!(read_value(&format!("<value{}/>", attributes(17))), Err(-32700));
}

#[test]
fn the_declaration_is_optional_and_comes_first() {
    for declaration in [
        "<?xml version=\"1.0\"?>",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n",
        "<?xml version='1.0' standalone='no'?>",
        "\u{FEFF}<?xml version='1.0'?>",
        "\u{FEFF}",
        "<?xml-stylesheet a?>",
    ] {
        assert_eq!(outcome(format!("{declaration}{CALL}")), Ok("m".into()), "{declaration}");
    }
    for declaration in [
        " <?xml version='1.0'?>",
        "<!-- --><?xml version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
        "<?xml?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml version='2.0'?>",
        "<?xml version='1'?>",
        "<?xml version='1.'?>",
        "<?xml version='1.0 '?>",
        "<?xml encoding='UTF-8' version='1.0'?>",
        "<?xml version='1.0' standalone='1'?>",
        "<?xml version='1.0' a='b'?>",
        "<?xml version='1.0'>",
        "\u{FEFF}\u{FEFF}",
    ] {
        assert_eq!(outcome(format!("{declaration}{CALL}")), Err(-32700), "{declaration}");
    }
}

#[test]
fn every_encoding_is_read_as_utf_8_or_refused() {
    let declared =
        |encoding: &str| outcome(format!("<?xml version='1.0' encoding='{encoding}'?>{CALL}"));
    for encoding in [
        "UTF-8",
        "utf-8",
        "utf8",
        "UTF_8",
        "US-ASCII",
        "us-ascii",
        "ASCII",
        "ascii",
        "ISO-8859-1",
        "iso-8859-1",
        "iso8859-1",
        "ISO_8859-1",
        "latin1",
        "Latin-1",
        "ISO-8859-15",
        "latin9",
        "windows-1252",
        "cp1251",
        "KOI8-R",
    ] {
        assert_eq!(declared(encoding), Ok("m".into()), "{encoding}");
    }
    for encoding in [
        "UTF-16",
        "UTF-32",
        "UCS-2",
        "Shift_JIS",
        "UTF-7",
        "EBCDIC-CP-US",
        "cp037",
        "latin",
        "iso8859",
        "",
    ] {
        assert_eq!(declared(encoding), Err(-32701), "{encoding}");
    }
    let utf_16 = |order: fn(u16) -> [u8; 2], text: &str| {
        text.encode_utf16().flat_map(order).collect::<Vec<_>>()
    };
    for text in [CALL.to_owned(), format!("\u{FEFF}{CALL}")] {
        assert_eq!(outcome(utf_16(u16::to_le_bytes, &text)), Err(-32701));
        assert_eq!(outcome(utf_16(u16::to_be_bytes, &text)), Err(-32701));
    }
}

/// What is read as the name of the method, whose bytes these are, with this declaration.
fn method(declared: &str, name: &[u8]) -> Result<String, i32> {
    let start = format!("<?xml version='1.0' encoding='{declared}'?><methodCall><methodName>");
    outcome([start.as_bytes(), name, b"</methodName></methodCall>"].concat())
}

#[test]
fn bytes_beyond_ascii_are_utf_8_or_latin_1_as_declared_and_never_guessed() {
    for declared in ["utf-8", "us-ascii", "iso-8859-1", "latin1"] {
        assert_eq!(
            method(declared, "na\u{ef}ve".as_bytes()),
            Ok("na\u{ef}ve".into()),
            "{declared}"
        );
    }
    for declared in ["iso-8859-1", "ISO8859-1", "Latin1"] {
        assert_eq!(method(declared, b"na\xefve"), Ok("na\u{ef}ve".into()), "{declared}");
        assert_eq!(method(declared, b"\x80\xff"), Ok("\u{80}\u{ff}".into()), "{declared}");
    }
    for declared in ["utf-8", "us-ascii", "windows-1252", "iso-8859-15", "koi8-r"] {
        assert_eq!(method(declared, b"na\xefve"), Err(-32702), "{declared}");
    }
    for declared in ["windows-1252", "iso-8859-15", "koi8-r"] {
        assert_eq!(method(declared, "na\u{ef}ve".as_bytes()), Err(-32701), "{declared}");
    }
    // What XML forbids is forbidden in every encoding.
    assert_eq!(method("latin1", b"\xef\x01"), Err(-32702));
    // Latin-1 has no byte order mark, so these are three characters before the declaration.
    let marked = [
        &b"\xef\xbb\xbf"[..],
        b"<?xml version='1.0' encoding='latin1'?>",
        CALL.as_bytes(),
        b"\xff",
    ];
    assert_eq!(outcome(marked.concat()), Err(-32702));
}

#[test]
fn bytes_that_are_not_utf_8_are_bad_characters() {
    for bytes in [
        &b"\xE9"[..],
        b"\xC0\x80",
        b"\xE0\x80\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF0\x9F\x98",
        b"\x80",
    ] {
        let mut document = CALL.as_bytes().to_vec();
        document.splice(24..24, bytes.iter().copied());
        assert_eq!(outcome(&document), Err(-32702), "{bytes:?}");
    }
}
