//! The bare stack: the cost of XML-RPC over HTTP with async-h1's decoder and encoder and nothing else.
//!
//! A separate process, which the benchmark starts as itself: one thread, one task for each connection, one write for
//! each answer, the project's own reader and writer of documents. It answers every ping, and nothing else.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use async_h1::server::{Encoder, decode};
use async_io::Async;
use http_types::{Method, Response, StatusCode};
use smol::LocalExecutor;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use support::running::{Running, wait_for};
use support::turns::free_port;
use surfstore::protocol::{self, Answer};

use crate::figures::{Figures, micros};
use crate::files::{Files, document};
use crate::load::{self, Until, Work};
use crate::usage;

/// The argument that makes the benchmark the server.
const PORT: &str = "PLAIN_PORT";

/// The server's process.
pub(crate) struct Bare {
    process: Running,
    port: u16,
}

impl Bare {
    pub(crate) fn start() -> Bare {
        let port = free_port();
        let mut itself = Command::new(env::current_exe().expect("this program has a path"));
        let process = Running::start(itself.env(PORT, port.to_string()));
        wait_for(port);
        Bare { process, port }
    }

    /// Lets clients ping.
    pub(crate) fn load(&self, clients: usize, time: Duration) -> Figures {
        let process = self.process.0.id();
        let before = usage::cpu(process);
        let mut none = Files::new("none", 0);
        let figures = load::run(self.port, &mut none, Work::Ping, clients, Until::Over(time));
        let spent = micros(usage::cpu(process) - before);
        Figures { cpu: vec![spent / figures.calls as f64], ..figures }
    }
}

/// The port to serve, if this process is the server.
pub(crate) fn port() -> Option<u16> {
    env::var(PORT).ok()?.parse().ok()
}

pub(crate) fn serve(port: u16) {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.get_ref().set_nodelay(true);
            executor.spawn(async move { answer_each(stream.into()).await }).detach();
        }
    }));
}

/// Answers until the caller disconnects.
async fn answer_each(mut stream: TcpStream) -> http_types::Result<()> {
    while let Some((mut request, _)) = decode(stream.clone()).await? {
        let call = request.body_bytes().await?;
        assert!(protocol::read_call(&call).is_ok(), "a ping");
        let mut response = Response::new(StatusCode::Ok);
        response.set_body(document(&Answer::Boolean(true)));
        response.insert_header("content-type", "text/xml");
        let mut bytes = Vec::new();
        Encoder::new(response, Method::Post).read_to_end(&mut bytes).await?;
        stream.write_all(&bytes).await?;
    }
    Ok(())
}
