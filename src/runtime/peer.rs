//! Carries requests to one peer, and reports its replies to the event loop.
//!
//! Each peer has two lanes, each with its own connection, so that heartbeats and vote requests are never queued behind
//! entries. The outcome of each request is reported exactly once, unless the peer is disconnected first.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use anyhow::ensure;
use smol::channel::{Receiver, Sender};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::{LocalExecutor, Task};

use super::alarm::Alarm;
use super::connections::UNCOUNTED_BYTES;
use super::fairness;
use super::message::Message;
use super::offload::is_long;
use super::timing::{CONTROL_DEADLINE, STALL_DEADLINE};
use crate::config::Address;
use crate::dial::Dialer;
use crate::gate;
use crate::protocol::{self, NoResponse};
use crate::raft::{AppendOutcome, AppendReply, Failure, Request, Response, ServerId};
use crate::service::Input;

/// The number of bytes to write at a time. After each chunk the stall deadline starts again, and other sockets get a
/// turn.
const CHUNK_BYTES: usize = 64 << 10;

/// The size of a read in bytes, which is more than a reply takes.
const READ_BYTES: usize = 4 << 10;

/// The maximum size of the body of a peer's response in bytes. A reply has a few numbers, and a fault one sentence.
const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// A peer that requests are sent to.
pub(super) struct Peer {
    id: ServerId,
    address: Address,
    /// Outlives the lanes, so that a crash forgets no addresses.
    dialer: Dialer,
    /// Keeps the addresses current. It ends when this is dropped.
    _look_ups: Task<()>,
    /// The event loop's inbox, which receives the outcomes.
    inbox: Sender<Message>,
    executor: Rc<LocalExecutor<'static>>,
    /// The lanes; `None` if nothing has been sent since the start or the last crash.
    lanes: Option<[LaneHandle; 2]>,
}

/// A lane that is running. It ends when this is dropped.
struct LaneHandle {
    requests: Sender<Request>,
    _task: Task<()>,
}

impl Peer {
    pub(super) fn new(
        id: ServerId,
        address: &Address,
        inbox: &Sender<Message>,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Peer {
        let (inbox, executor) = (inbox.clone(), Rc::clone(executor));
        let dialer = Dialer::new(address);
        // A follower sends nothing to its peers until it stands for election, when the name server may be dead.
        let _look_ups = executor.spawn(dialer.clone().keep_current());
        let address = address.clone();
        Peer { id, address, dialer, _look_ups, inbox, executor, lanes: None }
    }

    /// Sends a request on its lane.
    pub(super) fn send(&mut self, request: Request) {
        let may_be_large = match &request {
            Request::AppendEntries(request) => !request.entries.is_empty(),
            Request::InstallSnapshot(_) => true,
            Request::RequestVote(_) => false,
        };
        let lanes = match self.lanes.take() {
            Some(lanes) => lanes,
            None => [LaneKind::Control, LaneKind::Batches].map(|kind| self.open(kind)),
        };
        let [control, batches] = self.lanes.insert(lanes);
        let lane = if may_be_large { batches } else { control };
        // The channel is unbounded. It is only closed if the lane has ended, and then the process ends as well.
        let _ = lane.requests.try_send(request);
    }

    /// Drops all queued requests and the rest of the one being sent, and closes the connections.
    pub(super) fn disconnect(&mut self) {
        self.lanes = None;
    }

    fn open(&self, kind: LaneKind) -> LaneHandle {
        let (sender, receiver) = smol::channel::unbounded();
        let lane = Lane {
            id: self.id,
            address: self.address.clone(),
            dialer: self.dialer.clone(),
            kind,
            requests: receiver,
            inbox: self.inbox.clone(),
            connection: None,
            stalled: Alarm::new(),
            read_buffer: vec![0; READ_BYTES].into(),
        };
        let inbox = self.inbox.clone();
        let task = self.executor.spawn(async move {
            // The lane has failed, or it has panicked, which has been logged. Nothing carries its requests any more, so
            // the process must end.
            let _ = AssertUnwindSafe(lane.run()).catch_unwind().await;
            let _ = inbox.send(Message::LaneEnded).await;
        });
        LaneHandle { requests: sender, _task: task }
    }
}

/// What a lane carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneKind {
    /// Heartbeats and vote requests, which have a deadline.
    Control,
    /// Appends with entries, and pieces of snapshots.
    Batches,
}

