//! Properties over random bytes, random damage and random splits.

use super::{announced_by, call, chunked, post_with, read_pieces, split};
use proptest::prelude::*;
use support::plain::plain;
use surfstore::gate::{BODY_BYTES_MAX, HEADERS_MAX, HttpRequest};

/// Valid requests of every kind.
fn request() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        post_with(""),
        post_with("Expect: 100-continue\r\nOrigin: http://localhost:9001\r\n"),
        post_with("Connection: keep-alive, close\r\nContent-Length: 2\r\n"),
        announced_by("Content-Encoding: identity\r\nContent-Length: 0\r\n", ""),
        chunked("2;a=\"b\"\r\nhi\r\n00a ;\r\n0123456789\r\n0\r\nT: t\r\n\r\n"),
        "GET http://[::1]:9001/status?a HTTP/1.1\r\nHost: [::1]:9001\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "\r\nPOST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
    ])
    .prop_map(String::into_bytes)
}

fn scrap() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            "\r",
            "\n",
            "\r\n",
            "\r\n\r\n",
            " ",
            ":",
            ";",
            "0\r\n",
            "ffffffffffffffff\r\n",
            "HTTP/1.1",
            "Host: a\r\n",
            "Content-Length: 9\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Origin: ",
            "http://",
            "[",
            "]",
            "POST ",
            "/",
        ])
        .prop_map(|scrap| scrap.as_bytes().to_vec()),
    ]
}

/// Positions in the bytes, and the fragments that overwrite what is there.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, scrap()), 0..5)
}

/// Fails unless the gate reads the same from the bytes however they are split, and reads nothing that breaks its
/// promises.
fn check(bytes: &[u8], seed: u64) -> Result<(), TestCaseError> {
    let outcome = read_pieces([bytes]);
    prop_assert_eq!(&read_pieces(bytes.chunks(1)), &outcome);
    prop_assert_eq!(&read_pieces(split(bytes, seed, 30)), &outcome);
    for request in outcome.requests {
        prop_assert!(request.target.starts_with('/'));
        prop_assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(request.body.len() <= BODY_BYTES_MAX);
        let again = read_pieces([plain(&request).as_slice()]);
        let (close, may_half_close, prefers_json, may_call) = (false, false, false, true);
        let expected = HttpRequest { close, may_half_close, prefers_json, may_call, ..request };
        prop_assert_eq!(again.requests, [expected]);
        prop_assert_eq!(again.refusal, None);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), seed: u64) {
        check(&bytes, seed)?;
    }

    #[test]
    fn any_scraps_are_answered(scraps in prop::collection::vec(scrap(), 0..40), seed: u64) {
        check(&scraps.concat(), seed)?;
    }

    #[test]
    fn damaged_requests_are_answered(
        requests in prop::collection::vec(request(), 1..4),
        damage in damage(),
        seed: u64,
    ) {
        let mut bytes = requests.concat();
        for (place, length, scrap) in damage {
            let start = place.index(bytes.len() + 1);
            let end = bytes.len().min(start + length);
            bytes.splice(start..end, scrap);
        }
        check(&bytes, seed)?;
    }

    #[test]
    fn a_body_in_chunks_equals_its_plain_twin(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..10),
        trailers in 0..HEADERS_MAX,
        seed: u64,
    ) {
        let mut bytes = chunked("").into_bytes();
        for piece in &pieces {
            bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
            bytes.extend(piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("0\r\n{}\r\n", "T: t\r\n".repeat(trailers)).bytes());
        let outcome = read_pieces(split(&bytes, seed, 30));
        prop_assert_eq!(outcome.refusal, None);
        prop_assert_eq!(outcome.requests, [call(&pieces.concat())]);
    }

    #[test]
    fn requests_come_out_whole_and_in_order(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
        seed: u64,
    ) {
        let requests = bodies.iter().map(|body| call(body)).collect::<Vec<_>>();
        let bytes = requests.iter().flat_map(plain);
        let outcome = read_pieces(split(&bytes.collect::<Vec<_>>(), seed, 300));
        prop_assert_eq!(outcome.refusal, None);
        prop_assert_eq!(outcome.requests, requests);
    }
}
