//! Closed-loop clients, all on one thread, so that they use little of the machine: each sends its next request as soon
//! as its last one was answered and the answer checked.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};
use surfstore::gate::write_post;
use surfstore::protocol::{Answer, Ask};

use crate::connection::Connection;
use crate::figures::{Figures, micros};
use crate::files::{Files, document};

/// The calls of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Ping,
    Update,
    /// The whole map.
    Read,
    /// Nine reads to one update.
    Mixed,
}

/// When to stop sending requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Over(Duration),
    Sent(usize),
}

/// Calls by so many clients. Returns the figures once the last one is answered.
pub(crate) fn run(
    port: u16,
    files: &mut Files,
    work: Work,
    clients: usize,
    until: Until,
) -> Figures {
    let mut load = Load::new(port, files, work, until);
    let mut connections: Vec<_> = (0..clients).map(|_| Connection::to(port)).collect();
    let before = computing();
    load.started = Instant::now();
    let mut calls: Vec<_> =
        connections.iter_mut().map(|connection| load.begin(connection)).collect();
    while calls.iter().any(Option::is_some) {
        for index in ready(&connections, &calls) {
            let connection = &mut connections[index];
            let Some(answer) = connection.receive() else { continue };
            if let Some(call) = calls[index].take() {
                load.end(call, answer);
            }
            calls[index] = load.begin(connection);
        }
    }
    let client_cpu = micros(computing() - before) / load.took.len() as f64;
    let figures = Figures::new(load.took, load.started.elapsed());
    Figures { client_cpu: Some(client_cpu), ..figures }
}

/// The CPU time of this thread.
fn computing() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The connections that have something to read. A single client need not ask: its read waits.
fn ready(connections: &[Connection], calls: &[Option<Call>]) -> Vec<usize> {
    let waiting: Vec<_> = (0..calls.len()).filter(|index| calls[*index].is_some()).collect();
    if waiting.len() < 2 {
        return waiting;
    }
    let place = |index: &usize| PollFd::new(&connections[*index], PollFlags::IN);
    let mut places: Vec<_> = waiting.iter().map(place).collect();
    poll(&mut places, None).expect("sockets can be polled");
    let ready = waiting.into_iter().zip(places).filter(|(_, place)| !place.revents().is_empty());
    ready.map(|(index, _)| index).collect()
}

struct Load<'a> {
    port: u16,
    files: &'a mut Files,
    work: Work,
    until: Until,
    started: Instant,
    sent: usize,
    updates: usize,
    took: Vec<Duration>,
    ping: Vec<u8>,
    read: Vec<u8>,
    yes: String,
}

/// A call in flight.
struct Call {
    began: Instant,
    expected: Expected,
}

enum Expected {
    True,
    /// Of an update of the file with this index.
    Updated(usize),
    /// With at least these versions.
    Map(Vec<i64>),
}

impl<'a> Load<'a> {
    fn new(port: u16, files: &'a mut Files, work: Work, until: Until) -> Load<'a> {
        Load {
            port,
            files,
            work,
            until,
            started: Instant::now(),
            sent: 0,
            updates: 0,
            took: Vec::new(),
            ping: write_post("localhost", &Ask::Ping.document()),
            read: write_post("localhost", &Ask::Files.document()),
            yes: document(&Answer::Boolean(true)),
        }
    }

    /// Sends the next request, unless the load is over.
    fn begin(&mut self, connection: &mut Connection) -> Option<Call> {
        let began = Instant::now();
        let is_over = match self.until {
            Until::Over(time) => time <= began - self.started,
            Until::Sent(count) => count <= self.sent,
        };
        if is_over {
            return None;
        }
        self.sent += 1;
        let updates = match self.work {
            Work::Ping => {
                connection.send(&self.ping);
                return Some(Call { began, expected: Expected::True });
            }
            Work::Update => true,
            Work::Read => false,
            // If every file is being updated, it reads, and makes up for it later.
            Work::Mixed => self.updates * 10 < self.sent,
        };
        let update = if updates { self.files.update() } else { None };
        let expected = match update {
            Some((index, document)) => {
                self.updates += 1;
                connection.send(&write_post("localhost", document.as_bytes()));
                Expected::Updated(index)
            }
            None => {
                assert!(self.work != Work::Update, "there are fewer files than clients");
                connection.send(&self.read);
                Expected::Map(self.files.acknowledged())
            }
        };
        Some(Call { began, expected })
    }

    /// Records an answer, which must be right.
    fn end(&mut self, call: Call, answer: &[u8]) {
        self.took.push(call.began.elapsed());
        let is_right = match call.expected {
            Expected::True => answer == self.yes.as_bytes(),
            Expected::Updated(index) => {
                self.files.acknowledge(index);
                answer == self.yes.as_bytes()
            }
            Expected::Map(versions) => self.files.is_map(answer, &versions),
        };
        let text = || String::from_utf8_lossy(&answer[..answer.len().min(500)]);
        assert!(is_right, "port {}, {:?}: a wrong answer: {}", self.port, self.work, text());
    }
}
