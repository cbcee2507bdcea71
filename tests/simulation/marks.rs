//! Coverage marks: the faults and situations that a set of runs must have been through to prove anything.

/// A fault or a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Loss,
    Duplication,
    Tail,
    SlowLinks,
    OneWayCut,
    Isolation,
    Split,
    Star,
    Ring,
    SwizzleClog,
    Pause,
    SlowClock,
    FastClock,
    DoubleCrash,
    RestoreOfRunning,
    CrashOfMany,
    StagedStart,
    Burst,
    HangUp,
    Retry,
    LeaderCrash,
    CandidateCrash,
    FollowerCrash,
    HalfUp,
    MajorityRegained,
    Truncation,
    Figure8,
    SplitVote,
    StaleVote,
    DeposedWithCallers,
    EarlyRead,
    AppendWithoutMajority,
    Mismatch,
    LateReply,
    DoubleVoteReply,
    LateRequest,
    OldReply,
    LongWait,
    Overwritten,
    OutcomeUnknown,
    Busy,
    MemoryLost,
    EndedPeer,
    Refused,
    PromiseVoid,
    EverybodysVote,
    Loud,
    Readmitted,
    Dropped,
    Multicall,
    CutMulticall,
    AbandonedMulticall,
    LargeMap,
    UnnoticedClosing,
    ClosingAtDeadline,
    Reset,
    Hint,
    StrangersHint,
    PredecessorsHint,
    JudgeLeads,
    JudgeEnded,
    JudgeCrashed,
    JudgeSilent,
    LostHurriedBallot,
    LostHurriedVote,
    LostVote,
    ExhaustedHurry,
    Compaction,
    Installed,
    SeveralPieces,
    PieceAgain,
    SnapshotAnew,
    NewerSnapshot,
    ReceiverReplaced,
    SnapshotGivenUp,
    SnapshotIgnored,
    HeldUncommitted,
    ConflictReplaced,
    UnknownByInstall,
    InstalledOnNothing,
    CrashMidway,
    DroppedRoster,
}

