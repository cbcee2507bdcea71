//! Coverage marks: the situations that a search must have reached to prove anything.

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A follower deletes entries that conflict with its leader's.
    ConflictTruncated,
    /// A leader finds an entry of an older term on a majority, not committed (Figure 8).
    Figure8,
    /// Two servers are candidates in the same term.
    SplitVote,
    /// Two servers lead at the same time, in different terms.
    TwoLeaders,
    /// A vote is refused for a stale log (§5.4.1).
    VoteRefusedForLog,
    /// A second candidate of a term is refused.
    VoteRefusedForVote,
    /// An append is refused because its previous entry is missing.
    AppendRefused,
    /// An append of an older term arrives.
    AppendOfOldTerm,
    /// An append says that its leader has no majority.
    AppendWithoutMajority,
    /// A reply arrives that was given in an older term than the receiver's.
    LateReply,
    /// A leader learns that its append failed.
    AppendFailed,
    /// A leader is deposed while callers wait.
    DeposedWithCallers,
    /// A leader crashes.
    LeaderCrashed,
    /// A candidate crashes.
    CandidateCrashed,
    /// A follower crashes.
    FollowerCrashed,
    /// An update took effect, and its caller is told so.
    ToldTrue,
    /// An update's version was refused, and its caller is told so.
    ToldFalse,
    /// An update's entry was overwritten, and its caller is told so.
    ToldOverwritten,
    /// A caller is told that the outcome of its update is unknown.
    ToldUnknown,
    /// A read comes before the term's first commit.
    EarlyRead,
    /// A read is answered with the map.
    ReadAnswered,
    /// A pre-vote is refused.
    PreVoteRefused,
    /// A candidate or a leader learns that a server is crashed.
    FoundCrashed,
    /// A candidate learns that a server's process has ended.
    FoundEnded,
    /// A history is founded without all servers.
    FoundedWithoutAll,
    /// A server that its leader's roster does not name stores entries.
    GuestPresent,
    /// A roster removes a server.
    TakenOut,
    /// A roster adds a server.
    BroughtIn,
    /// A candidate wins by everybody's vote.
    WonByEverybody,
    /// The second round of everybody's vote has another account than the first.
    AccountDiffered,
    /// An answer that shows a founded history voids a founding.
    FoundingVoided,
    /// A server that is not founded gives up its history for a leader's.
    HistoryGivenUp,
    /// A candidate without updates starts over.
    StartedAnew,
    /// A founded server refuses another history.
    ForeignHistoryRefused,
    /// A leader without a majority gives way to the founded leader of another history.
    GaveWay,
    /// A request from, or meant for, an ended process is refused.
    EarlierProcessRefused,
    /// A follower learns that the connections of its leader have closed.
    LeaderLost,
    /// A voter that has not heard of the winner learns that its candidate's connections have closed.
    WinnerLost,
    /// A candidate that has lost its vote will soon stand again.
    VoteLost,
    /// A leader whose connections have closed says that it leads on.
    LedOn,
    /// A pre-vote that only waited for the answer of a lost leader is won with it.
    JudgeAnswered,
    /// A pre-vote that only waited for the answer of a lost leader is won without it.
    PatienceEnded,
    /// A server drops an applied entry.
    EntryDropped,
    /// A leader sends a piece of a snapshot.
    PieceSent,
    /// A follower keeps a piece of a snapshot that is not complete.
    PieceKept,
    /// A follower gives up the pieces that it has, for another snapshot or another leader.
    PiecesGivenUp,
    /// A follower that has some pieces crashes or becomes the leader.
    PiecesLost,
    /// A leader need not send its snapshot any longer, or stops leading.
    TransferEnded,
    /// A snapshot replaces the state of a follower.
    SnapshotInstalled,
    /// A snapshot replaces the state of an empty server.
    EmptyServerFilled,
    /// A snapshot replaces entries that were not committed.
    SuffixReplaced,
    /// A snapshot replaces a log that is longer than what it includes.
    LongerLogReplaced,
    /// A follower that has a snapshot's last entry is sent that snapshot.
    SnapshotNotNeeded,
    /// It keeps the entries after that one.
    SuffixKept,
    /// A snapshot ends a call whose outcome it does not show.
    ToldUnknownByInstall,
    /// A leader commits an entry that is not on its own disk yet.
    CommittedAhead,
    /// An answer leaves once its sender has entered a later term.
    AnsweredLate,
    /// A vote for another server is lost before it was answered.
    VoteForgotten,
    /// A candidate's own vote is lost before anybody was asked.
    OwnVoteForgotten,
    /// A server comes back in an earlier term.
    TermForgotten,
    /// A server comes back without entries that it had.
    EntryForgotten,
    /// A server comes back without an entry that it knew to be committed.
    CommittedForgotten,
    /// A server comes back with a change of which it had not learned that it was on disk.
    SavedUnnoticed,
    /// A server comes back with entries that are not known to be committed.
    RecoveredWithTail,
    /// A server comes back founded.
    RecoveredFounded,
    /// A server comes back from a snapshot.
    RecoveredFromSnapshot,
    /// A leader loses its power while callers wait.
    LeaderLostPower,
}

impl Mark {
    fn bit(self) -> u128 {
        1 << self as u32
    }
}

/// A set of situations.
#[derive(Clone, Copy, Default)]
pub(crate) struct Marks(u128);

impl Marks {
    pub(crate) fn hit(&mut self, mark: Mark) {
        self.0 |= mark.bit();
    }

    pub(crate) fn hit_if(&mut self, mark: Mark, is_so: bool) {
        if is_so {
            self.hit(mark);
        }
    }

    pub(crate) fn has(self, mark: Mark) -> bool {
        self.0 & mark.bit() != 0
    }

    pub(crate) fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// The situations in `required` that were never reached.
    pub(crate) fn missing(self, required: &[Mark]) -> Vec<Mark> {
        required.iter().copied().filter(|mark| !self.has(*mark)).collect()
    }
}
