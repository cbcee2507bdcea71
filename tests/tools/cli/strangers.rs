//! Programs that listen where a server is expected but are not one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::{fs, thread};

use tempfile::TempDir;

/// What a stranger does with a connection.
pub(crate) type Manners = fn(TcpStream);

/// A web server that does not know the page.
pub(crate) fn web(stream: TcpStream) {
    answer(stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
}

/// Accepts everything and never answers.
pub(crate) fn silent(stream: TcpStream) {
    let _kept = stream;
    loop {
        thread::park();
    }
}

/// Speaks another protocol.
pub(crate) fn garbage(stream: TcpStream) {
    answer(stream, &b"\x00\x1b[31mSSH-2.0\xff\r\n".repeat(100));
}

/// Answers in XML-RPC, with a status that no server has.
pub(crate) fn liar(stream: TcpStream) {
    let number = |name: &str, number: i64| {
        format!("<member><name>{name}</name><value><i8>{number}</i8></value></member>")
    };
    let text = |name: &str, text: &str| {
        format!("<member><name>{name}</name><value>{text}</value></member>")
    };
    let numbers = ["id", "servers", "term", "lastLogIndex", "lastLogTerm", "files", "waitingCalls"];
    let more = ["peerRequests", "leaderChanges", "electionsStarted", "lastHeardMilliseconds"];
    let members = [
        numbers.map(|name| number(name, i64::MIN)).concat(),
        more.map(|name| number(name, i64::MAX)).concat(),
        number("commitIndex", i64::MAX),
        number("lastApplied", i64::MIN),
        number("uptimeSeconds", i64::MAX),
        text("address", "a\u{9b}31m\nb"),
        text("leader", "\u{85}\nsurfstore: all is well"),
        text("role", "leader"),
        text("release", "0"),
    ];
    let body = format!(
        "<methodResponse><params><param><value><struct>{}</struct></value></param></params>\
         </methodResponse>",
        members.concat()
    );
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    answer(stream, (head + &body).as_bytes());
}

/// Refuses with a fault that contains control characters for a terminal.
pub(crate) fn rude(stream: TcpStream) {
    let body = "<methodResponse><fault><value><struct>\
        <member><name>faultCode</name><value><int>77</int></value></member>\
        <member><name>faultString</name><value>go\naway\u{9b}31m</value></member>\
        </struct></value></fault></methodResponse>";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    answer(stream, (head + body).as_bytes());
}

fn answer(mut stream: TcpStream, response: &[u8]) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(response);
}

/// The configuration of a set whose only server is a stranger, in a folder that must be kept while it is used.
pub(crate) fn set(manners: Manners) -> (PathBuf, TempDir) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || manners(stream));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, format!("M: 1\nmetadata0: 127.0.0.1:{port}\n")).unwrap();
    (path, folder)
}
