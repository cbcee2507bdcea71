//! How plans are drawn: the kinds of faults, each with its own numbers, and the calls.

use crate::network::{MILLISECOND, SECOND};
use crate::plan::{Action, Asked, Step};

/// A plan that is being drawn.
pub(crate) struct Draft {
    pub(crate) rng: fastrand::Rng,
    pub(crate) time: u64,
    steps: Vec<(u64, Action)>,
}

impl Draft {
    /// An empty plan of up to so many times two seconds, short ones as often as long ones.
    pub(crate) fn new(seed: u64, longest: u64) -> Draft {
        let rng = fastrand::Rng::with_seed(seed);
        let mut draft = Draft { rng, time: 0, steps: Vec::new() };
        draft.time = 2 * SECOND * draft.some(longest as f64);
        draft
    }

    /// Adds a random subset of the kinds of faults: sometimes few of them, sometimes most.
    pub(crate) fn faults(&mut self) {
        let share = self.rng.u8(1..5);
        for kind in KINDS {
            if self.rng.u8(0..6) < share {
                kind(self);
            }
        }
    }

    /// Adds processes that end and are started anew.
    pub(crate) fn relaunches(&mut self) {
        for _ in 0..self.some(20.0) {
            let (at, server) = (self.moment(), self.server());
            self.add(at, Action::End { server });
            self.add(at, Action::Launch { server });
        }
    }

    /// Draws which servers have disks: in one run of three all, in some others a part. Adds what happens to disks, and
    /// some updates while it happens. All this is drawn apart, so plans without disks are the same as without this.
    pub(crate) fn disks(&mut self) -> u16 {
        let seed = self.rng.u64(..);
        let rng = std::mem::replace(&mut self.rng, fastrand::Rng::with_seed(seed));
        let disks = match self.rng.u8(0..12) {
            0..4 => u16::MAX,
            4 => self.rng.u16(..),
            _ => 0,
        };
        if disks != 0 {
            let share = self.rng.u8(1..5);
            for kind in DISK_KINDS {
                if self.rng.u8(0..6) < share {
                    kind(self);
                }
            }
        }
        self.rng = rng;
        disks
    }

    /// Adds calls by clients: mostly of a leader, and mostly with a version that may be right.
    pub(crate) fn calls(&mut self) {
        let ballast = if self.rng.u8(0..12) == 0 { self.some(2_097_152.0) as usize } else { 0 };
        for _ in 0..self.some(600.0) {
            let at = self.moment();
            let asked = match self.rng.u8(0..5) {
                0 => Asked::Server(self.server()),
                _ => Asked::Leader,
            };
            let (file, kind) = (self.rng.u8(0..3), self.rng.u8(0..22));
            let action = match kind {
                0 => {
                    // Now and then more than may wait.
                    let most = if self.rng.u8(0..100) == 0 { 1_500 } else { 30 };
                    Action::Burst { asked, file, count: self.rng.u16(2..most) }
                }
                1 => Action::Retry { asked },
                2 => Action::HangUp { waiting: self.rng.u8(..) },
                3..8 => Action::Read { asked },
                8 => Action::Multicall { asked, file, updates: self.rng.u8(1..=6) },
                9 => Action::Question { asked, file },
                _ => {
                    let wrong = self.rng.u8(0..4) == 0;
                    let wrong_by = if wrong { self.rng.i64(-1..=2) } else { 0 };
                    // Updates of which an append carries but a few leave followers with a part of what they lack.
                    let ballast = if self.rng.u8(0..4) == 0 { ballast } else { 0 };
                    Action::Update { asked, file, wrong_by, ballast }
                }
            };
            self.add(at, action);
        }
        if self.rng.u8(0..4) == 0 {
            self.fills();
        }
    }

    /// Adds updates of so many files that a snapshot may take several pieces, and mostly a network in which these take
    /// long to arrive.
    fn fills(&mut self) {
        if self.rng.u8(0..4) != 0 {
            let (at, least) = (self.start(), self.some(150_000.0));
            let spread = self.rng.u64(0..50_000);
            self.add(at, Action::Delay { least, spread });
        }
        for _ in 0..self.some(8.0) {
            let (at, first, count) = (self.moment(), self.rng.u8(0..200), self.rng.u8(1..120));
            self.add(at, Action::Fill { asked: Asked::Leader, first, count });
            if self.rng.bool() {
                self.absence(at);
            }
        }
        for _ in 0..self.some(100.0) {
            let (at, file) = (self.moment(), self.rng.u8(..));
            let update = Action::Update { asked: Asked::Leader, file, wrong_by: 0, ballast: 0 };
            self.add(at, update);
        }
    }

