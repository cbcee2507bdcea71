//! What people see on terminals: nothing is wider than they are, and a watch leaves a clean prompt.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use support::harness::Cluster;
use support::turns::free_port;
use support::wait::{PATIENCE, wait_until};

use super::program::{config, program};

/// A terminal, as the program that shows it sees it.
struct Terminal {
    /// What programs write to it.
    screen: OwnedFd,
    /// The end that programs get.
    line: OwnedFd,
}

impl Terminal {
    fn new(columns: u16) -> Terminal {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let line = File::options().read(true).write(true).open(name).unwrap().into();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        Terminal { screen, line }
    }

    /// Starts a program that has only this terminal, and returns what it writes.
    fn start(self, command: &mut Command) -> (Child, Receiver<String>) {
        let line = || self.line.try_clone().unwrap();
        command.env("TERM", "xterm").env("TZ", "UTC0").env_remove("NO_COLOR");
        let child = command.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
        let (written, read) = mpsc::channel();
        let Terminal { screen, line } = self;
        drop(line);
        // The command has the other end as well until it is told something else.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        thread::spawn(move || {
            let mut screen = File::from(screen);
            let mut chunk = [0; 4096];
            // An error says that no program has the terminal any more.
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                let _ = written.send(String::from_utf8_lossy(&chunk[..count]).into_owned());
            }
        });
        (child, read)
    }

    /// What a program that ends writes.
    fn shown(self, command: &mut Command) -> String {
        let (mut child, read) = self.start(command);
        let shown = read.iter().collect();
        child.wait().unwrap();
        shown
    }
}

/// The text without what steers the terminal.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut parts = text.split('\u{1b}');
    bare.extend(parts.next());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        bare.push_str(&part[end + 1..]);
    }
    bare.replace('\r', "")
}

fn widest(text: &str) -> usize {
    bare(text).lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

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
