//! The gate before the HTTP library: cuts the bytes of a connection into requests, and lets through only whole, sound
//! ones.
//!
//! The library behind it believes what it is sent: it would wait for ever for the end of a head, execute a call whose
//! body was cut short, and lose the second of two requests that came together. So it is only ever handed what
//! [`Request::clean_head`] writes. Everything else is decided here, from the bytes alone: where a request ends, which
//! requests are refused, with which status, and as early as that is certain.
//!
//! - `fields` decides byte by byte whether header lines are sound, `head` where the head ends.
//! - `headers` finds the values of a header, `request_line` reads the first line, `rules` decides what they ask for.
//! - `origin` tells the server's own pages from those of other sites.
//! - `body` and `chunked` gather the body.
//! - `response` is for the other side: it writes a request, and reads what servers answer.
//!
//! Where bytes can be understood in two ways they are refused, since whatever else reads them may take the other. Reading
//! takes time linear in the bytes, however they are split, and memory in proportion to what has come, never to what is
//! announced.
//!
//! The module knows no socket, no clock and no XML. Deadlines are for the caller, who chooses them by [`Gate::phase`].

mod body;
mod chunked;
mod fields;
mod head;
mod headers;
mod origin;
mod refusal;
mod request;
mod request_line;
mod response;
mod rules;

use std::mem;

use body::Body;
use head::HeadReader;
use rules::Asked;

pub use refusal::Refusal;
pub use request::{Method, Request};
pub use response::{Response, write_post};

/// The bytes that a head has at most, with the empty lines before it and the one that ends it.
pub const HEAD_BYTES_MAX: usize = 8 << 10;

/// The header lines that a head has at most, and the trailer lines of a chunked body.
pub const HEADERS_MAX: usize = 64;

/// The bytes that a body has at most: an append with the largest update fits twice.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// The interim response that [`Progress::Continue`] asks for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Reads requests out of the bytes of one connection.
///
/// The caller pushes what it has read, asks for the [`next`](Gate::next) request until more is needed, and only then reads
/// on. What is read ahead, behind a request that is not answered yet, is so at most the rest of one push.
#[derive(Debug)]
pub struct Gate {
    /// The host of this server in the configuration, by which its own pages name it.
    own_host: String,
    /// What was pushed since all was looked at; the part before `start` is done with. It goes as a whole, so that nothing
    /// is moved for each of many small requests.
    input: Vec<u8>,
    /// Where the bytes that were not looked at begin; never beyond the end of `input`.
    start: usize,
    state: State,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(Asked, Body),
    /// Nothing that follows is read: where the next request begins is not known.
    Refused(Refusal),
}

/// What came of the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All bytes are looked at, and the request is not whole.
    NeedMore,
    /// The caller is to send [`CONTINUE`] before it reads on: the client waits for it, and is told once.
    Continue,
    /// A whole request.
    Request(Request),
}

/// How far the request under way has come; of use once [`Gate::next`] needs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No request is under way: a connection that ends now ends in order.
    Idle,
    /// A part of the head is there.
    Head,
    /// The head is there, and the body is not whole.
    Body {
        /// The bytes that are known to be missing.
        missing: usize,
    },
}

impl Gate {
    /// The gate of a new connection to the server that is configured under this host.
    pub fn new(own_host: &str) -> Gate {
        Gate {
            own_host: own_host.to_owned(),
            input: Vec::new(),
            start: 0,
            state: State::Head(HeadReader::new()),
        }
    }

    /// Takes bytes that came over the connection; after a refusal they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Refused(_)) {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Reads on to the end of the next request, or as far as the bytes go.
    ///
    /// It is asked again after every push, and after every answer that leaves the connection open.
    ///
    /// # Errors
    ///
    /// If the request is not to be served. The connection is then closed: every further question gets the same refusal.
    #[expect(clippy::should_implement_trait, reason = "a refusal is no end, and more may come")]
    pub fn next(&mut self) -> Result<Progress, Refusal> {
        let mut unread = self.input.get(self.start..).unwrap_or_default();
        let outcome = self.state.advance(&mut unread, &self.own_host);
        self.start = self.input.len() - unread.len();
        if let Err(refusal) = outcome {
            self.state = State::Refused(refusal);
        }
        // Not only cleared: a connection that waits holds no memory.
        if self.start == self.input.len() || outcome.is_err() {
            self.input = Vec::new();
            self.start = 0;
        }
        outcome
    }

    /// How far the request under way has come.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(reader) if reader.has_begun() => Phase::Head,
            State::Head(_) | State::Refused(_) => Phase::Idle,
            State::Body(_, body) => Phase::Body { missing: body.missing() },
        }
    }

    /// The memory in bytes that what was read takes.
    pub fn buffered(&self) -> usize {
        let request = match &self.state {
            State::Head(reader) => reader.buffered(),
            State::Body(asked, body) => asked.target.capacity() + body.buffered(),
            State::Refused(_) => 0,
        };
        self.input.capacity() + request
    }
}

impl State {
    /// Reads on and leaves in `unread` what belongs to later requests.
    fn advance(&mut self, unread: &mut &[u8], own_host: &str) -> Result<Progress, Refusal> {
        match self {
            State::Head(reader) => {
                let Some((line, fields)) = reader.read(unread)? else {
                    return Ok(Progress::NeedMore);
                };
                let asked = rules::judge(line, &fields, own_host)?;
                // A client that has begun with the body does not wait.
                let waits = asked.expects_continue && unread.is_empty();
                let body = Body::new(asked.framing);
                *self = State::Body(asked, body);
                if waits { Ok(Progress::Continue) } else { self.advance(unread, own_host) }
            }
            State::Body(asked, body) => {
                if !body.read(unread)? {
                    return Ok(Progress::NeedMore);
                }
                let request = Request {
                    method: asked.method,
                    target: mem::take(&mut asked.target),
                    body: body.take(),
                    close: asked.close,
                    may_half_close: asked.may_half_close,
                };
                *self = State::Head(HeadReader::new());
                Ok(Progress::Request(request))
            }
            State::Refused(refusal) => Err(*refusal),
        }
    }
}
