//! The HTTP server: accepts connections, passes their calls to the event loop, and sends the answers.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_io::{Async, Timer};
use rustix::io::Errno;
use smol::channel::Sender;
use smol::net::TcpStream;
use smol::{LocalExecutor, future};

use super::connection::Connection;
use super::connections::{Connections, Held};
use super::head_codec::{Head, HeadCodec};
use super::message::Message;
use super::offload::{self, OffloadQueue, is_long};
use crate::gate::{self, Gate, HttpMethod, Received, Refusal, Site};
use crate::monitor::{Page, PageRequest};
use crate::protocol::{self, Asked, fault};
use crate::raft::CallId;
use crate::service::Input;
use crate::xmlrpc::Fault;

/// How long a listener pauses after it could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the tasks of all connections share.
pub(super) struct HttpServer {
    connections: Rc<Connections>,
    /// The event loop's inbox.
    inbox: Sender<Message>,
    codec: HeadCodec,
    offload_queue: OffloadQueue,
    /// The servers whose web pages may call.
    site: Site,
    last_call: Cell<u64>,
}

impl HttpServer {
    pub(super) fn new(
        connections: Rc<Connections>,
        inbox: Sender<Message>,
        site: Site,
    ) -> Rc<HttpServer> {
        Rc::new(HttpServer {
            connections,
            inbox,
            codec: HeadCodec::default(),
            offload_queue: OffloadQueue::default(),
            site,
            last_call: Cell::new(0),
        })
    }

