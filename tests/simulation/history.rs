//! What has become true for ever, and the check of every step against it: Figure 3's properties, across servers.
//!
//! A step changes one server, so what it changed is compared with what is remembered; by induction the properties hold
//! of everything. The module knows states and logs only: no time, no network, no clients.
//!
//! All of it is demanded as long as the promise holds (src/raft/identity.rs): ever since the first commit, a majority
//! of the servers that the last committed roster names has been alive with a log, even if crashed. Once it does not
//! hold, only what must hold for a single server is demanded of every step.

use std::collections::BTreeMap;
use std::sync::Arc;

use surfstore::raft::{
    Command, Entry, Incarnation, LogIndex, Member, RoleName, Roster, Server, ServerId, Status, Term,
};
use surfstore::service::Service;

use crate::ledger::Ledger;
use crate::marks::{Mark, Marks};

/// The history of a cluster.
pub(crate) struct History {
    majority: usize,
    /// The committed entries, in order, as they were when first committed anywhere, and in which term that was.
    committed: Vec<(Entry, Term)>,
    /// What they amount to.
    pub(crate) ledger: Ledger,
    /// The last committed roster.
    roster: Option<Arc<Roster>>,
    /// Whether so many have lost their memory that what was acknowledged may be lost.
    pub(crate) promise_is_void: bool,
    /// Who led each term of each history.
    leaders: BTreeMap<(Term, Option<Incarnation>), Member>,
    /// Every entry that was ever in a log, by place, and the term of the entry before it.
    entries: BTreeMap<(Option<Incarnation>, LogIndex, Term), (Entry, Term)>,
    /// The terms of every server's log as of its last step.
    logs: Vec<Vec<Term>>,
}

/// A server's step: its state before and after, and the first place of its log that may have changed.
pub(crate) struct Step {
    pub(crate) id: ServerId,
    pub(crate) before: Status,
    pub(crate) after: Status,
    pub(crate) from: LogIndex,
}

impl History {
    pub(crate) fn new(size: u8) -> History {
        History {
            majority: usize::from(size) / 2 + 1,
            committed: Vec::new(),
            ledger: Ledger::new(),
            roster: None,
            promise_is_void: false,
            leaders: BTreeMap::new(),
            entries: BTreeMap::new(),
            logs: vec![Vec::new(); usize::from(size)],
        }
    }

    /// How many terms have had a leader.
    pub(crate) fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// Who leads the term of a server, as far as that server knows.
    pub(crate) fn leader_of(&self, status: &Status) -> Option<Member> {
        self.leaders.get(&(status.current_term, status.leader_history)).copied()
    }

    /// How many servers that count are alive, as the last committed roster has it; `None` before anything is committed.
    pub(crate) fn members_among(&self, alive: impl Iterator<Item = Member>) -> Option<usize> {
        let roster = self.roster.as_ref()?;
        Some(alive.filter(|member| roster.names(*member)).count())
    }

    /// The history in which something is committed.
    pub(crate) fn founded(&self) -> Option<Incarnation> {
        self.roster.as_ref().map(|roster| roster.history)
    }

    /// Notes that the server's process has ended, and with it its log.
    pub(crate) fn forget(&mut self, id: ServerId) {
        self.logs[usize::from(id.0)].clear();
    }

    /// Checks what the step changed.
    pub(crate) fn observe(&mut self, services: &[Service], step: &Step, marks: &mut Marks) {
        check_change(&step.before, &step.after);
        if self.promise_is_void {
            let elected =
                step.before.role != RoleName::Leader && step.after.role == RoleName::Leader;
            if elected {
                let leader = Member { id: step.id, incarnation: step.after.incarnation };
                self.leaders.insert((step.after.current_term, step.after.history), leader);
            }
            return;
        }
        let server = services[usize::from(step.id.0)].server();
        self.observe_log(server, step, marks);
        let leads = |status: &Status| status.role == RoleName::Leader;
        if leads(&step.after) && !leads(&step.before) {
            self.observe_leader(services, step, marks);
        }
        if step.before.commit_index < step.after.commit_index {
            self.observe_commit(services, step);
        }
    }

    /// Log Matching (§5.3), and that nothing committed or led is ever deleted.
    fn observe_log(&mut self, server: &Server, step: &Step, marks: &mut Marks) {
        let Step { id, before, after, from } = step;
        let shadow = &mut self.logs[usize::from(id.0)];
        let kept = from.previous().0 as usize;
        let tail = server.log().from(*from);
        let agrees =
            |(old, entry): (&Term, &Entry)| before.history == after.history && *old == entry.term;
        let same = shadow[kept..].iter().zip(tail).take_while(|pair| agrees(*pair)).count();
        if kept + same < shadow.len() {
            marks.hit(Mark::Truncation);
            assert!(before.commit_index.0 <= (kept + same) as u64, "a committed entry was deleted");
            let led = before.role == RoleName::Leader && before.current_term == after.current_term;
            assert!(!led, "a leader deleted its own entries");
        }
        shadow.truncate(kept + same);
        for entry in &tail[same..] {
            let previous = shadow.last().copied().unwrap_or_default();
            assert!(previous <= entry.term, "terms fall along a log");
            shadow.push(entry.term);
            let place = (after.history, LogIndex(shadow.len() as u64), entry.term);
            let known = self.entries.entry(place).or_insert_with(|| (entry.clone(), previous));
            assert!(known.0 == *entry, "two logs differ at {place:?}");
            assert!(known.1 == previous, "two logs agree at {place:?} and differ before it");
        }
    }

