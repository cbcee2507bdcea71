//! What has become true for ever, and the check of every step against it: Figure 3's properties, across servers.
//!
//! A step changes one server, so what it changed is compared with what is remembered; by induction the properties hold
//! of everything. The module knows states and logs only: no time, no network, and of clients no more than that each
//! update carries the number of its call.

use std::collections::{BTreeMap, BTreeSet};

use surfstore::metadata::Files;
use surfstore::raft::{CallId, Command, Entry, LogIndex, RoleName, Server, ServerId, Status, Term};
use surfstore::value::Value;

use crate::marks::Marks;

/// The history of a cluster.
pub(crate) struct History {
    majority: usize,
    /// The committed entries, in order, as they were when first committed anywhere.
    committed: Vec<Entry>,
    /// The map after each committed entry; the first is empty.
    maps: Vec<Files>,
    /// Where each update is committed, and whether it took effect.
    outcomes: BTreeMap<CallId, (usize, bool)>,
    /// The updates that were refused for good.
    refused: BTreeSet<CallId>,
    /// Who led each term.
    leaders: BTreeMap<Term, ServerId>,
    /// Every entry that was ever in a log, by place, and the term of the entry before it.
    entries: BTreeMap<(LogIndex, Term), (Entry, Term)>,
    /// The terms of every server's log as of its last step.
    logs: Vec<Vec<Term>>,
}

impl History {
    pub(crate) fn new(size: u8) -> History {
        History {
            majority: usize::from(size) / 2 + 1,
            committed: Vec::new(),
            maps: vec![Files::default()],
            outcomes: BTreeMap::new(),
            refused: BTreeSet::new(),
            leaders: BTreeMap::new(),
            entries: BTreeMap::new(),
            logs: vec![Vec::new(); usize::from(size)],
        }
    }

    /// How many entries are committed.
    pub(crate) fn len(&self) -> usize {
        self.committed.len()
    }

    /// The map after so many committed entries.
    pub(crate) fn map(&self, len: usize) -> &Files {
        &self.maps[len]
    }

    /// Where the update is committed, and whether it took effect.
    pub(crate) fn outcome(&self, call: CallId) -> Option<(usize, bool)> {
        self.outcomes.get(&call).copied()
    }

    /// Notes that the caller was told that the update had and will have no effect.
    pub(crate) fn refuse(&mut self, call: CallId) {
        assert!(
            self.outcome(call).is_none(),
            "the update of {call:?} was refused and is committed"
        );
        self.refused.insert(call);
    }

    /// Checks what the step changed at server `id`, whose log is as it was before the place `from`.
    pub(crate) fn observe(
        &mut self,
        servers: &[Server],
        id: ServerId,
        (before, from): (&Status, LogIndex),
        marks: &mut Marks,
    ) {
        let server = &servers[usize::from(id.0)];
        let after = server.status();
        assert!(before.current_term <= after.current_term, "the term fell");
        assert!(before.commit_index <= after.commit_index, "the commit index fell");
        self.observe_log(server, id, (before, from), marks);
        if after.role == RoleName::Leader {
            self.observe_leader(servers, id, before, marks);
        }
        if before.commit_index < after.commit_index {
            self.observe_commit(servers, id, before.commit_index);
        }
    }

    /// Log Matching (§5.3), and that nothing committed or led is ever deleted.
    fn observe_log(
        &mut self,
        server: &Server,
        id: ServerId,
        (before, from): (&Status, LogIndex),
        marks: &mut Marks,
    ) {
        let shadow = &mut self.logs[usize::from(id.0)];
        let kept = usize::try_from(from.0).expect("a place").saturating_sub(1).min(shadow.len());
        let tail = server.log().from(LogIndex(kept as u64 + 1));
        let agrees = |(old, entry): (&Term, &Entry)| *old == entry.term;
        let same = shadow[kept..].iter().zip(tail).take_while(|pair| agrees(*pair)).count();
        if kept + same < shadow.len() {
            marks.hit("a conflicting suffix is truncated");
            assert!(before.commit_index.0 <= (kept + same) as u64, "a committed entry was deleted");
            let led =
                before.role == RoleName::Leader && before.current_term == server.current_term();
            assert!(!led, "a leader deleted its own entries");
        }
        shadow.truncate(kept + same);
        for entry in &tail[same..] {
            let previous = shadow.last().copied().unwrap_or_default();
            assert!(previous <= entry.term, "terms fall along a log");
            shadow.push(entry.term);
            let place = (LogIndex(shadow.len() as u64), entry.term);
            let known = self.entries.entry(place).or_insert_with(|| (entry.clone(), previous));
            assert!(known.0 == *entry, "two logs differ at {place:?}");
            assert!(known.1 == previous, "two logs agree at {place:?} and differ before it");
        }
    }