    /// Accepts connections forever. Each has its own task, so that a failure affects only that connection.
    pub(super) async fn listen(
        self: Rc<HttpServer>,
        listener: Async<TcpListener>,
        executor: Rc<LocalExecutor<'static>>,
    ) -> anyhow::Result<Infallible> {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // If there is no slot, because all others are being answered or belong to peers, it is closed.
                    if let Some(slot) = Slot::take(&self.connections, stream.into()) {
                        executor.spawn(Rc::clone(&self).serve(slot)).detach();
                    }
                    // Existing connections get their turns however many new ones arrive at once.
                    future::yield_now().await;
                }
                Err(error) => {
                    log::debug!("cannot accept a connection: {error}");
                    if is_lack_of_room(&error) {
                        self.connections.make_room();
                    }
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection, and logs the error if it ends with one. If a peer has closed its last connection, reports
    /// that.
    async fn serve(self: Rc<HttpServer>, slot: Slot) {
        if let Err(error) = self.converse(&slot).await {
            log::debug!("a connection ended: {error:#}");
        }
        let peer = slot.connection.peer.get().filter(|_| !slot.connection.has_ended());
        // It must not be counted any more.
        drop(slot);
        if let Some(peer) = peer.filter(|peer| !self.connections.has_connection_of(*peer)) {
            // The channel is unbounded, and only closed at the end of the process.
            let _ = self.inbox.try_send(Message::Input(Input::Disconnected(peer)));
        }
    }

    /// Serves a connection until it ends. Ends it after the first refused request.
    async fn converse(&self, slot: &Slot) -> anyhow::Result<()> {
        let connection = &slot.connection;
        connection.set_up()?;
        let Some(refusal) = self.serve_requests(slot).await? else { return Ok(()) };
        // No bytes of the refused request are needed any more.
        slot.hold(0);
        connection.send(&refusal, []).await?;
        Ok(connection.linger().await?)
    }

    /// Answers requests, one after another, until the connection ends. If a request is refused, returns the response to
    /// it.
    async fn serve_requests(&self, slot: &Slot) -> anyhow::Result<Option<Vec<u8>>> {
        let connection = &slot.connection;
        let mut gate = Gate::new(self.site.clone());
        loop {
            match gate.next() {
                Ok(Received::Request(request)) if request.method == HttpMethod::Post => {
                    let (closes, access) = (request.close, request.access_fields());
                    let id = self.next_call();
                    let asked = self.decode(connection, id, request).await;
                    // Bytes of later requests that have arrived already are held until the answer.
                    slot.hold(gate.buffered());
                    if !self.answer(connection, id, asked, (closes, &access)).await? {
                        return Ok(None);
                    }
                }
                Ok(Received::Request(request)) if request.method == HttpMethod::Options => {
                    if !respond(connection, &request.allowed(), [], request.close).await? {
                        return Ok(None);
                    }
                }
                Ok(Received::Request(request)) => {
                    // As with a call: until it is answered, it has no deadline, and its connection is not evicted.
                    connection.begin_waiting(self.next_call());
                    let Some(page) = self.page(&request).await? else {
                        return Ok(Some(no_page(request.method)));
                    };
                    if !self.send_page(connection, &request, &page).await? {
                        return Ok(None);
                    }
                }
                Ok(Received::Continue) => connection.send(gate::CONTINUE, []).await?,
                Ok(Received::NeedMore) => {
                    let bytes = connection.receive(gate.phase()).await?;
                    gate.push(&bytes);
                    if connection.has_ended() {
                        return Ok(Some(TOO_SLOW.response()));
                    }
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    if !slot.hold(gate.buffered()) {
                        return Ok(Some(Refusal::NO_ROOM.response()));
                    }
                }
                Err(refusal) => return Ok(Some(refusal.response())),
            }
        }
    }

    /// Decodes what a request asks for.
    async fn decode(
        &self,
        connection: &Connection,
        id: CallId,
        request: gate::HttpRequest,
    ) -> Result<Asked, Fault> {
        connection.may_half_close.set(request.may_half_close);
        // The request has arrived completely, so from now on it has no deadline.
        connection.begin_waiting(id);
        let decoded = self.codec.read(&request).await;
        decoded.map_err(|error| fault::internal(&format!("{error:#}")))?;
        let body = request.body;
        self.offload_queue.run(body.len(), move || protocol::read_call(&body)).await
    }

    /// Answers one call. Returns whether the connection continues.
    async fn answer(
        &self,
        connection: &Connection,
        id: CallId,
        asked: Result<Asked, Fault>,
        (closes, access): (bool, &str),
    ) -> anyhow::Result<bool> {
        let peer = match &asked {
            Ok(Asked::One((_, Ok(call)))) => call.peer(),
            _ => None,
        };
        // Decoding may have taken long. What the supervisor measures is the wait for the answer.
        connection.begin_waiting(id);
        let since = Instant::now();
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Call { id, asked, since, answer }).await?;
        // The event loop drops the sender when it learns that the caller has disconnected.
        let Ok(answer) = answered.await else { return Ok(false) };
        // A message that no peer can have sent is answered with a fault.
        if let Some(peer) = peer.filter(|_| !answer.is_fault()) {
            self.connections.keep_for(peer, connection);
        }
        // The status is 200 whatever the document says: many clients cannot read a fault with another status.
        let (content_type, length) = ("text/xml", answer.len());
        let head = self.codec.write(Head { status: 200, content_type, length, closes }).await?;
        let goes_on =
            respond(connection, &with_fields(&head, access), answer.pieces(), closes).await;
        if is_long(answer.len()) {
            // This may be its last owner.
            offload::free(answer);
        }
        goes_on
    }

    /// The page that a request asks for, if it exists.
    async fn page(&self, request: &gate::HttpRequest) -> anyhow::Result<Option<Page>> {
        let (answer, answered) = oneshot::channel();
        let &gate::HttpRequest { ref target, prefers_json, may_call, .. } = request;
        let request = PageRequest { target: target.clone(), prefers_json, may_call };
        self.inbox.send(Message::Get { request, answer }).await?;
        answered.await.ok().context("the event loop has ended")
    }

    /// Sends a page. Returns whether the connection continues.
    async fn send_page(
        &self,
        connection: &Connection,
        request: &gate::HttpRequest,
        page: &Page,
    ) -> anyhow::Result<bool> {
        let Page { status, content_type, ref fields, ref body } = *page;
        let (length, closes) = (body.len(), request.close);
        let head = self.codec.write(Head { status, content_type, length, closes }).await?;
        let body = if request.method == HttpMethod::Head { "" } else { body };
        let lines = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines = lines.chain([request.access_fields()]).collect::<String>();
        respond(connection, &with_fields(&head, &lines), [body.as_bytes()], closes).await
    }

    fn next_call(&self) -> CallId {
        self.last_call.set(self.last_call.get() + 1);
        CallId(self.last_call.get())
    }
}