    /// Election Safety (§5.2) and Leader Completeness (§5.4), of a server that has just been elected.
    fn observe_leader(&mut self, services: &[Service], step: &Step, marks: &mut Marks) {
        let (id, term) = (step.id, step.after.current_term);
        let server = services[usize::from(id.0)].server();
        let itself = Member { id, incarnation: step.after.incarnation };
        let other = self.leaders.insert((term, step.after.history), itself);
        assert!(other.is_none(), "{term:?} has two leaders, {other:?} and {id:?}");
        assert!(step.after.voted_for == Some(itself), "a leader voted for itself");
        if self.roster.as_ref().is_some_and(|roster| Some(roster.history) != step.after.history) {
            // It tries to found a history beside the one that is; that this succeeds is found when it commits.
            return;
        }
        // A vote may arrive so late that other servers have long been led in later terms.
        let earlier = self.committed.partition_point(|(_, committed_in)| *committed_in < term);
        let place = LogIndex(earlier as u64);
        let committed = self.committed[..earlier].last().map(|(entry, _)| entry.term);
        let held = server.log().get(place).map(|entry| entry.term);
        assert!(held == committed, "the leader of {term:?} lacks a committed entry");
        let next = place.next();
        let holders =
            servers(services).filter(|other| other.log().get(next) == server.log().get(next));
        if server.log().get(next).is_some_and(|entry| entry.term < term)
            && self.majority <= holders.count()
        {
            marks.hit(Mark::Figure8);
        }
    }

    /// What is committed is so for ever, on a majority, and applied alike (State Machine Safety, §5.4.3).
    fn observe_commit(&mut self, services: &[Service], step: &Step) {
        let Step { id, before, after, .. } = step;
        let server = services[usize::from(id.0)].server();
        let mut index = before.commit_index;
        while index < after.commit_index {
            index = index.next();
            let entry = server.log().get(index).expect("what is committed is in the log");
            match self.committed.get(index.previous().0 as usize) {
                Some((known, _)) => {
                    assert!(known == entry, "committed history changed at {index:?}")
                }
                None => self.commit(services, server, index, entry.clone()),
            }
        }
        // §5.4.2: only an entry of the leader's own term is committed by counting.
        let newest = server.log().get(after.commit_index).map(|entry| entry.term);
        let counted = after.role != RoleName::Leader || newest == Some(after.current_term);
        assert!(counted, "an entry of an older term was committed by counting");
        let map = self.ledger.map(after.commit_index.0 as usize);
        assert!(server.files() == map, "{id:?} applied something else than what is committed");
        let history = server.log().history();
        let founded = self.roster.as_ref().map(|roster| roster.history);
        assert!(history == founded, "{id:?} founded a second history");
    }

    fn commit(&mut self, services: &[Service], by: &Server, index: LogIndex, entry: Entry) {
        assert!(by.role() == RoleName::Leader, "only a leader finds out what is committed");
        // Who has held it, if it counts: its process may have ended since, and then the others must do without it.
        let roster = by.log().roster().expect("a leader has a roster");
        let held = |(id, incarnation): &(&ServerId, &Incarnation)| {
            let server = services[usize::from(id.0)].server();
            server.status().incarnation != **incarnation || server.log().get(index) == Some(&entry)
        };
        let holders = roster.members.iter().filter(held).count();
        assert!(self.majority <= holders, "{index:?} was committed without a majority");
        if let Command::Roster(roster) = &entry.command {
            self.roster = Some(Arc::clone(roster));
        }
        let leads = |server: &&Server| {
            server.role() == RoleName::Leader && server.log().history() == Some(roster.history)
        };
        for later in servers(services).filter(leads) {
            let completes =
                later.current_term() <= by.current_term() || later.log().get(index) == Some(&entry);
            assert!(completes, "{index:?} was committed behind the back of a later leader");
        }
        self.ledger.commit(&entry.command);
        self.committed.push((entry, by.current_term()));
    }
}

/// The cores of the servers.
fn servers(services: &[Service]) -> impl Iterator<Item = &Server> {
    services.iter().map(Service::server)
}

/// What must hold of every state, and what no step may do, in the simulation's own words beside the core's.
fn check_change(before: &Status, after: &Status) {
    assert!(after.last_applied <= after.commit_index, "more is applied than is committed");
    assert!(after.commit_index <= after.last_log.index, "more is committed than the log has");
    assert!(after.last_log.term <= after.current_term, "an entry is of a term to come");
    assert!(before.current_term <= after.current_term, "the term fell");
    if before.incarnation != after.incarnation {
        return;
    }
    assert!(before.commit_index <= after.commit_index, "the commit index fell");
    assert!(before.last_applied <= after.last_applied, "the applied index fell");
    if before.current_term == after.current_term {
        let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
        assert!(kept, "a server voted twice in a term");
        let known = before.leader.is_none()
            || after.leader.is_none()
            || before.leader_history != after.leader_history;
        assert!(known || before.leader == after.leader, "a server knew two leaders in a term");
        let goes_on = matches!(after.role, RoleName::Leader | RoleName::Crashed);
        assert!(before.role != RoleName::Leader || goes_on, "a leader stepped down in its term");
    }
}
