//! Heads of requests: which ones are served, and the status of each refusal.

use std::io::Read;

use support::client::TRUE;

use crate::raw::{Raw, assert_refused, assert_served, call, ping, post_with, refusal};
use crate::servers::{assert_unharmed, shared};

/// A ping whose head has these lines and nothing else.
fn ping_with_head(lines: &str) -> Vec<u8> {
    let document = call("surfstore.ping");
    let head = format!("{lines}Content-Length: {}\r\n\r\n", document.len());
    [head.as_bytes(), &document].concat()
}

/// A ping with a header line besides the usual ones.
fn ping_with(header: &str) -> Vec<u8> {
    post_with(&format!("{header}\r\n"), &call("surfstore.ping"))
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused_with_400() {
    let cluster = shared();
    for head in [
        &b"POST\r\n"[..],
        b"POST /RPC2\tHTTP/1.1\r\n",
        b"POST /RPC2 HTTP/1.1 x\r\n",
        b"POST /\x01 HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nHost: a\x00b\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\n",
        b"POST / HTTP/1.1\r\nHost: a\n",
        b"POST / HTTP/1.1\r\nHost: a\rb",
        b"POST / HTTP/1.1\r\nHost: a\r\n b\r\n",
        b"POST / HTTP/1.1\r\nHost : a\r\n",
        b"POST / HTTP/1.1\r\nHo(st: a\r\n",
        b"POST / HTTP/1.1\r\n: a\r\n",
        b"POST / HTTP/1.1\r\nHost\r\n",
    ] {
        assert_refused(cluster.at(0), head, 400);
    }
    assert_unharmed(&cluster);
}

#[test]
fn a_request_names_one_host_unless_it_is_http_1_0() {
    let cluster = shared();
    assert_refused(cluster.at(0), ping_with_head("POST / HTTP/1.1\r\n"), 400);
    let two = ping_with_head("POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\n");
    assert_refused(cluster.at(0), two, 400);
    let old = ping_with_head("POST / HTTP/1.0\r\nHost: a\r\nHost: b\r\n");
    assert_refused(cluster.at(0), old, 400);
}

#[test]
fn http_1_0_is_served_and_closed() {
    let cluster = shared();
    for lines in [
        "POST / HTTP/1.0\r\n",
        "POST /RPC2 HTTP/1.0\r\nHost: a\r\n",
        "POST / HTTP/1.0\r\nConnection: Keep-Alive\r\n",
    ] {
        let response = refusal(cluster.at(0), &ping_with_head(lines));
        assert_eq!(response.answer(), TRUE);
        assert!(response.has_header("connection: close"), "{:?}", response.headers);
    }
}

#[test]
fn other_versions_of_http_are_refused_with_505() {
    let cluster = shared();
    assert_refused(cluster.at(0), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    assert_refused(cluster.at(0), ping_with_head("POST / HTTP/1.2\r\nHost: a\r\n"), 505);
    assert_refused(cluster.at(0), "GET /\r\n", 505);
    assert_refused(cluster.at(0), ping_with_head("POST / HTTP/0.9\r\nHost: a\r\n"), 505);
}

#[test]
fn a_head_beyond_its_bounds_is_refused_with_431_and_a_target_with_414() {
    let cluster = shared();
    let begin = "POST / HTTP/1.1\r\nHost: a\r\n";
    let long = "x".repeat(9 << 10);
    assert_refused(cluster.at(0), format!("{begin}X: {long}"), 431);
    assert_refused(cluster.at(0), format!("{begin}X: {long}\r\n\r\n"), 431);
    assert_refused(cluster.at(0), format!("{begin}{}", "X: y\r\n".repeat(2_000)), 431);
    assert_refused(cluster.at(0), format!("{begin}{}\r\n", "X: y\r\n".repeat(64)), 431);
    assert_served(cluster.at(0), ping_with(&vec!["X: y"; 62].join("\r\n")));
    assert_refused(cluster.at(0), format!("POST /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    assert_refused(cluster.at(0), format!("POST /{long}"), 414);
}

#[test]
fn a_head_without_end_is_refused_at_the_bound() {
    let cluster = shared();
    let mut connection = Raw::to(cluster.at(0));
    connection.send("POST / HTTP/1.1\r\nX: ").unwrap();
    let sent = (0..64).take_while(|_| connection.send([b'x'; 1 << 10]).is_ok()).count();
    assert!(8 <= sent, "{sent} KiB were sent");
    assert_eq!(connection.response().status, 431);
}

#[test]
fn a_header_that_is_not_ascii_does_not_matter() {
    let cluster = shared();
    let begin = b"POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: ".to_vec();
    for value in ["Gr\u{f6}\u{df}e".as_bytes(), b"\xff\xfe\x80", "\u{1F600}".as_bytes()] {
        let document = call("surfstore.ping");
        let end = format!("\r\nContent-Length: {}\r\n\r\n", document.len());
        assert_served(cluster.at(0), [&begin, value, end.as_bytes(), &document].concat());
    }
    assert_unharmed(&cluster);
}

#[test]
fn calls_are_made_with_post_and_there_is_no_page_for_them() {
    let cluster = shared();
    let with = |method: &str| format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for path in ["/RPC2", "/favicon.ico"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_refused(cluster.at(0), request, 404);
    }
    for method in ["PUT", "DELETE", "post", "Post"] {
        let response = refusal(cluster.at(0), with(method).as_bytes());
        assert_eq!(response.status, 405, "{method}");
        assert!(response.has_header("allow: get, head, options, post"), "{:?}", response.headers);
    }
    assert_refused(cluster.at(0), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 421);
    assert_refused(cluster.at(0), "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    assert_refused(cluster.at(0), with("BREW"), 501);
}

/// As HAProxy asks by default. The connection goes on unless its client wants otherwise.
#[test]
fn options_are_answered_with_what_is_allowed() {
    let cluster = shared();
    let mut connection = Raw::to(cluster.at(0));
    for _ in 0..2 {
        connection.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let expected = "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS, POST\r\n\r\n";
        let mut received = vec![0; expected.len()];
        connection.stream().read_exact(&mut received).unwrap();
        assert_eq!(String::from_utf8(received).unwrap(), expected);
    }
    connection.send("OPTIONS / HTTP/1.0\r\n\r\n").unwrap();
    let mut received = String::new();
    connection.stream().read_to_string(&mut received).unwrap();
    assert!(
        received.starts_with("HTTP/1.1 204 ") && received.contains("\r\nConnection: close\r\n")
    );
}

#[test]
fn a_head_is_answered_without_a_body() {
    let cluster = shared();
    let mut connection = Raw::to(cluster.at(0));
    connection.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let error = connection.try_response().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "its length is not that of a body");
}

#[test]
fn any_path_and_any_content_type_is_served() {
    let cluster = shared();
    for path in ["/", "/RPC2", "/RPC", "/a/b?c=d", "http://a/RPC2"] {
        assert_served(
            cluster.at(0),
            ping_with_head(&format!("POST {path} HTTP/1.1\r\nHost: a\r\n")),
        );
    }
    assert_served(cluster.at(0), ping());
    for content_type in [
        "text/xml",
        "application/xml",
        "text/xml; charset=utf-8",
        "application/x-www-form-urlencoded",
        "text/plain",
        "nonsense",
    ] {
        assert_served(cluster.at(0), ping_with(&format!("Content-Type: {content_type}")));
    }
}

#[test]
fn pages_of_other_sites_are_refused_with_403() {
    let cluster = shared();
    for origin in ["http://evil.example", "null", "https://a", "http://a:81", "http://a"] {
        let request = ping_with(&format!("Origin: {origin}"));
        assert_refused(cluster.at(0), request, 403);
    }
    let address = cluster.at(0).address();
    let lines = format!("POST / HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n");
    assert_served(cluster.at(0), ping_with_head(&lines));
    assert_unharmed(&cluster);
}

#[test]
fn a_compressed_body_is_refused_with_415() {
    let cluster = shared();
    assert_refused(cluster.at(0), ping_with("Content-Encoding: gzip"), 415);
    assert_served(cluster.at(0), ping_with("Content-Encoding: identity"));
}
