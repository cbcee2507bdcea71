//! A server as a process: its exit codes, the signals that end it, and its output.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use support::client::{FALSE, TRUE, hash, update};
use support::harness::Cluster;
use support::wait::{ELECTION, PATIENCE, SEVERAL_ELECTIONS, holds_for, loud_note, wait_until};

/// The exit of a server's process, which must come within that time.
#[track_caller]
fn end(cluster: &mut Cluster, id: usize, within: Duration) -> ExitStatus {
    let mut ended = None;
    wait_until(within, "the process ends", || {
        ended = cluster.process(id).try_wait().unwrap();
        ended.is_some()
    });
    ended.unwrap()
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_one_line_and_exit_code_1() {
    let mut cluster = Cluster::stopped(3);
    let port = cluster.at(0).address().rsplit(':').next().unwrap().to_owned();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse().unwrap())).unwrap();
    cluster.launch(0, cluster.command(0));
    assert_eq!(end(&mut cluster, 0, PATIENCE).code(), Some(1));
    let [line] = &cluster.lines(0)[..] else { panic!("{:?}", cluster.lines(0)) };
    assert!(line.contains(&port), "{line:?} does not name port {port}");
    assert_eq!(cluster.written(0, "stdout"), "");
    drop(taken);
}

#[test]
fn sigterm_and_sigint_end_a_server_at_once_though_calls_are_blocked() {
    // A shell that starts a job in the background makes it, and everything that it starts, ignore SIGINT.
    let ignored = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        if ignored & (1 << (number - 1)) != 0 {
            loud_note(&format!("SIG{name}, which these tests were started to ignore"));
            continue;
        }
        let (mut cluster, leader) = Cluster::led(2);
        cluster.crash(&cluster.others(leader));
        let blocked = cluster.at(leader).begin("surfstore.getfileinfomap", &[]);
        wait_until(PATIENCE, "the call waits", || cluster.at(leader).state().waiting_calls == 1);
        let id = cluster.process(leader).id();
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
        assert!(kill.unwrap().success());
        let ended = end(&mut cluster, leader, Duration::from_secs(1));
        assert_eq!(ended.signal(), Some(number));
        assert!(!cluster.written(leader, "stderr").contains("error"));
        drop(blocked);
    }
}

/// The kernel applies no default action to process 1, which a container's first process is.
#[test]
fn sigterm_and_sigint_end_a_server_that_is_process_1() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]);
        command
    };
    let is_allowed = unshare().args(["sh", "-c", "test $$ = 1"]).status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        return loud_note("a server as process 1, because this process may create no namespace");
    }
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let mut cluster = Cluster::stopped(1);
        let script = cluster.command(0);
        let mut command = unshare();
        command.arg(script.get_program()).args(script.get_args()).stdin(Stdio::null());
        command.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        cluster.keep_output(0, &mut command);
        cluster.launch(0, command);
        cluster.await_answer(0);
        let outer = cluster.process(0).id();
        let inner = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap();
        let kill = Command::new("kill").args([&format!("-{name}"), inner.trim()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(end(&mut cluster, 0, Duration::from_secs(2)).code(), Some(code), "SIG{name}");
    }
}

/// The end of the session that started a server, or a log rotation, must not cost its memory.
#[test]
fn a_hang_up_does_not_end_a_server_without_a_terminal() {
    let (mut cluster, leader) = Cluster::led(1);
    cluster.agree(leader, &[leader], "a.txt", 1);
    cluster.signal(leader, Signal::HUP);
    cluster.agree(leader, &[leader], "a.txt", 2);
    assert!(cluster.process(leader).try_wait().unwrap().is_none());
}

