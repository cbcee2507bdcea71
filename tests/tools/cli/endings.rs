//! How every command ends if there is no set, only a part of one, or no reader of its output.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use support::harness::Cluster;
use surfstore::client::Limits;

use super::program::{self, CALLS, Ended, config, run};
use super::strangers::{self, garbage, liar, rude, silent, web};

/// Checks that a command failed with this code, and says so on one line.
#[track_caller]
fn assert_ends(line: &str, ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
    let [said] = ended.stderr.lines().collect::<Vec<_>>()[..] else { panic!("{line}: {ended:?}") };
    assert!(said.starts_with("surfstore: "), "{line}: {said}");
    // The commands that report on each server, or on what they find, do so in any case.
    let tells = ["status", "version", "doctor"];
    let is_silent = !line.ends_with("json") && !tells.iter().any(|tells| line.starts_with(tells));
    assert!(!is_silent || ended.stdout.is_empty(), "{line}: {ended:?}");
    assert!(ended.stdout.lines().all(|line| !line.contains(char::is_control)), "{ended:?}");
}

/// The exit code if no server of a set can be reached: 1 if one particular server, or each, is called, otherwise 4.
fn unreached(line: &str) -> i32 {
    let of_servers = ["crash 0", "crash all", "restore", "version a.txt", "call ping --at"];
    if of_servers.iter().any(|begin| line.starts_with(begin)) { 1 } else { 4 }
}

/// The command, with a timeout of so many seconds.
fn within(seconds: &str, line: &str) -> Command {
    let mut command = program::program();
    command.args(["--timeout", seconds]).args(line.split_whitespace());
    command
}

fn soon(line: &str) -> Command {
    within("0.3", line)
}

/// Runs a command against a set that has time to answer.
#[track_caller]
fn at(cluster: &Cluster, line: &str) -> Ended {
    program::at(cluster, &line.split_whitespace().collect::<Vec<_>>())
}

#[test]
fn a_dead_set_is_told_in_one_line_and_no_update_is_in_doubt() {
    let cluster = Cluster::stopped(1);
    for line in CALLS {
        let ended = run(soon(line).env("SURFSTORE_CONFIG", config(&cluster)));
        assert_ends(line, &ended, unreached(line));
        assert!(!ended.stderr.contains("unknown"), "{line}: {ended:?}");
        let how = "connection refused at the only address; start the server with `surfstore ";
        assert!(ended.stderr.contains(how), "{line}: {ended:?}");
    }
}

#[test]
fn if_no_server_runs_every_command_says_so_soon_and_how_to_start_them() {
    let cluster = Cluster::stopped(3);
    let path = config(&cluster);
    let how = "connection refused at all 3 addresses; start them with `surfstore cluster";
    for line in CALLS {
        let start = Instant::now();
        let words = || line.split_whitespace();
        let ended = run(program::program().args(words()).env("SURFSTORE_CONFIG", &path));
        assert!(start.elapsed() < Limits::default().deadline, "{line}: {:?}", start.elapsed());
        assert_ends(line, &ended, unreached(line));
        assert_eq!(ended.stderr, format!("surfstore: {how}`\n"), "{line}");
        // The commands that call servers by their ids report on each.
        let reports = ["version a.txt -o json", "crash 0 -o json", "restore all -o json"];
        if reports.contains(&line) {
            let each: Vec<Json> = serde_json::from_str(&ended.stdout).unwrap();
            assert!(each.iter().all(|server| server["error"].is_string()), "{line}: {ended:?}");
            assert_eq!(each.len(), if line.starts_with("crash 0") { 1 } else { 3 }, "{line}");
        }
    }
    let named = run(program::program().args(["ls", "-f"]).arg(&path));
    named.assert_failed(4, &format!("{how} -f {}`", Path::new(&path).display()));
    // Whoever names a time may be about to start them.
    let start = Instant::now();
    run(within("2", "leader").env("SURFSTORE_CONFIG", &path)).assert_failed(4, how);
    assert!(Duration::from_secs(2) <= start.elapsed());
}

#[test]
fn a_listener_that_is_not_a_server_is_reported_in_one_line() {
    for (manners, is_open) in [(web as strangers::Manners, false), (silent, true), (garbage, true)]
    {
        let (config, _folder) = strangers::set(manners);
        for line in CALLS {
            let ended = run(soon(line).arg("-f").arg(&config));
            assert_ends(line, &ended, unreached(line));
            if line.starts_with("update") {
                assert_eq!(ended.stderr.contains("outcome unknown"), is_open, "{ended:?}");
            }
        }
    }
}

#[test]
fn answers_that_no_server_gives_neither_steer_a_terminal_nor_end_in_a_panic() {
    for manners in [liar, rude] as [strangers::Manners; 2] {
        let (config, _folder) = strangers::set(manners);
        for line in CALLS {
            let ended = run(soon(line).arg("-f").arg(&config));
            assert!(ended.stderr.lines().count() <= 1, "{line}: {ended:?}");
            for shown in ended.stdout.lines().chain(ended.stderr.lines()) {
                assert!(!shown.contains(char::is_control), "{line}: {shown:?}");
            }
        }
    }
}

