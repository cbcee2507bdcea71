//! Values, as people type and read them.
//!
//! Input has a single form: `TYPE:TEXT`, always with the type. Output is JSON.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use crate::value::{DEPTH_MAX, DateTime, Double, Value, is_visible};

/// Parses a parameter of a call.
pub(super) fn read(argument: &str) -> Result<Value, String> {
    const TYPES: &str = "string, int, double, bool, base64, datetime or json";
    let expected = || format!("{argument:?} is not TYPE:TEXT, with a type of {TYPES}");
    let (kind, text) = argument.split_once(':').ok_or_else(expected)?;
    let value = match kind {
        "string" => Some(text.into()),
        "int" => text.parse().ok().map(Value::Int),
        "double" => text.parse().ok().and_then(Double::new).map(Value::Double),
        "bool" => match text {
            "1" | "true" => Some(true.into()),
            "0" | "false" => Some(false.into()),
            _ => None,
        },
        "base64" => base64::decode(text).ok().map(|bytes| Value::Base64(bytes.into())),
        "datetime" => DateTime::new(text).map(Value::DateTime),
        "json" => {
            let json = serde_json::from_str(text)
                .map_err(|error| format!("{argument:?} is not JSON: {error}"))?;
            return from_json(json, DEPTH_MAX).map_err(|reason| format!("{argument:?} {reason}"));
        }
        _ => return Err(expected()),
    };
    value.ok_or_else(|| format!("{argument:?} is not a valid {kind}"))
}

fn from_json(json: Json, depth: usize) -> Result<Value, &'static str> {
    let inner = depth.checked_sub(1).ok_or("nests too deeply");
    match json {
        Json::Null => Err("contains null, which has no XML-RPC type"),
        Json::Bool(truth) => Ok(truth.into()),
        Json::Number(number) => {
            let is_whole = !number.as_str().contains(['.', 'e', 'E']);
            // A whole number that does not fit would be another number as a double.
            let value = if is_whole {
                number.as_i64().map(Value::Int)
            } else {
                number.as_f64().and_then(Double::new).map(Value::Double)
            };
            value.ok_or("contains a number that is too large")
        }
        Json::String(text) => Ok(text.as_str().into()),
        Json::Array(elements) => {
            let inner = inner?;
            elements
                .into_iter()
                .map(|element| from_json(element, inner))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Json::Object(members) => {
            let inner = inner?;
            let member = |(name, json): (String, Json)| Ok((name.into(), from_json(json, inner)?));
            members.into_iter().map(member).collect::<Result<_, _>>().map(Value::Struct)
        }
    }
}

/// The value as JSON. A value of a type that JSON lacks becomes an object with one member, which names the type.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Double(double) => json!(double.get()),
        Value::String(text) => json!(text),
        Value::Base64(bytes) => json!({ "base64": base64::encode(bytes) }),
        Value::DateTime(time) => json!({ "dateTime.iso8601": time.as_str() }),
        Value::Array(elements) => elements.iter().map(to_json).collect(),
        Value::Struct(members) => {
            let member = |(name, value): &(Box<str>, Value)| (name.to_string(), to_json(value));
            Json::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
    }
}

/// The value that [`to_json`] shows like this; `None` if there is none. A struct that is shown like base64 or a date is
/// taken for one. The members of any other struct are in the order of their names.
pub(super) fn from_shown(json: &Json) -> Option<Value> {
    match json {
        Json::Array(elements) => {
            elements.iter().map(from_shown).collect::<Option<_>>().map(Value::Array)
        }
        Json::Object(members) => typed(members).or_else(|| {
            let member =
                |(name, json): (&String, &Json)| Some((name.as_str().into(), from_shown(json)?));
            members.iter().map(member).collect::<Option<_>>().map(Value::Struct)
        }),
        other => from_json(other.clone(), DEPTH_MAX).ok(),
    }
}

/// The value of a type that JSON lacks, if the only member of the object names one.
fn typed(members: &Map<String, Json>) -> Option<Value> {
    let (name, Json::String(text)) = members.iter().next().filter(|_| members.len() == 1)? else {
        return None;
    };
    match name.as_str() {
        "base64" => base64::decode(text).ok().map(|bytes| Value::Base64(bytes.into())),
        "dateTime.iso8601" => DateTime::new(text).map(Value::DateTime),
        _ => None,
    }
}

