//! Running the program.

use std::ffi::OsString;
use std::process::{Command, Output, Stdio};

use support::harness::Cluster;

/// The commands that call servers, as they are typed.
pub(crate) const CALLS: [&str; 27] = [
    "status",
    "status -o json",
    "leader",
    "leader -o json",
    "ls",
    "ls --json",
    "ls -o json",
    "export",
    "get a.txt",
    "version a.txt",
    "version a.txt -o json",
    "version",
    "version -o json",
    "update a.txt 1 h",
    "crash 0",
    "crash 0 -o json",
    "crash leader",
    "crash all",
    "restore 0",
    "restore all",
    "restore all -o json",
    "call ping",
    "call ping --at 0 -o json",
    "doctor",
    "doctor -o json",
    "bench --seconds 0.01",
    "bench --seconds 0.01 -o json",
];

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, without the environment variables that it reads.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_surfstore"));
    for variable in [
        "SURFSTORE_CONFIG",
        "SURFSTORE_COMPLETE",
        "SURFSTORE_LOG",
        "SURFSTORE_DATA_DIR",
        "SOURCE_DATE_EPOCH",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command.env("RUST_BACKTRACE", "1");
    command
}

/// The configuration of a cluster.
pub(crate) fn config(cluster: &Cluster) -> OsString {
    cluster.command(0).get_args().next().unwrap().to_owned()
}

/// Runs the program until it ends.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    Ended::of(command.output().unwrap())
}

/// Runs the program with the servers of a cluster.
#[track_caller]
pub(crate) fn at(cluster: &Cluster, arguments: &[&str]) -> Ended {
    run(program().env("SURFSTORE_CONFIG", config(cluster)).args(arguments))
}

impl Ended {
    /// How it ended. In any case it has neither panicked nor sent control characters to something that is not a
    /// terminal.
    #[track_caller]
    pub(crate) fn of(output: Output) -> Ended {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        for text in [&stdout, &stderr] {
            for bad in ["panicked", "backtrace", "\u{1b}", "\0"] {
                assert!(!text.contains(bad), "{text}");
            }
        }
        Ended { code: output.status.code(), stdout, stderr }
    }

    /// What it showed. It must have succeeded, without a message.
    #[track_caller]
    pub(crate) fn shown(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// Checks that it failed with this exit code, and with one line on stderr that contains this.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: i32, what: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("surfstore: "), "{self:?}");
        assert!(self.stderr.contains(what), "{what:?} is not in {self:?}");
    }

    /// Checks that nothing was done because of such a command line or configuration.
    #[track_caller]
    pub(crate) fn assert_refused(&self, what: &str) {
        self.assert_failed(2, what);
        assert_eq!(self.stdout, "", "{self:?}");
    }
}
