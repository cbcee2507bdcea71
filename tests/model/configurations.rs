//! The bounds of the searches, and what each of them must find.

use surfstore::raft::Compaction;

use crate::marks::Mark;

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many servers there are.
    pub(crate) servers: u8,
    /// The last term: no server becomes a candidate in it for a later one.
    pub(crate) term: u64,
    /// The last index: actions that would make a log longer are left out.
    pub(crate) index: u64,
    /// The versions that clients request, one update after the other, from any leader.
    pub(crate) versions: &'static [i64],
    /// What the updates are like.
    pub(crate) updates: Updates,
    /// Whether every applied entry is dropped as soon as that is possible, and snapshots are sent leaf by leaf.
    pub(crate) cut: bool,
    /// How often clients read.
    pub(crate) reads: u8,
    /// How often a server crashes. It may be restored at any time, or never.
    pub(crate) crashes: u8,
    /// How often a server's process ends, and how.
    pub(crate) relaunches: Relaunches,
    /// Whether the servers keep their state on disk, and how they lose their power.
    pub(crate) disks: Disks,
    /// Whether senders learn that their requests got no answer, any number of times.
    pub(crate) failures: bool,
    /// How often a heartbeat becomes due, at any leader.
    pub(crate) heartbeats: u8,
    /// How elections come about.
    pub(crate) elections: Elections,
    /// In which state the search begins.
    pub(crate) start: Start,
    /// Whether the network is kept small.
    pub(crate) clearing: bool,
}

impl Bounds {
    /// When servers drop entries, and how they send snapshots.
    pub(crate) fn compaction(&self) -> Compaction {
        if self.cut {
            Compaction { log_bytes_min: 0, log_bytes_max: usize::MAX, piece_bytes_max: 1 }
        } else {
            Compaction::default()
        }
    }
}

/// What the updates are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updates {
    /// They are small, and of the same file.
    Small,
    /// They are of the same file, and so large that an append carries no second entry with one.
    Large,
    /// Each is of another file, and so large that the file has a leaf of its own.
    Apart,
}

/// How elections come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elections {
    /// The silence at a server and at exactly as many others as it needs, and its pre-vote, are one action. The votes
    /// themselves are messages like all others.
    Bundled,
    /// Every timer and every message is a separate action, in so many ballots that begin with a pre-vote.
    Free {
        ballots: u8,
        /// Whether followers learn that the connections of a leader or candidate have closed, any number of times.
        hints: bool,
    },
}

/// How processes end, and what comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relaunches {
    /// When a process ends, the next one starts at the same moment.
    AtOnce(u8),
    /// The next one starts at any time, or never.
    Apart(u8),
}

/// Where the servers keep their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disks {
    /// In memory only.
    None,
    /// On disks that never fail, but may take any time.
    Slow,
    /// On disks that may take any time. A server loses its power, so often. After that, the disks take no time.
    OneByOne(u8),
    /// The same, but all servers lose their power at the same moment.
    Together(u8),
    /// On disks that take no time, until one of them makes no more changes. Its server loses its power once.
    StalledOne,
    /// The same, but any of the disks may have stopped when all servers lose their power at the same moment.
    StalledAll,
}

/// The state in which a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The processes have started, and are empty.
    Empty,
    /// Server 0 has founded a history in term 1 whose roster names all servers, and all know it.
    Joined,
}

/// A search, and what it must find.
pub(crate) struct Configuration {
    pub(crate) bounds: Bounds,
    /// The number of states that can be reached. A smaller number would be a loss of coverage that nothing else
    /// reports.
    pub(crate) states: usize,
    /// The situations that must occur.
    pub(crate) marks: &'static [Mark],
}

/// So many servers in so many terms, and nothing else.
const fn elections_of(servers: u8, term: u64) -> Bounds {
    Bounds {
        servers,
        term,
        index: u64::MAX,
        versions: &[],
        updates: Updates::Small,
        cut: false,
        reads: 0,
        crashes: 0,
        relaunches: Relaunches::AtOnce(0),
        disks: Disks::None,
        failures: false,
        heartbeats: 0,
        elections: Elections::Bundled,
        start: Start::Empty,
        clearing: true,
    }
}

