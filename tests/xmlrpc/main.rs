//! XML-RPC documents as they arrive, hostile ones included, and as clients in other languages write and read them.

#![allow(missing_docs)]

mod clients;
mod grammar;
mod python;
mod random;
mod size;
mod values;
mod well_formed;
mod written;

use surfstore::value::Value;
use surfstore::xmlrpc::{parse_call, parse_response};

/// A call of `m` with one parameter, whose `value` element is given.
fn call_with(value: &str) -> String {
    format!(
        "<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>"
    )
}

/// How the server reads one `value` element, or the fault code of its refusal.
fn read_value(value: &str) -> Result<Value, i32> {
    let call = parse_call(call_with(value).as_bytes());
    let params = call.and_then(|call| call.params).map_err(|error| error.code())?;
    let [value] = <[Value; 1]>::try_from(params).expect("one parameter was sent");
    Ok(value)
}

/// The fault code with which a call is refused, or the name of its method if it is not.
fn outcome(document: impl AsRef<[u8]>) -> Result<String, i32> {
    let call = parse_call(document.as_ref()).map_err(|error| error.code())?;
    call.params.map(|_| call.method).map_err(|error| error.code())
}

/// The value in an answer that the server wrote.
fn answered(document: &[u8]) -> Value {
    parse_response(document).expect("the answer is readable").expect("the answer is not a fault")
}

fn array(elements: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(elements.into_iter().collect())
}

fn structure<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
