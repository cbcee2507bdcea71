//! What a state must remember of the way to it, and the check of every step against it: Figure 3's properties, across
//! servers, and that every answer is true.

use surfstore::metadata::{Files, Update};
use surfstore::raft::{
    CallId, Command, Entry, Fault, LogIndex, Reply, RoleName, Server, ServerId, Term,
};
use surfstore::value::Value;

use crate::marks::{Mark, Marks};

/// The least history that the properties speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// Who was elected in each term, from term 1 on.
    leaders: Vec<Option<ServerId>>,
    /// The committed entries, in order, as they were when first committed anywhere, and in which term that was.
    committed: Vec<(Entry, Term)>,
    /// What became of the updates, in the order in which they were made.
    updates: Vec<Outcome>,
    /// What became of the reads.
    reads: Vec<Outcome>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// It waits; so many entries were committed when it was made, if that bounds its answer.
    Waiting(usize),
    /// It is answered, and nothing more can be learnt of it.
    Answered,
    /// Its caller was told that it had and will have no effect.
    Refused,
}

/// The reads' ids begin here, the updates' at 1.
const READS: u64 = 1000;

impl History {
    pub(crate) fn updates_made(&self) -> usize {
        self.updates.len()
    }

    pub(crate) fn reads_made(&self) -> usize {
        self.reads.len()
    }

    /// Notes an update and gives its call's id.
    pub(crate) fn update(&mut self) -> CallId {
        self.updates.push(Outcome::Waiting(0));
        CallId(self.updates.len() as u64)
    }

    /// Notes a read and gives its call's id.
    pub(crate) fn read(&mut self) -> CallId {
        self.reads.push(Outcome::Waiting(self.committed.len()));
        CallId(READS + self.reads.len() as u64)
    }

    fn outcome(&mut self, call: CallId) -> &mut Outcome {
        let calls = if READS < call.0 { &mut self.reads } else { &mut self.updates };
        let place = (call.0 % READS) as usize - 1;
        calls.get_mut(place).expect("an answer to a call that was made")
    }

    /// Checks an answer to a client, which is its first and only one.
    pub(crate) fn answered(&mut self, call: CallId, reply: &Reply) {
        let Outcome::Waiting(since) = *self.outcome(call) else {
            panic!("{call:?} is answered twice, at last with {reply:?}");
        };
        let is_read = READS < call.0;
        let mut outcome = Outcome::Answered;
        match reply {
            Reply::Updated(took_effect) if !is_read => self.check_told(call, *took_effect),
            Reply::Files(files) if is_read => self.check_read(files, since),
            Reply::Fault(Fault::NotLeader(_) | Fault::Crashed) => {
                assert!(is_read || !self.is_committed(call), "{call:?} is refused and committed");
                outcome = if is_read { outcome } else { Outcome::Refused };
            }
            Reply::Fault(Fault::OutcomeUnknown | Fault::OutcomeLost) if !is_read => {}
            other => panic!("{other:?} is no answer to {call:?}"),
        }
        *self.outcome(call) = outcome;
    }

    /// A caller is told "true" if the update is committed and took effect, "false" if it is and did not.
    fn check_told(&self, call: CallId, told: bool) {
        let mut version = 0;
        for update in self.updates_committed() {
            let takes_effect = update.version == version + 1;
            version += i64::from(takes_effect);
            if call_of(update) == call {
                assert!(told == takes_effect, "{call:?} was told {told}");
                return;
            }
        }
        panic!("{call:?} was told {told} and is not committed");
    }

    /// A read is answered with the map as it was at some time since the read was made.
    fn check_read(&self, files: &Files, since: usize) {
        let mut between = since..=self.committed.len();
        assert!(between.any(|len| self.map(len) == *files), "a read was answered from the past");
    }

    fn updates_committed(&self) -> impl Iterator<Item = &Update> {
        self.committed.iter().filter_map(|(entry, _)| update_of(entry))
    }

    fn is_committed(&self, call: CallId) -> bool {
        self.updates_committed().any(|update| call_of(update) == call)
    }

    /// The map after so many committed entries.
    fn map(&self, len: usize) -> Files {
        let mut files = Files::default();
        for (entry, _) in self.committed.iter().take(len) {
            if let Command::Update(update) = &entry.command {
                files.apply(update);
            }
        }
        files
    }

    /// Checks what a step changed at server `id`, which was `before`, against the others and the past.
    pub(crate) fn observe(
        &mut self,
        servers: &[&Server],
        (id, before): (ServerId, &Server),
        marks: &mut Marks,
    ) {
        let after = servers[usize::from(id.0)];
        self.check_election_safety(after);
        if before.log() != after.log() {
            servers.iter().for_each(|other| check_log_matching(after, other));
        }
        if after.role() == RoleName::Leader && before.role() != RoleName::Leader {
            self.check_leader_completeness(after);
            mark_election(marks, servers, after, before);
        }
        if after.role() == RoleName::Candidate {
            let rival = |other: &&&Server| is_standing(other, after.current_term());
            marks.hit_if(Mark::SplitVote, 1 < servers.iter().filter(rival).count());
        }
        if before.status().commit_index < after.status().commit_index {
            self.observe_commit(servers, after, before.status().commit_index);
        }
    }