/// Whether a connection could not be accepted because the process or the system has too many. Any other error concerns
/// only that connection, and is no reason to evict another. For example, its caller may have disconnected already.
fn is_lack_of_room(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| wants.contains(&error))
}

/// The head with further header lines, each with its line end.
fn with_fields<'h>(head: &'h [u8], lines: &str) -> Cow<'h, [u8]> {
    match head.strip_suffix(b"\r\n") {
        Some(before) if !lines.is_empty() => [before, lines.as_bytes(), b"\r\n"].concat().into(),
        _ => head.into(),
    }
}

/// Sends a response, and then ends the connection if it `closes`. Returns whether the connection continues.
async fn respond<'b>(
    connection: &Connection,
    head: &'b [u8],
    body: impl IntoIterator<Item = &'b [u8]>,
    closes: bool,
) -> anyhow::Result<bool> {
    connection.send(head, body).await?;
    if closes {
        connection.linger().await?;
    }
    Ok(!closes)
}

/// The response to a request that took too long.
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request took too long" };

/// The response to a request for a page that does not exist.
fn no_page(method: HttpMethod) -> Vec<u8> {
    let mut response = Refusal {
        status: 404,
        reason: "the pages are /, /view, /status, /metrics, /healthz and /readyz; calls are sent by POST",
    }
    .response();
    if method == HttpMethod::Head
        && let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n")
    {
        response.truncate(end + 4);
    }
    response
}

/// A connection's slot. It is freed when the connection's task ends, even by a panic.
struct Slot {
    connections: Rc<Connections>,
    id: u64,
    connection: Rc<Connection>,
    /// What is held for the connection.
    held: Cell<Held>,
}

impl Slot {
    fn take(connections: &Rc<Connections>, stream: TcpStream) -> Option<Slot> {
        let (id, connection) = connections.admit(stream)?;
        Some(Slot { connections: Rc::clone(connections), id, connection, held: Cell::default() })
    }

