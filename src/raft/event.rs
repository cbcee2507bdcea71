//! What goes into a step and what comes out: the core's whole border.
//!
//! Calls are named by id, timers by kind, peers by number, so that events and effects are plain data and a run of the
//! core can be recorded, compared and repeated.

use super::cluster::ServerId;
use super::identity::{Identity, Incarnation};
use super::log::Term;
use super::rpc::{AppendEntries, AppendReply, Flaw, Request, RequestVote, Response, VoteReply};
use crate::metadata::{Files, Update};

/// The time between two heartbeats of a leader, in milliseconds (the handout's own figure).
pub const HEARTBEAT_MS: u64 = 250;

/// How long a follower hears nothing before it takes its leader for lost, in milliseconds.
pub const SILENCE_MS: u64 = 750;

/// The greatest random part of an election timeout (§5.2), in milliseconds.
pub const ELECTION_SPREAD_MS: u64 = 750;

/// The least time until a server that starts stands for election, in milliseconds: a leader's heartbeat comes earlier.
pub const START_MS: u64 = HEARTBEAT_MS + 50;

/// How long an update that outlived its leader's role waits for its fate, in milliseconds.
pub const FATE_MS: u64 = 1000;

/// Something that happens to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A timer that was armed by [`Effect::ArmTimer`] ran out.
    Timeout(Timer),
    /// Somebody calls; the answer is exactly one [`Effect::Reply`] with the same id, in this step or a later one.
    Call(CallId, Call),
    /// Whoever made the call is gone: no answer is wanted any more. An update that is in the log stays there.
    HangUp(CallId),
    /// A peer's reply to an [`Effect::Send`].
    Response {
        /// Who replied.
        from: ServerId,
        /// What it replied.
        response: Response,
    },
    /// An [`Effect::Send`] got no reply.
    Unanswered {
        /// To whom it was sent.
        by: ServerId,
        /// What was sent.
        request: Request,
        /// Why there is no reply.
        failure: Failure,
    },
}

/// Why a request got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The peer's host refused the connection at all of its addresses: the peer's process has ended, or never began.
    Ended,
    /// The peer is crashed, as it says itself.
    Crashed(Identity),
    /// Anything else: nothing is known of the peer.
    Silent,
}

/// Names a call until it is answered. Whoever makes the calls sees to it that no two share an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What can be asked of a server, by clients and by peers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Change a file; answered once a majority holds the update, with [`Reply::Updated`].
    Update(Update),
    /// Read the whole map, linearizably; answered with [`Reply::Files`].
    ReadFiles,
    /// Stop taking part, keeping everything; answered with [`Reply::Done`].
    Crash,
    /// Take part again; answered with [`Reply::Done`].
    Restore,
    /// A candidate's request.
    RequestVote(RequestVote),
    /// A leader's request.
    AppendEntries(AppendEntries),
}

/// A timer of the server. Arming one that runs starts it anew.
///
/// All but `Fate` are the one timer of the role: arming any of them ends the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A follower's first phase, [`SILENCE_MS`]: at its end the leader is taken for lost.
    Silence,
    /// A follower's second phase, random up to [`ELECTION_SPREAD_MS`] (§5.2): at its end it stands for election.
    Election,
    /// Both phases of a server that has just started: [`START_MS`], and up to [`ELECTION_SPREAD_MS`] more.
    Start,
    /// A candidate's wait before it stands anew: both phases together.
    Campaign,
    /// The time to the leader's next heartbeat, [`HEARTBEAT_MS`].
    Heartbeat,
    /// How long updates of an ended leadership still wait for their fate, [`FATE_MS`].
    Fate,
}

/// What the outside is to do after a step, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Start a timer, anew if it runs.
    ArmTimer(Timer),
    /// Stop every timer.
    StopTimers,
    /// Send a request; its outcome is exactly one [`Event::Response`] or [`Event::Unanswered`].
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        request: Request,
    },
    /// Answer a call.
    Reply(CallId, Reply),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// A majority holds the update and it was applied here: whether it took effect or its version was refused.
    Updated(bool),
    /// The file map.
    Files(Files),
    /// Crashed or restored.
    Done,
    /// To a candidate.
    Vote(VoteReply),
    /// To a leader.
    Append(AppendReply),
    /// The call failed.
    Fault(Fault),
}

/// Why a call failed. All but `OutcomeUnknown` and `OutcomeLost` are definite: the call had and will have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// This server is crashed.
    Crashed,
    /// This server is not the leader; the one that is, where it is known.
    NotLeader(Option<ServerId>),
    /// The update is in the log of a server that stopped leading and cannot tell in time what becomes of it.
    OutcomeUnknown,
    /// The update is in the log of a server that has crashed.
    OutcomeLost,
    /// A bound on waiting calls or uncommitted bytes is reached.
    Busy,
    /// The request cannot have come from a correct peer.
    Forged(Flaw),
}

/// The effects of one step, gathered.
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

    pub(super) fn reply(&mut self, call: CallId, reply: Reply) {
        self.0.push(Effect::Reply(call, reply));
    }

    pub(super) fn fault(&mut self, call: CallId, fault: Fault) {
        self.reply(call, Reply::Fault(fault));
    }
}

impl Event {
    /// Who makes this request of a peer, and for which incarnation of this server, if it names one.
    pub(super) fn requested(&self) -> Option<(&Identity, Option<Incarnation>)> {
        match self {
            Event::Call(_, Call::RequestVote(request)) => Some((&request.sender, None)),
            Event::Call(_, Call::AppendEntries(request)) => {
                Some((&request.sender, request.receiver))
            }
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Response { .. }
            | Event::Unanswered { .. } => None,
        }
    }

    /// The term that the event brings from another server, which may be newer than the own one (§5.1).
    ///
    /// A pre-vote changes nobody's term, and a crashed server takes no part.
    pub(super) fn term(&self) -> Option<Term> {
        match self {
            Event::Call(_, Call::AppendEntries(request)) => Some(request.sender.term),
            Event::Call(_, Call::RequestVote(request)) => request.term_reached(),
            Event::Response { response, .. } => Some(response.sender().term),
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Unanswered { .. } => None,
        }
    }
}
