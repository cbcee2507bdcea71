//! What survives crashes, as MIT tests it in part 3C.
//!
//! `crash()` keeps a server's memory, as MIT's servers keep their disk. The end of a process does not, so only one
//! follower at a time is relaunched, and counts again before the next.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use support::client::{Files, Pending, TRUE};
use support::wait::PATIENCE;

use crate::network::Network;
use crate::settings::{note, number, random};
use crate::way::{Rough, Way};

/// MIT `Persist1`.
#[test]
fn agreement_survives_the_crash_of_all_of_the_leader_and_of_a_follower() {
    let (network, _) = Network::led(3);
    let all = network.running();
    network.one(&all, "a", 1);
    network.crash(&all);
    network.restore(&all);
    network.one(&all, "a", 2);
    let (leader, _) = network.leader_among(&all);
    network.crash(&[leader]);
    network.restore(&[leader]);
    network.one(&all, "a", 3);

    let (leader, _) = network.leader_among(&all);
    network.crash(&[leader]);
    network.one(&network.others(leader), "a", 4);
    network.restore(&[leader]);
    network.one(&all, "a", 5);
    let (leader, _) = network.leader_among(&all);
    let follower = network.others(leader)[0];
    network.crash(&[follower]);
    network.one(&network.others(follower), "a", 6);
    network.restore(&[follower]);
    network.one(&all, "a", 7);
}

/// MIT `Persist2`.
#[test]
fn of_those_restored_the_one_that_has_what_was_agreed_on_leads() {
    let (network, _) = Network::led(5);
    let all = network.running();
    for round in 0..number("ROUNDS", 1) as i64 {
        network.one(&all, "a", 3 * round + 1);
        let (leader, _) = network.leader_among(&all);
        let next = |step| (leader + step) % 5;
        network.crash(&[next(1), next(2)]);
        network.one(&[leader, next(3), next(4)], "a", 3 * round + 2);
        network.crash(&[leader, next(3), next(4)]);
        network.restore(&[next(1), next(2)]);
        // They start an election before the third, and ask it for its vote.
        thread::sleep(Duration::from_millis(1500));
        network.restore(&[next(3)]);
        network.one(&[next(1), next(2), next(3)], "a", 3 * round + 3);
        assert!(network.at(next(3)).is_leader());
        network.restore(&[next(4), leader]);
    }
    network.settle();
}

/// MIT `Persist3`.
#[test]
fn a_leader_that_crashed_and_a_follower_that_lacks_its_updates_agree_without_the_third() {
    let (network, leader) = Network::led(3);
    let all = network.running();
    let [level, behind] = network.others(leader)[..] else { panic!("there are three") };
    network.one(&all, "a", 1);
    network.crash(&[behind]);
    network.one(&[leader, level], "a", 2);
    network.crash(&[leader, level]);
    network.restore(&[behind, leader]);
    network.one(&[behind, leader], "a", 3);
    network.restore(&[level]);
    network.one(&all, "a", 4);
}

/// MIT `Persist1`, as far as is possible without a disk.
#[test]
fn followers_whose_processes_are_relaunched_one_at_a_time_are_brought_level_and_lose_nothing() {
    let (mut network, leader) = Network::led(3);
    let all = network.running();
    network.one(&all, "a", 1);
    let mut version = 1;
    for follower in network.others(leader) {
        network.kill(follower);
        version += 1;
        network.one(&network.others(follower), "a", version);
        network.start([follower]);
        network.await_version(&[follower], "a", version);
        network.await_whole();
    }
    assert_eq!(network.leaders(), [leader]);
    network.one(&all, "a", version + 1);
}

/// The updates that were requested from leaders that were lost soon after, each of its own file.
#[derive(Default)]
struct Asked(Vec<(String, Pending)>);

impl Asked {
    /// Waits for some of the servers to lead, but not for long, requests a few updates from them, and returns these.
    fn ask(&mut self, network: &Network, ids: &[usize]) -> Vec<usize> {
        let start = Instant::now();
        let mut leaders = Vec::new();
        while leaders.is_empty() && start.elapsed() < Duration::from_secs(2) {
            leaders = network.leaders_among(ids);
            thread::sleep(Duration::from_millis(5));
        }
        for id in leaders.repeat(5) {
            let name = format!("{} at {id}", self.0.len());
            let update = network.begin_update(id, &name, 1);
            self.0.push((name, update));
        }
        leaders
    }

