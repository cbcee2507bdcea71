//! The plan of a run: its faults and calls as a list of steps, drawn from the seed before the run begins.
//!
//! A run has a random subset of the kinds of faults, since some errors show only where others are absent. A step says
//! what is done and with which numbers; the state in which it is done decides what that amounts to. So any step can be
//! left out.

use crate::network::{MILLISECOND, SECOND};

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) size: u8,
    /// How long the faults last, in microseconds.
    pub(crate) time: u64,
    /// In order of time.
    pub(crate) steps: Vec<Step>,
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
    Read {
        asked: Asked,
    },
    /// A caller makes the latest update once more.
    Retry {
        asked: Asked,
    },
    HangUp {
        waiting: u8,
    },
    /// A process ends and another one takes its place: only in runs that are expected to fail.
    Relaunch {
        server: u8,
    },
}

/// Who is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Leader,
    Server(u8),
}

/// A plan that is being drawn.
pub(crate) struct Draft {
    pub(crate) rng: fastrand::Rng,
    pub(crate) time: u64,
    steps: Vec<(u64, Action)>,
}

impl Draft {
    fn add(&mut self, at: u64, action: Action) {
        self.steps.push((at, action));
    }

    /// A number from 1 to `max`, small ones as often as great ones.
    fn some(&mut self, max: f64) -> u64 {
        max.powf(self.rng.f64()).round() as u64
    }

    fn moment(&mut self) -> u64 {
        self.rng.u64(0..self.time)
    }

    /// The beginning or a moment in the midst.
    fn start(&mut self) -> u64 {
        if self.rng.bool() { 0 } else { self.moment() }
    }

    fn server(&mut self) -> u8 {
        // Divisible by every size, so that all servers are drawn equally often.
        self.rng.u8(0..240)
    }

    /// Faults of one kind, each of them undone some time later.
    pub(crate) fn outages(
        &mut self,
        max: f64,
        mut draw: impl FnMut(&mut Draft) -> (Action, Action),
    ) {
        for _ in 0..self.some(max) {
            let (begins, ends) = draw(self);
            let at = self.moment();
            let lasts = self.some(10_000.0) * MILLISECOND;
            self.add(at, begins);
            self.add(at + lasts, ends);
        }
    }
}

/// The kinds of faults.
const KINDS: [fn(&mut Draft); 17] = [
    |draft| {
        let (at, percent) = (draft.start(), draft.rng.u8(1..=30));
        draft.add(at, Action::Loss { percent });
    },
    |draft| {
        let (at, percent) = (draft.start(), draft.rng.u8(1..=50));
        draft.add(at, Action::Duplication { percent });
    },
    |draft| {
        let (at, permille) = (draft.start(), draft.rng.u8(1..=50));
        draft.add(at, Action::Tail { permille });
    },
    |draft| {
        let (at, least, spread) =
            (draft.start(), draft.rng.u64(50..2_000), draft.rng.u64(0..50_000));
        draft.add(at, Action::Delay { least, spread });
    },
    |draft| {
        for _ in 0..draft.rng.u8(1..6) {
            let (at, server, percent) = (draft.start(), draft.server(), draft.rng.u64(50..=200));
            draft.add(at, Action::Clock { server, percent });
        }
    },
    |draft| {
        for _ in 0..draft.some(20.0) {
            let (at, server, time) = (draft.moment(), draft.server(), draft.some(3_000_000.0));
            draft.add(at, Action::Pause { server, time });
        }
    },
    swizzle_clog,
    |draft| {
        draft.outages(20.0, |draft| {
            (Action::CutLink { from: draft.server(), to: draft.server() }, Action::Mend)
        });
    },
    |draft| {
        draft.outages(20.0, |draft| (Action::Isolate { server: draft.server() }, Action::Mend));
    },
    |draft| {
        draft.outages(20.0, |draft| (Action::Split { side: draft.rng.u16(..) }, Action::Mend));
    },
    |draft| draft.outages(10.0, |draft| (Action::Star { hub: draft.server() }, Action::Mend)),
    |draft| draft.outages(10.0, |_| (Action::Ring, Action::Mend)),
    |draft| {
        draft.outages(30.0, |draft| {
            let server = draft.server();
            (Action::Crash { server }, Action::Restore { server })
        });
    },
    |draft| {
        draft.outages(20.0, |_| (Action::CrashLeader, Action::RestoreSome { servers: u16::MAX }));
    },
    |draft| {
        draft.outages(20.0, |draft| {
            let servers = draft.rng.u16(..) | draft.rng.u16(..);
            (Action::CrashSome { servers }, Action::RestoreSome { servers: draft.rng.u16(..) })
        });
    },
    leaders_die_young,
    |draft| {
        for _ in 0..draft.rng.u8(1..5) {
            let server = draft.server();
            draft.add(0, Action::StartLate { server });
            let at = draft.some(5_000.0) * MILLISECOND;
            draft.add(at, Action::Restore { server });
        }
    },
];

