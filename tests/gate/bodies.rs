//! Bodies: how their length is announced, and how chunks are assembled.

use super::{announced_by, call, chunked, post_with, read, refused, served};

#[test]
fn a_length_is_a_number_of_at_most_16_digits() {
    for length in [
        "+2",
        "-1",
        "0x2",
        "",
        "2,2",
        "2, 2",
        "2;",
        "1e0",
        "18446744073709551616",
        "00000000000000002",
        "two",
        "2 2",
    ] {
        let request = announced_by(&format!("Content-Length: {length}\r\n"), "hi");
        assert_eq!(refused(request), 400, "{length}");
    }
    for length in ["2", "02", " 2 ", "\t2", "0000000000000002"] {
        let request = announced_by(&format!("Content-Length:{length}\r\n"), "hi");
        assert_eq!(served(request), call(b"hi"), "{length}");
    }
}

#[test]
fn a_length_said_twice_is_one_and_two_lengths_are_none() {
    assert_eq!(served(post_with("content-length: 2\r\n")), call(b"hi"));
    for other in ["3", "02", "", "x"] {
        assert_eq!(refused(post_with(&format!("Content-Length: {other}\r\n"))), 400, "{other}");
    }
}

#[test]
fn a_post_without_a_length_is_asked_for_one() {
    assert_eq!(refused(announced_by("", "hi")), 411);
    assert_eq!(refused("POST / HTTP/1.0\r\n\r\nhi"), 411);
}

#[test]
fn a_transfer_encoding_is_exactly_chunked() {
    for headers in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked;\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: identity\r\n",
    ] {
        assert_eq!(refused(announced_by(headers, "2\r\nhi\r\n0\r\n\r\n")), 400, "{headers}");
    }
    assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    for coding in ["chunked", "Chunked", " CHUNKED\t"] {
        let headers = format!("transfer-encoding:{coding}\r\n");
        assert_eq!(served(announced_by(&headers, "2\r\nhi\r\n0\r\n\r\n")), call(b"hi"), "{coding}");
    }
}

#[test]
fn chunks_are_joined() {
    for chunks in [
        "2\r\nhi\r\n0\r\n\r\n",
        "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        "0000000000000002\r\nhi\r\n0000000000000000\r\n\r\n",
        "2;name=value\r\nhi\r\n0;last\r\n\r\n",
        "2;\"quoted; \t\"\r\nhi\r\n0\r\n\r\n",
        "2 \t\r\nhi\r\n0 ;é\r\n\r\n",
        "2\r\nhi\r\n0\r\nTrailer: value\r\nOther:\r\n\r\n",
        "2\r\nhi\r\n0\r\nContent-Length: 7\r\nHost: b\r\n\r\n",
    ] {
        assert_eq!(served(chunked(chunks)), call(b"hi"), "{chunks:?}");
    }
    assert_eq!(served(chunked("0\r\n\r\n")), call(b""));
    assert_eq!(
        *served(chunked("A\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n")).body,
        *b"\r\n0\r\n\r\n0\r\n"
    );
    assert_eq!(served(chunked("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n")).body.len(), 21);
}

#[test]
fn a_broken_chunk_is_refused() {
    for chunks in [
        "\r\n",
        "x",
        "-1",
        "+2",
        " 2",
        "0x2",
        "g",
        ";",
        "2\n",
        "2\rx",
        "2\r\r",
        "2 x",
        "2;\n",
        "2;a\0",
        "2;a\rb",
        "2\r\nhi0",
        "2\r\nhi!",
        "2\r\nhi\n",
        "2\r\nhi\rx",
        "2\r\nhi\r\r",
        "2\r\nhi\r\n\r\n",
        "00000000000000002",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n x",
        "0\r\nA\r",
        "0\r\nA :",
        "0\r\nA: b\n",
        "0\r\nA: b\r\n\rx",
        "0\r\nA: \0",
    ] {
        assert_eq!(refused(chunked(chunks)), 400, "{chunks:?}");
    }
}

#[test]
fn a_body_cut_short_is_no_request() {
    let chunks = chunked("2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n");
    for whole in [post_with(""), chunks] {
        for length in 0..whole.len() {
            let outcome = read(&whole.as_bytes()[..length]);
            assert_eq!(outcome.requests, [], "{length} bytes of {whole:?}");
            assert_eq!(outcome.refusal, None, "{length} bytes of {whole:?}");
        }
    }
}

#[test]
fn a_body_is_any_bytes() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let head = announced_by("Content-Length: 1000\r\n", "");
    assert_eq!(served([head.as_bytes(), &bytes].concat()), call(&bytes));
}
