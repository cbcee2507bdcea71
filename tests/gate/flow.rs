//! What the gate reports in the course of a connection: phases, 100 Continue, requests in order.

use super::{
    OWN_HOST, Outcome, announced_by, call, chunked, drain, post_with, read, refused, served,
};
use surfstore::gate::{CONTINUE, Gate, Phase, Received, Refusal};

fn gate_after(bytes: impl AsRef<[u8]>) -> Gate {
    let mut gate = Gate::new(OWN_HOST);
    gate.push(bytes.as_ref());
    assert_eq!(gate.next(), Ok(Received::NeedMore));
    gate
}

#[test]
fn the_phase_says_what_is_missing() {
    assert_eq!(Gate::new(OWN_HOST).phase(), Phase::Idle);
    for (bytes, phase) in [
        ("", Phase::Idle),
        ("\r\n", Phase::Idle),
        ("\r\n\r", Phase::Idle),
        ("P", Phase::Head),
        ("\r\nP", Phase::Head),
        ("POST / HTTP/1.1\r", Phase::Head),
        ("POST / HTTP/1.1\r\n", Phase::Head),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r", Phase::Head),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", Phase::Body { missing: 3 }),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", Phase::Body { missing: 1 }),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            Phase::Body { missing: 0 },
        ),
    ] {
        assert_eq!(gate_after(bytes).phase(), phase, "{bytes:?}");
    }
}

#[test]
fn a_connection_is_idle_behind_a_request() {
    let mut gate = Gate::new(OWN_HOST);
    gate.push(post_with("").as_bytes());
    assert_eq!(gate.next(), Ok(Received::Request(call(b"hi"))));
    assert_eq!(gate.phase(), Phase::Idle);
    // Some clients end a body with a line break that does not belong to it.
    gate.push(b"\r\n");
    assert_eq!(gate.next(), Ok(Received::NeedMore));
    assert_eq!(gate.phase(), Phase::Idle);
    gate.push(post_with("").as_bytes());
    assert_eq!(gate.next(), Ok(Received::Request(call(b"hi"))));
}

#[test]
fn requests_that_came_together_come_out_in_order() {
    let bodies: Vec<String> = (0..100).map(|number| format!("body {number}")).collect();
    let mut bytes = String::new();
    for body in &bodies {
        let length = format!("Content-Length: {}\r\n", body.len());
        bytes += &announced_by(&length, body);
        bytes += &chunked(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    }
    let outcome = read(&bytes);
    let expected: Vec<_> =
        bodies.iter().flat_map(|body| [call(body.as_bytes()), call(body.as_bytes())]).collect();
    assert_eq!(outcome, Outcome { requests: expected, refusal: None });
}

#[test]
fn requests_before_a_broken_one_are_served() {
    let outcome = read(post_with("") + &post_with("") + "BROKEN\r\n" + &post_with(""));
    assert_eq!(outcome.requests, [call(b"hi"), call(b"hi")]);
    assert_eq!(outcome.refusal.map(|refusal| refusal.status), Some(400));
}

#[test]
fn the_end_of_a_body_is_where_the_head_says() {
    let smuggled = post_with("").replace("/RPC2", "/smuggled");
    let length = format!("Content-Length: {}\r\n", smuggled.len());
    assert_eq!(served(announced_by(&length, &smuggled)), call(smuggled.as_bytes()));
    let chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    assert_eq!(served(chunked(&chunk)), call(smuggled.as_bytes()));
}

#[test]
fn a_client_that_waits_is_told_once_to_continue() {
    for value in ["100-continue", "100-Continue", " 100-CONTINUE "] {
        let mut gate = Gate::new(OWN_HOST);
        let request = post_with(&format!("Expect:{value}\r\n"));
        let (head, body) = request.split_at(request.len() - 2);
        gate.push(head.as_bytes());
        assert_eq!(gate.next(), Ok(Received::Continue), "{value}");
        assert!(matches!(gate.phase(), Phase::Body { .. }));
        assert_eq!(gate.next(), Ok(Received::NeedMore), "{value}");
        gate.push(body.as_bytes());
        assert_eq!(gate.next(), Ok(Received::Request(call(b"hi"))));
    }
}

#[test]
fn the_interim_response_is_whole() {
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn a_client_that_does_not_wait_is_told_nothing() {
    let expect = "Expect: 100-continue\r\n";
    let old = "POST /RPC2 HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    for bytes in [
        post_with(expect),
        announced_by(&format!("{expect}Content-Length: 2\r\n"), "h"),
        announced_by(&format!("{expect}Content-Length: 0\r\n"), ""),
        old.to_owned(),
    ] {
        let mut gate = Gate::new(OWN_HOST);
        gate.push(bytes.as_bytes());
        let mut continues = 0;
        let mut outcome = Outcome { requests: Vec::new(), refusal: None };
        drain(&mut gate, &mut outcome, &mut continues);
        assert_eq!((continues, outcome.refusal), (0, None), "{bytes:?}");
    }
}

#[test]
fn no_other_expectation_is_met() {
    for value in ["", "200-ok", "100-continue, x", "100-continue=1"] {
        assert_eq!(refused(post_with(&format!("Expect: {value}\r\n"))), 417, "{value}");
    }
    let twice = "Expect: 100-continue\r\nExpect: x\r\n";
    assert_eq!(refused(post_with(twice)), 417);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let head = announced_by("Expect: 100-continue\r\nContent-Length: 8388609\r\n", "");
    assert_eq!(refused(head), 413);
}

#[test]
fn nothing_is_read_or_held_behind_a_refusal() {
    let mut gate = Gate::new(OWN_HOST);
    gate.push(b"BROKEN\r\n");
    gate.push(&[b'a'; 100_000]);
    let refusal = gate.next().expect_err("it is broken");
    assert_eq!(refusal.status, 400);
    assert_eq!(gate.buffered(), 0);
    gate.push(post_with("").as_bytes());
    assert_eq!(gate.buffered(), 0);
    assert_eq!(gate.next(), Err::<Received, Refusal>(refusal));
    assert_eq!(gate.phase(), Phase::Idle);
}
