//! `surfstore bench`: its figures agree with the map, and it leaves the set as it was.

mod failovers;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use support::client::{Files, TRUE, hash, list};
use support::harness::Cluster;
use support::stage::{self, Act, Stage, map};
use support::wait::{PATIENCE, wait_until};
use surfstore::protocol::fault::BUSY;
use surfstore::value::Value;
use tempfile::TempDir;

use super::faults::status;
use super::program::{Ended, at, config, program, run};
use crate::pty::{Terminal, bare};

/// What the names of the files begin with.
const PREFIX: &str = "surfstore-bench/";

/// A short time that is enough for some calls.
const SHORT: [&str; 2] = ["--seconds", "0.05"];

fn json(ended: &Ended) -> Json {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[track_caller]
fn number(value: &Json) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn bench(cluster: &Cluster, arguments: &[&str]) -> Ended {
    at(cluster, &[&["bench"], arguments].concat())
}

/// Starts a benchmark with four clients.
fn start(cluster: &Cluster, arguments: &[&str]) -> Child {
    start_with(config(cluster), arguments)
}

/// The same, with this configuration.
fn start_with(config: impl AsRef<OsStr>, arguments: &[&str]) -> Child {
    program()
        .env("SURFSTORE_CONFIG", config)
        .args(["bench", "--clients", "4"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A set of three servers with its leader, and a benchmark that has written its files and takes very long.
#[track_caller]
fn begun(arguments: &[&str]) -> (Cluster, usize, Child) {
    let (cluster, leader) = Cluster::led(3);
    let process = start(&cluster, &[&["--seconds", "3600"], arguments].concat());
    await_begin(&cluster, leader, 0);
    (cluster, leader, process)
}

/// The version of the last file of a benchmark with four clients.
fn last_version(cluster: &Cluster, leader: usize) -> i64 {
    cluster.at(leader).version(&format!("{PREFIX}3"))
}

/// Waits until a benchmark has written all its files at least once.
#[track_caller]
fn await_begin(cluster: &Cluster, leader: usize, before: i64) {
    let has_begun = || before + 1 < last_version(cluster, leader);
    wait_until(PATIENCE, "the benchmark has written its files", has_begun);
}

/// Suspends the benchmark while a server is crashed that it has crashed, and returns that server. It is crashed for
/// some milliseconds only, so there is no pause between two looks.
#[track_caller]
fn suspend_in_failover(cluster: &Cluster, process: &Child) -> usize {
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < PATIENCE, "no leader is crashed");
        if let Some(crashed) = (0..cluster.size()).find(|id| cluster.at(*id).is_crashed()) {
            signal(process, Signal::STOP);
            // The benchmark may have restored it before it was suspended.
            if cluster.at(crashed).is_crashed() {
                return crashed;
            }
            signal(process, Signal::CONT);
        }
    }
}

#[track_caller]
fn end(mut process: Child) -> Ended {
    wait_until(PATIENCE, "the benchmark ends", || process.try_wait().unwrap().is_some());
    Ended::of(process.wait_with_output().unwrap())
}

#[track_caller]
fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

/// The map, in which every file of a benchmark must be deleted, and the sum of their versions.
#[track_caller]
fn deleted(cluster: &Cluster) -> (Files, i64) {
    let files = cluster.at(cluster.leader()).files().unwrap();
    let own = || files.iter().filter(|(name, _)| name.starts_with(PREFIX));
    for (name, (_, hashes)) in own() {
        assert_eq!(*hashes, hash("0"), "{name} is not deleted");
    }
    let sum = own().map(|(_, (version, _))| version).sum();
    (files, sum)
}

#[track_caller]
fn assert_nobody_is_crashed(cluster: &Cluster) {
    let crashed: Vec<_> = (0..cluster.size()).filter(|id| cluster.at(*id).is_crashed()).collect();
    assert!(crashed.is_empty(), "{crashed:?}");
}

#[test]
fn every_acknowledged_update_is_counted_and_only_files_of_the_benchmark_change() {
    let (cluster, leader) = Cluster::led(3);
    for (name, version) in [("a.txt", 1), ("surfstore-bench", 1), ("a.txt", 2)] {
        assert_eq!(cluster.at(leader).update(name, version, &hash("own")), TRUE);
    }
    let mut written = 0;
    for (clients, files, measured) in [(5, 7, 4), (1, 2, 2)] {
        let each_once = files;
        let (clients, files) = (clients.to_string(), files.to_string());
        // Long enough for calls of the warm-up.
        let options = ["--seconds", "0.5", "--hashes", "3", "-o", "json"];
        let options = [&options[..], &["--clients", &clients, "--files", &files]].concat();
        let report = json(&bench(&cluster, &options));
        let (map, sum) = deleted(&cluster);
        let of_report =
            number(&report["updatesAcknowledged"]) + number(&report["filesMarkedDeleted"]);
        assert_eq!(sum - written, of_report, "{report}");
        assert_eq!(report["filesMarkedDeleted"].to_string(), files, "{report}");
        written = sum;
        for (name, version) in [("a.txt", 2), ("surfstore-bench", 1)] {
            assert_eq!(map[name], (version, hash("own")), "{name}");
        }
        assert_eq!(map.len(), 2 + 7, "the second run takes files of the first: {map:?}");
        let loads = report["loads"].as_array().unwrap();
        assert_eq!(loads.len(), measured, "{report}");
        let of_updates = loads.iter().filter(|load| load["call"] == "update");
        let counted: i64 = of_updates.map(|load| number(&load["calls"])).sum();
        let acknowledged = number(&report["updatesAcknowledged"]);
        assert!(0 < counted && counted + each_once < acknowledged, "the warm-up counts: {report}");
    }
}

#[test]
fn the_json_is_complete_and_its_figures_agree() {
    let mut cluster = Cluster::durable(3);
    cluster.start(0..3);
    let leader = cluster.leader();
    let report = json(&bench(&cluster, &[&SHORT[..], &["--clients", "3", "-o", "json"]].concat()));
    for (member, value) in
        [("servers", 3), ("serversUp", 3), ("serversOnDisk", 3), ("files", 3), ("hashes", 2)]
    {
        assert_eq!(report[member], value, "{member}: {report}");
    }
    assert_eq!(report["leader"], cluster.at(leader).address(), "{report}");
    assert_eq!(report["term"], cluster.at(leader).state().term, "{report}");
    assert_eq!((&report["seconds"], &report["warmUpSeconds"]), (&0.05.into(), &0.01.into()));
    assert_eq!(report["failovers"], Json::Array([].into()), "{report}");
    let kinds: Vec<_> = report["loads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|load| (load["call"].as_str().unwrap(), number(&load["clients"])))
        .collect();
    assert_eq!(kinds, [("update", 1), ("update", 3), ("read", 1), ("read", 3)]);
    for load in report["loads"].as_array().unwrap() {
        let calls = number(&load["calls"]);
        assert!(0 < calls, "{load}");
        let sum = |name: &str, count: fn(&Json) -> i64| {
            load[name].as_array().unwrap().iter().map(count).sum::<i64>()
        };
        assert_eq!(sum("distribution", |class| number(&class["calls"])), calls, "{load}");
        // The last answer to each client may come after the time.
        let clients = number(&load["clients"]);
        let in_slices = sum("callsInSlices", number);
        assert!((calls - clients..=calls).contains(&in_slices), "{load}");
        let float = |name: &str| load[name].as_f64().unwrap();
        let times = ["p50", "p90", "p99", "max"].map(|name| float(&format!("{name}Milliseconds")));
        assert!(0.0 < times[0] && times.is_sorted(), "{load}");
        // Calls begin during the time that was asked for, and the last answers come a little later.
        assert!(times[0] / 1e3 <= 1.01 * float("seconds"), "{load}");
        let rate = float("calls") / float("seconds");
        assert!((float("callsPerSecond") / rate - 1.0).abs() < 1e-6, "{load}");
        let in_map = if load["call"] == "read" { 3.into() } else { Json::Null };
        assert_eq!(load["filesInMap"], in_map, "{load}");
    }
}

#[test]
fn people_see_what_was_measured_in_a_table_and_in_plain_characters() {
    let (cluster, leader) = Cluster::led(1);
    assert_eq!(cluster.at(0).update("a.txt", 1, &hash("own")), TRUE);
    let ended = bench(&cluster, &[&SHORT[..], &["--clients", "2"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(
        ended.stderr.contains("2 files of this set, with names that begin with surfstore-bench/")
    );
    assert!(ended.stdout.is_ascii(), "any locale can show it: {ended:?}");
    let leads = format!("one server, 1 of them up; {} leads", cluster.at(leader).address());
    for what in [
        leads.as_str(),
        "in memory only",
        "closed loop",
        "CALL    CLIENTS  CALLS  CALLS/S  P50 ms  P90 ms  P99 ms  MAX ms\nupdate  1 ",
        "\nupdate  2 ",
        "\nread    2 ",
        " ms  ",
        "  ####",
        "over time (9: ",
        "the whole map, 3 files, of which 2 are of this benchmark",
        "; 2 files marked as deleted\n",
    ] {
        assert!(ended.stdout.contains(what), "{what:?} is not in {ended:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_counted_among_those_with_a_disk() {
    let mut cluster = Cluster::durable(3);
    cluster.start(0..3);
    let follower = cluster.others(cluster.leader())[0];
    cluster.kill(follower);
    let ended = bench(&cluster, &[&SHORT[..], &["--clients", "1"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for what in ["3 servers, 2 of them up; ", "; all that answered keep their state on disk\n"] {
        assert!(ended.stdout.contains(what), "{what:?} is not in {ended:?}");
    }
}

#[test]
fn a_terminal_shows_what_is_being_done_and_then_only_the_report() {
    let (cluster, _) = Cluster::led(1);
    let mut command = program();
    command.args(["bench", "--seconds", "0.7", "--clients", "1"]);
    command.env("SURFSTORE_CONFIG", config(&cluster));
    let shown = Terminal::new(60).shown(&mut command);
    for what in ["1 of 2: update, one client: ", "2 of 2: read, one client: "] {
        assert!(shown.contains(what), "{shown}");
    }
    // What removes a line of progress comes before the report, which stays.
    let report = shown.split("\u{1b}[1A\r\u{1b}[J").last().unwrap();
    assert!(report.starts_with("one server, "), "{shown}");
    let header = "CALL    CLIENTS  CALLS/S  P50 ms  P90 ms  P99 ms  MAX ms";
    assert!(report.contains(header), "CALLS alone is left out: {shown}");
    let last = bare(&shown);
    assert!(last.trim_end().ends_with("marked as deleted"), "{shown}");
}

#[test]
fn after_failovers_nobody_is_crashed_and_every_update_was_counted() {
    let (cluster, _) = Cluster::led(3);
    let options = ["--clients", "2", "--failovers", "3", "-o", "json"];
    let report = json(&bench(&cluster, &[&SHORT[..], &options].concat()));
    let failovers = report["failovers"].as_array().unwrap();
    assert_eq!(failovers.len(), 3, "{report}");
    let servers: Vec<_> = failovers.iter().map(|one| number(&one["server"])).collect();
    assert!(servers.windows(2).all(|pair| pair[0] != pair[1]), "each had another leader: {report}");
    for failover in failovers {
        for time in ["milliseconds", "caughtUpMilliseconds"] {
            assert!(0.0 < failover[time].as_f64().unwrap(), "{report}");
        }
    }
    assert_nobody_is_crashed(&cluster);
    let (_, sum) = deleted(&cluster);
    assert_eq!(sum, number(&report["updatesAcknowledged"]) + 2, "{report}");
}

#[test]
fn failovers_are_refused_if_no_majority_would_remain() {
    for (size, crashed) in [(1, None), (2, None), (3, Some(())), (5, None)] {
        let (cluster, leader) = Cluster::led(size);
        if crashed.is_some() {
            cluster.crash(&[cluster.others(leader)[0]]);
        }
        if size == 5 {
            cluster.crash(&cluster.others(leader)[..2]);
        }
        let ended = bench(&cluster, &["--failovers", "1"]);
        match size {
            1 => ended.assert_refused("a set of 3 servers or more"),
            2 => ended.assert_refused("the configuration names 2 servers"),
            3 => ended.assert_failed(1, "then 1 of 3 servers would be up, which is no majority"),
            _ => ended.assert_failed(1, "then 2 of 5 servers would be up, which is no majority"),
        }
        assert!(cluster.at(leader).files().unwrap().is_empty(), "nothing was written");
        assert!(!cluster.at(leader).is_crashed());
    }
}

#[test]
fn what_does_not_fit_together_is_refused_before_anything_is_done() {
    let cluster = Cluster::stopped(3);
    for (options, what) in [
        (&["--files", "15"][..], "--files 15 is less than --clients 16"),
        (&["--clients", "256", "--files", "255"], "each client updates files of its own"),
        (&["--files", "10000", "--hashes", "101"], "1010000 hashes; at most 1000000"),
        (&["--files", "2000", "--hashes", "126"], "hold 4032000 hashes in memory; at most 4000000"),
    ] {
        bench(&cluster, options).assert_refused(what);
    }
}

#[test]
fn a_signal_ends_it_with_exit_code_130_and_its_files_are_deleted() {
    let (cluster, leader) = Cluster::led(3);
    for (name, output) in [(Signal::INT, "json"), (Signal::TERM, "table")] {
        let before = last_version(&cluster, leader);
        let process = start(&cluster, &["--seconds", "3600", "-o", output]);
        await_begin(&cluster, leader, before);
        signal(&process, name);
        let ended = end(process);
        assert_eq!((ended.code, &*ended.stdout), (Some(130), ""), "{ended:?}");
        assert!(ended.stderr.ends_with("\nsurfstore: interrupted\n"), "{ended:?}");
        assert_eq!(deleted(&cluster).0.len(), 4);
    }
}

/// The server is crashed when the signal comes, and no other one can lead, so that nothing but the signal ends the wait.
#[test]
fn a_signal_during_a_failover_restores_the_leader() {
    let (mut cluster, _) = Cluster::led(3);
    let process = start(&cluster, &["--seconds", "0.01", "--failovers", "1000"]);
    let crashed = suspend_in_failover(&cluster, &process);
    let other = cluster.others(crashed)[0];
    cluster.signal(other, Signal::STOP);
    signal(&process, Signal::INT);
    signal(&process, Signal::CONT);
    wait_until(PATIENCE, "the server is restored", || !cluster.at(crashed).is_crashed());
    cluster.signal(other, Signal::CONT);
    let ended = end(process);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_nobody_is_crashed(&cluster);
    deleted(&cluster);
}

/// `timeout` of coreutils sends one signal to the process, and one to its process group.
#[test]
fn two_signals_at_once_count_as_one() {
    let (cluster, _, process) = begun(&[]);
    // Both are pending when the process goes on.
    for name in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        signal(&process, name);
    }
    let ended = end(process);
    assert_eq!((ended.code, &*ended.stdout), (Some(130), ""), "{ended:?}");
    assert!(ended.stderr.ends_with("\nsurfstore: interrupted\n"), "{ended:?}");
    assert_eq!(deleted(&cluster).0.len(), 4);
}

#[test]
fn a_second_signal_ends_it_at_once_and_says_what_may_be_left() {
    let (mut cluster, leader, mut process) = begun(&["--timeout", "600"]);
    for other in cluster.others(leader) {
        cluster.kill(other);
    }
    signal(&process, Signal::INT);
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("undoing what was done")));
    // It counts as the first one for a short time.
    wait_until(PATIENCE, "a further signal ends it", || {
        signal(&process, Signal::INT);
        process.try_wait().unwrap().is_some()
    });
    assert_eq!(end(process).code, Some(130));
    let said: Vec<_> = lines.collect();
    let [line] = &said[..] else { panic!("{said:?}") };
    assert!(line.starts_with("surfstore: interrupted again; "), "{line}");
    assert!(line.contains("`surfstore restore all`"), "{line}");
}

#[test]
fn an_error_during_a_failover_restores_the_leader() {
    let (mut cluster, _) = Cluster::led(3);
    let process = start(&cluster, &["--seconds", "0.01", "--failovers", "1000", "--timeout", "5"]);
    let crashed = suspend_in_failover(&cluster, &process);
    for other in cluster.others(crashed) {
        cluster.kill(other);
    }
    signal(&process, Signal::CONT);
    let ended = end(process);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!cluster.at(crashed).is_crashed(), "{ended:?}");
    assert!(ended.stderr.contains("files that begin with surfstore-bench/ are left"), "{ended:?}");
}

#[test]
fn without_a_majority_it_ends_with_exit_code_4_and_writes_nothing() {
    let (mut cluster, leader) = Cluster::led(3);
    for other in cluster.others(leader) {
        cluster.kill(other);
    }
    let lacks = || at(&cluster, &["leader"]).code == Some(4);
    wait_until(PATIENCE, "the leader has lost its majority", lacks);
    let ended = at(&cluster, &["--timeout", "1", "bench"]);
    ended.assert_failed(4, "no majority: server ");
    assert_eq!(ended.stdout, "");
    assert_eq!(cluster.at(leader).state().files, 0);
}

#[test]
fn if_the_majority_is_lost_meanwhile_it_ends_with_exit_code_4() {
    let (mut cluster, leader, process) = begun(&["--timeout", "1"]);
    for other in cluster.others(leader) {
        cluster.kill(other);
    }
    let ended = end(process);
    assert_eq!((ended.code, &*ended.stdout), (Some(4), ""), "{ended:?}");
    assert!(ended.stderr.contains("files that begin with surfstore-bench/ are left"), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("surfstore: \"surfstore-bench/"), "{ended:?}");
    assert!(last.contains("outcome unknown") || last.contains("no leader confirmed"), "{ended:?}");
}

#[test]
fn an_update_that_is_refused_ends_it_with_exit_code_3() {
    let (cluster, leader, process) = begun(&[]);
    let name = format!("{PREFIX}2");
    wait_until(PATIENCE, "the file is updated by another program", || {
        let next = cluster.at(leader).version(&name) + 1;
        cluster.at(leader).update(&name, next, &hash("other")) == TRUE
    });
    let ended = end(process);
    assert_eq!((ended.code, &*ended.stdout), (Some(3), ""), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("surfstore: \"surfstore-bench/2\": refused: the stored"), "{ended:?}");
    assert!(last.ends_with("such as a second `surfstore bench`"), "{ended:?}");
    deleted(&cluster);
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_the_files_are_deleted_nevertheless() {
    let (cluster, _) = Cluster::led(1);
    let mut command = program();
    command.args(["bench"]).args(SHORT).env("SURFSTORE_CONFIG", config(&cluster));
    let ended = run(command.stdout(File::options().write(true).open("/dev/full").unwrap()));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("\nsurfstore: stdout cannot be written: "), "{ended:?}");
    assert_eq!(deleted(&cluster).0.len(), 16);
}

/// The configuration of a set of one scripted server.
fn set(stage: &Stage) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, format!("M: 1\nmetadata0: {}\n", stage.address)).unwrap();
    (path, folder)
}

/// A server that acknowledges every update. Its answer to a read depends on how many reads came before, and on the
/// number of updates.
fn acknowledging(read: impl Fn(usize, i64) -> Act + Send + Sync + 'static) -> Stage {
    let updates = AtomicI64::new(0);
    Stage::new(move |method, before| match method {
        "status" => Act::Answer(status("")),
        "getfileinfomap" => read(before, updates.load(SeqCst)),
        _ => {
            updates.fetch_add(1, SeqCst);
            stage::TRUE
        }
    })
}

fn bench_of(config: &Path, output: &str) -> Ended {
    let options = ["bench", "--clients", "1", "-o", output, "-f"];
    run(program().args(options).arg(config).args(SHORT))
}

#[test]
fn a_map_without_an_acknowledged_update_is_a_wrong_answer() {
    let forgetful = acknowledging(|_, _| stage::empty_map());
    let (config, _folder) = set(&forgetful);
    let ended = bench_of(&config, "table");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("surfstore: wrong answer: version "), "{ended:?}");
    assert!(last.ends_with("is acknowledged, but the map has version 0"), "{ended:?}");
}

/// The update that is open when the signal comes takes effect after the map was read, and before the deletion.
#[test]
fn a_file_is_deleted_if_its_first_update_is_open_when_a_signal_comes() {
    let calls = Arc::new(AtomicI64::new(0));
    let updates = Arc::clone(&calls);
    let late = Stage::new(move |method, _| match (method, updates.load(SeqCst)) {
        ("status", _) => Act::Answer(status("")),
        ("getfileinfomap", 0 | 1) => stage::empty_map(),
        ("getfileinfomap", 2) => map("surfstore-bench/0", 1, "late"),
        ("getfileinfomap", _) => map("surfstore-bench/0", 2, "0"),
        ("updatefile", before) => {
            updates.fetch_add(1, SeqCst);
            match before {
                0 => Act::Silence,
                1 => stage::FALSE,
                _ => stage::TRUE,
            }
        }
        _ => Act::Answer(1.into()),
    });
    let (config, _folder) = set(&late);
    let mut command = program();
    command.args(["--timeout", "600", "bench", "--clients", "1", "-f"]).arg(config);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(PATIENCE, "the file is being written", || calls.load(SeqCst) == 1);
    signal(&process, Signal::INT);
    let ended = end(process);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.ends_with("\nsurfstore: interrupted\n"), "{ended:?}");
    assert_eq!(calls.load(SeqCst), 3, "a deletion that is refused, and one of the late version");
}

#[test]
fn a_read_of_a_newer_version_is_an_update_of_another_program() {
    let shared = acknowledging(|before, version| match before {
        0 => stage::empty_map(),
        _ => map("surfstore-bench/0", version + 1, "other"),
    });
    let (config, _folder) = set(&shared);
    let ended = bench_of(&config, "table");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("surfstore: \"surfstore-bench/0\" has version "), "{ended:?}");
    assert!(last.ends_with("such as a second `surfstore bench`"), "{ended:?}");
    assert!(!ended.stderr.contains("wrong answer"), "{ended:?}");
}

#[test]
fn a_map_that_is_too_large_for_so_many_clients_is_refused() {
    let large = Stage::new(|method, _| match method {
        "status" => Act::Answer(status("")),
        "getfileinfomap" => {
            let hashes = (0..20_000).map(|_| Value::from("h")).collect();
            let info = list([1.into(), hashes]);
            Act::Answer(Value::Struct([("a.txt".into(), info)].into()))
        }
        _ => stage::FALSE,
    });
    let (config, _folder) = set(&large);
    let bench = |clients: &str| {
        run(program().args(["bench", "--clients", clients, "-f"]).arg(&config).args(SHORT))
    };
    let ended = bench("201");
    ended.assert_failed(1, "the map will have 20402 hashes, and 201 clients");
    ended.assert_failed(1, "so use --clients 196 or fewer");
    assert_eq!(large.heard("updatefile"), 0, "nothing was written");
    assert_eq!(bench("196").code, Some(3));
}

#[test]
fn a_read_of_an_older_version_is_a_wrong_answer() {
    let stale = acknowledging(|before, version| match before {
        0 => stage::empty_map(),
        // The first read after the updates; at the end the map is right.
        1 => map("surfstore-bench/0", version - 1, "other"),
        _ => map("surfstore-bench/0", version, "other"),
    });
    let (config, _folder) = set(&stale);
    let ended = bench_of(&config, "table");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("is acknowledged, but the map has version "), "{ended:?}");
    assert!(ended.stdout.contains("update  1 "), "what was measured is shown: {ended:?}");
    assert!(!ended.stdout.contains("read    1 "), "{ended:?}");
}

#[test]
fn a_map_with_other_hashes_than_those_acknowledged_is_a_wrong_answer() {
    let forger = acknowledging(|_, version| match version {
        0 => stage::empty_map(),
        _ => map("surfstore-bench/0", version, "other"),
    });
    let (config, _folder) = set(&forger);
    let ended = bench_of(&config, "table");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("has other hashes than those acknowledged"), "{ended:?}");
    assert!(ended.stdout.contains("update  1 "), "what was measured is shown: {ended:?}");
}

