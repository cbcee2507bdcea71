//! The fixed set of servers, and what a majority of it is.

/// A server's number in the configuration, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u8);

/// The servers 0 to `size - 1`, as seen by one of them. The set never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    id: ServerId,
    size: u8,
    names: u64,
}

impl Cluster {
    /// The cluster of `size` servers as server `id` sees it, or `None` if `id` is not one of them.
    pub fn new(id: ServerId, size: u8) -> Option<Cluster> {
        (id.0 < size).then_some(Cluster { id, size, names: 0 })
    }

    /// The same cluster with a digest, up to 2^53, of the servers' names in the configuration.
    pub fn named(self, names: u64) -> Cluster {
        Cluster { names, ..self }
    }

    /// The digest of the servers' names.
    pub fn names(self) -> u64 {
        self.names
    }

    /// This server.
    pub fn id(self) -> ServerId {
        self.id
    }

    /// The number of servers, including this one.
    pub fn size(self) -> u8 {
        self.size
    }

    /// All servers, in order.
    pub fn servers(self) -> impl Iterator<Item = ServerId> {
        (0..self.size).map(ServerId)
    }

    /// The other servers.
    pub fn peers(self) -> impl Iterator<Item = ServerId> {
        self.servers().filter(move |peer| *peer != self.id)
    }

    /// Whether `id` is another server of this cluster.
    pub fn has_peer(self, id: ServerId) -> bool {
        id.0 < self.size && id != self.id
    }

    /// The smallest number of servers that is more than half of all of them.
    pub fn majority(self) -> usize {
        usize::from(self.size) / 2 + 1
    }
}
