//! A set that looks like a real one from outside. One lock in this process holds its state, and it may have a flaw.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use surfstore::gate::{Gate, Received};
use surfstore::protocol::fault;
use surfstore::value::Value;
use surfstore::xmlrpc::{Fault, MethodCall, parse_call, write_fault, write_response};

/// The flaw of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// None.
    None,
    /// The newest update, acknowledged long ago, is lost when the leader crashes.
    LosesUpdates,
    /// Every eighth read is answered from a map that was saved a while ago.
    ReadsFromThePast,
    /// Every eighth refusal is false: the update takes effect.
    AppliesWhatItRefuses,
    /// After a crash, two servers lead the same term.
    HasTwoLeaders,
    /// A crashed server continues to apply entries.
    MovesWhileCrashed,
}

type Files = BTreeMap<Box<str>, (i64, Value)>;

/// The set: what is committed, and how far each server has applied it.
struct Set {
    flaw: Flaw,
    files: Files,
    /// `files` before the newest update.
    before: Files,
    /// `files` some time ago.
    past: Files,
    updates: i64,
    calls: usize,
    term: i64,
    leader: Option<usize>,
    servers: Vec<Server>,
}

struct Server {
    is_crashed: bool,
    files: Files,
    applied: i64,
    term: i64,
}

/// Starts a set of three. Returns the text of its configuration.
pub(crate) fn start(flaw: Flaw) -> String {
    let fresh = || Server { is_crashed: false, files: Files::new(), applied: 0, term: 1 };
    let set = Arc::new(Mutex::new(Set {
        flaw,
        files: Files::new(),
        before: Files::new(),
        past: Files::new(),
        updates: 0,
        calls: 0,
        term: 1,
        leader: Some(0),
        servers: vec![fresh(), fresh(), fresh()],
    }));
    let mut config = "M: 3\n".to_owned();
    for id in 0..3 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        config += &format!("metadata{id}: 127.0.0.1:{}\n", listener.local_addr().unwrap().port());
        let set = Arc::clone(&set);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let set = Arc::clone(&set);
                thread::spawn(move || serve(stream.unwrap(), id, &set));
            }
        });
    }
    config
}

fn serve(mut stream: TcpStream, id: usize, set: &Mutex<Set>) {
    let mut gate = Gate::new("127.0.0.1");
    let mut chunk = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        gate.push(&chunk[..count]);
        while let Received::Request(request) = gate.next().unwrap() {
            let call = parse_call(&request.body).unwrap();
            let body = match set.lock().unwrap().answer(id, &call) {
                Ok(value) => write_response(|writer| writer.value(&value)),
                Err(fault) => write_fault(&fault),
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            // A caller may have disconnected.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    }
}

impl Set {
    fn answer(&mut self, id: usize, call: &MethodCall) -> Result<Value, Fault> {
        self.calls += 1;
        match (call.method.as_str(), call.params.as_deref().unwrap()) {
            ("surfstore.crash", []) => self.crash(id),
            ("surfstore.restore", []) => self.restore(id),
            ("surfstore.status", []) => return Ok(self.status(id)),
            ("surfstore.tester_getversion", [Value::String(name)]) => {
                let file = self.servers[id].files.get(name);
                return Ok(file.map_or(0, |(version, _)| *version).into());
            }
            _ if self.servers[id].is_crashed => return Err(fault::crashed()),
            _ if self.leader != Some(id) => {
                return Err(Fault { code: fault::NOT_LEADER, message: "not the leader".into() });
            }
            ("surfstore.getfileinfomap", []) => return Ok(self.read()),
            (
                "surfstore.updatefile",
                [Value::String(name), Value::Int(version), hashes @ Value::Array(_)],
            ) => {
                return Ok(self.update(name, *version, hashes).into());
            }
            other => panic!("no such call: {other:?}"),
        }
        Ok(true.into())
    }

    fn crash(&mut self, id: usize) {
        self.servers[id].is_crashed = true;
        if self.leader == Some(id) {
            self.leader = None;
            if self.flaw == Flaw::LosesUpdates {
                self.files = self.before.clone();
            }
        }
        self.elect();
    }

    fn restore(&mut self, id: usize) {
        self.servers[id].is_crashed = false;
        self.elect();
        self.replicate();
    }

    /// Two of three have a leader immediately.
    fn elect(&mut self) {
        let up = self.servers.iter().filter(|server| !server.is_crashed).count();
        if self.leader.is_none() && 2 <= up {
            self.leader = self.servers.iter().position(|server| !server.is_crashed);
            self.term += 1;
            self.replicate();
        }
    }

    fn replicate(&mut self) {
        for server in &mut self.servers {
            if !server.is_crashed || self.flaw == Flaw::MovesWhileCrashed {
                server.files = self.files.clone();
                server.applied = self.updates;
                server.term = self.term;
            }
        }
    }

    fn update(&mut self, name: &str, version: i64, hashes: &Value) -> bool {
        let stored = self.files.get(name).map_or(0, |(version, _)| *version);
        if version != stored + 1 {
            return false;
        }
        self.before = self.files.clone();
        self.files.insert(name.into(), (version, hashes.clone()));
        self.updates += 1;
        if self.updates % 16 == 0 {
            self.past = self.before.clone();
        }
        self.replicate();
        self.flaw != Flaw::AppliesWhatItRefuses || self.updates % 8 != 0
    }

    fn read(&self) -> Value {
        let is_past = self.flaw == Flaw::ReadsFromThePast && self.calls.is_multiple_of(8);
        let files = if is_past { &self.past } else { &self.files };
        let info = |(version, hashes): &(i64, Value)| {
            Value::Array([(*version).into(), hashes.clone()].into())
        };
        Value::Struct(files.iter().map(|(name, file)| (name.clone(), info(file))).collect())
    }

    fn status(&self, id: usize) -> Value {
        let server = &self.servers[id];
        let leads = self.leader == Some(id)
            || (self.flaw == Flaw::HasTwoLeaders && 1 < self.term && !server.is_crashed);
        let role = match (server.is_crashed, leads) {
            (true, _) => "crashed",
            (false, true) => "leader",
            (false, false) => "follower",
        };
        let texts = [("address", ""), ("role", role), ("leader", ""), ("release", "")];
        let numbers = [
            ("id", i64::try_from(id).unwrap()),
            ("servers", 3),
            ("term", server.term),
            ("commitIndex", server.applied),
            ("lastApplied", server.applied),
            ("lastLogIndex", server.applied),
            ("lastLogTerm", 0),
            ("files", 0),
            ("waitingCalls", 0),
            ("peerRequests", 0),
            ("leaderChanges", 0),
            ("electionsStarted", 0),
            ("lastHeardMilliseconds", 0),
            ("uptimeSeconds", 0),
        ];
        let texts = texts.map(|(name, text)| (name.into(), text.into()));
        let numbers = numbers.map(|(name, number)| (name.into(), number.into()));
        Value::Struct(texts.into_iter().chain(numbers).collect())
    }
}
