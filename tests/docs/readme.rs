//! Runs the commands of README.md from top to bottom, as a newcomer would, and compares the output with what the README
//! says.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::wait::{PATIENCE, wait_until};
use surfstore::protocol::METHODS;
use surfstore::raft::{ELECTION_SPREAD_MS, FATE_MS, HEARTBEAT_MS, SILENCE_MS, START_MS};

use super::place::Place;

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

/// Whether every server reports the file at that version: the last column of each line except the headings.
fn is_everywhere(place: &Place, version: &str) -> bool {
    let text = format!("{PROGRAMS} surfstore version -f configs/config5.txt a.txt");
    let shown = place.run("sh", &text);
    let versions = shown.lines().skip(1).map(|line| line.split_whitespace().next_back());
    versions.eq([Some(version); 5])
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

/// The output of a Python program according to its comments, in which a remark may follow after a semicolon.
fn said_to_print(program: &str) -> Vec<&str> {
    let prints = program.lines().filter(|line| line.starts_with("print("));
    let comments = prints.map(|line| line.split_once(" # ").unwrap().1);
    comments.map(|comment| comment.split(';').next().unwrap().trim()).collect()
}

/// What the Python program prints, once every server has applied its update. Followers learn that it is committed from
/// the next append, so those that the program asked before then have said 0.
fn printed(place: &Place, program: &str) -> Vec<String> {
    let shown = place.run("python3", program);
    wait_until(PATIENCE, "every server has it", || is_everywhere(place, "1"));
    let (before, versions) = shown.trim_end().rsplit_once('\n').unwrap();
    assert!(versions.contains('1'), "the leader has it: {versions}");
    let versions = versions.replace('0', "1");
    before.lines().map(str::to_owned).chain([versions]).collect()
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
                    wait_until(PATIENCE, "every server has it", || is_everywhere(&place, "2"));
                }
            }
            ("python", _) => {
                assert_eq!(printed(&place, text), said_to_print(text));
            }
            (language, _) => panic!("code in {language} is not run"),
        }
        ran.push(text);
    }
    assert!(ran.contains(&SERVERS) && ran.contains(&TESTS) && 5 <= ran.len(), "{ran:?}");
    servers.expect("they were started").end();
}

#[test]
fn every_file_and_heading_that_the_readme_names_is_there() {
    let links = TEXT.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let links: Vec<_> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(5 < links.len(), "{links:?}");
    for link in links {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let file = Path::new(ROOT).join(if file.is_empty() { "README.md" } else { file });
        assert!(file.exists(), "{link}");
        if !heading.is_empty() {
            let text = fs::read_to_string(file).unwrap();
            let titles = text.lines().filter_map(|line| line.strip_prefix("## "));
            let mut anchors = titles.map(|title| title.to_lowercase().replace(' ', "-"));
            assert!(anchors.any(|anchor| anchor == heading), "{link}");
        }
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
