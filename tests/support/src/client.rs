//! A blocking XML-RPC client with a persistent connection, and the methods that tests call with it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use surfstore::value::Value;
use surfstore::xmlrpc::{Fault, parse_response, write_call};

use crate::wait::{PATIENCE, wait_until};

/// The answer to a call.
pub type Answer = Result<Value, Fault>;

/// The file map: name -> version and hash list.
pub type Files = BTreeMap<String, (i64, Value)>;

/// The answer of a call that succeeded.
pub const TRUE: Answer = Ok(Value::Boolean(true));

/// The answer to an update whose version is not the next.
pub const FALSE: Answer = Ok(Value::Boolean(false));

/// The status of a server, without the members that change with time alone.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub role: Value,
    pub leader: Value,
    pub term: i64,
    pub commit_index: i64,
    pub last_log: (i64, i64),
    pub files: i64,
    pub waiting_calls: i64,
}

/// A client of one server. Its calls are made one after another over one connection, which is made again after it ends.
#[derive(Debug)]
pub struct Client {
    address: String,
    patience: Duration,
    kept: Mutex<Option<BufReader<TcpStream>>>,
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client { address: address.to_owned(), patience: 2 * PATIENCE, kept: Mutex::new(None) }
    }

    /// A client of the same server that disconnects if an answer takes longer than that.
    pub fn impatient(&self, patience: Duration) -> Client {
        Client { patience, ..self.another() }
    }

    /// The server's `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client of the same server with a separate connection.
    pub fn another(&self) -> Client {
        Client::new(&self.address)
    }

    /// Sends a document and reads the answer.
    pub fn try_send(&self, document: &[u8]) -> io::Result<Answer> {
        let mut kept = self.kept.lock().unwrap();
        let mut connection = match kept.take() {
            Some(connection) if is_quiet(connection.get_ref()) => connection,
            _ => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(self.patience))?;
                BufReader::new(stream)
            }
        };
        let mut request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: {}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            self.address,
            document.len()
        )
        .into_bytes();
        request.extend_from_slice(document);
        connection.get_mut().write_all(&request)?;
        let body = read_http(&mut connection)?;
        *kept = Some(connection);
        parse_response(&body).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Calls a method.
    pub fn try_call(&self, method: &str, params: &[Value]) -> io::Result<Answer> {
        self.try_send(&document(method, params))
    }

    /// Sends a document to a server that must answer.
    #[track_caller]
    pub fn send(&self, document: &[u8]) -> Answer {
        match self.try_send(document) {
            Ok(answer) => answer,
            Err(error) => panic!("{} does not answer: {error}", self.address),
        }
    }

    /// Calls a method of a server that must answer.
    #[track_caller]
    pub fn call(&self, method: &str, params: &[Value]) -> Answer {
        self.send(&document(method, params))
    }

    /// Calls a method over a separate connection, without waiting for the answer.
    pub fn begin(&self, method: &str, params: &[Value]) -> Pending {
        let client = self.another();
        let document = document(method, params);
        Pending { call: thread::spawn(move || client.try_send(&document)) }
    }

    #[track_caller]
    fn truth(&self, method: &str) -> bool {
        match self.call(method, &[]) {
            Ok(Value::Boolean(truth)) => truth,
            other => panic!("{method} answered {other:?}"),
        }
    }

    #[track_caller]
    pub fn is_leader(&self) -> bool {
        self.truth("surfstore.isLeader")
    }

    #[track_caller]
    pub fn is_crashed(&self) -> bool {
        self.truth("surfstore.isCrashed")
    }

    #[track_caller]
    pub fn crash(&self) {
        assert_eq!(self.call("surfstore.crash", &[]), TRUE);
    }

    #[track_caller]
    pub fn restore(&self) {
        assert_eq!(self.call("surfstore.restore", &[]), TRUE);
    }

    #[track_caller]
    pub fn update(&self, name: &str, version: i64, hashes: &Value) -> Answer {
        self.call("surfstore.updatefile", &update(name, version, hashes))
    }

    /// The version that this server has applied.
    #[track_caller]
    pub fn version(&self, name: &str) -> i64 {
        match self.call("surfstore.tester_getversion", &[name.into()]) {
            Ok(Value::Int(version)) => version,
            other => panic!("tester_getversion answered {other:?}"),
        }
    }

    #[track_caller]
    pub fn files(&self) -> Result<Files, Fault> {
        self.call("surfstore.getfileinfomap", &[]).map(files)
    }

    #[track_caller]
    fn status(&self) -> BTreeMap<Box<str>, Value> {
        let answer = self.call("surfstore.status", &[]);
        let Ok(Value::Struct(members)) = answer else { panic!("status answered {answer:?}") };
        members.into_iter().collect()
    }

    /// A list of ids in the server's status.
    #[track_caller]
    pub fn ids(&self, name: &str) -> Vec<usize> {
        let Value::Array(ids) = &self.status()[name] else { panic!("{name} is not a list") };
        let id = |value: &Value| match value {
            Value::Int(id) => usize::try_from(*id).unwrap(),
            other => panic!("{name} holds {other:?}"),
        };
        ids.iter().map(id).collect()
    }

    /// A text in the server's status.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        match &self.status()[name] {
            Value::String(text) => text.to_string(),
            other => panic!("{name} is {other:?}"),
        }
    }

    #[track_caller]
    pub fn state(&self) -> State {
        let members = self.status();
        let number = |name: &str| match members[name] {
            Value::Int(number) => number,
            ref other => panic!("{name} is {other:?}"),
        };
        State {
            role: members["role"].clone(),
            leader: members["leader"].clone(),
            term: number("term"),
            commit_index: number("commitIndex"),
            last_log: (number("lastLogIndex"), number("lastLogTerm")),
            files: number("files"),
            waiting_calls: number("waitingCalls"),
        }
    }
}

