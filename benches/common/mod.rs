//! What the benchmarks share: processes that end with them, and connections to ports of this machine.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A process that ends with the benchmark.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let command = command.stdin(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("a program that starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while connect(port).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// So many free ports, all of them different.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let socket = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let sockets: Vec<_> = (0..count).map(socket).collect();
    let port = |socket: &TcpListener| socket.local_addr().expect("its address").port();
    sockets.iter().map(port).collect()
}
