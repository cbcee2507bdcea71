//! Servers in the foreground: `surfstore cluster`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::turns::{Turn, free_port};
use support::wait::{ELECTION, PATIENCE, wait_until};
use tempfile::TempDir;

use super::program::{Ended, program, run};

/// Servers in the foreground of a process that is killed when it is dropped.
struct Foreground {
    folder: TempDir,
    process: Child,
    _turn: Turn,
}

/// The first of three ports in a row on which no program listens.
fn three_ports() -> u16 {
    loop {
        let ports = [free_port(), free_port(), free_port()];
        if ports[0] + 1 == ports[1] && ports[1] + 1 == ports[2] {
            return ports[0];
        }
    }
}

impl Foreground {
    fn start(arguments: &[&str]) -> Foreground {
        Foreground::start_with(arguments, None)
    }

    /// Starts servers with a configuration in the environment.
    fn start_with(arguments: &[&str], config: Option<&Path>) -> Foreground {
        let turn = Turn::take();
        let folder = tempfile::tempdir().unwrap();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        fs::create_dir(folder.path().join("temporary")).unwrap();
        let process = program()
            .arg("cluster")
            .args(arguments)
            .envs(config.map(|path| ("SURFSTORE_CONFIG", path)))
            .env("TMPDIR", folder.path().join("temporary"))
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Foreground { folder, process, _turn: turn }
    }

    fn said(&self, stream: &str) -> String {
        fs::read_to_string(self.folder.path().join(stream)).unwrap()
    }

    /// Runs the program with the configuration of the servers.
    fn at(&self, arguments: &[&str]) -> Ended {
        let said = self.said("stdout");
        let config = said.split("SURFSTORE_CONFIG=").nth(1).unwrap().lines().next().unwrap();
        run(program().env("SURFSTORE_CONFIG", config).args(arguments))
    }

    #[track_caller]
    fn await_said(&self, what: &str) {
        wait_until(PATIENCE, what, || self.said("stdout").contains(what));
    }

    fn signal(&self, name: &str) {
        signal(name, &self.process.id().to_string());
    }

    /// Its exit code, `None` if it was killed.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        wait_until(PATIENCE, "the process ends", || self.process.try_wait().unwrap().is_some());
        self.process.wait().unwrap().code()
    }

    fn is_clean(&self) -> bool {
        fs::read_dir(self.folder.path().join("temporary")).unwrap().next().is_none()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), process]).status().unwrap().success());
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn servers_are_started_without_a_file_and_end_with_the_program_however_it_ends() {
    for (name, code) in [("INT", Some(0)), ("TERM", Some(0)), ("KILL", None)] {
        let first = three_ports();
        let mut servers = Foreground::start(&["3", "--first-port", &first.to_string()]);
        servers.await_said("server 2 of 3 listens on");
        servers.await_said(" leads; try `surfstore status`");
        // No terminal has hung up.
        servers.signal("HUP");
        let leader = servers.at(&["leader"]).shown();
        assert!(leader.starts_with("localhost:"), "{leader}");
        assert_eq!(servers.at(&["update", "a.txt", "1", "h"]).shown(), "a.txt is at version 1\n");
        servers.signal(name);
        assert_eq!(servers.end(), code, "{}", servers.said("stderr"));
        wait_until(PATIENCE, "all servers have ended", || (first..first + 3).all(is_free));
        if code.is_some() {
            assert!(servers.is_clean(), "the configuration is left behind");
            assert_eq!(servers.said("stderr").lines().count(), 1, "{}", servers.said("stderr"));
        }
        for line in servers.said("stdout").lines().skip(3) {
            let begins = ["[0] ", "[1] ", "[2] ", "ready: localhost:"];
            assert!(begins.iter().any(|begin| line.starts_with(begin)), "{line:?}");
        }
    }
}

/// The folder that a server's process was told to keep its state in.
fn data_folder(servers: &Foreground, id: usize) -> Option<String> {
    let process = process(servers, id);
    let environment = fs::read_to_string(format!("/proc/{process}/environ")).unwrap();
    let mut variables = environment.split('\0');
    variables.find_map(|variable| variable.strip_prefix("SURFSTORE_DATA_DIR=")).map(str::to_owned)
}

#[test]
fn with_a_data_folder_each_server_has_a_folder_of_its_own_and_without_one_none() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("a/b");
    let first = three_ports().to_string();
    let start = |options: &[&str]| {
        let servers = Foreground::start(&[&["3", "--first-port", &first], options].concat());
        (0..3).for_each(|id| servers.await_said(&format!("[{id}] process ")));
        servers
    };
    let mut servers = start(&["--data", data.to_str().unwrap()]);
    for id in 0..3 {
        let folder = data.join(id.to_string());
        assert_eq!(data_folder(&servers, id).as_deref(), folder.to_str());
        assert!(folder.is_dir());
    }
    servers.signal("TERM");
    servers.end();
    let servers = start(&[]);
    (0..3).for_each(|id| assert_eq!(data_folder(&servers, id), None));
}

