//! What people see on terminals: nothing is wider than they are, and a watch leaves a clean prompt.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use support::harness::Cluster;
use support::turns::free_port;
use support::wait::{PATIENCE, wait_until};

use super::program::{config, program, run};
use super::usage::COMMANDS;
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
fn an_example_is_never_broken() {
    for name in COMMANDS {
        let help = |columns| bare(&Terminal::new(columns).shown(program().args([name, "--help"])));
        let (wide, narrow) = (help(100), help(60));
        let is_example = |line: &&str| line.starts_with("  surfstore ") || line.contains(" <(");
        let examples: Vec<_> = wide.lines().filter(is_example).collect();
        assert!(!examples.is_empty(), "{name}: {wide}");
        for example in examples {
            let command = example.trim_start().split("  ").next().unwrap();
            let is_whole = |line: &str| line.trim_start().split("  ").next() == Some(command);
            assert!(narrow.lines().any(is_whole), "{command} is broken in {narrow}");
        }
        assert!(widest(&narrow) <= 60, "{narrow}");
    }
}

#[test]
fn a_command_in_an_error_is_never_broken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-configuration-of-a-set-of-servers");
    fs::write(&file, format!("M: 1\nmetadata0: 127.0.0.1:{}\n", free_port())).unwrap();
    for columns in [40, 60, 80] {
        let shown = Terminal::new(columns).shown(program().args(["ls", "-f"]).arg(&file));
        let command = format!("`surfstore cluster -f {}`", file.display());
        assert!(bare(&shown).contains(&command), "{columns}: {shown}");
    }
}

#[test]
fn help_that_nothing_wraps_fits_a_narrow_terminal() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/run-server.sh");
    for path in [env!("CARGO_BIN_EXE_surfstore-server"), script] {
        let help = run(Command::new(path).arg("--help")).shown();
        assert!(3 < help.lines().count() && widest(&help) <= 60, "{help}");
    }
}

#[test]
fn a_name_of_wide_characters_takes_no_more_columns_than_there_are() {
    let (cluster, leader) = Cluster::led(1);
    cluster.agree(leader, &[0], &"文件".repeat(40), 1);
    for (line, columns) in [("ls", 60), ("version", 60), ("version", 80)] {
        let mut command = program();
        command.arg(line).env("SURFSTORE_CONFIG", config(&cluster));
        let shown = bare(&Terminal::new(columns).shown(&mut command));
        let columns = usize::from(columns);
        let is_wide = |c: &char| ('\u{4e00}'..='\u{9fff}').contains(c);
        let taken = |line: &str| line.chars().count() + line.chars().filter(is_wide).count();
        assert!(shown.contains("件…") || shown.contains("文…"), "{shown}");
        assert!(shown.lines().all(|line| taken(line) <= columns), "{line}, {columns}: {shown}");
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
    let name = "a-configuration-whose-path-is-longer-than-the-terminal-is-wide";
    let (file, port) = (folder.path().canonicalize().unwrap().join(name), free_port());
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
    let shown = bare(&shown);
    let export = format!("in another terminal:\n  export SURFSTORE_CONFIG={}\n", file.display());
    assert!(shown.contains(&export), "what is copied is a line of its own: {shown}");
    let shown = shown.replace(&export, "");
    assert!(widest(&shown) <= 60, "{shown}");
    assert!(shown.contains("\n    "), "the rest of a line is below its beginning: {shown}");
}