    /// Election Safety (§5.2): a term has at most one leader, ever, and nobody takes another for it.
    fn check_election_safety(&mut self, server: &Server) {
        let Some(leader) = server.leader() else { return };
        let term = server.current_term().0 as usize;
        if self.leaders.len() < term {
            self.leaders.resize(term, None);
        }
        let elected = self.leaders[term - 1].get_or_insert(leader);
        assert!(*elected == leader, "term {term} has two leaders, {elected:?} and {leader:?}");
    }

    /// Leader Completeness (§5.4): whoever is elected has all that was committed in an earlier term.
    fn check_leader_completeness(&self, leader: &Server) {
        let earlier = self.committed.iter().filter(|(_, term)| *term < leader.current_term());
        let held = leader.log().from(LogIndex(1));
        let lacks = earlier.enumerate().find(|(place, (entry, _))| held.get(*place) != Some(entry));
        assert!(lacks.is_none(), "a leader was elected without {lacks:?}, which is committed");
    }

    fn observe_commit(&mut self, servers: &[&Server], server: &Server, from: LogIndex) {
        let to = server.status().commit_index;
        check_counting(server);
        let mut index = from;
        while index < to {
            index = index.next();
            let entry = server.log().get(index).expect("what is committed is in the log");
            match self.committed.get(index.previous().0 as usize) {
                Some((known, _)) => {
                    assert!(known == entry, "committed history changed at {index:?}")
                }
                None => self.commit(servers, server, index, entry),
            }
        }
        let files = self.map(to.0 as usize);
        assert!(*server.files() == files, "it applied something else than what is committed");
    }

    /// What is committed is so by a leader, on a majority, and no later leader lacks it; what was refused never is.
    fn commit(&mut self, servers: &[&Server], by: &Server, index: LogIndex, entry: &Entry) {
        assert!(by.role() == RoleName::Leader, "only a leader finds out what is committed");
        let holders = servers.iter().filter(|server| server.log().get(index) == Some(entry));
        assert!(servers.len() < 2 * holders.count(), "{index:?} is committed without a majority");
        for later in servers.iter().filter(|server| server.role() == RoleName::Leader) {
            let completes =
                later.current_term() <= by.current_term() || later.log().get(index) == Some(entry);
            assert!(completes, "{index:?} is committed behind the back of a later leader");
        }
        if let Some(update) = update_of(entry) {
            let call = call_of(update);
            assert!(!self.is_committed(call), "{call:?} is committed twice");
            assert!(*self.outcome(call) != Outcome::Refused, "{call:?} is committed and refused");
        }
        self.committed.push((entry.clone(), by.current_term()));
    }
}

/// Log Matching (§5.3): logs that hold an entry of the same term at the same index are equal up to it.
fn check_log_matching(one: &Server, other: &Server) {
    let (one, other) = (one.log().from(LogIndex(1)), other.log().from(LogIndex(1)));
    let agrees = |(one, other): (&Entry, &Entry)| one.term == other.term;
    let last = one.iter().zip(other).rposition(agrees).map_or(0, |place| place + 1);
    assert!(one[..last] == other[..last], "two logs agree at {last} and differ before it");
}

/// §5.4.2: a leader commits by counting only entries of its own term.
fn check_counting(server: &Server) {
    let newest = server.log().get(server.status().commit_index).map(|entry| entry.term);
    let counted = server.role() != RoleName::Leader || newest == Some(server.current_term());
    assert!(counted, "an entry of an older term is committed by counting");
}

fn mark_election(marks: &mut Marks, servers: &[&Server], leader: &Server, before: &Server) {
    let leads = |server: &&&Server| server.role() == RoleName::Leader;
    marks.hit_if(Mark::TwoLeaders, 1 < servers.iter().filter(leads).count());
    let next = before.status().commit_index.next();
    let entry = before.log().get(next);
    let holders = servers.iter().filter(|server| server.log().get(next) == entry).count();
    let is_old = entry.is_some_and(|entry| entry.term < leader.current_term());
    marks.hit_if(Mark::Figure8, is_old && servers.len() < 2 * holders);
}

/// Whether the server voted for itself in that term and neither won nor gave up.
fn is_standing(server: &Server, term: Term) -> bool {
    let status = server.status();
    status.role == RoleName::Candidate && status.current_term == term && status.voted_for.is_some()
}

fn update_of(entry: &Entry) -> Option<&Update> {
    match &entry.command {
        Command::Noop => None,
        Command::Update(update) => Some(update),
    }
}

/// The call that made the update: every update of a search carries its number as its first hash.
fn call_of(update: &Update) -> CallId {
    match *update.hashes.elements() {
        [Value::Int(call), ..] => CallId(call.unsigned_abs()),
        ref other => panic!("no update of a search: {other:?}"),
    }
}
