//! Elections, as MIT tests them in part 3A.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::harness::Cluster;
use support::turns::Turn;
use support::wait::{ELECTION, holds_for};

use crate::network::Network;
use crate::settings::{note, number, random};
use crate::way::{Rough, Way};

/// How long a test checks that a server that is alone is not elected: it starts an election after 1.5 s at the latest.
const ALONE: Duration = Duration::from_secs(2);

/// MIT `InitialElection`.
#[test]
fn every_size_of_cluster_elects_one_leader_in_time_and_keeps_it_while_nothing_happens() {
    let turn = Arc::new(Turn::take());
    let elect = &|size| {
        let mut cluster = Cluster::on("localhost", size, Arc::clone(&turn));
        cluster.start(0..size);
        let start = Instant::now();
        let leader = cluster.leader();
        (leader, start.elapsed(), cluster)
    };
    // Not all at once: a server that the machine does not schedule for 750 ms loses its followers, as it should.
    for sizes in [1..=6, 7..=8, 9..=10] {
        let clusters: Vec<_> = thread::scope(|scope| {
            let starts: Vec<_> = sizes.map(|size| scope.spawn(move || elect(size))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let longest = clusters.iter().map(|(_, took, _)| *took).max();
        note(&format!(
            "the longest of {} first elections at once took {longest:?}",
            clusters.len()
        ));
        let quiet = Duration::from_secs(number("QUIET_SECONDS", 2));
        holds_for(quiet, "the same servers lead", || {
            clusters.iter().all(|(leader, _, cluster)| cluster.leaders() == [*leader])
        });
        for (leader, _, cluster) in &clusters {
            let term = cluster.at(*leader).state().term;
            assert!(1 <= term);
            assert!(cluster.running().iter().all(|id| cluster.at(*id).state().term == term));
        }
    }
}

/// MIT `ReElection`.
#[test]
fn a_leader_that_is_cut_off_is_replaced_and_disturbs_nobody_when_it_returns() {
    let (network, first) = Network::led(3);
    let others = network.others(first);
    network.isolate(&[first]);
    let (second, _) = network.leader_among(&others);
    let term = network.at(second).state().term;
    assert!(network.at(first).is_leader(), "a leader without a majority stays the leader");
    network.connect(&[first]);
    assert_eq!(network.leader_among(&network.running()).0, second);
    assert_eq!(network.at(second).state().term, term);

    let rest = network.others(second);
    network.isolate(&[second, rest[0]]);
    holds_for(ALONE, "one of three elects no leader", || network.leaders_among(&rest).is_empty());
    network.split(&[&rest]);
    let (third, _) = network.leader_among(&rest);
    network.heal();
    assert_eq!(network.leader_among(&network.running()).0, third);
}

/// MIT `ManyElections`.
#[test]
fn whichever_three_of_seven_servers_are_cut_off_the_others_have_a_leader() {
    let mut rng = random();
    let (network, _) = Network::led(7);
    let mut longest = Duration::ZERO;
    for _ in 0..number("ROUNDS", 5) {
        let mut ids = network.running();
        rng.shuffle(&mut ids);
        network.isolate(&ids[..3]);
        let (_, took) = network.leader_among(&ids[3..]);
        longest = longest.max(took);
        network.heal();
    }
    let (_, took) = network.leader_among(&network.running());
    longest = longest.max(took);
    note(&format!("the longest election took {longest:?}"));
    assert!(longest <= ELECTION);
}

/// Elections are designed for round trips of up to 30 ms.
#[test]
fn a_network_that_takes_its_time_moves_no_election() {
    let (network, leader) = Network::led(5);
    let all = network.running();
    let term = network.at(leader).state().term;
    network.set_all(&Way::Rough(Rough { delay: 10..=14, lost: 0, late: 0 }));
    holds_for(ALONE, "the leader stays", || {
        all.iter().all(|id| network.at(*id).state().term == term)
    });
    network.agree(leader, &all, "a", 1);
    network.crash(&[leader]);
    let (_, took) = network.leader_among(&network.others(leader));
    note(&format!("with delays of 10 to 14 ms each way, an election took {took:?}"));
    network.one(&network.others(leader), "a", 2);
}
