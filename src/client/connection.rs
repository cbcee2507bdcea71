//! The connection to one server, and the exchange of a call for its answer.
//!
//! The module handles HTTP through [`gate`], and does not interpret the documents.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::future;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use super::error::AttemptError;
use crate::config::Address;
use crate::dial::{DialError, Dialer};
use crate::gate;

/// The timeout for connecting, and for the look-up before it while other servers could be asked instead: many times
/// longer than the servers allow each other for a round trip.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Why nothing was sent if the time is up.
const NO_CONNECTION: &str = "it cannot be reached: no connection in time";

/// The size of one read, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// A connection to a server. It is made on demand and kept alive as long as its exchanges succeed.
#[derive(Debug)]
pub(super) struct ServerConnection {
    address: Address,
    dialer: Dialer,
    kept: Option<TcpStream>,
}

impl ServerConnection {
    pub(super) fn new(address: &Address) -> ServerConnection {
        ServerConnection { address: address.clone(), dialer: Dialer::new(address), kept: None }
    }

    /// A connection whose look-ups are done by a test.
    #[cfg(test)]
    pub(super) fn with(address: &Address, dialer: Dialer) -> ServerConnection {
        ServerConnection { address: address.clone(), dialer, kept: None }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Looks the host up, and returns its addresses.
    ///
    /// # Errors
    ///
    /// If none is found before `until`. The text says why.
    pub(super) async fn addresses(&self, until: Instant) -> Result<Vec<SocketAddr>, String> {
        match before(until, self.dialer.addresses()).await {
            Some(found) => found.map_err(|error| error.reason),
            None => Err("its name was not resolved in time".to_owned()),
        }
    }

    /// Connects, unless there is a connection. The look-up may take until `until`. A call that only this server can
    /// answer connects by this before [`post`](ServerConnection::post), which allows a look-up less time.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Refused`] or [`AttemptError::Unsent`].
    pub(super) async fn open(&mut self, until: Instant) -> Result<(), AttemptError> {
        let opened = before(until, self.stream(until)).await;
        self.kept = Some(opened.unwrap_or_else(|| Err(no_connection()))?);
        Ok(())
    }

    /// Sends a document and returns the answer, which must have at most `answer_bytes_max` bytes and arrive before
    /// `until`.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Refused`] and [`AttemptError::Unsent`] only if not a single byte was sent, and
    /// [`AttemptError::NotServed`] only if the server says that the request is invalid. After [`AttemptError::Lost`],
    /// the call may have been executed, or may be later.
    pub(super) async fn post(
        &mut self,
        document: &[u8],
        answer_bytes_max: usize,
        until: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        let stream = before(until, self.stream(Instant::now() + CONNECT_DEADLINE)).await;
        let stream = stream.unwrap_or_else(|| Err(no_connection()))?;
        let mut is_sent = false;
        let exchange = self.exchange(stream, document, answer_bytes_max, &mut is_sent);
        let outcome = before(until, exchange).await;
        match outcome.unwrap_or_else(|| Err("it did not answer in time".to_owned())) {
            Ok((200, answer)) => Ok(answer),
            // An intermediary may say with a 5xx status that the server did not answer, but a request rejected with 4xx
            // was not executed.
            Ok((status @ 400..=499, _)) => Err(AttemptError::NotServed(http_status(status))),
            Ok((status, _)) => Err(AttemptError::Lost(http_status(status))),
            Err(reason) if is_sent => Err(AttemptError::Lost(reason)),
            Err(reason) => Err(AttemptError::Unsent(reason)),
        }
    }

    /// Sends one request, and returns the status and body of its response. The connection is kept only if the whole
    /// response arrives. Otherwise the rest could still arrive on it.
    async fn exchange(
        &mut self,
        stream: TcpStream,
        document: &[u8],
        answer_bytes_max: usize,
        is_sent: &mut bool,
    ) -> Result<(u16, Vec<u8>), String> {
        let mut stream = stream;
        let message = gate::write_post(&self.address, document);
        let broke_off = |error: std::io::Error| format!("the connection failed: {error}");
        let count = stream.write(&message).await.map_err(broke_off)?;
        *is_sent = 0 < count;
        let rest = message.get(count..).unwrap_or_default();
        stream.write_all(rest).await.map_err(broke_off)?;
        let mut received = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = stream.read(&mut chunk).await.map_err(broke_off)?;
            if count == 0 {
                return Err("it closed the connection without an answer".to_owned());
            }
            received.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if let Some(response) = gate::HttpResponse::read(&received, answer_bytes_max)? {
                self.kept = Some(stream);
                return Ok((response.status, response.body.to_vec()));
            }
        }
    }

    /// The kept connection if it is still good, or else a new one to the host, which is looked up until `found_by`.
    async fn stream(&mut self, found_by: Instant) -> Result<TcpStream, AttemptError> {
        if let Some(stream) = self.kept.take()
            && is_quiet(&stream).await
        {
            return Ok(stream);
        }
        let addresses = self.addresses(found_by).await.map_err(AttemptError::Unsent)?;
        let connecting = self.dialer.connect_to(&addresses);
        let connecting = async {
            connecting.await.map_err(|DialError { is_refused, reason }| {
                if is_refused {
                    AttemptError::Refused(reason)
                } else {
                    AttemptError::Unsent(reason)
                }
            })
        };
        let connected = before(Instant::now() + CONNECT_DEADLINE, connecting).await;
        connected.unwrap_or_else(|| Err(no_connection()))
    }
}

fn no_connection() -> AttemptError {
    AttemptError::Unsent(NO_CONNECTION.to_owned())
}

fn http_status(status: u16) -> String {
    format!("it answered with HTTP status {status}")
}

/// Whether an idle connection is still open and has no unexpected data to read.
async fn is_quiet(stream: &TcpStream) -> bool {
    future::poll_once(stream.peek(&mut [0])).await.is_none()
}

/// The output of `work`, or `None` if it is not ready before `until`.
pub(super) async fn before<T>(until: Instant, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::at(until).await;
        None
    };
    future::or(async { Some(work.await) }, late).await
}