#[test]
fn with_a_data_folder_an_update_survives_the_end_of_all_servers() {
    let data = tempfile::tempdir().unwrap();
    let (first, data) = (three_ports(), data.path().to_str().unwrap());
    let port = first.to_string();
    let start = || {
        let servers = Foreground::start(&["3", "--first-port", &port, "--data", data]);
        servers.await_said("is the leader");
        servers
    };
    let mut servers = start();
    assert_eq!(servers.at(&["update", "a.txt", "1", "h"]).shown(), "a.txt is at version 1\n");
    servers.signal("KILL");
    servers.end();
    wait_until(PATIENCE, "all servers have ended", || (first..first + 3).all(is_free));
    let servers = start();
    assert_eq!(servers.at(&["get", "a.txt"]).shown(), "version 1\nh\n");
    wait_until(PATIENCE, "every server shows its disk", || {
        let status = servers.at(&["status"]).stdout;
        status.lines().filter(|line| line.ends_with("iB")).count() == 3
    });
}

/// Several servers must not share a folder.
#[test]
fn the_data_folder_of_a_single_server_in_the_environment_is_refused() {
    let mut command = program();
    command.args(["cluster", "-f", "/nowhere"]).env("SURFSTORE_DATA_DIR", "/");
    run(&mut command)
        .assert_failed(2, "SURFSTORE_DATA_DIR names the folder of a single server; use --data DIR");
}

#[test]
fn a_data_folder_that_cannot_be_created_is_named_before_any_server_is_started() {
    let first = three_ports();
    let _turn = Turn::take();
    let mut command = program();
    command.args(["cluster", "3", "--first-port", &first.to_string(), "--data", "/dev/null/a"]);
    run(&mut command).assert_failed(1, "\"/dev/null/a/0\": Not a directory");
    assert!((first..first + 3).all(is_free));
}

#[test]
fn data_folders_of_a_set_of_another_size_are_refused_before_any_server_is_started() {
    let data = tempfile::tempdir().unwrap();
    let (first, data) = (three_ports(), data.path());
    let port = first.to_string();
    let folders = data.to_str().unwrap();
    let mut servers = Foreground::start(&["3", "--first-port", &port, "--data", folders]);
    servers.await_said("is the leader");
    let was_made = |id: u8| data.join(id.to_string()).join("meta").exists();
    wait_until(PATIENCE, "every folder is that of a server", || (0..3).all(was_made));
    servers.signal("TERM");
    servers.end();
    wait_until(PATIENCE, "all servers have ended", || (first..first + 3).all(is_free));
    let turn = Turn::take();
    let says = format!("{:?}: the folder belongs to a set of 3 servers", data.join("0"));
    for size in ["1", "5"] {
        let mut command = program();
        command.args(["cluster", size, "--first-port", &port, "--data", folders]);
        run(&mut command).assert_refused(&says);
    }
    assert!((first..first + 3).all(is_free) && !data.join("3").exists());
    drop(turn);
    let servers = Foreground::start(&["3", "--first-port", &port, "--data", folders]);
    servers.await_said("is the leader");
}

/// The process of a server.
fn process(servers: &Foreground, id: usize) -> String {
    let said = servers.said("stdout");
    let begin = format!("[{id}] process ");
    said.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
}

#[test]
fn a_server_that_ends_is_told_and_the_others_go_on_until_none_is_left() {
    let first = three_ports().to_string();
    let mut servers = Foreground::start(&["3", "--first-port", &first]);
    servers.await_said("leader");
    let processes = [0, 1, 2].map(|id| process(&servers, id));
    signal("KILL", &processes[0]);
    servers.await_said("[0] ended: signal: 9");
    wait_until(ELECTION, "the others have a leader", || {
        servers.at(&["status"]).stdout.contains("leader")
    });
    assert_eq!(servers.at(&["update", "a.txt", "1", "h"]).shown(), "a.txt is at version 1\n");
    signal("KILL", &processes[1]);
    signal("KILL", &processes[2]);
    assert_eq!(servers.end(), Some(1));
    assert_eq!(servers.said("stderr"), "surfstore: all servers have ended\n");
    assert!(servers.is_clean());
}