    /// Checks that what was accepted is present, and what was refused is not.
    fn check(self, files: &Files) {
        let (asked, mut accepted, mut refused) = (self.0.len(), 0, 0);
        for (name, update) in self.0 {
            match update.answer(PATIENCE) {
                answer if answer == TRUE => {
                    assert!(files.contains_key(&name), "{name} was accepted but is lost");
                    accepted += 1;
                }
                Err(fault) if [1, 2].contains(&fault.code) => {
                    assert!(!files.contains_key(&name), "{name} was refused but is present");
                    refused += 1;
                }
                Err(fault) if fault.code == 3 => {}
                answer => panic!("{name} was answered with {answer:?}"),
            }
        }
        note(&format!("of {asked} updates {accepted} were accepted and {refused} refused"));
    }
}

/// A pause that is mostly short, so that a leader is lost before its entries are everywhere.
fn pause(rng: &mut Rng) {
    let most = if rng.u8(0..10) == 0 { 500 } else { 13 };
    thread::sleep(Duration::from_millis(rng.u64(0..most)));
}

/// MIT `Figure8`.
#[test]
fn leaders_that_crash_right_after_they_took_an_update_lose_nothing_they_acknowledged() {
    let mut rng = random();
    let (network, _) = Network::led(5);
    let all = network.running();
    let (mut up, mut asked) = (all.clone(), Asked::default());
    for _ in 0..number("ROUNDS", 6) {
        let leaders = asked.ask(&network, &up);
        pause(&mut rng);
        network.crash(&leaders);
        up.retain(|id| !leaders.contains(id));
        while up.len() < 3 {
            let back = rng.usize(0..5);
            if !up.contains(&back) {
                network.restore(&[back]);
                up.push(back);
            }
        }
    }
    network.restore(&all);
    network.one(&all, "a", 1);
    asked.check(&network.settle());
}

/// MIT `Figure8Unreliable`.
#[test]
fn leaders_that_are_cut_off_right_after_they_took_an_update_lose_nothing_in_a_bad_network_either() {
    let mut rng = random();
    let (network, _) = Network::led(5);
    let all = network.running();
    let rounds = number("ROUNDS", 5);
    let rough = |late| Way::Rough(Rough { delay: 0..=26, lost: 5, late });
    network.set_all(&rough(0));
    let (mut up, mut asked) = (all.clone(), Asked::default());
    for round in 0..rounds {
        // After a fifth of the time, some messages come too late for those who wait for them, but still arrive.
        let way = rough(if rounds <= 5 * round { 20 } else { 0 });
        let leaders = asked.ask(&network, &up);
        pause(&mut rng);
        for id in leaders {
            if rng.bool() {
                network.isolate(&[id]);
                up.retain(|up| *up != id);
            }
        }
        while up.len() < 3 {
            let back = rng.usize(0..5);
            if !up.contains(&back) {
                up.push(back);
            }
        }
        for from in &up {
            up.iter().for_each(|to| network.proxy.set((*from, *to), way.clone()));
        }
    }
    network.heal();
    network.one(&all, "a", 1);
    asked.check(&network.settle());
}

/// MIT `UnreliableAgree`.
#[test]
fn five_clients_at_once_get_every_version_in_a_bad_network() {
    let (network, _) = Network::led(5);
    let all = network.running();
    network.set_all(&Way::Rough(Rough { delay: 0..=26, lost: 10, late: 0 }));
    let versions = number("ROUNDS", 8) as i64;
    thread::scope(|scope| {
        for client in 0..5 {
            let (network, all) = (&network, &all);
            scope.spawn(move || {
                for version in 1..=versions {
                    network.accepted(all, &format!("{client}"), version);
                }
            });
        }
    });
    let files = network.settle();
    assert_eq!(files.len(), 5);
    assert!(files.values().all(|(version, _)| *version == versions));
}
