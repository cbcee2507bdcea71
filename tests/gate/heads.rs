//! The grammar of heads: a broken one is refused at the byte that breaks it, an unusual one is served.

use super::{call, post_with, read_pieces, refused, served};

/// The status for bytes of which the last one is needed to refuse them.
fn refused_at_the_end_of(bytes: impl AsRef<[u8]>) -> u16 {
    let bytes = bytes.as_ref();
    let before = read_pieces([&bytes[..bytes.len() - 1]]);
    assert_eq!(before.refusal, None, "{:?} is refused too early", String::from_utf8_lossy(bytes));
    refused(bytes)
}

#[test]
fn a_sound_request_is_served_as_it_was_sent() {
    assert_eq!(served(post_with("")), call(b"hi"));
}

#[test]
fn a_broken_request_line_is_refused() {
    for line in [
        "POST",
        "POST /RPC2 HTTP/1.1 ",
        "POST  HTTP/1.1",
        "POST  /RPC2 HTTP/1.1",
        "POST /RPC2  HTTP/1.1",
        "POST /a b HTTP/1.1",
        "POST /RPC2 HTTP/1.1x",
        "POST /RPC2 HTTP/11",
        "POST /RPC2 HTTP/1.10",
        "POST /RPC2 HTTP/",
        "POST /RPC2 HTTP/.",
        "POST /RPC2 http/1.1",
        "POST /RPC2 ICY/1.1",
        "PO(ST /RPC2 HTTP/1.1",
    ] {
        assert_eq!(refused_at_the_end_of(format!("{line}\r\n")), 400, "{line}");
    }
}

#[test]
fn control_bytes_and_bytes_beyond_ascii_are_refused_at_once() {
    for byte in (0..=0x1F).chain(0x7F..=0xFF).filter(|byte| *byte != b'\r') {
        assert_eq!(refused_at_the_end_of([byte]), 400, "{byte} as the first byte");
        assert_eq!(refused_at_the_end_of([b"PO".as_slice(), &[byte]].concat()), 400, "{byte}");
        assert_eq!(refused_at_the_end_of([b"POST /".as_slice(), &[byte]].concat()), 400, "{byte}");
        let name = [b"POST / HTTP/1.1\r\nHo".as_slice(), &[byte]].concat();
        assert_eq!(refused_at_the_end_of(name), 400, "{byte} in a name");
    }
    for byte in (0..=0x1F).chain([0x7F]).filter(|byte| !b"\r\t".contains(byte)) {
        let value = [b"POST / HTTP/1.1\r\nHost: a".as_slice(), &[byte]].concat();
        assert_eq!(refused_at_the_end_of(value), 400, "{byte} in a value");
    }
}

#[test]
fn what_opens_tls_is_refused_at_its_first_byte() {
    assert_eq!(refused_at_the_end_of([0x16]), 400);
    assert_eq!(refused([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]), 400);
}

#[test]
fn every_line_of_the_head_ends_with_cr_and_lf() {
    for head in [
        "\n",
        "\rP",
        "\r\r",
        "POST / HTTP/1.1\n",
        "POST / HTTP/1.1\rH",
        "POST / HTTP/1.1\r\r",
        "POST / HTTP/1.1\r\n\n",
        "POST / HTTP/1.1\r\n\rH",
        "POST / HTTP/1.1\r\nHost: a\n",
        "POST / HTTP/1.1\r\nHost: a\rb",
        "POST / HTTP/1.1\r\nHost: a\r\n\n",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\r",
    ] {
        assert_eq!(refused_at_the_end_of(head), 400, "{head:?}");
    }
}

#[test]
fn a_broken_header_line_is_refused() {
    for line in
        [" folded", "\tfolded", ": no name", "A :", "A\t:", "A b:", "A(:", "A\r", "A;", "\"", "é"]
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{line}");
        assert_eq!(refused(&head), 400, "{line:?}");
        let first = format!("POST / HTTP/1.1\r\n{line}");
        assert_eq!(refused(&first), 400, "{line:?} as the first header");
    }
}

