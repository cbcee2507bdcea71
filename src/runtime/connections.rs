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
use smol::future;
use smol::net::TcpStream;

use super::connection::{Activity, Connection, ReadBuffer, read_buffer};
use super::message::Message;
use crate::raft::{CallId, Member, WAITING_MAX};
use crate::service::{AnswerBudget, HeldBytes};

/// The maximum number of connections: one for each call that may wait, and some for other purposes.
const CONNECTIONS_MAX: usize = WAITING_MAX + 128;

/// The number of connections that are allowed even if the process has fewer descriptors.
const CONNECTIONS_MIN: usize = 16;

/// The number of descriptors reserved for everything but incoming connections: two for each of nine peers, twice as
/// many while connections are opened and host names looked up, and some for the process itself.
const DESCRIPTORS_KEPT: usize = 48;

/// The number of connections of each peer that are exempt from eviction: one for each of its two lanes, and as many
/// that it has just given up.
const SLOTS_OF_PEER: usize = 4;

/// The maximum number of bytes of requests held over all connections of callers, and the same for all of peers. Slow
/// uploads must not keep entries out.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;

/// The number of bytes of each connection that do not count. So calls, which are small, are never refused because of
/// large requests.
pub(super) const UNCOUNTED_BYTES: usize = 16 << 10;

/// The time between two checks of all connections.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The number of connections that are checked before other tasks have their turn, a fraction of a millisecond's work.
const CHECKED_AT_ONCE: usize = 64;

/// How long a call is served even if its caller has half-closed the connection.
///
/// Half-closing may only mean that the caller will send no more, but a caller that has disconnected looks the same. So
/// after this time, at the next check, the caller is assumed to have disconnected. HTTP/1.0 is the exception, because
/// half-closing is usual there: Apache XML-RPC's lite transport does it. Such a call goes on, and if its caller has
/// disconnected after all, the keep-alive probes show it in a minute or two.
const HALF_CLOSED_TIME: Duration = Duration::from_millis(400);

/// What a connection holds of requests that have not arrived completely.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) bytes: usize,
    pub(super) for_peer: bool,
}

/// The open connections.
pub(super) struct Connections {
    connections: RefCell<BTreeMap<u64, Rc<Connection>>>,
    /// The maximum number of connections.
    slots: usize,
    /// The maximum number of peers' connections that are exempt from eviction. Anyone can pretend to be a peer, so at
    /// least half of the slots remain for others.
    peer_slots: usize,
    last_id: Cell<u64>,
    /// The bytes of requests that are held for callers, and for peers.
    held: [Cell<usize>; 2],
    /// The same bytes, of both together.
    requests: HeldBytes,
    answers: AnswerBudget,
    read_buffer: ReadBuffer,
}

impl Connections {
    /// The connections of a process with this many descriptors, and of a server with this many peers. Callers must not
    /// take all descriptors, because the server needs some for its own requests to peers.
    pub(super) fn new(
        descriptors: u64,
        peers: usize,
        requests: HeldBytes,
        answers: AnswerBudget,
    ) -> Rc<Connections> {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let slots = descriptors.saturating_sub(DESCRIPTORS_KEPT);
        let slots = slots.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        Rc::new(Connections {
            connections: RefCell::default(),
            slots,
            peer_slots: (SLOTS_OF_PEER * peers).min(slots / 2),
            last_id: Cell::new(0),
            held: Default::default(),
            requests,
            answers,
            read_buffer: read_buffer(),
        })
    }

    /// The maximum number of calls that may wait. If more did, there would be no slot for peers and other callers.
    ///
    /// With 1152 slots, the maximum, 1024 calls may wait, and 128 slots are kept for others. With few descriptors, half
    /// of the slots are kept: with 100 slots, 50 calls may wait.
    pub(super) fn waiting_max(&self) -> usize {
        self.slots - (CONNECTIONS_MAX - WAITING_MAX).min(self.slots / 2)
    }

    /// Adds a connection. If there are too many, it evicts the one that has been waiting for its caller for longest.
    /// `None` if it can evict none, because all are being answered or belong to peers.
    pub(super) fn admit(&self, stream: TcpStream) -> Option<(u64, Rc<Connection>)> {
        if self.slots <= self.connections.borrow().len() && !self.make_room() {
            return None;
        }
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let connection = Rc::new(Connection::new(stream, Rc::clone(&self.read_buffer)));
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        Some((id, connection))
    }

    /// Removes a connection that has ended.
    pub(super) fn leave(&self, id: u64) {
        self.connections.borrow_mut().remove(&id);
    }

