//! The input and output of a step: the complete interface of the core.
//!
//! Calls are identified by id, timers by kind and peers by number. So events and effects are plain data, and a run of
//! the core can be recorded, compared and replayed.

use super::cluster::ServerId;
use super::identity::{Identity, Incarnation, Member};
use super::log::Term;
use super::persistent::Save;
use super::rpc::{
    AppendEntries, AppendReply, Flaw, InstallSnapshot, Request, RequestVote, Response, Round,
    VoteReply,
};
use super::snapshot::Discarded;
use crate::metadata::{Files, Update};

/// The interval between a leader's heartbeats, in milliseconds (the handout's value).
pub const HEARTBEAT_MS: u64 = 250;

/// How long a follower waits in silence before it assumes that its leader is gone, in milliseconds.
pub const SILENCE_MS: u64 = 750;

/// The maximum random part of an election timeout (§5.2), in milliseconds.
pub const ELECTION_SPREAD_MS: u64 = 750;

/// The minimum time before a server that has started without a founded log stands for election, in milliseconds. A
/// leader's heartbeat arrives earlier.
pub const START_MS: u64 = HEARTBEAT_MS + 50;

/// How long an update waits for its outcome after its leader has lost its role, in milliseconds.
pub const FATE_MS: u64 = 1000;

/// Something that happens to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A timer that was armed by [`Effect::ArmTimer`] ran out.
    Timeout(Timer),
    /// A call arrived. The answer is exactly one [`Effect::Reply`] with the same id, in this step or a later one.
    Call(CallId, Call),
    /// The caller has disconnected: no answer is wanted any more. If its update is in the log, it stays there.
    HangUp(CallId),
    /// A peer's reply to an [`Effect::Send`].
    Response {
        /// The peer that replied.
        from: ServerId,
        /// The reply.
        response: Response,
    },
    /// An [`Effect::Send`] got no reply.
    Unanswered {
        /// The peer that did not reply.
        by: ServerId,
        /// The request.
        request: Request,
        /// Why there is no reply.
        failure: Failure,
    },
    /// The last connection by which this peer's requests came has closed, and this server has not closed it. The peer's
    /// process may have ended, but nothing depends on that (see `hurry`).
    Disconnected(Member),
    /// The [`Effect::Save`] with that number, and with it all earlier ones, is on disk.
    Saved(u64),
}

/// Why a request got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The peer's host refused the connection at all of its addresses: the peer's process has ended, or never began.
    Ended,
    /// The peer says that it is crashed.
    Crashed(Identity),
    /// Anything else: nothing is known about the peer.
    Silent,
}

/// Identifies a call until it is answered. The layer that makes the calls ensures that no two share an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What clients and peers can ask of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Change a file; answered with [`Reply::Updated`] once a majority holds the update or, if its version cannot be
    /// the next one, has confirmed the leader.
    Update(Update),
    /// Read the whole map, linearizably; answered with [`Reply::Files`].
    ReadFiles,
    /// Stop participating, but keep all state; answered with [`Reply::Done`].
    Crash,
    /// Participate again; answered with [`Reply::Done`].
    Restore,
    /// A candidate's request.
    RequestVote(RequestVote),
    /// A leader's request.
    AppendEntries(AppendEntries),
    /// A piece of a leader's snapshot.
    InstallSnapshot(InstallSnapshot),
}

/// A timer of the server. Arming a running timer restarts it.
///
/// All but `Fate` share the one timer of the role: arming any of them ends the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A follower's first phase, [`SILENCE_MS`]: at its end the follower assumes that the leader is gone.
    Silence,
    /// A follower's second phase, random up to [`ELECTION_SPREAD_MS`] (§5.2): at its end the follower stands for
    /// election.
    Election,
    /// Both phases of a server that has just started and is in no hurry: [`START_MS`], and up to [`ELECTION_SPREAD_MS`]
    /// more.
    Start,
    /// How long a candidate waits before it starts a new ballot: both phases together.
    Campaign,
    /// A follower's second phase in a hurry, random up to [`HURRY_SPREAD_MS`](super::HURRY_SPREAD_MS).
    Hurry,
    /// How long a server in a hurry waits for answers to its ballot or for the winner of its vote,
    /// [`PATIENCE_MS`](super::PATIENCE_MS).
    Patience,
    /// The time until the leader's next heartbeat, [`HEARTBEAT_MS`].
    Heartbeat,
    /// How long updates of an ended leadership still wait for their outcome, [`FATE_MS`].
    Fate,
}

