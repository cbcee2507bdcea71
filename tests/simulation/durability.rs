//! Servers with disks: what reaches them and when, how their processes end, and what their peers may rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use support::disk::Operation;
use surfstore::raft::{
    AppendEntries, AppendOutcome, BallotKind, Entry, Identity, Incarnation, LogIndex, Member,
    Position, Request, RequestVote, Response, RoleName, Save, ServerId, Snapshot, Status, Term,
};
use surfstore::service::Input;

use crate::disk::{Disk, Ending, Left, Work, work_time};
use crate::marks::Mark;
use crate::queue::Happening;
use crate::wire::Delivered;
use crate::world::World;

/// The disks of the servers, and what was relied on.
pub(crate) struct Disks {
    /// Every server's disk, if it has one.
    pub(crate) of: Vec<Option<Disk>>,
    /// The greatest term that each process with a disk has shown to others.
    shown: Vec<(Incarnation, Term)>,
    /// Whom each process with a disk has voted for, as others know.
    votes: BTreeMap<(Member, Term), Member>,
    /// Whether all servers lose power at this moment.
    all_fail: bool,
    /// How often all servers have lost power at once.
    pub(crate) failures_of_all: u64,
    /// When the stall of each disk ends: until then, no work ends on it.
    pub(crate) stalled: Vec<u64>,
    /// Which servers lose power during the next sync.
    pub(crate) trap: Option<u16>,
}

impl Disks {
    pub(crate) fn new(of: Vec<Option<Disk>>) -> Disks {
        let count = of.len();
        let shown = vec![(Incarnation(0), Term::default()); count];
        Disks {
            of,
            shown,
            votes: BTreeMap::new(),
            all_fail: false,
            failures_of_all: 0,
            stalled: vec![0; count],
            trap: None,
        }
    }

    /// Whether any server has a disk.
    pub(crate) fn are_there(&self) -> bool {
        self.of.iter().any(Option::is_some)
    }

    /// Whether only some servers have a disk.
    pub(crate) fn are_mixed(&self) -> bool {
        self.are_there() && self.of.iter().any(Option::is_none)
    }

    pub(crate) fn disk(&self, id: ServerId) -> Option<&Disk> {
        self.of[usize::from(id.0)].as_ref()
    }

    fn disk_mut(&mut self, id: ServerId) -> &mut Disk {
        self.of[usize::from(id.0)].as_mut().expect("only a server with a disk saves")
    }
}

impl World {
    /// A server hands a change over to its disk.
    pub(crate) fn save(&mut self, id: ServerId, save: Save) {
        self.disks.disk_mut(id).hand_over(save);
        self.begin_work(id);
    }

    /// A server hands a snapshot over to its disk.
    pub(crate) fn save_snapshot(&mut self, id: ServerId, snapshot: Snapshot) {
        self.disks.disk_mut(id).hand_over_snapshot(snapshot);
        self.begin_work(id);
    }

    /// Lets the disk of a server do what is next.
    pub(crate) fn begin_work(&mut self, id: ServerId) {
        let number = self.number();
        let Some(work) = self.disks.disk_mut(id).begin(number) else { return };
        let syncs = matches!(work, Work::Save(_));
        let mut rng = self.draws.disk(self.now, id);
        let time = work_time(&mut rng);
        self.queue.push(self.now + time, Happening::Written { id, number });
        if syncs && let Some(servers) = self.disks.trap.take() {
            let at = self.now + rng.u64(0..=time);
            let caught = |other: &ServerId| *other == id || (servers >> other.0) & 1 == 1;
            for other in self.ids().filter(caught) {
                self.queue.push(at, Happening::PowerLoss(other));
            }
        }
    }