    /// Records that a peer has been answered as one. Its connection is exempt from eviction from now on, unless too
    /// many are exempt already.
    pub(super) fn keep_for(&self, peer: Member, connection: &Connection) {
        connection.peer.set(Some(peer));
        let connections = self.connections.borrow();
        if !connection.is_exempt.get() {
            let exempt = connections.values().filter(|other| other.is_exempt.get()).count();
            connection.is_exempt.set(exempt < self.peer_slots);
        }
    }

    /// Whether requests of that peer can still arrive by some connection.
    pub(super) fn has_connection_of(&self, peer: Member) -> bool {
        let connections = self.connections.borrow();
        connections.values().any(|other| other.peer.get() == Some(peer) && !other.has_ended())
    }

    /// Replaces what a connection holds. Returns whether it may: it holds no more than before, or the total is within
    /// the limit.
    pub(super) fn hold(&self, before: Held, now: Held) -> bool {
        self.requests.add(now.bytes);
        self.requests.give_back(before.bytes);
        let [was, is] = [before, now].map(|held| held.bytes.saturating_sub(UNCOUNTED_BYTES));
        let of = |held: Held| &self.held[usize::from(held.for_peer)];
        of(before).set(of(before).get().saturating_sub(was));
        of(now).set(of(now).get() + is);
        is <= was || of(now).get() <= HELD_BYTES_MAX
    }

    /// Evicts the connection that has been waiting for its caller for longest, and returns whether there was one. A
    /// call that has arrived completely is answered first.
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
            .filter(|(_, connection)| !connection.is_exempt.get() && waits_for_caller(connection))
            .min_by_key(|(_, connection)| connection.since())
            .map(|(id, _)| *id);
        let evicted = oldest.and_then(|id| connections.remove(&id));
        evicted.inspect(|connection| connection.evict()).is_some()
    }

    /// Checks all connections again and again: ends those that are too slow, and reports the calls whose callers have
    /// disconnected.
    pub(super) async fn supervise(
        self: Rc<Connections>,
        inbox: Sender<Message>,
    ) -> anyhow::Result<Infallible> {
        loop {
            Timer::after(CHECK_INTERVAL).await;
            let ids: Vec<_> = self.connections.borrow().keys().copied().collect();
            for ids in ids.chunks(CHECKED_AT_ONCE) {
                for call in self.check(ids, Instant::now()) {
                    inbox.send(Message::HangUp(call)).await?;
                }
                future::yield_now().await;
            }
        }
    }

    /// Ends those of these connections that are too slow, and returns the calls whose callers have disconnected.
    fn check(&self, ids: &[u64], now: Instant) -> Vec<CallId> {
        let connections = self.connections.borrow();
        let scarce = self.answers.is_much() || self.slots <= connections.len();
        let checked: Vec<_> = ids.iter().filter_map(|id| connections.get(id)).collect();
        checked.iter().for_each(|connection| connection.end_if_late(now, scarce));
        abandoned_calls(&checked, now)
    }
}

/// The waiting calls whose callers have disconnected.
fn abandoned_calls(connections: &[&Rc<Connection>], now: Instant) -> Vec<CallId> {
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
    let has_disconnected = |connection: &Connection, signs: PollFlags| {
        signs.intersects(PollFlags::HUP | PollFlags::ERR)
            || (signs.contains(PollFlags::RDHUP)
                && !connection.may_half_close.get()
                && HALF_CLOSED_TIME <= now - connection.since())
    };
    waiting
        .iter()
        .zip(&sockets)
        .filter(|((_, connection), socket)| has_disconnected(connection, socket.revents()))
        .map(|((call, _), _)| *call)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use async_io::Async;
    use smol::LocalExecutor;

    use super::*;

    #[test]
    fn many_connections_are_checked_with_turns_for_other_tasks_in_between() {
        const COUNT: usize = CHECKED_AT_ONCE + 1;
        let connections = Connections::new(1000, 0, HeldBytes::default(), AnswerBudget::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for call in 0..COUNT {
            // The caller disconnects at once.
            drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let stream = Async::new(listener.accept().unwrap().0).unwrap();
            let (_, connection) = connections.admit(stream.into()).unwrap();
            connection.begin_waiting(CallId(call as u64));
        }
        let (inbox, messages) = smol::channel::unbounded();
        let executor = LocalExecutor::new();
        let _supervisor = executor.spawn(connections.supervise(inbox));
        let other = executor.spawn(async move {
            messages.recv().await.unwrap();
            let reported = 1 + messages.len();
            for _ in 1..COUNT {
                messages.recv().await.unwrap();
            }
            reported
        });
        assert_eq!(smol::block_on(executor.run(other)), CHECKED_AT_ONCE);
    }
}
