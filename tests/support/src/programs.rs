//! The programs that cargo built along with the test or benchmark that runs.

use std::env;
use std::path::PathBuf;

/// A program of the package, by its name.
///
/// Cargo tells its path only to the code of tests and benchmarks itself, so it is found from theirs, which are one folder
/// below.
pub fn program(name: &str) -> PathBuf {
    let program = folder().join(name);
    assert!(program.exists(), "cargo has not built {}", program.display());
    program
}

/// The target folder that the test was built in, for cargo and `run-server.sh`: relative to another folder it would be
/// another one.
pub fn target() -> PathBuf {
    folder().parent().unwrap().to_owned()
}

/// The folder of the profile, such as `target/debug`.
fn folder() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}