    /// The disk has done some work, unless it is stalled: changes that were made may be relied on from now on.
    pub(crate) fn end_work(&mut self, id: ServerId, number: u64) {
        let stalled = self.disks.stalled[usize::from(id.0)];
        if self.now < stalled {
            return self.queue.push(stalled, Happening::Written { id, number });
        }
        let disk = self.disks.disk_mut(id);
        let saved = disk.end(number);
        let (log_bytes, disk_bytes, took) = (disk.log_bytes(), disk.bytes(), Duration::ZERO);
        self.begin_work(id);
        let Some(number) = saved else { return };
        self.step_and_answer(id, Input::Saved { number, log_bytes, disk_bytes, took });
        let is_idle = self.disks.disk(id).is_some_and(Disk::is_idle);
        assert!(!is_idle || !self.is_awaited(id), "{id:?} owes answers that wait for nothing");
    }

    /// The power of a server fails, if it has a disk. What it had not synced is gone.
    pub(crate) fn lose_power(&mut self, id: ServerId) {
        if self.disks.disk(id).is_some() {
            self.stop(id, Ending::PowerLoss);
        }
    }

    /// Every server of a set loses power at once.
    pub(crate) fn lose_power_of(&mut self, servers: u16) {
        let updates = self.clients.waiting().len();
        let all_run = self.ids().all(|id| self.has_process(id) && self.disks.disk(id).is_some());
        let bits = |id: &ServerId| (servers >> id.0) & 1 == 1;
        let is_busy = self.disks.of.iter().flatten().any(|disk| !disk.is_idle());
        self.disks.all_fail = all_run && self.ids().all(|id| bits(&id));
        self.disks.failures_of_all += u64::from(self.disks.all_fail);
        if self.disks.all_fail && is_busy && 0 < updates {
            self.marks.hit(Mark::PowerLossOfAll);
        }
        self.ids().filter(bits).for_each(|id| self.lose_power(id));
        self.disks.all_fail = false;
    }

    /// A server whose disk is lost comes back as another one.
    pub(crate) fn lose_disk(&mut self, id: ServerId) {
        if self.disks.disk(id).is_some() && self.may_lose(id) {
            if 0 < self.status(id).last_log.index.0 {
                self.marks.hit(Mark::LostDisk);
            }
            self.stop(id, Ending::LostDisk);
        }
    }

    /// A disk takes nothing for some time.
    pub(crate) fn stall(&mut self, id: ServerId, time: u64) {
        if self.disks.disk(id).is_some() {
            if self.status(id).role == RoleName::Leader {
                self.marks.hit(Mark::StalledLeader);
            }
            let stalled = &mut self.disks.stalled[usize::from(id.0)];
            *stalled = (*stalled).max(self.now + time);
        }
    }

    /// What becomes of a server's disk when its process ends.
    pub(crate) fn stop_disk(&mut self, id: ServerId, ending: Ending) {
        let slot = usize::from(id.0);
        let before = self.statuses[slot];
        let mut rng = self.draws.disk(self.now, id);
        let new = self.next_incarnation();
        let Some(disk) = &mut self.disks.of[slot] else { return };
        if ending == Ending::LostDisk {
            *disk = Disk::new(new, &mut rng);
        } else {
            let left = disk.stop(ending, &mut rng, &before);
            self.note(|| format!("{}  keeps what was synced: {left:?}", id.0));
            if ending == Ending::PowerLoss {
                self.mark_power_loss(&left);
            }
            match left.under_way {
                Some(true) => self.marks.hit(Mark::SyncSurvived),
                Some(false) => self.marks.hit(Mark::SyncLost),
                None => {}
            }
            for (is_hit, mark) in [
                (left.is_part, Mark::PartSurvived),
                (left.loses_vote, Mark::UnsavedVote),
                (left.loses_entries, Mark::UnsavedEntries),
            ] {
                if is_hit {
                    self.marks.hit(mark);
                }
            }
        }
        // Nothing reaches the next process that was meant for this one, although it has the same incarnation.
        self.connections[slot] += 1;
        self.forget_delivered(id);
        self.past.retain(|(_, to, _)| to.id != id);
        self.queue.reschedule(|time, happening| match happening {
            Happening::Echo { to, .. } if *to == id => None,
            _ => Some(time),
        });
    }

