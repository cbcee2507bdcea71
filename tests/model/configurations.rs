//! How far the searches go, and what each of them must find.

use crate::marks::Mark;

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many servers there are.
    pub(crate) servers: u8,
    /// The last term: nobody stands in it for a later one.
    pub(crate) term: u64,
    /// The last index: what makes a log longer does not happen.
    pub(crate) index: u64,
    /// The versions that clients ask for, one update after the other, of whatever leader.
    pub(crate) versions: &'static [i64],
    /// Whether an update is so large that an append carries no second entry beside it.
    pub(crate) large: bool,
    /// How often clients read.
    pub(crate) reads: u8,
    /// How often a server crashes. It may be restored at any time, or never.
    pub(crate) crashes: u8,
    /// How often a server's process ends, and how.
    pub(crate) relaunches: Relaunches,
    /// Whether leaders hear that their appends fail, as often as may be.
    pub(crate) failures: bool,
    /// How often a heartbeat falls due, at whatever leader.
    pub(crate) heartbeats: u8,
    /// How elections come about.
    pub(crate) elections: Elections,
    /// In which state the search begins.
    pub(crate) start: Start,
    /// Whether the network is kept small.
    pub(crate) clearing: bool,
}

/// How elections come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elections {
    /// The silence at a server and at just as many others as it needs, and its pre-vote, are one action. The votes
    /// themselves are messages like all others.
    Bundled,
    /// Every timer and every message for itself, in so many ballots that begin with a pre-vote.
    Free { ballots: u8 },
}

/// How processes end, and what comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relaunches {
    /// Where a process ends, the next one begins in the same moment.
    AtOnce(u8),
    /// The next one begins at any time, or never.
    Apart(u8),
}

/// In which state a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The processes have started, and are empty.
    Empty,
    /// Server 0 has founded a history in term 1 that names all, and all know it.
    Joined,
}

/// A search, and what it must find.
pub(crate) struct Configuration {
    pub(crate) bounds: Bounds,
    /// How many states can be reached. Fewer would be a loss of coverage that nothing else tells of.
    pub(crate) states: usize,
    /// The situations that must come up.
    pub(crate) marks: &'static [Mark],
}

/// So many servers in so many terms, and nothing else.
const fn elections_of(servers: u8, term: u64) -> Bounds {
    Bounds {
        servers,
        term,
        index: u64::MAX,
        versions: &[],
        large: false,
        reads: 0,
        crashes: 0,
        relaunches: Relaunches::AtOnce(0),
        failures: false,
        heartbeats: 0,
        elections: Elections::Bundled,
        start: Start::Empty,
        clearing: true,
    }
}

/// A server alone.
pub(crate) const ALONE: Configuration = Configuration {
    bounds: Bounds { versions: &[1, 1], reads: 1, crashes: 1, heartbeats: 1, ..elections_of(1, 2) },
    states: 39,
    marks: &[Mark::LeaderCrashed, Mark::ToldTrue, Mark::ToldFalse, Mark::ReadAnswered],
};

/// Two servers, a crash, and callers who wait for a majority. So many heartbeats that a leader without answers says so.
pub(crate) const PAIR: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, crashes: 1, heartbeats: 3, ..elections_of(2, 2) },
    states: 142_211,
    marks: &[
        Mark::Figure8,
        Mark::SplitVote,
        Mark::AppendWithoutMajority,
        Mark::DeposedWithCallers,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
        Mark::ToldTrue,
        Mark::ToldUnknown,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};

/// Two servers and an update so large that entries of an older term come to a new leader's follower by themselves.
pub(crate) const PAIR_WITH_LARGE_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], large: true, crashes: 1, ..elections_of(2, 2) },
    states: 680,
    marks: &[Mark::Figure8, Mark::DeposedWithCallers, Mark::ToldTrue, Mark::ToldUnknown],
};

/// Two servers, a crash, all messages kept.
pub(crate) const PAIR_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { versions: &[1], crashes: 1, clearing: false, ..elections_of(2, 2) },
    states: 15_309,
    marks: &[Mark::SplitVote, Mark::LateReply, Mark::AppendOfOldTerm, Mark::ToldUnknown],
};

/// Two servers, all messages kept, and appends that fail.
pub(crate) const PAIR_WITH_FAILURES: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        reads: 1,
        failures: true,
        heartbeats: 1,
        clearing: false,
        ..elections_of(2, 2)
    },
    states: 114_894,
    marks: &[
        Mark::AppendOfOldTerm,
        Mark::LateReply,
        Mark::AppendFailed,
        Mark::DeposedWithCallers,
        Mark::ReadAnswered,
    ],
};

/// Two servers, every timer and every pre-vote for itself, all messages kept.
pub(crate) const PAIR_WITH_FREE_ELECTIONS: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1],
        elections: Elections::Free { ballots: 2 },
        clearing: false,
        ..elections_of(2, 2)
    },
    states: 32_454,
    marks: &[Mark::SplitVote, Mark::LateReply, Mark::ToldTrue, Mark::PreVoteRefused],
};

