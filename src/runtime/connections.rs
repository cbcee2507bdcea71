//! All connections of callers: how many there may be, which are evicted, which are too slow, and which callers have
//! disconnected.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_io::Timer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smol::channel::Sender;
use smol::net::TcpStream;

use super::connection::{Activity, Connection, ReadBuffer, read_buffer};
use super::message::Message;
use crate::raft::{CallId, WAITING_MAX};
use crate::service::AnswerBudget;

/// The maximum number of connections: one for each call that may wait, and some for other purposes.
const CONNECTIONS_MAX: usize = WAITING_MAX + 128;

/// The number of connections that are allowed however few descriptors the process has.
const CONNECTIONS_MIN: usize = 16;

/// The number of descriptors reserved for everything but incoming connections: two for each of nine peers, twice that
/// while they are opened and a name is looked up, and some for the process itself.
const DESCRIPTORS_KEPT: usize = 48;

/// How many connections of peers are exempt from eviction.
const PEER_PLACES: usize = 64;

/// The maximum number of bytes of requests held over all connections.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;

/// The number of bytes of a request that do not count: calls are small, and large requests must not keep them out.
const UNCOUNTED_BYTES: usize = 16 << 10;

/// The time between two checks of all connections.
const ROUND_TIME: Duration = Duration::from_millis(500);

/// How long a call is served even if its caller has half-closed the connection. The caller may only have said that it
/// will send no more. But a caller that has disconnected looks the same, so within a second it is assumed to have
/// disconnected. The exception is HTTP/1.0, in which half-closing is usual, as with Apache XML-RPC's lite transport:
/// there the call goes on, and if the caller has disconnected after all, the keep-alive probes show it in a minute or
/// two.
const HALF_CLOSED_TIME: Duration = Duration::from_millis(400);

/// The open connections.
pub(super) struct Connections {
    connections: RefCell<BTreeMap<u64, Rc<Connection>>>,
    /// The maximum number of connections.
    places: usize,
    last: Cell<u64>,
    /// The bytes of requests that are held.
    held: Cell<usize>,
    answers: AnswerBudget,
    read_buffer: ReadBuffer,
}

impl Connections {
    /// The connections of a process with this many descriptors. Callers must not take all of them: without one for its
    /// own requests, a server reaches no peer.
    pub(super) fn new(descriptors: u64, answers: AnswerBudget) -> Rc<Connections> {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let places = descriptors.saturating_sub(DESCRIPTORS_KEPT);
        Rc::new(Connections {
            connections: RefCell::default(),
            places: places.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX),
            last: Cell::new(0),
            held: Cell::new(0),
            answers,
            read_buffer: read_buffer(),
        })
    }

    /// The maximum number of calls that may wait. If more did, there would be no place for peers and other callers.
    ///
    /// With 1152 places, as many as there can be, 1024 calls may wait, and 128 places are kept for others. With few
    /// descriptors half of the places are kept: with 100 places, 50 calls may wait.
    pub(super) fn waiting_max(&self) -> usize {
        self.places - (CONNECTIONS_MAX - WAITING_MAX).min(self.places / 2)
    }

    /// Adds a connection. If there are too many, it evicts the one that has been waiting for its caller for longest.
    /// `None` if it can evict none, because all are being answered or belong to peers.
    pub(super) fn admit(&self, stream: TcpStream) -> Option<(u64, Rc<Connection>)> {
        if self.places <= self.connections.borrow().len() && !self.make_room() {
            return None;
        }
        let id = self.last.get() + 1;
        self.last.set(id);
        let connection = Rc::new(Connection::new(stream, Rc::clone(&self.read_buffer)));
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        Some((id, connection))
    }

    /// Removes a connection that has ended.
    pub(super) fn leave(&self, id: u64) {
        self.connections.borrow_mut().remove(&id);
    }

    /// Marks a connection as a peer's. Its place is reserved unless there are too many of them.
    pub(super) fn keep_for_peer(&self, connection: &Connection) {
        let connections = self.connections.borrow();
        if !connection.is_peer.get() {
            let peers = connections.values().filter(|other| other.is_peer.get()).count();
            connection.is_peer.set(peers < PEER_PLACES);
        }
    }

    /// Counts bytes that a connection holds in place of those that it held before. Returns whether the total is within
    /// the limit.
    pub(super) fn hold(&self, before: usize, now: usize) -> bool {
        let [before, now] = [before, now].map(|bytes| bytes.saturating_sub(UNCOUNTED_BYTES));
        self.held.set(self.held.get().saturating_sub(before) + now);
        now <= before || self.held.get() <= HELD_BYTES_MAX
    }

    /// Evicts the connection that has been waiting for its caller for longest. A call that has arrived completely is
    /// answered.
    pub(super) fn make_room(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        let waits_for_caller = |connection: &Connection| {
            matches!(
                connection.activity(),
                Activity::Idle | Activity::Head | Activity::Body | Activity::Lingering
            )
        };
        let oldest = connections
            .iter()
            .filter(|(_, connection)| !connection.is_peer.get() && waits_for_caller(connection))
            .min_by_key(|(_, connection)| connection.since())
            .map(|(id, _)| *id);
        let evicted = oldest.and_then(|id| connections.remove(&id));
        evicted.inspect(|connection| connection.evict()).is_some()
    }

    /// Supervises the connections forever.
    pub(super) async fn supervise(
        self: Rc<Connections>,
        inbox: Sender<Message>,
    ) -> anyhow::Result<Infallible> {
        loop {
            Timer::after(ROUND_TIME).await;
            let now = Instant::now();
            let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
            let hurry = self.answers.is_much() || self.places <= connections.len();
            connections.iter().for_each(|connection| connection.end_if_late(now, hurry));
            for call in gone(&connections, now) {
                inbox.send(Message::HangUp(call)).await?;
            }
        }
    }
}

/// The calls whose callers have disconnected while they wait for their answers.
fn gone(connections: &[Rc<Connection>], now: Instant) -> Vec<CallId> {
    let waiting: Vec<_> = connections
        .iter()
        .filter_map(|connection| match connection.activity() {
            Activity::Waiting(call) => Some((call, connection)),
            _ => None,
        })
        .collect();
    let mut sockets: Vec<_> = waiting
        .iter()
        .map(|(_, connection)| PollFd::new(connection.stream(), PollFlags::RDHUP))
        .collect();
    if sockets.is_empty() || poll(&mut sockets, Some(&Timespec::default())).is_err() {
        return Vec::new();
    }
    let is_gone = |connection: &Connection, signs: PollFlags| {
        signs.intersects(PollFlags::HUP | PollFlags::ERR)
            || (signs.contains(PollFlags::RDHUP)
                && !connection.may_half_close.get()
                && HALF_CLOSED_TIME <= now - connection.since())
    };
    waiting
        .iter()
        .zip(&sockets)
        .filter(|((_, connection), socket)| is_gone(connection, socket.revents()))
        .map(|((call, _), _)| *call)
        .collect()
}