#[test]
fn a_log_file_at_the_processs_limit_on_file_sizes_loses_lines_and_ends_nothing() {
    let mut cluster = Cluster::stopped(1);
    let script = cluster.command(0);
    let mut limited = Command::new("sh");
    // In blocks of 512 bytes.
    limited.args(["-c", r#"ulimit -f 1 && exec "$0" "$@""#]).arg(script.get_program());
    limited.args(script.get_args()).stdin(Stdio::null());
    limited.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
    cluster.keep_output(0, &mut limited);
    cluster.launch(0, limited);
    cluster.await_answer(0);
    (0..20).for_each(|_| {
        cluster.crash(&[0]);
        cluster.restore(&[0]);
    });
    wait_until(PATIENCE, "the file is full", || cluster.written(0, "stderr").len() == 512);
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 1);
}

/// Makes calls of all kinds, at the leader and at the others.
fn make_calls(cluster: &Cluster, leader: usize) {
    for version in 1..=50 {
        let next = update("a.txt", version, &hash("x"));
        assert_eq!(cluster.at(leader).call("surfstore.updatefile", &next), TRUE);
        assert_eq!(cluster.at(leader).call("surfstore.updatefile", &next), FALSE);
        for id in cluster.running() {
            assert_eq!(cluster.at(id).call("surfstore.ping", &[]), TRUE);
            assert_eq!(cluster.at(id).files().is_ok(), id == leader);
            assert!(cluster.at(id).call("no such method", &[]).is_err());
            assert!(cluster.at(id).send(b"garbage").is_err());
        }
    }
}

#[test]
fn a_server_says_where_it_listens_and_which_role_it_takes_and_nothing_else() {
    let (cluster, leader) = Cluster::led(3);
    make_calls(&cluster, leader);
    for id in cluster.running() {
        let lines = cluster.lines(id);
        assert!(lines[0].starts_with(&format!("server {id} of 3 listens on ")), "{lines:?}");
        let roles = ["follower", "stands for election", "founds a new history", "leader"];
        for line in &lines[1..] {
            let tells_a_role = roles.iter().any(|role| line.contains(role));
            assert!(line.starts_with(&format!("server {id} ")) && tells_a_role, "{line:?}");
        }
        assert!(lines.len() < 10, "{lines:?}");
        assert_eq!(cluster.written(id, "stdout"), "");
    }
    let said: Vec<_> = cluster.running().iter().map(|id| cluster.lines(*id)).collect();
    let follower = cluster.others(leader)[0];
    cluster.crash(&[follower, follower]);
    wait_until(PATIENCE, "a crash is one line", || {
        cluster.lines(follower).len() == said[follower].len() + 1
    });
    cluster.restore(&[follower, follower]);
    wait_until(PATIENCE, "a restore is one line", || {
        cluster.lines(follower).len() == said[follower].len() + 2
    });
    for id in cluster.others(follower) {
        assert_eq!(cluster.lines(id), said[id], "nothing happened to server {id}");
    }
}

#[test]
fn ballots_that_are_repeated_without_end_are_one_line() {
    let mut cluster = Cluster::stopped(5);
    cluster.start([0, 1]);
    for id in [0, 1] {
        wait_until(ELECTION, "the server stands for election", || cluster.lines(id).len() == 2);
    }
    holds_for(SEVERAL_ELECTIONS, "nothing more is logged", || {
        [0, 1].into_iter().all(|id| cluster.lines(id).len() == 2)
    });
}

#[test]
fn a_server_goes_on_though_nobody_reads_what_it_writes_and_its_reader_leaves() {
    let mut cluster = Cluster::stopped(1);
    let mut command = cluster.command(0);
    command.stderr(Stdio::piped());
    cluster.launch(0, command);
    cluster.await_answer(0);
    let reader = cluster.process(0).stderr.take().unwrap();
    // Each writes a line; a pipe holds 64 KiB.
    (0..2_000).for_each(|_| {
        cluster.crash(&[0]);
        cluster.restore(&[0]);
    });
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 1);

    drop(reader);
    cluster.crash(&[0]);
    cluster.restore(&[0]);
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 2);
}

#[test]
fn a_server_starts_and_goes_on_with_its_streams_closed() {
    let mut cluster = Cluster::stopped(1);
    let script = cluster.command(0);
    let mut closing = Command::new("sh");
    closing.args(["-c", r#"exec "$0" "$@" <&- >&- 2>&-"#]).arg(script.get_program());
    closing.args(script.get_args());
    closing.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
    cluster.launch(0, closing);
    cluster.await_answer(0);
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 1);
    cluster.crash(&[0]);
    cluster.restore(&[0]);
    assert_eq!(cluster.leader(), 0);
    cluster.agree(0, &[0], "a.txt", 2);
}
