//! What is shown about servers that are crashed, dead or without a majority, and how the program then ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use support::client::{TRUE, hash};
use support::harness::Cluster;
use support::stage::{Act, Stage};
use support::wait::{ELECTION, PATIENCE, wait_until};
use surfstore::value::Value;

use super::program::{Ended, at, config, program, run};

/// Runs the program with a short timeout.
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

    let all = at(&cluster, &["restore", "all", "-o", "json"]);
    all.assert_failed(1, "cannot be reached");
    let all: Json = serde_json::from_str(&all.stdout).unwrap();
    for (id, restored) in all.as_array().unwrap().iter().enumerate() {
        assert_eq!(restored["id"], id);
        assert_eq!(restored["error"].is_string(), id == dead, "{restored}");
        let changed = (id != dead).then_some(id == crashed);
        assert_eq!(restored["changed"].as_bool(), changed, "{restored}");
    }
}

/// Server 0 is the one that a command asks first.
#[test]
fn a_suspended_server_leaves_time_to_find_the_leader() {
    for led in [false, true] {
        let (mut cluster, mut leader) = Cluster::led(3);
        while (leader == 0) != led {
            cluster.crash(&[leader]);
            wait_until(PATIENCE, "another server leads", || !cluster.leaders().is_empty());
            cluster.restore(&[leader]);
            leader = cluster.leader();
        }
        cluster.signal(0, Signal::STOP);
        wait_until(ELECTION, "another server leads", || {
            [1, 2].into_iter().any(|id| cluster.at(id).is_leader())
        });
        let address = |id| cluster.at(id).address().to_owned();
        let leaders = [address(1), address(2)];
        let with = |line: &str| {
            let words = [&["--timeout", "3"], &*line.split(' ').collect::<Vec<_>>()].concat();
            at(&cluster, &words).shown()
        };
        assert_eq!(with("update a.txt 1 h"), "a.txt is at version 1\n");
        assert_eq!(with("get a.txt"), "version 1\nh\n");
        assert!(leaders.contains(&with("leader").trim().to_owned()));
        assert_eq!(with("call updatefile string:a.txt int:2 json:[\"i\"]"), "true\n");
        cluster.signal(0, Signal::CONT);
        // The update that it got while it was suspended has no effect.
        cluster.await_version(&[0, 1, 2], "a.txt", 2);
    }
}

#[test]
fn a_silent_server_leaves_time_for_a_leader_that_is_elected_meanwhile() {
    let silent = Stage::new(|_, _| Act::Silence);
    let leader = Stage::new(|_, before| match before {
        0 => Act::Fault(1, "isCrashed: this server is crashed".to_owned()),
        _ => Act::Answer(status("")),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let set = format!("M: 2\nmetadata0: {}\nmetadata1: {}\n", silent.address, leader.address);
    fs::write(&path, set).unwrap();
    let ended = run(program().args(["--timeout", "2", "leader", "-o", "json", "-f"]).arg(&path));
    assert_eq!(serde_json::from_str::<Json>(&ended.shown()).unwrap()["id"], 1);
}

#[test]
fn a_crashed_leader_is_followed_by_another_and_all_come_back() {
    let (cluster, leader) = Cluster::led(3);
    assert_eq!(at(&cluster, &["crash", "leader"]).shown(), format!("server {leader} is crashed\n"));
    assert_ne!(at(&cluster, &["leader"]).shown().trim(), cluster.at(leader).address());
    assert_eq!(at(&cluster, &["update", "a.txt", "1", "h"]).shown(), "a.txt is at version 1\n");
    let told = |each: [&str; 3]| {
        let lines = each.iter().enumerate();
        lines.map(|(id, told)| format!("server {id} {told}\n")).collect::<String>()
    };
    let mut crashed = ["is crashed"; 3];
    crashed[leader] = "was already crashed";
    assert_eq!(at(&cluster, &["crash", "all"]).shown(), told(crashed));
    soon(&cluster, &["leader"]).assert_failed(4, "no server says that it is the leader");
    let refused = soon(&cluster, &["update", "a.txt", "2", "h"]);
    refused.assert_failed(4, "no leader with a majority confirmed the call in time");
    assert_eq!(at(&cluster, &["restore", "0"]).shown(), "server 0 is restored\n");
    let mut restored = ["is restored"; 3];
    restored[0] = "was not crashed";
    assert_eq!(at(&cluster, &["restore", "all"]).shown(), told(restored));
    assert_eq!(at(&cluster, &["update", "a.txt", "2", "h"]).shown(), "a.txt is at version 2\n");
}

#[test]
fn each_server_that_cannot_be_restored_is_told() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    let ended = soon(&cluster, &["restore", "all"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 2), "{ended:?}");
    assert_eq!(ended.stdout, format!("server {leader} was not crashed\n"));
    for (line, id) in ended.stderr.lines().zip(cluster.others(leader)) {
        let begin = format!("surfstore: server {id}: {}: ", cluster.at(id).address());
        assert!(line.starts_with(&begin), "{ended:?}");
    }
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &[0, 1, 2], "a.txt", 1);
    let file = config(&cluster);
    let doctor = || run(program().arg("doctor").arg(&file));
    let well = doctor().shown();
    assert!(well.contains(&format!("ok  server {leader} is the leader in term ")), "{well}");
    assert!(well.ends_with("all is well\n") && !well.contains("bad"), "{well}");
    let crashed = cluster.others(leader)[0];
    cluster.crash(&[crashed]);
    let ended = doctor();
    ended.assert_failed(1, "one problem found");
    assert!(ended.stdout.contains(&format!("bad server {crashed} is crashed")), "{ended:?}");
    let ended = run(program().args(["doctor", "-o", "json"]).arg(&file));
    ended.assert_failed(1, "one problem found");
    let findings: Json = serde_json::from_str(&ended.stdout).unwrap();
    let findings = findings.as_array().unwrap();
    let bad: Vec<_> = findings.iter().filter(|found| found["finding"] == "bad").collect();
    assert!(bad.len() == 1 && 5 < findings.len(), "{findings:?}");
    assert!(bad[0]["text"].as_str().unwrap().contains(&format!("server {crashed} is crashed")));
    cluster.restore(&[crashed]);
    cluster.agree(leader, &[0, 1, 2], "a.txt", 2);

    let text = std::fs::read_to_string(&file).unwrap();
    let swapped =
        text.replace("metadata0", "X").replace("metadata1", "metadata0").replace('X', "metadata1");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, swapped).unwrap();
    let ended = run(program().arg("doctor").arg(&other));
    // The two that are swapped, and the third, in whose configuration they have another order.
    ended.assert_failed(1, "3 problems found");
    assert_eq!(ended.stdout.matches("was started with another configuration").count(), 3);
    assert!(ended.stdout.contains("start all servers of a set with the same file"), "{ended:?}");

    cluster.kill(crashed);
    let ended = doctor();
    ended.assert_failed(1, "one problem found");
    assert!(ended.stdout.contains(&format!("bad server {crashed} returns no status")), "{ended:?}");
    let how = format!("if its process has ended, start it with `run-server.sh CONFIG {crashed}`");
    assert!(ended.stdout.contains(&how), "{ended:?}");
}