/// A JSON document with every character visible. Those that are not occur only in strings, where they can be escaped.
/// The library escapes only some of them.
pub(super) fn shown(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        if is_visible(character) || character == '\n' {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_has_the_type_that_it_names() {
        for (argument, value) in [
            ("string:a:b", "a:b".into()),
            ("string:", "".into()),
            ("int:-3", Value::Int(-3)),
            ("double:3", Value::Double(Double::new(3.0).unwrap())),
            ("bool:1", true.into()),
            ("bool:false", false.into()),
            ("base64:aGk=", Value::Base64(b"hi"[..].into())),
            (
                "datetime:19980717T14:08:55",
                Value::DateTime(DateTime::new("19980717T14:08:55").unwrap()),
            ),
            ("json:7", Value::Int(7)),
            ("json:9223372036854775807", Value::Int(i64::MAX)),
            ("json:-9223372036854775808", Value::Int(i64::MIN)),
            ("json:1e19", Value::Double(Double::new(1e19).unwrap())),
            ("json:18446744073709551616.0", Value::Double(Double::new(2f64.powi(64)).unwrap())),
            ("json:[\"a\", true]", Value::Array(["a".into(), true.into()].into())),
            (
                "json:{\"a\": 0.5}",
                Value::Struct([("a".into(), Value::Double(Double::new(0.5).unwrap()))].into()),
            ),
        ] {
            assert_eq!(read(argument), Ok(value), "{argument}");
        }
    }

    #[test]
    fn what_is_shown_as_json_cannot_steer_a_terminal_and_means_the_same() {
        let document = json!({ "a\u{9b}": ["\u{7f}\u{85}\t", "ü\n", "\u{202e}\u{e0041}"] });
        for text in [document.to_string(), format!("{document:#}")] {
            let shown = shown(&text);
            assert!(shown.chars().all(|c| is_visible(c) || c == '\n'), "{shown:?}");
            assert_eq!(serde_json::from_str::<Json>(&shown).unwrap(), document);
        }
    }

    #[test]
    fn what_hash_lists_contain_is_read_as_it_was_shown() {
        let list = [
            "h".into(),
            Value::Int(3),
            Value::Double(Double::new(3.0).unwrap()),
            true.into(),
            Value::Base64(b"hi"[..].into()),
            Value::DateTime(DateTime::new("19980717T14:08:55").unwrap()),
            Value::Struct([].into()),
            Value::Struct(
                [("a".into(), ["b".into(), Value::Base64(b""[..].into())].into())].into(),
            ),
            Value::Struct([("base64".into(), "!".into())].into()),
            Value::Struct([("base64".into(), "aGk=".into()), ("name".into(), "b".into())].into()),
            Value::Struct([("dateTime.iso8601".into(), "now".into())].into()),
        ];
        for value in list.clone().into_iter().chain([Value::Array(list.into())]) {
            let shown = to_json(&value).to_string();
            assert_eq!(from_shown(&serde_json::from_str(&shown).unwrap()), Some(value), "{shown}");
        }
        for shown in [json!(null), json!({"a": null}), json!([[null]])] {
            assert_eq!(from_shown(&shown), None, "{shown}");
        }
    }

    #[test]
    fn what_does_not_fit_its_type_is_refused_with_a_sentence() {
        for argument in [
            "plain",
            "",
            "text:a",
            "int:1.5",
            "int:",
            "int:x",
            "double:inf",
            "bool:yes",
            "base64:!",
            "datetime:now",
            "json:",
            "json:null",
            "json:[null]",
            "json:{",
            "json:9223372036854775808",
            "json:[18446744073709551616]",
            "json:{\"a\": -9223372036854775809}",
            "json:1e400",
        ] {
            let reason = read(argument).unwrap_err();
            assert!(
                reason.contains(&format!("{argument:?}")) && !reason.contains('\n'),
                "{reason}"
            );
        }
        let deep = format!("json:{}{}", "[".repeat(70), "]".repeat(70));
        assert!(read(&deep).unwrap_err().ends_with("nests too deeply"));
    }
}