#[test]
fn a_folder_that_was_left_behind_is_neither_used_nor_removed_nor_in_the_way() {
    let first = three_ports().to_string();
    let _turn = Turn::take();
    let folder = tempfile::tempdir().unwrap();
    // The shell becomes the program, which keeps its process id.
    const SCRIPT: &str =
        "for n in '' -1 -2; do mkdir \"$TMPDIR/surfstore-$$$n\"; done; exec \"$@\"";
    let mut servers = Command::new("sh")
        .args(["-c", SCRIPT, "sh", env!("CARGO_BIN_EXE_surfstore")])
        .args(["cluster", "1", "--first-port", &first])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(servers.stdout.take().unwrap()).lines().map(Result::unwrap);
    let leads = lines.find(|line| line.contains("leader"));
    signal("TERM", &servers.id().to_string());
    assert_eq!(lines.count(), 0);
    let ended = Ended::of(servers.wait_with_output().unwrap());
    assert_eq!((leads.is_some(), ended.code), (true, Some(0)), "{ended:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the old folders are still there");
}

#[test]
fn a_port_that_is_taken_is_refused_in_one_sentence_before_any_server_is_started() {
    let first = three_ports();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 2)).unwrap();
    let mut servers = Foreground::start(&["3", "--first-port", &first.to_string()]);
    assert_eq!(servers.end(), Some(1));
    let said = servers.said("stderr");
    assert!(said.lines().count() == 1 && said.contains(&(first + 2).to_string()), "{said}");
    assert_eq!(servers.said("stdout"), "");
    assert!(servers.is_clean());
    let free = said.split("; try --first-port ").nth(1).unwrap().trim().to_owned();
    drop(servers);
    let servers = Foreground::start(&["3", "--first-port", &free]);
    servers.await_said("server 2 of 3 listens on");
    drop(taken);
}

#[test]
fn if_a_port_of_a_configuration_is_taken_the_command_for_free_ones_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("config"), folder.path().join("data"));
    let first = three_ports();
    let servers = (0..3).map(|id| format!("metadata{id}: 127.0.0.1:{}\n", first + id));
    fs::write(&file, format!("M: 3\n{}", servers.collect::<String>())).unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 2)).unwrap();
    let mut servers = Foreground::start_with(&["--data", data.to_str().unwrap()], Some(&file));
    assert_eq!(servers.end(), Some(1));
    let said = servers.said("stderr");
    let (_, command) = said.split_once("; try `surfstore cluster ").unwrap();
    let (command, rest) = command.split_once('`').unwrap();
    assert_eq!(rest, "\n");
    assert!(command.starts_with("3 --first-port "), "{said}");
    assert!(command.ends_with(&format!(" --data {}", data.display())), "{said}");
    assert!(!data.exists(), "nothing is done");
    drop(servers);
    let servers = Foreground::start_with(&command.split(' ').collect::<Vec<_>>(), Some(&file));
    servers.await_said("server 2 of 3 listens on");
    drop(taken);
}

#[test]
fn a_configuration_in_the_environment_is_used_unless_the_servers_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let first = three_ports();
    fs::write(&file, format!("M: 1\nmetadata0: 127.0.0.1:{first}\n")).unwrap();
    let first = first.to_string();
    for (arguments, count) in
        [(&[][..], "one server"), (&["2", "--first-port", &first], "2 servers")]
    {
        let servers = Foreground::start_with(arguments, Some(&file));
        servers.await_said(&format!("{count}, at "));
        let is_used = servers.said("stdout").contains(file.to_str().unwrap());
        assert_eq!(is_used, arguments.is_empty());
        servers.await_said("ready: ");
    }
}

#[test]
fn a_variable_that_names_a_removed_configuration_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    run(program().arg("cluster").env("SURFSTORE_CONFIG", &file)).assert_refused(&format!(
        "SURFSTORE_CONFIG names {file:?}, which does not exist; to start servers without it: `unset SURFSTORE_CONFIG`"
    ));
}

#[test]
fn servers_are_not_started_if_stdout_cannot_be_written() {
    let first = three_ports();
    let _turn = Turn::take();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended =
        run(program().args(["cluster", "3", "--first-port", &first.to_string()]).stdout(full));
    ended.assert_failed(1, "stdout cannot be written");
    assert!((first..first + 3).all(is_free));
}

#[test]
fn servers_of_a_configuration_are_started_here_only_if_they_belong_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let start = |path: &Path| Foreground::start(&["-f", path.to_str().unwrap()]);
    // An address that is reserved for documentation.
    fs::write(&file, "M: 1\nmetadata0: 192.0.2.1:9001\n").unwrap();
    let mut foreign = start(&file);
    assert_eq!(foreign.end(), Some(1));
    assert!(foreign.said("stderr").contains("is not an address of this machine"));

    fs::write(&file, format!("M: 1\nmetadata0: 127.0.0.1:{}\n", free_port())).unwrap();
    let mut own = start(&file);
    own.await_said("leader");
    own.signal("TERM");
    assert_eq!(own.end(), Some(0));
    assert!(file.exists());
}
