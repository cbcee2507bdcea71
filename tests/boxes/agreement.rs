//! Agreement, as MIT tests it in part 3B.

use std::thread;
use std::time::{Duration, Instant};

use support::client::{FALSE, Pending, TRUE, hash};
use support::wait::{PATIENCE, holds_for, wait_until};
use surfstore::value::Value;

use crate::network::Network;
use crate::outcomes::assert_lost;
use crate::settings::note;

/// How long a test checks that nothing is committed.
const NOTHING: Duration = Duration::from_secs(2);

/// The time within which a blocked client is answered once the majority is back.
const ANSWERED: Duration = Duration::from_secs(2);

/// Checks for a while that these calls stay blocked, and that no server shows the file.
#[track_caller]
fn nothing_is_committed(network: &Network, blocked: &[&Pending], name: &str, version: i64) {
    holds_for(NOTHING, "nothing is committed", || {
        let unseen = |id| network.at(id).version(name) == version;
        blocked.iter().all(|call| call.is_blocked()) && network.running().into_iter().all(unseen)
    });
}

/// Starts updates, each of its own file, all of them for version 1.
fn begin_updates(
    network: &Network,
    id: usize,
    names: impl Iterator<Item = String>,
) -> Vec<Pending> {
    names.map(|name| network.begin_update(id, &name, 1)).collect()
}

/// MIT `BasicAgree`.
#[test]
fn three_updates_are_versions_one_two_and_three_everywhere_and_nothing_is_there_before() {
    let (network, leader) = Network::led(3);
    for version in 1..=3 {
        let before = |id: &usize| network.at(*id).version("a") == version - 1;
        assert!(network.running().iter().all(before), "the entry of the term must not be visible");
        network.agree(leader, &network.running(), "a", version);
    }
    assert_eq!(network.at(leader).files().unwrap().len(), 1);
}

/// MIT `RPCBytes`.
#[test]
fn every_update_is_sent_to_each_follower_once() {
    const UPDATES: usize = 10;
    const BYTES: usize = 5000;
    let (network, leader) = Network::led(3);
    network.agree(leader, &network.running(), "a", 1);
    let passed = || -> usize {
        let others = network.others(leader);
        others.iter().map(|id| network.proxy.passed((leader, *id))).sum()
    };
    let before = passed();
    for version in 2..2 + UPDATES as i64 {
        let own = hash(&"x".repeat(BYTES));
        assert_eq!(network.at(leader).update("a", version, &own), TRUE);
    }
    network.await_version(&network.running(), "a", 1 + UPDATES as i64);
    let sent = passed() - before;
    note(&format!("{sent} bytes were sent for {} to two followers", UPDATES * BYTES));
    // Entries are sent as base64, which takes a third more.
    assert!(sent <= 2 * UPDATES * BYTES * 4 / 3 + 50_000, "{sent} bytes were sent");
}

/// MIT `FollowerFailure`.
#[test]
fn one_follower_is_not_missed_and_without_both_the_client_waits_until_one_is_back() {
    let (network, leader) = Network::led(3);
    let followers = network.others(leader);
    network.agree(leader, &network.running(), "a", 1);
    network.isolate(&followers[..1]);
    network.agree(leader, &[leader, followers[1]], "a", 2);
    network.isolate(&followers);
    let blocked = network.begin_update(leader, "b", 1);
    nothing_is_committed(&network, &[&blocked], "b", 0);
    network.split(&[&[leader, followers[1]]]);
    assert_eq!(blocked.answer(ANSWERED), TRUE);
    network.heal();
    network.one(&network.running(), "a", 3);
}