/// The same, beginning with server 0 as the leader of term 1 and all servers in its roster.
const fn joined(servers: u8, term: u64) -> Bounds {
    Bounds { start: Start::Joined, ..elections_of(servers, term) }
}

/// A server alone, which is relaunched.
pub(crate) const ALONE: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1, 1],
        reads: 1,
        crashes: 1,
        relaunches: Relaunches::AtOnce(1),
        heartbeats: 1,
        ..elections_of(1, 2)
    },
    states: 112,
    marks: &[Mark::LeaderCrashed, Mark::ToldTrue, Mark::ToldFalse, Mark::ReadAnswered],
};

/// Two servers, a crash, a writer and a reader.
pub(crate) const PAIR: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, crashes: 1, heartbeats: 1, ..elections_of(2, 2) },
    states: 55_229,
    marks: &[
        Mark::Figure8,
        Mark::SplitVote,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
        Mark::FoundCrashed,
        Mark::ToldTrue,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};

/// Two servers, and callers who wait for a majority: enough heartbeats for a leader without answers to say so.
pub(crate) const PAIR_WITHOUT_MAJORITY: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, crashes: 1, heartbeats: 3, ..joined(2, 2) },
    states: 157_299,
    marks: &[
        Mark::Figure8,
        Mark::AppendWithoutMajority,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::ToldUnknown,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};

/// Two servers and an update so large that entries of an older term reach a new leader's follower alone.
pub(crate) const PAIR_WITH_LARGE_UPDATE: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        updates: Updates::Large,
        crashes: 1,
        start: Start::Joined,
        ..elections_of(2, 3)
    },
    states: 418,
    marks: &[Mark::Figure8, Mark::DeposedWithCallers, Mark::ToldTrue, Mark::ToldUnknown],
};

/// Two servers, a crash, all messages kept.
pub(crate) const PAIR_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { versions: &[1], crashes: 1, clearing: false, ..joined(2, 3) },
    states: 43_149,
    marks: &[
        Mark::SplitVote,
        Mark::LateReply,
        Mark::AppendOfOldTerm,
        Mark::FoundCrashed,
        Mark::ToldUnknown,
    ],
};

/// Two servers that found a history, a crash, all messages kept.
pub(crate) const FOUNDING_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { crashes: 1, clearing: false, ..elections_of(2, 2) },
    states: 82_860,
    marks: &[Mark::SplitVote, Mark::LateReply, Mark::AppendOfOldTerm, Mark::FoundCrashed],
};

/// Three servers, of which one crashes, all messages kept.
pub(crate) const TRIO_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { crashes: 1, clearing: false, ..joined(3, 2) },
    states: 340_298,
    marks: &[Mark::SplitVote, Mark::VoteRefusedForVote, Mark::LeaderCrashed, Mark::FoundCrashed],
};

/// Two servers, of which one is relaunched, all messages kept.
pub(crate) const RELAUNCH_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        relaunches: Relaunches::AtOnce(1),
        clearing: false,
        ..joined(2, 2)
    },
    states: 17_653,
    marks: &[Mark::GuestPresent, Mark::TakenOut, Mark::WonByEverybody],
};

/// Three servers, of which one is relaunched while it is sent an update, all messages kept.
pub(crate) const TRIO_RELAUNCH_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds {
        index: 2,
        versions: &[1],
        relaunches: Relaunches::AtOnce(1),
        clearing: false,
        ..joined(3, 1)
    },
    states: 2_726,
    marks: &[Mark::TakenOut, Mark::EarlierProcessRefused],
};

/// Two servers, all messages kept, and appends that fail.
pub(crate) const PAIR_WITH_FAILURES: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        reads: 1,
        failures: true,
        heartbeats: 1,
        clearing: false,
        ..joined(2, 2)
    },
    states: 4_153,
    marks: &[Mark::AppendFailed, Mark::ToldTrue, Mark::ReadAnswered],
};

