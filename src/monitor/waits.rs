//! For whom elections wait.

use crate::raft::ServerId;

/// The servers without which the last ballot could not be won.
#[derive(Debug, Default)]
pub(super) struct Waits {
    servers: Vec<ServerId>,
    /// Those of whom people have been told.
    told: Vec<ServerId>,
}

impl Waits {
    pub(super) fn servers(&self) -> &[ServerId] {
        &self.servers
    }

    /// Takes note of a ballot that ended so. Whether people should be told: two in a row have, which is more than chance,
    /// and they were told of others last.
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
