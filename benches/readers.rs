//! How long the parsers that strangers can reach take for the worst known inputs: the fuzzer's saved ones, and handmade
//! ones as long as a request may be. `cargo bench --bench readers`
//!
//! Further folders of inputs of a parser, as the fuzzer makes them, are named after `--`: `gate=FOLDER`, and so on.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use rustix::time::{ClockId, clock_gettime};
use support::claims;
use support::worst::{self, Worst};
use surfstore::gate::{Gate, Received};
use surfstore::xmlrpc::parse_call;

const LONG: usize = 8 << 20;

fn main() {
    let folders: Vec<_> = env::args().filter_map(|argument| named(&argument)).collect();
    for (reader, read) in
        [("gate", claims::gate as fn(&[u8])), ("xml", claims::xml), ("peers", claims::peers)]
    {
        let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(reader);
        let further = folders.iter().filter(|(name, _)| name == reader).map(|(_, path)| path);
        saved_inputs(reader, read, further.chain([&saved]));
    }
    long_inputs("gate", &worst::CONNECTIONS, pass_the_gate);
    long_inputs("xml", &worst::DOCUMENTS, |document| _ = parse_call(document));
    long_inputs("peers", &worst::MESSAGES, claims::peers);
}

fn named(argument: &str) -> Option<(String, PathBuf)> {
    let (name, folder) = argument.split_once('=')?;
    Some((name.to_owned(), folder.into()))
}

fn saved_inputs<'a>(reader: &str, read: fn(&[u8]), folders: impl Iterator<Item = &'a PathBuf>) {
    let files = folders.flat_map(|folder| fs::read_dir(folder).expect("a folder of inputs"));
    let time = |path: PathBuf| {
        let input = fs::read(&path).expect("an input can be read");
        (time(read, &input), input.len(), path)
    };
    let times: Vec<_> = files.map(|file| time(file.expect("a file").path())).collect();
    let count = times.len();
    let (slowest, bytes, path) = times.into_iter().max().expect("there are inputs");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    println!("{reader}: slowest of {count} saved inputs: {slowest:.2?} for {bytes} bytes, {name}");
}

fn long_inputs(reader: &str, inputs: &[Worst], read: fn(&[u8])) {
    for worst in inputs {
        let (half, whole) = (time(read, &worst.of(LONG / 2)), time(read, &worst.of(LONG)));
        let ratio = whole.as_secs_f64() / half.as_secs_f64();
        println!(
            "{reader}: 8 MiB of {:32} {:7.2} ms, {ratio:.1} times 4 MiB",
            worst.name,
            whole.as_secs_f64() * 1e3
        );
    }
}

/// The shortest time that the thread computed, over a few attempts, because other work on the machine slows it down.
fn time(read: fn(&[u8]), input: &[u8]) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let attempt = |_| {
        let start = now();
        read(input);
        now() - start
    };
    (0..5).map(attempt).min().unwrap_or_default()
}

/// Reads a connection in pieces, as they arrive from a socket.
fn pass_the_gate(bytes: &[u8]) {
    let mut gate = Gate::new("localhost");
    for piece in bytes.chunks(8 << 10) {
        gate.push(piece);
        while matches!(gate.next(), Ok(Received::Request(_) | Received::Continue)) {}
    }
}
