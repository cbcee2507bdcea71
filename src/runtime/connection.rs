//! One caller's connection: what it is doing, since when, and until when it may.
//!
//! A connection has no timer of its own. It notes what it waits for, and the supervisor, which looks at all of them a
//! few times a second, ends the wait by shutting the socket down.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::iter;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_send_buffer_size, set_tcp_keepcnt, set_tcp_keepidle,
    set_tcp_keepintvl,
};
use smol::future;
use smol::io::{self, AsyncRead, AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use super::fairness;
use crate::gate::Phase;
use crate::raft::CallId;

/// How long a connection may be idle between requests.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// How long a head may take, from its first byte to its last.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a body or an answer may take for each [`PACE_BYTES`].
const PACE_TIME: Duration = Duration::from_secs(10);

/// What must have come or gone within [`PACE_TIME`]: 1 KiB a second. Of an answer, what the system takes counts.
const PACE_BYTES: usize = 10 << 10;

/// How long an answer may take where memory or places for others are short: so long, and a second for each of these
/// bytes that its caller has taken.
const HURRIED_TIME: Duration = Duration::from_secs(2);
const HURRIED_PACE_BYTES: usize = 1 << 20;

/// How long a caller that was refused is still listened to. Closing at once could cost it the answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// After how much silence the system asks whether the other side is there, how often it does, and how many times in
/// vain. A call that waits has no deadline, so this is how its caller's machine is found to have vanished.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// How much is read at once, in bytes, where less or none is known to be missing of a body: what is read ahead is held
/// until the requests before it are answered.
const SHORT_READ_BYTES: usize = 8 << 10;

/// Where all connections read, one after another: one that waits holds no memory for it.
pub(super) type ReadBuffer = Rc<RefCell<[u8; CHUNK_BYTES]>>;

pub(super) fn read_buffer() -> ReadBuffer {
    Rc::new(RefCell::new([0; CHUNK_BYTES]))
}

/// How much of an answer the system may hold for its caller, in bytes; Linux takes up to twice as much. Left to itself it
/// holds several MiB, which are bounded nowhere and would pass for bytes that the caller has taken.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// How much is written at once, give or take a piece, or read of a body or to be dropped, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing: it waits for a request.
    Idle,
    /// The head of a request is coming in.
    Head,
    /// The body of a request is coming in.
    Body,
    /// A call waits for its answer, as long as it takes.
    Waiting(CallId),
    /// An answer is going out.
    Sending,
    /// Nothing more will be served.
    Lingering,
}

