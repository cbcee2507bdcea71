//! The cost of the gate, minus what it saves the HTTP library: `surfstore.ping` at a server of this project against the
//! same calls at plain `async_h1::accept`, side by side in one run. `cargo bench --bench gate`
//!
//! Both run as separate processes and answer the same document. Closed-loop clients on keep-alive connections check
//! every answer. The two take turns, and the ratio is taken pair by pair, because machines are noisy.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Async;
use http_types::{Response, StatusCode};
use support::programs::program;
use support::running::{Running, connect, wait_for};
use support::turns::free_port;
use surfstore::config::Config;
use surfstore::protocol::{self, Answer};
use surfstore::xmlrpc::write_call;

const TURNS: usize = 7;
const TURN: Duration = Duration::from_secs(2);
const CLIENTS: [usize; 3] = [1, 16, 64];

fn main() {
    // The benchmark starts itself as the plain server.
    if let Some(port) = env::var_os("PLAIN_PORT") {
        return serve_plainly(port.to_str().and_then(|port| port.parse().ok()).expect("a port"));
    }
    let (gated, plain) = (free_port(), free_port());
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let config = folder.path().join("config.txt");
    std::fs::write(&config, format!("M: 1\nmetadata0: 127.0.0.1:{gated}\n")).expect("a file");
    let mut server = Command::new(program("surfstore-server"));
    let mut library = Command::new(env::current_exe().expect("this program has a path"));
    let _servers = [
        Running::start(server.arg(&config).arg("0")),
        Running::start(library.env("PLAIN_PORT", plain.to_string())),
    ];
    [gated, plain].into_iter().for_each(wait_for);
    println!("clients  with the gate  plain async-h1   ratio (median of {TURNS} pairs)");
    for clients in CLIENTS {
        let mut pairs: Vec<_> = (0..TURNS)
            .map(|_| (calls_per_second(gated, clients), calls_per_second(plain, clients)))
            .collect();
        pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (with, without) = pairs[TURNS / 2];
        println!("{clients:7}  {with:11.0}/s  {without:11.0}/s   {:.3}", with / without);
    }
}

/// The library's own server, with the project's dispatch behind it.
fn serve_plainly(port: u16) {
    let executor = smol::LocalExecutor::new();
    let config = Config::parse("M: 1\nmetadata0: localhost:1\n").expect("a good configuration");
    smol::block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], port)).expect("a free port");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let stream = smol::net::TcpStream::from(stream);
            let _ = stream.set_nodelay(true);
            let config = config.clone();
            let answer = move |mut request: http_types::Request| {
                let config = config.clone();
                async move {
                    let document = request.body_bytes().await?;
                    assert!(protocol::read_call(&document).is_ok(), "a ping");
                    let mut response = Response::new(StatusCode::Ok);
                    response.set_body(protocol::write_answer(&Answer::Boolean(true), &config));
                    response.insert_header("content-type", "text/xml");
                    Ok(response)
                }
            };
            executor.spawn(async move { async_h1::accept(stream, answer).await }).detach();
        }
    }));
}

/// How many calls so many clients make in a second.
fn calls_per_second(port: u16, clients: usize) -> f64 {
    let started = Instant::now();
    let counts: Vec<_> =
        (0..clients).map(|_| thread::spawn(move || call_until(port, started + TURN))).collect();
    let calls: usize = counts.into_iter().map(|count| count.join().expect("a client")).sum();
    calls as f64 / started.elapsed().as_secs_f64()
}

fn call_until(port: u16, end: Instant) -> usize {
    let document = write_call("surfstore.ping", |_| {});
    let head = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        document.len()
    );
    let request = [head.as_bytes(), &document].concat();
    let mut stream = connect(port).expect("the server listens");
    let mut calls = 0;
    while Instant::now() < end {
        stream.write_all(&request).expect("the server is there");
        read_true(&mut stream);
        calls += 1;
    }
    calls
}

/// Reads one answer, which must be true.
fn read_true(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"</methodResponse>") && !answer.ends_with(b"</methodResponse>\n") {
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(0 < count, "the server closed the connection");
        answer.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("<boolean>1</boolean>"), "{text}");
}
