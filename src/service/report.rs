//! What operators see of a server while it runs: log lines, and the figures of the monitor.

use std::collections::BTreeSet;
use std::time::Instant;

use log::Level;

use super::Shell;
use crate::monitor::{self, Direction, Recorded};
use crate::protocol::TypedCall;
use crate::raft::{
    self, AppendEntries, AppendOutcome, AppendReply, BallotKind, CallId, Event, Failure, Flaw,
    Identity, Incarnation, InstallSnapshot, LogIndex, Member, Position, Reply, RequestVote,
    Response, RoleName, Server, ServerId, Timer, VoteReply,
};

/// What has been reported, so that it is not reported twice.
#[derive(Debug)]
pub(super) struct Reporter {
    logged: LoggedState,
    /// The last role, and whether it leads, that a line has told to operators. Ballots that are lost change the role
    /// many times in a row, and tell nothing new.
    told: (RoleName, bool),
    /// The flaws of forged requests that were logged. Each is logged once, because such requests may come in floods.
    warned: BTreeSet<Flaw>,
    /// The peer's request in the current event, if a log line has already said why it is refused.
    explained: Option<CallId>,
}

/// The state of the server, as far as log lines report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoggedState {
    role: RoleName,
    leads: bool,
    incarnation: Incarnation,
}

/// What a leader's request brings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Brought {
    /// So many entries; none in a heartbeat.
    Entries(usize),
    /// The piece of a snapshot at this offset.
    Piece(u64),
}

impl Brought {
    /// What the call brings, if it is such a request.
    pub(super) fn by(call: &TypedCall) -> Option<Brought> {
        match call {
            TypedCall::Raft(raft::Call::AppendEntries(request)) => {
                Some(Brought::Entries(request.entries.len()))
            }
            TypedCall::Raft(raft::Call::InstallSnapshot(request)) => {
                Some(Brought::Piece(request.offset))
            }
            _ => None,
        }
    }
}

/// What a leader's request will change if it is accepted.
#[derive(Clone, Copy, Debug)]
pub(super) enum PendingChange {
    /// The entries from this index to the last one are replaced.
    Conflict(LogIndex, Position),
    /// The snapshot of that server up to this entry is installed.
    Snapshot(ServerId, Position),
}

impl PendingChange {
    /// What the event will change, if it is such a request.
    pub(super) fn of(event: &Event, server: &Server) -> Option<PendingChange> {
        let log = server.log();
        match event {
            // Nearly always, the entries follow the last one.
            Event::Call(_, raft::Call::AppendEntries(request))
                if request.prev_log.index < log.last_index() =>
            {
                let missing = log.first_missing(request.prev_log.index, &request.entries)?;
                let first = request.prev_log.index.next().plus(missing);
                let replaces = first <= log.last_index();
                replaces.then_some(PendingChange::Conflict(first, log.last()))
            }
            Event::Call(_, raft::Call::InstallSnapshot(request))
                if !log.contains(request.last_included) =>
            {
                Some(PendingChange::Snapshot(request.sender.id, request.last_included))
            }
            _ => None,
        }
    }
}

impl Reporter {
    /// A reporter for a server that starts. It has logged nothing, and operators assume that a server is a follower.
    pub(super) fn new(server: &Server) -> Reporter {
        let incarnation = server.identity().incarnation;
        let logged = LoggedState { role: RoleName::Follower, leads: false, incarnation };
        let told = (logged.role, logged.leads);
        Reporter { logged, told, warned: BTreeSet::new(), explained: None }
    }
}

impl Shell {
    /// Reports the state after the start: a server that is alone leads already.
    pub(super) fn has_started(&mut self, server: &Server, now: Instant) {
        if server.role() != RoleName::Follower {
            self.monitor.stood_for_election();
        }
        self.report(server, now);
    }

