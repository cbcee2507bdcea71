//! Carries requests to one peer and its replies back.
//!
//! Each peer has two lanes, each with a connection of its own: heartbeats and requests for votes are never queued
//! behind entries. Whatever happens, the core hears of each request exactly once.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net;
use std::sync::Arc;

use anyhow::Context;
use async_io::Async;
use smol::channel::{Receiver, Sender};
use smol::net::TcpStream;

use super::deadline::Alarm;
use super::http::{self, Url};
use super::input::Input;
use super::timing::{CONTROL_DEADLINE, STALL_DEADLINE};
use crate::config::Address;
use crate::protocol;
use crate::raft::{Event, Request, Response, ServerId};

/// Where requests to a peer are handed over.
pub(super) struct Peer {
    control: Sender<Request>,
    batches: Sender<Request>,
}

impl Peer {
    /// The peer's handle, and its two lanes, which have to be kept running.
    pub(super) fn new(
        id: ServerId,
        address: &Address,
        inbox: &Sender<Input>,
    ) -> anyhow::Result<(Peer, [Lane; 2])> {
        let url = http::url(address)?;
        let lane = |is_control| {
            let (sender, requests) = smol::channel::unbounded();
            let lane = Lane {
                id,
                address: address.clone(),
                url: url.clone(),
                is_control,
                requests,
                inbox: inbox.clone(),
            };
            (sender, lane)
        };
        let (control, control_lane) = lane(true);
        let (batches, batch_lane) = lane(false);
        Ok((Peer { control, batches }, [control_lane, batch_lane]))
    }

    /// Sends a request on the lane where it belongs. The lanes live as long as the process.
    pub(super) fn send(&self, request: Request) {
        let carries_entries = match &request {
            Request::AppendEntries(request) => !request.entries.is_empty(),
            Request::RequestVote(_) => false,
        };
        let lane = if carries_entries { &self.batches } else { &self.control };
        let _ = lane.try_send(request);
    }
}

/// One connection to a peer, made when it is needed and again when it broke, and the requests that wait for it.
pub(super) struct Lane {
    id: ServerId,
    address: Address,
    url: Url,
    is_control: bool,
    requests: Receiver<Request>,
    inbox: Sender<Input>,
}

impl Lane {
    /// Carries requests, one after another.
    pub(super) async fn run(self) -> anyhow::Result<Infallible> {
        let mut connection = None;
        let (mut stalled, mut late) = (Alarm::new(), Alarm::new());
        loop {
            let request = self.requests.recv().await?;
            let exchange = self.exchange(&mut connection, &request, &mut stalled);
            let outcome = if self.is_control {
                late.within(CONTROL_DEADLINE, exchange).await.flatten()
            } else {
                exchange.await
            };
            let event = match outcome {
                Ok(response) => Event::Response { from: self.id, response },
                Err(error) => {
                    log::debug!("no reply from {}: {error:#}", self.address);
                    Event::Unanswered { by: self.id, request }
                }
            };
            self.inbox.send(Input::Core(event)).await?;
        }
    }

    /// One request and its reply. The connection is kept only if it ends well, for else a reply may still be under way
    /// on it.
    async fn exchange(
        &self,
        kept: &mut Option<TcpStream>,
        request: &Request,
        stalled: &mut Alarm,
    ) -> anyhow::Result<Response> {
        let mut stream = match kept.take() {
            Some(stream) if is_quiet(&stream) => stream,
            _ => stalled.within(STALL_DEADLINE, self.connect()).await??,
        };
        let document = protocol::write_request(request);
        let answer = http::post(&mut stream, &self.url, document, stalled).await?;
        *kept = Some(stream);
        protocol::read_response(request, &answer).map_err(anyhow::Error::msg)
    }

    /// Connects to the configured host, resolved anew.
    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let Address { host, port } = &self.address;
        let stream =
            TcpStream::connect((host.as_str(), *port)).await.context("it cannot be reached")?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Whether nothing has come over an idle connection: neither its end nor bytes that nobody asked for.
fn is_quiet(stream: &TcpStream) -> bool {
    let socket: Arc<Async<net::TcpStream>> = stream.clone().into();
    socket.get_ref().peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