/// Servers are clogged one by one, and freed in another order.
fn swizzle_clog(draft: &mut Draft) {
    for _ in 0..draft.some(4.0) {
        let start = draft.moment();
        for _ in 0..draft.rng.u8(2..6) {
            let (at, server) = (start + draft.rng.u64(0..SECOND), draft.server());
            let time = draft.rng.u64(0..3 * SECOND);
            draft.add(at, Action::Clog { server, time });
        }
    }
}

/// Leaders crash within milliseconds of their election, or a little later (the MIT test Figure8).
fn leaders_die_young(draft: &mut Draft) {
    for _ in 0..draft.some(20.0) {
        let at = draft.moment();
        let most = if draft.rng.u8(0..10) == 0 { 500 } else { 12 };
        let time = draft.rng.u64(0..=most * MILLISECOND);
        draft.add(at, Action::Doom { time });
        let back = draft.rng.u64(0..4 * SECOND);
        let servers = draft.rng.u16(..);
        draft.add(at + back, Action::RestoreSome { servers });
    }
}

/// Clients call: mostly a leader, and mostly with a version that may be right.
fn calls(draft: &mut Draft) {
    let ballast = if draft.rng.u8(0..12) == 0 { draft.some(4_194_304.0) as usize } else { 0 };
    for _ in 0..draft.some(600.0) {
        let at = draft.moment();
        let asked = match draft.rng.u8(0..5) {
            0 => Asked::Server(draft.server()),
            _ => Asked::Leader,
        };
        let (file, kind) = (draft.rng.u8(0..3), draft.rng.u8(0..20));
        let action = match kind {
            0 => {
                // Now and then more than may wait.
                let most = if draft.rng.u8(0..20) == 0 { 1_500 } else { 60 };
                Action::Burst { asked, file, count: draft.rng.u16(2..most) }
            }
            1 => Action::Retry { asked },
            2 => Action::HangUp { waiting: draft.rng.u8(..) },
            3..8 => Action::Read { asked },
            _ => {
                let wrong = draft.rng.u8(0..4) == 0;
                let wrong_by = if wrong { draft.rng.i64(-1..=2) } else { 0 };
                // Updates of which an append carries but a few leave followers with a part of what they lack.
                let ballast = if draft.rng.u8(0..4) == 0 { ballast } else { 0 };
                Action::Update { asked, file, wrong_by, ballast }
            }
        };
        draft.add(at, action);
    }
}

impl Plan {
    /// A plan whose size, faults and calls come from the seed; small even sizes are the most frequent.
    pub(crate) fn drawn(seed: u64) -> Plan {
        let mut rng = fastrand::Rng::with_seed(seed);
        let sizes = [1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8, 8, 9, 10, 10];
        let size = rng.choice(sizes).expect("a size");
        let mut draft = Draft { rng, time: 0, steps: Vec::new() };
        draft.time = (2 * SECOND).saturating_mul(draft.some(120.0));
        let share = draft.rng.u8(1..5);
        for kind in KINDS {
            if draft.rng.u8(0..6) < share {
                kind(&mut draft);
            }
        }
        calls(&mut draft);
        Plan::from_draft(seed, size, draft)
    }

    /// A plan of a small cluster in which processes end and are started anew.
    pub(crate) fn of_relaunches(seed: u64) -> Plan {
        let rng = fastrand::Rng::with_seed(seed);
        let mut draft = Draft { rng, time: 20 * SECOND, steps: Vec::new() };
        for _ in 0..draft.some(20.0) {
            let (at, server) = (draft.moment(), draft.server());
            draft.add(at, Action::Relaunch { server });
        }
        calls(&mut draft);
        Plan::from_draft(seed, 3, draft)
    }

    fn from_draft(seed: u64, size: u8, draft: Draft) -> Plan {
        let Draft { time, mut steps, .. } = draft;
        steps.retain(|(at, _)| *at < time);
        steps.sort_by_key(|(at, _)| *at);
        let numbered = |(number, (at, action))| Step { number, at, action };
        Plan { seed, size, time, steps: steps.into_iter().enumerate().map(numbered).collect() }
    }
}
