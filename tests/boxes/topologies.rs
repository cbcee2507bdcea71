//! Networks in which not every server reaches every other: partial partitions, and the three of Omni-Paxos (§2).

use std::time::Duration;

use support::client::{TRUE, hash};
use support::wait::{ELECTION, holds_for};

use crate::network::Network;
use crate::settings::note;
use crate::way::{Direction, Way};

/// How long a test checks that no leader is elected: a server that hears no leader starts an election after 1.5 s at
/// the latest.
const WATCHED: Duration = Duration::from_secs(2);

/// Checks that a server leads with a majority in time, and returns it.
#[track_caller]
fn led_again(network: &Network, name: &str) -> usize {
    let (leader, took) = network.working_leader(name);
    note(&format!("{name}: an update was accepted after {took:?}"));
    assert!(took <= ELECTION, "{name}: nothing was accepted before {took:?}");
    leader
}

/// The links from one server to others.
fn star(hub: usize, others: &[usize]) -> Vec<Direction> {
    others.iter().map(|other| (hub, *other)).collect()
}

/// The links along a line of servers.
fn line(ids: &[usize]) -> Vec<Direction> {
    ids.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Omni-Paxos' quorum-loss scenario: the leader is alive and reaches the hub, but no majority.
#[test]
fn a_leader_that_reaches_only_the_hub_does_not_keep_the_hub_from_leading() {
    let (network, leader) = Network::led(5);
    network.agree(leader, &network.running(), "a", 1);
    let others = network.others(leader);
    let hub = others[0];
    network.keep_links(&star(hub, &network.others(hub)));
    assert_eq!(led_again(&network, "quorum loss"), hub);
    network.heal();
    led_again(&network, "healed");
    network.settle();
}

/// Omni-Paxos' constrained election: the leader is gone, and of the others only the hub reaches a majority.
#[test]
fn where_only_the_hub_reaches_a_majority_it_leads_if_it_has_what_was_agreed_on() {
    let (network, leader) = Network::led(5);
    network.agree(leader, &network.running(), "a", 1);
    let others = network.others(leader);
    network.keep_links(&star(others[0], &others[1..]));
    assert_eq!(led_again(&network, "constrained election"), others[0]);
    network.settle();
}

/// The same with a hub that lacks an entry: no server both has it and reaches a majority, so Raft can elect none. One
/// more link is enough.
#[test]
fn where_only_a_hub_that_lacks_an_update_reaches_a_majority_nobody_leads_and_nothing_is_lost() {
    let (network, leader) = Network::led(5);
    network.agree(leader, &network.running(), "a", 1);
    let others = network.others(leader);
    let (hub, rest) = (others[0], &others[1..]);
    network.isolate(&[hub]);
    network.agree(leader, &[&[leader], rest].concat(), "a", 2);
    network.keep_links(&star(hub, rest));
    holds_for(WATCHED, "the hub is not elected", || network.leaders_among(&others).is_empty());
    network.keep_links(&[&star(hub, rest)[..], &line(&rest[..2])].concat());
    let elected = led_again(&network, "one link more");
    assert!(rest[..2].contains(&elected));
    assert_eq!(network.settle()["a"], (2, hash("a 2")));
}

/// Omni-Paxos' chained scenario: the leader and another server lose each other, and both reach the third.
#[test]
fn two_of_three_servers_that_lose_each_other_do_not_take_turns_in_leading() {
    let (network, leader) = Network::led(3);
    let [middle, far] = network.others(leader)[..] else { panic!("there are three") };
    let term = network.at(leader).state().term;
    network.keep_links(&line(&[leader, middle, far]));
    holds_for(WATCHED, "the leader stays", || network.at(middle).state().term == term);
    let mut version = 0;
    holds_for(WATCHED, "the leader continues", || {
        version += 1;
        let accepted = network.at(leader).update("a", version, &hash("x")) == TRUE;
        accepted && network.at(leader).state().term == term
    });
    assert!(!network.at(far).is_leader());
    network.heal();
    network.await_version(&[far], "a", version);
    assert_eq!(
        network.at(leader).state().term,
        term,
        "a server that was cut off unseats no leader"
    );
}

/// The same with five: wherever the leader is in the line, a server leads that reaches both neighbours.
#[test]
fn in_a_line_of_five_servers_one_of_the_middle_three_leads() {
    Network::led_for_each(5, &[0, 2], |network, leader, place| {
        let mut ids = network.others(leader);
        ids.insert(place, leader);
        network.keep_links(&line(&ids));
        let elected = led_again(&network, &format!("leader at place {place}"));
        assert!(
            ids[1..4].contains(&elected),
            "a server at the end of the line reaches two of five"
        );
        assert!(place == 0 || elected == leader, "a leader that reaches a majority stays");
        network.settle();
    });
}

#[test]
fn a_follower_that_loses_only_its_leader_unseats_nobody_whichever_way_is_cut() {
    Network::led_for_each(
        5,
        &[(true, false), (false, true), (true, true)],
        |network, leader, cut| {
            let follower = network.others(leader)[0];
            let term = network.at(leader).state().term;
            for (direction, is_cut) in [((leader, follower), cut.0), ((follower, leader), cut.1)] {
                let way = if is_cut { Way::Cut } else { Way::Open };
                network.proxy.set(direction, way);
            }
            // While idle, so that no server could be refused a vote for an entry that it lacks.
            holds_for(WATCHED, "the leader stays", || {
                network.at(leader).state().term == term && network.leaders() == [leader]
            });
            network.agree(leader, &network.others(follower), "a", 1);
            network.heal();
            network.await_version(&[follower], "a", 1);
            assert_eq!(network.at(leader).state().term, term);
        },
    );
}

#[test]
fn a_leader_that_is_heard_but_hears_nobody_is_replaced_and_so_is_one_that_hears_and_is_not_heard() {
    Network::led_for_each(3, &[true, false], |network, leader, is_heard| {
        let others = network.others(leader);
        for other in &others {
            let cut = if is_heard { (*other, leader) } else { (leader, *other) };
            network.proxy.set(cut, Way::Cut);
        }
        let elected = led_again(&network, &format!("heard: {is_heard}"));
        assert!(others.contains(&elected), "a leader that gets no answers commits nothing");
        network.settle();
    });
}
