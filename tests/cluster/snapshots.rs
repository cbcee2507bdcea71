//! Sets whose log is compacted: a server that needs more than the log holds is sent the map, and memory is bounded.

use support::client::{Client, FALSE, TRUE, assert_fault};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::value::Value;

use crate::pages::{assert_metric, metric};

const MIB: usize = 1 << 20;

/// A hash list that takes this many bytes.
fn long(bytes: usize) -> Value {
    Value::Array([Value::from("h".repeat(bytes).as_str())].into())
}

/// Makes versions of a few files, which are more than the log keeps, although only the newest are in the map.
fn outgrow_the_log(leader: &Client) {
    for version in 1..=6 {
        for name in ["a", "b"] {
            assert_eq!(leader.update(name, version, &long(MIB)), TRUE);
        }
    }
    assert_metric(leader, "surfstore_raft_log_entries", |entries| entries < 12.0);
    assert_metric(leader, "surfstore_memory_bytes{kind=\"log\"}", |bytes| bytes < 9e6);
}

/// How many pieces of snapshots the server has been sent.
fn pieces(server: &Client) -> f64 {
    metric(server, "surfstore_rpc_duration_seconds_count{method=\"surfstore.installSnapshot\"}")
}

#[test]
fn a_crashed_follower_that_missed_more_than_the_log_keeps_is_sent_the_map() {
    let (cluster, leader) = Cluster::led(3);
    let follower = cluster.others(leader)[0];
    cluster.agree(leader, &cluster.running(), "before", 1);
    cluster.crash(&[follower]);
    outgrow_the_log(cluster.at(leader));
    cluster.restore(&[follower]);
    for (name, version) in [("before", 1), ("a", 6), ("b", 6)] {
        cluster.await_version(&[follower], name, version);
    }
    assert!(0.0 < pieces(cluster.at(follower)), "it was sent the map");
    assert_eq!(cluster.leader(), leader, "nobody stood for election");
    cluster.agree(leader, &cluster.running(), "after", 1);
}

#[test]
fn a_relaunched_follower_is_sent_the_map_and_may_lead() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.await_whole();
    let [relaunched, other] = cluster.others(leader)[..] else { panic!("there are three") };
    outgrow_the_log(cluster.at(leader));
    cluster.relaunch(&[relaunched]);
    cluster.await_version(&[relaunched], "b", 6);
    assert!(0.0 < pieces(cluster.at(relaunched)), "it was sent the map");
    cluster.await_whole();
    let files = cluster.at(leader).files().unwrap();
    cluster.crash(&[leader]);
    wait_until(PATIENCE, "one of the others leads", || {
        [relaunched, other].iter().any(|id| cluster.at(*id).is_leader())
    });
    let next = cluster.leader();
    assert_eq!(cluster.at(next).files().unwrap(), files);
    cluster.agree(next, &[relaunched, other], "after", 1);
}

#[test]
fn updates_beyond_the_memory_that_a_server_may_use_are_busy_and_the_rest_goes_on() {
    let mut cluster = Cluster::stopped(1);
    let mut command = cluster.command(0);
    command.env("SURFSTORE_MEMORY_MAX", "16M");
    cluster.launch(0, command);
    cluster.await_answer(0);
    let leader = cluster.leader();
    let server = cluster.at(leader);
    assert_metric(server, "surfstore_memory_max_bytes", |bytes| bytes == 16.0 * MIB as f64);
    let names: Vec<_> = (0..20).map(|number| format!("file {number}")).collect();
    let answers: Vec<_> = names.iter().map(|name| server.update(name, 1, &long(MIB))).collect();
    let taken = answers.iter().take_while(|answer| **answer == TRUE).count();
    assert!((5..=8).contains(&taken), "{taken} files of 1 MiB");
    for answer in &answers[taken..] {
        assert_fault(answer, 4, "busy: this server's memory is used up");
    }
    assert_eq!(cluster.said(0, "warning: server 0: memory is used up"), 1, "it is said once");
    assert_eq!(server.files().unwrap().len(), taken);
    assert_eq!(server.version(&names[taken]), 0, "a busy update has no effect");
    assert_eq!(server.update(&names[0], 1, &long(1)), FALSE, "a refusal needs no memory");
    for name in &names[..2] {
        assert_eq!(server.update(name, 2, &long(1)), TRUE, "a smaller list is taken");
    }
    assert_eq!(server.update("one more", 1, &long(MIB)), TRUE);
}
