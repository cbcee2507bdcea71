//! A scripted server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use surfstore::client::{FileUpdate, Limits};
use surfstore::config::Address;
use surfstore::value::Value;
use surfstore::xmlrpc::{Fault, MethodCall, parse_call, write_fault, write_response};

/// What a server does with a call.
pub enum Act {
    Answer(Value),
    /// Answers after this time.
    AnswerLate(Duration, Value),
    Fault(i32, String),
    /// Answers, and closes the connection at once.
    AnswerAndClose(Value),
    /// Closes the connection without an answer.
    Close,
    /// Answers with this HTTP status.
    Status(u16),
    /// Keeps the connection open and never answers.
    Silence,
}

pub const TRUE: Act = Act::Answer(Value::Boolean(true));
pub const FALSE: Act = Act::Answer(Value::Boolean(false));

/// A server that decides by the call, and by how many calls of that method came before, what it does.
pub struct Stage {
    pub address: Address,
    calls: Arc<Mutex<Vec<MethodCall>>>,
    /// How many connections it has closed.
    ended: Arc<AtomicUsize>,
}

type Script = dyn Fn(&str, usize) -> Act + Send + Sync;

impl Stage {
    pub fn new(script: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Stage {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicUsize::new(0));
        let (heard, script, count) = (Arc::clone(&calls), Arc::new(script), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, script) = (Arc::clone(&heard), Arc::clone(&script));
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    serve(stream.unwrap(), &heard, &*script);
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Stage { address: Address { host: "127.0.0.1".to_owned(), port }, calls, ended }
    }

    /// How many connections have been closed.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// How often the method was called.
    pub fn heard(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.method.ends_with(method)).count()
    }
}

fn serve(stream: TcpStream, calls: &Mutex<Vec<MethodCall>>, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Some(document) = read_request(&mut stream) {
        let call = parse_call(&document).unwrap();
        let method = call.method.trim_start_matches("surfstore.").to_owned();
        let before = {
            let mut calls = calls.lock().unwrap();
            calls.push(call);
            calls.iter().filter(|call| call.method.ends_with(&method)).count() - 1
        };
        let (status, body, goes_on) = match script(&method, before) {
            Act::Answer(value) => (200, write_response(|out| out.value(&value)), true),
            Act::AnswerLate(time, value) => {
                thread::sleep(time);
                (200, write_response(|out| out.value(&value)), true)
            }
            Act::AnswerAndClose(value) => (200, write_response(|out| out.value(&value)), false),
            Act::Fault(code, message) => (200, write_fault(&Fault { code, message }), true),
            Act::Status(status) => (status, Vec::new(), false),
            Act::Close => return,
            Act::Silence => loop {
                thread::park();
            },
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.get_mut().write_all(&[head.as_bytes(), &body].concat());
        if !goes_on {
            return;
        }
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// A map of one file.
pub fn map(name: &str, version: i64, hash: &str) -> Act {
    let hashes = Value::Array([hash.into()].into());
    let info = Value::Array([version.into(), hashes].into());
    Act::Answer(Value::Struct([(name.into(), info)].into()))
}

pub fn empty_map() -> Act {
    Act::Answer(Value::Struct([].into()))
}

pub fn update(name: &str, version: i64) -> FileUpdate {
    FileUpdate { name: name.into(), version, hashes: ["mine".into()].into() }
}

/// Limits with which a test ends soon.
pub fn soon() -> Limits {
    let deadline = Duration::from_millis(600);
    Limits { deadline, attempt: Duration::from_millis(200), ..Limits::default() }
}