/// Every mark, with what it stands for.
const MARKS: [(Mark, &str); 82] = [
    (Mark::Loss, "messages are lost"),
    (Mark::Duplication, "messages arrive twice"),
    (Mark::Tail, "messages are delayed up to ten election timeouts"),
    (Mark::SlowLinks, "messages overtake each other"),
    (Mark::OneWayCut, "a link is cut in one direction"),
    (Mark::Isolation, "a server is cut off"),
    (Mark::Split, "the cluster is cut in two"),
    (Mark::Star, "only one server reaches all others"),
    (Mark::Ring, "every server reaches only its neighbours"),
    (Mark::SwizzleClog, "servers are clogged one by one and freed in another order"),
    (Mark::Pause, "a server stands still and its timers run out late"),
    (Mark::SlowClock, "a clock runs slow"),
    (Mark::FastClock, "a clock runs fast"),
    (Mark::DoubleCrash, "a crashed server is crashed"),
    (Mark::RestoreOfRunning, "a running server is restored"),
    (Mark::CrashOfMany, "a majority crashes at once"),
    (Mark::StagedStart, "a server starts later than the others"),
    (Mark::Burst, "many update one file at once"),
    (Mark::HangUp, "a caller hangs up"),
    (Mark::Retry, "a caller tries again"),
    (Mark::LeaderCrash, "a leader crashes"),
    (Mark::CandidateCrash, "a candidate crashes"),
    (Mark::FollowerCrash, "a follower crashes"),
    (Mark::HalfUp, "exactly half of the servers are up"),
    (Mark::MajorityRegained, "the majority is lost while a caller waits, who is answered later"),
    (Mark::Truncation, "a conflicting suffix is truncated"),
    (Mark::Figure8, "an entry of an older term is on a majority, uncommitted (Figure 8)"),
    (Mark::SplitVote, "an election ends without a winner"),
    (Mark::StaleVote, "a vote is refused for a stale log"),
    (Mark::DeposedWithCallers, "a leader is deposed while callers wait"),
    (Mark::EarlyRead, "a read comes before the term's first commit"),
    (Mark::AppendWithoutMajority, "an append is marked as coming from a leader without a majority"),
    (Mark::Mismatch, "an append is refused for lack of its previous entry"),
    (Mark::LateReply, "a reply arrives twice or too late"),
    (Mark::DoubleVoteReply, "a vote arrives twice or too late"),
    (Mark::LateRequest, "a request arrives twice or too late"),
    (Mark::OldReply, "a reply arrives from an older term"),
    (Mark::LongWait, "a caller waits for more than two seconds and is answered"),
    (Mark::Overwritten, "an update's entry is overwritten and its caller told so"),
    (Mark::OutcomeUnknown, "an update's outcome is unknown to its caller"),
    (Mark::Busy, "a bound is reached"),
    (Mark::MemoryLost, "a process ends that had a log"),
    (Mark::EndedPeer, "a connection is refused because the peer's process has ended"),
    (Mark::Refused, "an append is refused for its history or for its receiver"),
    (Mark::PromiseVoid, "so many lose their memory that nothing is promised"),
    (Mark::EverybodysVote, "everybody is asked to vote"),
    (Mark::Loud, "two founded histories with updates are left, and refuse each other"),
    (Mark::Readmitted, "everybody counts again after some were launched anew"),
    (Mark::Dropped, "a server hears no more of what it sent before it crashed"),
    (Mark::Multicall, "a multicall is answered"),
    (Mark::CutMulticall, "a server crashes in the midst of a multicall"),
    (Mark::AbandonedMulticall, "a caller hangs up in the midst of a multicall"),
    (Mark::LargeMap, "a map is so large that it is written in parts"),
    (Mark::UnnoticedClosing, "a server does not learn that a peer's connections have closed"),
    (Mark::ClosingAtDeadline, "a request is not answered in time and costs the connection"),
    (Mark::Reset, "connections of a live server are reset"),
    (Mark::Hint, "a server is in a hurry because its leader's connections have closed"),
    (Mark::StrangersHint, "the connections of a server close that nobody follows"),
    (Mark::PredecessorsHint, "connections of a leader's former incarnation close late"),
    (Mark::JudgeLeads, "a leader whose connections have closed leads on"),
    (Mark::JudgeEnded, "a leader whose connections have closed has ended"),
    (Mark::JudgeCrashed, "a leader whose connections have closed is crashed"),
    (Mark::JudgeSilent, "a leader whose connections have closed does not answer"),
    (Mark::LostHurriedBallot, "a pre-vote in a hurry is lost"),
    (Mark::LostHurriedVote, "a vote in a hurry is lost"),
    (Mark::LostVote, "a vote is lost, and a hurry begins"),
    (Mark::ExhaustedHurry, "a hurry is over without a leader"),
    (Mark::Compaction, "applied entries are dropped"),
    (Mark::Installed, "a snapshot is put in place"),
    (Mark::SeveralPieces, "a snapshot that came in several pieces is put in place"),
    (Mark::PieceAgain, "a later piece of a snapshot is sent again"),
    (Mark::SnapshotAnew, "a snapshot is sent again from an earlier piece on"),
    (Mark::NewerSnapshot, "a snapshot of which only a part was sent is replaced by a newer one"),
    (Mark::ReceiverReplaced, "another process gets the rest of a snapshot"),
    (Mark::SnapshotGivenUp, "a part of a snapshot is given up for another leader"),
    (Mark::SnapshotIgnored, "a snapshot is sent to a server that has all that it includes"),
    (Mark::HeldUncommitted, "a snapshot commits entries that its receiver holds"),
    (Mark::ConflictReplaced, "entries that conflict with a snapshot are replaced by it"),
    (Mark::UnknownByInstall, "a snapshot leaves the outcome of an update unknown"),
    (Mark::InstalledOnNothing, "a server without a log gets a snapshot"),
    (Mark::CrashMidway, "a server crashes that holds a part of a snapshot"),
    (Mark::DroppedRoster, "a leader is elected by a roster that is not in its log any more"),
];

/// How often each mark was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks([u64; MARKS.len()]);

impl Marks {
    pub(crate) fn new() -> Marks {
        Marks([0; MARKS.len()])
    }

    pub(crate) fn hit(&mut self, mark: Mark) {
        self.0[mark as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Marks) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }

    /// The marks that were never hit.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let missed = MARKS.iter().filter(|(mark, _)| self.0[*mark as usize] == 0);
        missed.map(|(_, name)| *name).collect()
    }
}

#[test]
fn a_set_of_runs_that_misses_a_mark_says_which() {
    let mut marks = Marks::new();
    for (place, (mark, _)) in MARKS.iter().enumerate() {
        assert!(*mark as usize == place, "the table lists the marks in their order");
        if *mark != Mark::Ring {
            marks.hit(*mark);
        }
    }
    assert!(marks.missing() == ["every server reaches only its neighbours"]);
}