/// Three servers, every timer and every pre-vote for itself.
pub(crate) const TRIO_WITH_FREE_ELECTIONS: Configuration = Configuration {
    bounds: Bounds { elections: Elections::Free { ballots: 2 }, ..elections_of(3, 2) },
    states: 19_472,
    marks: &[Mark::SplitVote, Mark::TwoLeaders, Mark::VoteRefusedForVote, Mark::PreVoteRefused],
};

/// Three servers, of which one crashes, all messages kept; one leader at most.
pub(crate) const TRIO_WITH_ALL_MESSAGES: Configuration = Configuration {
    bounds: Bounds { versions: &[1], crashes: 1, clearing: false, ..elections_of(3, 1) },
    states: 364_603,
    marks: &[Mark::SplitVote, Mark::VoteRefusedForVote, Mark::LeaderCrashed, Mark::ToldTrue],
};

/// Three servers, of which one crashes, while nobody calls.
pub(crate) const TRIO_WITH_CRASH: Configuration = Configuration {
    bounds: Bounds { crashes: 1, ..elections_of(3, 2) },
    states: 106_969,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::VoteRefusedForLog,
        Mark::AppendRefused,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
    ],
};

/// Three servers and a caller who may find a leader whose time is over.
pub(crate) const TRIO_WITH_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], ..elections_of(3, 2) },
    states: 264_944,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::TwoLeaders,
        Mark::LateReply,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::ToldOverwritten,
        Mark::ToldUnknown,
    ],
};

/// Three servers, a reader and a writer, one leader at most.
pub(crate) const TRIO_WITH_READ: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, ..elections_of(3, 1) },
    states: 118_738,
    marks: &[Mark::ToldTrue, Mark::EarlyRead, Mark::ReadAnswered],
};

/// Three servers whose appends fail, one leader at most.
pub(crate) const TRIO_WITH_FAILURES: Configuration = Configuration {
    bounds: Bounds { failures: true, heartbeats: 1, ..elections_of(3, 1) },
    states: 71_528,
    marks: &[Mark::AppendFailed],
};

/// Three servers in three terms.
pub(crate) const TRIO_IN_THREE_TERMS: Configuration = Configuration {
    bounds: elections_of(3, 3),
    states: 361_236,
    marks: &[Mark::ConflictTruncated, Mark::Figure8, Mark::TwoLeaders, Mark::SplitVote],
};

/// Four servers, of which a majority is three.
pub(crate) const FOUR: Configuration = Configuration {
    bounds: elections_of(4, 2),
    states: 174_229,
    marks: &[Mark::ConflictTruncated, Mark::Figure8, Mark::TwoLeaders, Mark::VoteRefusedForLog],
};

/// The whole: three servers, two terms, two updates of the same file and version, one crash.
pub(crate) const WHOLE: Configuration = Configuration {
    bounds: Bounds { versions: &[1, 1], crashes: 1, ..elections_of(3, 2) },
    states: 42_793_220,
    marks: &[
        Mark::ConflictTruncated,
        Mark::Figure8,
        Mark::SplitVote,
        Mark::TwoLeaders,
        Mark::VoteRefusedForLog,
        Mark::VoteRefusedForVote,
        Mark::AppendRefused,
        Mark::AppendOfOldTerm,
        Mark::LateReply,
        Mark::DeposedWithCallers,
        Mark::LeaderCrashed,
        Mark::CandidateCrashed,
        Mark::FollowerCrashed,
        Mark::ToldTrue,
        Mark::ToldFalse,
        Mark::ToldOverwritten,
        Mark::ToldUnknown,
    ],
};

/// Three servers, two terms, a writer and a reader, who may each find a leader whose time is over.
pub(crate) const TRIO_WITH_READ_AND_UPDATE: Configuration = Configuration {
    bounds: Bounds { versions: &[1], reads: 1, ..elections_of(3, 2) },
    states: 6_183_442,
    marks: &[Mark::TwoLeaders, Mark::DeposedWithCallers, Mark::EarlyRead, Mark::ReadAnswered],
};

/// Two servers, two updates, a read, a crash, appends that fail and a heartbeat.
pub(crate) const PAIR_WITH_EVERYTHING: Configuration = Configuration {
    bounds: Bounds {
        versions: &[1, 1],
        reads: 1,
        crashes: 1,
        failures: true,
        heartbeats: 1,
        ..elections_of(2, 2)
    },
    states: 480_512,
    marks: &[
        Mark::AppendFailed,
        Mark::DeposedWithCallers,
        Mark::ToldTrue,
        Mark::ToldFalse,
        Mark::ToldUnknown,
        Mark::EarlyRead,
        Mark::ReadAnswered,
    ],
};
