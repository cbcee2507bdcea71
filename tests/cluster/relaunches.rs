//! Processes that end and are restarted without their memory: they do not count until they have been brought in, and
//! what the others know is kept.

use rustix::process::Signal;
use support::client::{TRUE, hash, update};
use support::harness::Cluster;
use support::wait::{ELECTION, PATIENCE, SEVERAL_ELECTIONS, holds_for, wait_until};

/// Checks that the set still has the version, and accepts the next.
#[track_caller]
fn goes_on(cluster: &Cluster, name: &str, version: i64) {
    let mut leader = 0;
    // A leader that has lost its majority is asked as well, and says that it leads until another server does.
    wait_until(PATIENCE, "a leader confirms the map", || {
        leader = cluster.leader();
        let files = cluster.at(leader).files();
        files.is_ok_and(|files| {
            assert_eq!(files[name].0, version);
            true
        })
    });
    cluster.agree(leader, &cluster.running(), name, version + 1);
}

#[test]
fn a_relaunched_follower_is_a_guest_and_counts_once_a_majority_without_it_has_brought_it_in() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.await_whole();
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let [crashed, relaunched] = cluster.others(leader)[..] else { panic!("there are three") };
    cluster.crash(&[crashed]);
    cluster.relaunch(&[relaunched]);
    let waits = cluster.at(leader).begin("surfstore.updatefile", &update("a.txt", 2, &hash("x")));
    wait_until(PATIENCE, "it is a guest and gets the log", || {
        cluster.at(leader).ids("guests") == [relaunched]
            && cluster.at(relaunched).ids("guests") == [relaunched]
            && cluster.at(relaunched).state().last_log == cluster.at(leader).state().last_log
    });
    holds_for(SEVERAL_ELECTIONS, "a guest makes no majority, and no other leader", || {
        waits.is_blocked() && cluster.leaders() == [leader]
    });
    cluster.restore(&[crashed]);
    assert_eq!(waits.answer(PATIENCE), TRUE);
    cluster.await_whole();
    // Now it counts: it and the leader are the majority.
    cluster.crash(&[crashed]);
    cluster.agree(leader, &[leader, relaunched], "a.txt", 3);
}

#[test]
fn of_three_servers_two_are_relaunched_and_the_third_has_kept_everything() {
    for keeps_leader in [true, false] {
        let (mut cluster, leader) = Cluster::led(3);
        cluster.agree(leader, &cluster.running(), "a.txt", 1);
        let survivor = if keeps_leader { leader } else { cluster.others(leader)[0] };
        cluster.relaunch(&cluster.others(survivor));
        goes_on(&cluster, "a.txt", 1);
        cluster.await_whole();
    }
}

#[test]
fn of_five_servers_four_are_relaunched_and_the_fifth_has_kept_everything() {
    let (mut cluster, leader) = Cluster::led(5);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.relaunch(&cluster.others(cluster.others(leader)[0]));
    goes_on(&cluster, "a.txt", 1);
    cluster.await_whole();
}

#[test]
fn of_two_servers_either_is_relaunched_and_the_other_has_kept_everything() {
    let (mut cluster, leader) = Cluster::led(2);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for (version, relaunched) in [(1, leader), (2, cluster.others(leader)[0])] {
        cluster.relaunch(&[relaunched]);
        goes_on(&cluster, "a.txt", version);
        cluster.await_whole();
    }
}

#[test]
fn all_servers_are_relaunched_one_after_another_and_nothing_is_lost() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for (version, id) in [(1, 0), (2, 1), (3, 2)] {
        cluster.await_whole();
        cluster.relaunch(&[id]);
        goes_on(&cluster, "a.txt", version);
    }
}

#[test]
fn all_servers_are_relaunched_at_once_and_found_a_history_without_files() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.relaunch(&[0, 1, 2]);
    let leader = cluster.leader();
    assert!(cluster.at(leader).files().unwrap().is_empty());
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let founded = (0..3).map(|id| cluster.said(id, "founds a new history in term "));
    assert_eq!(founded.sum::<usize>(), 2, "one for each time that all servers were empty");
}

