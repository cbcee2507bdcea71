//! The program: its arguments, its exit codes, and what it finds.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use tempfile::TempDir;

use super::broken::{self, Flaw};
use crate::pty::{Terminal, widest};

/// The program with a configuration in a folder that must be kept while it runs.
fn monkey(config: &str, arguments: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, config).unwrap();
    let mut command = bare();
    command.arg("-f").arg(path).args(arguments);
    (command, folder)
}

fn run(config: &str, arguments: &[&str]) -> Output {
    let (mut command, _folder) = monkey(config, arguments);
    command.output().unwrap()
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
    assert!(said.lines().all(|line| !line.contains(char::is_control)), "{said:?}");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

const SHORT: [&str; 6] = ["--duration", "4", "--pace", "0.3", "--seed", "1"];

#[test]
fn a_set_without_a_flaw_passes() {
    let output = run(&broken::start(Flaw::None), &SHORT);
    assert_ends(&output, 0, &["no violation", "to repeat: chaos-monkey -f ", "--seed 1 "]);
}

#[test]
fn a_set_that_loses_acknowledged_updates_is_found_out() {
    let output = run(&broken::start(Flaw::LosesUpdates), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "has two contents"]);
}

#[test]
fn a_set_that_reads_from_the_past_is_found_out() {
    let output = run(&broken::start(Flaw::ReadsFromThePast), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "before it can have existed"]);
}

#[test]
fn a_set_that_applies_what_it_refuses_is_found_out() {
    let output = run(&broken::start(Flaw::AppliesWhatItRefuses), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "exists although its update was refused"]);
}

#[test]
fn a_set_with_two_leaders_is_found_out() {
    let output = run(&broken::start(Flaw::HasTwoLeaders), &SHORT);
    assert_ends(&output, 1, &["VIOLATION", "has two leaders"]);
}

#[test]
fn a_set_that_moves_while_it_is_crashed_is_found_out() {
    let output = run(&broken::start(Flaw::MovesWhileCrashed), &SHORT);
    assert_ends(
        &output,
        1,
        &["VIOLATION", "changed while it was crashed", "before it was restored"],
    );
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
fn progress_is_one_line_on_every_terminal_and_is_removed() {
    for columns in [20, 60, 200] {
        let arguments = ["--duration", "2", "--pace", "0.3", "--seed", "1"];
        let (mut command, _folder) = monkey(&broken::start(Flaw::None), &arguments);
        let shown = Terminal::new(columns).shown(&mut command);
        let parts: Vec<_> = shown.split("\r\u{1b}[K").collect();
        let [_, lines @ .., report] = &parts[..] else { panic!("{shown:?}") };
        assert!(3 < lines.len() && report.starts_with("3 servers"), "{shown:?}");
        for line in lines {
            assert!(!line.contains('\n') && line.chars().count() < columns.into(), "{line:?}");
            assert!(columns < 60 || line.is_empty() || line.contains("violations"), "{line:?}");
        }
        let report = report.split("to repeat: ").next().unwrap();
        assert!(columns < 60 || widest(report) <= 60, "{report}");
    }
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
        answer == support::client::TRUE
    };
    wait_until(PATIENCE, "a server is crashed", || (0..3).any(is_crashed));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_ends(&output, 0, &["stopping early", "no violation"]);
    assert!(!(0..3).any(is_crashed), "a server was left crashed");
}

#[test]
fn a_second_interruption_ends_at_once() {
    let (mut cluster, leader) = Cluster::led(3);
    let arguments = ["--duration", "600", "--pace", "600"];
    let (mut command, _folder) = monkey(&config(&cluster), &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let updates = || cluster.at(leader).files().is_ok_and(|files| !files.is_empty());
    wait_until(PATIENCE, "the workers have started", updates);
    // Without a majority, the end of the run takes a while.
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let early = stderr.find(|line| line.contains("stopping early"));
    assert!(early.is_some_and(|line| line.contains("again to exit at once")));
    assert_eq!(child.try_wait().unwrap(), None, "it restores and checks");
    // It counts as the first one for a short time.
    let second = Instant::now();
    wait_until(PATIENCE, "a further one ends it", || {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert!(second.elapsed() < Duration::from_secs(2), "{:?}", second.elapsed());
    assert_eq!((output.status.code(), &*output.stdout), (Some(130), &b""[..]));
    assert_eq!(stderr.next(), None);
}

#[test]
fn a_listener_that_is_not_a_server_is_reported_in_one_line() {
    let web: Manners = |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let silent: Manners = |_kept| loop {
        thread::park();
    };
    let garbage: Manners = |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&b"\x00\x1b[31m\xff\r\n".repeat(100));
    };
    for (manners, said) in
        [(web, "404"), (silent, "did not answer in time"), (garbage, "returns no status")]
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| {
                thread::spawn(move || manners(stream));
            });
        });
        let config = format!("M: 1\nmetadata0: 127.0.0.1:{port}\n");
        let output = run(&config, &["--majority", "sometimes", "--seed", "1"]);
        assert_ends(&output, 4, &["chaos-monkey: seed 1\nchaos-monkey: server 0 ", said]);
        assert_eq!(output.stderr.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert!(output.stdout.is_empty());
    }
}