/// Three servers whose appends fail.
pub(crate) const TRIO_WITH_FAILURES: Configuration = Configuration {
    bounds: Bounds { failures: true, heartbeats: 1, ..joined(3, 2) },
    states: 71_966,
    marks: &[Mark::AppendFailed, Mark::TwoLeaders, Mark::AppendOfOldTerm, Mark::VoteLost],
};

/// Two servers, every timer and every pre-vote a separate action, all messages kept.
pub(crate) const PAIR_WITH_FREE_ELECTIONS: Configuration = Configuration {
    bounds: Bounds {
        elections: Elections::Free { ballots: 2, hints: false },
        clearing: false,
        ..elections_of(2, 2)
    },
    states: 679_649,
    marks: &[Mark::SplitVote, Mark::LateReply, Mark::PreVoteRefused],
};

/// Three servers, every timer and every pre-vote a separate action.
pub(crate) const TRIO_WITH_FREE_ELECTIONS: Configuration = Configuration {
    bounds: Bounds {
        elections: Elections::Free { ballots: 2, hints: false },
        ..elections_of(3, 2)
    },
    states: 217_267,
    marks: &[
        Mark::SplitVote,
        Mark::TwoLeaders,
        Mark::VoteRefusedForVote,
        Mark::PreVoteRefused,
        Mark::FoundedWithoutAll,
        Mark::HistoryGivenUp,
    ],
};

/// Two servers, of which one crashes, every timer and every pre-vote a separate action, requests that fail, and
/// followers that learn of closed connections, all messages kept.
pub(crate) const PAIR_WITH_HINTS: Configuration = Configuration {
    bounds: Bounds {
        crashes: 1,
        failures: true,
        elections: Elections::Free { ballots: 2, hints: true },
        clearing: false,
        ..joined(2, 2)
    },
    states: 208_262,
    marks: &[Mark::LeaderLost, Mark::WinnerLost, Mark::VoteLost, Mark::LedOn],
};

/// Three servers, of which one crashes, every timer and every pre-vote a separate action, and followers that learn of
/// closed connections.
pub(crate) const TRIO_WITH_HINTS: Configuration = Configuration {
    bounds: Bounds {
        crashes: 1,
        elections: Elections::Free { ballots: 2, hints: true },
        ..joined(3, 2)
    },
    states: 427_075,
    marks: &[
        Mark::LeaderLost,
        Mark::WinnerLost,
        Mark::VoteLost,
        Mark::LedOn,
        Mark::JudgeAnswered,
        Mark::PatienceEnded,
    ],
};

/// Three servers in three terms, every timer and every pre-vote a separate action, and followers that learn of closed
/// connections.
pub(crate) const TRIO_WITH_HINTS_IN_THREE_TERMS: Configuration = Configuration {
    bounds: Bounds {
        index: 2,
        elections: Elections::Free { ballots: 2, hints: true },
        ..joined(3, 3)
    },
    states: 161_048,
    marks: &[Mark::LeaderLost, Mark::WinnerLost, Mark::LedOn, Mark::JudgeAnswered],
};

/// Three servers that found a history, and elect a second leader.
pub(crate) const TRIO: Configuration = Configuration {
    bounds: elections_of(3, 2),
    states: 112_532,
    marks: &[
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::FoundedWithoutAll,
        Mark::FoundingVoided,
        Mark::GuestPresent,
        Mark::BroughtIn,
        Mark::HistoryGivenUp,
    ],
};

/// Three servers that found a history while one of them crashes.
pub(crate) const FOUNDING_WITH_CRASH: Configuration = Configuration {
    bounds: Bounds { crashes: 1, ..elections_of(3, 1) },
    states: 108_514,
    marks: &[
        Mark::FoundCrashed,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
        Mark::FoundedWithoutAll,
        Mark::FoundingVoided,
        Mark::BroughtIn,
    ],
};

/// Three servers, of which one crashes, and a writer.
pub(crate) const TRIO_WITH_CRASH: Configuration = Configuration {
    bounds: Bounds { versions: &[1], crashes: 1, ..joined(3, 2) },
    states: 234_800,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::SplitVote,
        Mark::TwoLeaders,
        Mark::VoteRefusedForLog,
        Mark::AppendRefused,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
        Mark::FoundCrashed,
        Mark::ToldUnknown,
    ],
};

