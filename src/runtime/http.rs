//! HTTP/1.1 on both sides, by async-h1: the one file that names it.
//!
//! Requests and responses are written whole, each with one write, so that none waits for another packet.

use anyhow::{Context, bail, ensure};
use async_h1::{client, server};
pub(super) use http_types::Url;
use http_types::headers::CONNECTION;
use http_types::{Body, Method, Request, Response, StatusCode};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use super::deadline::Alarm;
use super::timing::STALL_DEADLINE;
use crate::config::Address;

/// The largest request body, in bytes: an append with the largest update fits twice.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// The largest body of a peer's response, in bytes: a reply has a few numbers, a fault a sentence.
const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// How much is written between two looks at the clock, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What came over a connection.
pub(super) struct Incoming {
    /// Whether the method is POST.
    pub(super) is_post: bool,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Whether the caller wants the connection to be closed after the response.
    pub(super) closes: bool,
}

/// The status of a response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Status {
    /// Every outcome of XML-RPC, faults included: many clients cannot read a fault with another status.
    Ok,
    /// There is nothing to be had but by POST.
    MethodNotAllowed,
}

/// Reads the next request; `None` at the end of the connection.
///
/// # Errors
///
/// If what comes is no whole request: nothing of it may then be executed.
pub(super) async fn receive(stream: &TcpStream) -> anyhow::Result<Option<Incoming>> {
    let decoded = server::decode(stream.clone()).await.map_err(http_types::Error::into_inner)?;
    // The second part serves to skip what is not read of the body; the body is read here to its end.
    let Some((mut request, _)) = decoded else { return Ok(None) };
    let body = read_body(request.take_body(), REQUEST_BYTES_MAX).await?;
    let closes = request
        .header(CONNECTION)
        .is_some_and(|value| value.as_str().to_ascii_lowercase().contains("close"));
    Ok(Some(Incoming { is_post: request.method() == Method::Post, body, closes }))
}

/// Writes a response.
pub(super) async fn respond(
    stream: &mut TcpStream,
    status: Status,
    document: Vec<u8>,
    closes: bool,
) -> anyhow::Result<()> {
    let mut response = match status {
        Status::Ok => Response::new(StatusCode::Ok),
        Status::MethodNotAllowed => {
            let mut response = Response::new(StatusCode::MethodNotAllowed);
            response.insert_header("allow", "POST");
            response
        }
    };
    response.set_body(document);
    response.insert_header("content-type", "text/xml");
    if closes {
        response.insert_header(CONNECTION, "close");
    }
    let mut bytes = Vec::new();
    server::Encoder::new(response, Method::Post).read_to_end(&mut bytes).await?;
    stream.write_all(&bytes).await?;
    Ok(())
}

/// The URL at which a peer takes calls.
///
/// # Errors
///
/// If the configured host cannot stand in a URL.
pub(super) fn url(address: &Address) -> anyhow::Result<Url> {
    Url::parse(&format!("http://{address}/RPC2"))
        .with_context(|| format!("{address} is no address that can be called"))
}

/// Posts a document to a peer and gives the document that it answers. It may take as long as it makes progress.
pub(super) async fn post(
    stream: &mut TcpStream,
    url: &Url,
    document: Vec<u8>,
    alarm: &mut Alarm,
) -> anyhow::Result<Vec<u8>> {
    let mut request = Request::new(Method::Post, url.clone());
    request.set_body(document);
    request.insert_header("content-type", "text/xml");
    let mut bytes = Vec::new();
    client::Encoder::new(request).read_to_end(&mut bytes).await?;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        alarm.within(STALL_DEADLINE, stream.write_all(chunk)).await??;
    }
    alarm.within(STALL_DEADLINE, read_response(stream.clone())).await?
}

async fn read_response(stream: TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut response = client::decode(stream).await.map_err(http_types::Error::into_inner)?;
    if response.status() != StatusCode::Ok {
        bail!("it answered with HTTP status {}", response.status());
    }
    read_body(response.take_body(), RESPONSE_BYTES_MAX).await
}

async fn read_body(body: Body, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let announced = body.len();
    ensure!(announced.is_none_or(|len| len <= bytes_max), "a body has at most {bytes_max} bytes");
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    body.take(bytes_max as u64 + 1).read_to_end(&mut bytes).await?;
    ensure!(bytes.len() <= bytes_max, "a body has at most {bytes_max} bytes");
    ensure!(announced.is_none_or(|len| len == bytes.len()), "the body was cut short");
    Ok(bytes)
}