    /// Marks at which operation of the disk the power has failed.
    fn mark_power_loss(&mut self, left: &Left) {
        let at = left.at.map(|at| match at {
            Operation::Write => (Mark::PowerLossAtWrite, Mark::PowerLossOfAllAtWrite),
            Operation::Sync => (Mark::PowerLossAtSync, Mark::PowerLossOfAllAtSync),
            Operation::Name => (Mark::PowerLossAtName, Mark::PowerLossOfAllAtName),
            Operation::SyncFolder => {
                (Mark::PowerLossAtFolderSync, Mark::PowerLossOfAllAtFolderSync)
            }
        });
        let again = left.ends_again;
        let again = again.then_some((Mark::PowerLossInStart, Mark::PowerLossOfAllInStart));
        for (one, all) in [at, again].into_iter().flatten() {
            self.marks.hit(one);
            if self.disks.all_fail {
                self.marks.hit(all);
            }
        }
    }

    /// Checks that a server comes back with what it had synced, and goes back behind nothing that it has shown.
    pub(crate) fn check_recovered(&mut self, id: ServerId) {
        let Some(disk) = self.disks.disk(id) else { return };
        let status = *self.status(id);
        let hard_state = &disk.saved().hard_state;
        let is_alone = self.size() == 1;
        let last = disk.last_log();
        assert!(status.incarnation == hard_state.incarnation, "{id:?} comes back as another one");
        if !is_alone {
            assert!(status.current_term == hard_state.current_term, "{id:?} has lost its term");
            assert!(status.voted_for == hard_state.voted_for, "{id:?} has lost its vote");
            assert!(status.last_log == last, "{id:?} has lost a part of its log");
        }
        let (incarnation, shown) = self.disks.shown[usize::from(id.0)];
        let is_kept = incarnation != status.incarnation || shown <= status.current_term;
        assert!(is_kept, "{id:?} has gone back to {:?} from {shown:?}", status.current_term);
        assert!(hard_state.commit_index <= status.commit_index, "{id:?} forgot what is committed");
        let log = self.server(id).log();
        let mut index = log.last_included().index;
        while index < last.index {
            index = index.next();
            assert!(log.get(index) == disk.entry(index), "{id:?} comes back with another log");
        }
        if !self.history.promise_is_void {
            let map = self.history.ledger.map(status.commit_index.0 as usize);
            assert!(self.server(id).files() == map, "{id:?} comes back with another map");
        }
    }

    /// A request leaves a server with a disk. What it shows of the sender must be on the disk.
    pub(crate) fn check_request(&mut self, by: ServerId, request: &Request) {
        let Some(disk) = self.disks.disk(by) else { return };
        let sender = *request.sender();
        assert!(shows_saved_term(disk, &sender), "{by:?} asks in a term that it may forget");
        if let Request::RequestVote(RequestVote { kind: BallotKind::Vote, .. }) = request {
            let own = sender.member();
            assert!(has_voted(disk, sender.term, own), "{by:?} may forget that it stands");
            self.note_vote(own, sender.term, own);
        }
        self.note_shown(by, &sender);
    }