/// MIT `LeaderFailure`.
#[test]
fn the_others_go_on_without_the_first_leader_and_stop_without_the_second() {
    let (network, first) = Network::led(3);
    network.agree(first, &network.running(), "a", 1);
    let others = network.others(first);
    network.isolate(&[first]);
    network.one(&others, "a", 2);
    let (second, _) = network.leader_among(&others);
    network.split(&[]);
    let blocked: Vec<_> =
        [first, second].map(|id| network.begin_update(id, &format!("at {id}"), 1)).into();
    let last = network.others(second).into_iter().find(|id| *id != first).unwrap();
    nothing_is_committed(&network, &[&blocked[0], &blocked[1]], &format!("at {second}"), 0);
    assert!(!network.at(last).is_leader());
    let files = network.settle();
    assert_eq!(files["a"], (2, hash("a 2")));
    assert!(!files.contains_key(&format!("at {first}")), "the first leader's term has ended");
}

/// MIT `FailAgree`.
#[test]
fn a_follower_that_was_away_for_four_updates_is_level_again_at_once() {
    let (network, leader) = Network::led(3);
    let away = network.others(leader)[0];
    network.agree(leader, &network.running(), "a", 1);
    let others: Vec<_> = network.running().into_iter().filter(|id| *id != away).collect();
    let mut version = 1;
    for cut in [false, true] {
        if cut {
            network.isolate(&[away])
        } else {
            network.crash(&[away])
        }
        for _ in 0..4 {
            version += 1;
            network.agree(leader, &others, "a", version);
        }
        network.heal();
        network.restore(&[away]);
        let start = Instant::now();
        network.await_version(&[away], "a", version);
        let took = start.elapsed();
        note(&format!("caught up after {took:?} (cut off: {cut})"));
        // An append that was in flight when it was cut off may have to time out first.
        let bar = Duration::from_secs(if cut { 2 } else { 1 });
        assert!(took <= bar, "caught up only after {took:?}");
        version += 1;
        network.agree(leader, &network.running(), "a", version);
    }
}

/// MIT `FailNoAgree`.
#[test]
fn without_three_of_five_nothing_is_committed_and_what_waited_is_answered_truly() {
    let (network, leader) = Network::led(5);
    network.agree(leader, &network.running(), "a", 1);
    let others = network.others(leader);
    network.isolate(&others[..3]);
    let blocked = network.begin_update(leader, "a", 2);
    nothing_is_committed(&network, &[&blocked], "a", 1);
    network.heal();
    let answer = blocked.answer(PATIENCE);
    network.one(&network.running(), "b", 1);
    let files = network.settle();
    match answer {
        answer if answer == TRUE => assert_eq!(files["a"].1, hash(&format!("a 2 at {leader}"))),
        answer => {
            let known = assert_lost(&answer);
            assert!(!known || files["a"] == (1, hash("a 1")));
        }
    }
}

/// MIT `ConcurrentStarts`.
#[test]
fn fifty_updates_at_once_are_all_committed_in_one_term_and_of_one_version_only_one() {
    let (network, leader) = Network::led(3);
    let term = network.at(leader).state().term;
    let apart = begin_updates(&network, leader, (0..50).map(|n| format!("{n}")));
    let own = |n: i64| [Value::from("same"), 1.into(), hash(&format!("client {n}"))];
    let same: Vec<_> =
        (0..50).map(|n| network.at(leader).begin("surfstore.updatefile", &own(n))).collect();
    assert!(apart.into_iter().all(|update| update.answer(PATIENCE) == TRUE));
    let answers: Vec<_> = same.into_iter().map(|update| update.answer(PATIENCE)).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == TRUE).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == FALSE).count(), 49);
    assert_eq!(network.at(leader).state().term, term);
    let winner = answers.iter().position(|answer| *answer == TRUE).unwrap();
    let files = network.settle();
    assert_eq!(files.len(), 51);
    assert_eq!(files["same"], (1, hash(&format!("client {winner}"))));
}

