//! What is to be had in a network with links of about a millisecond: quick elections, also where some links are cut
//! for good, quicker ones where connections close, quick news, and silence at rest.

use surfstore::raft::{HURRY_SPREAD_MS, ServerId, Status};

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

/// The times of elections after `down` followers have crashed and `loss` has befallen the leader, sorted.
fn election_times(size: u8, down: usize, trials: u64, loss: fn(&mut World, ServerId)) -> Vec<u64> {
    let mut times: Vec<u64> = (0..trials)
        .map(|seed| {
            let mut world = healthy_world(seed, size);
            election_time(&mut world);
            let rest = world.draws.rest(world.now).u64(0..SECOND);
            world.run_for(rest);
            let leader = world.leader().expect("nothing unseats it");
            let others: Vec<_> = world.ids().filter(|id| *id != leader).collect();
            others.iter().take(down).for_each(|id| world.crash(*id));
            loss(&mut world, leader);
            election_time(&mut world)
        })
        .collect();
    times.sort_unstable();
    times
}

/// A leader crashes, and its peers do not learn that it has closed its connections.
fn crash_unnoticed(world: &mut World, leader: ServerId) {
    world.network.unnoticed = 1.0;
    world.crash(leader);
}

/// All followers lose the connections of their leader, which is alive.
fn reset(world: &mut World, leader: ServerId) {
    world.reset_connections(leader, u16::MAX);
}

/// All followers lose the connections of their leader, which does nothing for a minute.
fn reset_and_stall(world: &mut World, leader: ServerId) {
    reset(world, leader);
    world.paused[usize::from(leader.0)] = world.now + 60 * SECOND;
}

/// A leader crashes and is restored at once, as a follower.
fn crash_and_restore(world: &mut World, leader: ServerId) {
    world.crash(leader);
    world.restore(leader);
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
fn a_leader_that_falls_silent_is_replaced_within_five_seconds_and_usually_within_one() {
    for (size, down) in [(3, 0), (5, 0), (5, 1), (10, 0), (10, 3)] {
        let times = election_times(size, down, 1_000, crash_unnoticed);
        let (usual, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        assert!(usual <= SECOND, "half of the elections among {size} take {usual} us");
        assert!(late <= 3 * SECOND / 2, "one in a hundred among {size} takes {late} us");
    }
}

#[test]
fn a_leader_whose_connections_close_is_replaced_within_half_a_second_and_usually_within_a_tenth() {
    for loss in [World::crash, World::end, crash_and_restore] {
        for (size, down) in [(3, 0), (4, 0), (5, 0), (5, 1), (10, 0), (10, 3)] {
            let times = election_times(size, down, 1_000, loss);
            let (usual, late) = (times[times.len() * 95 / 100], times[times.len() - 1]);
            // The time for a turn, a few round trips, and the time until the news has arrived.
            let soon = HURRY_SPREAD_MS * MILLISECOND + 15 * MILLISECOND;
            assert!(usual <= soon, "one in twenty elections among {size} takes {usual} us");
            assert!(late <= SECOND / 2, "an election among {size} takes {late} us");
        }
    }
}

#[test]
fn a_live_leader_keeps_its_role_if_all_followers_lose_its_connections_at_once() {
    for (seed, size) in (0..50).flat_map(|seed| (2..=10).map(move |size| (seed, size))) {
        for updates in [0, 100] {
            let (mut world, leader) = led_world(seed, size);
            let term = world.status(leader).current_term;
            let rest = world.draws.rest(world.now).u64(0..SECOND);
            world.run_for(rest);
            reset(&mut world, leader);
            let end = world.now + SECOND / 5;
            for version in 1..=updates {
                world.update(leader, "a", version, 0);
                world.run_for(2 * MILLISECOND);
            }
            world.run_until(end);
            for id in world.ids() {
                let Status { leader: trusted, current_term, .. } = *world.status(id);
                assert!(trusted == Some(leader), "seed {seed}: {id:?} of {size} has lost it");
                assert!(current_term == term, "seed {seed}: the term of {id:?} of {size} rose");
                assert!(world.hurry(id).is_none(), "seed {seed}: {id:?} of {size} is in a hurry");
            }
        }
    }
}

#[test]
fn a_follower_that_stalls_until_its_leader_gives_up_its_connections_unseats_nobody() {
    for seed in 0..50 {
        let (mut world, leader) = led_world(seed, 5);
        let term = world.status(leader).current_term;
        world.network.resets = 1.0;
        for id in world.ids().filter(|id| *id != leader) {
            world.paused[usize::from(id.0)] = world.now + 2 * SECOND;
            world.run_for(3 * SECOND);
        }
        assert!(world.leaders().eq([leader]), "seed {seed}");
        assert!(world.ids().all(|id| world.status(id).current_term == term), "seed {seed}");
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
fn a_hurry_is_over_within_a_second_and_costs_few_requests() {
    let losses = [reset, reset_and_stall, World::crash, World::end, crash_and_restore];
    for loss in losses {
        for (size, down) in (2..=10).flat_map(|size| (0..size - 1).map(move |down| (size, down))) {
            let (mut world, leader) = led_world(down.into(), size);
            let others: Vec<_> = world.ids().filter(|id| *id != leader).collect();
            others.iter().take(down.into()).for_each(|id| world.crash(*id));
            world.received.iter_mut().for_each(Vec::clear);
            loss(&mut world, leader);
            world.run_for(SECOND);
            let hurries = |id| world.hurry(id).is_some();
            assert!(!world.ids().any(hurries), "a hurry goes on, {down} of {size} down");
            world.run_for(4 * SECOND);
            let most = world.received.iter().map(Vec::len).max().unwrap_or(0);
            assert!(most <= 50, "{most} requests in five seconds, {down} of {size} down");
        }
    }
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