/// Three servers and two callers who may find a leader that has been replaced.
pub(crate) const TRIO_WITH_UPDATES: Configuration = Configuration {
    bounds: Bounds { versions: &[1, 1], ..joined(3, 2) },
    states: 80_333,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::ToldFalse,
        Mark::ToldOverwritten,
        Mark::ToldUnknown,
    ],
};

/// Three servers, a writer and a reader, who may each find a leader that has been replaced.
pub(crate) const TRIO_WITH_READ: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, ..joined(3, 2) },
    states: 137_466,
    marks: &[
        Mark::TwoLeaders,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};

/// Three servers in three terms.
pub(crate) const TRIO_IN_THREE_TERMS: Configuration = Configuration {
    bounds: joined(3, 3),
    states: 9_990,
    marks: &[Mark::ConflictTruncated, Mark::Figure8, Mark::TwoLeaders, Mark::SplitVote],
};

/// Four servers, of which a majority is three.
pub(crate) const FOUR: Configuration = Configuration {
    bounds: Bounds { versions: &[1], ..joined(4, 2) },
    states: 193_376,
    marks: &[Mark::ConflictTruncated, Mark::Figure8, Mark::TwoLeaders, Mark::VoteRefusedForLog],
};

/// Four servers that found a history.
pub(crate) const FOUNDING_OF_FOUR: Configuration = Configuration {
    bounds: elections_of(4, 1),
    states: 62_921,
    marks: &[Mark::SplitVote, Mark::FoundedWithoutAll, Mark::FoundingVoided, Mark::BroughtIn],
};

/// Two servers that are relaunched, one after the other or the same twice: the majority is lost each time.
pub(crate) const PAIR_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, relaunches: Relaunches::AtOnce(2), ..joined(2, 2) },
    states: 19_130,
    marks: &[
        Mark::GuestPresent,
        Mark::TakenOut,
        Mark::WonByEverybody,
        Mark::AccountDiffered,
        Mark::FoundingVoided,
        Mark::ForeignHistoryRefused,
        Mark::EarlierProcessRefused,
        Mark::ReadAnswered,
    ],
};

/// Two servers that found a history and are relaunched.
pub(crate) const FOUNDING_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { versions: &[1], relaunches: Relaunches::AtOnce(2), ..elections_of(2, 2) },
    states: 28_372,
    marks: &[
        Mark::FoundEnded,
        Mark::WonByEverybody,
        Mark::AccountDiffered,
        Mark::FoundingVoided,
        Mark::ForeignHistoryRefused,
    ],
};

/// Two servers, of which one crashes and one ends and comes back later, or never.
pub(crate) const PAIR_ENDED: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        reads: 1,
        crashes: 1,
        relaunches: Relaunches::Apart(1),
        ..joined(2, 2)
    },
    states: 37_728,
    marks: &[
        Mark::FoundCrashed,
        Mark::FoundEnded,
        Mark::GuestPresent,
        Mark::TakenOut,
        Mark::WonByEverybody,
        Mark::ReadAnswered,
    ],
};

/// Two servers whose processes end twice, every timer and every pre-vote a separate action.
pub(crate) const PAIR_ENDED_STEP_BY_STEP: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        relaunches: Relaunches::Apart(2),
        elections: Elections::Free { ballots: 4, hints: false },
        ..joined(2, 2)
    },
    states: 234_245,
    marks: &[
        Mark::FoundEnded,
        Mark::WonByEverybody,
        Mark::AccountDiffered,
        Mark::FoundingVoided,
        Mark::ForeignHistoryRefused,
    ],
};

/// Three servers, of which one is relaunched, and a writer.
pub(crate) const TRIO_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { index: 3, versions: &[1], relaunches: Relaunches::AtOnce(1), ..joined(3, 2) },
    states: 248_476,
    marks: &[
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::FoundEnded,
        Mark::GuestPresent,
        Mark::TakenOut,
        Mark::BroughtIn,
        Mark::EarlierProcessRefused,
    ],
};

