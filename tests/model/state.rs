//! The state of the whole, as numbers, and what may happen in it.

use surfstore::raft::{ServerId, Timer};

/// How many servers a cluster has at most.
pub(crate) const SERVERS_MAX: usize = 4;

/// The state of the cluster, the network and the callers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The servers' states; 0 beyond the last server.
    pub(crate) servers: [u32; SERVERS_MAX],
    /// The history.
    pub(crate) history: u32,
    /// What may still happen.
    pub(crate) left: Left,
    /// The messages under way, in ascending order.
    pub(crate) network: Vec<u32>,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) heartbeats: u8,
    pub(crate) ballots: u8,
}

/// Something that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A message is delivered.
    Deliver(u32),
    /// The sender of an append hears that there is no reply.
    Fail(u32),
    /// A timer runs out.
    Timeout(ServerId, Timer),
    /// The server and so many helpers, one bit for each, lose their leader, and it stands with their pre-votes.
    Stand(ServerId, u8),
    /// A client makes the next update at this leader.
    Update(ServerId),
    /// A client reads at this leader.
    Read(ServerId),
    /// The server crashes.
    Crash(ServerId),
    /// The server is restored.
    Restore(ServerId),
}
