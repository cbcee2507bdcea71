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
    Command, Entry, Incarnation, Log, LogIndex, Member, Position, RoleName, Roster, Server,
    ServerId, Status, Term,
};
use surfstore::service::Service;

use crate::disk::Disk;
use crate::durability::terms_on;
use crate::ledger::Ledger;
use crate::marks::{Mark, Marks};

/// The history of a cluster.
pub(crate) struct History {
    majority: usize,
    /// The committed entries, in order, as they were when first committed anywhere, and in which term that was.
    committed: Vec<(Entry, Term)>,
    /// What they amount to.
    pub(crate) ledger: Ledger,
    /// The committed rosters, and their indexes.
    rosters: Vec<(LogIndex, Arc<Roster>)>,
    /// Whether so many have lost their memory that what was acknowledged may be lost.
    pub(crate) promise_is_void: bool,
    /// Who led each term of each history.
    leaders: BTreeMap<(Term, Option<Incarnation>), Member>,
    /// Every entry that was ever in a log, by place, and the term of the entry before it.
    entries: BTreeMap<(Option<Incarnation>, LogIndex, Term), (Entry, Term)>,
    /// Every server's log as of its last step.
    logs: Vec<Shadow>,
}

/// What is remembered of a server's log.
#[derive(Clone, Default)]
struct Shadow {
    /// The terms of all its entries, from the first one on, whether it still holds them or not.
    terms: Vec<Term>,
    /// How many of them it has dropped.
    dropped: usize,
}

impl Shadow {
    fn term(&self, index: LogIndex) -> Option<Term> {
        self.terms.get((index.0 as usize).checked_sub(1)?).copied()
    }

    /// The position at an index that the log has reached.
    fn position(&self, index: LogIndex) -> Position {
        Position { term: self.term(index).unwrap_or_default(), index }
    }
}

/// A server's step: its state before and after, and the first place of its log that may have changed.
pub(crate) struct Step {
    pub(crate) id: ServerId,
    pub(crate) before: Status,
    pub(crate) after: Status,
    pub(crate) from: LogIndex,
    /// Whether a piece of a snapshot came.
    pub(crate) brings_snapshot: bool,
}

impl History {
    pub(crate) fn new(size: u8) -> History {
        History {
            majority: usize::from(size) / 2 + 1,
            committed: Vec::new(),
            ledger: Ledger::new(),
            rosters: Vec::new(),
            promise_is_void: false,
            leaders: BTreeMap::new(),
            entries: BTreeMap::new(),
            logs: vec![Shadow::default(); usize::from(size)],
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
        let roster = self.roster()?;
        Some(alive.filter(|member| roster.names(*member)).count())
    }

    /// The history in which something is committed.
    pub(crate) fn founded(&self) -> Option<Incarnation> {
        self.roster().map(|roster| roster.history)
    }

    /// The last committed roster.
    fn roster(&self) -> Option<&Arc<Roster>> {
        self.rosters.last().map(|(_, roster)| roster)
    }

    /// The committed roster in force at `index`.
    fn roster_at(&self, index: LogIndex) -> Option<&Arc<Roster>> {
        let count = self.rosters.partition_point(|(at, _)| *at <= index);
        self.rosters[..count].last().map(|(_, roster)| roster)
    }

    /// Whether this entry is committed at `index`, as far as anything is demanded.
    pub(crate) fn has_committed(&self, index: LogIndex, entry: &Entry) -> bool {
        let committed = self.committed.get(index.previous().0 as usize);
        self.promise_is_void || committed.is_some_and(|(committed, _)| committed == entry)
    }

    /// Notes that the server's process has ended, and with it its log.
    pub(crate) fn forget(&mut self, id: ServerId) {
        self.logs[usize::from(id.0)] = Shadow::default();
    }

    /// Notes that a server comes back with what is on its disk, of which it has dropped the entries up to `dropped`.
    pub(crate) fn recover(&mut self, id: ServerId, disk: &Disk, dropped: LogIndex) {
        self.logs[usize::from(id.0)] = Shadow::default();
        if self.promise_is_void {
            return;
        }
        let committed = |index: LogIndex| self.committed[index.previous().0 as usize].0.term;
        let terms = terms_on(disk, committed);
        self.logs[usize::from(id.0)] = Shadow { terms, dropped: dropped.0 as usize };
        if self.majority == 1 {
            // A server that is alone leads before its vote is on its disk. If it is not there, nobody has relied on it.
            let saved = disk.saved().hard_state.current_term;
            self.leaders.retain(|(term, _), _| *term <= saved);
            self.entries.retain(|(_, _, term), _| *term <= saved);
        }
    }

    /// Checks what the step changed.
    pub(crate) fn observe(
        &mut self,
        services: &[Service],
        disks: &[Option<Disk>],
        step: &Step,
        marks: &mut Marks,
    ) {
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
            self.observe_commit(services, disks, step);
        }
    }