/// Three servers, of which one is relaunched, every timer and every pre-vote a separate action.
pub(crate) const TRIO_RELAUNCHED_STEP_BY_STEP: Configuration = Configuration {
    bounds: Bounds {
        index: 2,
        relaunches: Relaunches::AtOnce(1),
        elections: Elections::Free { ballots: 2, hints: false },
        ..joined(3, 2)
    },
    states: 210_054,
    marks: &[Mark::SplitVote, Mark::TwoLeaders, Mark::GuestPresent, Mark::TakenOut],
};

/// Four servers, of which one is relaunched.
pub(crate) const FOUR_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { index: 2, relaunches: Relaunches::AtOnce(1), ..joined(4, 2) },
    states: 49_237,
    marks: &[Mark::TwoLeaders, Mark::GuestPresent, Mark::TakenOut, Mark::EarlierProcessRefused],
};

/// Three servers that found a history, and a writer.
pub(crate) const TRIO_WITH_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], ..elections_of(3, 2) },
    states: 2_742_250,
    marks: &[Mark::TwoLeaders, Mark::BroughtIn, Mark::ToldTrue, Mark::ToldOverwritten],
};

/// Two servers, two updates, a read, a crash, appends that fail and a heartbeat.
pub(crate) const PAIR_WITH_EVERYTHING: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1, 1],
        reads: 1,
        crashes: 1,
        failures: true,
        heartbeats: 1,
        ..joined(2, 2)
    },
    states: 174_210,
    marks: &[
        Mark::AppendFailed,
        Mark::FoundCrashed,
        Mark::ToldTrue,
        Mark::ToldFalse,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};

/// Four servers, of which one is relaunched, and a writer.
pub(crate) const FOUR_RELAUNCHED_WITH_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], ..FOUR_RELAUNCHED.bounds },
    states: 260_017,
    marks: &[Mark::Figure8, Mark::DeposedWithCallers, Mark::ToldTrue, Mark::TakenOut],
};

/// Three servers that found a history while one of them is relaunched.
pub(crate) const TRIO_FOUNDING_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { index: 2, relaunches: Relaunches::AtOnce(1), ..elections_of(3, 1) },
    states: 693_596,
    marks: &[Mark::FoundEnded, Mark::FoundedWithoutAll, Mark::FoundingVoided, Mark::BroughtIn],
};

/// Three servers, of which one ends and comes back later, or never.
pub(crate) const TRIO_ENDED: Configuration = Configuration {
    bounds: Bounds { index: 3, versions: &[1], relaunches: Relaunches::Apart(1), ..joined(3, 2) },
    states: 288_143,
    marks: &[
        Mark::TwoLeaders,
        Mark::ToldTrue,
        Mark::FoundEnded,
        Mark::GuestPresent,
        Mark::TakenOut,
        Mark::BroughtIn,
    ],
};

/// A server alone that drops entries, and is relaunched.
pub(crate) const CUT_ALONE: Configuration = Configuration {
    bounds: Bounds { cut: true, ..ALONE.bounds },
    states: 112,
    marks: &[Mark::EntryDropped, Mark::ToldTrue, Mark::ToldFalse, Mark::ReadAnswered],
};

/// Two servers that drop entries and are relaunched.
pub(crate) const CUT_PAIR_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { cut: true, versions: &[1], relaunches: Relaunches::AtOnce(2), ..joined(2, 2) },
    states: 2_674,
    marks: &[
        Mark::EntryDropped,
        Mark::PieceSent,
        Mark::TransferEnded,
        Mark::SnapshotInstalled,
        Mark::EmptyServerFilled,
        Mark::SnapshotNotNeeded,
        Mark::SuffixKept,
    ],
};

/// Two servers, of which one crashes and one is relaunched, and snapshots that have several pieces.
pub(crate) const CUT_PAIR_IN_PIECES: Configuration = Configuration {
    bounds: Bounds {
        cut: true,
        updates: Updates::Apart,
        versions: &[1, 1],
        crashes: 1,
        relaunches: Relaunches::AtOnce(1),
        ..joined(2, 2)
    },
    states: 52_150,
    marks: &[
        Mark::PieceKept,
        Mark::PiecesGivenUp,
        Mark::PiecesLost,
        Mark::EmptyServerFilled,
        Mark::SuffixKept,
    ],
};

