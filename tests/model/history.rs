//! What a state must remember of the path to it, and the check of every step against it: Figure 3's properties, across
//! servers, and that every answer is correct.
//!
//! They hold in full as long as fewer than a majority of the servers are without memory at any one time. After more
//! have been, what was committed may be lost, but only with all servers that knew it: see [`Committed::is_at_risk`].

use std::collections::BTreeMap;
use std::sync::Arc;

use surfstore::metadata::{Files, Update};
use surfstore::raft::{
    CallError, CallId, Command, Entry, Incarnation, Log, LogIndex, Member, Position, Reply,
    RoleName, Roster, Saved, Server, ServerId, Status, Term,
};
use surfstore::value::Value;

use crate::disks::keeps;
use crate::logs::{common, has};
use crate::marks::{Mark, Marks};

/// The smallest history that the properties need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// The leader that was elected in each term of each history.
    leaders: BTreeMap<(Incarnation, Term), Member>,
    /// What is committed, by history.
    committed: BTreeMap<Incarnation, Committed>,
    /// The outcomes of the updates, in the order in which they were made.
    updates: Vec<Outcome>,
    /// The outcomes of the reads.
    reads: Vec<Outcome>,
    /// How many processes have ended.
    ended: usize,
}

/// What is committed of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Committed {
    /// The entries, in order, as they were when first committed anywhere, and in which term that was.
    entries: Vec<(Entry, Term)>,
    /// Whether, at some time since, fewer than a majority of the servers had memory.
    is_at_risk: bool,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// It waits there.
    Waiting {
        at: ServerId,
        /// How much of that server's history was committed when the call was made, unless it is an update in its log.
        since: Option<(Incarnation, usize)>,
    },
    /// It is answered, or no server is left to answer it, and nothing more will be known about it.
    Answered,
    /// Its caller was told that it had no effect and never will.
    Refused,
}

/// The reads' ids begin here, the updates' at 1.
const READS: u64 = 1000;

/// The servers, except those whose processes have ended.
type Servers<'a> = [Option<&'a Server>];

impl Committed {
    fn updates(&self) -> impl Iterator<Item = &Arc<Update>> {
        self.entries.iter().filter_map(|(entry, _)| update_of(entry))
    }

    fn rosters(&self) -> impl Iterator<Item = &Arc<Roster>> {
        self.entries.iter().filter_map(|(entry, _)| roster_of(entry))
    }

    /// The map after so many entries.
    fn map(&self, len: usize) -> Files {
        let mut files = Files::default();
        for (entry, _) in self.entries.iter().take(len) {
            if let Command::Update(update) = &entry.command {
                files.apply(update);
            }
        }
        files
    }

    /// The position of the entry at the index; 0 before the first.
    fn position(&self, index: LogIndex) -> Position {
        let last = self.entries.iter().take(index.0 as usize).next_back();
        last.map_or(Position::default(), |(entry, _)| Position { term: entry.term, index })
    }

    /// The roster in force at the index.
    fn roster(&self, index: LogIndex) -> Option<&Arc<Roster>> {
        let entries = self.entries.iter().take(index.0 as usize);
        entries.filter_map(|(entry, _)| roster_of(entry)).next_back()
    }

    /// A server is without memory if it is empty or in no committed roster. As long as there is no update, no server
    /// needs to know yet that this history is founded, so a server that has followed another history since is without
    /// memory of this one.
    fn is_remembered_by(&self, history: Incarnation, server: &Server) -> bool {
        let follows = match server.status().history {
            Some(other) => other == history || self.updates().next().is_some(),
            None => false,
        };
        follows && self.rosters().any(|roster| roster.names(server.identity().member()))
    }

    /// The first entry committed in a term before that one that the leader's log lacks.
    fn missing(&self, leader: &Server, before: Term) -> Option<(usize, &Entry)> {
        let earlier = self.entries.iter().take_while(|(_, term)| *term < before);
        let mut earlier = earlier.map(|(entry, _)| entry).enumerate();
        earlier.find(|(place, entry)| !has(leader.log(), index_of(*place), entry))
    }
}

impl History {
    pub(crate) fn updates_made(&self) -> usize {
        self.updates.len()
    }

    pub(crate) fn reads_made(&self) -> usize {
        self.reads.len()
    }

