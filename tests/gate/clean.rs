//! What the HTTP library is handed: it understands every request as the gate did.

use super::{announced_by, call, chunked, post_with, served};
use async_h1::server;
use smol::future::block_on;
use smol::io::{AsyncReadExt, Cursor};
use surfstore::gate::Request;

/// The method, path and body that the library reads from the clean request.
fn decoded(request: Request) -> (String, String, Vec<u8>) {
    block_on(async {
        let decoded = server::decode(Cursor::new(request.into_clean())).await;
        let (mut request, _) = decoded.expect("it is sound").expect("it is there");
        let mut body = Vec::new();
        request.take_body().read_to_end(&mut body).await.expect("the body is whole");
        (request.method().to_string(), request.url().path().to_owned(), body)
    })
}

#[test]
fn a_clean_request_has_one_form() {
    let expected = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
                    Content-Length: 2\r\n\r\nhi";
    for request in [
        post_with("Origin: http://localhost\r\nX-Name: é\r\nExpect: 100-continue\r\n")
            .replace("Host: a:9001", "Host: localhost"),
        chunked("2;a\r\nhi\r\n0\r\nT: t\r\n\r\n"),
        "POST http://a/RPC2 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
    ] {
        let clean = served(&request).into_clean();
        assert_eq!(String::from_utf8_lossy(&clean), expected, "{request:?}");
    }
}

#[test]
fn the_library_reads_what_the_gate_has_read() {
    let body = "b".repeat(100_000);
    let length = format!("Content-Length: {}\r\n", body.len());
    assert_eq!(
        decoded(served(announced_by(&length, &body))),
        ("POST".into(), "/RPC2".into(), body.into_bytes())
    );
    for method in ["GET", "HEAD"] {
        let request = served(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(decoded(request), (method.into(), "/".into(), Vec::new()));
    }
}

#[test]
fn the_library_takes_every_target_that_the_gate_lets_through() {
    let printable: String = ('!'..='~').collect();
    let longest = "a".repeat(7999);
    for target in [&printable, &longest, "/", "//", "?", "#", "\\..\\", "%", "@:80", ":x"] {
        let request = served(post_with("").replace("/RPC2", &format!("/{target}")));
        assert_eq!(decoded(request).2, b"hi", "{target}");
    }
    let largest = Request { target: format!("/{longest}"), ..call(&[b'b'; 8 << 20]) };
    assert_eq!(decoded(largest).2.len(), 8 << 20);
}

#[test]
fn a_clean_request_passes_the_gate_as_the_same() {
    for body in [b"".as_slice(), b"hi", b"\r\n\r\n", &[0xFF; 1000]] {
        assert_eq!(served(call(body).into_clean()), call(body));
    }
}
