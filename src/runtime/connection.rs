//! A caller's connection: its current activity, when that began, and its deadline.
//!
//! A connection has no timer of its own. It records what it waits for. The supervisor checks all connections a few
//! times a second, and ends a wait by shutting the socket down.

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
use crate::raft::{CallId, Member};

/// How long a connection may be idle between requests.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The maximum time from the first to the last byte of a head.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// The maximum time to transfer [`PACE_BYTES`] of a body or an answer.
const PACE_TIME: Duration = Duration::from_secs(10);

/// The minimum number of bytes to transfer within [`PACE_TIME`]: 1 KiB a second. Bytes of an answer count once the
/// system has accepted them.
const PACE_BYTES: usize = 10 << 10;

/// How long an answer may take if memory or connections are scarce: this time, plus one second for each
/// [`SHORT_PACE_BYTES`] that the caller has taken.
const SHORT_TIME: Duration = Duration::from_secs(2);
const SHORT_PACE_BYTES: usize = 1 << 20;

/// How long input is still read after a refusal. Closing at once could cost the caller the response.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The TCP keep-alive: the time without traffic before the first probe, the time between probes, and how many may fail.
/// A call that waits has no deadline, so this is how the server detects that its caller's machine has vanished.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// The size of a read in bytes, unless more is known to be missing of a body. It is small because read-ahead is held
/// until the requests before it are answered.
const SHORT_READ_BYTES: usize = 8 << 10;

/// The buffer that all connections read into, one at a time, so that a connection that waits needs no memory for it.
pub(super) type ReadBuffer = Rc<RefCell<[u8; CHUNK_BYTES]>>;

pub(super) fn read_buffer() -> ReadBuffer {
    Rc::new(RefCell::new([0; CHUNK_BYTES]))
}

/// The send buffer of a socket in bytes; Linux uses up to twice as much. By default it may grow to several MiB, which
/// are bounded by no limit and would pass for bytes that the caller has taken.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// The size of a write, give or take a piece, and the maximum size of a read of a body or of discarded input, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What a connection is currently doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// It waits for a request.
    Idle,
    /// It receives the head of a request.
    Head,
    /// It receives the body of a request.
    Body,
    /// A call waits for its answer, without a deadline.
    Waiting(CallId),
    /// It sends an answer.
    Sending,
    /// It serves nothing more.
    Lingering,
}

/// A connection, shared by the task that serves it and the supervisor.
pub(super) struct Connection {
    stream: TcpStream,
    read_buffer: ReadBuffer,
    activity: Cell<Activity>,
    since: Cell<Instant>,
    deadline: Cell<Option<Instant>>,
    /// The bytes transferred since the deadline was set.
    moved: Cell<usize>,
    /// The bytes transferred since the current activity began.
    moved_in_all: Cell<usize>,
    /// Whether the last read was large: the caller may keep sending without a pause.
    gave_much: Cell<bool>,
    /// Whether this server has ended it. Anything that is still read must not be served, because no answer would arrive.
    has_ended: Cell<bool>,
    /// Whether the caller may half-close the connection and still wait for its answer.
    pub(super) may_half_close: Cell<bool>,
    /// The peer whose request came last, once it has been answered as one.
    pub(super) peer: Cell<Option<Member>>,
    /// Whether it is never evicted, because it is a peer's.
    pub(super) is_exempt: Cell<bool>,
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
            peer: Cell::new(None),
            is_exempt: Cell::new(false),
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.get()
    }

    /// When the current activity began.
    pub(super) fn since(&self) -> Instant {
        self.since.get()
    }

    /// Configures the socket: answers are sent at once, the system buffers little of them, and keep-alive probes detect
    /// a vanished caller.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
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

    /// Begins an activity and sets its deadline.
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

    /// Records that a call waits for its answer.
    pub(super) fn begin_waiting(&self, call: CallId) {
        self.begin(Activity::Waiting(call));
    }

    /// Extends the deadline once enough has been transferred since it was set.
    fn keep_pace(&self, bytes: usize) {
        self.moved.set(self.moved.get() + bytes);
        self.moved_in_all.set(self.moved_in_all.get() + bytes);
        if PACE_BYTES <= self.moved.get() {
            self.set_deadline();
        }
    }

    /// Ends the wait of a connection that is past its deadline. If places or memory are `scarce`, an answer has less
    /// time.
    pub(super) fn end_if_late(&self, now: Instant, scarce: bool) {
        let is_short = scarce && self.activity.get() == Activity::Sending;
        let deadline = if is_short {
            let seconds = self.moved_in_all.get() / SHORT_PACE_BYTES;
            Some(self.since.get() + SHORT_TIME + Duration::from_secs(seconds as u64))
        } else {
            self.deadline.get()
        };
        if deadline.is_some_and(|deadline| deadline <= now) {
            // A caller whose request is too slow is told so.
            let is_asking = matches!(self.activity.get(), Activity::Head | Activity::Body);
            self.end(if is_asking { Shutdown::Read } else { Shutdown::Both });
        }
    }

    /// Closes the connection because its place is needed for another.
    pub(super) fn evict(&self) {
        self.end(Shutdown::Both);
    }

    fn end(&self, side: Shutdown) {
        self.has_ended.set(true);
        self.shut(side);
    }

    fn shut(&self, side: Shutdown) {
        // It is fine if the connection is already closed.
        let _ = self.stream.shutdown(side);
    }

    /// Reads the next bytes of a request that has come as far as `phase`. Returns no bytes at the end of the
    /// connection.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub(super) async fn receive(&self, phase: Phase) -> io::Result<Vec<u8>> {
        let activity = match phase {
            Phase::Idle => Activity::Idle,
            Phase::Head => Activity::Head,
            Phase::Body { .. } => Activity::Body,
        };
        if activity == Activity::Idle || self.activity.get() != activity {
            self.begin(activity);
        }
        // A caller that sends without a pause must not starve the others.
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

    /// Whether this server has ended it: it was idle or too slow, was evicted, or has been sent its last answer.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Writes an answer: a head, and a body in pieces, possibly none.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
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
        // Without this yield, one caller with many requests would starve all others, including the peers. For a small
        // answer it is enough to go behind the tasks that are ready: the sockets are polled after every 200 of them.
        // The supervisor already counts the answer as being sent, so it does not evict the connection in the meantime.
        future::yield_now().await;
        while !rest.is_empty() {
            // The head is sent together with what fits beside it in one write. The rest is sent from where it is held.
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

    /// Ends the connection after a last answer. What the caller still sends is read and discarded for a while. Closing
    /// at once would reset the connection and could cost the caller the answer.
    pub(super) async fn linger(&self) -> io::Result<()> {
        self.begin(Activity::Lingering);
        self.end(Shutdown::Write);
        let mut buffer = vec![0; CHUNK_BYTES];
        while 0 < self.stream.clone().read(&mut buffer).await? {
            fairness::readable(&self.stream).await?;
        }
        Ok(())
    }
}

/// The first slices to write at once: as many as make a chunk, and at least one.
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

    /// A connection, and the caller's end of it.
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
        assert_eq!(written(&[150, 100]), 2, "a small answer is sent with its head");
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
            // Pieces of many sizes, none as large as a socket's buffer, and some of them empty.
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
