//! The commands of the documentation, run exactly as they are written.

use std::env;
use std::path::Path;
use std::process::Command;

use support::harness::Cluster;

use super::program::{config, run};

const TEXT: &str = include_str!("../../../docs/cli.md");

/// The lines of all blocks of commands, and the exit code of each: 0 unless the comment on the line says otherwise.
fn commands() -> Vec<(&'static str, i32)> {
    let blocks = TEXT.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let code = |line: &str| {
        let told = line.split("exit code ").nth(1).and_then(|told| told.split(':').next());
        told.map_or(0, |code| code.parse().unwrap())
    };
    blocks.flat_map(str::lines).map(|line| (line, code(line))).collect()
}

#[test]
fn every_documented_command_does_what_is_said_of_it() {
    let (cluster, _) = Cluster::led(3);
    let programs = Path::new(env!("CARGO_BIN_EXE_surfstore")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(config(&cluster), folder.path().join("servers.txt")).unwrap();
    let commands = commands();
    assert!(10 < commands.len(), "{commands:?}");
    for (line, code) in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("PATH", &path).current_dir(folder.path());
        let ended = run(shell.env("SURFSTORE_CONFIG", "servers.txt"));
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
    }
}