    /// Records how many bytes of requests are held for the connection. Returns whether that is within the limit.
    fn hold(&self, bytes: usize) -> bool {
        let held = Held { bytes, for_peer: self.connection.is_exempt.get() };
        self.connections.hold(self.held.replace(held), held)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.hold(0);
        self.connections.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use smol::Task;
    use smol::channel::Receiver;
    use smol::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::{Address, Config};
    use crate::gate::HttpResponse;
    use crate::raft::{
        BallotKind, Cluster, Compaction, Incarnation, Member, Origin, Request, RequestVote, Server,
        ServerId,
    };
    use crate::service::{Action, AnswerBudget, HeldBytes, Service, Settings};

    /// A server of two without an event loop: the test passes its messages to the service.
    struct Stage {
        http_server: Rc<HttpServer>,
        messages: Receiver<Message>,
        service: Option<Service>,
        listener: Async<TcpListener>,
        executor: LocalExecutor<'static>,
    }

    impl Stage {
        fn new() -> Stage {
            let (requests, budget) = (HeldBytes::default(), AnswerBudget::default());
            let settings = Settings {
                cluster: Cluster::new(ServerId(0), 2).unwrap(),
                config: Config::parse("M: 2\nmetadata0: localhost:1\nmetadata1: localhost:2")
                    .unwrap(),
                origin: Origin::Memory(Incarnation(1)),
                compaction: Compaction::default(),
                rng: Default::default(),
                waiting_max: 1,
                budget: budget.clone(),
                requests: requests.clone(),
                memory_max: usize::MAX,
            };
            let (inbox, messages) = smol::channel::unbounded();
            Stage {
                http_server: HttpServer::new(
                    Connections::new(1000, 1, requests, budget),
                    inbox,
                    "localhost".into(),
                ),
                messages,
                service: Some(Service::start(settings, Instant::now()).0),
                listener: Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
                executor: LocalExecutor::new(),
            }
        }

        /// A connection that has carried one call and its answer: the task that serves it, the server's end, and the
        /// caller's.
        async fn called(&mut self, document: &[u8]) -> (Task<()>, Rc<Connection>, TcpStream) {
            let address = self.listener.get_ref().local_addr().unwrap();
            let mut caller = TcpStream::connect(address).await.unwrap();
            let accepted = self.listener.accept().await.unwrap().0;
            let slot = Slot::take(&self.http_server.connections, accepted.into()).unwrap();
            let connection = Rc::clone(&slot.connection);
            let task = self.executor.spawn(Rc::clone(&self.http_server).serve(slot));
            let host = Address { host: "localhost".to_owned(), port: 1 };
            caller.write_all(&gate::write_post(&host, document)).await.unwrap();
            let Ok(Message::Call { id, asked, since, answer }) =
                self.executor.run(self.messages.recv()).await
            else {
                panic!("a call arrives")
            };
            let service = self.service.take().unwrap();
            let (service, actions) = service.handle(since, Input::Call { id, asked, since });
            self.service = Some(service);
            let mut answers = actions.into_iter().filter_map(|action| match action {
                Action::Answer { document, .. } => Some(document),
                _ => None,
            });
            answer.send(answers.next().expect("it is answered at once")).unwrap();
            let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
            while HttpResponse::read(&received, 4096).unwrap().is_none() {
                let count = self.executor.run(caller.read(&mut chunk)).await.unwrap();
                received.extend_from_slice(&chunk[..count]);
            }
            (task, connection, caller)
        }

        /// The peers that were reported until these tasks have ended.
        async fn reported(&self, tasks: impl IntoIterator<Item = Task<()>>) -> Vec<Member> {
            for task in tasks {
                self.executor.run(task).await;
            }
            let messages = std::iter::from_fn(|| self.messages.try_recv().ok());
            let peers = messages.map(|message| match message {
                Message::Input(Input::Disconnected(peer)) => peer,
                _ => panic!("nothing else is reported"),
            });
            peers.collect()
        }
    }

    /// The other server, and a document with its request for a vote.
    fn peer() -> (Member, Vec<u8>) {
        let cluster = Cluster::new(ServerId(1), 2).unwrap();
        let sender = Server::start(cluster, Incarnation(2), Compaction::default()).0.identity();
        let kind = BallotKind::PreVote;
        let request = RequestVote { sender, kind, ballot: 1, account: None };
        (sender.member(), protocol::write_request(&Request::RequestVote(request)))
    }

    #[test]
    fn a_peer_is_reported_when_its_last_connection_closes() {
        smol::block_on(async {
            let mut stage = Stage::new();
            let (member, request) = peer();
            let (first, _, first_end) = stage.called(&request).await;
            let (last, _, last_end) = stage.called(&request).await;
            drop(first_end);
            assert_eq!(stage.reported([first]).await, []);
            drop(last_end);
            assert_eq!(stage.reported([last]).await, [member]);
        });
    }

    #[test]
    fn a_peer_is_not_reported_when_this_server_ends_its_idle_connection() {
        smol::block_on(async {
            let mut stage = Stage::new();
            let (task, connection, _end) = stage.called(&peer().1).await;
            connection.end_if_late(Instant::now() + Duration::from_secs(60), false);
            assert_eq!(stage.reported([task]).await, []);
        });
    }

    #[test]
    fn a_peer_is_not_reported_when_this_server_ends_its_connection_after_the_last_answer() {
        smol::block_on(async {
            let mut stage = Stage::new();
            let (task, connection, end) = stage.called(&peer().1).await;
            let lingers = stage.executor.run(future::or(
                async { connection.linger().await.unwrap() },
                async {
                    drop(end);
                    future::pending().await
                },
            ));
            lingers.await;
            assert_eq!(stage.reported([task]).await, []);
        });
    }

    #[test]
    fn a_caller_that_is_no_peer_is_not_reported() {
        smol::block_on(async {
            let mut stage = Stage::new();
            let document = crate::xmlrpc::write_call("system.listMethods", |_| {});
            let (task, _, end) = stage.called(&document).await;
            drop(end);
            assert_eq!(stage.reported([task]).await, []);
        });
    }

    #[test]
    fn only_a_lack_of_room_is_a_reason_to_evict_a_connection() {
        let is_lack = |error: Errno| is_lack_of_room(&error.into());
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_lack(error), "{error}");
        }
        for error in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::NETDOWN, Errno::INTR] {
            assert!(!is_lack(error), "{error}");
        }
        assert!(!is_lack_of_room(&io::ErrorKind::Other.into()));
    }
}
