//! The contract as Python's `xmlrpc.client` sees it: runs `tests/contract.py` and reports its result.

use std::process::{Command, Stdio};

use support::programs::target;
use support::turns::Turn;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.py");

/// How many tests the script says that it ran, if it says so.
fn tests_run(said: &str) -> Option<usize> {
    let line = said.lines().find_map(|line| line.strip_prefix("Ran "))?;
    line.split(' ').next()?.parse().ok()
}

#[test]
fn an_unmodified_python_client_finds_the_contract_kept() {
    let _turn = Turn::take();
    let output = Command::new("python3")
        .arg(SCRIPT)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .output()
        .expect("these tests need a python3, 3.8 or newer, on the PATH");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{SCRIPT}: {}\n{said}", output.status);
    let run = tests_run(&said);
    assert!(run.is_some_and(|tests| 0 < tests), "{SCRIPT} ran no tests:\n{said}");
    assert!(said.ends_with("\nOK\n"), "{SCRIPT} skipped tests:\n{said}");
}
