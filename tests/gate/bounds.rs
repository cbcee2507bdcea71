//! Bounds on the content of a request, on the memory that it takes, and on the work.
//!
//! Nothing here measures time. Work that is not linear in these sizes would take hours.

use super::{OWN_HOST, announced_by, call, chunked, post_with, read_pieces, refused, served};
use surfstore::gate::{BODY_BYTES_MAX, Gate, HEAD_BYTES_MAX, HEADERS_MAX, Received};

/// A head of exactly so many bytes, with the empty line that ends it.
fn head_of(bytes: usize) -> String {
    let head = announced_by("Content-Length: 2\r\nX: \r\n", "");
    head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())))
}

#[test]
fn a_head_of_8_kib_is_served_and_a_longer_one_is_not() {
    assert_eq!(served(head_of(HEAD_BYTES_MAX) + "hi"), call(b"hi"));
    assert_eq!(refused(head_of(HEAD_BYTES_MAX + 1) + "hi"), 431);
}

#[test]
fn the_bound_on_the_head_holds_without_any_line_end() {
    for (start, status) in [
        ("", 431),
        ("POST ", 414),
        ("POST /", 414),
        ("POST /RPC2 HTTP/1.1\r\n", 431),
        ("POST /RPC2 HTTP/1.1\r\nX:", 431),
    ] {
        let endless = format!("{start}{}", "a".repeat(HEAD_BYTES_MAX + 1 - start.len()));
        let before = &endless.as_bytes()[..HEAD_BYTES_MAX];
        assert_eq!(read_pieces([before]).refusal, None, "{start:?} is refused at the bound");
        assert_eq!(refused(endless), status, "{start:?}");
    }
    assert_eq!(refused("\r\n".repeat(HEAD_BYTES_MAX)), 431);
}

#[test]
fn a_head_has_at_most_64_headers() {
    let headers = |count: usize| (0..count).map(|number| format!("X-{number}: y\r\n")).collect();
    let with = |count| post_with(&headers(count) as &String);
    assert_eq!(served(with(HEADERS_MAX - 2)), call(b"hi"));
    assert_eq!(refused(with(HEADERS_MAX - 1)), 431);
}

#[test]
fn a_target_has_at_most_8000_bytes() {
    let with =
        |bytes: usize| post_with("").replace("/RPC2", &format!("/{}", "a".repeat(bytes - 1)));
    assert_eq!(served(with(8000)).target.len(), 8000);
    assert_eq!(refused(with(8001)), 414);
    assert_eq!(refused(with(1_000_000)), 414);
}