    /// Records an update and returns its call's id.
    pub(crate) fn update(&mut self, at: ServerId, server: &Server) -> CallId {
        let since = Some(self.reached(server));
        self.updates.push(Outcome::Waiting { at, since });
        CallId(self.updates.len() as u64)
    }

    /// The update is in the server's log if that has accepted it: then nothing but its entry decides the outcome.
    pub(crate) fn appended(&mut self, call: CallId, server: &Server) {
        let mut updates = server.log().from(LogIndex(1)).filter_map(update_of);
        if let Outcome::Waiting { since, .. } = self.outcome(call)
            && updates.any(|update| call_of(update) == call)
        {
            *since = None;
        }
    }

    /// Records a read and returns its call's id.
    pub(crate) fn read(&mut self, at: ServerId, server: &Server) -> CallId {
        let since = Some(self.reached(server));
        self.reads.push(Outcome::Waiting { at, since });
        CallId(READS + self.reads.len() as u64)
    }

    /// The server's history, and how much of it is committed.
    fn reached(&self, server: &Server) -> (Incarnation, usize) {
        let history = server.status().history.expect("a server that serves callers has a history");
        (history, self.committed.get(&history).map_or(0, |committed| committed.entries.len()))
    }

    fn outcome(&mut self, call: CallId) -> &mut Outcome {
        let calls = if READS < call.0 { &mut self.reads } else { &mut self.updates };
        let place = (call.0 % READS) as usize - 1;
        calls.get_mut(place).expect("an answer to a call that was made")
    }

    /// A process has ended, and with it the calls that waited there.
    pub(crate) fn ended(&mut self, id: ServerId, servers: &Servers) {
        self.ended += 1;
        self.hang_up(id);
        self.judge(servers);
    }

    /// The calls that waited at a server are gone.
    pub(crate) fn hang_up(&mut self, id: ServerId) {
        for outcome in self.updates.iter_mut().chain(&mut self.reads) {
            if matches!(outcome, Outcome::Waiting { at, .. } if *at == id) {
                *outcome = Outcome::Answered;
            }
        }
    }

    /// Every entry that was ever committed is on the disks of a majority of the servers, of which each is named in a
    /// committed roster. So a loss of power never puts a history at risk.
    pub(crate) fn check_saved(&self, disks: &[&Saved], servers: u8) {
        for (history, committed) in &self.committed {
            assert!(!committed.is_at_risk, "servers with disks have lost their memory");
            for (place, (entry, _)) in committed.entries.iter().enumerate() {
                let is_named = |saved: &Saved| {
                    let own = saved.hard_state.incarnation;
                    committed.rosters().any(|it| it.members.values().any(|named| *named == own))
                };
                let holds = |saved: &&&Saved| {
                    is_named(saved) && keeps(saved, *history, index_of(place), entry)
                };
                let holders = disks.iter().filter(holds).count();
                assert!(
                    usize::from(servers) < 2 * holders,
                    "{entry:?} is committed, but on {holders} disks"
                );
            }
        }
    }

    /// Checks an answer to a client, which must be its only one. If the call is an update, it is this one.
    pub(crate) fn answered(&mut self, call: CallId, reply: &Reply, update: Option<&Update>) {
        let Outcome::Waiting { since, .. } = *self.outcome(call) else {
            panic!("{call:?} is answered twice, at last with {reply:?}");
        };
        let mut outcome = Outcome::Answered;
        match (reply, since, update) {
            (Reply::Updated(false), Some(since), Some(update)) if !self.is_committed(call) => {
                self.check_judged(since, |files| files.version(&update.name) + 1 != update.version);
                outcome = Outcome::Refused;
            }
            (Reply::Updated(took_effect), _, Some(_)) => self.check_told(call, *took_effect),
            (Reply::Files(files), Some(since), None) => {
                self.check_judged(since, |then| then == files);
            }
            (Reply::Failed(CallError::NotLeader(_) | CallError::Crashed), _, None) => {}
            (Reply::Failed(CallError::NotLeader(_) | CallError::Crashed), _, Some(_)) => {
                outcome = Outcome::Refused;
            }
            (Reply::Failed(CallError::OutcomeUnknown | CallError::OutcomeLost), None, Some(_)) => {}
            (other, ..) => panic!("{other:?} is not an answer to {call:?}"),
        }
        let is_committed = outcome == Outcome::Refused && self.is_committed(call);
        assert!(!is_committed, "{call:?} is refused but committed");
        *self.outcome(call) = outcome;
    }

