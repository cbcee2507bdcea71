//! What `doctor` reports about servers that do not count, have conflicting histories, or are waited for.

use std::sync::{Arc, OnceLock};

use rustix::process::Signal;
use support::harness::Cluster;
use support::stage::{Act, Stage, empty_map};
use support::wait::{PATIENCE, wait_until};
use surfstore::config::Config;
use surfstore::value::Value;
use tempfile::TempDir;

use super::program::{Ended, at, program, run};

/// A member of a status of a scripted server.
type Member = (&'static str, Value);

/// The status of a server that leads a set of three, unless the members say otherwise.
fn status(id: i64, address: &str, members: &[Member]) -> Value {
    let mut status: Vec<Member> = vec![("id", id.into()), ("servers", 3.into())];
    status.extend(["release", "history", "incarnation"].map(|name| (name, "0a".into())));
    status.extend([("role", "leader".into()), ("leader", "".into()), ("address", address.into())]);
    let numbers = ["term", "commitIndex", "lastApplied", "lastLogIndex", "lastLogTerm", "files"];
    status.extend(numbers.map(|name| (name, 1.into())));
    let counts = ["waitingCalls", "peerRequests", "leaderChanges", "electionsStarted"];
    status.extend(counts.map(|name| (name, 0.into())));
    status.extend(["lastHeardMilliseconds", "uptimeSeconds"].map(|name| (name, 0.into())));
    status.retain(|(name, _)| members.iter().all(|(other, _)| other != name));
    let members = status.into_iter().chain(members.iter().cloned());
    Value::Struct(members.map(|(name, value)| (name.into(), value)).collect())
}

/// The problems that are found with three servers that have these members in their statuses, in the first and in any
/// later one.
fn problems(servers: [[&[Member]; 2]; 3]) -> Vec<String> {
    let ended = doctor_at(servers);
    let bad = ended.stdout.lines().filter_map(|line| line.strip_prefix("bad "));
    bad.map(str::to_owned).collect()
}

/// How `doctor` ends with these servers.
fn doctor_at(servers: [[&[Member]; 2]; 3]) -> Ended {
    let stage = |(id, statuses): (usize, [&[Member]; 2])| {
        let statuses = statuses.map(<[Member]>::to_vec);
        let own = Arc::new(OnceLock::new());
        let address = Arc::clone(&own);
        let stage = Stage::new(move |method, before| match method {
            "status" => {
                let address: &String = address.wait();
                Act::Answer(status(id as i64, address, &statuses[before.min(1)]))
            }
            "isCrashed" => Act::Answer(false.into()),
            "getfileinfomap" => empty_map(),
            _ => Act::Answer(Value::Array([].into())),
        });
        own.set(stage.address.to_string()).unwrap();
        stage
    };
    let stages: Vec<_> = servers.into_iter().enumerate().map(stage).collect();
    let addresses = stages.iter().enumerate();
    let lines = addresses.map(|(id, stage)| format!("metadata{id}: {}\n", stage.address));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, format!("M: 3\n{}", lines.collect::<String>())).unwrap();
    run(program().arg("doctor").arg(&file))
}

fn ids(ids: &[i64]) -> Value {
    Value::Array(ids.iter().map(|id| Value::from(*id)).collect())
}

/// The same members first and later.
fn always(members: &[Member]) -> [&[Member]; 2] {
    [members, members]
}

#[test]
fn nothing_is_wrong_with_servers_that_have_one_history_and_all_count() {
    let follows: &[Member] = &[("role", "follower".into())];
    assert_eq!(problems([always(&[]), always(follows), always(follows)]), [""; 0]);
}

#[test]
fn histories_that_differ_are_told_with_their_servers_and_files_and_what_to_do() {
    let follows: &[Member] = &[("role", "follower".into())];
    // It has been restarted from its folder, and has met no leader that commits all of its log.
    let log = [("lastApplied", 4.into()), ("lastLogIndex", 6.into())];
    let other = [("history", "0b".into()), ("role", "follower".into()), ("files", 3.into())];
    let other = [&other[..], &log].concat();
    let expected = "the servers have different histories, which never mix: 0a with one file at servers 0 and 1, 0b \
                    with 3 files and up to 2 updates not yet applied at server 2; choose one to keep, stop the \
                    servers that have another one, and start them again, with empty data folders if they have any";
    assert_eq!(problems([always(&[]), always(follows), always(&other)]), [expected]);
    // It has no committed entry yet, so it will be given up.
    let unfounded = [&other[..], &[("commitIndex", 0.into())]].concat();
    assert_eq!(problems([always(&[]), always(follows), always(&unfounded)]), [""; 0]);
    let tells = [("otherHistories", ids(&[2]))];
    let expected =
        "server 0 reports another history at server 2: run `doctor` again once all of them answer";
    assert_eq!(problems([always(&tells), always(follows), always(follows)]), [expected]);
}