    /// Log Matching (§5.3), and that nothing committed or led is ever deleted.
    fn observe_log(&mut self, server: &Server, step: &Step, marks: &mut Marks) {
        let Step { id, before, after, brings_snapshot, .. } = step;
        let log = server.log();
        let (first, terms) = self.terms_after(log, step);
        let shadow = &mut self.logs[usize::from(id.0)];
        let Position { index, .. } = log.last_included();
        let drops = shadow.dropped < index.0 as usize;
        let is_installed = drops && log.len() == 0;
        assert!(index <= after.last_applied, "{id:?} dropped an entry that is not applied");
        assert!(!is_installed || *brings_snapshot, "{id:?} dropped its last entry");
        let is_same = before.history == after.history;
        let old = shadow.terms.get(first..).unwrap_or_default().iter();
        let same = old.zip(&terms).take_while(|(old, new)| is_same && old == new).count();
        if first + same < shadow.terms.len() {
            marks.hit(if is_installed { Mark::ConflictReplaced } else { Mark::Truncation });
            let kept = LogIndex((first + same) as u64);
            assert!(before.commit_index <= kept, "a committed entry was deleted");
            let led = before.role == RoleName::Leader && before.current_term == after.current_term;
            assert!(!led, "a leader deleted its own entries");
        } else if drops && !is_installed {
            marks.hit(Mark::Compaction);
        }
        shadow.terms.truncate(first + same);
        shadow.dropped = index.0 as usize;
        for term in &terms[same..] {
            let previous = shadow.terms.last().copied().unwrap_or_default();
            assert!(previous <= *term, "terms fall along a log");
            shadow.terms.push(*term);
            let index = LogIndex(shadow.terms.len() as u64);
            let Some(entry) = log.get(index) else { continue };
            let place = (after.history, index, *term);
            let known = self.entries.entry(place).or_insert_with(|| (entry.clone(), previous));
            assert!(known.0 == *entry, "two logs differ at {place:?}");
            assert!(known.1 == previous, "two logs agree at {place:?} and differ before it");
        }
        let names = log.last_included() == shadow.position(index);
        assert!(names, "{id:?} takes its last dropped entry for another");
    }

    /// The first place of a log that may have changed, and the terms from there on.
    ///
    /// Entries may be dropped once they are applied (§7). A snapshot may take the place of entries that the server has
    /// never held. In both cases they are those that are committed, if only since this step.
    fn terms_after(&self, log: &Log, step: &Step) -> (usize, Vec<Term>) {
        let shadow = &self.logs[usize::from(step.id.0)];
        let dropped = log.last_included().index.0 as usize;
        let is_same = step.before.history == step.after.history;
        let settled = if is_same { shadow.dropped } else { 0 };
        assert!(settled <= dropped, "{:?} holds entries again that it had dropped", step.id);
        let changed = step.from.previous().0 as usize;
        let first = if settled < dropped { settled } else { dropped.max(changed) };
        let dropped_terms = (first..dropped).map(|place| match self.committed.get(place) {
            Some((entry, _)) => entry.term,
            None => *shadow.terms.get(place).expect("what was dropped had been in the log"),
        });
        let held = log.from(LogIndex(dropped.max(first) as u64).next());
        (first, dropped_terms.chain(held.map(|entry| entry.term)).collect())
    }

