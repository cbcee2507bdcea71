//! Failovers in which a signal comes, or a server stops, at a certain moment.

use std::time::Duration;

use rustix::process::Signal;
use support::harness::Cluster;
use support::wait::{PATIENCE, holds_for, wait_until};

use super::{assert_nobody_is_crashed, deleted, end, json, number, signal, start_with};
use crate::cli::program::at;
use crate::cli::relays::{Held, Relays};

/// Long enough for the program to act on a signal.
const WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_signal_during_crash_restores_the_server_once_crash_is_answered() {
    let (cluster, _) = Cluster::led(3);
    for (what, name) in [
        (Held::Call, Signal::INT),
        (Held::Call, Signal::TERM),
        (Held::Answer, Signal::INT),
        (Held::Answer, Signal::TERM),
    ] {
        let relays = Relays::new(&cluster, "crash", what);
        let process = start_with(&relays.config, &["--seconds", "0.01", "--failovers", "1000"]);
        let leader = relays.held();
        if what == Held::Answer {
            wait_until(PATIENCE, "it is crashed", || cluster.at(leader).is_crashed());
        }
        signal(&process, name);
        // A server that gets its calls in another order stays crashed.
        holds_for(WHILE, "it waits for the answer", || relays.heard("restore") == 0);
        relays.release();
        let ended = end(process);
        assert_eq!(ended.code, Some(130), "{what:?}: {ended:?}");
        assert!(ended.stderr.ends_with("\nsurfstore: interrupted\n"), "{ended:?}");
        assert_nobody_is_crashed(&cluster);
        assert_eq!((relays.heard("crash"), relays.heard("restore")), (1, 1), "{what:?}");
        assert_eq!(deleted(&cluster).0.len(), 4);
    }
}

/// The leader is suspended, so that `crash` is never answered.
#[test]
fn a_signal_during_crash_without_an_answer_ends_it_with_exit_code_130_too() {
    let (mut cluster, _) = Cluster::led(3);
    let relays = Relays::new(&cluster, "crash", Held::Call);
    let options = ["--seconds", "0.01", "--failovers", "1000", "--timeout", "2"];
    let process = start_with(&relays.config, &options);
    let leader = relays.held();
    cluster.signal(leader, Signal::STOP);
    signal(&process, Signal::INT);
    relays.release();
    let ended = end(process);
    cluster.signal(leader, Signal::CONT);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let told = format!("surfstore: server {leader} may still be crashed; run `surfstore restore ");
    assert!(ended.stderr.contains(&told), "{ended:?}");
}

#[test]
fn a_suspended_follower_stops_no_failover_if_a_majority_is_left() {
    let (mut cluster, _) = Cluster::led(5);
    let relays = Relays::new(&cluster, "crash", Held::Call);
    let options = ["--seconds", "0.01", "--failovers", "3", "--timeout", "3", "-o", "json"];
    let process = start_with(&relays.config, &options);
    // The client asks this one next.
    let follower = (relays.held() + 1) % 5;
    cluster.signal(follower, Signal::STOP);
    relays.release();
    let ended = end(process);
    cluster.signal(follower, Signal::CONT);
    let report = json(&ended);
    let failovers = report["failovers"].as_array().unwrap();
    assert_eq!(failovers.len(), 3, "{report}");
    assert!(failovers.iter().all(|one| usize::try_from(number(&one["server"])) != Ok(follower)));
    assert_eq!((relays.heard("crash"), relays.heard("restore")), (3, 3));
    assert_nobody_is_crashed(&cluster);
    assert_eq!(deleted(&cluster).0.len(), 4);
}

#[test]
fn no_leader_is_crashed_once_a_suspended_follower_is_needed_for_a_majority() {
    let (mut cluster, _) = Cluster::led(3);
    let relays = Relays::new(&cluster, "restore", Held::Call);
    let options = ["--seconds", "0.01", "--failovers", "5", "--timeout", "8", "-o", "json"];
    let process = start_with(&relays.config, &options);
    let crashed = relays.held();
    let next = cluster.leader();
    let follower = 3 - crashed - next;
    cluster.signal(follower, Signal::STOP);
    relays.release();
    let ended = end(process);
    cluster.signal(follower, Signal::CONT);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("surfstore: no failover is possible after 8 s: "), "{ended:?}");
    assert_eq!((relays.heard("crash"), relays.heard("restore")), (1, 1));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["failovers"].as_array().unwrap().len(), 1, "{report}");
    assert_nobody_is_crashed(&cluster);
    assert_eq!(deleted(&cluster).0.len(), 4);
}

#[test]
fn a_leader_that_is_suspended_before_crash_is_told_as_one_that_may_be_crashed() {
    let (mut cluster, _) = Cluster::led(3);
    let relays = Relays::new(&cluster, "crash", Held::Call);
    let options = ["--seconds", "0.01", "--failovers", "2", "--timeout", "2"];
    let process = start_with(&relays.config, &options);
    let leader = relays.held();
    cluster.signal(leader, Signal::STOP);
    relays.release();
    let ended = end(process);
    cluster.signal(leader, Signal::CONT);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let restore = format!("restore {leader}");
    let told =
        format!("surfstore: server {leader} may still be crashed; run `surfstore {restore}`");
    assert!(ended.stderr.contains(&told), "{ended:?}");
    assert!(!ended.stderr.contains("are left"), "the others delete the files: {ended:?}");
    assert_eq!(relays.heard("crash"), 1);
    // It executes the calls that it got while it was suspended, in any order.
    wait_until(PATIENCE, "what the message says restores it", || {
        at(&cluster, &["restore", &leader.to_string()]).code == Some(0)
            && !cluster.at(leader).is_crashed()
    });
    assert_eq!(deleted(&cluster).0.len(), 4);
}

#[test]
fn a_leader_that_is_suspended_after_crash_is_crashed_no_longer_once_it_answers() {
    let (mut cluster, _) = Cluster::led(3);
    let relays = Relays::new(&cluster, "restore", Held::Call);
    let options = ["--seconds", "0.01", "--failovers", "1000", "--timeout", "2"];
    let process = start_with(&relays.config, &options);
    let crashed = relays.held();
    cluster.signal(crashed, Signal::STOP);
    relays.release();
    let ended = end(process);
    assert_eq!((ended.code, relays.heard("crash")), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr.contains(" may still be crashed; run `surfstore restore"), "{ended:?}");
    cluster.signal(crashed, Signal::CONT);
    wait_until(PATIENCE, "it executes restore()", || !cluster.at(crashed).is_crashed());
    assert_eq!(deleted(&cluster).0.len(), 4);
}
