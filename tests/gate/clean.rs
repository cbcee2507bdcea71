//! What the HTTP library is given: it interprets every head as the gate did.

use super::{chunked, post_with, served};
use async_h1::server;
use smol::future::block_on;
use smol::io::Cursor;
use surfstore::gate::HttpRequest;

/// The method and path that the library reads from the clean head.
fn decoded(request: &HttpRequest) -> (String, String) {
    let decoded = block_on(server::decode(Cursor::new(request.clean_head())));
    let (request, _) = decoded.expect("it is valid").expect("it is complete");
    assert_eq!(request.len(), Some(0), "no body follows");
    (request.method().to_string(), request.url().path().to_owned())
}

#[test]
fn a_clean_head_has_one_form() {
    let expected = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for request in [
        post_with("Origin: http://localhost\r\nX-Name: é\r\nExpect: 100-continue\r\n")
            .replace("Host: a:9001", "Host: localhost"),
        chunked("2;a\r\nhi\r\n0\r\nT: t\r\n\r\n"),
        "POST http://a/RPC2 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
    ] {
        let request = served(&request);
        assert_eq!(String::from_utf8_lossy(&request.clean_head()), expected, "{request:?}");
        assert_eq!(*request.body, *b"hi");
    }
}

#[test]
fn the_library_reads_what_the_gate_has_read() {
    for (method, length) in [("POST", "Content-Length: 0\r\n"), ("GET", ""), ("HEAD", "")] {
        let request = served(format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{length}\r\n"));
        assert_eq!(decoded(&request), (method.into(), "/".into()));
    }
}

#[test]
fn the_library_takes_every_target_that_the_gate_lets_through() {
    let printable: String = ('!'..='~').collect();
    let longest = "a".repeat(7999);
    for target in [&printable, &longest, "/", "//", "?", "#", "\\..\\", "%", "@:80", ":x"] {
        let request = served(post_with("").replace("/RPC2", &format!("/{target}")));
        assert_eq!(decoded(&request).0, "POST", "{target}");
    }
}
