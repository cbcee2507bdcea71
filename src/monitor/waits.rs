//! The servers that elections wait for.

use crate::raft::ServerId;

/// The servers without which the last ballot could not be won.
#[derive(Debug, Default)]
pub(super) struct Waits {
    servers: Vec<ServerId>,
    /// The servers that were reported last.
    told: Vec<ServerId>,
}

impl Waits {
    pub(super) fn servers(&self) -> &[ServerId] {
        &self.servers
    }

    /// Records a ballot that could not be won without these servers. Returns whether to report them: only if two
    /// ballots in a row waited for the same servers, which is more than chance, and the last report named others.
    pub(super) fn ballot_ended(&mut self, servers: Vec<ServerId>) -> bool {
        let is_told = servers.is_empty() || servers == self.told;
        let is_again = servers == self.servers;
        self.servers = servers;
        if is_told || !is_again {
            return false;
        }
        self.told.clone_from(&self.servers);
        true
    }

    /// The wait is over.
    pub(super) fn end(&mut self) {
        self.servers.clear();
        self.told.clear();
    }
}