/// A connection, as the task that serves it and the supervisor share it.
pub(super) struct Connection {
    stream: TcpStream,
    read_buffer: ReadBuffer,
    activity: Cell<Activity>,
    since: Cell<Instant>,
    deadline: Cell<Option<Instant>>,
    /// The bytes moved since the deadline was set.
    moved: Cell<usize>,
    /// The bytes moved since it began to do what it does.
    moved_in_all: Cell<usize>,
    /// Whether much was read at once last: its caller may go on without a pause.
    gave_much: Cell<bool>,
    /// Whether the supervisor has ended it. What is still read of it must not be served: no answer would arrive.
    has_ended: Cell<bool>,
    /// Whether the caller may end its side and wait nevertheless.
    pub(super) may_half_close: Cell<bool>,
    /// Whether a peer speaks over it.
    pub(super) is_peer: Cell<bool>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, read_buffer: ReadBuffer) -> Connection {
        let now = Instant::now();
        Connection {
            stream,
            read_buffer,
            activity: Cell::new(Activity::Idle),
            since: Cell::new(now),
            deadline: Cell::new(Some(now + IDLE_TIME)),
            moved: Cell::new(0),
            moved_in_all: Cell::new(0),
            gave_much: Cell::new(false),
            has_ended: Cell::new(false),
            may_half_close: Cell::new(false),
            is_peer: Cell::new(false),
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.get()
    }

    /// Since when it has been doing what it does.
    pub(super) fn since(&self) -> Instant {
        self.since.get()
    }

    /// Sets up the socket: answers go out at once, the system holds little of them, and it finds out where the other side
    /// is no more.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub(super) fn set_up(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        set_socket_send_buffer_size(&self.stream, SEND_BUFFER_BYTES)?;
        set_socket_keepalive(&self.stream, true)?;
        set_tcp_keepidle(&self.stream, PROBE_AFTER)?;
        set_tcp_keepintvl(&self.stream, PROBE_EVERY)?;
        set_tcp_keepcnt(&self.stream, PROBES)?;
        Ok(())
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Notes what the connection does from now on, and until when it may.
    fn begin(&self, activity: Activity) {
        self.activity.set(activity);
        self.since.set(Instant::now());
        self.moved_in_all.set(0);
        self.set_deadline();
    }

    fn set_deadline(&self) {
        let time = match self.activity.get() {
            Activity::Idle => Some(IDLE_TIME),
            Activity::Head => Some(HEAD_TIME),
            Activity::Body | Activity::Sending => Some(PACE_TIME),
            // Callers are promised that they may wait.
            Activity::Waiting(_) => None,
            Activity::Lingering => Some(LINGER_TIME),
        };
        self.deadline.set(time.map(|time| Instant::now() + time));
        self.moved.set(0);
    }

    /// Notes that a call waits for its answer.
    pub(super) fn wait(&self, call: CallId) {
        self.begin(Activity::Waiting(call));
    }

    /// Puts the deadline off once enough has come or gone since it was set.
    fn keep_pace(&self, bytes: usize) {
        self.moved.set(self.moved.get() + bytes);
        self.moved_in_all.set(self.moved_in_all.get() + bytes);
        if PACE_BYTES <= self.moved.get() {
            self.set_deadline();
        }
    }

    /// Ends the wait of a connection that is past its deadline. An answer has less time where there is a hurry.
    pub(super) fn end_if_late(&self, now: Instant, hurry: bool) {
        let hurried = hurry && self.activity.get() == Activity::Sending;
        let deadline = if hurried {
            let seconds = self.moved_in_all.get() / HURRIED_PACE_BYTES;
            Some(self.since.get() + HURRIED_TIME + Duration::from_secs(seconds as u64))
        } else {
            self.deadline.get()
        };
        if deadline.is_some_and(|deadline| deadline <= now) {
            // Whoever is too slow with a request is told so.
            let is_asking = matches!(self.activity.get(), Activity::Head | Activity::Body);
            self.end(if is_asking { Shutdown::Read } else { Shutdown::Both });
        }
    }

    /// Closes the connection, because another needs its place.
    pub(super) fn evict(&self) {
        self.end(Shutdown::Both);
    }

    fn end(&self, side: Shutdown) {
        self.has_ended.set(true);
        self.shut(side);
    }

    fn shut(&self, side: Shutdown) {
        // A connection that is closed already is what was wanted.
        let _ = self.stream.shutdown(side);
    }

    /// Reads what comes next of a request that has come as far as `phase`; nothing at the end of the connection.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub(super) async fn receive(&self, phase: Phase) -> io::Result<Vec<u8>> {
        let activity = match phase {
            Phase::Idle => Activity::Idle,
            Phase::Head => Activity::Head,
            Phase::Body { .. } => Activity::Body,
        };
        if activity == Activity::Idle || self.activity.get() != activity {
            self.begin(activity);
        }
        // Who sends without a pause keeps nobody else from being served.
        if self.gave_much.get() {
            fairness::readable(&self.stream).await?;
        }
        let wanted = match phase {
            Phase::Body { missing } => missing.clamp(SHORT_READ_BYTES, CHUNK_BYTES),
            Phase::Idle | Phase::Head => SHORT_READ_BYTES,
        };
        let mut stream = self.stream.clone();
        let bytes = future::poll_fn(|context| {
            let mut buffer = self.read_buffer.borrow_mut();
            let (buffer, _) = buffer.split_at_mut(wanted);
            let read = Pin::new(&mut stream).poll_read(context, buffer);
            read.map_ok(|count| buffer.get(..count).unwrap_or_default().to_vec())
        })
        .await?;
        if activity == Activity::Body {
            self.keep_pace(bytes.len());
        }
        self.gave_much.set(SHORT_READ_BYTES <= bytes.len());
        Ok(bytes)
    }

    /// Whether it was too slow, or had to make room for another.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Writes an answer: a head, and a body in pieces, of which there may be none.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub(super) async fn send<'b>(
        &self,
        head: &'b [u8],
        body: impl IntoIterator<Item = &'b [u8]>,
    ) -> io::Result<()> {
        self.begin(Activity::Sending);
        let mut stream = self.stream.clone();
        let pieces = iter::once(head).chain(body);
        let mut slices: Vec<_> =
            pieces.flat_map(|piece| piece.chunks(CHUNK_BYTES)).map(IoSlice::new).collect();
        let mut rest = &mut *slices;
        // Without this, one caller of many requests would keep everybody else waiting, the peers too. To go behind those
        // who can go on is enough for a small answer: the sockets are looked at after every 200 of them. The answer is
        // under way already as far as the supervisor knows, so the connection is not given up meanwhile.
        future::yield_now().await;
        while !rest.is_empty() {
            // The head goes out with what fits beside it, in one write, and the rest from where it is held.
            let taken = stream.write_vectored(chunk(rest)).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, taken);
            self.keep_pace(taken);
            if !rest.is_empty() {
                fairness::writable(&self.stream).await?;
            }
        }
        Ok(())
    }

    /// Ends the connection after a last answer. What the caller still sends is read and dropped for a while: to close
    /// on it at once would reset the connection and could cost the caller the answer.
    pub(super) async fn linger(&self) -> io::Result<()> {
        self.begin(Activity::Lingering);
        self.shut(Shutdown::Write);
        let mut buffer = vec![0; CHUNK_BYTES];
        while 0 < self.stream.clone().read(&mut buffer).await? {
            fairness::readable(&self.stream).await?;
        }
        Ok(())
    }
}

