//! What a server has on disk and what is on its way there, what must hold of it, and the situations that only arise
//! with disks.
//!
//! The disk takes the changes in order, each whole or not at all. A loss of power ends the process, and with it go the
//! changes that were under way. But some of them may just have been made: a server does not learn of that either.

use surfstore::raft::{
    AppendEntries, AppendOutcome, BallotKind, Command, Effect, Entry, Event, HardState,
    Incarnation, InstallSnapshot, LogIndex, Member, Reply, Request, RoleName, Save, Saved, Server,
    Snapshot, Term,
};

use crate::logs::held;
use crate::marks::{Mark, Marks};
use crate::network::Message;
use crate::state::Process;
use crate::steps::Local;

/// The size of a log on disk that outweighs the maps of servers that drop entries, and of no others.
const LOG_BYTES: u64 = 1 << 16;

/// The disk of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// What is on it.
    pub(crate) saved: Saved,
    /// The changes under way, oldest first.
    pub(crate) queue: Vec<Save>,
}

impl Disk {
    /// The disk of a server at its first start.
    pub(crate) fn new(process: Process) -> Disk {
        let Incarnation(number) = process.incarnation();
        Disk { saved: Saved::new(Incarnation::on_disk(number)), queue: Vec::new() }
    }

    /// Makes the changes up to that number.
    pub(crate) fn sync(&mut self, number: u64) {
        let is_later = |save: &Save| number < save.number;
        let made = self.queue.iter().position(is_later).unwrap_or(self.queue.len());
        for save in self.queue.drain(..made) {
            let before = self.saved.hard_state.clone();
            assert!(self.saved.apply(save), "a change leaves a gap on disk");
            check_change(&before, &self.saved.hard_state);
        }
    }

    /// Puts a snapshot in the place of the log once everything is on disk, if the server drops entries.
    pub(crate) fn compact(&mut self, server: &Server) {
        let is_later = |snapshot: &Snapshot| self.saved.base() < snapshot.last_included.index;
        let due = server.snapshot_due(LOG_BYTES).filter(is_later);
        if let Some(snapshot) = due.filter(|_| self.queue.is_empty()) {
            self.saved.compact(snapshot);
        }
    }

    /// What is left after a loss of power, if so many changes were made.
    pub(crate) fn after_loss(&self, kept: u8) -> Disk {
        let mut disk = self.clone();
        let last = self.queue.iter().take(kept.into()).next_back();
        last.iter().for_each(|save| disk.sync(save.number));
        disk.queue.clear();
        disk
    }
}

/// The term on a disk never falls, and the vote in it stays.
fn check_change(before: &HardState, after: &HardState) {
    assert!(before.current_term <= after.current_term, "the term on disk fell");
    let same_term = before.current_term == after.current_term;
    let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
    assert!(!same_term || kept, "the vote on disk changed within a term");
}

/// The server once everything that it has handed over is on disk.
pub(crate) fn at_rest(server: &Server) -> Server {
    server.clone().step(Event::Saved(u64::MAX)).0
}

/// The effects that wait for the disk.
fn waiting(server: &Server) -> Vec<Effect> {
    let (_, mut effects) = server.clone().step(Event::Saved(u64::MAX));
    effects.retain(|effect| {
        matches!(
            effect,
            Effect::Reply(_, Reply::Vote(_) | Reply::Append(_))
                | Effect::Send { request: Request::RequestVote(_), .. }
        )
    });
    effects
}

/// The effects of a step if the disk took no time: with what it holds back, and without what it releases.
pub(crate) fn decided(
    before: &Local,
    event: &Event,
    after: &Server,
    effects: &[Effect],
) -> Vec<Effect> {
    if before.disk.is_none() {
        return effects.to_vec();
    }
    let (earlier, now) = (waiting(&before.server), waiting(after));
    if let Event::Saved(_) = event {
        return effects[earlier.len() - now.len()..].to_vec();
    }
    let held_back = now.get(earlier.len()..).unwrap_or_default();
    let at_once = effects.iter().filter(|effect| !matches!(effect, Effect::Save(_)));
    at_once.chain(held_back).cloned().collect()
}

