//! What a crashed server and a follower answer, and that a restored server works again.

use std::time::Duration;

use support::client::{Answer, TRUE, assert_fault, hash, list, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, holds_for, wait_until};
use surfstore::value::Value;

/// The calls that only a leader serves.
fn calls_for_leaders() -> [(&'static str, Vec<Value>); 5] {
    [
        ("surfstore.updatefile", update("a.txt", 1, &hash("x")).to_vec()),
        ("surfstore.updatefile", update("a.txt", 7, &hash("x")).to_vec()),
        ("surfstore.getfileinfomap", vec![]),
        ("surfstore.getfileinfo", vec![]),
        ("surfstore.getfileinfos", vec![]),
    ]
}

/// The calls that a crashed server refuses, in addition to those for leaders.
fn calls_for_the_living() -> [(&'static str, Vec<Value>); 8] {
    let block = Value::Base64(b"block".as_slice().into());
    [
        ("surfstore.requestVote", vec![]),
        ("surfstore.requestVote", vec![Value::Struct([].into())]),
        ("surfstore.appendEntries", vec!["garbage".into()]),
        ("surfstore.appendEntries", vec![1.into(), 2.into(), 3.into()]),
        ("surfstore.installSnapshot", vec!["garbage".into()]),
        ("surfstore.putblock", vec![block]),
        ("surfstore.getblock", vec!["0".repeat(64).as_str().into()]),
        ("surfstore.hasblocks", vec![list([])]),
    ]
}

#[test]
fn a_follower_refuses_reads_and_updates_and_names_the_leader() {
    let (cluster, leader) = Cluster::led(5);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for id in cluster.others(leader) {
        let follower = cluster.at(id);
        for (method, params) in calls_for_leaders() {
            let answer = follower.call(method, &params);
            assert_fault(&answer, 2, "not the leader");
            let message = answer.unwrap_err().message;
            let named = message.contains(cluster.at(leader).address());
            assert!(named, "{method}: {message:?} does not name the leader");
        }
        assert!(!follower.is_leader());
        assert_eq!(follower.version("a.txt"), 1);
    }
    assert_eq!(cluster.at(leader).files().unwrap()["a.txt"], (1, hash("a.txt 1")));
}

#[test]
fn a_crashed_server_refuses_all_calls_but_those_of_testers_and_operators() {
    let (cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for id in [cluster.others(leader)[0], leader] {
        let crashed = cluster.at(id);
        crashed.crash();
        for (method, params) in calls_for_leaders().into_iter().chain(calls_for_the_living()) {
            assert_fault(&crashed.call(method, &params), 1, "isCrashed");
        }
        let unreadable =
            b"<methodCall><methodName>updatefile</methodName><params><param><value><nil/></value>\
            </param></params></methodCall>";
        assert_fault(&crashed.send(unreadable), 1, "isCrashed");
        assert_eq!(crashed.call("surfstore.ping", &[]), TRUE);
        assert!(crashed.is_crashed());
        assert!(!crashed.is_leader(), "a leader that crashes stops being one");
        assert_eq!(crashed.version("a.txt"), 1);
        assert_eq!(crashed.version("unknown"), 0);
        crashed.restore();
        assert!(!crashed.is_crashed());
    }
}

#[test]
fn crash_and_restore_have_no_effect_a_second_time() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    let before = leader.state();
    leader.restore();
    assert_eq!(leader.state(), before, "a leader that is not crashed is not restored");
    leader.crash();
    let crashed = leader.state();
    assert_eq!((crashed.term, crashed.last_log), (before.term, before.last_log));
    leader.crash();
    assert_eq!(leader.state(), crashed);
    leader.restore();
    leader.restore();
    assert!(!leader.is_leader(), "a restored server is a follower");
    let new = cluster.leader();
    cluster.agree(new, &cluster.running(), "a.txt", 1);
}

#[test]
fn a_crashed_server_stands_still_and_catches_up_once_restored() {
    let (cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let id = cluster.others(leader)[0];
    let others: Vec<_> = cluster.running().into_iter().filter(|other| *other != id).collect();
    let crashed = cluster.at(id);
    crashed.crash();
    let state = crashed.state();
    (2..=20).for_each(|version| cluster.agree(leader, &others, "a.txt", version));
    holds_for(Duration::from_secs(1), "a crashed server does not change", || {
        crashed.state() == state && crashed.version("a.txt") == 1
    });
    crashed.restore();
    cluster.await_version(&[id], "a.txt", 20);
    assert_eq!(cluster.leaders(), [leader]);
    wait_until(PATIENCE, "it knows the leader", || {
        crashed.state().leader == cluster.at(leader).address().into()
    });
}

#[test]
fn the_map_survives_the_crash_of_all_servers() {
    let (cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let all = cluster.running();
    cluster.crash(&all);
    let refused = |answer: Answer| assert_fault(&answer, 1, "isCrashed");
    all.iter().for_each(|id| refused(cluster.at(*id).update("a.txt", 2, &hash("x"))));
    holds_for(Duration::from_secs(2), "no server leads", || cluster.leaders().is_empty());
    cluster.restore(&all);
    let leader = cluster.leader();
    assert_eq!(cluster.at(leader).files().unwrap()["a.txt"], (1, hash("a.txt 1")));
    cluster.agree(leader, &all, "a.txt", 2);
}
