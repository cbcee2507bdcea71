//! What is going to happen, in order of time and, at the same time, in the order in which it was scheduled.

use std::cell::{Cell, OnceCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use surfstore::gate;
use surfstore::protocol;
use surfstore::raft::{Failure, Incarnation, Member, Request, Response, ServerId};

/// A request on its way, and whether its sender has been told the outcome.
pub(crate) struct Letter {
    /// No two letters share it, and later ones have greater ones.
    pub(crate) number: u64,
    pub(crate) by: ServerId,
    /// The process that sent it, which alone hears what becomes of it.
    pub(crate) process: Incarnation,
    /// How often that server had closed its connections before.
    pub(crate) connection: u64,
    pub(crate) to: ServerId,
    pub(crate) request: Request,
    /// The request from its first byte to its last, once it is needed: many get lost.
    bytes: OnceCell<Vec<u8>>,
    pub(crate) settled: Cell<bool>,
}

impl Letter {
    /// A request of a process, by its number, and by how often its server had closed its connections before.
    pub(crate) fn new(
        number: u64,
        (by, process, connection): (ServerId, Incarnation, u64),
        to: ServerId,
        request: Request,
    ) -> Letter {
        let (bytes, settled) = (OnceCell::new(), Cell::new(false));
        Letter { number, by, process, connection, to, request, bytes, settled }
    }

    /// The request as it is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        let write = || gate::write_post("localhost:9001", &protocol::write_request(&self.request));
        self.bytes.get_or_init(write)
    }
}

/// Something that is going to happen.
pub(crate) enum Happening {
    /// The deadline of a server may have come, unless a tick of another number has taken this one's place.
    Tick { id: ServerId, number: u64 },
    /// A server goes on with what it left to do.
    More(ServerId),
    /// A request reaches a peer.
    Arrival(Rc<Letter>),
    /// Its reply, or the news that there is none, reaches the sender.
    Return(Rc<Letter>, Result<Response, Failure>),
    /// A reply of long ago comes once more, to the process that got it then.
    Echo { from: ServerId, to: ServerId, process: Incarnation, response: Response },
    /// The sender waits no longer.
    Deadline(Rc<Letter>),
    /// A server learns that the connections of a peer to it have closed.
    Closing { peer: Member, to: ServerId },
    /// An operator crashes it.
    Crash(ServerId),
    /// The work of its disk with that number ends.
    Written { id: ServerId, number: u64 },
    /// Its power fails.
    PowerLoss(ServerId),
}

impl Happening {
    /// The server that it happens to.
    pub(crate) fn server(&self) -> ServerId {
        match self {
            Happening::Tick { id, .. }
            | Happening::Written { id, .. }
            | Happening::More(id)
            | Happening::Crash(id)
            | Happening::PowerLoss(id) => *id,
            Happening::Arrival(letter) => letter.to,
            Happening::Return(letter, _) | Happening::Deadline(letter) => letter.by,
            Happening::Echo { to, .. } | Happening::Closing { to, .. } => *to,
        }
    }

    /// Whether it comes over the network.
    pub(crate) fn is_message(&self) -> bool {
        use Happening::{Arrival, Closing, Echo, Return};
        matches!(self, Arrival(_) | Return(..) | Echo { .. } | Closing { .. })
    }
}

/// The queue of all that is going to happen.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Item>>,
    pushed: u64,
}

struct Item {
    time: u64,
    order: u64,
    happening: Happening,
}

impl Queue {
    pub(crate) fn push(&mut self, time: u64, happening: Happening) {
        self.pushed += 1;
        self.heap.push(Reverse(Item { time, order: self.pushed, happening }));
    }

    /// The next to happen, if it does so until `time`.
    pub(crate) fn pop_until(&mut self, time: u64) -> Option<(u64, Happening)> {
        self.heap.peek().filter(|Reverse(next)| next.time <= time)?;
        self.heap.pop().map(|Reverse(next)| (next.time, next.happening))
    }

    /// Moves whatever is to happen to another time, or drops it.
    pub(crate) fn reschedule(&mut self, mut at: impl FnMut(u64, &Happening) -> Option<u64>) {
        let items = std::mem::take(&mut self.heap).into_iter();
        self.heap = items
            .filter_map(|Reverse(item)| {
                at(item.time, &item.happening).map(|time| Reverse(Item { time, ..item }))
            })
            .collect();
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Item) -> std::cmp::Ordering {
        (self.time, self.order).cmp(&(other.time, other.order))
    }
}
