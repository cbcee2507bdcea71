//! What is refused before anything is done, and what needs no servers.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::program::{program, run};

const COMMANDS: [&str; 12] = [
    "cluster",
    "status",
    "leader",
    "ls",
    "get",
    "version",
    "update",
    "crash",
    "restore",
    "call",
    "doctor",
    "completions",
];

#[test]
fn every_command_has_a_help_with_an_example() {
    let all = run(program().arg("--help")).shown();
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not in {all}");
        let help = run(program().args([command, "--help"])).shown();
        assert!(help.contains("Example"), "{help}");
        assert!(help.contains(&format!("surfstore {command} ")), "{help}");
    }
    assert!(!all.contains("\n  server "), "what `cluster` starts is not for people: {all}");
}

#[test]
fn a_wrong_command_line_is_told_on_stderr_with_exit_code_2() {
    for line in [
        "",
        "frobnicate",
        "status extra",
        "status --frob",
        "status -o yaml",
        "status --timeout 0",
        "status --timeout -1",
        "status --timeout soon",
        "status --timeout inf",
        "get",
        "update a.txt",
        "update a.txt one",
        "update a.txt 99999999999999999999",
        "crash",
        "crash nobody",
        "crash -1",
        "restore leader",
        "call",
        "call ping int",
        "call ping int:x",
        "call ping json:null",
        "call ping --at all",
        "cluster 0",
        "cluster 11",
        "cluster --first-port 0",
        "cluster 3 --first-port 65534",
        "completions cobol",
    ] {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config2.txt");
        let ended = run(program().env("SURFSTORE_CONFIG", config).args(line.split_whitespace()));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{line}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{line}");
    }
    run(program().args(["cluster", "3", "-f", "absent"])).assert_failed(2, "exclude each other");
}

#[test]
fn a_configuration_that_is_not_there_or_faulty_is_told_in_one_line_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = folder.path().join("faulty");
    fs::write(&faulty, "M: 3\nmetadata0: localhost:9001\n").unwrap();
    for command in ["status", "ls", "leader", "doctor"] {
        run(program().arg(command)).assert_failed(2, "SURFSTORE_CONFIG");
        run(program().args([command, "-f", "absent"])).assert_failed(2, "absent");
        run(program().arg(command).arg("-f").arg(folder.path())).assert_failed(2, "cannot be read");
        run(program().arg(command).arg("-f").arg(&faulty)).assert_failed(2, "metadata1 is missing");
    }
    run(program().args(["doctor", "absent"])).assert_failed(2, "absent");
    run(program().args(["cluster", "-f", "absent"])).assert_failed(2, "absent");
}

#[test]
fn completions_name_every_command_and_bash_can_read_them() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(program().args(["completions", shell])).shown();
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let script = run(program().args(["completions", "bash"])).shown();
    let Ok(mut bash) = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn() else {
        return crate::wait::loud_note("completions for bash, which this machine lacks");
    };
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}