    /// Election Safety (§5.2) and Leader Completeness (§5.4), of a server that has just been elected.
    fn observe_leader(&mut self, services: &[Service], step: &Step, marks: &mut Marks) {
        let (id, term) = (step.id, step.after.current_term);
        let server = services[usize::from(id.0)].server();
        let itself = Member { id, incarnation: step.after.incarnation };
        let other = self.leaders.insert((term, step.after.history), itself);
        assert!(other.is_none(), "{term:?} has two leaders, {other:?} and {id:?}");
        assert!(step.after.voted_for == Some(itself), "a leader voted for itself");
        if self.founded().is_some_and(|founded| Some(founded) != step.after.history) {
            // It tries to found a history beside the one that is; that this succeeds is found when it commits.
            return;
        }
        // A vote may arrive so late that other servers have long been led in later terms.
        let earlier = self.committed.partition_point(|(_, committed_in)| *committed_in < term);
        let place = LogIndex(earlier as u64);
        let committed = self.committed[..earlier].last().map(|(entry, _)| entry.term);
        let held = self.logs[usize::from(id.0)].term(place);
        assert!(held == committed, "the leader of {term:?} lacks a committed entry");
        let next = place.next();
        let holders =
            servers(services).filter(|other| other.log().get(next) == server.log().get(next));
        if server.log().get(next).is_some_and(|entry| entry.term < term)
            && self.majority <= holders.count()
        {
            marks.hit(Mark::Figure8);
        }
        let mut before_opening = server.log().from(LogIndex(1)).rev().skip(1);
        if before_opening.all(|entry| matches!(entry.command, Command::Update(_)))
            && LogIndex(0) < server.log().last_included().index
        {
            marks.hit(Mark::DroppedRoster);
        }
    }

    /// What is committed is so for ever, on a majority, and applied alike (State Machine Safety, §5.4.3).
    fn observe_commit(&mut self, services: &[Service], disks: &[Option<Disk>], step: &Step) {
        let Step { id, before, after, .. } = step;
        let server = services[usize::from(id.0)].server();
        let mut index = before.commit_index;
        while index < after.commit_index {
            index = index.next();
            let entry = self.entry(*id, after.history, index);
            let entry = entry.expect("what is committed is or was in a log").clone();
            match self.committed.get(index.previous().0 as usize) {
                Some((known, _)) => {
                    assert!(*known == entry, "committed history changed at {index:?}")
                }
                None => {
                    self.check_is_held(services, disks, (server, index, &entry));
                    self.commit(services, server, index, entry);
                }
            }
        }
        // §5.4.2: only an entry of the leader's own term is committed by counting.
        let newest = self.logs[usize::from(id.0)].term(after.commit_index);
        let counted = after.role != RoleName::Leader || newest == Some(after.current_term);
        assert!(counted, "an entry of an older term was committed by counting");
        let map = self.ledger.map(after.commit_index.0 as usize);
        assert!(server.files() == map, "{id:?} applied something else than what is committed");
        let roster = server.log().roster_at(after.commit_index);
        let committed = self.roster_at(after.commit_index);
        assert!(roster == committed, "{id:?} takes another roster for the one in force");
        assert!(server.log().history() == self.founded(), "{id:?} founded a second history");
    }

    /// The entry at `index` in a server's log, whether the server still holds it or not.
    pub(crate) fn entry(
        &self,
        id: ServerId,
        history: Option<Incarnation>,
        index: LogIndex,
    ) -> Option<&Entry> {
        let term = self.logs[usize::from(id.0)].term(index)?;
        self.entries.get(&(history, index, term)).map(|(entry, _)| entry)
    }

    /// Checks that a majority holds what is committed, on its disks as far as it has any.
    fn check_is_held(
        &self,
        services: &[Service],
        disks: &[Option<Disk>],
        (by, index, entry): (&Server, LogIndex, &Entry),
    ) {
        // Who has held it, if it counts: its process may have ended since, and then the others must do without it.
        let roster = by.log().roster().expect("a leader has a roster");
        let held = |(id, incarnation): &(&ServerId, &Incarnation)| {
            let slot = usize::from(id.0);
            let server = services[slot].server();
            let has = || match &disks[slot] {
                Some(disk) => disk.entry(index) == Some(entry),
                None => self.entry(**id, server.log().history(), index) == Some(entry),
            };
            server.status().incarnation != **incarnation || has()
        };
        let holders = roster.members.iter().filter(held).count();
        assert!(self.majority <= holders, "{index:?} was committed without a majority");
    }

    fn commit(&mut self, services: &[Service], by: &Server, index: LogIndex, entry: Entry) {
        assert!(by.role() == RoleName::Leader, "only a leader finds out what is committed");
        let roster = by.log().roster().expect("a leader has a roster");
        let has = |id: ServerId| {
            let history = services[usize::from(id.0)].server().log().history();
            self.entry(id, history, index) == Some(&entry)
        };
        let leads = |server: &&Server| {
            server.role() == RoleName::Leader && server.log().history() == Some(roster.history)
        };
        for later in servers(services).filter(leads) {
            let completes = later.current_term() <= by.current_term() || has(later.identity().id);
            assert!(completes, "{index:?} was committed behind the back of a later leader");
        }
        if let Command::Roster(roster) = &entry.command {
            self.rosters.push((index, Arc::clone(roster)));
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
