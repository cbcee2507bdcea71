//! The same work at etcd, as far as etcd can do it, for comparison.
//!
//! A load program in a separate package speaks gRPC; it starts servers, and reads from its standard input what to do
//! next, so that its turns are between ours.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;

use crate::figures::Figures;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/etcd");

/// How many servers the load program starts.
pub(crate) const SERVERS: usize = 3;

/// The load program. It ends its servers at the end of its input.
pub(crate) struct Etcd {
    process: Child,
    commands: Option<ChildStdin>,
    figures: BufReader<ChildStdout>,
}

impl Etcd {
    /// Builds and starts the load program if there is an etcd; otherwise reports that there is none. Its servers keep
    /// their data in memory, as far as they can.
    pub(crate) fn start() -> Option<Etcd> {
        Etcd::start_on(None)
    }

    /// The same; its servers keep their data in that folder, and sync them.
    pub(crate) fn on_disk(folder: &Path) -> Option<Etcd> {
        Etcd::start_on(Some(folder))
    }

    fn start_on(folder: Option<&Path>) -> Option<Etcd> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| fs::exists(folder.join("etcd")).unwrap_or(false)) {
            println!("etcd is not on the PATH: not compared\n");
            return None;
        }
        let manifest = Path::new(PACKAGE).join("Cargo.toml");
        let target = Path::new(PACKAGE).join("target");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
        let built = cargo.arg("--target-dir").arg(&target).status().expect("cargo runs");
        assert!(built.success(), "the load program for etcd cannot be built");
        let mut process = Command::new(target.join("release/etcd-load"))
            .args(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the load program starts");
        let commands = process.stdin.take();
        let figures = BufReader::new(process.stdout.take().expect("its output is piped"));
        Some(Etcd { process, commands, figures })
    }

    /// Lets clients make calls of one kind.
    pub(crate) fn load(&mut self, operation: &str, clients: usize, time: Duration) -> Figures {
        let answer = self.ask(operation, &format!("{clients} {}", time.as_secs_f64()));
        assert_eq!(answer["clients"], clients, "{answer}");
        let figure =
            |name: &str| answer[name].as_f64().unwrap_or_else(|| panic!("{name}: {answer}"));
        let calls_per_second = figure("calls_per_second");
        Figures {
            calls: (calls_per_second * time.as_secs_f64()) as usize,
            calls_per_second,
            p50: figure("p50_us"),
            p99: figure("p99_us"),
            max: figure("max_us"),
            cpu: vec![figure("cpu_us_per_call")],
            client_cpu: None,
        }
    }

    /// Kills the leader that many times. Returns the times to the next put that another server takes.
    pub(crate) fn fail(&mut self, times: usize) -> Vec<Duration> {
        let answer = self.ask("failover", &times.to_string());
        let took = answer["took_us"].as_array().expect("times");
        took.iter().map(|us| Duration::from_micros(us.as_u64().expect("a time"))).collect()
    }

    /// Replaces a follower by a new member that has nothing, where there are so many keys. Returns the times from the
    /// start of its process until it has the revision that the leader had, and until it takes calls as well.
    pub(crate) fn rejoin(&mut self, keys: usize) -> [Duration; 2] {
        let answer = self.ask("rejoin", &keys.to_string());
        ["holds_us", "serves_us"].map(|name| {
            Duration::from_micros(
                answer[name].as_u64().unwrap_or_else(|| panic!("{name}: {answer}")),
            )
        })
    }

    /// Puts so many keys, and then ends all servers and starts them again, that many times. Returns the times from
    /// their start to the next put that one of them takes.
    pub(crate) fn restart(&mut self, keys: usize, times: usize) -> Vec<Duration> {
        let answer = self.ask("restart", &format!("{keys} {times}"));
        let took = answer["took_us"].as_array().expect("times");
        took.iter().map(|us| Duration::from_micros(us.as_u64().expect("a time"))).collect()
    }

    /// Passes a line to the load program, and returns its answer.
    fn ask(&mut self, operation: &str, rest: &str) -> Value {
        let commands = self.commands.as_mut().expect("its input is open");
        writeln!(commands, "{operation} {rest}").expect("the load program reads");
        let mut line = String::new();
        self.figures.read_line(&mut line).expect("the load program answers");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(answer["operation"], operation, "{line}");
        answer
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.process.wait();
    }
}