    /// A caller is told "true" if the update is committed and took effect, "false" if it is and did not.
    fn check_told(&self, call: CallId, told: bool) {
        for committed in self.committed.values() {
            let mut versions = BTreeMap::<_, i64>::new();
            for update in committed.updates() {
                let version = versions.entry(&update.name).or_default();
                let takes_effect = update.version == *version + 1;
                *version += i64::from(takes_effect);
                if call_of(update) == call {
                    assert!(told == takes_effect, "{call:?} was told {told}");
                    return;
                }
            }
        }
        panic!("{call:?} was told {told} but is not committed");
    }

    /// A read, or an update that is refused without being appended, is answered with what was true of the map at some
    /// time since the call was made.
    fn check_judged(
        &self,
        (history, since): (Incarnation, usize),
        is_true: impl Fn(&Files) -> bool,
    ) {
        self.check_rivals(history);
        let committed = &self.committed[&history];
        let first = if committed.is_at_risk { 0 } else { since };
        let mut between = first..=committed.entries.len();
        assert!(between.any(|len| is_true(&committed.map(len))), "an answer is from an old state");
    }

    /// No two histories have updates, unless one of them is at risk.
    fn check_rivals(&self, history: Incarnation) {
        for (other, committed) in &self.committed {
            let is_alone =
                *other == history || committed.is_at_risk || committed.updates().next().is_none();
            assert!(is_alone, "two histories serve callers: {other:?} and {history:?}");
        }
    }

    fn is_committed(&self, call: CallId) -> bool {
        let mut updates = self.committed.values().flat_map(Committed::updates);
        updates.any(|update| call_of(update) == call)
    }

    /// Checks what a step changed at server `id`, which was `before` unless its process has just started, against the
    /// other servers and the past.
    pub(crate) fn observe(
        &mut self,
        servers: &Servers,
        (id, before): (ServerId, Option<&Server>),
        marks: &mut Marks,
    ) {
        let after =
            servers[usize::from(id.0)].expect("the server that took the step has not ended");
        if before.is_none_or(|before| before.log() != after.log()) {
            servers.iter().flatten().for_each(|other| check_log_matching(after, other));
        }
        self.judge(servers);
        self.check_election_safety(servers, after);
        let led = before.is_some_and(|before| before.role() == RoleName::Leader);
        if after.role() == RoleName::Leader && !led {
            self.check_what_is_known(servers, after);
            before.iter().for_each(|before| mark_election(marks, servers, after, before));
        }
        if after.role() == RoleName::Candidate {
            let rival = |other: &&&Server| is_standing(other, after.current_term());
            marks.hit_if(Mark::SplitVote, 1 < servers.iter().flatten().filter(rival).count());
        }
        self.observe_commit(servers, after, before);
        self.check_applied(after);
        self.judge(servers);
        self.check_leader_completeness(servers);
    }

    /// Records which histories are at risk from here on.
    fn judge(&mut self, servers: &Servers) {
        for (history, committed) in &mut self.committed {
            let remembers = |server: &&&Server| committed.is_remembered_by(*history, server);
            let with_memory = servers.iter().flatten().filter(remembers).count();
            committed.is_at_risk |= 2 * with_memory <= servers.len();
        }
    }

    fn is_at_risk(&self, history: Incarnation) -> bool {
        let committed = self.committed.get(&history);
        committed.map_or(0 < self.ended, |committed| committed.is_at_risk)
    }

    /// Election Safety (§5.2): a term has at most one leader of each history, ever, and no server takes another one for
    /// it.
    ///
    /// A term that only ended processes knew can be led again.
    fn check_election_safety(&mut self, servers: &Servers, server: &Server) {
        let status = server.status();
        let leads = status.role == RoleName::Leader;
        let history = if leads { status.history } else { status.leader_history };
        let (Some(leader), Some(history)) = (status.leader, history) else { return };
        let key = (history, status.current_term);
        let at_risk = self.is_at_risk(history);
        let known = self.leaders.get(&key).copied();
        if !leads {
            let agrees = known.is_some_and(|known| known.id == leader) || at_risk;
            assert!(agrees, "{leader:?} is taken for the leader of {key:?}, {known:?} is");
            return;
        }
        let member = server.identity().member();
        let lives = |known: Member| {
            servers.iter().flatten().any(|server| server.identity().member() == known)
        };
        let is_first = known.is_none_or(|known| known == member || (at_risk && !lives(known)));
        assert!(is_first, "{key:?} has two leaders, {known:?} and {member:?}");
        self.leaders.insert(key, member);
    }

