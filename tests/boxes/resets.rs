//! Connections that are lost although their servers live, and leaders whose process ends.
//!
//! A follower that loses its leader's connections does not wait for silence, but asks that leader as well as the others.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{TRUE, hash, update};
use support::wait::{ELECTION, PATIENCE, wait_until};

use crate::network::Network;

/// Ends all connections, and waits until every follower has sent the leader something, has received something from it,
/// and knows it again. At rest, a follower only sends a request to ask whether the leader leads on.
#[track_caller]
fn reset(network: &Network, leader: usize) {
    let followers = network.others(leader);
    let passed = || -> Vec<_> {
        let both = |id| [(id, leader), (leader, id)];
        let links = followers.iter().copied().flat_map(both);
        links.map(|link| network.proxy.passed(link)).collect()
    };
    let before = passed();
    network.reset();
    wait_until(ELECTION, "every follower asks", || {
        passed().into_iter().zip(&before).all(|(now, before)| *before < now)
    });
    wait_until(ELECTION, "every follower knows the leader", || {
        followers.iter().all(|id| {
            let address = format!("127.0.0.1:{}", network.proxy.port((*id, leader)));
            network.at(*id).state().leader == (*address).into()
        })
    });
}

#[test]
fn a_leader_whose_connections_are_all_lost_leads_on_at_rest_and_under_load() {
    let (network, leader) = Network::led(3);
    let term = network.at(leader).state().term;
    for _ in 0..10 {
        reset(&network, leader);
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..4 {
            let (network, is_over) = (&network, &is_over);
            scope.spawn(move || {
                let name = format!("file {client}");
                let client = network.at(leader).impatient(PATIENCE);
                for version in 1.. {
                    let own = hash(&format!("{name} {version}"));
                    let answer = client.call("surfstore.updatefile", &update(&name, version, &own));
                    assert_eq!(answer, TRUE, "{name} {version}");
                    if is_over.load(Relaxed) {
                        return;
                    }
                }
            });
        }
        for _ in 0..20 {
            reset(&network, leader);
        }
        is_over.store(true, Relaxed);
    });
    assert_eq!(network.leaders(), [leader]);
    assert_eq!(network.at(leader).state().term, term, "no server has entered a new term");
}

/// How long it takes from now on until an update is acknowledged by one of these servers.
fn missed(network: &Network, ids: &[usize], version: i64) -> Duration {
    let start = Instant::now();
    network.accepted(ids, "a", version);
    start.elapsed()
}

#[test]
fn a_leader_whose_process_ends_is_replaced_sooner_than_one_that_falls_silent() {
    let (mut network, mut leader) = Network::led(5);
    let mut ended: Vec<_> = (1..=3)
        .map(|version| {
            network.one(&network.running(), "a", 2 * version - 1);
            network.kill(leader);
            let others = network.others(leader);
            let took = missed(&network, &others, 2 * version);
            network.start([leader]);
            network.await_whole();
            leader = network.leader();
            took
        })
        .collect();
    ended.sort_unstable();
    network.one(&network.running(), "a", 7);
    network.pause(&[leader]);
    let silent = missed(&network, &network.others(leader), 8);
    network.resume(&[leader]);
    assert!(ended[1] < silent / 2, "{ended:?} against {silent:?}");
}