#[test]
fn the_largest_body_is_served_and_a_larger_one_is_not() {
    let body = "b".repeat(BODY_BYTES_MAX);
    let plain = announced_by(&format!("Content-Length: {BODY_BYTES_MAX}\r\n"), &body);
    assert_eq!(read_pieces(plain.as_bytes().chunks(10_000)).requests, [call(body.as_bytes())]);
    let (first, second) = body.split_at(BODY_BYTES_MAX / 3);
    let chunks =
        chunked(&format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n", first.len(), second.len()));
    let whole = format!("{chunks}0\r\n\r\n");
    assert_eq!(read_pieces(whole.as_bytes().chunks(10_000)).requests, [call(body.as_bytes())]);
    let larger = format!("{chunks}1\r\n");
    let refusal = read_pieces(larger.as_bytes().chunks(10_000)).refusal.expect("it is too large");
    assert_eq!(refusal.status, 413);
}

#[test]
fn a_body_announced_as_too_large_is_refused_at_its_announcement() {
    for length in ["8388609", "9999999999999999"] {
        assert_eq!(refused(announced_by(&format!("Content-Length: {length}\r\n"), "")), 413);
    }
    for size in ["800001\r", "800001;", "FFFFFFFFFFFFFFFF\r", "1\r\na\r\n800000\r"] {
        assert_eq!(refused(chunked(size)), 413, "{size:?}");
    }
}

#[test]
fn extensions_and_trailers_have_together_at_most_8_kib() {
    const IGNORED_BYTES_MAX: usize = 8 << 10;
    let extension = |bytes: usize| format!(";{}", "e".repeat(bytes - 1));
    // With the line ends, the trailers below have 2010 bytes.
    let with = |bytes: usize| {
        let trailer = format!("T:{}\r\n", "t".repeat(2004));
        let (first, last) = (extension(1000), extension(bytes - 3010));
        chunked(&format!("1{first}\r\nh\r\n1\r\ni\r\n0{last}\r\n{trailer}\r\n"))
    };
    assert_eq!(served(with(IGNORED_BYTES_MAX)), call(b"hi"));
    assert_eq!(refused(with(IGNORED_BYTES_MAX + 1)), 431);
    assert_eq!(refused(chunked(&format!("1{}", extension(IGNORED_BYTES_MAX + 1)))), 431);
    assert_eq!(refused(chunked(&format!("1{}", " ".repeat(IGNORED_BYTES_MAX + 1)))), 431);
    assert_eq!(refused(chunked(&format!("0\r\n{}", "T:\r\n".repeat(HEADERS_MAX + 1)))), 431);
}

#[test]
fn memory_is_taken_for_what_has_come_and_not_for_what_is_announced() {
    let mut gate = Gate::new(OWN_HOST);
    assert_eq!(gate.buffered(), 0, "nothing has arrived");
    for (head, piece) in [
        (announced_by(&format!("Content-Length: {BODY_BYTES_MAX}\r\n"), ""), "b".repeat(1000)),
        (chunked(""), format!("3e8\r\n{}\r\n", "b".repeat(1000))),
    ] {
        let mut gate = Gate::new(OWN_HOST);
        gate.push(head.as_bytes());
        let mut pushed = head.len();
        while pushed < BODY_BYTES_MAX {
            assert_eq!(gate.next(), Ok(Received::NeedMore));
            assert!(gate.buffered() <= 3 * pushed, "{} bytes for {pushed}", gate.buffered());
            assert!(gate.buffered() <= BODY_BYTES_MAX + 1000, "{} bytes held", gate.buffered());
            gate.push(piece.as_bytes());
            pushed += piece.len();
        }
        assert!(gate.buffered() > BODY_BYTES_MAX / 2, "what has arrived is counted");
    }
    gate.push(post_with("").as_bytes());
    assert!(gate.buffered() > 0);
    assert_eq!(gate.next(), Ok(Received::Request(call(b"hi"))));
    assert_eq!(gate.buffered(), 0, "an idle connection takes no memory");
}

#[test]
fn a_head_without_end_takes_constant_memory() {
    let mut gate = Gate::new(OWN_HOST);
    for _ in 0..HEAD_BYTES_MAX {
        gate.push(b"a");
        assert_eq!(gate.next(), Ok(Received::NeedMore));
        assert!(gate.buffered() <= HEAD_BYTES_MAX, "{} bytes", gate.buffered());
    }
}

#[test]
fn a_body_may_come_byte_by_byte() {
    const BYTES: usize = 1 << 20;
    let body = "b".repeat(BYTES);
    let plain = announced_by(&format!("Content-Length: {BYTES}\r\n"), &body);
    assert_eq!(read_pieces(plain.as_bytes().chunks(1)).requests, [call(body.as_bytes())]);
    let chunks = chunked(&("1\r\nb\r\n".repeat(BYTES / 6) + "0\r\n\r\n"));
    assert_eq!(read_pieces(chunks.as_bytes().chunks(1)).requests[0].body.len(), BYTES / 6);
}

#[test]
fn a_hundred_thousand_requests_may_come_at_once() {
    const REQUESTS: usize = 100_000;
    let bytes = post_with("").repeat(REQUESTS);
    assert_eq!(read_pieces([bytes.as_bytes()]).requests.len(), REQUESTS);
}