    /// Records what an event says about the peers, before the server handles it.
    pub(super) fn note(&mut self, event: &Event, server: &Server, now: Instant) {
        self.reporter.explained = None;
        match event {
            Event::Response { from, response } => {
                if let Some(line) = told(response) {
                    self.log(Level::Debug, format!("server {} {line}", from.0));
                }
                self.show(Some(*from), response.sender(), server, now);
                self.monitor.heard(now);
                self.monitor.replied(*from, response, now);
            }
            Event::Unanswered { by, failure, .. } => {
                match failure {
                    Failure::Crashed(sender) => _ = self.show(Some(*by), sender, server, now),
                    Failure::Ended => self.monitor.ended(*by),
                    Failure::Silent => {}
                }
                self.monitor.unanswered_by(*by, *failure, now);
            }
            Event::Call(
                call,
                raft::Call::RequestVote(RequestVote { sender, .. })
                | raft::Call::AppendEntries(AppendEntries { sender, .. })
                | raft::Call::InstallSnapshot(InstallSnapshot { sender, .. }),
            ) => {
                let explains = self.show(None, sender, server, now);
                self.reporter.explained = explains.then_some(*call);
            }
            // The heartbeats are recorded themselves.
            Event::Timeout(Timer::Heartbeat) => {}
            Event::Timeout(timer) => self.monitor.record(Recorded::Timeout(*timer), now),
            Event::Disconnected(peer) => self.monitor.record(Recorded::Closed(peer.id), now),
            Event::Call(..) | Event::HangUp(_) | Event::Saved(_) => {}
        }
    }

    /// Records what a leader's request has changed.
    pub(super) fn note_change(&mut self, change: PendingChange, server: &Server, now: Instant) {
        let log = server.log();
        match change {
            PendingChange::Conflict(first, last) if !log.contains(last) => {
                self.monitor.record(Recorded::Conflict(first), now);
            }
            PendingChange::Snapshot(from, last_included) if log.contains(last_included) => {
                self.monitor.record(Recorded::SnapshotInstalled(from), now);
            }
            PendingChange::Conflict(..) | PendingChange::Snapshot(..) => {}
        }
    }

    /// Records the identity that another server has shown, and logs what is new. Returns whether a log line says why
    /// the request of that server is refused.
    fn show(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        server: &Server,
        now: Instant,
    ) -> bool {
        if self.monitor.has_been_shown(asked, sender) {
            return false;
        }
        let own = server.identity();
        for line in self.monitor.shown(asked, sender, &own, now) {
            self.log(Level::Warn, line);
        }
        monitor::explains_refusal(sender, &own)
    }

    /// Records what the core replies.
    pub(super) fn note_reply(&mut self, id: CallId, reply: &Reply, now: Instant) {
        let peer = self.waiting.get(&id).and_then(|call| call.peer);
        match reply {
            Reply::Failed(raft::CallError::Forged(flaw))
                if self.reporter.explained != Some(id) && self.reporter.warned.insert(flaw) =>
            {
                self.log(Level::Warn, format!("refused a peer's request: {flaw}"));
            }
            Reply::Vote(reply) => {
                if let Some(peer) = peer {
                    let (kind, granted) = (reply.kind, reply.vote_granted);
                    self.monitor.record(Recorded::Voted { peer, kind, granted }, now);
                }
                self.log_reply(peer, &Response::Vote(*reply));
            }
            Reply::Append(reply) => {
                match reply.outcome {
                    AppendOutcome::Accepted
                    | AppendOutcome::Mismatch(_)
                    | AppendOutcome::Incomplete(_) => {
                        self.monitor.heard(now);
                        self.note_brought(id, reply, now);
                    }
                    AppendOutcome::Stale | AppendOutcome::Refused => {}
                }
                self.log_reply(peer, &Response::Append(*reply));
            }
            _ => {}
        }
    }

    /// Records what the leader's request has brought that this server has accepted, or would if its log matched.
    fn note_brought(&mut self, id: CallId, reply: &AppendReply, now: Instant) {
        let call = self.waiting.get(&id).and_then(|call| call.peer.zip(call.brought));
        let AppendReply { sender, outcome, .. } = reply;
        match (call, outcome) {
            (Some((peer, Brought::Entries(count))), _) => {
                self.monitor.append((peer, Direction::Received), count, sender.term, now);
            }
            // If all of it came at once, it is recorded as installed.
            (Some((peer, Brought::Piece(offset))), AppendOutcome::Incomplete(_)) => {
                self.monitor.snapshot_piece((peer, Direction::Received), offset, now);
            }
            _ => {}
        }
    }

