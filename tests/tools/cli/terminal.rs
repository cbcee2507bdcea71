//! What people see on terminals: nothing is wider than they are, and a watch leaves a clean prompt.

use std::fs;
use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};
use support::harness::Cluster;
use support::turns::free_port;
use support::wait::{PATIENCE, wait_until};

use super::program::{config, program};
use crate::pty::{Terminal, bare, widest};

#[test]
fn tables_help_and_messages_fit_every_terminal() {
    let (mut cluster, leader) = Cluster::led(3);
    let name = "a-file-with-a-name-that-is-longer-than-any-terminal-is-wide-".repeat(3);
    cluster.agree(leader, &[0, 1, 2], &name, 1);
    cluster.kill(cluster.others(leader)[0]);
    for columns in [60, 80, 120] {
        for line in [
            "status",
            "ls",
            "version",
            "doctor",
            "--help",
            "status --help",
            "call --help",
            "update --help",
            "crash 9",
            "bench --help",
            "bench --clients 3 --seconds 0.05",
        ] {
            let mut command = program();
            command.args(line.split_whitespace()).env("SURFSTORE_CONFIG", config(&cluster));
            let shown = Terminal::new(columns).shown(&mut command);
            assert!(widest(&shown) <= columns.into(), "{line}, {columns}: {shown}");
        }
    }
    let mut command = program();
    command.arg("status").env("SURFSTORE_CONFIG", config(&cluster));
    let shown = Terminal::new(60).shown(&mut command);
    for what in ["ID", "ROLE", "TERM", "LAG", "leader", "follower", "unreachable", "\u{1b}[31m"] {
        assert!(shown.contains(what), "{what} is not in {shown}");
    }
}

#[test]
fn help_is_broken_between_words() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for line in ["--help", "status --help", "cluster --help", "call --help"] {
        let help =
            |columns| bare(&Terminal::new(columns).shown(program().args(line.split_whitespace())));
        assert_eq!(words(&help(60)), words(&help(100)), "{line}");
    }
}

#[test]
fn a_watch_redraws_in_place_and_leaves_the_last_table_and_a_clean_line() {
    let (cluster, _) = Cluster::led(1);
    let mut command = program();
    command.args(["status", "--watch", "0.05"]).env("SURFSTORE_CONFIG", config(&cluster));
    let (mut child, read) = Terminal::new(80).start(&mut command);
    let mut shown = String::new();
    while shown.matches("leader").count() < 3 {
        shown += &read.recv_timeout(PATIENCE).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    wait_until(PATIENCE, "it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    shown.extend(read.iter());
    assert!(!shown.contains("\u{1b}[2J") && !shown.contains("\u{1b}[?25l"), "{shown:?}");
    // Each frame but the first begins three lines up: the time, the header and the server.
    let frames: Vec<_> = shown.split("\u{1b}[3A\r\u{1b}[J").collect();
    assert!(3 <= frames.len(), "{shown:?}");
    for frame in &frames {
        let (time, rest) = frame.split_once("\r\n").unwrap();
        assert!(time.len() == "00:00:00".len() && time.matches(':').count() == 2, "{frame:?}");
        assert!(rest.starts_with("ID  ADDRESS"), "{frame:?}");
    }
    assert!(shown.ends_with("\u{1b}[0m\r\n\r\u{1b}[J"), "{shown:?}");
}

#[test]
fn servers_end_when_their_terminal_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let (file, port) = (folder.path().join("config"), free_port());
    fs::write(&file, format!("M: 1\nmetadata0: 127.0.0.1:{port}\n")).unwrap();
    let terminal = Terminal::new(80);
    let line = || terminal.line.try_clone().unwrap();
    let mut command = program();
    command.args(["cluster", "-f"]).arg(&file).stdin(line()).stdout(line()).stderr(line());
    let mut servers = command.spawn().unwrap();
    drop(command);
    let leads = || {
        let leader = program().args(["leader", "--timeout", "1", "-f"]).arg(&file).output();
        leader.unwrap().status.success()
    };
    wait_until(PATIENCE, "the server leads", leads);
    // The terminal is gone; the kernel tells it to the programs that have it.
    drop(terminal);
    kill_process(Pid::from_child(&servers), Signal::HUP).unwrap();
    wait_until(PATIENCE, "they end", || servers.try_wait().unwrap().is_some());
    let is_free = || TcpListener::bind(("127.0.0.1", port)).is_ok();
    wait_until(PATIENCE, "the port is free", is_free);
}

#[test]
fn lines_of_servers_fit_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (file, port) = (folder.path().join("config"), free_port());
    fs::write(&file, format!("M: 1\nmetadata0: 127.0.0.1:{port}\n")).unwrap();
    let mut command = program();
    command.args(["cluster", "-f"]).arg(&file);
    let (mut servers, read) = Terminal::new(60).start(&mut command);
    let mut shown = String::new();
    while !bare(&shown).contains("leads; try") {
        shown += &read.recv_timeout(PATIENCE).unwrap();
    }
    kill_process(Pid::from_child(&servers), Signal::INT).unwrap();
    wait_until(PATIENCE, "they end", || servers.try_wait().unwrap().is_some());
    shown.extend(read.iter());
    assert!(widest(&shown) <= 60, "{shown}");
    let shown = bare(&shown);
    assert!(shown.contains("\n    "), "the rest of a line is below its beginning: {shown}");
}