#[test]
fn without_a_majority_every_command_ends_in_time_and_says_what_is_known() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    let at_leader = format!("call ping --at {leader}");
    for (line, code, what) in [
        ("status", 4, "no majority: 1 of 3 servers is up"),
        ("status -o json", 4, "no majority: 1 of 3 servers is up"),
        ("doctor", 4, "no majority: 1 of 3 servers is up"),
        ("ls", 4, "no leader with a majority confirmed the call in time"),
        ("get a.txt", 4, "no leader with a majority confirmed the call in time"),
        ("version a.txt", 1, "cannot be reached"),
        ("call getfileinfomap", 1, "did not answer in time"),
        (
            "update a.txt 1 h",
            4,
            "outcome unknown: the update may have taken effect, or may still do so",
        ),
        ("crash 3", 2, "the configuration has 0 to 2"),
        ("restore 99", 2, "the configuration has 0 to 2"),
        ("call ping --at 3", 2, "the configuration has 0 to 2"),
    ] {
        let ended = run(within("1", line).env("SURFSTORE_CONFIG", config(&cluster)));
        ended.assert_failed(code, what);
        let lines = ended.stdout.lines().count();
        match line {
            "status" | "version a.txt" => assert_eq!(lines, 4, "{line}: {ended:?}"),
            "status -o json" | "doctor" => assert!(3 < lines, "{line}: {ended:?}"),
            _ => assert_eq!(lines, 0, "{line}: {ended:?}"),
        }
    }
    let ended = run(within("1", "ls").env("SURFSTORE_CONFIG", config(&cluster)));
    assert!(ended.stderr.ends_with("; see `surfstore status`\n"), "{ended:?}");
    let ended = at(&cluster, "leader");
    ended.assert_failed(
        4,
        &format!("no majority: server {leader} leads, but no majority answers it"),
    );
    assert_eq!(ended.stdout.trim(), cluster.at(leader).address(), "{ended:?}");
    for line in ["call ping", &at_leader, "crash leader"] {
        at(&cluster, line).shown();
    }
    let ended = run(soon("crash leader").env("SURFSTORE_CONFIG", config(&cluster)));
    ended.assert_failed(4, "no server says that it is the leader");
}

#[test]
fn versions_that_are_not_the_next_are_refused() {
    let (cluster, _) = Cluster::led(1);
    for version in ["0", "-1", "2", "2147483647", "-2147483648"] {
        let line = format!("update a.txt {version} h");
        let ended = at(&cluster, &line);
        assert_ends(&line, &ended, 3);
        assert!(ended.stderr.contains("the stored version is 0, so the next is 1"), "{ended:?}");
    }
    let beyond = format!("update a.txt {} h", i64::MAX);
    assert_ends(&beyond, &at(&cluster, &beyond), 3);
}

#[test]
fn a_stdout_that_is_full_is_told_with_what_was_done_and_exit_code_1() {
    let (cluster, _) = Cluster::led(1);
    // A benchmark says more on stderr, and has a test of its own.
    let calls = CALLS.into_iter().filter(|line| !line.starts_with("bench"));
    let mut lines: Vec<_> = calls.collect();
    lines.extend(["completions bash", "--help", "--version", "status --help", "status --watch"]);
    for line in lines {
        // Each command finds a leader, whatever the commands before did.
        cluster.restore(&[0]);
        cluster.leader();
        let mut command = program::program();
        command.args(line.split_whitespace()).env("SURFSTORE_CONFIG", config(&cluster));
        let ended = run(command.stdout(File::options().write(true).open("/dev/full").unwrap()));
        // The file does not exist yet when the other commands ask for it.
        if line == "get a.txt" {
            ended.assert_failed(1, "there is no file");
            continue;
        }
        ended.assert_failed(1, "stdout cannot be written: ");
        let done = match line {
            "update a.txt 1 h" => "a.txt is at version 1; ",
            "crash 0" | "crash 0 -o json" | "crash leader" | "crash all" => "server 0 is crashed; ",
            "restore 0" | "restore all" | "restore all -o json" => "server 0 was not crashed; ",
            _ => "",
        };
        assert!(ended.stderr.starts_with(&format!("surfstore: {done}stdout ")), "{ended:?}");
    }
}

#[test]
fn the_exit_code_is_right_even_if_the_output_is_not_read() {
    let dead = Cluster::stopped(3);
    let (cluster, leader) = Cluster::led(3);
    cluster.crash(&[cluster.others(leader)[0]]);
    for (set, line, code) in [
        (&dead, "status", 4),
        (&dead, "status -o json", 4),
        (&dead, "doctor", 4),
        (&dead, "version a.txt", 1),
        (&cluster, "status", 0),
        (&cluster, "doctor", 1),
        (&cluster, "ls", 0),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = within("2", line);
        command.env("SURFSTORE_CONFIG", config(set)).stdout(Stdio::from(writer));
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), usize::from(code != 0), "{line}: {ended:?}");
    }
}
