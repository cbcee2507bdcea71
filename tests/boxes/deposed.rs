//! Leaders that have been replaced and do not know it: cut off, or suspended for a while by the system.
//!
//! Every call to them gets a correct answer or none.

use std::thread;
use std::time::Duration;

use support::client::{Pending, TRUE, assert_fault, hash};
use support::wait::{PATIENCE, SEVERAL_ELECTIONS, holds_for, wait_until};

use crate::network::Network;
use crate::outcomes::{assert_lost, assert_not_stale};
use crate::way::Way;

/// How long a test checks that a leader without a majority answers nothing.
const SILENT: Duration = Duration::from_secs(2);

fn begin_read(network: &Network, id: usize) -> Pending {
    network.at(id).begin("surfstore.getfileinfomap", &[])
}

#[test]
fn a_deposed_leader_answers_no_read_from_memory_whichever_way_it_was_cut_off() {
    Network::led_for_each(
        3,
        &[(true, true), (true, false), (false, true)],
        |network, leader, cut| {
            let (deaf, mute) = cut;
            network.one(&network.running(), "a", 1);
            let others = network.others(leader);
            for other in &others {
                for (direction, is_cut) in [((*other, leader), deaf), ((leader, *other), mute)] {
                    let way = if is_cut { Way::Cut } else { Way::Open };
                    network.proxy.set(direction, way);
                }
            }
            let early = begin_read(&network, leader);
            network.one(&others, "a", 2);
            let late = begin_read(&network, leader);
            let lost = network.begin_update(leader, "lost", 1);
            // A leader whose messages are lost, but which receives, learns that it is deposed.
            if deaf {
                holds_for(SILENT, "the deposed leader answers nothing", || {
                    [&early, &late, &lost].into_iter().all(Pending::is_blocked)
                });
            }
            network.heal();
            assert_not_stale(early.answer(PATIENCE), "a", 1);
            assert_not_stale(late.answer(PATIENCE), "a", 2);
            assert_lost(&lost.answer(PATIENCE));
            let files = network.settle();
            assert_eq!(files.keys().collect::<Vec<_>>(), ["a"]);
        },
    );
}

#[test]
fn a_deposed_leader_that_cannot_learn_what_became_of_an_update_says_that_it_is_unknown() {
    let (network, leader) = Network::led(3);
    network.one(&network.running(), "a", 1);
    let [next, other] = network.others(leader)[..] else { panic!("there are three") };
    // One follower stores the update but cannot acknowledge it; then it leads the other, and commits the update.
    network.proxy.set((next, leader), Way::Cut);
    network.set_both((leader, other), &Way::Cut);
    let update = network.begin_update(leader, "taken", 1);
    let last = |id| network.at(id).state().last_log;
    wait_until(PATIENCE, "the follower stores the update", || {
        last(next) == last(leader) && last(other) < last(next)
    });
    network.proxy.set((leader, next), Way::Cut);
    assert_eq!(network.leader_among(&[next, other]).0, next, "the other lacks the update");
    network.await_version(&[next, other], "taken", 1);
    assert!(update.is_blocked());
    // The other tells the old leader that its term is over, and nothing else.
    network.set_both((leader, other), &Way::Open);
    assert_fault(&update.answer(SILENT), 3, "outcome unknown");
    assert!(network.settle().contains_key("taken"));
}

#[test]
fn a_leader_that_was_paused_answers_no_read_from_memory_and_loses_no_update_it_accepts() {
    let (mut network, _) = Network::led(3);
    let all = network.running();
    let mut version = 0;
    for round in 0..2 {
        version += 1;
        network.one(&all, "a", version);
        let (leader, _) = network.leader_among(&all);
        let others = network.others(leader);
        network.pause(&[leader]);
        // These wait in its sockets until it wakes up.
        let early = begin_read(&network, leader);
        let update = network.begin_update(leader, &format!("paused {round}"), 1);
        version += 1;
        network.one(&others, "a", version);
        let (other, term) = (others[0], network.at(others[0]).state().term);
        let late = begin_read(&network, leader);
        network.resume(&[leader]);
        assert_not_stale(early.answer(PATIENCE), "a", version - 1);
        assert_not_stale(late.answer(PATIENCE), "a", version);
        let accepted = update.answer(PATIENCE);
        let files = network.settle();
        assert_eq!(files["a"], (version, hash(&format!("a {version}"))));
        if accepted == TRUE {
            assert!(files.contains_key(&format!("paused {round}")), "it was accepted but is lost");
        } else if assert_lost(&accepted) {
            assert!(
                !files.contains_key(&format!("paused {round}")),
                "it was refused but is present"
            );
        }
        assert_eq!(
            network.at(other).state().term,
            term,
            "a server that wakes up unseats no leader"
        );
    }
}

#[test]
fn one_paused_follower_delays_nothing_without_both_callers_wait_and_no_leader_is_unseated() {
    let (mut network, leader) = Network::led(3);
    let followers = network.others(leader);
    let term = network.at(leader).state().term;
    network.agree(leader, &network.running(), "a", 1);
    network.pause(&followers[..1]);
    for version in 2..=10 {
        network.agree(leader, &[leader, followers[1]], "a", version);
    }
    thread::sleep(SEVERAL_ELECTIONS / 2);
    network.resume(&followers[..1]);
    network.await_version(&followers, "a", 10);

    network.pause(&followers);
    let update = network.begin_update(leader, "a", 11);
    let read = begin_read(&network, leader);
    holds_for(SILENT, "the callers wait", || update.is_blocked() && read.is_blocked());
    assert!(network.at(leader).is_leader());
    network.resume(&followers[1..]);
    assert_eq!(update.answer(SILENT), TRUE);
    assert_not_stale(read.answer(SILENT), "a", 10);
    network.resume(&followers[..1]);
    network.await_version(&followers, "a", 11);
    assert_eq!(network.at(leader).state().term, term, "a server that wakes up unseats no leader");
}
