//! Handmade inputs, of any length, that cost a parser the most for their length.

use surfstore::value::Value;
use surfstore::xmlrpc::write_call;

/// An input with as many pieces as fit.
pub struct Worst {
    /// What there is much of.
    pub name: &'static str,
    form: Form,
}

enum Form {
    /// Its beginning and its end, with the pieces between them.
    Text { begin: &'static str, piece: fn(usize) -> String, end: &'static str },
    /// An append, packed like this, with so many pieces of so many bytes each.
    Packed { piece_bytes: usize, message: fn(usize) -> Value },
}

impl Worst {
    /// The input of about so many bytes.
    pub fn of(&self, bytes: usize) -> Vec<u8> {
        match self.form {
            Form::Text { begin, piece, end } => text(bytes, begin, piece, end),
            Form::Packed { piece_bytes, message } => {
                // Four characters of base64 encode three bytes.
                let message = message(bytes / 4 * 3 / piece_bytes);
                write_call("appendEntries", |params| {
                    params.param(|param| param.base64(&message.pack()));
                })
            }
        }
    }
}

fn text(bytes: usize, begin: &str, piece: fn(usize) -> String, end: &str) -> Vec<u8> {
    let mut input = begin.to_owned();
    for number in 0.. {
        let piece = piece(number);
        if bytes < input.len() + piece.len() + end.len() {
            break;
        }
        input.push_str(&piece);
    }
    input.push_str(end);
    input.into_bytes()
}

const fn of(
    name: &'static str,
    begin: &'static str,
    piece: fn(usize) -> String,
    end: &'static str,
) -> Worst {
    Worst { name, form: Form::Text { begin, piece, end } }
}

const fn packed(name: &'static str, piece_bytes: usize, message: fn(usize) -> Value) -> Worst {
    Worst { name, form: Form::Packed { piece_bytes, message } }
}

macro_rules! before_value {
    ($rest:literal) => {
        concat!("<methodCall><methodName>m</methodName><params><param><value>", $rest)
    };
}

macro_rules! after_value {
    ($rest:literal) => {
        concat!($rest, "</value></param></params></methodCall>")
    };
}

/// Documents, for the XML reader.
pub const DOCUMENTS: [Worst; 20] = [
    of("a DOCTYPE", "<!DOCTYPE a [", |_| "<!ENTITY a 'b'>".into(), ""),
    of("attributes", "<methodCall", |n| format!(" a{n}=''"), "/>"),
    of("a long name", "<", |_| "a".into(), "/>"),
    of("a long attribute", "<methodCall a='", |_| "a".into(), "'/>"),
    of("comments", "<methodCall>", |_| "<!---->".into(), ""),
    of("openings of comments", "<methodCall>", |_| "<!--".into(), ""),
    of("instructions", "<methodCall>", |_| "<?a?>".into(), ""),
    of("nested elements", "", |_| "<a>".into(), ""),
    of("nested arrays", before_value!(""), |_| "<value><array><data>".into(), ""),
    of("entities", before_value!(""), |_| "&amp;".into(), after_value!("")),
    of("character references", before_value!(""), |_| "&#97;".into(), after_value!("")),
    of("a long reference", before_value!("&"), |_| "a".into(), after_value!(";")),
    of("CDATA", before_value!(""), |_| "<![CDATA[a]]>".into(), after_value!("")),
    of("split text", before_value!(""), |_| "a<!---->".into(), after_value!("")),
    of("line ends", before_value!(""), |_| "\r".into(), after_value!("")),
    of("base64", before_value!("<base64>"), |_| "Y W J j ".into(), after_value!("</base64>")),
    of(
        "elements of a list",
        before_value!("<array><data>"),
        |_| "<value/>".into(),
        after_value!("</data></array>"),
    ),
    of(
        "numbers in a list",
        before_value!("<array><data>"),
        |_| "<value><int>1</int></value>".into(),
        after_value!("</data></array>"),
    ),
    of(
        "members",
        before_value!("<struct>"),
        |n| format!("<member><name>{n}</name><value/></member>"),
        after_value!("</struct>"),
    ),
    of(
        "parameters",
        "<methodCall><methodName>m</methodName><params>",
        |_| "<param><value/></param>".into(),
        "</params></methodCall>",
    ),
];

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Connections, for the gate.
pub const CONNECTIONS: [Worst; 4] = [
    of("chunks of a byte", CHUNKED, |_| "1\r\nx\r\n".into(), "0\r\n\r\n"),
    of(
        "requests without a body",
        "",
        |_| "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(),
        "",
    ),
    of(
        "requests with 60 header lines",
        "",
        |_| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(59)),
        "",
    ),
    of(
        "requests with a short body",
        "",
        |_| "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx".into(),
        "",
    ),
];

fn array(elements: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(elements.into_iter().collect())
}

/// An append with these entries, which a server accepts.
fn append(entries: Value) -> Value {
    let sender = array([1, 3, 0, 101, 1, 101, 0, 1, 1].map(Value::from));
    let [receiver, prev_log_index, prev_log_term, leader_commit, round] =
        [0, 0, 0, 0, 1].map(Value::from);
    let before = [sender, receiver, prev_log_index, prev_log_term, entries];
    array(before.into_iter().chain([leader_commit, round, true.into()]))
}

/// An entry with a roster, which every term begins with.
fn roster() -> Value {
    array([1.into(), 101.into(), array([1, 101, 2, 102].map(Value::from))])
}

/// An entry with an update of this list, packed by itself.
fn update(hashes: &Value) -> Value {
    let hashes = Value::Base64(hashes.pack().into());
    array([1.into(), array(["a".into(), 1.into(), hashes])])
}

/// Messages of peers, for a server; one message each.
pub const MESSAGES: [Worst; 5] = [
    packed("entries", 8 * 9, |count| append(array((0..count).map(|_| roster())))),
    packed("members of a roster", 2 * 9, |count| {
        let member = |number: i64| [number % 256, number].map(Value::from);
        let members = (0..).take(count).flat_map(member);
        append(array([array([1.into(), 101.into(), array(members)])]))
    }),
    packed("updates", 7 * 9 + 1, |count| {
        let updates = (0..count).map(|_| update(&array([])));
        append(array([roster()].into_iter().chain(updates)))
    }),
    packed("hashes of an update", 9, |count| {
        append(array([roster(), update(&array((0..count).map(|_| "".into())))]))
    }),
    packed("parts", 9, |count| array((0..count).map(|_| 1.into()))),
];
