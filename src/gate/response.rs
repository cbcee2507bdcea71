//! The client side: one request to a server of this project, and the response to it.

use std::fmt::Display;

use httparse::{EMPTY_HEADER, Header, Status};

use super::{HEAD_BYTES_MAX, HEADERS_MAX};

/// A POST request with this document to the server at that `host:port`. It is one buffer, so that no part of it waits
/// for another packet.
pub fn write_post(host: impl Display, document: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /RPC2 HTTP/1.1\r\n\
         Host: {host}\r\n\
         Content-Type: text/xml\r\n\
         Content-Length: {}\r\n\
         \r\n",
        document.len(),
    );
    [head.as_bytes(), document].concat()
}

/// A complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpResponse<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// Why the bytes are not a response that a server of this project sends.
pub(super) type Garbled = &'static str;

const NOT_HTTP: Garbled = "its response is not HTTP/1.1";

impl<'a> HttpResponse<'a> {
    /// Parses a complete response of at most `body_bytes_max` bytes of body. Returns `None` while bytes are missing.
    ///
    /// It parses from the start for each packet that arrives: response heads are short, and most responses arrive in
    /// one packet.
    ///
    /// # Errors
    ///
    /// If the bytes cannot become such a response: these servers answer with HTTP/1.1 and a length, and send nothing
    /// unasked.
    pub fn read(
        bytes: &'a [u8],
        body_bytes_max: usize,
    ) -> Result<Option<HttpResponse<'a>>, Garbled> {
        let mut slots = [EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut slots);
        let end = match head.parse(bytes) {
            Ok(Status::Complete(end)) if end <= HEAD_BYTES_MAX => end,
            Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(_) => return Err("the head of its response is too long"),
            Err(_) => return Err(NOT_HTTP),
        };
        // The library also accepts empty lines before a response, and line ends without a carriage return.
        let (lines, body) = bytes.split_at(end);
        let is_plain = lines.starts_with(b"HTTP/1.1 ") && lines.ends_with(b"\r\n\r\n");
        let status = head.code.filter(|_| is_plain).ok_or(NOT_HTTP)?;
        let length = length(head.headers).ok_or("its response has no length")?;
        if body_bytes_max < length {
            return Err("its response is too long");
        }
        match body.len() {
            received if received < length => Ok(None),
            received if received == length => Ok(Some(HttpResponse { status, body })),
            _ => Err("it sent more than its response"),
        }
    }
}

/// The length of the body, given by exactly one header.
fn length(headers: &[Header<'_>]) -> Option<usize> {
    let mut lengths =
        headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let value = str::from_utf8(lengths.next()?.value).ok()?;
    if lengths.next().is_some() { None } else { value.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ndate: now\r\n\r\nhello";
        for end in 0..whole.len() {
            assert_eq!(HttpResponse::read(&whole[..end], 5), Ok(None), "{end} bytes");
        }
        assert_eq!(
            HttpResponse::read(whole, 5),
            Ok(Some(HttpResponse { status: 200, body: b"hello" }))
        );
    }

    #[test]
    fn what_no_server_here_sends_is_refused() {
        let long = [b'x'; HEAD_BYTES_MAX];
        for bytes in [
            &b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            b"garbage\r\n\r\n",
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            &[&b"HTTP/1.1 200 OK\r\nA: "[..], &long].concat(),
            &[&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: "[..], &long, b"\r\n\r\n"].concat(),
        ] {
            assert!(HttpResponse::read(bytes, 64).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
