//! A closed-loop load generator for etcd, to set its figures beside those of this project: same machine, same run.
//!
//! It starts three servers of the `etcd` on the path, and reads loads from stdin, one a line:
//!
//! ```text
//! OPERATION CLIENTS SECONDS        OPERATION: put, update, read10, read1000
//! failover TIMES
//! rejoin KEYS
//! restart KEYS TIMES
//! ```
//!
//! All calls go to the leader. `failover` kills it that many times, and measures the time until another server takes a
//! put. `rejoin` replaces a follower, and measures how long the new member takes to catch up with so many keys.
//! `restart` ends all servers and starts them again that many times, each time with so many keys, and measures the time
//! until one of them takes a put. The result of each line is one line of JSON on stdout. The servers and their data are
//! gone when stdin ends, and after an error or a signal as well.
//!
//! The servers keep their data in memory as far as they can, or in the folder that is the only argument, synced.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod client;
mod failover;
mod load;
mod messages;
mod rejoin;
mod restart;
mod servers;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use load::Load;
use rejoin::Rejoined;
use servers::Servers;

/// The longest time that a load may last.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("etcd-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: a second one would take time from the servers, and every call would be handed from one to the other.
fn run() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whichever comes first, the servers end with the future that holds them.
        tokio::select! {
            code = serve(lines_of_stdin()) => code,
            _ = interrupt.recv() => Ok(ExitCode::from(130)),
            _ = terminate.recv() => Ok(ExitCode::from(143)),
        }
    })
}

async fn serve(mut lines: UnboundedReceiver<io::Result<String>>) -> Result<ExitCode> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let mut servers = Servers::start(folder).await?;
    while let Some(line) = lines.recv().await {
        let line = line?;
        if let Some(times) = line.strip_prefix("failover ").and_then(|times| times.parse().ok()) {
            let took = failover::fail(&mut servers, times).await.with_context(|| line.clone())?;
            let took: Vec<_> = took.iter().map(Duration::as_micros).collect();
            writeln!(io::stdout(), r#"{{"operation":"failover","took_us":{took:?}}}"#)?;
            continue;
        }
        if let Some(keys) = line.strip_prefix("rejoin ").and_then(|keys| keys.parse().ok()) {
            let Rejoined { holds, serves } =
                rejoin::rejoin(&mut servers, keys).await.with_context(|| line.clone())?;
            let [holds, serves] = [holds, serves].map(|time| time.as_micros());
            let times = format!(r#""holds_us":{holds},"serves_us":{serves}"#);
            writeln!(io::stdout(), r#"{{"operation":"rejoin",{times}}}"#)?;
            continue;
        }
        if let Some((keys, times)) = line.strip_prefix("restart ").and_then(pair) {
            let took =
                restart::restart(&mut servers, keys, times).await.with_context(|| line.clone())?;
            let took: Vec<_> = took.iter().map(Duration::as_micros).collect();
            writeln!(io::stdout(), r#"{{"operation":"restart","took_us":{took:?}}}"#)?;
            continue;
        }
        let Some(load) = parse(&line) else {
            eprintln!(
                "etcd-load: {line:?} is none of failover TIMES, rejoin KEYS, restart KEYS TIMES and OPERATION CLIENTS \
                 SECONDS, with put, update, read10 or read1000."
            );
            return Ok(ExitCode::from(2));
        };
        let figures = load.run(&servers).await.with_context(|| line.clone())?;
        writeln!(io::stdout(), "{figures}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two numbers.
fn pair(text: &str) -> Option<(usize, usize)> {
    let (first, second) = text.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// The load that a line asks for.
fn parse(line: &str) -> Option<Load> {
    let [name, clients, seconds] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    let operation = name.parse().ok()?;
    let clients = clients.parse().ok().filter(|clients| 0 < *clients)?;
    let time = Duration::try_from_secs_f64(seconds.parse().ok()?).ok();
    let time = time.filter(|time| *time <= TIME_MAX)?;
    Some(Load { name: name.to_owned(), operation, clients, time })
}

/// The lines of stdin, read by a thread of their own, which ends with the program at the latest.
fn lines_of_stdin() -> UnboundedReceiver<io::Result<String>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || io::stdin().lines().try_for_each(|line| sender.send(line)));
    receiver
}