/// What the caller of a step must do after it, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Bring this to the disk, after all earlier ones. [`Event::Saved`] says that it is there. If that fails, the
    /// server must not go on.
    Save(Save),
    /// Start a timer, or restart it if it is running.
    ArmTimer(Timer),
    /// Stop every timer.
    StopTimers,
    /// Send a request; its outcome is exactly one [`Event::Response`] or [`Event::Unanswered`].
    Send {
        /// The peer.
        to: ServerId,
        /// The request.
        request: Request,
    },
    /// Answer a call.
    Reply(CallId, Reply),
    /// Free this where it delays nothing, because it may take long.
    Discard(Discarded),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Whether the update took effect. If so, a majority holds it and it was applied here. If not, its version was not
    /// the next one.
    Updated(bool),
    /// The file map.
    Files(Files),
    /// Crashed or restored.
    Done,
    /// The reply to a candidate.
    Vote(VoteReply),
    /// The reply to a leader.
    Append(AppendReply),
    /// The call failed.
    Failed(CallError),
}

/// Why a call failed. All errors but `OutcomeUnknown` and `OutcomeLost` are definite: the call had no effect and will
/// have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallError {
    /// This server is crashed.
    Crashed,
    /// This server is not the leader; names the leader if it is known.
    NotLeader(Option<ServerId>),
    /// The update is in the log of a server that has stopped leading and cannot learn the outcome in time.
    OutcomeUnknown,
    /// The update is in the log of a server that has crashed.
    OutcomeLost,
    /// A limit on waiting calls or uncommitted bytes is reached.
    Busy,
    /// The request cannot have come from a correct peer.
    Forged(Flaw),
}

/// Collects the effects of one step.
#[derive(Debug, Default)]
pub struct Effects(pub(super) Vec<Effect>);

impl Effects {
    pub(super) fn arm(&mut self, timer: Timer) {
        self.0.push(Effect::ArmTimer(timer));
    }

    pub(super) fn stop_timers(&mut self) {
        self.0.push(Effect::StopTimers);
    }

    pub(super) fn send(&mut self, to: ServerId, request: Request) {
        self.0.push(Effect::Send { to, request });
    }

    pub(super) fn discard(&mut self, discarded: Discarded) {
        self.0.push(Effect::Discard(discarded));
    }

    pub(super) fn reply(&mut self, call: CallId, reply: Reply) {
        self.0.push(Effect::Reply(call, reply));
    }

    pub(super) fn fail(&mut self, call: CallId, error: CallError) {
        self.reply(call, Reply::Failed(error));
    }
}

impl Event {
    /// The sender of a peer's request, and the incarnation of this server that it is meant for, if it names one.
    pub(super) fn requested(&self) -> Option<(&Identity, Option<Incarnation>)> {
        match self {
            Event::Call(_, Call::RequestVote(request)) => Some((&request.sender, None)),
            Event::Call(_, Call::AppendEntries(request)) => {
                Some((&request.sender, request.receiver))
            }
            Event::Call(_, Call::InstallSnapshot(request)) => {
                Some((&request.sender, request.receiver))
            }
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Response { .. }
            | Event::Unanswered { .. }
            | Event::Disconnected(_)
            | Event::Saved(_) => None,
        }
    }

    /// The leader that makes a request of this server, with the call and the request's number.
    pub(super) fn leader_request(&self) -> Option<(CallId, &Identity, Round)> {
        match self {
            Event::Call(call, Call::AppendEntries(request)) => {
                Some((*call, &request.sender, request.round))
            }
            Event::Call(call, Call::InstallSnapshot(request)) => {
                Some((*call, &request.sender, request.round))
            }
            Event::Call(
                _,
                Call::RequestVote(_)
                | Call::Update(_)
                | Call::ReadFiles
                | Call::Crash
                | Call::Restore,
            )
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Response { .. }
            | Event::Unanswered { .. }
            | Event::Disconnected(_)
            | Event::Saved(_) => None,
        }
    }

    /// The term that the event brings from another server, which may be newer than this server's own (§5.1).
    ///
    /// A pre-vote changes no server's term, and a crashed server does not participate.
    pub(super) fn term(&self) -> Option<Term> {
        match self {
            Event::Call(_, Call::AppendEntries(request)) => Some(request.sender.term),
            Event::Call(_, Call::InstallSnapshot(request)) => Some(request.sender.term),
            Event::Call(_, Call::RequestVote(request)) => request.term_reached(),
            Event::Response { response, .. } => Some(response.sender().term),
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Unanswered { .. }
            | Event::Disconnected(_)
            | Event::Saved(_) => None,
        }
    }
}
