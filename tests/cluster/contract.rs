//! What Python's `xmlrpc.client` sees: runs `tests/contract.py` and `tests/strawman.py`, and reports their results.

use std::process::{Command, Output, Stdio};

use support::programs::target;
use support::turns::Turn;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.py");
const STRAWMAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/strawman.py");

/// Runs a script of these tests.
fn python(script: &str, arguments: &[&str]) -> Output {
    Command::new("python3")
        .arg(script)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .output()
        .expect("these tests need a python3, 3.8 or newer, on the PATH")
}

/// How many tests the script says that it ran, if it says so.
fn tests_run(said: &str) -> Option<usize> {
    let line = said.lines().find_map(|line| line.strip_prefix("Ran "))?;
    line.split(' ').next()?.parse().ok()
}

#[test]
fn an_unmodified_python_client_finds_the_contract_kept() {
    let _turn = Turn::take();
    let output = python(SCRIPT, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{SCRIPT}: {}\n{said}", output.status);
    let run = tests_run(&said);
    assert!(run.is_some_and(|tests| 0 < tests), "{SCRIPT} ran no tests:\n{said}");
    assert!(said.ends_with("\nOK\n"), "{SCRIPT} skipped tests:\n{said}");
}

#[test]
fn the_steps_of_the_assignment_go_as_it_says_whether_leaders_crash_or_are_killed() {
    for arguments in [&[][..], &["--kill"]] {
        let _turn = Turn::take();
        let output = python(STRAWMAN, arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{STRAWMAN} {arguments:?}:\n{said}{failed}");
        assert_eq!(said.lines().filter(|line| line.starts_with("ok    ")).count(), 7, "{said}");
    }
}
