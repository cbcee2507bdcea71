//! Elections: one leader within 5 s if there is a majority, none otherwise; no leader is unseated without need.

use support::client::assert_fault;
use support::harness::Cluster;
use support::wait::{ELECTION, SEVERAL_ELECTIONS, holds_for, wait_until};

/// How a server is lost.
type Loss = fn(&mut Cluster, usize);

/// How servers that were lost come back.
type Return = fn(&mut Cluster, &[usize]);

#[test]
fn of_five_servers_started_one_by_one_a_leader_arises_with_the_third_and_stays() {
    let mut cluster = Cluster::stopped(5);
    for id in [0, 1] {
        cluster.start([id]);
        holds_for(SEVERAL_ELECTIONS, "no server leads", || cluster.leaders().is_empty());
        assert_fault(&cluster.at(id).files().map(|_| true.into()), 2, "not the leader");
    }
    cluster.start([2]);
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let term = cluster.at(leader).state().term;
    for id in [3, 4] {
        cluster.start([id]);
        holds_for(SEVERAL_ELECTIONS / 2, "the same server leads", || cluster.leaders() == [leader]);
        cluster.await_version(&[id], "a.txt", 1);
    }
    assert_eq!(cluster.at(leader).state().term, term);
    cluster.agree(leader, &cluster.running(), "a.txt", 2);
}

#[test]
fn leaders_that_crash_are_replaced_until_no_majority_is_left_and_after_it_is_restored() {
    leaders_are_replaced(|cluster, id| cluster.at(id).crash(), |cluster, ids| cluster.restore(ids));
}

#[test]
fn leaders_that_are_killed_are_replaced_until_no_majority_is_left_and_after_it_is_relaunched() {
    leaders_are_replaced(Cluster::kill, |cluster, ids| cluster.start(ids.iter().copied()));
}

/// The handout's strategy at N = 5: leaders are lost one after another until two servers are left, then all return.
fn leaders_are_replaced(lose: Loss, regain: Return) {
    let (mut cluster, mut leader) = Cluster::led(5);
    let mut up = cluster.running();
    let mut lost = Vec::new();
    for version in 1..=2 {
        cluster.agree(leader, &up, "a.txt", version);
        lose(&mut cluster, leader);
        up.retain(|id| *id != leader);
        lost.push(leader);
        leader = cluster.leader();
        assert!(up.contains(&leader), "server {leader} leads although it is lost");
    }
    cluster.agree(leader, &up, "a.txt", 3);
    lose(&mut cluster, leader);
    up.retain(|id| *id != leader);
    lost.push(leader);
    holds_for(SEVERAL_ELECTIONS, "two of five elect no leader", || cluster.leaders().is_empty());
    // The last server that was lost has everything that was agreed on; the earlier ones lack some of it.
    regain(&mut cluster, &lost[2..]);
    leader = cluster.leader();
    regain(&mut cluster, &lost[..2]);
    cluster.await_version(&cluster.running(), "a.txt", 3);
    assert_eq!(cluster.leaders(), [leader], "servers that return unseat no leader");
    cluster.agree(leader, &cluster.running(), "a.txt", 4);
}

#[test]
fn a_server_that_missed_an_update_is_not_elected_in_place_of_one_that_has_it() {
    let (cluster, mut leader) = Cluster::led(3);
    for version in 1..=4 {
        let [behind, level] = cluster.others(leader)[..] else { panic!("there are three") };
        cluster.crash(&[behind]);
        cluster.agree(leader, &[leader, level], "a.txt", version);
        cluster.crash(&[leader, level]);
        // It starts an election before the other, and asks it for its vote again and again.
        cluster.restore(&[behind]);
        wait_until(ELECTION, "it stands for election", || {
            cluster.at(behind).state().role == "candidate".into()
        });
        cluster.restore(&[level]);
        assert_eq!(cluster.leader(), level);
        cluster.restore(&[leader]);
        cluster.await_version(&cluster.running(), "a.txt", version);
        leader = level;
    }
}

#[test]
fn a_lone_server_leads_and_leads_again_once_restored() {
    let (cluster, leader) = Cluster::led(1);
    assert_eq!(leader, 0);
    cluster.agree(0, &[0], "a.txt", 1);
    cluster.crash(&[0]);
    holds_for(SEVERAL_ELECTIONS / 2, "a crashed server is not a leader", || {
        cluster.leaders().is_empty()
    });
    cluster.restore(&[0]);
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 2);
}

#[test]
fn half_of_two_servers_elects_nobody() {
    half_elects_nobody(2);
}

#[test]
fn half_of_four_servers_elects_nobody() {
    half_elects_nobody(4);
}

fn half_elects_nobody(size: usize) {
    let mut cluster = Cluster::stopped(size);
    cluster.start(0..size / 2);
    holds_for(SEVERAL_ELECTIONS, "half of the servers elect no leader", || {
        cluster.leaders().is_empty()
    });
    cluster.start([size / 2]);
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.start(size / 2 + 1..size);
    cluster.await_version(&cluster.running(), "a.txt", 1);
    assert_eq!(cluster.leaders(), [leader]);

    let lost = [&[leader], &cluster.others(leader)[..size / 2 - 1]].concat();
    cluster.crash(&lost);
    holds_for(SEVERAL_ELECTIONS, "half of the servers elect no leader", || {
        cluster.leaders().is_empty()
    });
    cluster.restore(&lost);
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a.txt", 2);
}

#[test]
fn ten_servers_agree_and_go_on_with_six_of_them_but_elect_nobody_with_five() {
    let (cluster, leader) = Cluster::led(10);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let lost = [&[leader], &cluster.others(leader)[..3]].concat();
    cluster.crash(&lost);
    let leader = cluster.leader();
    let up: Vec<_> = (0..10).filter(|id| !lost.contains(id)).collect();
    cluster.agree(leader, &up, "a.txt", 2);

    cluster.crash(&[leader]);
    holds_for(SEVERAL_ELECTIONS, "five of ten elect no leader", || cluster.leaders().is_empty());
    cluster.restore(&[leader]);
    let leader = cluster.leader();
    cluster.restore(&lost);
    cluster.agree(leader, &cluster.running(), "a.txt", 3);
}
