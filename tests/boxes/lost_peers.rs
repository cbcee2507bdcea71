//! Peers that are dead in different ways: they do not delay the other servers, and the others do not flood them.

use std::thread;
use std::time::{Duration, Instant};

use support::client::{TRUE, hash};

use crate::network::Network;
use crate::settings::{note, number};
use crate::way::Way;

/// The median time of an update of a file that has that version, which is incremented.
fn latency(network: &Network, leader: usize, version: &mut i64) -> Duration {
    let mut took: Vec<_> = (0..101)
        .map(|_| {
            *version += 1;
            let start = Instant::now();
            assert_eq!(network.at(leader).update("a", *version, &hash("x")), TRUE);
            start.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}

#[test]
fn peers_that_swallow_everything_delay_nothing_and_move_no_election() {
    let (network, leader) = Network::led(5);
    let term = network.at(leader).state().term;
    let mut version = 0;
    let before = latency(&network, leader, &mut version);
    for lost in &network.others(leader)[..2] {
        for other in network.others(*lost) {
            network.set_both((*lost, other), &Way::BlackHole);
        }
    }
    let (start, mut after) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < Duration::from_secs(number("QUIET_SECONDS", 3)) {
        after = after.max(latency(&network, leader, &mut version));
    }
    note(&format!("an update takes {before:?}, and {after:?} with two of five black-holed"));
    // Waiting for a heartbeat, or for one to time out, would take 250 ms and more.
    assert!(after <= 2 * before + Duration::from_millis(20), "from {before:?} to {after:?}");
    assert!(network.others(leader)[2..].iter().all(|id| network.at(*id).state().term == term));
    assert!(network.at(leader).is_leader());
    network.settle();
}

#[test]
fn a_peer_whose_port_is_closed_is_tried_ten_times_a_second_at_most() {
    const WATCHED: u32 = 3;
    let mut network = Network::stopped(3);
    network.start_with(0..3, &[("SURFSTORE_LOG", "debug")]);
    let leader = network.leader();
    let lost = network.others(leader)[0];
    network.agree(leader, &network.running(), "a", 1);
    network.others(lost).iter().for_each(|id| network.proxy.refuse((*id, lost)));
    // A line may stand for several.
    let failures = |network: &Network| {
        let written = network.written(leader, "stderr");
        let lines = written.lines().filter(|line| line.contains("it cannot be reached"));
        let repeats =
            |line: &str| line.strip_suffix(" more times)")?.rsplit('(').next()?.parse().ok();
        lines.map(|line| repeats(line).unwrap_or(1)).sum::<usize>()
    };
    let before = failures(&network);
    let start = Instant::now();
    let mut version = 1;
    // While idle, and while there is something to send.
    thread::sleep(Duration::from_secs(WATCHED.into()) / 2);
    while start.elapsed() < Duration::from_secs(WATCHED.into()) {
        version += 1;
        network.agree(leader, &[leader], "a", version);
    }
    // The line of a connection follows the number of repetitions.
    network.others(lost).iter().for_each(|id| network.proxy.accept((*id, lost)));
    network.await_version(&[lost], "a", version);
    let attempts = failures(&network) - before;
    note(&format!("{attempts} attempts to connect in {WATCHED} s, {version} updates meanwhile"));
    assert!((1..=10 * WATCHED as usize).contains(&attempts), "{attempts} in {WATCHED} s");
    assert_eq!(network.leaders(), [leader]);
}
