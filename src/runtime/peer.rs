//! Carries requests to one peer and its replies back.
//!
//! Each peer has two lanes, each with a connection of its own: heartbeats and requests for votes are never queued
//! behind entries. Whatever happens, the core hears of each request exactly once.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use anyhow::{Context, ensure};
use smol::channel::{Receiver, Sender};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use super::aside::{aside, is_long};
use super::deadline::Alarm;
use super::input::Input;
use super::timing::{CONTROL_DEADLINE, STALL_DEADLINE};
use super::turns;
use crate::config::Address;
use crate::gate;
use crate::protocol::{self, NoResponse};
use crate::raft::{Entry, Event, Failure, Request, Response, ServerId};

/// How much is written between two looks at the clock, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// How much is read at once, in bytes: more than a reply has.
const READ_BYTES: usize = 4 << 10;

/// The bytes that the body of a peer's response has at most: a reply has a few numbers, a fault a sentence.
const RESPONSE_BYTES_MAX: usize = 64 << 10;

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
        is_crashed: &Rc<Cell<bool>>,
    ) -> (Peer, [Lane; 2]) {
        let lane = |is_control| {
            let (sender, requests) = smol::channel::unbounded();
            let lane = Lane {
                id,
                address: address.clone(),
                is_control,
                requests,
                inbox: inbox.clone(),
                is_crashed: Rc::clone(is_crashed),
            };
            (sender, lane)
        };
        let (control, control_lane) = lane(true);
        let (batches, batch_lane) = lane(false);
        (Peer { control, batches }, [control_lane, batch_lane])
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
    is_control: bool,
    requests: Receiver<Request>,
    inbox: Sender<Input>,
    /// Whether this server is crashed, and sends nothing: neither what waits here nor the rest of what is under way.
    is_crashed: Rc<Cell<bool>>,
}

/// What one exchange after another uses.
struct Wire {
    /// The connection, once it is made and as long as no reply may still be under way on it.
    connection: Option<TcpStream>,
    stalled: Alarm,
    read_buffer: Box<[u8]>,
}

impl Lane {
    /// Carries requests, one after another.
    pub(super) async fn run(self) -> anyhow::Result<Infallible> {
        let read_buffer = vec![0; READ_BYTES].into();
        let mut wire = Wire { connection: None, stalled: Alarm::new(), read_buffer };
        let mut late = Alarm::new();
        loop {
            let request = self.requests.recv().await?;
            let exchange = self.exchange(&mut wire, &request);
            let outcome = if self.is_control {
                late.within(CONTROL_DEADLINE, exchange).await.flatten()
            } else {
                exchange.await
            };
            let event = match outcome {
                Ok(response) => Event::Response { from: self.id, response },
                Err(error) => {
                    log::debug!("no reply from {}: {error:#}", self.address);
                    let told = error.downcast_ref::<NoResponse>();
                    let failure = told.map_or(Failure::Silent, |told| told.failure);
                    Event::Unanswered { by: self.id, request, failure }
                }
            };
            self.inbox.send(Input::Core(event)).await?;
        }
    }

    /// One request and its reply. The connection is kept only if it ends well.
    async fn exchange(&self, wire: &mut Wire, request: &Request) -> anyhow::Result<Response> {
        let message = self.message(request).await;
        // A connection may have ended while it was idle, with its server's process for one, and says so only now. The
        // requests of Raft may come twice.
        let mut answered = None;
        if let Some(mut stream) = wire.connection.take()
            && let Ok(answer) = self.post(&mut stream, &message, wire).await
        {
            answered = Some((stream, answer));
        }
        let (stream, answer) = match answered {
            Some(answered) => answered,
            None => {
                let mut stream = wire.stalled.within(STALL_DEADLINE, self.connect()).await??;
                let answer = self.post(&mut stream, &message, wire).await?;
                (stream, answer)
            }
        };
        wire.connection = Some(stream);
        Ok(protocol::read_response(request, &answer)?)
    }

    /// The request as it is sent.
    async fn message(&self, request: &Request) -> Vec<u8> {
        let bytes = match request {
            Request::AppendEntries(request) => request.entries.iter().map(Entry::size).sum(),
            Request::RequestVote(_) => 0,
        };
        let write = |address: &Address, request: &Request| {
            gate::write_post(address, &protocol::write_request(request))
        };
        // Spared the copies that another thread needs.
        if !is_long(bytes) {
            return write(&self.address, request);
        }
        let (address, request) = (self.address.clone(), request.clone());
        aside(bytes, move || write(&address, &request)).await
    }