#[test]
fn calls_that_had_to_be_sent_again_are_told() {
    let version = Arc::new(AtomicI64::new(0));
    let last = Arc::clone(&version);
    let busy = Stage::new(move |method, before| match (method, last.load(SeqCst)) {
        ("status", _) => Act::Answer(status("")),
        ("getfileinfomap", 0) => stage::empty_map(),
        ("getfileinfomap", version) => map("surfstore-bench/0", version, "other"),
        _ if before % 2 == 1 => Act::Fault(BUSY, "too busy".to_owned()),
        _ => {
            last.fetch_add(1, SeqCst);
            stage::TRUE
        }
    });
    let (config, _folder) = set(&busy);
    let ended = bench_of(&config, "json");
    let report: Json = serde_json::from_str(&ended.stdout).unwrap();
    let again = |load: usize| number(&report["loads"][load]["callsSentAgain"]);
    assert!(0 < again(0) && again(1) == 0, "{report}");
    let told = "update, one client: ";
    let ended = bench_of(&config, "table");
    let line = ended.stdout.lines().find(|line| line.contains("of the calls had to be sent again"));
    assert!(line.is_some_and(|line| line.starts_with(told)), "{ended:?}");
}

#[test]
fn a_file_that_is_near_its_last_version_is_not_used() {
    let old = acknowledging(|_, version| {
        let info = |version: i64, hash: &str| list([version.into(), list([hash.into()])]);
        let old = ("surfstore-bench/0".into(), info(1 << 30, "old"));
        let new = ("surfstore-bench/1".into(), info(version, "0"));
        let count = if version == 0 { 1 } else { 2 };
        Act::Answer(Value::Struct([old, new].into_iter().take(count).collect()))
    });
    let (config, _folder) = set(&old);
    let ended = bench_of(&config, "table");
    assert!(ended.stderr.contains("of \"surfstore-bench/1\" has other hashes"), "{ended:?}");
}
