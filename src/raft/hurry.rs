//! The hurry: failover that does not wait for silence.
//!
//! When a process ends, the operating system closes its connections. So its followers learn of it as soon as the news
//! has crossed the network, and need not wait for silence. But a closed connection proves nothing: a network may reset
//! all connections of a leader that is alive. So the event is a hint, which never ends a term, and which no promise
//! depends on:
//!
//! 1. A follower that trusts the leader whose connections have closed, or has voted for it and not heard it yet,
//!    forgets it and is *in a hurry*: it stands for election within [`HURRY_SPREAD_MS`].
//! 2. The lost leader is the judge. A pre-vote in a hurry is neither won nor lost before that server has answered as
//!    well, been found crashed or ended, or stayed silent for [`PATIENCE_MS`]. If it says that it leads on
//!    ([`VoteReply::leads`](super::rpc::VoteReply)), the candidate follows it again. So a leader whose answer arrives
//!    in time keeps its role, even if all followers lose its connections at once.
//! 3. In a hurry, ballots and the wait for the winner of a vote last [`PATIENCE_MS`], and a ballot that is lost is
//!    repeated within [`HURRY_SPREAD_MS`]. A vote that is lost begins such a hurry too, without a judge.
//! 4. A server that comes back from its disk, and knows that it is founded, starts in a hurry without a judge: if its
//!    whole set starts again, no server leads. If one leads, the others refuse the pre-votes, and the leader's next
//!    heartbeat ends the hurry.
//! 5. After [`BALLOTS_MAX`] ballots without a winner, the usual times hold again; lost votes begin no other hurry
//!    before a ballot has lasted its usual time. A hurry also ends with the append of a leader that has a majority, the
//!    answer of the lost leader, an election won, or a crash. It outlasts the changes of term and role between follower
//!    and candidate.
//!
//! A leader that disappears without a sign (its machine loses power, a network drops all packets) is not lost in this
//! sense: its followers wait for silence, as in the paper. And a follower in a hurry no longer holds other candidates
//! back: one that was cut off from the leader before, and reaches a majority in this moment, may win.

use super::cluster::ServerId;
use super::identity::Member;

/// The maximum random time before a server in a hurry stands for election, in milliseconds. It is much longer than a
/// vote takes between servers that are near each other, so that two of them seldom stand at the same moment (§5.2).
pub const HURRY_SPREAD_MS: u64 = 60;

/// How long a server in a hurry waits for answers to its ballot, for the verdict of the leader that it has lost, or for
/// the winner of its vote, in milliseconds.
pub const PATIENCE_MS: u64 = 100;

/// The number of ballots in a hurry. More would cost servers without a majority too many requests.
const BALLOTS_MAX: u8 = 3;

/// What a server in a hurry remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hurry {
    /// The leader whose connections have closed; `None` if something else began the hurry.
    lost: Option<Member>,
    /// The number of ballots that have begun in it, at most one more than the maximum.
    ballots: u8,
}

impl Hurry {
    /// The hurry of a follower whose leader's connections have closed.
    pub(super) fn after_loss_of(leader: Member) -> Hurry {
        Hurry { lost: Some(leader), ballots: 0 }
    }

    /// The hurry of a candidate that has lost a vote, and of a server that comes back from its disk.
    pub(super) fn without_judge() -> Hurry {
        Hurry { lost: None, ballots: 0 }
    }

    /// The same hurry when another ballot begins.
    pub(super) fn next_ballot(self) -> Hurry {
        Hurry { ballots: self.ballots + 1, ..self }
    }

    /// Whether it has had all its ballots, so that the usual times hold.
    pub(super) fn is_over(self) -> bool {
        BALLOTS_MAX < self.ballots
    }

    /// The server that a pre-vote waits for.
    pub(super) fn judge(self) -> Option<ServerId> {
        self.lost.map(|leader| leader.id)
    }

    /// Whether it began with the loss of this leader.
    pub(super) fn has_lost(self, leader: Member) -> bool {
        self.lost == Some(leader)
    }
}