/// What a server has in memory is what its disk will have.
pub(crate) fn check_state(local: &Local) {
    let Some(disk) = &local.disk else { return };
    let mut disk = disk.clone();
    disk.sync(u64::MAX);
    check_same(&disk.saved, &local.server);
}

/// The server has that term, vote, incarnation and log.
fn check_same(saved: &Saved, server: &Server) {
    let HardState { incarnation, current_term, voted_for, .. } = saved.hard_state;
    let status = server.status();
    let on_disk = (incarnation, current_term, voted_for);
    assert!(
        on_disk == (status.incarnation, status.current_term, status.voted_for),
        "its disk has {on_disk:?}"
    );
    assert!(last_index(saved) == status.last_log.index, "its disk has another log");
    let mut entries = held(server.log());
    let are_saved = entries.all(|(index, entry)| has_saved(saved, index, entry));
    assert!(are_saved, "its disk has another entry");
}

/// The last entry on a disk.
fn last_index(saved: &Saved) -> LogIndex {
    saved.base().plus(saved.entries.len())
}

/// The term of the last entry on a disk.
fn last_term(saved: &Saved) -> Term {
    let included = saved.snapshot.as_ref().map(|snapshot| snapshot.last_included.term);
    saved.entries.last().map(|entry| entry.term).or(included).unwrap_or_default()
}

/// Whether a disk has this entry there, or a snapshot that includes what is at that index.
fn has_saved(saved: &Saved, index: LogIndex, entry: &Entry) -> bool {
    index <= saved.base() || saved.entries.get(index.since(saved.base().next())) == Some(entry)
}

/// The same, if it is an entry of that history.
pub(crate) fn keeps(saved: &Saved, history: Incarnation, index: LogIndex, entry: &Entry) -> bool {
    let first = saved.entries.first().and_then(|entry| match &entry.command {
        Command::Roster(roster) => Some(roster),
        Command::Update(_) => None,
    });
    let roster = saved.snapshot.as_ref().map(|snapshot| &snapshot.roster).or(first);
    roster.is_some_and(|roster| roster.history == history) && has_saved(saved, index, entry)
}

/// A server comes back with what was on its disk.
pub(crate) fn check_recovered(disk: &Disk, after: &Local) {
    // A server alone stands at once, so it is in a later term already.
    if after.server.identity().size == 1 {
        return;
    }
    check_same(&disk.saved, &after.server);
    let status = after.server.status();
    assert!(disk.saved.hard_state.commit_index <= status.commit_index, "its commit index fell");
    assert!(status.role == RoleName::Follower, "it comes back in another role");
}

/// Whether a term, and the vote in it, will still be known after a loss of power.
fn is_covered(saved: &Saved, term: Term, vote: Option<Member>) -> bool {
    let HardState { current_term, voted_for, .. } = saved.hard_state;
    term < current_term || (term == current_term && (vote.is_none() || vote == voted_for))
}

/// What a request shows of its sender is on the sender's disk: its term and, if it asks for votes, its own vote.
pub(crate) fn check_request(by: &Local, request: &Request) {
    let Some(disk) = &by.disk else { return };
    let sender = request.sender();
    let vote = match request {
        Request::RequestVote(request) if request.kind == BallotKind::Vote => Some(sender.member()),
        _ => None,
    };
    assert!(is_covered(&disk.saved, sender.term, vote), "a request shows what is not on disk");
}

