//! XML-RPC's requests and responses as async-h1 reads and writes them: the one file that names it.
//!
//! The library sees one request at a time, which the gate has found whole and sound and has written anew.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use async_h1::server;
use http_types::headers::CONNECTION;
use http_types::{Body, Method, Response, StatusCode};
use smol::io::{self, AsyncRead, AsyncReadExt, AsyncWrite};

use crate::gate;

/// The document that a request carries.
///
/// # Errors
///
/// If the library does not take for a request what the gate has written.
pub(super) async fn document(request: gate::Request) -> anyhow::Result<Vec<u8>> {
    let length = request.body.len();
    let bytes = Message { bytes: Arc::new(request.into_clean()), read: 0 };
    let decoded = server::decode(bytes).await.map_err(http_types::Error::into_inner)?;
    let (mut request, _) = decoded.context("a request is missing")?;
    let mut document = vec![0; length];
    request.take_body().read_exact(&mut document).await?;
    Ok(document)
}

/// What the head of a response tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// How many bytes the body has.
    pub(super) length: usize,
    /// Whether the connection ends after it.
    pub(super) closes: bool,
}

/// Writes the heads of responses. Most of them tell the same as the one before, and are the same while the date is.
#[derive(Debug, Default)]
pub(super) struct Heads {
    last: RefCell<Option<Written>>,
}

#[derive(Debug)]
struct Written {
    head: Head,
    /// In seconds since 1970.
    date: u64,
    bytes: Rc<[u8]>,
}

impl Heads {
    /// The head as bytes.
    ///
    /// # Errors
    ///
    /// If the library does not write it, or there is no such status.
    pub(super) async fn write(&self, head: Head) -> anyhow::Result<Rc<[u8]>> {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(last) = &*self.last.borrow()
            && (last.head, last.date) == (head, date)
        {
            return Ok(Rc::clone(&last.bytes));
        }
        let bytes: Rc<[u8]> = Box::pin(encode(head)).await?.into();
        self.last.replace(Some(Written { head, date, bytes: Rc::clone(&bytes) }));
        Ok(bytes)
    }
}

async fn encode(head: Head) -> anyhow::Result<Vec<u8>> {
    let status = StatusCode::try_from(head.status).map_err(http_types::Error::into_inner)?;
    let mut response = Response::new(status);
    // The body is sent from where it is held: many callers may share it.
    response.set_body(Body::from_reader(io::empty(), Some(head.length)));
    response.insert_header("content-type", head.content_type);
    if head.closes {
        response.insert_header(CONNECTION, "close");
    }
    let mut bytes = Vec::new();
    server::Encoder::new(response, Method::Post).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A request in memory, in place of the connection that the library would read it from.
#[derive(Clone)]
struct Message {
    bytes: Arc<Vec<u8>>,
    read: usize,
}

impl AsyncRead for Message {
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

/// The library writes only what the gate has seen to already.
impl AsyncWrite for Message {
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
