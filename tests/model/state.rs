//! The state of the whole system, as numbers, and what may happen in it.

use surfstore::raft::{Incarnation, Member, ServerId, Timer};

/// The maximum number of servers in a cluster.
pub(crate) const SERVERS_MAX: usize = 4;

/// Stands for the state of a server whose process has ended.
pub(crate) const ENDED: u32 = u32::MAX;

/// The state of the cluster, the network and the callers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The servers' states; 0 beyond the last server.
    pub(crate) servers: [u32; SERVERS_MAX],
    /// How often each server has been relaunched, or has come back after a loss of power.
    pub(crate) launches: [u8; SERVERS_MAX],
    /// The servers that have ever been candidates, a bit for each.
    pub(crate) stood: u8,
    /// The servers whose disks make no more changes, a bit for each.
    pub(crate) stalled: u8,
    /// The history.
    pub(crate) history: u32,
    /// What may still happen.
    pub(crate) left: Left,
    /// The messages in flight, in ascending order.
    pub(crate) network: Vec<u32>,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) relaunches: u8,
    pub(crate) heartbeats: u8,
    pub(crate) ballots: u8,
    pub(crate) losses: u8,
}

/// An action that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A message is delivered.
    Deliver(u32),
    /// The sender of a request learns that there is no reply.
    Fail(u32),
    /// A timer expires.
    Timeout(ServerId, Timer),
    /// A follower learns that a peer's connections have closed.
    Disconnect(ServerId, Member),
    /// The server and so many others, one bit for each, lose their leader, and it becomes a candidate with their
    /// answers to its pre-vote.
    Stand(ServerId, u8),
    /// An event without effect, at which a leader does what it still has to do.
    GoOn(ServerId),
    /// A client makes the next update at this leader.
    Update(ServerId),
    /// A client reads at this leader.
    Read(ServerId),
    /// The server crashes.
    Crash(ServerId),
    /// The server is restored.
    Restore(ServerId),
    /// The server's process ends.
    End(ServerId),
    /// The server's process starts again, empty.
    Launch(ServerId),
    /// The server's process ends, and the next one starts at once.
    Relaunch(ServerId),
    /// The server's changes up to that number are on disk, and it learns of it.
    Sync(ServerId, u64),
    /// Servers lose their power and come back at once. So many of the changes that each of them had under way are on
    /// disk by then; `None` stands for a server that does not lose its power.
    LosePower([Option<u8>; SERVERS_MAX]),
}

/// One process of a server, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) id: ServerId,
    /// How often the server was relaunched, or came back, before.
    pub(crate) launch: u8,
}

/// How many incarnations one process may have: one that starts over without ending counts on from its first.
const ANEW_MAX: u64 = 10;

/// How many processes a server may have.
const LAUNCHES_MAX: u64 = 10;

impl Process {
    /// Its first incarnation. The hundreds are the server, the tens the process.
    pub(crate) fn incarnation(self) -> Incarnation {
        let Process { id, launch } = self;
        assert!(u64::from(launch) < LAUNCHES_MAX, "a server has few processes");
        let server = u64::from(id.0) + 1;
        Incarnation((server * LAUNCHES_MAX + u64::from(launch)) * ANEW_MAX)
    }
}