#[test]
fn the_doctor_compares_every_file_of_the_map() {
    let (cluster, leader) = Cluster::led(3);
    for number in 0..70 {
        assert_eq!(cluster.at(leader).update(&format!("{number:02}"), 1, &hash("h")), TRUE);
    }
    cluster.await_version(&[0, 1, 2], "69", 1);
    let well = at(&cluster, &["doctor"]).shown();
    assert!(well.contains("the map; it has 70 files"), "{well}");
    for id in 0..3 {
        assert!(well.contains(&format!("server {id} has applied every file of the map")), "{well}");
    }

    // A server that has lost the last of 70 files.
    static ADDRESS: OnceLock<String> = OnceLock::new();
    let forgetful = Stage::new(|method, _| {
        let version = |number| Value::Array([i64::from(number < 69).into()].into());
        let file = |number| {
            let info = Value::Array([1.into(), Value::Array([].into())].into());
            (format!("{number:02}").into(), info)
        };
        Act::Answer(match method {
            "status" => status(ADDRESS.wait()),
            "isCrashed" => false.into(),
            "getfileinfomap" => Value::Struct((0..70).map(file).collect()),
            _ => Value::Array(match CALLS.fetch_add(1, SeqCst) {
                0 => (0..64).map(version).collect(),
                _ => (64..70).map(version).collect(),
            }),
        })
    });
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    ADDRESS.set(forgetful.address.to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, format!("M: 1\nmetadata0: {}\n", forgetful.address)).unwrap();
    let ended = run(program().arg("doctor").arg(&file));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let found =
        "server 0 has older versions of one file; it has version 0 of 69, the map has version 1";
    assert!(ended.stdout.contains(found), "{ended:?}");
}

/// The status of a leader.
pub(super) fn status(address: &str) -> Value {
    let text = |name: &str, text: &str| (name.into(), text.into());
    let texts = [text("address", address), text("leader", address), text("role", "leader")];
    let number = |name: &str| (name.into(), i64::from(name != "id").into());
    let numbers = ["id", "servers", "term", "commitIndex", "lastApplied", "lastLogIndex"];
    let more = ["lastLogTerm", "files", "waitingCalls", "peerRequests", "leaderChanges"];
    let last = ["electionsStarted", "lastHeardMilliseconds", "uptimeSeconds"];
    let numbers = numbers.into_iter().chain(more).chain(last).map(number);
    Value::Struct(texts.into_iter().chain([text("release", "0")]).chain(numbers).collect())
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