#[test]
fn servers_that_do_not_count_are_told_unless_they_are_crashed() {
    let (follows, crashed) = ([("role", "follower".into())], [("role", "crashed".into())]);
    let leads = [("roster", ids(&[0])), ("guests", ids(&[2]))];
    let expected = "servers 1 and 2 do not count yet, as after a restart: do not stop another server until the leader \
                    has brought them in";
    assert_eq!(problems([always(&leads), always(&follows), always(&follows)]), [expected]);
    let relaunched = [("roster", ids(&[0, 1, 2])), ("guests", ids(&[1]))];
    let expected = expected.replace("servers 1 and 2 do", "server 1 does").replace("them", "it");
    assert_eq!(problems([always(&relaunched), always(&follows), always(&follows)]), [expected]);
    let found = problems([always(&relaunched), always(&crashed), always(&follows)]);
    assert!(!found.iter().any(|line| line.contains("count yet")), "{found:?}");
}

#[test]
fn a_server_that_starts_with_an_empty_folder_is_told_apart_from_a_restarted_one() {
    let follows =
        |kibibytes: i64| [("role", "follower".into()), ("diskKibibytes", kibibytes.into())];
    let leads = [("roster", ids(&[0])), ("guests", ids(&[2])), ("diskKibibytes", 4.into())];
    let found = problems([always(&leads), always(&follows(4)), always(&follows(4))]);
    let expected = "servers 1 and 2 do not count yet, as after a start with an empty folder: do not stop another \
                    server until the leader has brought them in";
    assert_eq!(found, [expected]);
    let found = problems([always(&leads), always(&follows(-1)), always(&follows(4))]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("server 1 does not count yet, as after a restart: "), "{found:?}");
    assert!(found[1].starts_with("server 2 does not count yet, as after a start "), "{found:?}");
}