/// Two servers that drop entries, of which one is relaunched, all messages kept.
pub(crate) const CUT_PAIR_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { cut: true, ..RELAUNCH_WITH_ALL_MESSAGES.bounds },
    states: 491_837,
    marks: &[Mark::EmptyServerFilled, Mark::SnapshotNotNeeded, Mark::SuffixKept],
};

/// Two servers that drop entries, of which one is relaunched, and requests that fail.
pub(crate) const CUT_PAIR_WITH_FAILURES: Configuration = Configuration {
    bounds: Bounds {
        cut: true,
        index: 4,
        versions: &[1],
        failures: true,
        heartbeats: 1,
        relaunches: Relaunches::AtOnce(1),
        ..joined(2, 2)
    },
    states: 13_387,
    marks: &[Mark::AppendFailed, Mark::TransferEnded, Mark::EmptyServerFilled, Mark::SuffixKept],
};

/// Three servers that drop entries found a history, and elect a second leader.
pub(crate) const CUT_FOUNDING: Configuration = Configuration {
    bounds: Bounds { cut: true, ..TRIO.bounds },
    states: 157_934,
    marks: &[
        Mark::TwoLeaders,
        Mark::HistoryGivenUp,
        Mark::BroughtIn,
        Mark::EmptyServerFilled,
        Mark::SuffixReplaced,
        Mark::SnapshotNotNeeded,
        Mark::SuffixKept,
    ],
};

/// Three servers that drop entries, and two callers who may find a leader that has been replaced.
pub(crate) const CUT_TRIO_WITH_UPDATES: Configuration = Configuration {
    bounds: Bounds { cut: true, versions: &[1, 2], ..joined(3, 2) },
    states: 346_228,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::SnapshotInstalled,
        Mark::SuffixReplaced,
        Mark::SnapshotNotNeeded,
        Mark::SuffixKept,
    ],
};

/// Three servers that drop entries, of which one crashes, and a writer.
pub(crate) const CUT_TRIO_WITH_CRASH: Configuration = Configuration {
    bounds: Bounds { cut: true, ..TRIO_WITH_CRASH.bounds },
    states: 424_830,
    marks: &[
        Mark::ConflictTruncated,
        Mark::LeaderCrashed,
        Mark::FollowerCrashed,
        Mark::SnapshotInstalled,
        Mark::SnapshotNotNeeded,
        Mark::SuffixKept,
    ],
};

/// Three servers that drop entries, of which one is relaunched, and a writer.
pub(crate) const CUT_TRIO_RELAUNCHED: Configuration = Configuration {
    bounds: Bounds { cut: true, ..TRIO_RELAUNCHED.bounds },
    states: 439_080,
    marks: &[
        Mark::TwoLeaders,
        Mark::GuestPresent,
        Mark::BroughtIn,
        Mark::EmptyServerFilled,
        Mark::SnapshotNotNeeded,
        Mark::SuffixKept,
    ],
};

/// Three servers that drop entries, in three terms, and a writer.
pub(crate) const CUT_TRIO_IN_THREE_TERMS: Configuration = Configuration {
    bounds: Bounds { cut: true, index: 3, versions: &[1], ..joined(3, 3) },
    states: 268_974,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::SnapshotInstalled,
        Mark::SuffixReplaced,
        Mark::ToldUnknownByInstall,
    ],
};

/// The same, with two writers, so that an overwritten log is longer than a snapshot.
pub(crate) const CUT_TRIO_IN_THREE_TERMS_WITH_UPDATES: Configuration = Configuration {
    bounds: Bounds { versions: &[1, 2], ..CUT_TRIO_IN_THREE_TERMS.bounds },
    states: 909_392,
    marks: &[Mark::SuffixReplaced, Mark::LongerLogReplaced, Mark::ToldUnknownByInstall],
};

