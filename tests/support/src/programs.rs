//! The programs that cargo built with the running test or benchmark.

use std::env;
use std::path::PathBuf;

/// A program of the package, by its name.
///
/// Cargo gives its path only to the crates of tests and benchmarks themselves (`CARGO_BIN_EXE_…`). This crate finds it
/// from the path of the running test, which is one folder below.
pub fn program(name: &str) -> PathBuf {
    let program = folder().join(name);
    assert!(program.exists(), "cargo has not built {}", program.display());
    program
}

/// The target folder that the test was built in, as an absolute path: cargo and `run-server.sh` run in other folders.
pub fn target() -> PathBuf {
    folder().parent().unwrap().to_owned()
}

/// The folder of the profile, such as `target/debug`.
fn folder() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}