/// A call that was started.
#[must_use]
pub struct Pending {
    call: JoinHandle<io::Result<Answer>>,
}

impl Pending {
    /// Whether no answer has come yet.
    pub fn is_blocked(&self) -> bool {
        !self.call.is_finished()
    }

    /// The answer, which must arrive within that time.
    #[track_caller]
    pub fn answer(self, within: Duration) -> Answer {
        wait_until(within, "a call that was started is answered", || !self.is_blocked());
        match self.call.join().unwrap() {
            Ok(answer) => answer,
            Err(error) => panic!("a call that was started got no answer: {error}"),
        }
    }
}

/// The parameters of an update.
pub fn update(name: &str, version: i64, hashes: &Value) -> [Value; 3] {
    [name.into(), version.into(), hashes.clone()]
}

/// A list of values.
pub fn list<const N: usize>(elements: [Value; N]) -> Value {
    Value::Array(elements.into())
}

/// A value packed into base64, as servers send each other their messages, and hash lists within them.
pub fn packed(value: &Value) -> Value {
    Value::Base64(value.pack().into())
}

/// A list of one hash.
pub fn hash(text: &str) -> Value {
    list([text.into()])
}

/// The file map in the answer of `getfileinfomap`.
#[track_caller]
pub fn files(answer: Value) -> Files {
    let Value::Struct(members) = answer else { panic!("getfileinfomap answered {answer:?}") };
    let file = |(name, info): (Box<str>, Value)| match info {
        Value::Array(info) => match &*info {
            [Value::Int(version), hashes] => (name.into(), (*version, hashes.clone())),
            other => panic!("{name:?} is {other:?}"),
        },
        other => panic!("{name:?} is {other:?}"),
    };
    members.into_iter().map(file).collect()
}

/// A hash list that identifies an update by a unique number.
pub fn content(number: u64) -> Value {
    list([Value::Int(number.try_into().unwrap())])
}

/// The version and the number of every file, if all updates had such hash lists.
#[track_caller]
pub fn contents(files: &Files) -> BTreeMap<Arc<str>, (i64, u64)> {
    let number = |hashes: &Value| match hashes {
        Value::Array(hashes) => match &**hashes {
            [Value::Int(number)] => u64::try_from(*number).unwrap(),
            other => panic!("no client wrote {other:?}"),
        },
        other => panic!("no client wrote {other:?}"),
    };
    let file = |(name, (version, hashes)): (&String, &(i64, Value))| {
        (name.as_str().into(), (*version, number(hashes)))
    };
    files.iter().map(file).collect()
}

/// Checks that a call failed with this code, and with a message that begins like this.
#[track_caller]
pub fn assert_fault(answer: &Answer, code: i32, begin: &str) {
    let Err(fault) = answer else { panic!("expected fault {code}, not {answer:?}") };
    assert_eq!(fault.code, code, "{fault:?}");
    assert!(fault.message.starts_with(begin), "{fault:?} does not begin with {begin:?}");
}

fn document(method: &str, params: &[Value]) -> Vec<u8> {
    write_call(method, |out| params.iter().for_each(|value| out.param(|out| out.value(value))))
}

/// Whether an idle connection is still open, without any unexpected data in it.
fn is_quiet(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads a response of known length. Every XML-RPC outcome, faults included, has status 200.
fn read_http(connection: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let status = read_line(connection)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("the response begins with {status:?}")));
    }
    let mut length = None;
    loop {
        let line = read_line(connection)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.ok_or_else(|| io::Error::other("no Content-Length"))?];
    connection.read_exact(&mut body)?;
    Ok(body)
}

fn read_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(line.to_owned())
}
