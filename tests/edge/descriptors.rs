//! Descriptors: the maximum number of them, and what happens if there are none left.

use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, iter};

use support::client::{TRUE, assert_fault, hash, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};

use crate::raw::{Raw, ping};
use crate::servers::assert_unharmed;

/// Starts a set under these limits.
pub(crate) fn led_with(size: usize, limits: &str) -> (Cluster, usize) {
    let mut cluster = Cluster::stopped(size);
    for id in 0..size {
        let server = cluster.command(id);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{limits}; exec \"$@\"")).arg("sh");
        command.arg(server.get_program()).args(server.get_args());
        let changed = server.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(changed).stdin(Stdio::null());
        cluster.keep_output(id, &mut command);
        cluster.launch(id, command);
    }
    (0..size).for_each(|id| cluster.await_answer(id));
    let leader = cluster.leader();
    (cluster, leader)
}

#[test]
fn a_server_takes_as_many_descriptors_as_it_may() {
    let (mut cluster, _) = led_with(1, "ulimit -Sn 64; ulimit -Hn 1000");
    let limits = fs::read_to_string(format!("/proc/{}/limits", cluster.process(0).id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let limits: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(limits, ["1000", "1000"]);
}

#[test]
fn servers_without_descriptors_go_on_with_their_peers_and_with_new_clients() {
    let (cluster, leader) = led_with(3, "ulimit -n 64");
    let crowd: Vec<_> = cluster
        .running()
        .into_iter()
        .flat_map(|id| iter::repeat_n(id, 120))
        .map(|id| Raw::to(cluster.at(id)))
        .collect();
    let updated = cluster.at(leader).begin("surfstore.updatefile", &update("a", 1, &hash("x")));
    assert_eq!(updated.answer(Duration::from_secs(1)), TRUE);
    cluster.at(leader).another().crash();
    let next = cluster.leader();
    assert_eq!(cluster.at(next).another().update("a", 2, &hash("x")), TRUE);
    let mut late = Raw::to(cluster.at(next));
    late.send(ping()).unwrap();
    assert_eq!(late.response().answer(), TRUE);
    drop(crowd);
    assert_unharmed(&cluster);
}

#[test]
fn calls_that_wait_leave_places_for_peers_and_other_callers() {
    const CALLS: usize = 100;
    let (cluster, leader) = led_with(3, "ulimit -n 100");
    let others = cluster.others(leader);
    cluster.crash(&others);
    let waiting = || usize::try_from(cluster.at(leader).state().waiting_calls).unwrap();
    let mut reads = Vec::new();
    for count in 1..=CALLS {
        // One by one: so many at once would not find a free slot.
        let read = cluster.at(leader).begin("surfstore.getfileinfomap", &[]);
        wait_until(PATIENCE, "the connection waits or is refused", || {
            waiting() == count || !read.is_blocked()
        });
        reads.push(read);
        if waiting() < count {
            break;
        }
    }
    assert!(waiting() < reads.len(), "all of them were accepted");
    assert_eq!(cluster.at(leader).another().call("surfstore.ping", &[]), TRUE);
    cluster.restore(&others);
    for read in reads {
        match read.answer(PATIENCE) {
            Ok(_) => {}
            refused => assert_fault(&refused, 4, "busy"),
        }
    }
    assert_unharmed(&cluster);
}
