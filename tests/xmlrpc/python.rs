//! Python's `xmlrpc.client` and this crate read each other's documents, difficult strings included.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{array, structure};
use surfstore::value::{DateTime, Double, Value};
use surfstore::xmlrpc::{
    Fault, MethodCall, parse_call, parse_response, write_call, write_fault, write_response,
};

/// The same values as a Python expression.
const IN_PYTHON: &str = r#"["", "\"quotes'", "a\nb\n\tc", "\U0001F600 \u00e9 \x7f", "]]>", "<a b='c'>&amp;</a>", " blanks ",
    "../..", 7, -2147483648, True, False, 0.5, -1e20, b"\x00\xff",
    datetime.datetime(1998, 7, 17, 14, 8, 55), [], {}, {"]]>&\t": [{"": [1]}], "b": ""}]"#;

fn in_rust() -> Value {
    let double =
        |number| Value::Double(Double::new(number).expect("the test's doubles are finite"));
    array([
        "".into(),
        "\"quotes'".into(),
        "a\nb\n\tc".into(),
        "😀 é \u{7F}".into(),
        "]]>".into(),
        "<a b='c'>&amp;</a>".into(),
        " blanks ".into(),
        "../..".into(),
        Value::Int(7),
        Value::Int(-2_147_483_648),
        Value::Boolean(true),
        Value::Boolean(false),
        double(0.5),
        double(-1e20),
        Value::Base64([0, 255].into()),
        Value::DateTime(DateTime::new("19980717T14:08:55").expect("it has the form")),
        array([]),
        structure([]),
        structure([
            ("]]>&\t", array([structure([("", array([Value::Int(1)]))])])),
            ("b", "".into()),
        ]),
    ])
}

/// Runs a program with `document` as its input and the values as `values`, and returns what it prints.
fn python(program: &str, document: &[u8]) -> Vec<u8> {
    let program = format!(
        "import datetime, sys, xmlrpc.client as x\nvalues = {IN_PYTHON}\ndocument = sys.stdin.buffer.read()\n{program}"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    child
        .stdin
        .take()
        .expect("the input is a pipe")
        .write_all(document)
        .expect("python3 reads the document");
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "python3 does not agree, see above");
    output.stdout
}

#[test]
fn python_reads_a_call_that_was_written_here() {
    let call = write_call("a.b", |params| params.param(|writer| writer.value(&in_rust())));
    python(
        "assert x.loads(document, use_builtin_types=True) == ((values,), 'a.b'), x.loads(document)",
        &call,
    );
}

#[test]
fn python_reads_an_answer_that_was_written_here() {
    let answer = write_response(|writer| writer.value(&in_rust()));
    python(
        "assert x.loads(document, use_builtin_types=True) == ((values,), None), x.loads(document)",
        &answer,
    );
}

#[test]
fn python_reads_a_carriage_return_as_what_it_is() {
    let answer = write_response(|writer| {
        writer.structure(|members| members.member("a\r", |value| value.string("b\r\nc\r")));
    });
    python(r"assert x.loads(document)[0] == ({'a\r': 'b\r\nc\r'},), x.loads(document)", &answer);
}

#[test]
fn python_reads_a_fault_that_was_written_here() {
    let fault = write_fault(&Fault { code: 2, message: "not the leader: <b>\r\u{1}]]>".into() });
    let program = r"
try: x.loads(document)
except x.Fault as fault:
    assert (fault.faultCode, fault.faultString) == (2, 'not the leader: <b>\r\ufffd]]>'), fault
else: assert False";
    python(program, &fault);
}

#[test]
fn a_call_that_python_wrote_is_read() {
    let call = python("sys.stdout.buffer.write(x.dumps((values,), 'a.b').encode())", b"");
    let params = Ok(vec![in_rust()]);
    assert_eq!(parse_call(&call), Ok(MethodCall { method: "a.b".into(), params }));
}

#[test]
fn answers_and_faults_that_python_wrote_are_read() {
    let answer =
        python("sys.stdout.buffer.write(x.dumps((values,), methodresponse=True).encode())", b"");
    assert_eq!(parse_response(&answer), Ok(Ok(in_rust())));
    let fault =
        python("sys.stdout.buffer.write(x.dumps(x.Fault(3, 'outcome <unknown>')).encode())", b"");
    assert_eq!(
        parse_response(&fault),
        Ok(Err(Fault { code: 3, message: "outcome <unknown>".into() }))
    );
}
