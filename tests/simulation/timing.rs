//! What is to be had in a network with links of about a millisecond: quick elections, also where some links are cut
//! for good, quick news, and silence at rest.

use surfstore::raft::ServerId;

use crate::network::{MILLISECOND, Network, SECOND};
use crate::recovery::ELECTION_MAX;
use crate::world::World;

fn healthy_world(seed: u64, size: u8) -> World {
    let network = Network::healthy(size, 2 * MILLISECOND);
    World::new(seed, network, size)
}

/// How long a cluster without a leader needs to elect one, in microseconds.
fn election_time(world: &mut World) -> u64 {
    let start = world.now;
    while world.leader().is_none() {
        assert!(world.now - start < ELECTION_MAX, "no leader within five seconds");
        world.run_for(MILLISECOND);
    }
    world.now - start
}

/// The times of elections after the leader and `down` followers have crashed, sorted.
fn election_times(size: u8, down: usize, trials: u64) -> Vec<u64> {
    let mut times: Vec<u64> = (0..trials)
        .map(|seed| {
            let mut world = healthy_world(seed, size);
            election_time(&mut world);
            let rest = world.draws.rest(world.now).u64(0..SECOND);
            world.run_for(rest);
            let leader = world.leader().expect("nothing unseats it");
            let others: Vec<_> = world.ids().filter(|id| *id != leader).collect();
            others.iter().take(down).for_each(|id| world.crash(*id));
            world.crash(leader);
            election_time(&mut world)
        })
        .collect();
    times.sort_unstable();
    times
}

/// The most requests that any server receives within any five seconds of half a minute.
fn most_received(world: &mut World) -> usize {
    world.received.iter_mut().for_each(Vec::clear);
    world.run_for(30 * SECOND);
    let within = |times: &[u64], start: u64| {
        times.iter().filter(|time| (start..start + 5 * SECOND).contains(*time)).count()
    };
    let most = |times: &Vec<u64>| times.iter().map(|start| within(times, *start)).max();
    world.received.iter().filter_map(most).max().unwrap_or(0)
}

#[test]
fn a_crashed_leader_is_replaced_within_five_seconds_and_usually_within_one() {
    for (size, down) in [(3, 0), (5, 0), (5, 1), (10, 0), (10, 3)] {
        let times = election_times(size, down, 1_000);
        let (usual, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        assert!(usual <= SECOND, "half of the elections among {size} take {usual} us");
        assert!(late <= 3 * SECOND / 2, "one in a hundred among {size} takes {late} us");
    }
}

#[test]
fn at_rest_no_server_receives_more_than_ten_requests_a_second() {
    for size in 1..=10 {
        for down in 0..usize::from(size) {
            for leader_goes in [false, true] {
                let most = most_received(&mut world_at_rest(size, down, leader_goes));
                assert!(most <= 50, "{most} requests in five seconds, {down} of {size} down");
            }
        }
    }
}

/// A cluster without callers, of which so many servers crashed a while ago, its leader first or never.
fn world_at_rest(size: u8, down: usize, leader_goes: bool) -> World {
    let mut world = healthy_world(down as u64, size);
    world.run_for(ELECTION_MAX);
    let leader = world.leader().expect("five seconds are enough");
    let mut ids: Vec<ServerId> = world.ids().collect();
    ids.sort_by_key(|id| (*id == leader) != leader_goes);
    ids.iter().take(down).for_each(|id| world.crash(*id));
    world.run_for(ELECTION_MAX);
    world
}

/// A cluster that has had a leader for a while, and its leader.
fn led_world(seed: u64, size: u8) -> (World, ServerId) {
    let mut world = healthy_world(seed, size);
    world.run_for(ELECTION_MAX);
    let leader = world.leader().expect("five seconds are enough");
    (world, leader)
}

#[test]
fn a_server_that_hears_nobody_unseats_nobody() {
    for seed in 0..20 {
        let (mut world, leader) = led_world(seed, 5);
        let term = world.server(leader).current_term();
        let deaf = ServerId((leader.0 + 1) % 5);
        world.ids().for_each(|id| world.network.set_cut(id, deaf, true));
        world.run_for(60 * SECOND);
        world.network.mend();
        world.run_for(SECOND);
        assert!(world.leaders().eq([leader]));
        assert!(world.server(leader).current_term() == term);
    }
}

#[test]
fn a_leader_that_hears_nobody_holds_nobody_back() {
    for seed in 0..20 {
        let (mut world, leader) = led_world(seed, 5);
        world.ids().for_each(|id| world.network.set_cut(id, leader, true));
        world.run_for(ELECTION_MAX);
        assert!(world.leader() != Some(leader), "seed {seed}");
    }
}

#[test]
fn a_server_that_alone_reaches_a_majority_becomes_the_leader() {
    for seed in 0..20 {
        let (mut world, leader) = led_world(seed, 5);
        let hub = ServerId((leader.0 + 1) % 5);
        for (from, to) in world.ids().flat_map(|from| (0..5).map(move |to| (from, ServerId(to)))) {
            world.network.set_cut(from, to, from != hub && to != hub);
        }
        world.run_for(ELECTION_MAX);
        assert!(world.leader() == Some(hub), "seed {seed}");
    }
}

#[test]
fn every_follower_applies_an_update_right_after_its_caller_is_answered() {
    for seed in 0..20 {
        let (mut world, leader) = led_world(seed, 5);
        world.update(leader, "a", 1, 0);
        while 0 < world.clients.waiting().len() {
            world.run_for(MILLISECOND / 10);
        }
        // An append under way is waited for: its reply, and then the news.
        world.run_for(6 * MILLISECOND);
        assert!(world.ids().all(|id| world.server(id).files().version("a") == 1), "seed {seed}");
    }
}