type Manners = fn(TcpStream);

#[test]
fn a_set_that_lacks_a_server_is_left_alone() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    assert_ends(&run(&config(&cluster), &[]), 4, &["chaos-monkey: server ", "cannot be reached"]);
    assert!(cluster.at(leader).is_leader(), "nothing was crashed");
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_no_success() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let (mut command, _folder) = monkey(&broken::start(Flaw::None), &SHORT);
    let output = command.stdout(full()).stderr(Stdio::piped()).output().unwrap();
    assert_ends(&output, 1, &["chaos-monkey: stdout cannot be written: "]);
    let output = bare().arg("--help").stdout(full()).output().unwrap();
    assert_ends(&output, 1, &["chaos-monkey: stdout cannot be written: "]);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let (mut command, _folder) = monkey(&broken::start(Flaw::HasTwoLeaders), &SHORT);
    let output = command.stdout(writer).output().unwrap();
    assert_ends(&output, 1, &[]);
    assert_eq!(output.stderr, b"chaos-monkey: seed 1\n", "the exit code reports it");
}

#[test]
fn a_set_that_cannot_be_reached_is_said_in_one_sentence() {
    // Nothing listens on a port below that of any server of these tests.
    let output = run(
        "M: 3\nmetadata0: 127.0.0.1:9\nmetadata1: 127.0.0.1:10\nmetadata2: 127.0.0.1:11\n",
        &[],
    );
    assert_ends(&output, 4, &["chaos-monkey: server 0 returns no status: 127.0.0.1:9: "]);
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
        (three, &["--frob"], "unexpected argument"),
        (three, &["--pace"], "a value is required"),
        (three, &["--pace", "1e9"], "from 0.05 to 1000000"),
        (three, &["--duration", "-1"], "unexpected argument"),
        (three, &["--workers", "257"], "1..=256"),
        (three, &["--workers", "1e2"], "invalid digit"),
        (three, &["--seed", "-1"], "unexpected argument"),
        (three, &["--seed", "99999999999999999999"], "too large"),
        ("M: 3\nmetadata0: a:1\n", &[], "metadata1 is missing"),
        ("M: 0\n", &[], "expected a number from 1 to 10"),
        ("M: 1\nmetadata0: a:1\n", &[], "tolerates no failure"),
    ] {
        let output = run(config, arguments);
        assert_ends(&output, 2, &[said]);
        assert!(output.stdout.is_empty());
    }
    assert_refused(&mut bare(), "no configuration; name one with -f");
    assert_refused(bare().env("SURFSTORE_CONFIG", ""), "no configuration; name one with -f");
    for path in ["/absent/config", "/", "/proc/self/mem"] {
        let said = format!("{path:?}: the configuration file cannot be read");
        assert_refused(bare().env("SURFSTORE_CONFIG", path), &said);
        assert_refused(bare().args(["-f", path]).env("SURFSTORE_CONFIG", "/other"), &said);
    }
}

/// The program without a configuration.
fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-monkey"));
    command.env_remove("SURFSTORE_CONFIG").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command
}

/// Checks that the program refuses to run, with this reason on one line.
#[track_caller]
fn assert_refused(command: &mut Command, said: &str) {
    let output = command.output().unwrap();
    assert_ends(&output, 2, &[&format!("chaos-monkey: {said}")]);
    assert_eq!(output.stderr.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(output.stdout.is_empty());
}