impl LaneKind {
    /// What it carries, in words.
    fn carries(self) -> &'static str {
        match self {
            LaneKind::Control => "heartbeats and votes",
            LaneKind::Batches => "entries and snapshots",
        }
    }
}

/// A lane to a peer: its queued requests, and one connection, which is opened on demand and reopened after an error.
struct Lane {
    id: ServerId,
    address: Address,
    dialer: Dialer,
    kind: LaneKind,
    requests: Receiver<Request>,
    inbox: Sender<Message>,
    /// The open connection, if no reply is outstanding on it.
    connection: Option<TcpStream>,
    /// Rings if a connection makes no progress.
    stalled: Alarm,
    read_buffer: Box<[u8]>,
}

impl Lane {
    /// Carries requests one after another.
    async fn run(mut self) -> anyhow::Result<Infallible> {
        let mut late = Alarm::new();
        loop {
            let request = self.requests.recv().await?;
            let kind = self.kind;
            let exchange = self.exchange(&request);
            let outcome = match kind {
                LaneKind::Control => late.within(CONTROL_DEADLINE, exchange).await.flatten(),
                LaneKind::Batches => exchange.await,
            };
            let input = match outcome {
                Ok(response) => Input::Response { from: self.id, response },
                Err(error) => {
                    log::debug!("no reply from {}: {error:#}", self.address);
                    let reason = error.downcast_ref::<NoResponse>();
                    let failure = reason.map_or(Failure::Silent, |reason| reason.failure);
                    Input::Unanswered { by: self.id, request, failure }
                }
            };
            self.inbox.send(Message::Input(input)).await?;
        }
    }

    /// Sends one request and receives its reply. The connection is kept if a document arrives, even a fault.
    async fn exchange(&mut self, request: &Request) -> anyhow::Result<Response> {
        let encoded = self.encode(request).await;
        // The connection may have ended while it was idle, for example with the peer's process, which shows only now.
        // So retry on a new one. Raft's requests may safely arrive twice.
        let mut answered = None;
        if let Some(mut stream) = self.connection.take()
            && let Ok(answer) = self.post(&mut stream, &encoded).await
        {
            answered = Some((stream, answer));
        }
        let (stream, answer) = match answered {
            Some(answered) => answered,
            None => {
                let connecting = connect(&self.dialer);
                let mut stream = self.stalled.within(STALL_DEADLINE, connecting).await??;
                log::debug!("connected to {} for {}", self.address, self.kind.carries());
                if let Some(shown) = self.introduce(&mut stream, request, encoded.len()).await? {
                    self.connection = Some(stream);
                    return Ok(shown);
                }
                let answer = self.post(&mut stream, &encoded).await?;
                (stream, answer)
            }
        };
        self.connection = Some(stream);
        Ok(protocol::read_response(request, &answer)?)
    }

    /// Shows a peer who is calling before a large request: until it has answered one, it counts the bytes of a new
    /// connection among those of callers, and may have no room for more. Sends the request without its entries or
    /// files, which a leader may do at any time. Returns the response if it makes them pointless.
    async fn introduce(
        &mut self,
        stream: &mut TcpStream,
        request: &Request,
        bytes: usize,
    ) -> anyhow::Result<Option<Response>> {
        if bytes <= UNCOUNTED_BYTES {
            return Ok(None);
        }
        let (empty, expected) = match request {
            Request::RequestVote(_) => return Ok(None),
            Request::AppendEntries(append) => {
                (Request::AppendEntries(append.without_entries()), AppendOutcome::Accepted)
            }
            Request::InstallSnapshot(piece) => (
                Request::InstallSnapshot(piece.without_files()),
                AppendOutcome::Incomplete(piece.offset),
            ),
        };
        let encoded = self.encode(&empty).await;
        let answer = self.post(stream, &encoded).await?;
        Ok(match protocol::read_response(&empty, &answer)? {
            Response::Append(AppendReply { outcome, .. }) if outcome == expected => None,
            response => Some(response),
        })
    }

