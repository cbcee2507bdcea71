//! Servers that were started with different configurations: they do not mix, and report it.

use std::sync::Arc;

use support::client::assert_fault;
use support::harness::Cluster;
use support::turns::{Turn, free_port};
use support::wait::{PATIENCE, SEVERAL_ELECTIONS, holds_for, wait_until};

fn addresses(cluster: &Cluster) -> Vec<String> {
    (0..cluster.size()).map(|id| cluster.at(id).address().to_owned()).collect()
}

/// Makes one of these the leader, by crashing other leaders, and returns it.
#[track_caller]
fn led_by_one_of(cluster: &Cluster, ids: &[usize]) -> usize {
    loop {
        let leader = cluster.leader();
        if ids.contains(&leader) {
            return leader;
        }
        cluster.crash(&[leader]);
        cluster.leader();
        cluster.restore(&[leader]);
    }
}

#[test]
fn a_server_with_another_size_of_configuration_is_refused_and_both_say_so_once() {
    let (mut cluster, _) = Cluster::led(5);
    // A leader that the small configuration names, so that each receives the other's requests.
    let leader = led_by_one_of(&cluster, &[1, 2]);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.kill(0);
    let few = &addresses(&cluster)[..3];
    cluster.launch(0, cluster.command_with(0, few));
    cluster.await_answer(0);
    let size = |id: usize| {
        let (its, own) = if id == 0 { (5, 3) } else { (3, 5) };
        format!("has a configuration of {its} servers, this server one of {own}, so ")
    };
    wait_until(PATIENCE, "they report it", || {
        cluster.said(0, &size(0)) == 1 && [1, 2].iter().all(|id| cluster.said(*id, &size(*id)) == 1)
    });
    // Two of five are up now; if they counted each other, they would be two of its three.
    cluster.crash(&[2, 3, 4]);
    // It has two peers, and logs a line for each.
    holds_for(
        SEVERAL_ELECTIONS,
        "no server follows it, it accepts nothing, and it is not reported again",
        || {
            !cluster.at(0).is_leader()
                && cluster.at(0).version("a.txt") == 0
                && cluster.said(0, &size(0)) <= 2
                && (1..5).all(|id| cluster.said(id, &size(id)) <= 1)
                && (0..5).all(|id| cluster.said(id, "refused a peer's request") == 0)
        },
    );
    assert_fault(&cluster.at(0).files().map(|_| true.into()), 2, "not the leader");
    cluster.restore(&[2, 3, 4]);
    cluster.relaunch(&[0]);
    cluster.await_whole();
    cluster.agree(cluster.leader(), &cluster.running(), "a.txt", 2);
}

#[test]
fn two_sets_that_share_an_address_do_not_mix_and_say_so() {
    let turn = Arc::new(Turn::take());
    let [a0, a1, shared, b0, b1] = [(); 5].map(|()| format!("localhost:{}", free_port()));
    let mut a = Cluster::of(&[a0, a1, shared.clone()], Arc::clone(&turn));
    let mut b = Cluster::of(&[b0, b1, shared], turn);
    a.start(0..3);
    let leader_of_a = led_by_one_of(&a, &[0, 1]);
    a.agree(leader_of_a, &a.running(), "of-a", 1);
    a.kill(2);
    b.start(0..3);
    let leader_of_b = led_by_one_of(&b, &[0, 1]);
    b.agree(leader_of_b, &b.running(), "of-b", 1);
    a.agree(leader_of_a, &a.running(), "of-a", 2);
    let line = "has another configuration and another history (";
    wait_until(PATIENCE, "the first set's leader and the shared server report it", || {
        1 <= a.said(leader_of_a, line) && 1 <= b.said(2, line)
    });
    assert_eq!(a.at(leader_of_a).ids("otherHistories"), [2]);
    holds_for(SEVERAL_ELECTIONS, "neither has the other's files, and both continue", || {
        a.running().iter().all(|id| a.at(*id).version("of-b") == 0)
            && b.running().iter().all(|id| b.at(*id).version("of-a") == 0)
            && a.at(leader_of_a).is_leader()
            && b.at(leader_of_b).is_leader()
    });
    // An update that only the second set and the shared server acknowledge is stored by that server.
    b.crash(&[1 - leader_of_b]);
    b.agree(leader_of_b, &[leader_of_b, 2], "of-b", 2);
    b.restore(&[1 - leader_of_b]);
    // The address goes back to the first set, which brings its own server in again.
    b.kill(2);
    a.start([2]);
    a.await_whole();
    a.agree(leader_of_a, &a.running(), "of-a", 3);
    b.agree(leader_of_b, &b.running(), "of-b", 3);
}

#[test]
fn a_server_that_calls_the_others_by_other_names_counts_and_the_difference_is_told_once() {
    let mut cluster = Cluster::stopped(3);
    let by_number = |address: &String| address.replace("localhost", "127.0.0.1");
    let renamed: Vec<_> = addresses(&cluster).iter().map(by_number).collect();
    cluster.start([0, 1]);
    cluster.launch(2, cluster.command_with(2, &renamed));
    cluster.await_answer(2);
    cluster.agree(cluster.leader(), &[0, 1, 2], "a.txt", 1);
    cluster.await_whole();
    let line = "has other server names, or another order of them";
    wait_until(PATIENCE, "it is reported", || (0..3).any(|id| 1 <= cluster.said(id, line)));
    holds_for(SEVERAL_ELECTIONS, "it is reported once for each peer", || {
        [0, 1].into_iter().all(|id| cluster.said(id, line) <= 1) && cluster.said(2, line) <= 2
    });
    cluster.agree(cluster.leader(), &[0, 1, 2], "a.txt", 2);
}
