//! The program: its arguments, its exit codes, and what it finds.

use std::fs;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::broken::{self, Flaw};
use crate::harness::Cluster;
use crate::wait::{PATIENCE, wait_until};

/// The program with a configuration in a folder that is to be kept meanwhile.
fn monkey(config: &str, arguments: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-monkey"));
    command.arg("-f").arg(path).args(arguments).stdin(Stdio::null());
    (command, folder)
}

fn run(config: &str, arguments: &[&str]) -> Output {
    let (mut command, _folder) = monkey(config, arguments);
    command.env_remove("SURFSTORE_CONFIG").output().unwrap()
}

fn config(cluster: &Cluster) -> String {
    let mut config = format!("M: {}\n", cluster.size());
    for id in 0..cluster.size() {
        config += &format!("metadata{id}: {}\n", cluster.at(id).address());
    }
    config
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, parts: &[&str]) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

const SHORT: [&str; 6] = ["--duration", "4", "--pace", "0.3", "--seed", "1"];

#[test]
fn a_set_without_a_flaw_passes() {
    let output = run(&broken::start(Flaw::None), &SHORT);
    assert_ends(&output, 0, &["no violation", "again with: chaos-monkey -f ", "--seed 1 "]);
}

#[test]
fn a_set_that_loses_acknowledged_updates_is_found_out() {
    let output = run(&broken::start(Flaw::LosesUpdates), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "is two things"]);
}

#[test]
fn a_set_that_reads_from_the_past_is_found_out() {
    let output = run(&broken::start(Flaw::ReadsFromThePast), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "before it can have been there"]);
}

#[test]
fn a_set_that_applies_what_it_refuses_is_found_out() {
    let output = run(&broken::start(Flaw::AppliesWhatItRefuses), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "is there though its update was refused"]);
}

#[test]
fn a_set_with_two_leaders_is_found_out() {
    let output = run(&broken::start(Flaw::HasTwoLeaders), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "has two leaders"]);
}

#[test]
fn a_set_that_moves_while_it_is_crashed_is_found_out() {
    let output = run(&broken::start(Flaw::MovesWhileCrashed), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "moved while it was crashed", "before it was restored"]);
}

#[test]
fn a_run_in_which_nothing_was_crashed_is_void() {
    let output = run(&broken::start(Flaw::None), &["--duration", "0.5", "--pace", "100"]);
    assert_ends(&output, 1, &["void: no server was crashed", "seed "]);
}

#[test]
fn the_report_comes_as_json_too() {
    let arguments = [&SHORT[..], &["--json"]].concat();
    let output = run(&broken::start(Flaw::HasTwoLeaders), &arguments);
    assert_ends(&output, 1, &[]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["clean"], &report["seed"]), (&false.into(), &1.into()));
    assert!(0 < report["crashes"].as_u64().unwrap(), "{report}");
    assert!(report["violations"][0]["what"].as_str().unwrap().contains("two leaders"), "{report}");
}

#[test]
fn real_servers_pass() {
    let (cluster, _) = Cluster::led(3);
    let output = run(&config(&cluster), &["--duration", "10", "--pace", "1"]);
    assert_ends(&output, 0, &["no violation"]);
}

#[test]
fn real_servers_pass_though_a_majority_is_lost() {
    let (cluster, _) = Cluster::led(3);
    let arguments = ["--duration", "10", "--pace", "0.5", "--majority", "sometimes"];
    assert_ends(&run(&config(&cluster), &arguments), 0, &["no violation"]);
}

#[test]
fn an_interrupted_run_restores_all_servers_checks_and_reports() {
    let (cluster, _) = Cluster::led(3);
    let (mut command, _folder) =
        monkey(&config(&cluster), &["--duration", "600", "--pace", "1", "--seed", "5"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_crashed = |id: usize| {
        let answer = cluster.at(id).call("surfstore.isCrashed", &[]);
        answer == crate::client::TRUE
    };
    wait_until(PATIENCE, "a server is crashed", || (0..3).any(is_crashed));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_ends(&output, 0, &["ends early", "no violation"]);
    assert!(!(0..3).any(is_crashed), "a server was left crashed");
}

#[test]
fn a_set_that_cannot_be_reached_is_said_in_one_sentence() {
    // Nothing listens on a port below that of any server of these tests.
    let output = run(
        "M: 3\nmetadata0: 127.0.0.1:9\nmetadata1: 127.0.0.1:10\nmetadata2: 127.0.0.1:11\n",
        &[],
    );
    assert_ends(&output, 4, &["chaos-monkey: server 0 cannot be asked: 127.0.0.1:9: "]);
}

#[test]
fn wrong_arguments_are_refused_with_what_is_wrong() {
    let three = "M: 3\nmetadata0: a:1\nmetadata1: a:2\nmetadata2: a:3\n";
    for (config, arguments, said) in [
        (three, &["--pace", "0"][..], "from 0.05 to 1000000"),
        (three, &["--pace", "NaN"], "from 0.05 to 1000000"),
        (three, &["--duration", "x"], "expected a number of seconds"),
        (three, &["--workers", "0"], "1..=256"),
        (three, &["--majority", "maybe"], "never, sometimes"),
        (three, &["--seed", "x"], "invalid digit"),
        (three, &["more"], "unexpected argument"),
        ("M: 0\n", &[], "expected a number from 1 to 10"),
        ("M: 1\nmetadata0: a:1\n", &[], "can do without none"),
    ] {
        assert_ends(&run(config, arguments), 2, &[said]);
    }
    let bare = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-monkey"));
        command.env_remove("SURFSTORE_CONFIG");
        command
    };
    assert_ends(&bare().output().unwrap(), 2, &["no configuration: name one by -f CONFIG"]);
    let named = bare().env("SURFSTORE_CONFIG", "/absent/config").output().unwrap();
    assert_ends(&named, 2, &["\"/absent/config\": the configuration file cannot be read"]);
}