/// MIT `Rejoin`.
#[test]
fn a_leader_that_took_updates_while_cut_off_loses_them_to_what_the_others_agreed_on() {
    let (network, first) = Network::led(3);
    let all = network.running();
    network.agree(first, &all, "a", 1);
    let others = network.others(first);
    network.isolate(&[first]);
    let lost = begin_updates(&network, first, (0..3).map(|n| format!("lost {n}")));
    network.one(&others, "a", 2);
    let (second, _) = network.leader_among(&others);

    // The sides swap: the first leader is back, and the second one gone.
    let third = others.into_iter().find(|id| *id != second).unwrap();
    network.split(&[&[first, third]]);
    network.one(&[first, third], "a", 3);
    let known = lost.into_iter().map(|update| assert_lost(&update.answer(ANSWERED)));
    note(&format!("the fate of {} of 3 was known", known.filter(|known| *known).count()));
    network.heal();
    network.one(&all, "a", 4);
    let files = network.settle();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a"], "the lost updates are on no server");
}

/// MIT `Backup`.
#[test]
fn leaders_with_fifty_lost_updates_each_are_brought_level_quickly() {
    const UPDATES: usize = 50;
    let names = |what: &'static str| (0..UPDATES).map(move |n| format!("{what} {n}"));
    let (network, first) = Network::led(5);
    network.agree(first, &network.running(), "a", 1);

    // The leader is left with one follower, and receives updates that cannot be committed.
    let others = network.others(first);
    let (pair, three) = ([first, others[0]], &others[1..]);
    network.split(&[&pair, three]);
    let lost = begin_updates(&network, first, names("lost"));
    wait_until(PATIENCE, "its follower has all of them", || {
        (UPDATES as i64) < network.at(others[0]).state().last_log.0
    });
    let (second, _) = network.leader_among(three);
    let won = begin_updates(&network, second, names("won"));
    assert!(won.into_iter().all(|update| update.answer(PATIENCE) == TRUE));

    // Of these three, the leader is left with one follower as well, and receives more updates that cannot be committed.
    let rest: Vec<_> = three.iter().copied().filter(|id| *id != second).collect();
    network.split(&[&pair, &[second, rest[0]], &[rest[1]]]);
    let lost_too = begin_updates(&network, second, names("lost too"));
    thread::sleep(Duration::from_millis(200));

    // The first two and the third of the three are a majority. Only the third has what was committed.
    let majority = [first, others[0], rest[1]];
    network.split(&[&majority]);
    let start = Instant::now();
    let (third, elected) = network.leader_among(&majority);
    assert_eq!(third, rest[1], "only one of them has all that was agreed on");
    let won = begin_updates(&network, third, names("won too"));
    assert!(won.into_iter().all(|update| update.answer(PATIENCE) == TRUE));
    note(&format!("elected after {elected:?}, level after {:?}", start.elapsed()));
    network.heal();
    network.one(&network.running(), "a", 2);
    for update in lost.into_iter().chain(lost_too) {
        assert_lost(&update.answer(PATIENCE));
    }
    let took = start.elapsed();
    assert!(took <= Duration::from_secs(10), "agreement took {took:?}");
    let files = network.settle();
    assert_eq!(files.len(), 1 + 2 * UPDATES);
    assert!(files.keys().all(|name| !name.starts_with("lost")));
}

/// MIT `Count`.
#[test]
fn elections_updates_and_idleness_cost_few_requests() {
    let (network, leader) = Network::led(3);
    let total = || network.requests().iter().sum::<i64>();
    let election = total();
    assert!((1..=30).contains(&election), "{election} requests for an election");

    let before = total();
    let updates = begin_updates(&network, leader, (0..10).map(|n| format!("{n}")));
    assert!(updates.into_iter().all(|update| update.answer(PATIENCE) == TRUE));
    (0..10).for_each(|n| network.await_version(&network.running(), &format!("{n}"), 1));
    let ten = total() - before;
    assert!(ten <= (10 + 1 + 3) * 3, "{ten} requests for ten updates");

    let before = network.requests();
    thread::sleep(Duration::from_secs(2));
    let idle: Vec<_> =
        network.requests().iter().zip(before).map(|(now, then)| now - then).collect();
    note(&format!("{election} requests to elect, {ten} for ten updates, {idle:?} in 2 s of rest"));
    assert!(idle.iter().all(|requests| *requests <= 20), "{idle:?} requests in 2 idle seconds");
}
