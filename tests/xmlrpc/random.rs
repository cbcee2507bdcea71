//! Properties over random values and random damage.

use super::answered;
use proptest::prelude::*;
use surfstore::value::{DateTime, Double, Value};
use surfstore::xmlrpc::{parse_call, parse_response, response_bytes, write_call, write_response};

/// Text of characters that XML allows, with many that need escaping.
fn text() -> impl Strategy<Value = String> {
    let delicate = prop::sample::select(vec![
        '&', '<', '>', ']', '\r', '\n', '\t', ' ', '"', '\u{FFFD}', '\u{7F}', 'é', '😀',
    ]);
    let any = any::<char>().prop_filter("XML carries it", |&character| {
        (character >= ' ' || matches!(character, '\t' | '\n' | '\r'))
            && !matches!(character, '\u{FFFE}' | '\u{FFFF}')
    });
    prop::collection::vec(prop_oneof![delicate, any], 0..12).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|number| Value::Int(number.into())),
        any::<bool>().prop_map(Value::Boolean),
        any::<u64>().prop_filter_map("it is finite", |bits| Double::new(f64::from_bits(bits))
            .map(Value::Double)),
        text().prop_map(|text| Value::String(text.into())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Base64(bytes.into())),
        Just(Value::DateTime(DateTime::new("19980717T14:08:55").expect("it has the form"))),
    ];
    scalar.prop_recursive(8, 64, 6, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..6)
                .prop_map(|elements| Value::Array(elements.into())),
            prop::collection::btree_map(text(), value, 0..6).prop_map(|members| {
                Value::Struct(
                    members.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                )
            }),
        ]
    })
}

fn document() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(value(), 0..4).prop_map(|values| {
        write_call("surfstore.updatefile", |params| {
            values.iter().for_each(|value| params.param(|writer| writer.value(value)));
        })
    })
}

/// Positions in a document, and the fragments that overwrite what is there.
type Damage = Vec<(prop::sample::Index, usize, Vec<u8>)>;

fn damaged(document: Vec<u8>, damage: Damage) -> Vec<u8> {
    let mut document = document;
    for (place, length, scrap) in damage {
        let start = place.index(document.len() + 1);
        let end = document.len().min(start + length);
        document.splice(start..end, scrap);
    }
    document
}

fn damage() -> impl Strategy<Value = Damage> {
    let scrap = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            "<",
            ">",
            "&",
            ";",
            "</",
            "/>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?",
            "?>",
            "<!DOCTYPE",
            "&#",
            "&#x1;",
            "='",
            "\"",
            "<value>",
            "</value>",
            "<array><data>",
            "<struct>",
            "<member>",
            "<name>",
            "=",
            "A",
        ])
        .prop_map(|scrap| scrap.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, scrap), 1..6)
}

proptest! {
    #[test]
    fn every_value_is_read_back_as_it_was_written(value in value()) {
        prop_assert_eq!(&answered(&write_response(|writer| writer.value(&value))), &value);
        let call = parse_call(&write_call("m", |params| params.param(|writer| writer.value(&value))));
        prop_assert_eq!(call.and_then(|call| call.params), Ok(vec![value]));
    }

    #[test]
    fn a_packed_value_is_written_like_the_value_itself(value in value()) {
        let packed = value.pack();
        let written = write_response(|writer| writer.packed(&packed));
        prop_assert_eq!(written, write_response(|writer| writer.value(&value)));
    }

    #[test]
    fn what_is_only_counted_has_as_many_bytes_as_what_is_written(value in value()) {
        let written = write_response(|writer| writer.value(&value));
        prop_assert_eq!(response_bytes(|writer| writer.value(&value)), written.len());
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_call(&bytes);
        let _ = parse_response(&bytes);
    }

    #[test]
    fn any_text_can_be_written(text in any::<String>()) {
        let answer = write_response(|writer| writer.structure(|members| members.member(&text, |value| value.string(&text))));
        prop_assert!(parse_response(&answer).is_ok());
    }

    #[test]
    fn a_damaged_document_is_answered(document in document(), damage in damage()) {
        let document = damaged(document, damage);
        // Everything that was read can be written, and is then read as the same.
        if let Ok(call) = parse_call(&document) && let Ok(read) = &call.params {
            let again = write_call(&call.method, |params| {
                read.iter().for_each(|value| params.param(|writer| writer.value(value)));
            });
            prop_assert_eq!(parse_call(&again), Ok(call));
        }
    }

    /// A line break after it prevents it from being recognised.
    #[test]
    fn a_message_is_read_as_the_parser_reads_it(
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        damage in prop_oneof![Just(Vec::new()), damage()],
    ) {
        let call = write_call("surfstore.appendEntries", |params| {
            params.param(|writer| writer.base64(&bytes));
        });
        let call = damaged(call, damage.clone());
        let parsed = parse_call(&[&*call, b"\n"].concat()).map_err(|error| error.code());
        prop_assert_eq!(parse_call(&call).map_err(|error| error.code()), parsed);
        let answer = damaged(write_response(|writer| writer.base64(&bytes)), damage);
        let parsed = parse_response(&[&*answer, b"\n"].concat()).map_err(|error| error.code());
        prop_assert_eq!(parse_response(&answer).map_err(|error| error.code()), parsed);
    }

    #[test]
    fn a_document_cut_short_is_no_call(document in document(), place in any::<prop::sample::Index>()) {
        let cut = &document[..place.index(document.len())];
        let code = parse_call(cut).expect_err("it is truncated").code();
        // A cut inside a character leaves bytes that are not UTF-8.
        prop_assert!(code == -32700 || (code == -32702 && std::str::from_utf8(cut).is_err()), "{}", code);
    }
}