    /// Encodes a request as an HTTP POST.
    async fn encode(&self, request: &Request) -> Vec<u8> {
        let write = |address: &Address, request: &Request| {
            gate::write_post(address, &protocol::write_request(request))
        };
        // Another thread would need copies, which are not worth it for a short request.
        if !is_long(request.size()) {
            return write(&self.address, request);
        }
        let (address, request) = (self.address.clone(), request.clone());
        smol::unblock(move || write(&address, &request)).await
    }

    /// Sends an encoded request and returns the document in the response. There is no time limit as long as bytes move.
    async fn post(&mut self, stream: &mut TcpStream, encoded: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Lane { stalled, read_buffer, .. } = self;
        for (index, chunk) in encoded.chunks(CHUNK_BYTES).enumerate() {
            if 0 < index {
                stalled.within(STALL_DEADLINE, fairness::writable(stream)).await??;
            }
            stalled.within(STALL_DEADLINE, stream.write_all(chunk)).await??;
        }
        let mut received = Vec::new();
        loop {
            let count = stalled.within(STALL_DEADLINE, stream.read(read_buffer)).await??;
            ensure!(0 < count, "it closed the connection");
            received.extend_from_slice(read_buffer.get(..count).unwrap_or_default());
            let response = gate::HttpResponse::read(&received, RESPONSE_BYTES_MAX);
            if let Some(response) = response.map_err(anyhow::Error::msg)? {
                ensure!(response.status == 200, "it answered with HTTP status {}", response.status);
                return Ok(response.body.to_vec());
            }
        }
    }
}