    /// Election Safety (§5.2) and Leader Completeness (§5.4).
    fn observe_leader(
        &mut self,
        servers: &[Server],
        id: ServerId,
        before: &Status,
        marks: &mut Marks,
    ) {
        let server = &servers[usize::from(id.0)];
        let term = server.current_term();
        let elected = *self.leaders.entry(term).or_insert(id);
        assert!(elected == id, "{term:?} has two leaders, {elected:?} and {id:?}");
        if before.role == RoleName::Leader {
            return;
        }
        let place = LogIndex(self.committed.len() as u64);
        let held = server.log().get(place).map(|entry| entry.term);
        assert!(
            held == self.committed.last().map(|entry| entry.term),
            "the leader of {term:?} lacks a committed entry"
        );
        let next = place.next();
        let holders =
            servers.iter().filter(|other| other.log().get(next) == server.log().get(next));
        if server.log().get(next).is_some_and(|entry| entry.term < term)
            && self.majority <= holders.count()
        {
            marks.hit("an entry of an older term is on a majority, uncommitted (Figure 8)");
        }
    }

    /// What is committed is so for ever, on a majority, and applied alike (State Machine Safety, §5.4.3).
    fn observe_commit(&mut self, servers: &[Server], id: ServerId, commit_index: LogIndex) {
        let server = &servers[usize::from(id.0)];
        let after = server.status();
        let mut index = commit_index;
        while index < after.commit_index {
            index = index.next();
            let entry = server.log().get(index).expect("what is committed is in the log");
            match self.committed.get(index.previous().0 as usize) {
                Some(known) => assert!(known == entry, "committed history changed at {index:?}"),
                None => self.commit(servers, &after, index, entry.clone()),
            }
        }
        // §5.4.2: only an entry of the leader's own term is committed by counting.
        let newest = server.log().get(after.commit_index).map(|entry| entry.term);
        let counted = after.role != RoleName::Leader || newest == Some(after.current_term);
        assert!(counted, "an entry of an older term was committed by counting");
        let map = self.map(after.commit_index.0 as usize);
        assert!(server.files() == map, "{id:?} applied something else than what is committed");
    }

    fn commit(&mut self, servers: &[Server], by: &Status, index: LogIndex, entry: Entry) {
        assert!(by.role == RoleName::Leader, "only a leader finds out what is committed");
        let holders = servers.iter().filter(|server| server.log().get(index) == Some(&entry));
        assert!(self.majority <= holders.count(), "{index:?} was committed without a majority");
        for later in servers.iter().filter(|server| server.role() == RoleName::Leader) {
            let completes =
                later.current_term() <= by.current_term || later.log().get(index) == Some(&entry);
            assert!(completes, "{index:?} was committed behind the back of a later leader");
        }
        let mut files = self.maps.last().expect("the empty map").clone();
        if let Command::Update(update) = &entry.command {
            let call = call_of(&update.hashes);
            let took_effect = files.apply(update);
            assert!(!self.refused.contains(&call), "the refused update of {call:?} is committed");
            let place = (index.0 as usize, took_effect);
            assert!(self.outcomes.insert(call, place).is_none(), "{call:?} is committed twice");
        }
        self.maps.push(files);
        self.committed.push(entry);
    }
}

/// The call that made the update: every update of the simulation carries its number as its first hash.
fn call_of(hashes: &[Value]) -> CallId {
    match hashes {
        [Value::Int(call), ..] => CallId(u64::try_from(*call).expect("a call's number")),
        other => panic!("no update of this simulation: {other:?}"),
    }
}
