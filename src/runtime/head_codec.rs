//! Decodes the heads of requests and encodes those of responses with async-h1. No other file names that library.
//!
//! The gate has already found a request's head and the end of its body, and has rejected everything malformed. The
//! library decodes the normalized head that the gate writes. Decoding took a fifth of the time of a ping, and nearly
//! all heads are equal to the one before. So decoding is memoized by head, and encoding by the content of the head.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use async_h1::server;
use http_types::headers::CONNECTION;
use http_types::{Body, Method, Response, StatusCode};
use smol::io::{self, AsyncRead, AsyncReadExt, AsyncWrite};

use crate::gate;

/// The content of a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// The size of the body in bytes.
    pub(super) length: usize,
    /// Whether the connection ends after the response.
    pub(super) closes: bool,
}

/// Decodes and encodes heads, and memoizes the last one of each.
#[derive(Debug, Default)]
pub(super) struct HeadCodec {
    read: RefCell<Vec<u8>>,
    written: RefCell<Option<EncodedHead>>,
}

/// The encoded head of a response, which is reused for an equal head in the same second.
#[derive(Debug)]
struct EncodedHead {
    head: Head,
    /// In seconds since 1970.
    date: u64,
    bytes: Rc<[u8]>,
}

impl HeadCodec {
    /// Decodes the head of a call.
    ///
    /// # Errors
    ///
    /// If the library does not accept what the gate has written as the head of a call.
    pub(super) async fn read(&self, request: &gate::HttpRequest) -> anyhow::Result<()> {
        let head = request.clean_head();
        if *self.read.borrow() != head {
            // Boxed, because otherwise every connection would reserve memory for it.
            let decoded =
                Box::pin(server::decode(HeadBytes { bytes: Arc::from(&*head), read: 0 })).await;
            let (request, _) = decoded
                .map_err(http_types::Error::into_inner)?
                .context("the head of a request is missing")?;
            ensure!(request.method() == Method::Post, "a call must use POST");
            self.read.replace(head);
        }
        Ok(())
    }

    /// Encodes a head.
    ///
    /// # Errors
    ///
    /// If the library does not encode it, or there is no such status.
    pub(super) async fn write(&self, head: Head) -> anyhow::Result<Rc<[u8]>> {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(last) = &*self.written.borrow()
            && (last.head, last.date) == (head, date)
        {
            return Ok(Rc::clone(&last.bytes));
        }
        let bytes: Rc<[u8]> = Box::pin(encode(head)).await?.into();
        self.written.replace(Some(EncodedHead { head, date, bytes: Rc::clone(&bytes) }));
        Ok(bytes)
    }
}

async fn encode(head: Head) -> anyhow::Result<Vec<u8>> {
    let status = StatusCode::try_from(head.status).map_err(http_types::Error::into_inner)?;
    let mut response = Response::new(status);
    // The body is sent from where it is held, because many callers may share it.
    response.set_body(Body::from_reader(io::empty(), Some(head.length)));
    response.insert_header("content-type", head.content_type);
    if head.closes {
        response.insert_header(CONNECTION, "close");
    }
    let mut bytes = Vec::new();
    server::Encoder::new(response, Method::Post).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A head in memory, in place of the connection that the library would read from.
#[derive(Clone)]
struct HeadBytes {
    bytes: Arc<[u8]>,
    read: usize,
}

impl AsyncRead for HeadBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Poll::Ready(Ok(count))
    }
}

/// The library only writes what the gate has already taken care of.
impl AsyncWrite for HeadBytes {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;

    use super::*;

    fn request(method: gate::HttpMethod, target: &str) -> gate::HttpRequest {
        let (target, body) = (target.to_owned(), b"document"[..].into());
        gate::HttpRequest {
            method,
            target,
            body,
            close: false,
            may_half_close: false,
            origin: None,
            prefers_json: false,
            may_call: true,
        }
    }

    #[test]
    fn the_head_of_a_call_is_read_whatever_came_before_and_no_other_is() {
        let codec = HeadCodec::default();
        for target in ["/RPC2", "/RPC2", "/", "/RPC2", "//"] {
            let read = block_on(codec.read(&request(gate::HttpMethod::Post, target)));
            assert!(read.is_ok(), "{target}: {read:?}");
            for unsound in [
                request(gate::HttpMethod::Get, target),
                request(gate::HttpMethod::Post, " "),
                request(gate::HttpMethod::Post, ""),
                request(gate::HttpMethod::Post, "/ HTTP/1.1\r\n\r\n/"),
            ] {
                let read = block_on(codec.read(&unsound));
                assert!(read.is_err(), "{unsound:?}");
            }
        }
    }

    #[test]
    fn a_head_tells_what_it_is_to_tell_whatever_came_before() {
        let codec = HeadCodec::default();
        let written = |length, closes| {
            let head = Head { status: 200, content_type: "text/xml", length, closes };
            String::from_utf8_lossy(&block_on(codec.write(head)).unwrap()).into_owned()
        };
        for (length, closes) in [(1, false), (1, false), (2, false), (2, true), (1, false)] {
            let head = written(length, closes);
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
                "{head}"
            );
            assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
            assert_eq!(head.contains("connection: close\r\n"), closes, "{head}");
        }
    }
}