/// So that a set can be given folders one server after the other, each as soon as `doctor` finds nothing wrong.
#[test]
fn servers_without_a_disk_among_others_are_noted_but_no_problem() {
    let leads = |kibibytes: i64| [("diskKibibytes", kibibytes.into())];
    let follows =
        |kibibytes: i64| [("role", "follower".into()), ("diskKibibytes", kibibytes.into())];
    let noted = |disks: [i64; 3]| {
        let [leads, one, other] = [&leads(disks[0])[..], &follows(disks[1]), &follows(disks[2])];
        let servers = [always(leads), always(one), always(other)];
        assert_eq!(problems(servers), [""; 0]);
        let stdout = doctor_at(servers).stdout;
        let notes = stdout.lines().filter_map(|line| line.strip_prefix("note "));
        let notes = notes.filter(|line| line.contains("disk"));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = "server 1 keeps nothing on disk, unlike servers 0 and 2: it forgets everything when its process \
                    ends; start it with SURFSTORE_DATA_DIR";
    assert_eq!(noted([0, -1, 4]), [expected]);
    let expected = "servers 0 and 2 keep nothing on disk, unlike server 1: they forget everything when their processes \
                    end; start them with SURFSTORE_DATA_DIR";
    assert_eq!(noted([-1, 4, -1]), [expected]);
    assert_eq!(noted([4, 4, 0]), [""; 0]);
    assert_eq!(noted([-1, -1, -1]), [""; 0]);
}

/// The servers may all be up, and only unable to reach each other.
#[test]
fn a_leader_that_no_majority_answers_is_told() {
    let follows: &[Member] = &[("role", "follower".into())];
    let lacks: &[Member] = &[("lacksMajority", true.into())];
    let ended = doctor_at([always(lacks), always(follows), always(follows)]);
    ended.assert_failed(4, "no majority: server 0 leads, but no majority answers it");
}

#[test]
fn two_processes_that_answer_for_one_server_are_told() {
    let follows: &[Member] = &[("role", "follower".into())];
    let tells = [("doubled", ids(&[1]))];
    let found = problems([always(&tells), always(follows), always(follows)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("two processes answer for server 1: stop "), "{found:?}");
    let changed: &[Member] = &[("role", "follower".into()), ("incarnation", "0c".into())];
    let found = problems([always(&[]), [follows, changed], always(follows)]);
    let expected = "server 1 has just been restarted, or two processes answer at its address: run `doctor` again";
    assert_eq!(found, [expected]);
}

#[test]
fn of_a_server_that_is_waited_for_it_is_told_what_to_do() {
    let waits = [("role", "candidate".into()), ("waitsFor", ids(&[2]))];
    let (crashed, follows) = ([("role", "crashed".into())], [("role", "follower".into())]);
    for (state, expected) in [
        (&crashed, "which is crashed: run `surfstore restore 2`"),
        (&follows, "which refuses its vote, and may win itself: run `doctor` again"),
    ] {
        let found = problems([always(&waits), always(&waits), always(state)]);
        let expected = format!("the election waits for server 2, {expected}");
        assert!(found.contains(&expected), "{found:?}");
    }
    let found = problems([always(&[]), always(&waits), always(&crashed)]);
    assert!(!found.iter().any(|line| line.contains("no leader can be elected")), "{found:?}");
}

/// Runs the program with a short timeout.
#[track_caller]
fn doctor(cluster: &Cluster) -> Ended {
    at(cluster, &["--timeout", "1", "doctor"])
}

#[test]
fn a_guest_and_then_a_silent_server_are_told_in_words() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.await_whole();
    cluster.agree(leader, &[0, 1, 2], "a.txt", 1);
    let [crashed, relaunched] = cluster.others(leader)[..] else { panic!("there are three") };
    cluster.crash(&[crashed]);
    cluster.relaunch(&[relaunched]);
    wait_until(PATIENCE, "the leader has noticed", || {
        cluster.at(leader).ids("guests") == [relaunched]
    });
    wait_until(PATIENCE, "the leader has no majority", || {
        at(&cluster, &["leader"]).code == Some(4)
    });
    let ended = doctor(&cluster);
    ended.assert_failed(4, "leads, but no majority answers it");
    let guest =
        format!("bad server {relaunched} does not count yet, as after a restart: do not stop");
    assert!(ended.stdout.contains(&guest), "{ended:?}");

    cluster.restore(&[crashed]);
    cluster.await_whole();
    let leader = cluster.leader();
    let silent = cluster.others(leader)[0];
    cluster.signal(silent, Signal::STOP);
    cluster.relaunch(&[leader]);
    wait_until(PATIENCE, "it is waited for", || {
        cluster.others(silent).iter().any(|id| cluster.at(*id).ids("waitsFor") == [silent])
    });
    let ended = doctor(&cluster);
    ended.assert_failed(4, "there is no leader");
    let waits = format!("bad the election waits for server {silent}, which does not answer: ");
    assert!(ended.stdout.contains(&waits), "{ended:?}");
}

#[test]
fn a_server_with_another_size_of_configuration_is_told_with_what_to_do() {
    let (mut cluster, _) = Cluster::led(3);
    cluster.await_whole();
    let config = Config::read(&cluster.config()).unwrap();
    let few: Vec<_> = config.servers[..2].iter().map(ToString::to_string).collect();
    cluster.kill(0);
    cluster.launch(0, cluster.command_with(0, &few));
    cluster.await_answer(0);
    cluster.leader();
    let ended = doctor(&cluster);
    let expected = format!(
        "bad the server at {0} was started with another configuration: it is server 0 of 2, at {0}; start all servers \
         of a set with the same file",
        few[0]
    );
    assert!(ended.stdout.contains(&expected), "{ended:?}");
    for wrong in ["does not count", "server 0 has applied", "server 0 is "] {
        assert!(!ended.stdout.contains(wrong), "it takes no part: {ended:?}");
    }
    assert!(ended.stdout.contains("server 1 has applied every file"), "{ended:?}");
}

#[test]
fn what_may_pass_and_what_may_not_are_told_with_what_to_do() {
    let follows: &[Member] = &[("role", "follower".into())];
    let apart: &[Member] = &[("role", "follower".into()), ("term", 2.into())];
    let found = problems([always(&[]), always(follows), always(apart)]);
    let connect = "if `surfstore doctor` still says so after a few seconds, check that every server can reach every \
                   other one";
    assert_eq!(found, [format!("the servers are in different terms: 1, 2; {connect}")]);
    let other: &[Member] = &[("role", "follower".into()), ("leader", "a.test:1".into())];
    let found = problems([always(&[]), always(follows), always(other)]);
    let begin = "the servers follow different leaders: ";
    assert!(found.len() == 1 && found[0].starts_with(begin), "{found:?}");
    assert!(found[0].ends_with(connect), "{found:?}");
    for (applied, entries) in [(0, "1 entry"), (-1, "2 entries")] {
        let behind: &[Member] = &[("role", "follower".into()), ("lastApplied", applied.into())];
        let found = problems([always(&[]), always(follows), always(behind)]);
        let expected = format!("server 2 is behind by {entries}; run `surfstore doctor` again: ");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
}

#[test]
fn a_name_that_is_not_found_is_told_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, "M: 1\nmetadata0: no-such-host.invalid:9001\n").unwrap();
    let ended = run(program().args(["--timeout", "1", "doctor"]).arg(&file));
    let bad: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("bad ")).collect();
    assert!(bad.len() == 1 && bad[0].starts_with("bad server 0 is not found: "), "{ended:?}");
    assert!(bad[0].ends_with("; correct its name in the configuration, or make the name resolve"));
}