    /// Leader Completeness (§5.4): a leader has everything that was committed of its history in an earlier term.
    ///
    /// The leader of another history may lack it: it can commit nothing, which [`History::check_rivals`] shows.
    fn check_leader_completeness(&self, servers: &Servers) {
        let leads = |server: &&&Server| server.role() == RoleName::Leader;
        for leader in servers.iter().flatten().filter(leads) {
            let history = leader.status().history.expect("a leader has a history");
            let committed = self.committed.get(&history).filter(|committed| !committed.is_at_risk);
            let lacks =
                committed.and_then(|committed| committed.missing(leader, leader.current_term()));
            assert!(lacks.is_none(), "a leader lacks {lacks:?}, which is committed");
        }
    }

    /// In a history at risk, an elected leader has everything that any remaining process knows. What no process knows
    /// is lost.
    fn check_what_is_known(&mut self, servers: &Servers, leader: &Server) {
        let history = leader.status().history.expect("a leader has a history");
        let Some(committed) = self.committed.get_mut(&history) else { return };
        if !committed.is_at_risk {
            return;
        }
        // A term that only ended processes knew can be led again.
        let before = leader.current_term().next();
        while let Some((place, _)) = committed.missing(leader, before) {
            for index in place..committed.entries.len() {
                let entry = &committed.entries[index].0;
                let knows = |server: &&&Server| knows(server, history, index_of(index), entry);
                let known = servers.iter().flatten().find(knows).map(|server| server.identity());
                assert!(known.is_none(), "a leader lacks {entry:?}, which {known:?} knows");
            }
            committed.entries.truncate(place);
        }
    }

    fn observe_commit(&mut self, servers: &Servers, server: &Server, before: Option<&Server>) {
        let Some(history) = server.status().history else { return };
        let from = before.map_or(LogIndex(0), |before| before.status().commit_index);
        let to = server.status().commit_index;
        if to <= from {
            return;
        }
        if before.is_some() {
            check_counting(server);
        }
        let mut index = from;
        while index < to {
            index = index.next();
            // A leader may have dropped in this step what it had before it.
            let led = before.filter(|_| server.role() == RoleName::Leader);
            let entry =
                [Some(server), led].into_iter().flatten().find_map(|it| it.log().get(index));
            let committed = self.committed.entry(history).or_default();
            match (committed.entries.get(place_of(index)), entry) {
                (Some((known, _)), Some(entry)) => {
                    assert!(known == entry, "committed history changed at {index:?}")
                }
                // A follower may never have had it, or may have received and dropped it in this step.
                (Some(_), None) => {}
                (None, entry) => {
                    let entry = entry.expect("what is first committed was in the log");
                    self.commit(servers, (server, before), index, entry);
                }
            }
        }
    }

    /// State Machine Safety (§5.4.3), also of what the log no longer shows: the map, the roster in force and the last
    /// dropped entry are those to which the committed entries lead.
    fn check_applied(&self, server: &Server) {
        let Status { history, last_applied, .. } = server.status();
        let (log, applied) = (server.log(), last_applied.0 as usize);
        let none = Committed::default();
        let committed = history.and_then(|history| self.committed.get(&history)).unwrap_or(&none);
        assert!(applied <= committed.entries.len(), "it applied something that is not committed");
        let files = committed.map(applied);
        assert!(*server.files() == files, "its map is not what the committed entries lead to");
        let dropped = log.last_included();
        assert!(dropped.index <= last_applied, "it dropped an entry that it has not applied");
        assert!(
            dropped == committed.position(dropped.index),
            "the last entry that it dropped, {dropped:?}, was not committed"
        );
        for index in [dropped.index, last_applied] {
            let is_in_force = log.roster_at(index) == committed.roster(index);
            assert!(is_in_force, "it takes another roster than the committed one at {index:?}");
        }
    }

