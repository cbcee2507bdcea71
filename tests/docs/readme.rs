//! Runs the commands of README.md from top to bottom, as a newcomer would, and compares the output with what the README
//! says.
//!
//! They run unchanged, except for what other programs on this machine may be using: the ports, and the build folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::programs::target;
use support::turns::free_port;
use support::wait::{PATIENCE, wait_until};
use surfstore::protocol::METHODS;
use surfstore::raft::{ELECTION_SPREAD_MS, FATE_MS, HEARTBEAT_MS, SILENCE_MS, START_MS};
use tempfile::TempDir;

const TEXT: &str = include_str!("../../README.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The command runs until someone stops it.
const SERVERS: &str = "cargo run --release --bin surfstore -- cluster\n";
/// The command would run this test again.
const TESTS: &str = "cargo test --release --locked\n";

/// The folder in which the README's commands find the program.
const PROGRAMS: &str = "PATH=\"$PWD/target/release:$PATH\"";

/// The code blocks, each with its language.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXT.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap())
}

/// The first of five ports in a row on which no program listens.
fn five_ports() -> u16 {
    loop {
        let ports = [(); 5].map(|()| free_port());
        if ports[0] + 4 == ports[4] {
            return ports[0];
        }
    }
}

/// The folder in which the commands run.
struct Place {
    folder: TempDir,
    first_port: u16,
}

impl Place {
    fn new() -> Place {
        let first_port = five_ports();
        let folder = tempfile::tempdir().unwrap();
        let config = std::fs::read_to_string(format!("{ROOT}/configs/config5.txt")).unwrap();
        let place = Place { folder, first_port };
        std::fs::write(place.config(), place.elsewhere(&config)).unwrap();
        place
    }

    fn config(&self) -> String {
        self.folder.path().join("config5.txt").to_str().unwrap().to_owned()
    }

    /// The text with other ports.
    fn elsewhere(&self, text: &str) -> String {
        let moved = |text: String, port: u16| {
            text.replace(&port.to_string(), &(self.first_port + port - 9001).to_string())
        };
        (9001..=9006).fold(text.to_owned(), moved)
    }

    fn command(&self, program: &str, text: &str) -> Command {
        let target = target();
        let text = self.elsewhere(text).replace("configs/config5.txt", &self.config());
        let text = text.replace("$PWD/target", target.to_str().unwrap());
        let mut command = Command::new(program);
        command.args(["-c", &text]).current_dir(ROOT).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", target).env_remove("SURFSTORE_CONFIG");
        command
    }

    /// Whether every server reports the file at that version: the last column of each line except the headings.
    fn has_everywhere(&self, version: &str) -> bool {
        let text = format!("{PROGRAMS} surfstore version -f configs/config5.txt a.txt");
        let shown = self.run("sh", &text);
        let versions = shown.lines().skip(1).map(|line| line.split_whitespace().next_back());
        versions.eq([Some(version); 5])
    }

    /// The output of a command, which must succeed.
    fn run(&self, program: &str, text: &str) -> String {
        let output = self.command(program, text).output().unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The servers, which are stopped as with Ctrl-C.
struct Servers(Child);

impl Servers {
    fn start(place: &Place) -> Servers {
        let text = format!("exec {} --first-port {}", SERVERS.trim_end(), place.first_port);
        let mut command = place.command("sh", &text);
        let servers = Servers(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let leader = format!("{PROGRAMS} surfstore leader -f configs/config5.txt");
        let is_led = || place.command("sh", &leader).output().unwrap().status.success();
        wait_until(PATIENCE * 10, "they are built and have a leader", is_led);
        servers
    }

    fn end(&mut self) {
        let interrupt = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        wait_until(PATIENCE, "Ctrl-C stops them", || self.0.try_wait().unwrap().is_some());
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of a Python program according to its comments.
fn said_to_print(program: &str) -> Vec<&str> {
    let prints = program.lines().filter(|line| line.starts_with("print("));
    prints.map(|line| line.split_once(" # ").unwrap().1.trim()).collect()
}

#[test]
fn every_command_of_the_readme_does_what_is_said_of_it() {
    let place = Place::new();
    let mut servers = None;
    let mut ran = Vec::new();
    for (language, text) in blocks() {
        match (language, text) {
            ("sh", SERVERS) => servers = Some(Servers::start(&place)),
            ("sh", TESTS) => assert!(include_str!("../../.ci/run").contains(TESTS)),
            ("sh", _) => {
                let shown = place.run("sh", &format!("set -e\n{text}"));
                if text.contains("surfstore version") {
                    assert!(shown.contains("a.txt is at version 2"), "{shown}");
                    wait_until(PATIENCE, "every server has it", || place.has_everywhere("2"));
                }
            }
            ("python", _) => {
                let shown = place.run("python3", text);
                assert_eq!(shown.lines().collect::<Vec<_>>(), said_to_print(text));
            }
            (language, _) => panic!("code in {language} is not run"),
        }
        ran.push(text);
    }
    assert!(ran.contains(&SERVERS) && ran.contains(&TESTS) && 5 <= ran.len(), "{ran:?}");
    servers.expect("they were started").end();
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let links = TEXT.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let files: Vec<_> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(5 < files.len(), "{files:?}");
    for file in files {
        assert!(Path::new(ROOT).join(file).exists(), "{file}");
    }
}

#[test]
fn the_times_are_those_of_the_code() {
    let (silence, spread) = (SILENCE_MS, ELECTION_SPREAD_MS);
    for (time, constants) in [
        (format!("{HEARTBEAT_MS} ms"), "HEARTBEAT_MS"),
        (format!("{silence} ms"), "SILENCE_MS"),
        (format!("0 to {spread} ms, random"), "ELECTION_SPREAD_MS"),
        (format!("{START_MS} to {} ms, random", START_MS + spread), "START_MS, ELECTION_SPREAD_MS"),
        (format!("{silence} to {} ms", silence + spread), "SILENCE_MS, ELECTION_SPREAD_MS"),
        (format!("at most {} s", FATE_MS / 1000), "FATE_MS"),
    ] {
        let row = format!("| {time} |");
        let advice = format!("edit README.md, or {constants} in src/raft/event.rs");
        assert!(TEXT.contains(&row), "README.md has no row {row:?}: {advice}");
    }
}

/// The methods between servers are not for callers.
#[test]
fn every_method_for_callers_is_named() {
    let of_peers =
        ["surfstore.requestVote", "surfstore.appendEntries", "surfstore.installSnapshot"];
    for method in METHODS.iter().filter(|method| !of_peers.contains(&method.name)) {
        let name = method.name.strip_prefix("surfstore.").unwrap_or(method.name);
        assert!(
            TEXT.contains(&format!("`{name}(")),
            "README.md does not name `{name}(…)`: edit its table of methods, or METHODS in src/protocol.rs"
        );
    }
}
