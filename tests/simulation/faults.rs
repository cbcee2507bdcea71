//! The first part of a run: faults and callers, drawn from the seed.
//!
//! Which kinds of faults a run has is drawn as well, since some errors show only where others are absent.

use surfstore::raft::{CallId, ServerId};

use crate::network::{MILLISECOND, Network, SECOND};
use crate::world::World;

/// What a run is made of.
pub(crate) struct Plan {
    /// The mean time between two faults and between two calls, in microseconds.
    fault_every: u64,
    call_every: u64,
    cuts: bool,
    crashes: bool,
    /// Leaders crash within milliseconds of their election (the MIT test Figure8).
    storm: bool,
    hang_ups: bool,
    /// How long the faults last, in microseconds.
    time: u64,
}

impl Plan {
    pub(crate) fn drawn(rng: &mut fastrand::Rng) -> Plan {
        Plan {
            fault_every: rng.u64(20..1_500) * MILLISECOND,
            call_every: rng.u64(2..100) * MILLISECOND,
            cuts: rng.u8(0..4) != 0,
            crashes: rng.u8(0..4) != 0,
            storm: rng.u8(0..5) == 0,
            hang_ups: rng.bool(),
            time: rng.u64(2..16) * SECOND,
        }
    }

    /// Lets the world go on under faults and calls.
    pub(crate) fn run(&self, world: &mut World) {
        let (mut next_fault, mut next_call) = (0, 0);
        while world.now < self.time {
            world.run_until(next_fault.min(next_call));
            if next_fault <= world.now {
                self.fault(world);
                next_fault = world.now + self.draw_time(world, self.fault_every);
            }
            if next_call <= world.now {
                self.call(world);
                next_call = world.now + world.rng.u64(0..=2 * self.call_every);
            }
        }
    }

    fn draw_time(&self, world: &mut World, mean: u64) -> u64 {
        if self.storm && world.rng.u8(0..10) != 0 {
            return world.rng.u64(0..=12 * MILLISECOND);
        }
        world.rng.u64(0..=2 * mean)
    }

    fn fault(&self, world: &mut World) {
        let server = draw(world);
        match world.rng.u8(0..12) {
            0 | 1 if self.cuts => {
                let (to, cut) = (draw(world), world.rng.u8(0..4) != 0);
                world.network.set_cut(server, to, cut);
            }
            2 if self.cuts => isolate(world, server),
            3 if self.cuts => cut_in_two(world),
            4 if self.cuts => keep_only_hub(world, server),
            5 if self.cuts => world.network.heal(),
            6 if self.crashes => world.crash(server),
            7 if self.crashes || self.storm => {
                let leader = world.leader().unwrap_or(server);
                world.crash(leader);
            }
            8 if self.crashes => crash_many(world),
            9 | 10 => world.restore(server),
            11 => world.ids().for_each(|id| world.restore(id)),
            _ => {}
        }
    }

    /// A client calls: mostly a leader, and mostly with a version that may be right.
    fn call(&self, world: &mut World) {
        let anyone = draw(world);
        let leaders = world.leaders();
        let pick = world.rng.usize(0..leaders.len().max(1));
        let leader = leaders.get(pick).copied().unwrap_or(anyone);
        let server = if world.rng.u8(0..5) == 0 { anyone } else { leader };
        if self.hang_ups && world.rng.u8(0..5) == 0 {
            let gone: Vec<CallId> = world.clients.waiting().map(|(call, _)| *call).collect();
            if let Some(call) = world.rng.choice(gone) {
                world.hang_up(call);
            }
        }
        for _ in 0..if world.rng.u8(0..20) == 0 { 20 } else { 1 } {
            if world.rng.u8(0..3) == 0 {
                world.read(server);
            } else {
                let name = *["a", "b", "c"].get(world.rng.usize(0..3)).expect("one of three");
                let wrong = if world.rng.u8(0..4) == 0 { world.rng.i64(-1..=2) } else { 0 };
                let version = world.server(server).files().version(name) + 1 + wrong;
                world.update(server, name, version);
            }
        }
    }
}

fn draw(world: &mut World) -> ServerId {
    let ids: Vec<_> = world.ids().collect();
    world.rng.choice(ids).expect("at least one server")
}

fn isolate(world: &mut World, server: ServerId) {
    for other in world.ids() {
        world.network.set_cut(server, other, true);
        world.network.set_cut(other, server, true);
    }
}

fn cut_in_two(world: &mut World) {
    let side: Vec<bool> = world.ids().map(|_| world.rng.bool()).collect();
    between_all(world, |from, to| side[usize::from(from.0)] != side[usize::from(to.0)]);
}

/// Everyone reaches the hub and nobody else.
fn keep_only_hub(world: &mut World, hub: ServerId) {
    between_all(world, |from, to| from != hub && to != hub);
}

fn between_all(world: &mut World, cut: impl Fn(ServerId, ServerId) -> bool) {
    for from in world.ids() {
        for to in world.ids() {
            world.network.set_cut(from, to, cut(from, to));
        }
    }
}

fn crash_many(world: &mut World) {
    for id in world.ids() {
        if world.rng.bool() {
            world.crash(id);
        }
    }
}

/// A world whose size, network and plan come from the seed; small even sizes are the most frequent.
pub(crate) fn drawn_world(seed: u64) -> (World, Plan) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let sizes = [1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8, 9, 10];
    let size = rng.choice(sizes).expect("a size");
    let network = Network::drawn(&mut rng, size);
    let plan = Plan::drawn(&mut rng);
    let ballast = if rng.u8(0..6) == 0 { rng.usize(0..4 << 20) } else { 0 };
    let mut world = World::new(rng, network, size);
    world.seed = Some(seed);
    world.ballast = ballast;
    (world, plan)
}