/// The same, with one writer and a longer log.
pub(crate) const CUT_TRIO_WITH_LONGER_LOG: Configuration = Configuration {
    bounds: Bounds { index: 4, ..CUT_TRIO_IN_THREE_TERMS.bounds },
    states: 592_504,
    marks: CUT_TRIO_IN_THREE_TERMS.marks,
};

/// Three servers, two writers, and snapshots that have several pieces.
pub(crate) const CUT_TRIO_IN_PIECES: Configuration = Configuration {
    bounds: Bounds { cut: true, updates: Updates::Apart, versions: &[1, 1], ..joined(3, 2) },
    states: 364_587,
    marks: &[
        Mark::TwoLeaders,
        Mark::PieceKept,
        Mark::SnapshotInstalled,
        Mark::SuffixReplaced,
        Mark::SuffixKept,
    ],
};

/// A server alone that crashes, and loses its power twice.
pub(crate) const ALONE_ON_DISK: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1, 1],
        reads: 1,
        crashes: 1,
        disks: Disks::OneByOne(2),
        ..elections_of(1, 4)
    },
    states: 4_548,
    marks: &[
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::ToldTrue,
        Mark::ToldFalse,
    ],
};

/// Two servers that lose their power, one after the other or the same twice, and a writer.
pub(crate) const PAIR_ON_DISK: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::OneByOne(2), ..joined(2, 3) },
    states: 22_712,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::Figure8,
        Mark::SplitVote,
        Mark::FoundEnded,
        Mark::ToldTrue,
        Mark::ToldUnknown,
    ],
};

/// Two servers that both lose their power twice, and a writer.
pub(crate) const PAIR_OUT_OF_POWER: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::Together(2), ..joined(2, 3) },
    states: 17_609,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::Figure8,
        Mark::SplitVote,
        Mark::ToldTrue,
        Mark::ToldUnknown,
    ],
};

/// Two servers, of which one crashes and one loses its power, a writer and a reader.
pub(crate) const PAIR_ON_DISK_WITH_CRASH: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        reads: 1,
        crashes: 1,
        disks: Disks::OneByOne(1),
        ..joined(2, 2)
    },
    states: 56_921,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::LeaderCrashed,
        Mark::FollowerCrashed,
        Mark::FoundCrashed,
        Mark::ReadAnswered,
    ],
};

/// Two servers that found a history, of which one loses its power, and a writer.
pub(crate) const FOUNDING_ON_DISK: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::OneByOne(1), ..elections_of(2, 2) },
    states: 8_346,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::SplitVote,
        Mark::FoundEnded,
        Mark::ToldTrue,
    ],
};

/// Two servers that found a history and both lose their power, and a writer.
pub(crate) const FOUNDING_OUT_OF_POWER: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::Together(1), ..elections_of(2, 2) },
    states: 7_313,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::SplitVote,
        Mark::ToldTrue,
    ],
};

/// Two servers with slow disks that found a history, and a writer.
pub(crate) const FOUNDING_ON_SLOW_DISKS: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::Slow, ..elections_of(2, 2) },
    states: 5_872,
    marks: &[Mark::AnsweredLate, Mark::SplitVote, Mark::ToldTrue],
};

/// Two servers that drop entries and lose their power, one after the other or the same twice, and a writer.
pub(crate) const CUT_PAIR_ON_DISK: Configuration = Configuration {
    bounds: Bounds { cut: true, versions: &[1], disks: Disks::OneByOne(2), ..joined(2, 2) },
    states: 4_203,
    marks: &[
        Mark::EntryDropped,
        Mark::RecoveredFromSnapshot,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
    ],
};

/// Two servers that drop entries and found a history, of which one loses its power, and a writer.
pub(crate) const CUT_FOUNDING_ON_DISK: Configuration = Configuration {
    bounds: Bounds { cut: true, ..FOUNDING_ON_DISK.bounds },
    states: 14_066,
    marks: &[
        Mark::EntryDropped,
        Mark::RecoveredFromSnapshot,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
    ],
};

