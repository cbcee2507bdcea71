//! What is shown of servers that are crashed, dead or without a majority, and how the program ends then.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::harness::Cluster;
use crate::program::{Ended, at, config, program, run};
use crate::wait::{PATIENCE, wait_until};

/// Runs the program, which gives up soon.
#[track_caller]
fn soon(cluster: &Cluster, arguments: &[&str]) -> Ended {
    at(cluster, &[&["--timeout", "0.7"], arguments].concat())
}

#[test]
fn every_server_has_its_line_in_the_status_also_when_it_is_crashed_or_dead() {
    let (mut cluster, leader) = Cluster::led(5);
    let (crashed, dead) = (cluster.others(leader)[0], cluster.others(leader)[1]);
    assert_eq!(
        at(&cluster, &["crash", &crashed.to_string()]).shown(),
        format!("server {crashed} is crashed\n")
    );
    cluster.kill(dead);
    let table = at(&cluster, &["status"]).shown();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 6, "{table}");
    for (id, role) in [(leader, "leader"), (crashed, "crashed"), (dead, "unreachable")] {
        let cells: Vec<_> = lines[id + 1].split_whitespace().take(3).collect();
        assert_eq!(cells, [&*id.to_string(), cluster.at(id).address(), role]);
    }
    let all: Json = serde_json::from_str(&at(&cluster, &["status", "-o", "json"]).shown()).unwrap();
    assert_eq!(all[dead]["role"], "unreachable");
    assert!(all[dead]["error"].as_str().unwrap().contains("cannot be reached"));
    assert_eq!((&all[leader]["role"], &all[leader]["behindBy"]), (&json!("leader"), &json!(0)));
    assert_eq!(all[leader]["leader"], cluster.at(leader).address());

    let versions = at(&cluster, &["version", "a.txt"]);
    versions.assert_failed(1, "cannot be reached");
    assert_eq!(versions.stdout.lines().count(), 6, "{versions:?}");
    at(&cluster, &["crash", &dead.to_string()]).assert_failed(1, "cannot be reached");
    at(&cluster, &["crash", "5"]).assert_failed(2, "the configuration has 0 to 4");
}

#[test]
fn a_crashed_leader_is_followed_by_another_and_all_come_back() {
    let (cluster, leader) = Cluster::led(3);
    assert_eq!(at(&cluster, &["crash", "leader"]).shown(), format!("server {leader} is crashed\n"));
    assert_ne!(at(&cluster, &["leader"]).shown().trim(), cluster.at(leader).address());
    assert_eq!(at(&cluster, &["update", "a.txt", "1", "h"]).shown(), "a.txt is at version 1\n");
    let all = "server 0 is crashed\nserver 1 is crashed\nserver 2 is crashed\n";
    assert_eq!(at(&cluster, &["crash", "all"]).shown(), all);
    soon(&cluster, &["leader"]).assert_failed(4, "no server says that it leads");
    let refused = soon(&cluster, &["update", "a.txt", "2", "h"]);
    refused.assert_failed(4, "no leader confirmed the call in time");
    assert_eq!(at(&cluster, &["restore", "all"]).shown(), all.replace("is crashed", "takes part"));
    assert_eq!(at(&cluster, &["update", "a.txt", "2", "h"]).shown(), "a.txt is at version 2\n");
}

#[test]
fn without_a_majority_the_exit_code_is_4_and_an_update_is_said_to_be_unknown() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    soon(&cluster, &["status"]).assert_failed(4, "no majority: 1 of 3 servers are up");
    soon(&cluster, &["doctor"]).assert_failed(4, "no majority: 1 of 3 servers are up");
    soon(&cluster, &["ls"]).assert_failed(4, "no leader confirmed the call in time");
    soon(&cluster, &["get", "a.txt"]).assert_failed(4, "no leader confirmed the call in time");
    soon(&cluster, &["update", "a.txt", "1", "h"]).assert_failed(4, "outcome unknown");
    let call = soon(&cluster, &["call", "getfileinfomap"]);
    call.assert_failed(1, "does not answer in time");
}

#[test]
fn a_dead_cluster_is_told_in_one_line() {
    let cluster = Cluster::stopped(2);
    soon(&cluster, &["status"]).assert_failed(4, "no majority: 0 of 2 servers are up");
    soon(&cluster, &["leader"]).assert_failed(4, "no server says that it leads");
    soon(&cluster, &["ls"]).assert_failed(4, "cannot be reached");
    soon(&cluster, &["update", "a.txt", "1"]).assert_failed(4, "cannot be reached");
    soon(&cluster, &["call", "ping", "--at", "1"]).assert_failed(1, "cannot be reached");
    let crash = soon(&cluster, &["restore", "all"]);
    assert_eq!((crash.code, crash.stderr.lines().count()), (Some(1), 2), "{crash:?}");
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let (cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &[0, 1, 2], "a.txt", 1);
    let file = config(&cluster);
    let doctor = || run(program().arg("doctor").arg(&file));
    let well = doctor().shown();
    assert!(well.ends_with("all is well\n") && !well.contains("bad"), "{well}");
    let crashed = cluster.others(leader)[0];
    cluster.crash(&[crashed]);
    let ended = doctor();
    ended.assert_failed(1, "one problem was found");
    assert!(ended.stdout.contains(&format!("bad server {crashed} is crashed")), "{ended:?}");
    cluster.restore(&[crashed]);
    cluster.agree(leader, &[0, 1, 2], "a.txt", 2);

    let text = std::fs::read_to_string(&file).unwrap();
    let swapped =
        text.replace("metadata0", "X").replace("metadata1", "metadata0").replace('X', "metadata1");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, swapped).unwrap();
    let ended = run(program().arg("doctor").arg(&other));
    ended.assert_failed(1, "2 problems were found");
    assert_eq!(ended.stdout.matches("was started with another configuration").count(), 2);
}

#[test]
fn a_watch_ends_without_a_word_when_nobody_reads_it() {
    let (cluster, _) = Cluster::led(1);
    for output in ["table", "json"] {
        let mut watch = program()
            .env("SURFSTORE_CONFIG", config(&cluster))
            .args(["status", "--watch", "-o", output])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let looks: Vec<_> = (0..3).map(|_| lines.next().unwrap().unwrap()).collect();
        assert!(output == "table" || looks.iter().all(|line| line.starts_with('[')), "{looks:?}");
        drop(lines);
        wait_until(PATIENCE, "the watch ends", || watch.try_wait().unwrap().is_some());
        let ended = watch.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]));
    }
}