#[test]
fn a_set_waits_for_a_silent_server_that_alone_has_the_files_and_says_so_once() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let silent = cluster.others(leader)[0];
    let others = cluster.others(silent);
    // One server that is still up knows that there is a history, so the two cannot found another one.
    cluster.relaunch(&[others[0]]);
    cluster.await_whole();
    cluster.signal(silent, Signal::STOP);
    cluster.relaunch(&[others[1]]);
    wait_until(PATIENCE, "the server that knows the history waits", || {
        others.iter().any(|id| cluster.at(*id).ids("waitsFor") == [silent])
    });
    let line = format!("cannot be elected without server {silent} at ");
    wait_until(PATIENCE, "it reports this", || {
        others.iter().any(|id| cluster.said(*id, &line) == 1)
    });
    holds_for(SEVERAL_ELECTIONS, "nothing is confirmed, and it is not reported again", || {
        others
            .iter()
            .all(|id| cluster.said(*id, &line) <= 1 && cluster.at(*id).version("a.txt") <= 1)
    });
    cluster.signal(silent, Signal::CONT);
    wait_until(ELECTION, "no server is waited for", || {
        cluster.running().iter().all(|id| cluster.at(*id).ids("waitsFor").is_empty())
    });
    goes_on(&cluster, "a.txt", 1);
}

#[test]
fn two_histories_with_updates_stay_apart_and_say_so_until_one_is_restarted() {
    let mut cluster = Cluster::stopped(3);
    cluster.start([0, 1]);
    cluster.agree(cluster.leader(), &[0, 1], "first.txt", 1);
    cluster.signal(1, Signal::STOP);
    cluster.relaunch(&[0]);
    cluster.start([2]);
    // Neither of the two has heard of the first history, and they do not wait longer than a ballot for a silent server.
    let among =
        |cluster: &Cluster, ids: [usize; 2]| ids.into_iter().find(|id| cluster.at(*id).is_leader());
    wait_until(ELECTION, "the two found another history", || among(&cluster, [0, 2]).is_some());
    let leader = among(&cluster, [0, 2]).unwrap();
    assert_eq!(cluster.at(leader).update("second.txt", 1, &hash("x")), TRUE);
    cluster.signal(1, Signal::CONT);
    wait_until(PATIENCE, "both sides report it", || {
        1 <= cluster.said(1, "has another history (")
            && 1 <= cluster.said(leader, "has another history (")
    });
    assert_eq!(cluster.at(leader).ids("otherHistories"), [1]);
    holds_for(SEVERAL_ELECTIONS, "they stay apart, and each reports the other once", || {
        cluster.at(1).version("first.txt") == 1
            && cluster.at(1).version("second.txt") == 0
            && [0, 2].into_iter().all(|id| cluster.at(id).version("first.txt") == 0)
            && (0..3).all(|id| cluster.said(id, "has another history (") <= 2)
    });
    cluster.relaunch(&[1]);
    goes_on(&cluster, "second.txt", 1);
    cluster.await_whole();
    assert_eq!(cluster.at(leader).ids("otherHistories"), [0; 0]);
}

#[test]
fn a_set_of_one_leads_when_it_answers_first() {
    let mut cluster = Cluster::stopped(1);
    for life in 1..=3 {
        cluster.start([0]);
        assert_eq!(cluster.leaders(), [0]);
        assert_eq!(cluster.at(0).ids("roster"), [0]);
        cluster.agree(0, &[0], "a.txt", 1);
        wait_until(PATIENCE, "it reports this", || cluster.lines(0).len() == 2 * life);
        cluster.kill(0);
    }
    for life in cluster.lines(0).chunks(2) {
        assert!(life[0].starts_with("server 0 of 1 listens on "), "{life:?}");
        assert_eq!(life[1], "server 0 is the leader of term 1");
    }
}