    /// Connects to the configured host, resolved anew. If all of its addresses refuse the connection, the peer's process
    /// has ended.
    async fn connect(&self) -> anyhow::Result<TcpStream> {
        self.may_send()?;
        let Address { host, port } = &self.address;
        let places = smol::net::resolve((host.as_str(), *port)).await.context("unknown host")?;
        let mut all_refuse = !places.is_empty();
        let mut reason = "its host has no address".to_owned();
        for place in places {
            match TcpStream::connect(place).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => {
                    all_refuse &= error.kind() == io::ErrorKind::ConnectionRefused;
                    reason = format!("it cannot be reached at {place}: {error}");
                }
            }
        }
        Err(match all_refuse {
            true => NoResponse { failure: Failure::Ended, reason }.into(),
            false => anyhow::Error::msg(reason),
        })
    }

    fn may_send(&self) -> anyhow::Result<()> {
        ensure!(!self.is_crashed.get(), "this server is crashed");
        Ok(())
    }

    /// Sends a message and gives the document that is answered. It may take as long as it makes progress.
    async fn post(
        &self,
        stream: &mut TcpStream,
        message: &[u8],
        Wire { stalled, read_buffer, .. }: &mut Wire,
    ) -> anyhow::Result<Vec<u8>> {
        for (index, chunk) in message.chunks(CHUNK_BYTES).enumerate() {
            if 0 < index {
                stalled.within(STALL_DEADLINE, turns::writable(stream)).await??;
            }
            self.may_send()?;
            stalled.within(STALL_DEADLINE, stream.write_all(chunk)).await??;
        }
        let mut received = Vec::new();
        loop {
            let count = stalled.within(STALL_DEADLINE, stream.read(read_buffer)).await??;
            ensure!(0 < count, "it closed the connection");
            received.extend_from_slice(read_buffer.get(..count).unwrap_or_default());
            let response = gate::Response::read(&received, RESPONSE_BYTES_MAX);
            if let Some(response) = response.map_err(anyhow::Error::msg)? {
                ensure!(response.status == 200, "it answered with HTTP status {}", response.status);
                return Ok(response.body.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use smol::future;

    use super::*;
    use crate::config::Config;
    use crate::protocol::{Answer, write_answer};
    use crate::raft::{
        BallotKind, Cluster, Identity, Incarnation, Reply, RequestVote, Server, VoteReply,
    };

    const KIND: BallotKind = BallotKind::PreVote;

    /// What a server of two that has just been started says of itself.
    fn identity(id: u8) -> Identity {
        let cluster = Cluster::new(ServerId(id), 2).unwrap();
        Server::start(cluster, Incarnation(100 + u64::from(id))).0.identity()
    }

    fn listener() -> (TcpListener, u16) {
        let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = peer.local_addr().unwrap().port();
        (peer, port)
    }

    /// What becomes of a candidate's request to a peer at that port.
    fn outcome(port: u16, is_crashed: bool) -> Event {
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let (inbox, told) = smol::channel::unbounded();
        let is_crashed = Rc::new(Cell::new(is_crashed));
        let (handle, [control, _batches]) = Peer::new(ServerId(1), &address, &inbox, &is_crashed);
        let request = RequestVote { sender: identity(0), kind: KIND, ballot: 1, account: None };
        handle.send(Request::RequestVote(request));
        let told = async { told.recv().await.unwrap() };
        let heard = async {
            let ended = control.run().await;
            panic!("a lane never ends: {ended:?}")
        };
        match smol::block_on(future::or(told, heard)) {
            Input::Core(event) => event,
            _ => panic!("a lane tells the core alone"),
        }
    }

    /// What becomes of it if the peer answers like this.
    fn answered(answer: &Answer) -> Event {
        let config = Config::parse("M: 1\nmetadata0: localhost:1").unwrap();
        let body = write_answer(answer, &config);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let (peer, port) = listener();
        let answers = thread::spawn(move || {
            let (mut stream, _) = peer.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"</methodCall>") {
                let mut chunk = [0; 4096];
                let count = stream.read(&mut chunk).unwrap();
                assert!(0 < count, "the request ends as a document does");
                asked.extend_from_slice(&chunk[..count]);
            }
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        });
        let event = outcome(port, false);
        answers.join().unwrap();
        event
    }

    /// Why there was no reply of the peer.
    fn failure(event: &Event) -> Option<Failure> {
        match event {
            Event::Unanswered { by: ServerId(1), failure, .. } => Some(*failure),
            _ => None,
        }
    }

    #[test]
    fn a_reply_is_told_with_the_peer_s_number() {
        let reply = VoteReply { sender: identity(1), kind: KIND, ballot: 1, vote_granted: true };
        let expected = Event::Response { from: ServerId(1), response: Response::Vote(reply) };
        assert_eq!(answered(&Answer::Raft(Reply::Vote(reply))), expected);
    }

    #[test]
    fn a_crashed_peer_is_told_with_what_it_says_of_itself() {
        let crashed = answered(&Answer::Crashed(Some(identity(1))));
        assert_eq!(failure(&crashed), Some(Failure::Crashed(identity(1))));
    }

    #[test]
    fn any_other_fault_says_nothing_of_the_peer() {
        assert_eq!(failure(&answered(&Answer::Crashed(None))), Some(Failure::Silent));
    }

    #[test]
    fn a_peer_whose_host_refuses_the_connection_has_ended() {
        let (peer, port) = listener();
        drop(peer);
        assert_eq!(failure(&outcome(port, false)), Some(Failure::Ended));
    }

    /// Its process may be there, or another on its port.
    #[test]
    fn a_peer_that_closes_the_connection_says_nothing() {
        let (peer, port) = listener();
        let closes = thread::spawn(move || drop(peer.accept().unwrap()));
        assert_eq!(failure(&outcome(port, false)), Some(Failure::Silent));
        closes.join().unwrap();
    }

    #[test]
    fn a_crashed_server_sends_nothing_of_what_still_waits() {
        let (peer, port) = listener();
        peer.set_nonblocking(true).unwrap();
        assert_eq!(failure(&outcome(port, true)), Some(Failure::Silent));
        assert!(peer.accept().is_err(), "nobody has connected");
    }
}
