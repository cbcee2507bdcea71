//! What is agreed on, and nothing else, appears on all servers, in the order of its versions.

use std::thread;
use std::time::{Duration, Instant};

use support::client::{FALSE, TRUE, assert_fault, hash, list};
use support::harness::Cluster;
use support::wait::{ELECTION, wait_until};

use surfstore::value::Value;

/// The time within which every follower shows an update that was answered with True.
const SHOWN: Duration = Duration::from_millis(100);

#[test]
fn an_update_that_was_answered_with_true_is_shown_by_every_follower_within_100_ms() {
    let (cluster, leader) = Cluster::led(3);
    for version in 1..=100 {
        assert_eq!(cluster.at(leader).update("a.txt", version, &hash("x")), TRUE);
        let answered = Instant::now();
        for id in cluster.running() {
            let left = SHOWN.saturating_sub(answered.elapsed());
            wait_until(left, "every follower shows the version", || {
                cluster.at(id).version("a.txt") == version
            });
        }
    }
}

#[test]
fn a_version_that_is_not_the_next_is_refused_and_changes_nothing() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    cluster.agree(id, &cluster.running(), "a.txt", 1);
    cluster.agree(id, &cluster.running(), "a.txt", 2);
    let before = leader.files().unwrap();
    for version in [0, 1, 2, 4, -1, -2_147_483_648, 2_147_483_647] {
        assert_eq!(leader.update("a.txt", version, &hash("y")), FALSE, "version {version} after 2");
    }
    for version in [0, 2, -1, 2_147_483_647] {
        assert_eq!(leader.update("b.txt", version, &hash("y")), FALSE, "version {version} first");
    }
    assert_eq!(leader.files().unwrap(), before);
    for id in cluster.running() {
        assert_eq!(cluster.at(id).version("a.txt"), 2);
        assert_eq!(cluster.at(id).version("b.txt"), 0);
    }
    cluster.agree(id, &cluster.running(), "a.txt", 3);
}

#[test]
fn a_deleted_file_stays_in_the_map_and_its_versions_go_on_counting() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    cluster.agree(id, &cluster.running(), "a.txt", 1);
    for (version, hashes) in [(2, list(["0".into()])), (4, list([0.into()]))] {
        assert_eq!(leader.update("a.txt", version, &hashes), TRUE);
        assert_eq!(leader.files().unwrap()["a.txt"], (version, hashes));
        assert_eq!(leader.update("a.txt", 1, &hash("created anew")), FALSE);
        cluster.agree(id, &cluster.running(), "a.txt", version + 1);
    }
}

#[test]
fn of_fifty_clients_that_ask_for_the_same_version_exactly_one_gets_it() {
    const CLIENTS: usize = 50;
    const VERSIONS: i64 = 10;
    let (cluster, leader) = Cluster::led(5);
    let ask_for_all = |client: usize| {
        let server = cluster.at(leader).another();
        let own = hash(&format!("client {client}"));
        let ask = |version| match server.update("a.txt", version, &own) {
            answer if answer == TRUE => true,
            answer if answer == FALSE => false,
            answer => panic!("version {version} was answered with {answer:?}"),
        };
        (1..=VERSIONS).map(ask).collect::<Vec<_>>()
    };
    let got: Vec<Vec<bool>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || ask_for_all(n))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for version in 0..VERSIONS as usize {
        let winners = got.iter().filter(|own| own[version]).count();
        assert_eq!(winners, 1, "version {}", version + 1);
    }
    let last = got.iter().position(|own| own[VERSIONS as usize - 1]).unwrap();
    let expected = (VERSIONS, hash(&format!("client {last}")));
    assert_eq!(cluster.at(leader).files().unwrap()["a.txt"], expected);
    cluster.await_version(&cluster.running(), "a.txt", VERSIONS);
}

#[test]
fn fifty_clients_with_a_file_each_all_get_every_version() {
    let (cluster, leader) = Cluster::led(3);
    thread::scope(|scope| {
        for client in 0..50 {
            let server = cluster.at(leader).another();
            scope.spawn(move || {
                for version in 1..=10 {
                    let hashes = hash(&format!("{client} {version}"));
                    assert_eq!(server.update(&format!("{client}.txt"), version, &hashes), TRUE);
                }
            });
        }
    });
    let files = cluster.at(leader).files().unwrap();
    assert_eq!(files.len(), 50);
    for client in 0..50 {
        let name = format!("{client}.txt");
        assert_eq!(files[&name], (10, hash(&format!("{client} 10"))));
        cluster.await_version(&cluster.running(), &name, 10);
    }
}

#[test]
fn the_largest_update_is_replicated_without_an_election() {
    const MIB: usize = 1 << 20;
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    let term = leader.state().term;
    let many: Box<[Value]> =
        (0..40_000).map(|n| Value::from(format!("{n:064}").as_str())).collect();
    // A little less than 4 MiB, because the document has tags as well.
    let updates = [Value::Array(many), hash(&"x".repeat(4 * MIB - 1024))];
    for (version, hashes) in (1..).zip(&updates) {
        assert_eq!(leader.update("a.txt", version, hashes), TRUE);
        cluster.await_version(&cluster.running(), "a.txt", version);
        assert_eq!(leader.files().unwrap()["a.txt"], (version, hashes.clone()));
        assert_eq!((cluster.leaders(), leader.state().term), (vec![id], term));
    }
    let before = leader.state();
    assert_fault(&leader.update("a.txt", 3, &hash(&"x".repeat(4 * MIB))), -32602, "");
    assert_eq!(leader.state(), before);

    leader.crash();
    let new = cluster.leader();
    assert_eq!(cluster.at(new).files().unwrap()["a.txt"], (2, updates[1].clone()));
}

#[test]
fn a_follower_that_was_killed_is_brought_level_once_relaunched() {
    let (mut cluster, leader) = Cluster::led(3);
    let follower = cluster.others(leader)[0];
    (1..=20).for_each(|version| cluster.agree(leader, &[follower], "a.txt", version));
    cluster.kill(follower);
    (21..=40).for_each(|version| cluster.agree(leader, &[], "a.txt", version));
    cluster.start([follower]);
    wait_until(ELECTION, "the relaunched follower is up to date", || {
        cluster.at(follower).state().last_log == cluster.at(leader).state().last_log
            && cluster.at(follower).version("a.txt") == 40
    });
    assert_eq!(cluster.leaders(), [leader]);
    // The other follower is lost now: what was agreed on survives in the relaunched one.
    let other = cluster.others(leader).into_iter().find(|id| *id != follower).unwrap();
    cluster.kill(other);
    cluster.agree(leader, &[follower], "a.txt", 41);
}