#[test]
fn a_folded_header_is_refused_with_its_reason() {
    let refusal = read_pieces([b"POST / HTTP/1.1\r\nHost: a\r\n b".as_slice()]).refusal;
    assert_eq!(
        refusal.map(|refusal| refusal.reason),
        Some("a header is folded onto a second line")
    );
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    assert_eq!(served(format!("\r\n\r\n\r\n{}", post_with(""))), call(b"hi"));
}

#[test]
fn http_of_another_version_is_told_so() {
    for line in [
        "PRI * HTTP/2.0",
        "POST /RPC2 HTTP/1.2",
        "POST /RPC2 HTTP/0.9",
        "POST /RPC2 HTTP/3",
        "GET /",
        "POST /RPC2",
    ] {
        assert_eq!(refused_at_the_end_of(format!("{line}\r\n")), 505, "{line}");
    }
    assert_eq!(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

#[test]
fn http_1_0_is_served_and_closed_with_or_without_a_host() {
    for headers in ["", "Host: a\r\n", "Connection: keep-alive\r\n"] {
        let request =
            served(format!("POST /RPC2 HTTP/1.0\r\n{headers}Content-Length: 2\r\n\r\nhi"));
        assert!(request.close, "{headers}");
        assert_eq!(*request.body, *b"hi");
    }
}

#[test]
fn http_1_1_has_exactly_one_host() {
    let length = "Content-Length: 0\r\n\r\n";
    assert_eq!(refused(format!("POST / HTTP/1.1\r\n{length}")), 400);
    assert_eq!(refused(format!("POST / HTTP/1.1\r\nHost: a\r\nhost: a\r\n{length}")), 400);
    assert_eq!(refused(format!("POST / HTTP/1.0\r\nHost: a\r\nHost: b\r\n{length}")), 400);
}

#[test]
fn a_host_is_a_name_or_address_and_a_port() {
    let with =
        |host: &str| format!("POST /RPC2 HTTP/1.1\r\nHost:{host}\r\nContent-Length: 2\r\n\r\nhi");
    for host in [
        " localhost:9001",
        "a",
        "a:",
        "",
        "127.0.0.1:80",
        "[::1]:9001",
        "[::1]",
        "  meta_0.example:65535\t",
        "[fe80::1%eth0]:9001",
        "\tA-b.%41",
    ] {
        assert_eq!(served(with(host)), call(b"hi"), "{host}");
    }
    for host in [
        "a, b", "a b", "a:b", "a:65536", "a:+1", "a:1:2", "a/b", "a@b", "a?b", "a#b", "a\\b",
        "::1", "[::1", "::1]", "[]]:1", "é",
    ] {
        assert_eq!(refused(with(host)), 400, "{host}");
    }
}

#[test]
fn a_value_beyond_ascii_is_ignored_unless_it_matters() {
    let with = |name: &str, value: &[u8]| {
        let head = format!("POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{name}: ");
        [head.as_bytes(), value, b"\r\n\r\nhi"].concat()
    };
    for value in ["é".as_bytes(), b"\xFF", b"\xC3", b"close\xA0"] {
        assert_eq!(served(with("X-Name", value)), call(b"hi"));
        assert_eq!(served(with("Content-Type", value)), call(b"hi"));
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Content-Encoding",
            "Expect",
            "Origin",
            "Connection",
        ] {
            assert_eq!(refused(with(name, value)), 400, "{name}");
        }
    }
}

#[test]
fn any_content_type_is_served() {
    for value in
        ["text/xml", "application/xml; charset=utf-8", "application/x-www-form-urlencoded", ""]
    {
        assert_eq!(served(post_with(&format!("Content-Type: {value}\r\n"))), call(b"hi"));
    }
}

#[test]
fn the_connection_is_closed_if_any_option_says_so() {
    for headers in [
        "Connection: close\r\n",
        "connection: CLOSE\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: keep-alive ,\tClose , TE\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
    ] {
        assert!(served(post_with(headers)).close, "{headers}");
    }
    for headers in ["", "Connection: keep-alive\r\n", "Connection: closed\r\n", "X: close\r\n"] {
        assert!(!served(post_with(headers)).close, "{headers}");
    }
}