    /// An answer to a peer leaves a server with a disk. What the peer may rely on must be on the disk.
    pub(crate) fn check_answer(&mut self, delivered: &Delivered, response: &Response) {
        let to = delivered.letter.to;
        let Some(disk) = self.disks.disk(to) else { return };
        let sender = *response.sender();
        assert!(shows_saved_term(disk, &sender), "{to:?} answers in a term that it may forget");
        let is_same = disk.saved().hard_state.incarnation == sender.incarnation;
        assert!(
            !sender.founded || !is_same || LogIndex(0) < disk.commit_index(),
            "{to:?} may forget that it is founded"
        );
        let is_newer = sender.term < disk.saved().hard_state.current_term || !is_same;
        if is_newer {
            self.marks.hit(Mark::AnswerOvertaken);
        }
        match (response, &delivered.letter.request) {
            (Response::Vote(reply), Request::RequestVote(request))
                if reply.vote_granted && request.kind == BallotKind::Vote =>
            {
                let candidate = request.sender.member();
                assert!(has_voted(disk, sender.term, candidate), "{to:?} may forget its vote");
                assert!(is_newer || delivered.buries_in(disk), "{to:?} may forget who is gone");
                self.note_vote(sender.member(), sender.term, candidate);
            }
            (Response::Append(reply), request)
                if reply.outcome == AppendOutcome::Accepted && !is_newer =>
            {
                let disk = self.disks.disk(to).expect("it has one");
                let may_differ = !request.sender().founded || self.history.promise_is_void;
                let is_other = may_differ && disk.history() != request.sender().history;
                assert!(is_other || holds(disk, request), "{to:?} may forget what it accepts");
            }
            _ => {}
        }
        self.note_shown(to, &sender);
    }

    fn note_shown(&mut self, id: ServerId, sender: &Identity) {
        let shown = &mut self.disks.shown[usize::from(id.0)];
        let term = if shown.0 == sender.incarnation { shown.1 } else { Term::default() };
        *shown = (sender.incarnation, term.max(sender.term));
    }

    fn note_vote(&mut self, voter: Member, term: Term, candidate: Member) {
        let other = *self.disks.votes.entry((voter, term)).or_insert(candidate);
        assert!(other == candidate, "{voter:?} voted for {other:?} and {candidate:?} in {term:?}");
    }

    /// Marks that a leader has committed what its own disk does not have.
    pub(crate) fn mark_early_commit(&mut self, id: ServerId, after: &Status) {
        let last = self.disks.disk(id).map(|disk| disk.last_log().index);
        if after.role == RoleName::Leader && last.is_some_and(|last| last < after.commit_index) {
            self.marks.hit(Mark::EarlyCommit);
        }
    }

    /// Marks that a candidate waits for nobody but servers that have ended and have a disk.
    pub(crate) fn mark_wait(&mut self, id: ServerId) {
        if !self.disks.are_there() {
            return;
        }
        let awaited = self.server(id).waits_for();
        let comes_back = |id: &ServerId| !self.has_process(*id) && self.disks.disk(*id).is_some();
        if !awaited.is_empty() && awaited.iter().all(comes_back) {
            self.marks.hit(Mark::WaitForDisk);
        }
    }
}

/// Whether a term that a server shows is on its disk, or one that follows it.
fn shows_saved_term(disk: &Disk, sender: &Identity) -> bool {
    sender.term <= disk.saved().hard_state.current_term
}

/// Whether a vote is on the disk, or a later term.
fn has_voted(disk: &Disk, term: Term, candidate: Member) -> bool {
    let hard_state = &disk.saved().hard_state;
    term < hard_state.current_term
        || (term == hard_state.current_term && hard_state.voted_for == Some(candidate))
}

/// Whether what a leader has sent is on the disk.
fn holds(disk: &Disk, request: &Request) -> bool {
    match request {
        Request::AppendEntries(AppendEntries { prev_log, entries, .. }) => {
            let has = |(offset, sent): (usize, &Entry)| {
                let index = prev_log.index.next().plus(offset);
                disk.entry(index).map_or(index <= disk.saved().base(), |held| held == sent)
            };
            let begins = *prev_log == Position::default() || disk.reaches(*prev_log);
            begins && entries.iter().enumerate().all(has)
        }
        Request::InstallSnapshot(piece) => disk.reaches(piece.last_included),
        Request::RequestVote(_) => true,
    }
}

/// The terms of all entries that lead to what is on the disk. `committed` tells those of the entries that a snapshot
/// includes.
pub(crate) fn terms_on(disk: &Disk, committed: impl Fn(LogIndex) -> Term) -> Vec<Term> {
    let base = disk.saved().base();
    let included = (1..=base.0).map(|index| committed(LogIndex(index)));
    included.chain(disk.saved().entries.iter().map(|entry| entry.term)).collect()
}