/// Three servers, of which one loses its power.
pub(crate) const TRIO_ON_DISK: Configuration = Configuration {
    bounds: Bounds { disks: Disks::OneByOne(1), ..joined(3, 2) },
    states: 14_805,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::TwoLeaders,
        Mark::SplitVote,
        Mark::FoundEnded,
    ],
};

/// Three servers that all lose their power twice.
pub(crate) const TRIO_OUT_OF_POWER: Configuration = Configuration {
    bounds: Bounds { disks: Disks::Together(2), ..joined(3, 2) },
    states: 29_691,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::TwoLeaders,
        Mark::SplitVote,
    ],
};

/// Two servers that lose their power, one after the other or the same twice, and a writer, all messages kept.
pub(crate) const PAIR_ON_DISK_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::OneByOne(2), clearing: false, ..joined(2, 2) },
    states: 21_900,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::SavedUnnoticed,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
    ],
};

/// Two servers that found a history, of which one loses its power, all messages kept.
pub(crate) const FOUNDING_ON_DISK_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { disks: Disks::OneByOne(1), clearing: false, ..elections_of(2, 2) },
    states: 12_053,
    marks: &[
        Mark::AnsweredLate,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::SplitVote,
        Mark::FoundEnded,
    ],
};

/// Two servers with slow disks that found a history, all messages kept.
pub(crate) const FOUNDING_ON_SLOW_DISKS_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { disks: Disks::Slow, clearing: false, ..elections_of(2, 2) },
    states: 2_274,
    marks: &[Mark::AnsweredLate, Mark::SplitVote],
};

/// Three servers that all lose their power, all messages kept.
pub(crate) const TRIO_OUT_OF_POWER_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { disks: Disks::Together(1), clearing: false, ..joined(3, 2) },
    states: 134_041,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
    ],
};

/// Three servers that drop entries, with disks that take no time, and three writers: so a follower drops an entry in the
/// step in which it has stored it.
pub(crate) const CUT_TRIO_ON_DISK: Configuration = Configuration {
    bounds: Bounds { cut: true, versions: &[1, 2, 3], disks: Disks::OneByOne(0), ..joined(3, 1) },
    states: 67_660,
    marks: &[Mark::EntryDropped, Mark::SnapshotInstalled],
};

/// Three servers that drop entries and lose their power together, and two writers.
pub(crate) const CUT_TRIO_OUT_OF_POWER: Configuration = Configuration {
    bounds: Bounds { cut: true, versions: &[1, 2], disks: Disks::StalledAll, ..joined(3, 1) },
    states: 31_247,
    marks: &[
        Mark::EntryDropped,
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::RecoveredFromSnapshot,
        Mark::RecoveredWithTail,
    ],
};

/// Three servers, of which one loses its power, and a writer.
pub(crate) const TRIO_ON_DISK_WITH_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::StalledOne, ..joined(3, 2) },
    states: 976_460,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::SplitVote,
        Mark::ToldTrue,
        Mark::ToldOverwritten,
        Mark::ToldUnknown,
    ],
};

/// Three servers that all lose their power, and a writer.
pub(crate) const TRIO_OUT_OF_POWER_WITH_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], disks: Disks::StalledAll, ..joined(3, 2) },
    states: 880_580,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::EntryForgotten,
        Mark::RecoveredWithTail,
        Mark::RecoveredFounded,
        Mark::LeaderLostPower,
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::SplitVote,
        Mark::ToldTrue,
        Mark::ToldOverwritten,
        Mark::ToldUnknown,
    ],
};

/// Three servers that found a history, of which one loses its power.
pub(crate) const TRIO_FOUNDING_ON_DISK: Configuration = Configuration {
    bounds: Bounds { disks: Disks::StalledOne, ..elections_of(3, 1) },
    states: 563_817,
    marks: &[
        Mark::CommittedAhead,
        Mark::CommittedForgotten,
        Mark::VoteForgotten,
        Mark::OwnVoteForgotten,
        Mark::TermForgotten,
        Mark::FoundedWithoutAll,
        Mark::FoundingVoided,
        Mark::FoundEnded,
    ],
};
