//! The first part of a run: the steps of its plan are done to the world.

use surfstore::raft::{CallId, ServerId};

use crate::clients::Kind;
use crate::marks::Mark;
use crate::plan::{Action, Asked, Losses, Plan};
use crate::world::World;

impl World {
    /// Lets the world go on under the faults and calls of the plan.
    pub(crate) fn suffer(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.run_until(step.at);
            self.note(|| format!("step {}: {:?}", step.number, step.action));
            self.act(step.action);
        }
        self.run_until(plan.time);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Loss { percent } => self.network.loss = f64::from(percent) / 100.0,
            Action::Duplication { percent } => {
                self.network.duplication = f64::from(percent) / 100.0;
            }
            Action::Tail { permille } => self.network.tail = f64::from(permille) / 1000.0,
            Action::Delay { least, spread } => {
                self.marks.hit(Mark::SlowLinks);
                self.network.delay = (least, spread);
            }
            Action::Closing { unnoticed, late } => {
                self.network.unnoticed = f64::from(unnoticed) / 100.0;
                self.network.late = f64::from(late) / 100.0;
            }
            Action::Resets { percent } => self.network.resets = f64::from(percent) / 100.0,
            Action::Disconnect { whose, peers } => {
                if let Some(server) = self.asked(whose) {
                    self.marks.hit(Mark::Reset);
                    self.reset_connections(server, peers);
                }
            }
            Action::Clock { server, percent } => {
                self.marks.hit(if percent < 100 { Mark::FastClock } else { Mark::SlowClock });
                self.set_clock(ServerId(server % self.size()), percent);
            }
            Action::Pause { server, time } => {
                self.marks.hit(Mark::Pause);
                let slot = self.slot(server);
                self.paused[slot] = self.paused[slot].max(self.now + time);
            }
            Action::Clog { server, time } => {
                self.marks.hit(Mark::SwizzleClog);
                let slot = self.slot(server);
                self.clogged[slot] = self.clogged[slot].max(self.now + time);
            }
            Action::CutLink { .. }
            | Action::Isolate { .. }
            | Action::Split { .. }
            | Action::Star { .. }
            | Action::Ring
            | Action::Mend => self.cut(action),
            Action::Crash { .. }
            | Action::CrashLeader
            | Action::Doom { .. }
            | Action::CrashSome { .. }
            | Action::Restore { .. }
            | Action::RestoreSome { .. } => self.crash_or_restore(action),
            Action::StartLate { .. }
            | Action::End { .. }
            | Action::EndSome { .. }
            | Action::Launch { .. }
            | Action::LaunchSome { .. } => self.end_or_launch(action),
            Action::PowerLoss { servers } => self.lose_power_of(servers),
            Action::PowerLossAtSync { servers } => self.disks.trap = Some(servers),
            Action::LostDisk { server } => self.lose_disk(ServerId(server % self.size())),
            Action::Stall { whose, time } => {
                if let Some(server) = self.asked(whose) {
                    self.stall(server, time);
                }
            }
            Action::Update { .. }
            | Action::Burst { .. }
            | Action::Fill { .. }
            | Action::Read { .. }
            | Action::Multicall { .. }
            | Action::Question { .. }
            | Action::Retry { .. }
            | Action::HangUp { .. } => self.call(action),
        }
    }

    fn slot(&self, server: u8) -> usize {
        usize::from(server % self.size())
    }

    fn cut(&mut self, action: Action) {
        let size = self.size();
        match action {
            Action::CutLink { from, to } => {
                self.marks.hit(Mark::OneWayCut);
                self.network.set_cut(ServerId(from % size), ServerId(to % size), true);
            }
            Action::Isolate { server } => {
                self.marks.hit(Mark::Isolation);
                let alone = server % size;
                self.network.cut_where(|from, to| from == alone || to == alone);
            }
            Action::Split { side } => {
                self.marks.hit(Mark::Split);
                self.network.cut_where(|from, to| (side >> from) & 1 != (side >> to) & 1);
            }
            Action::Star { hub } => {
                self.marks.hit(Mark::Star);
                self.network.cut_where(|from, to| from != hub % size && to != hub % size);
            }
            Action::Ring => {
                self.marks.hit(Mark::Ring);
                let near = move |from, to| (from + 1) % size == to || (to + 1) % size == from;
                self.network.cut_where(|from, to| !near(from, to));
            }
            _ => self.network.mend(),
        }
    }

    fn crash_or_restore(&mut self, action: Action) {
        let bits = |servers: u16| move |id: &ServerId| (servers >> id.0) & 1 == 1;
        match action {
            Action::CrashLeader => {
                if let Some(leader) = self.leader() {
                    self.operate(leader, World::crash);
                }
            }
            Action::Doom { time } => self.doom = Some(time),
            Action::CrashSome { servers } => {
                let before = self.up();
                self.ids().filter(bits(servers)).for_each(|id| self.operate(id, World::crash));
                if self.majority() <= before && self.up() < self.majority() {
                    self.marks.hit(Mark::CrashOfMany);
                }
            }
            Action::RestoreSome { servers } => {
                self.ids().filter(bits(servers)).for_each(|id| self.operate(id, World::restore));
            }
            Action::Crash { server } => {
                self.operate(ServerId(server % self.size()), World::crash);
            }
            Action::Restore { server } => {
                self.operate(ServerId(server % self.size()), World::restore);
            }
            other => unreachable!("{other:?} is something else"),
        }
    }

    fn end_or_launch(&mut self, action: Action) {
        let bits = |servers: u16| move |id: &ServerId| (servers >> id.0) & 1 == 1;
        match action {
            Action::StartLate { server } => {
                // The process begins later, and nothing of its predecessor has been seen.
                self.marks.hit(Mark::StagedStart);
                self.end(ServerId(server % self.size()));
            }
            Action::End { server } => self.lose(ServerId(server % self.size())),
            Action::EndSome { servers } => {
                self.ids().filter(bits(servers)).for_each(|id| self.lose(id));
            }
            Action::Launch { server } => self.launch(ServerId(server % self.size())),
            Action::LaunchSome { servers } => {
                self.ids().filter(bits(servers)).for_each(|id| self.launch(id));
            }
            other => unreachable!("{other:?} is something else"),
        }
    }

    /// Ends a process, if the run may lose it. What it has on a disk is not lost.
    fn lose(&mut self, id: ServerId) {
        if self.disks.disk(id).is_some() || self.may_lose(id) {
            self.end(id);
        }
    }

    /// Whether the run may lose what that server knows.
    pub(crate) fn may_lose(&self, id: ServerId) -> bool {
        self.losses != Losses::Promised || self.can_lose(id)
    }

    /// Nobody reaches a server that stands still, or whose process has ended.
    fn operate(&mut self, id: ServerId, operation: fn(&mut World, ServerId)) {
        if !self.is_paused(id) && self.has_process(id) {
            operation(self, id);
        }
    }

    fn call(&mut self, action: Action) {
        match action {
            Action::Update { asked, file, wrong_by, ballast } => {
                self.heavy |= 0 < ballast;
                let Some(server) = self.asked(asked) else { return };
                let name = name_of(file);
                let version = self.server(server).files().version(&name) + 1 + wrong_by;
                self.update(server, &name, version, ballast);
                self.latest = Some((name, version));
            }
            Action::Burst { asked, file, count } => {
                self.marks.hit(Mark::Burst);
                let Some(server) = self.asked(asked) else { return };
                let name = name_of(file);
                let version = self.server(server).files().version(&name) + 1;
                // Pairs ask for the same version: one of each is refused.
                for number in 0..i64::from(count) {
                    self.update(server, &name, version + number / 2, 0);
                }
            }
            Action::Fill { asked, first, count } => {
                let Some(server) = self.asked(asked) else { return };
                for file in first..first.saturating_add(count) {
                    let name = name_of(file);
                    let version = self.server(server).files().version(&name) + 1;
                    self.update(server, &name, version, 0);
                }
            }
            Action::Read { asked } => {
                let Some(server) = self.asked(asked) else { return };
                self.read(server);
            }
            Action::Multicall { asked, file, updates } => {
                let Some(server) = self.asked(asked) else { return };
                let name = name_of(file);
                let version = self.server(server).files().version(&name) + 1;
                self.multicall(server, &name, version, updates);
            }
            Action::Question { asked, file } => {
                let Some(server) = self.asked(asked) else { return };
                self.question(server, &name_of(file));
            }
            Action::Retry { asked } => {
                let (Some(server), Some((name, version))) =
                    (self.asked(asked), self.latest.clone())
                else {
                    return;
                };
                self.marks.hit(Mark::Retry);
                self.update(server, &name, version, 0);
            }
            Action::HangUp { waiting } => {
                let count = self.clients.waiting().len().max(1);
                let gone = self.clients.waiting().nth(usize::from(waiting) % count);
                let gone: Option<(CallId, ServerId)> =
                    gone.map(|(call, waiting)| (*call, waiting.server));
                if let Some((call, server)) = gone
                    && !self.is_paused(server)
                {
                    self.marks.hit(match self.clients.get(call).map(|waiting| &waiting.kind) {
                        Some(Kind::Multicall(_)) => Mark::AbandonedMulticall,
                        _ => Mark::HangUp,
                    });
                    self.hang_up(call);
                }
            }
            other => unreachable!("{other:?} is no call"),
        }
    }

    /// The server that is called, if it does not stand still.
    fn asked(&self, asked: Asked) -> Option<ServerId> {
        let server = match asked {
            Asked::Leader => self.leader().unwrap_or(ServerId(0)),
            Asked::Server(server) => ServerId(server % self.size()),
        };
        (!self.is_paused(server) && self.has_process(server)).then_some(server)
    }
}

/// The name of a file: `a` to `z`, then `a1` to `z1` and so on.
fn name_of(file: u8) -> String {
    let letter = char::from(b'a' + file % 26);
    match file / 26 {
        0 => letter.to_string(),
        number => format!("{letter}{number}"),
    }
}
