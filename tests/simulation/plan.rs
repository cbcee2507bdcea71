//! The plan of a run: its faults and calls as a list of steps, drawn from the seed before the run begins.
//!
//! A run has a random subset of the kinds of faults, since some errors show only where others are absent. A step says
//! what is done and with which numbers; the state in which it is done decides what that amounts to. So any step can be
//! left out.

use surfstore::raft::WAITING_MAX;

use crate::draft::Draft;

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) size: u8,
    /// How long the faults last, in microseconds.
    pub(crate) time: u64,
    /// Which processes may end.
    pub(crate) losses: Losses,
    pub(crate) limits: Limits,
    /// In order of time.
    pub(crate) steps: Vec<Step>,
}

/// What bounds the memory of the servers, and which of them have more than memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many calls may wait at each server.
    pub(crate) waiting_max: usize,
    /// Whether each process draws how much of its log it keeps. Otherwise nearly all logs stay whole.
    pub(crate) cuts_logs: bool,
    /// The servers that have a disk.
    pub(crate) disks: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { waiting_max: WAITING_MAX, cuts_logs: false, disks: 0 }
    }
}

/// Which processes may end in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Losses {
    /// So few at a time that nothing acknowledged may be lost.
    Promised,
    /// Any, at any time: what a reachable server knew is to be kept.
    Any,
    /// Any, and each comes back under the incarnation of its predecessor, whose memory it lacks: only in runs that are
    /// expected to fail.
    Unnoticed,
}

/// A step, with its number in the plan that was drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) at: u64,
    pub(crate) action: Action,
}

/// What is done to the world. Servers are named by numbers that are taken modulo the size of the cluster, sets of them
/// by bits, times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Loss {
        percent: u8,
    },
    Duplication {
        percent: u8,
    },
    Tail {
        permille: u8,
    },
    Delay {
        least: u64,
        spread: u64,
    },
    /// Chances that peers never learn that connections have closed, or learn it late.
    Closing {
        unnoticed: u8,
        late: u8,
    },
    /// The chance that a request without an answer costs its sender its only connection.
    Resets {
        percent: u8,
    },
    /// A live server's connections to some of its peers are reset at once.
    Disconnect {
        whose: Asked,
        peers: u16,
    },
    Clock {
        server: u8,
        percent: u64,
    },
    Pause {
        server: u8,
        time: u64,
    },
    Clog {
        server: u8,
        time: u64,
    },
    CutLink {
        from: u8,
        to: u8,
    },
    Isolate {
        server: u8,
    },
    Split {
        side: u16,
    },
    Star {
        hub: u8,
    },
    Ring,
    Mend,
    Crash {
        server: u8,
    },
    CrashLeader,
    /// The next leader crashes so soon after its election.
    Doom {
        time: u64,
    },
    CrashSome {
        servers: u16,
    },
    Restore {
        server: u8,
    },
    RestoreSome {
        servers: u16,
    },
    /// A server is only started at a later step.
    StartLate {
        server: u8,
    },
    Update {
        asked: Asked,
        file: u8,
        wrong_by: i64,
        ballast: usize,
    },
    /// Many update one file.
    Burst {
        asked: Asked,
        file: u8,
        count: u16,
    },
    /// Many files are updated, each once.
    Fill {
        asked: Asked,
        first: u8,
        count: u8,
    },
    Read {
        asked: Asked,
    },
    /// Several updates of one file and several questions in one call.
    Multicall {
        asked: Asked,
        file: u8,
        updates: u8,
    },
    /// What a server answers alone.
    Question {
        asked: Asked,
        file: u8,
    },
    /// A caller makes the latest update once more.
    Retry {
        asked: Asked,
    },
    HangUp {
        waiting: u8,
    },
    /// A process ends, and what it knew is gone.
    End {
        server: u8,
    },
    EndSome {
        servers: u16,
    },
    /// A new process takes the place of one that has ended.
    Launch {
        server: u8,
    },
    LaunchSome {
        servers: u16,
    },
    /// Servers with disks lose power. What is not synced is gone.
    PowerLoss {
        servers: u16,
    },
    /// The same happens during the next sync of any server: to that server, and to these.
    PowerLossAtSync {
        servers: u16,
    },
    /// A process ends, and its disk is lost.
    LostDisk {
        server: u8,
    },
    /// No sync ends on a disk.
    Stall {
        whose: Asked,
        time: u64,
    },
}

/// Who is called, whose connections are reset, or whose disk is stalled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Leader,
    Server(u8),
}

impl Plan {
    /// A plan whose size, faults and calls come from the seed; small even sizes are the most frequent.
    pub(crate) fn drawn(seed: u64) -> Plan {
        let mut draft = Draft::new(seed, 120);
        let sizes = [1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8, 8, 9, 10, 10];
        let size = draft.rng.choice(sizes).expect("a size");
        let losses = draft.rng.choice([Losses::Promised, Losses::Promised, Losses::Any]);
        draft.faults();
        draft.calls();
        let losses = losses.expect("one of them");
        let waiting_max = if draft.rng.u8(0..8) == 0 { 16 } else { WAITING_MAX };
        let cuts_logs = draft.rng.u8(0..4) != 0;
        let disks = draft.disks();
        let limits = Limits { waiting_max, cuts_logs, disks };
        Plan { seed, size, time: draft.time, losses, limits, steps: draft.steps() }
    }

    /// A plan of a small cluster in which processes end and are started anew, and nobody notices: neither by their
    /// incarnations nor by their connections.
    pub(crate) fn of_unnoticed_relaunches(seed: u64) -> Plan {
        let mut draft = Draft::new(seed, 10);
        draft.add(0, Action::Closing { unnoticed: 100, late: 0 });
        draft.relaunches();
        draft.calls();
        let (losses, limits) = (Losses::Unnoticed, Limits::default());
        Plan { seed, size: 3, time: draft.time, losses, limits, steps: draft.steps() }
    }
}