/// The first of these slices, which together are written at once: as many as make a chunk, and at least one.
fn chunk<'s, 'b>(slices: &'s [IoSlice<'b>]) -> &'s [IoSlice<'b>] {
    let mut bytes = 0;
    let beyond = slices.iter().position(|slice| {
        let is_full = CHUNK_BYTES <= bytes;
        bytes += slice.len();
        is_full
    });
    slices.split_at(beyond.unwrap_or(slices.len())).0
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// A connection and its caller's end of it.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = async_io::Async::new(listener.accept().unwrap().0).unwrap();
        (Connection::new(stream.into(), read_buffer()), caller)
    }

    #[test]
    fn slices_are_written_together_until_they_make_a_chunk() {
        let bytes = [0; CHUNK_BYTES];
        let written = |lengths: &[usize]| {
            let slices: Vec<_> = lengths.iter().map(|len| IoSlice::new(&bytes[..*len])).collect();
            chunk(&slices).len()
        };
        assert_eq!(written(&[150, 100]), 2, "a small answer goes out with its head");
        assert_eq!(written(&[150, CHUNK_BYTES, 1]), 2);
        assert_eq!(written(&[CHUNK_BYTES, 1]), 1);
        assert_eq!(written(&[CHUNK_BYTES / 8; 100]), 8);
    }

    #[test]
    fn a_body_in_pieces_arrives_whole_and_in_order() {
        smol::block_on(async {
            let (connection, mut caller) = pair().await;
            let body: Vec<u8> =
                (0..3 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
            // Pieces of many sizes, none as large as what a socket holds and some that are empty.
            let pieces = (0..).scan(&*body, |rest, turn: usize| {
                let (piece, after) = rest.split_at(rest.len().min(turn * 7919 % 100_000));
                *rest = after;
                (!rest.is_empty() || !piece.is_empty()).then_some(piece)
            });
            let sent = async {
                connection.send(b"head", pieces).await.unwrap();
                connection.shut(Shutdown::Write);
            };
            let mut received = Vec::new();
            future::zip(sent, caller.read_to_end(&mut received)).await.1.unwrap();
            assert!(received == [b"head", &*body].concat());
        });
    }

    #[test]
    fn a_request_that_comes_as_its_connection_is_given_up_is_read_but_not_served() {
        smol::block_on(async {
            let (connection, mut caller) = pair().await;
            caller.write_all(b"POST").await.unwrap();
            connection.stream().peek(&mut [0; 4]).await.unwrap();
            assert!(!connection.has_ended());
            connection.evict();
            assert!(connection.has_ended());
            assert_eq!(connection.receive(Phase::Idle).await.unwrap(), b"POST");
        });
    }
}
