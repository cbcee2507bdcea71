//! Bodies of requests: where they end, and what happens if they do not.

use std::time::Duration;

use support::client::{Client, TRUE};
use support::wait::{PATIENCE, holds_for, wait_until};

use crate::raw::{Raw, assert_refused, assert_served, call, ping, post};
use crate::servers::{assert_unharmed, shared};

const BEGIN: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

/// A ping in chunks of so many bytes, with extensions and trailers.
fn chunked_ping(size: usize) -> Vec<u8> {
    let mut request = format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in call("surfstore.ping").chunks(size) {
        request.extend(format!("{:X};name=\"value\"\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\nX: y\r\nZ: \r\n\r\n");
    request
}

fn refused(server: &Client, headers: &str, status: u16) {
    assert_refused(server, format!("{BEGIN}{headers}\r\n\r\n"), status);
}

#[test]
fn a_body_without_a_length_is_refused_with_411() {
    let cluster = shared();
    assert_refused(cluster.at(0), format!("{BEGIN}\r\n"), 411);
    assert_refused(cluster.at(0), "POST / HTTP/1.0\r\n\r\n", 411);
}

#[test]
fn a_length_is_one_number() {
    let cluster = shared();
    let server = cluster.at(0);
    for length in ["+5", "-1", "0x5", "18446744073709551616", "5, 5", "5 5", "", "5.0", "\u{665}"] {
        refused(server, &format!("Content-Length: {length}"), 400);
    }
    refused(server, "Content-Length: 5\r\nContent-Length: 6", 400);
    let document = call("surfstore.ping");
    let length = format!("Content-Length: {}\r\n", document.len());
    let head = format!("{BEGIN}{length}{length}\r\n");
    assert_served(server, [head.as_bytes(), &document].concat());
}

#[test]
fn a_length_beyond_the_bound_is_refused_with_413_before_the_body() {
    let cluster = shared();
    for length in [(8 << 20) + 1, 1 << 40, 9_999_999_999_999_999_u64] {
        refused(cluster.at(0), &format!("Content-Length: {length}"), 413);
        refused(cluster.at(0), &format!("Expect: 100-continue\r\nContent-Length: {length}"), 413);
    }
}

#[test]
fn a_body_is_framed_in_one_way() {
    let cluster = shared();
    let server = cluster.at(0);
    refused(server, "Content-Length: 5\r\nTransfer-Encoding: chunked", 400);
    refused(server, "Transfer-Encoding: chunked\r\nContent-Length: 5", 400);
    for coding in ["xchunked", "gzip, chunked", "chunked, chunked", "gzip", "identity", ""] {
        refused(server, &format!("Transfer-Encoding: {coding}"), 400);
    }
    refused(server, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400);
}

#[test]
fn a_chunked_body_is_read_however_it_is_split() {
    let cluster = shared();
    assert_served(cluster.at(0), chunked_ping(1));
    assert_served(cluster.at(0), chunked_ping(1000));
    let mut connection = Raw::to(cluster.at(0));
    for byte in chunked_ping(7) {
        connection.send([byte]).unwrap();
    }
    assert_eq!(connection.response().answer(), TRUE);
    let request = chunked_ping(7);
    for at in (1..request.len()).rev().take(12) {
        let (first, second) = request.split_at(at);
        connection.send(first).unwrap();
        assert!(connection.is_silent_for(Duration::from_millis(5)), "the request is not whole");
        connection.send(second).unwrap();
        assert_eq!(connection.response().answer(), TRUE);
    }
}

#[test]
fn chunks_beyond_the_bounds_are_refused() {
    let cluster = shared();
    let begin = format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n");
    let refused = |chunks: &str, status| {
        assert_refused(cluster.at(0), format!("{begin}{chunks}"), status);
    };
    refused("00000000000000001\r\n", 400);
    refused("x\r\n", 400);
    refused("-1\r\n", 400);
    refused("1\r\nab\r\n", 400);
    refused("800001\r\n", 413);
    refused("FFFFFFFFFFFFFFFF\r\n", 413);
    refused(&format!("400000\r\n{}\r\n400001\r\n", "x".repeat(4 << 20)), 413);
    let mut connection = Raw::to(cluster.at(0));
    let _ = connection.send(format!("{begin}1;{}", "x".repeat(9 << 10)));
    assert!([400, 431].contains(&connection.response().status));
    assert_unharmed(&cluster);
}

#[test]
fn a_call_whose_body_is_cut_short_is_not_made() {
    let cluster = shared();
    let server = cluster.at(0);
    let crash = call("surfstore.crash");
    let longer = format!("{BEGIN}Content-Length: {}\r\n\r\n", crash.len() + 1);
    let chunks = format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n{:X}\r\n", crash.len());
    let begins = [
        [longer.as_bytes(), &crash].concat(),
        [chunks.as_bytes(), &crash, b"\r\n"].concat(),
        [chunks.as_bytes(), &crash, b"\r\n0\r\n"].concat(),
        post(&crash)[..post(&crash).len() - 1].to_vec(),
    ];
    for begin in begins {
        let mut connection = Raw::to(server);
        connection.send(&begin).unwrap();
        connection.finish();
        connection.assert_closed();
        let mut connection = Raw::to(server);
        connection.send([ping(), begin].concat()).unwrap();
        wait_until(PATIENCE, "there is an unread answer", || {
            connection.stream().peek(&mut [0]).is_ok_and(|count| count == 1)
        });
        // Closing a connection with unread bytes resets it.
        drop(connection);
    }
    holds_for(Duration::from_millis(300), "no call was made", || !server.is_crashed());
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_once() {
    let cluster = shared();
    let document = call("surfstore.ping");
    for expectation in ["100-continue", "100-Continue", "100-CONTINUE"] {
        let mut connection = Raw::to(cluster.at(0));
        let length = document.len();
        let head = format!("{BEGIN}Expect: {expectation}\r\nContent-Length: {length}\r\n\r\n");
        connection.send(head).unwrap();
        assert_eq!(connection.response().status, 100);
        connection.send(&document).unwrap();
        assert_eq!(connection.response().answer(), TRUE);
    }
    refused(cluster.at(0), "Expect: 200-ok\r\nContent-Length: 5", 417);
}
