//! Ctrl-C.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};

use super::program::{Ended, config, program};

fn start(cluster: &Cluster, line: &str) -> Child {
    program()
        .env("SURFSTORE_CONFIG", config(cluster))
        .args(["--timeout", "600"])
        .args(line.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn interrupt(mut process: Child) -> Ended {
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    wait_until(PATIENCE, "it ends", || process.try_wait().unwrap().is_some());
    Ended::of(process.wait_with_output().unwrap())
}

#[test]
fn a_call_that_waits_ends_with_what_is_known_of_it() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.others(leader).iter().for_each(|id| cluster.kill(*id));
    for (line, what) in [
        ("update a.txt 1 h", "interrupted; outcome unknown: the update may have taken effect, or"),
        ("call updatefile string:b int:1 string:h", "interrupted; what was sent may have taken"),
        ("ls", "surfstore: interrupted\n"),
        ("get a.txt", "surfstore: interrupted\n"),
    ] {
        let process = start(&cluster, line);
        wait_until(PATIENCE, line, || 0 < cluster.at(leader).state().waiting_calls);
        let ended = interrupt(process);
        ended.assert_failed(130, what);
        assert_eq!(ended.stdout, "");
        // If a client disconnects, its call stops waiting, except that an update stays in the log.
        wait_until(PATIENCE, "no call waits", || cluster.at(leader).state().waiting_calls == 0);
    }
}

#[test]
fn a_watch_ends_without_a_word() {
    let (cluster, _) = Cluster::led(1);
    let mut process = start(&cluster, "status --watch -o json");
    let mut stdout = process.stdout.take().unwrap();
    let mut first = [0; 64];
    assert!(0 < std::io::Read::read(&mut stdout, &mut first).unwrap());
    assert_eq!(
        interrupt(process),
        Ended { code: Some(0), stdout: String::new(), stderr: String::new() }
    );
}
