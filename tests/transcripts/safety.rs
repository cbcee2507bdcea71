//! What must hold for any run, whatever its transcript says: a scenario that violates it neither passes nor is written.

use std::collections::BTreeMap;

use surfstore::metadata::Files;
use surfstore::raft::{
    Command, Entry, Incarnation, Log, LogIndex, Member, RoleName, Roster, Server, Status, Term,
};

/// Figure 3's Election Safety, Leader Completeness and State Machine Safety, over the past of every history.
#[derive(Clone, Default)]
pub(crate) struct Safety(BTreeMap<Incarnation, Past>);

/// What has happened in a history.
#[derive(Clone, Default)]
struct Past {
    leaders: BTreeMap<Term, Member>,
    /// Every committed entry, with the term in which a server first committed it.
    committed: Vec<(Term, Entry)>,
    /// Every server's log after its last step: a step may commit an entry and drop it.
    logs: BTreeMap<Member, Log>,
}

impl Safety {
    /// Records the state of a server after a step.
    pub(crate) fn observe(&mut self, server: &Server) -> Result<(), &'static str> {
        let status = server.status();
        let Some(history) = status.history else { return Ok(()) };
        let past = self.0.entry(history).or_default();
        if status.role == RoleName::Leader {
            let member = server.identity().member();
            if *past.leaders.entry(status.current_term).or_insert(member) != member {
                return Err("the term has two leaders (Figure 3, Election Safety)");
            }
            if !past.is_complete(server, status.current_term) {
                return Err("the leader lacks a committed entry (Figure 3, Leader Completeness)");
            }
        }
        past.observe_commits(server, &status)
    }

    /// A process has ended. If fewer than a majority of those that counted are left, only what the living processes
    /// hold must be kept, and a term that none of them has reached may have another leader.
    pub(crate) fn process_ended(&mut self, living: &[Server]) {
        self.0.values_mut().for_each(|past| past.survive_in(living));
    }
}

impl Past {
    /// Whether a leader has everything that was committed in the terms before its own.
    fn is_complete(&self, leader: &Server, term: Term) -> bool {
        (1..).map(LogIndex).zip(&self.committed).all(|(index, (committed_in, entry))| {
            term <= *committed_in || holds(leader, index, entry)
        })
    }

    fn observe_commits(&mut self, server: &Server, status: &Status) -> Result<(), &'static str> {
        let before = self.logs.insert(server.identity().member(), server.log().clone());
        for place in 0..status.commit_index.since(LogIndex(0)) {
            let index = LogIndex::default().plus(place + 1);
            let entry = server.log().get(index);
            let dropped = || before.as_ref().and_then(|before| before.get(index));
            match (self.committed.get(place), entry) {
                (None, entry) => {
                    let Some(entry) = entry.or_else(dropped) else {
                        return Err("a snapshot includes an entry that nobody committed");
                    };
                    self.committed.push((status.current_term, entry.clone()));
                }
                (Some((_, known)), Some(entry)) if known != entry => {
                    return Err(
                        "two entries are committed at a place (Figure 3, State Machine Safety)",
                    );
                }
                (Some(_), _) => {}
            }
        }
        if *server.files() != self.files_at(status.last_applied) {
            return Err("its map is not what the committed entries lead to (§7)");
        }
        Ok(())
    }

    /// The map that the entries up to `index` lead to.
    fn files_at(&self, index: LogIndex) -> Files {
        let mut files = Files::default();
        for (_, entry) in self.committed.iter().take(index.since(LogIndex(0))) {
            if let Command::Update(update) = &entry.command {
                files.apply(update);
            }
        }
        files
    }

    fn survive_in(&mut self, living: &[Server]) {
        let Some(roster) = self.roster() else { return };
        let counts = |server: &&Server| roster.names(server.identity().member());
        let members: Vec<_> = living.iter().filter(counts).collect();
        if members.first().is_some_and(|member| majority(member) <= members.len()) {
            return;
        }
        let reached = living.iter().map(|server| server.current_term()).max().unwrap_or_default();
        let held = living.iter().map(|server| self.held_by(server)).max().unwrap_or_default();
        self.leaders.retain(|term, _| *term <= reached);
        self.committed.truncate(held);
    }

    /// The servers that count, according to what is committed.
    fn roster(&self) -> Option<&Roster> {
        self.committed.iter().rev().find_map(|(_, entry)| match &entry.command {
            Command::Roster(roster) => Some(&**roster),
            Command::Update(_) => None,
        })
    }

    /// How many of the committed entries the server holds.
    fn held_by(&self, server: &Server) -> usize {
        let pairs = (1..).map(LogIndex).zip(&self.committed);
        pairs.take_while(|(index, (_, entry))| holds(server, *index, entry)).count()
    }
}

/// Whether the server's log has the entry at that index, or has had it: what it no longer holds was committed.
fn holds(server: &Server, index: LogIndex, entry: &Entry) -> bool {
    let log = server.log();
    index <= log.last_included().index || log.get(index) == Some(entry)
}

fn majority(server: &Server) -> usize {
    usize::from(server.identity().size) / 2 + 1
}
