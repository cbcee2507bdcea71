//! How the elements of each type are read.

use super::{array, read_value, structure};
use surfstore::value::{DEPTH_MAX, DateTime, Double, Value};

fn typed(name: &str, text: &str) -> Result<Value, i32> {
    read_value(&format!("<value><{name}>{text}</{name}></value>"))
}

fn double(number: f64) -> Value {
    Value::Double(Double::new(number).expect("the test's doubles are finite"))
}

#[test]
fn an_int_has_32_bits_and_may_be_spelt_as_the_specification_allows() {
    for name in ["int", "i4"] {
        for (text, number) in [
            ("7", 7),
            (" 7 ", 7),
            ("\r\n7\t", 7),
            ("+7", 7),
            ("07", 7),
            ("-7", -7),
            ("-0", 0),
            ("2147483647", 2_147_483_647),
            ("-2147483648", -2_147_483_648),
            ("&#55;<!-- -->7", 77),
        ] {
            assert_eq!(typed(name, text), Ok(Value::Int(number)), "{text}");
        }
        for text in [
            "2147483648",
            "-2147483649",
            "100000000000000000000",
            "1.5",
            "",
            " ",
            "+",
            "-",
            "--1",
            "1 2",
            "0x7",
            "1e3",
            "٣",
            "\u{A0}7",
        ] {
            assert_eq!(typed(name, text), Err(-32602), "{text}");
        }
    }
}

#[test]
fn an_i8_has_64_bits() {
    for name in ["i8", "ex:i8"] {
        assert_eq!(typed(name, " +9223372036854775807"), Ok(Value::Int(i64::MAX)));
        assert_eq!(typed(name, "-9223372036854775808"), Ok(Value::Int(i64::MIN)));
        assert_eq!(typed(name, "9223372036854775808"), Err(-32602));
        assert_eq!(typed(name, ""), Err(-32602));
    }
}

#[test]
fn a_boolean_is_0_or_1_or_a_word() {
    for (text, truth) in [("1", true), (" 0\n", false), ("true", true), (" false ", false)] {
        assert_eq!(typed("boolean", text), Ok(Value::Boolean(truth)), "{text}");
    }
    for text in ["2", "-1", "", "01", "True", "t", "yes"] {
        assert_eq!(typed("boolean", text), Err(-32602), "{text}");
    }
}

#[test]
fn a_double_is_finite() {
    for (text, number) in [
        ("1.5", 1.5),
        ("-0.0", -0.0),
        ("+1", 1.0),
        (" .5 ", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
    ] {
        assert_eq!(typed("double", text), Ok(double(number)), "{text}");
    }
    for text in [
        "inf", "-INF", "infinity", "NaN", "nan", "1e999", "-1e999", "", "1,5", "0x1p3", "1 2", "e",
        ".",
    ] {
        assert_eq!(typed("double", text), Err(-32602), "{text}");
    }
}

#[test]
fn a_string_is_every_character_between_its_tags() {
    for text in ["", " ", " a\tb\n", "é😀", "0", "../..", "\"'"] {
        assert_eq!(typed("string", text), Ok(text.into()));
        assert_eq!(read_value(&format!("<value>{text}</value>")), Ok(text.into()));
    }
    assert_eq!(read_value("<value/>"), Ok("".into()));
    assert_eq!(read_value("<value><string/></value>"), Ok("".into()));
    assert_eq!(read_value("<value>\n <string>a</string>\n</value>"), Ok("a".into()));
}

#[test]
fn base64_may_be_wrapped_and_may_lack_its_padding() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("YQ==", b"a"),
        ("YQ", b"a"),
        ("YWI=", b"ab"),
        ("YWI", b"ab"),
        ("YWJj", b"abc"),
        ("\nYW\r\n Jj\t", b"abc"),
        ("YQ=\n=", b"a"),
        ("+/+/", b"\xFB\xFF\xBF"),
    ] {
        assert_eq!(typed("base64", text), Ok(Value::Base64(bytes.into())), "{text}");
    }
    for text in [
        "Y", "YQ=", "YWI==", "YWJj=", "YWJj====", "=", "==", "====", "YQ==YQ==", "YR==", "-_-_",
        "Y*==", "é",
    ] {
        assert_eq!(typed("base64", text), Err(-32602), "{text}");
    }
}