/// What an answer shows of its sender is on the sender's disk: its term, the vote that it grants, and the entries that
/// it acknowledges.
pub(crate) fn check_reply(by: &Local, request: &Message, reply: &Reply) {
    let (Some(disk), Message::Request { request, .. }) = (&by.disk, request) else { return };
    let (term, vote) = match reply {
        Reply::Vote(reply) => {
            let is_vote = reply.vote_granted && reply.kind == BallotKind::Vote;
            (reply.sender.term, is_vote.then_some(request.sender().member()))
        }
        Reply::Append(reply) => (reply.sender.term, None),
        _ => return,
    };
    assert!(is_covered(&disk.saved, term, vote), "an answer shows what is not on disk");
    // In a later term, they may be overwritten.
    let acknowledges =
        matches!(reply, Reply::Append(reply) if reply.outcome == AppendOutcome::Accepted);
    if acknowledges && term == disk.saved.hard_state.current_term {
        let has_all = match request {
            Request::AppendEntries(request) => has_appended(&disk.saved, request),
            Request::InstallSnapshot(request) => has_installed(&disk.saved, request),
            Request::RequestVote(_) => true,
        };
        assert!(has_all, "it acknowledges what is not on disk");
    }
}

fn has_appended(saved: &Saved, request: &AppendEntries) -> bool {
    let indexes = (request.prev_log.index.next().0..).map(LogIndex);
    let mut entries = indexes.zip(&request.entries);
    request.prev_log.index <= last_index(saved)
        && entries.all(|(index, entry)| has_saved(saved, index, entry))
}

fn has_installed(saved: &Saved, request: &InstallSnapshot) -> bool {
    request.last_included.index <= last_index(saved)
}

/// The situations in a step that only arise with disks.
pub(crate) fn mark(
    marks: &mut Marks,
    before: &Local,
    event: &Event,
    after: &Local,
    effects: &[Effect],
) {
    let Some(disk) = &after.disk else { return };
    let (old, new) = (before.server.status(), after.server.status());
    let commits = old.commit_index < new.commit_index && new.role == RoleName::Leader;
    marks.hit_if(Mark::CommittedAhead, commits && last_index(&disk.saved) < new.commit_index);
    if let Event::Saved(_) = event {
        let is_late = |effect: &Effect| match effect {
            Effect::Reply(_, Reply::Vote(reply)) => reply.sender.term < new.current_term,
            Effect::Reply(_, Reply::Append(reply)) => reply.sender.term < new.current_term,
            _ => false,
        };
        marks.hit_if(Mark::AnsweredLate, effects.iter().any(is_late));
    }
}

/// The situations in which a server comes back, with so many of the changes that it had under way.
pub(crate) fn marks_of_recovery(before: &Local, kept: u8, after: &Local) -> Marks {
    let mut marks = Marks::default();
    let (old, new) = (before.server.status(), after.server.status());
    let Some(disk) = &after.disk else { return marks };
    let HardState { current_term, voted_for, .. } = disk.saved.hard_state;
    let has_voted = old.voted_for.is_some();
    let forgets = has_voted && (current_term < old.current_term || voted_for != old.voted_for);
    let is_own = old.voted_for == Some(before.server.identity().member());
    marks.hit_if(Mark::VoteForgotten, forgets && !is_own);
    marks.hit_if(Mark::OwnVoteForgotten, forgets && is_own);
    marks.hit_if(Mark::TermForgotten, current_term < old.current_term);
    let last = (last_term(&disk.saved), last_index(&disk.saved));
    marks.hit_if(Mark::EntryForgotten, last < (old.last_log.term, old.last_log.index));
    marks.hit_if(Mark::CommittedForgotten, last.1 < old.commit_index);
    marks.hit_if(Mark::SavedUnnoticed, 0 < kept);
    marks.hit_if(Mark::RecoveredWithTail, new.commit_index < last.1);
    marks.hit_if(Mark::RecoveredFounded, LogIndex(0) < new.commit_index);
    marks.hit_if(Mark::RecoveredFromSnapshot, LogIndex(0) < disk.saved.base());
    marks.hit_if(Mark::LeaderLostPower, old.role == RoleName::Leader && 0 < old.waiting);
    marks
}