/// Connects to the peer. If all addresses of its host refuse the connection, the peer's process has ended.
async fn connect(dialer: &Dialer) -> anyhow::Result<TcpStream> {
    dialer.connect().await.map_err(|error| match error.is_refused {
        true => NoResponse { failure: Failure::Ended, reason: error.reason }.into(),
        false => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::dial;
    use crate::metadata::Update;
    use crate::protocol::{Answer, write_answer};
    use crate::raft::{
        AppendEntries, BallotKind, Cluster, Command, Compaction, Entry, Identity, Incarnation,
        LogIndex, Position, Reply, RequestVote, Round, Server, Term, VoteReply,
    };
    use crate::value::Value;

    const KIND: BallotKind = BallotKind::PreVote;

    /// The identity of a newly started server of two.
    fn identity(id: u8) -> Identity {
        let cluster = Cluster::new(ServerId(id), 2).unwrap();
        Server::start(cluster, Incarnation(100 + u64::from(id)), Compaction::default()).0.identity()
    }

    fn listener() -> (TcpListener, u16) {
        let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = peer.local_addr().unwrap().port();
        (peer, port)
    }

    /// A peer at that port, and the channel that receives the outcomes of its requests.
    fn peer(port: u16) -> (Peer, Receiver<Message>, Rc<LocalExecutor<'static>>) {
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let (inbox, told) = smol::channel::unbounded();
        let executor = Rc::new(LocalExecutor::new());
        (Peer::new(ServerId(1), &address, &inbox, &executor), told, executor)
    }

    fn request() -> Request {
        Request::RequestVote(RequestVote {
            sender: identity(0),
            kind: KIND,
            ballot: 1,
            account: None,
        })
    }

    /// The outcome of a candidate's request to a peer at that port.
    fn outcome(port: u16) -> Input {
        let (mut peer, told, executor) = peer(port);
        peer.send(request());
        match smol::block_on(executor.run(told.recv())) {
            Ok(Message::Input(input)) => input,
            _ => panic!("a lane reports only its requests"),
        }
    }

    /// Reads a request, and answers it like this.
    fn serve(stream: &mut std::net::TcpStream, answer: &Answer) {
        let config = Config::parse("M: 1\nmetadata0: localhost:1").unwrap();
        let body = write_answer(answer, &config);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut asked = Vec::new();
        while !asked.ends_with(b"</methodCall>") {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).unwrap();
            assert!(0 < count, "the request ends like a document");
            asked.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    }

    /// The outcome if the peer answers like this.
    fn answered(answer: Answer) -> Input {
        let (peer, port) = listener();
        let answers = thread::spawn(move || serve(&mut peer.accept().unwrap().0, &answer));
        let input = outcome(port);
        answers.join().unwrap();
        input
    }

    /// Why the peer did not reply.
    fn failure(input: &Input) -> Option<Failure> {
        match input {
            Input::Unanswered { by: ServerId(1), failure, .. } => Some(*failure),
            _ => None,
        }
    }

    #[test]
    fn a_reply_is_reported_with_the_peers_number() {
        let sender = identity(1);
        let reply = VoteReply { sender, kind: KIND, ballot: 1, vote_granted: true, leads: false };
        let told = answered(Answer::Raft(Reply::Vote(reply)));
        assert!(
            matches!(told, Input::Response { from: ServerId(1), response: Response::Vote(told) } if told == reply)
        );
    }

    #[test]
    fn a_crashed_peer_is_reported_with_its_identity() {
        let crashed = answered(Answer::Crashed(Some(identity(1))));
        assert_eq!(failure(&crashed), Some(Failure::Crashed(identity(1))));
    }

    #[test]
    fn any_other_fault_says_nothing_about_the_peer() {
        assert_eq!(failure(&answered(Answer::Crashed(None))), Some(Failure::Silent));
    }

    /// An append with so many bytes of entries.
    fn append(bytes: usize) -> Request {
        let hashes = [Value::Base64(vec![0; bytes].into())].into();
        let update = Update { name: "a".into(), version: 1, hashes };
        let entry = Entry { term: Term(1), command: Command::Update(Arc::new(update)) };
        let term = Term(1);
        Request::AppendEntries(AppendEntries {
            sender: Identity { term, history: Some(Incarnation(1)), ..identity(0) },
            receiver: None,
            prev_log: Position { term, index: LogIndex(1) },
            entries: vec![entry],
            leader_commit: LogIndex(1),
            round: Round(7),
            has_majority: true,
        })
    }

    /// The sizes of the bodies that a peer receives on one connection for these requests, if it answers all of them with
    /// this outcome, and what is reported.
    fn sizes_received(requests: [Request; 2], outcome: AppendOutcome) -> (Vec<usize>, Vec<Input>) {
        let config = Config::parse("M: 1\nmetadata0: localhost:1").unwrap();
        let sender = Identity { term: Term(1), ..identity(1) };
        let reply = AppendReply { sender, round: Round(7), outcome };
        let body = write_answer(&Answer::Raft(Reply::Append(reply)), &config);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let (listener, port) = listener();
        let receives = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut gate, mut sizes, mut buffer) =
                (gate::Gate::new("localhost"), vec![], [0; 4096]);
            loop {
                match gate.next().unwrap() {
                    gate::Received::Request(request) => {
                        sizes.push(request.body.len());
                        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                    }
                    _ => match stream.read(&mut buffer).unwrap() {
                        0 => return sizes,
                        count => gate.push(&buffer[..count]),
                    },
                }
            }
        });
        let (mut peer, told, executor) = peer(port);
        let inputs = requests.map(|request| {
            peer.send(request);
            match smol::block_on(executor.run(told.recv())) {
                Ok(Message::Input(input)) => input,
                _ => panic!("a lane reports only its requests"),
            }
        });
        peer.disconnect();
        while executor.try_tick() {}
        (receives.join().unwrap(), inputs.into())
    }

    #[test]
    fn a_large_append_is_preceded_by_one_without_entries_on_a_new_connection() {
        let (sizes, inputs) =
            sizes_received([append(100_000), append(100_000)], AppendOutcome::Accepted);
        let [introduction, first, second] = sizes[..] else { panic!("{sizes:?}") };
        assert!(introduction < 2_000 && 100_000 < first && first == second, "{sizes:?}");
        assert!(inputs.iter().all(|input| matches!(input, Input::Response { .. })), "{inputs:?}");
        let (sizes, _) = sizes_received([append(1_000), append(100_000)], AppendOutcome::Accepted);
        assert_eq!(sizes.len(), 2, "the peer has met it already");
    }

    #[test]
    fn entries_are_not_sent_to_a_peer_that_cannot_store_them() {
        let mismatch = AppendOutcome::Mismatch(Position::default());
        let (sizes, inputs) = sizes_received([append(100_000), append(100_000)], mismatch);
        assert!(sizes[0] < 2_000, "{sizes:?}");
        let is_told = |input: &Input| {
            matches!(input, Input::Response { response: Response::Append(reply), .. }
                if reply.outcome == mismatch && reply.round == Round(7))
        };
        assert!(inputs.iter().all(is_told), "{inputs:?}");
    }

    #[test]
    fn a_peer_whose_host_refuses_the_connection_has_ended() {
        let (peer, port) = listener();
        drop(peer);
        assert_eq!(failure(&outcome(port)), Some(Failure::Ended));
    }

    /// The peer's process may be running, or another process may use its port.
    #[test]
    fn a_closed_connection_says_nothing_about_the_peer() {
        let (peer, port) = listener();
        let closes = thread::spawn(move || drop(peer.accept().unwrap()));
        assert_eq!(failure(&outcome(port)), Some(Failure::Silent));
        closes.join().unwrap();
    }

    #[test]
    fn a_look_up_outlives_the_requests_that_wait_for_it_and_a_crash() {
        let (peer_socket, port) = listener();
        let (mut peer, told, executor) = peer(port);
        let (tell, begun, dialer) = dial::tests::told();
        peer.dialer = dialer;
        for _ in 0..2 {
            peer.send(request());
            let input = smol::block_on(executor.run(told.recv()));
            let Ok(Message::Input(input)) = input else { panic!("a lane reports its requests") };
            assert_eq!(failure(&input), Some(Failure::Silent));
            peer.disconnect();
        }
        assert_eq!(*begun.lock().unwrap(), 1);
        peer.send(request());
        tell.send(Ok(vec![peer_socket.local_addr().unwrap()])).unwrap();
        let accepted = smol::unblock(move || peer_socket.accept());
        assert!(smol::block_on(executor.run(accepted)).is_ok());
    }

    #[test]
    fn a_request_that_is_queued_when_its_peer_is_disconnected_is_not_sent() {
        let (listener, port) = listener();
        listener.set_nonblocking(true).unwrap();
        let (mut peer, told, executor) = peer(port);
        peer.send(request());
        peer.disconnect();
        while executor.try_tick() {}
        assert!(told.is_empty());
        assert!(listener.accept().is_err(), "there is no connection");
    }

    /// As the end of its process would. The crashed server's followers see it.
    #[test]
    fn disconnecting_a_peer_closes_its_connections_and_the_next_request_opens_new_ones() {
        let (listener, port) = listener();
        let (mut peer, told, executor) = peer(port);
        for is_idle in [false, true, false] {
            peer.send(request());
            let listener = listener.try_clone().unwrap();
            let accepted = smol::unblock(move || listener.accept().unwrap().0);
            let mut stream = smol::block_on(executor.run(accepted));
            if is_idle {
                let served = smol::unblock(move || {
                    serve(&mut stream, &Answer::Crashed(None));
                    stream
                });
                stream = smol::block_on(executor.run(served));
                smol::block_on(executor.run(told.recv())).unwrap();
            }
            peer.disconnect();
            while executor.try_tick() {}
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut rest = Vec::new();
            assert!(stream.read_to_end(&mut rest).is_ok(), "it is closed in any case");
        }
    }
}