#[test]
fn a_date_and_time_keeps_its_text() {
    let time = |text| Ok(Value::DateTime(DateTime::new(text).expect("it has the form")));
    for text in ["19980717T14:08:55", "1998-07-17T14:08:55.5+02:00"] {
        assert_eq!(typed("dateTime.iso8601", text), time(text));
    }
    assert_eq!(typed("dateTime.iso8601", " 19980717T14:08:55\n"), time("19980717T14:08:55"));
    for text in ["", "yesterday", "19980717", "19980717T14:08:55&lt;"] {
        assert_eq!(typed("dateTime.iso8601", text), Err(-32602), "{text}");
    }
}

#[test]
fn types_that_are_not_used_here_are_refused() {
    for value in [
        "<nil/>",
        "<ex:nil/>",
        "<nil></nil>",
        "<dateTime>19980717T14:08:55</dateTime>",
        "<float>1.5</float>",
        "<ex:dom><a><b/></a></ex:dom>",
        "<Int>7</Int>",
    ] {
        assert_eq!(read_value(&format!("<value>{value}</value>")), Err(-32602), "{value}");
    }
}

#[test]
fn an_array_holds_its_values_in_order() {
    assert_eq!(
        read_value(
            "<value><array>\n<data> <value><i4>1</i4></value> <value>b</value><value/> </data></array></value>"
        ),
        Ok(array([Value::Int(1), "b".into(), "".into()]))
    );
    for empty in ["<array><data/></array>", "<array/>", "<array> </array>"] {
        assert_eq!(read_value(&format!("<value>{empty}</value>")), Ok(array([])), "{empty}");
    }
    for value in [
        "<array><value/></array>",
        "<array><data/><data/></array>",
        "<array><data/><value/></array>",
        "<array><data><int>1</int></data></array>",
        "<array><data>text</data></array>",
        "<array>text<data/></array>",
        "<array><data/></array><int>1</int>",
        "<array><data/></array>text",
        "text<array><data/></array>",
    ] {
        assert_eq!(read_value(&format!("<value>{value}</value>")), Err(-32600), "{value}");
    }
}

#[test]
fn a_struct_holds_its_members_in_the_order_in_which_they_came() {
    assert_eq!(
        read_value(
            "<value><struct> <member><name> b&amp;</name> <value><int>1</int></value></member> \
             <member><name>a</name><value/></member><member><name/><value/></member></struct></value>"
        ),
        Ok(structure([(" b&", Value::Int(1)), ("a", "".into()), ("", "".into())]))
    );
    assert_eq!(read_value("<value><struct/></value>"), Ok(structure([])));
    for value in [
        "<struct><member/></struct>",
        "<struct><member><value/></member></struct>",
        "<struct><member><name>a</name></member></struct>",
        "<struct><member><name><b/></name><value/></member></struct>",
        "<struct><member><value/><name>a</name></member></struct>",
        "<struct><member><name>a</name><value/><value/></member></struct>",
        "<struct><member><name>a</name><value/></member>text</struct>",
        "<struct><value/></struct>",
        "<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>",
        "<struct><member><name>a</name><value/></member><member><name>b</name><value/></member><member><name>&#97;</name>\
         <value>c</value></member></struct>",
    ] {
        assert_eq!(read_value(&format!("<value>{value}</value>")), Err(-32600), "{value}");
    }
}

#[test]
fn scalars_hold_no_elements() {
    for name in ["int", "string", "boolean", "double", "base64", "dateTime.iso8601"] {
        assert_eq!(typed(name, "<b/>"), Err(-32600), "{name}");
    }
    assert_eq!(read_value("<value><int>1</int><int>1</int></value>"), Err(-32600));
}

#[test]
fn values_nest_as_deep_as_they_may_and_no_deeper() {
    for (open, close) in [
        ("<value><array><data>", "</data></array></value>"),
        ("<value><struct><member><name>a</name>", "</member></struct></value>"),
    ] {
        let nested = |depth| {
            format!("{}<value><int>1</int></value>{}", open.repeat(depth), close.repeat(depth))
        };
        assert!(read_value(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(read_value(&nested(DEPTH_MAX + 1)), Err(-32700));
    }
}
