//! The second part of a run: the faults have stopped, and progress is demanded.

use surfstore::metadata::Files;
use surfstore::raft::{RoleName, ServerId, Status};

use crate::network::{MILLISECOND, SECOND};
use crate::world::World;

/// The longest way of a message in a network in which round trips stay below 30 ms.
pub(crate) const DELAY_MAX: u64 = 15 * MILLISECOND;

/// The longest time until a leader is elected.
pub(crate) const ELECTION_MAX: u64 = 5 * SECOND;

/// What the draws bring about once in tens of thousands of runs: votes that are split again and again.
pub(crate) const LATE: &str = "an election takes more than five seconds";

/// Stops the faults, all but the crash of a minority, and demands what a cluster with a majority owes.
pub(crate) fn check(world: &mut World) {
    world.heal(DELAY_MAX);
    let majority = world.ids().count() / 2 + 1;
    let mut down: Vec<ServerId> = world.ids().filter(|id| !world.is_up(*id)).collect();
    world.rng.shuffle(&mut down);
    while world.up().len() < majority || (!down.is_empty() && world.rng.bool()) {
        world.restore(down.pop().expect("a crashed server"));
    }
    world.run_for(ELECTION_MAX);
    if world.leaders().len() != 1 {
        world.marks.hit(LATE);
        world.run_for(ELECTION_MAX);
    }
    let leader = only_leader(world);
    world.run_for(settling_time(world));
    check_all_is_settled(world);
    check_service(world, leader);
    check_return(world, leader, &down);
    check_traffic(world);
}

/// Whoever comes back finds a leader and does not unseat it, unless it stood in a newer term before it crashed.
fn check_return(world: &mut World, leader: ServerId, down: &[ServerId]) {
    let term = world.server(leader).current_term();
    let newest = down.iter().map(|id| world.server(*id).current_term()).max();
    down.iter().for_each(|id| world.restore(*id));
    world.run_for(ELECTION_MAX + settling_time(world));
    check_all_is_settled(world);
    if newest.is_none_or(|newest| newest <= term) {
        assert!(only_leader(world) == leader, "the leader did not stay");
        assert!(world.server(leader).current_term() == term, "the leader was elected anew");
    }
}

fn only_leader(world: &World) -> ServerId {
    let [leader] = world.leaders()[..] else { panic!("the leaders are {:?}", world.leaders()) };
    leader
}

/// How long a leader may take to bring everyone level: one append of entries after another, where they are large.
fn settling_time(world: &World) -> u64 {
    if world.ballast == 0 { 2 * SECOND } else { 60 * SECOND }
}

/// All logs of running servers are equal and committed to the end, and nobody waits.
fn check_all_is_settled(world: &World) {
    let leader = world.server(only_leader(world));
    for id in world.up() {
        let server = world.server(id);
        let Status { commit_index, last_log, role, .. } = server.status();
        assert!(server.log() == leader.log(), "{id:?} has another log than its leader");
        assert!(commit_index == last_log.index, "{id:?} has not committed everything");
        assert!(role != RoleName::Candidate, "{id:?} still stands for election");
    }
    let waiting: Vec<_> = world.clients.waiting().map(|(call, _)| call).collect();
    assert!(waiting.is_empty(), "{waiting:?} were never answered");
}

/// A fresh update and a fresh read succeed.
fn check_service(world: &mut World, leader: ServerId) {
    let version = world.server(leader).files().version("a") + 1;
    let update = world.update(leader, "a", version);
    world.run_for(SECOND);
    let took_effect = world.history.outcome(update).is_some_and(|(_, effect)| effect);
    assert!(took_effect, "an update with the right version did not take effect");
    world.read(leader);
    world.run_for(SECOND);
    let newest: &Files = world.history.map(world.history.len());
    assert!(newest.version("a") == version, "the update is not in the map");
    check_all_is_settled(world);
}

/// At rest no server receives more than ten requests a second.
fn check_traffic(world: &mut World) {
    world.received.iter_mut().for_each(Vec::clear);
    world.run_for(5 * SECOND);
    for received in &world.received {
        assert!(received.len() <= 50, "{} requests in five seconds at rest", received.len());
    }
}
