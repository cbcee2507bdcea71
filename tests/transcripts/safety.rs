//! What must hold of any run, whatever its transcript says: a scenario that breaks it is neither passed nor written.

use std::collections::BTreeMap;

use surfstore::raft::{Entry, LogIndex, RoleName, Server, ServerId, Status, Term};

/// Figure 3's Election Safety, Leader Completeness and State Machine Safety, over the history so far.
#[derive(Clone, Default)]
pub(crate) struct Safety {
    leaders: BTreeMap<Term, ServerId>,
    /// Every committed entry, with the term in which it was first committed by anybody.
    committed: Vec<(Term, Entry)>,
}

impl Safety {
    /// Takes note of what a server has become in a step.
    pub(crate) fn observe(&mut self, id: ServerId, server: &Server) -> Result<(), &'static str> {
        let status = server.status();
        if status.role == RoleName::Leader {
            if *self.leaders.entry(status.current_term).or_insert(id) != id {
                return Err("the term has two leaders (Figure 3, Election Safety)");
            }
            if !self.is_complete(server, status.current_term) {
                return Err("the leader lacks a committed entry (Figure 3, Leader Completeness)");
            }
        }
        self.observe_commits(server, &status)
    }

    /// Whether a leader has all that was committed in the terms before its own.
    fn is_complete(&self, leader: &Server, term: Term) -> bool {
        (1..).zip(&self.committed).all(|(index, (committed_in, entry))| {
            term <= *committed_in || leader.log().get(LogIndex(index)) == Some(entry)
        })
    }

    fn observe_commits(&mut self, server: &Server, status: &Status) -> Result<(), &'static str> {
        let places = (1..=status.commit_index.0).map(LogIndex);
        for (place, entry) in places.filter_map(|index| server.log().get(index)).enumerate() {
            match self.committed.get(place) {
                None => self.committed.push((status.current_term, entry.clone())),
                Some((_, known)) if known == entry => {}
                Some(_) => {
                    return Err(
                        "two entries are committed at a place (Figure 3, State Machine Safety)",
                    );
                }
            }
        }
        Ok(())
    }
}