    /// Adds a server that misses what happens at a moment, and perhaps that it or the leader crashes soon after it is
    /// back, while a snapshot is on its way.
    fn absence(&mut self, at: u64) {
        let server = self.server();
        let (begins, ends) = match self.rng.u8(0..3) {
            0 => (Action::Crash { server }, Action::Restore { server }),
            1 => (Action::End { server }, Action::Launch { server }),
            _ => (Action::Isolate { server }, Action::Mend),
        };
        let before = self.some(1_000.0) * MILLISECOND;
        self.add(at.saturating_sub(before), begins);
        let back = at + self.some(3_000.0) * MILLISECOND;
        self.add(back, ends);
        let crash = back + self.some(3_000.0) * MILLISECOND;
        match self.rng.u8(0..4) {
            0 => self.add(crash, Action::Crash { server }),
            1 => self.add(crash, Action::CrashLeader),
            _ => return,
        }
        let restored = crash + self.some(3_000.0) * MILLISECOND;
        self.add(restored, Action::RestoreSome { servers: u16::MAX });
    }

    /// The steps in order of time.
    pub(crate) fn steps(mut self) -> Vec<Step> {
        let time = self.time;
        self.steps.retain(|(at, _)| *at < time);
        self.steps.sort_by_key(|(at, _)| *at);
        let numbered = |(number, (at, action))| Step { number, at, action };
        self.steps.into_iter().enumerate().map(numbered).collect()
    }

    pub(crate) fn add(&mut self, at: u64, action: Action) {
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
    fn outages(&mut self, max: f64, mut draw: impl FnMut(&mut Draft) -> (Action, Action)) {
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
const KINDS: [fn(&mut Draft); 22] = [
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
            draft.add(at, Action::Launch { server });
        }
    },
    |draft| {
        draft.outages(30.0, |draft| {
            let server = draft.server();
            (Action::End { server }, Action::Launch { server })
        });
    },
    |draft| {
        draft.outages(10.0, |draft| {
            let servers = draft.rng.u16(..);
            (Action::EndSome { servers }, Action::LaunchSome { servers: draft.rng.u16(..) })
        });
    },
    |draft| {
        let unnoticed = draft.rng.choice([0, 50, 100]).expect("a chance");
        let (at, late) = (draft.start(), draft.rng.u8(0..=100));
        draft.add(at, Action::Closing { unnoticed, late });
    },
    |draft| {
        let (at, percent) = (draft.start(), draft.rng.u8(1..=100));
        draft.add(at, Action::Resets { percent });
    },
    disconnections,
];

/// What happens to disks, and to servers that have one.
const DISK_KINDS: [fn(&mut Draft); 6] = [
    |draft| {
        draft.outages(30.0, |draft| {
            let servers = 1 << draft.rng.u8(0..10);
            (Action::PowerLoss { servers }, Action::LaunchSome { servers })
        });
    },
    |draft| {
        draft.outages(20.0, |draft| {
            let servers = draft.rng.u16(..);
            (Action::PowerLoss { servers }, Action::LaunchSome { servers: draft.rng.u16(..) })
        });
    },
    power_losses_of_all,
    |draft| {
        for _ in 0..draft.some(40.0) {
            let at = draft.moment();
            let servers = if draft.rng.bool() { 0 } else { draft.rng.u16(..) };
            draft.add(at, Action::PowerLossAtSync { servers });
            let back = at + draft.some(10_000.0) * MILLISECOND;
            draft.add(back, Action::LaunchSome { servers: u16::MAX });
        }
    },
    |draft| {
        draft.outages(10.0, |draft| {
            let server = draft.server();
            (Action::LostDisk { server }, Action::Launch { server })
        });
    },
    |draft| {
        for _ in 0..draft.some(20.0) {
            let (at, time) = (draft.moment(), draft.some(6_000_000.0));
            let whose =
                if draft.rng.bool() { Asked::Leader } else { Asked::Server(draft.server()) };
            draft.add(at, Action::Stall { whose, time });
        }
    },
];

/// All lose power or are killed soon after updates were made, and come back one after another.
fn power_losses_of_all(draft: &mut Draft) {
    for _ in 0..draft.some(20.0) {
        let (at, file, count) = (draft.moment(), draft.rng.u8(0..3), draft.rng.u16(1..10));
        draft.add(at, Action::Burst { asked: Asked::Leader, file, count });
        let lost = at + draft.some(20_000.0);
        let servers = u16::MAX;
        let is_power_loss = draft.rng.bool();
        draft.add(
            lost,
            if is_power_loss { Action::PowerLoss { servers } } else { Action::EndSome { servers } },
        );
        let lasts = draft.some(5_000.0) * MILLISECOND;
        let servers = draft.rng.u16(..);
        draft.add(lost + lasts, Action::LaunchSome { servers });
        let rest = lasts + draft.some(5_000.0) * MILLISECOND;
        draft.add(lost + rest, Action::LaunchSome { servers: u16::MAX });
    }
}

/// Live servers lose connections to one peer, to some, or to all at once: mostly those of a leader.
fn disconnections(draft: &mut Draft) {
    for _ in 0..draft.some(60.0) {
        let at = draft.moment();
        let whose = match draft.rng.u8(0..5) {
            0 => Asked::Server(draft.server()),
            _ => Asked::Leader,
        };
        let peers = match draft.rng.u8(0..3) {
            0 => 1 << draft.rng.u8(0..10),
            1 => draft.rng.u16(..),
            _ => u16::MAX,
        };
        draft.add(at, Action::Disconnect { whose, peers });
    }
}

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