    /// Entries are committed by a leader, on a majority, and no later leader lacks them; a refused update is never
    /// committed.
    fn commit(
        &mut self,
        servers: &Servers,
        (by, before): (&Server, Option<&Server>),
        index: LogIndex,
        entry: &Entry,
    ) {
        assert!(by.role() == RoleName::Leader, "only a leader decides what is committed");
        let history = by.status().history.expect("a leader has a history");
        // By the roster that was in force before the step, or by the one that was appended in it.
        let logs = before.into_iter().chain([by]).map(Server::log);
        let is_held = logs.filter_map(Log::roster).any(|roster| {
            let holds = |server: &&&Server| {
                roster.names(server.identity().member()) && knows(server, history, index, entry)
            };
            let holders = servers.iter().flatten().filter(holds).count() + self.ended;
            servers.len() < 2 * holders
        });
        assert!(is_held, "{index:?} is committed without a majority");
        for later in servers.iter().flatten().filter(|other| other.role() == RoleName::Leader) {
            let completes = later.current_term() <= by.current_term()
                || later.status().history != Some(history)
                || knows(later, history, index, entry);
            assert!(completes, "{index:?} is committed but unknown to a later leader");
        }
        if let Some(update) = update_of(entry) {
            let call = call_of(update);
            assert!(!self.is_committed(call), "{call:?} is committed twice");
            assert!(*self.outcome(call) != Outcome::Refused, "{call:?} is committed but refused");
            self.check_rivals(history);
        }
        let committed = self.committed.entry(history).or_default();
        committed.entries.push((entry.clone(), by.current_term()));
    }
}

/// Log Matching (§5.3): logs of one history with an entry of the same term at the same index are equal up to it.
fn check_log_matching(one: &Server, other: &Server) {
    if one.status().history != other.status().history {
        return;
    }
    let (one, other) = (one.log(), other.log());
    let agree = |index: &LogIndex| one.position(*index) == other.position(*index);
    let Some(last) = common(one, other).rfind(agree) else { return };
    for index in common(one, other).take_while(|index| *index <= last) {
        // One of them may have dropped the first of these entries.
        let entries = one.get(index).zip(other.get(index));
        let are_equal = agree(&index) && entries.is_none_or(|(one, other)| one == other);
        assert!(are_equal, "two logs agree at {last:?} and differ at {index:?}");
        let in_force = one.roster_at(index) == other.roster_at(index);
        assert!(in_force, "two logs agree at {last:?} and have other rosters at {index:?}");
    }
}

/// Whether the server has, or had before it dropped it, this entry there.
fn knows(server: &Server, history: Incarnation, index: LogIndex, entry: &Entry) -> bool {
    server.status().history == Some(history) && has(server.log(), index, entry)
}

fn index_of(place: usize) -> LogIndex {
    LogIndex(0).plus(place).next()
}

fn place_of(index: LogIndex) -> usize {
    index.previous().0 as usize
}

/// §5.4.2: a leader commits by counting only entries of its own term.
fn check_counting(server: &Server) {
    let newest = server.log().position(server.status().commit_index).map(|newest| newest.term);
    let counted = server.role() != RoleName::Leader || newest == Some(server.current_term());
    assert!(counted, "an entry of an older term is committed by counting");
}

fn mark_election(marks: &mut Marks, servers: &Servers, leader: &Server, before: &Server) {
    let leads = |server: &&&Server| server.role() == RoleName::Leader;
    marks.hit_if(Mark::TwoLeaders, 1 < servers.iter().flatten().filter(leads).count());
    let next = before.status().commit_index.next();
    let entry = before.log().get(next);
    let holds = |server: &&&Server| server.log().get(next) == entry;
    let holders = servers.iter().flatten().filter(holds).count();
    let is_old = entry.is_some_and(|entry| entry.term < leader.current_term());
    marks.hit_if(Mark::Figure8, is_old && servers.len() < 2 * holders);
}

/// Whether the server voted for itself in that term and neither won nor gave up.
fn is_standing(server: &Server, term: Term) -> bool {
    let status = server.status();
    status.role == RoleName::Candidate && status.current_term == term && status.voted_for.is_some()
}

fn roster_of(entry: &Entry) -> Option<&Arc<Roster>> {
    match &entry.command {
        Command::Roster(roster) => Some(roster),
        Command::Update(_) => None,
    }
}

fn update_of(entry: &Entry) -> Option<&Arc<Update>> {
    match &entry.command {
        Command::Roster(_) => None,
        Command::Update(update) => Some(update),
    }
}

/// The call that made the update: every update of a search has its number as its first hash.
fn call_of(update: &Update) -> CallId {
    match *update.hashes.elements() {
        [Value::Int(call), ..] => CallId(call.unsigned_abs()),
        ref other => panic!("not an update of a search: {other:?}"),
    }
}