    /// Logs a reply to a peer, if it says something that belongs in a log.
    fn log_reply(&mut self, peer: Option<ServerId>, reply: &Response) {
        if let Some((peer, line)) = peer.zip(told(reply)) {
            self.log(Level::Debug, format!("answers server {}: it {line}", peer.0));
        }
    }

    /// Logs which servers a ballot waited for in vain. A ballot that is won when its time is up has not failed.
    pub(super) fn end_ballot(&mut self, waits_for: Vec<ServerId>, server: &Server) {
        if server.role() == RoleName::Candidate
            && let Some(line) = self.monitor.ballot_ended(waits_for)
        {
            self.log(Level::Warn, line);
        }
    }

    /// Logs why the server stands for election soon.
    pub(super) fn report_lost_leader(&mut self, peer: Member) {
        self.log(
            Level::Info,
            format!("the connections of server {}, its leader, have closed", peer.id.0),
        );
    }

    /// Publishes the state after a step to the monitor, and logs and records each change of role. A candidate that
    /// starts a new ballot has not changed its role. One that goes back to a follower without a leader soon stands
    /// again: operators are told as soon as it follows a leader.
    pub(super) fn report(&mut self, server: &Server, now: Instant) {
        let status = server.status();
        self.monitor.observe(status, server.files().len(), server.log().roster());
        let Reporter { logged: before, told, .. } = self.reporter;
        let after = LoggedState {
            role: status.role,
            leads: server.leads(),
            incarnation: status.incarnation,
        };
        let role = (after.role, after.leads);
        let is_changed = (before.role, before.leads) != role;
        let is_between_ballots = role == (RoleName::Follower, false)
            && told.0 == RoleName::Candidate
            && status.leader.is_none();
        let is_new = told != role && !is_between_ballots;
        if before == after && !is_new {
            return;
        }
        self.reporter.logged = after;
        let (id, term) = (server.identity().id.0, status.current_term.0);
        if before.incarnation != after.incarnation {
            let line =
                format!("server {id} gives up its history, which has no updates, for another");
            self.log(Level::Info, line);
        }
        if is_changed {
            let recorded = match after.role {
                RoleName::Leader if !after.leads => Recorded::Founds,
                RoleName::Follower if before.role == RoleName::Crashed => Recorded::Restored,
                role => Recorded::Role(role),
            };
            self.monitor.record(recorded, now);
        }
        if !is_changed && !is_new {
            return;
        }
        let level = if is_new { Level::Info } else { Level::Debug };
        if is_new {
            self.reporter.told = role;
        }
        self.log(
            level,
            match after.role {
                RoleName::Leader if after.leads => {
                    format!("server {id} is the leader of term {term}")
                }
                RoleName::Leader => format!("server {id} founds a new history in term {term}"),
                RoleName::Candidate => format!("server {id} stands for election after term {term}"),
                RoleName::Follower => format!("server {id} is a follower in term {term}"),
                RoleName::Crashed => format!("server {id} is crashed in term {term}"),
            },
        );
    }
}

/// What a reply says, as the end of a sentence about its sender; `None` for an append that is accepted or continues a
/// snapshot.
fn told(reply: &Response) -> Option<String> {
    match reply {
        Response::Vote(VoteReply { sender, kind, vote_granted, .. }) => {
            let does = if *vote_granted { "grants" } else { "refuses" };
            let what = match kind {
                BallotKind::PreVote => "pre-vote",
                BallotKind::Vote => "vote",
            };
            Some(format!("{does} its {what} in term {}", sender.term.0))
        }
        Response::Append(AppendReply { sender, outcome, .. }) => {
            let why = match outcome {
                AppendOutcome::Accepted | AppendOutcome::Incomplete(_) => return None,
                AppendOutcome::Mismatch(_) => "its log does not match",
                AppendOutcome::Stale => "its term is newer",
                AppendOutcome::Refused => "the append is not for it",
            };
            Some(format!("refuses an append in term {}: {why}", sender.term.0))
        }
    }
}
