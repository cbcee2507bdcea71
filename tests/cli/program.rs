//! Running the program.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::harness::Cluster;

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, with nothing of the environment that it reads.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_surfstore"));
    command.env_remove("SURFSTORE_CONFIG").env_remove("SURFSTORE_LOG").stdin(Stdio::null());
    command
}

/// The configuration of a cluster.
pub(crate) fn config(cluster: &Cluster) -> OsString {
    cluster.command(0).get_args().next().unwrap().to_owned()
}

/// Runs the program to its end. Whatever happens, it neither panics nor steers a terminal that is none.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    for text in [&stdout, &stderr] {
        assert!(!text.contains("panicked") && !text.contains('\u{1b}'), "{text}");
    }
    Ended { code: output.status.code(), stdout, stderr }
}

/// Runs the program with the servers of a cluster.
#[track_caller]
pub(crate) fn at(cluster: &Cluster, arguments: &[&str]) -> Ended {
    run(program().env("SURFSTORE_CONFIG", config(cluster)).args(arguments))
}

impl Ended {
    /// What it showed; it must have done what was asked, and have nothing else to say.
    #[track_caller]
    pub(crate) fn shown(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// Checks that it failed with this exit code, and one line on stderr that has this in it.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: i32, what: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(what), "{what:?} is not in {self:?}");
    }
}
