//! The gate in front of the HTTP library: splits the bytes of a connection into requests and lets only complete, valid
//! requests through.
//!
//! The library behind it trusts its input. It would wait forever for the end of a head, execute a call whose body was
//! cut short, and lose the second of two pipelined requests. So it only ever receives what [`HttpRequest::clean_head`]
//! writes. The gate makes all other decisions from the bytes alone: where a request ends, and which requests are
//! refused, with which status. It refuses a request as early as the bytes allow.
//!
//! - `fields` validates header lines byte by byte, and `head` finds the end of the head.
//! - `headers` looks up header values, `request_line` parses the first line, and `rules` decides whether the request is
//!   served.
//! - `origin` distinguishes the pages of the servers from those of other sites.
//! - `accept` reads which form of a page is preferred.
//! - `body` and `chunked` collect the body.
//! - `response` is the client side: it writes a request and parses the responses of servers.
//!
//! Ambiguous bytes are refused, because a proxy or another parser may understand them differently. Parsing takes time
//! linear in the number of bytes, however they are split. It takes memory in proportion to the bytes received, never to
//! the announced length.
//!
//! The module does no I/O and knows neither a clock nor XML. The caller sets deadlines, and chooses them by
//! [`Gate::phase`].

mod accept;
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
use rules::ServedHead;

pub use body::BodyBytes;
pub use origin::Site;
pub use refusal::Refusal;
pub use request::{HttpMethod, HttpRequest};
pub use response::{HttpResponse, write_post};

/// The maximum size of a head in bytes, including the empty lines before it and the one that ends it.
pub const HEAD_BYTES_MAX: usize = 8 << 10;

/// The maximum number of header lines in a head, and of trailer lines after a chunked body.
pub const HEADERS_MAX: usize = 64;

/// The maximum size of a body in bytes. An append with the largest update fits twice.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// The interim response that [`Received::Continue`] asks for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Parses the requests of one connection.
///
/// The caller pushes the bytes that it has read, calls [`next`](Gate::next) until it needs more, and only then reads
/// again. So the read-ahead behind an unanswered request is at most the rest of one push.
#[derive(Debug)]
pub struct Gate {
    site: Site,
    /// The bytes pushed since all input was last consumed; those before `start` are consumed. The buffer is freed as a
    /// whole, so that the bytes behind each of many small requests are not moved.
    input: Vec<u8>,
    /// The position of the first unconsumed byte; never beyond the end of `input`.
    start: usize,
    state: State,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(ServedHead, Body),
    /// Nothing that follows is read, because the start of the next request is unknown.
    Refused(Refusal),
}

/// The result of parsing the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// All bytes are consumed, and the request is incomplete.
    NeedMore,
    /// The caller must send [`CONTINUE`] before it reads again, because the client waits for it. Reported once per
    /// request.
    Continue,
    /// A complete request.
    Request(HttpRequest),
}

/// The state of the current request. Useful after [`Gate::next`] has returned [`Received::NeedMore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no request in progress. A connection that ends now ends cleanly.
    Idle,
    /// Part of the head has been received.
    Head,
    /// The head is complete, and the body is not.
    Body {
        /// The number of bytes that are known to be missing.
        missing: usize,
    },
}

impl Gate {
    /// A gate for a new connection to a server of this site.
    pub fn new(site: impl Into<Site>) -> Gate {
        Gate {
            site: site.into(),
            input: Vec::new(),
            start: 0,
            state: State::Head(HeadReader::new()),
        }
    }

    /// Takes bytes received on the connection. After a refusal they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Refused(_)) {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Parses up to the end of the next request, or as far as the bytes go.
    ///
    /// Call it after every push, and after every response that leaves the connection open.
    ///
    /// # Errors
    ///
    /// If the request must be refused. The caller then closes the connection. Every further call returns the same
    /// refusal.
    #[expect(clippy::should_implement_trait, reason = "a refusal is no end, and more may come")]
    pub fn next(&mut self) -> Result<Received, Refusal> {
        let mut unread = self.input.get(self.start..).unwrap_or_default();
        let outcome = self.state.advance(&mut unread, &self.site);
        self.start = self.input.len() - unread.len();
        if let Err(refusal) = outcome {
            self.state = State::Refused(refusal);
        }
        // Dropped, not cleared, so that an idle connection holds no memory.
        if self.start == self.input.len() || outcome.is_err() {
            self.input = Vec::new();
            self.start = 0;
        }
        outcome
    }

    /// The state of the current request.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(reader) if reader.has_begun() => Phase::Head,
            State::Head(_) | State::Refused(_) => Phase::Idle,
            State::Body(_, body) => Phase::Body { missing: body.missing() },
        }
    }

    /// The memory in bytes that the received data takes.
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
    /// Continues parsing, and leaves the bytes of later requests in `unread`.
    fn advance(&mut self, unread: &mut &[u8], site: &Site) -> Result<Received, Refusal> {
        match self {
            State::Head(reader) => {
                let Some((line, fields)) = reader.read(unread)? else {
                    return Ok(Received::NeedMore);
                };
                let asked = rules::judge(line, &fields, site)?;
                // A client that has already started to send the body does not wait.
                let waits = asked.expects_continue && unread.is_empty();
                let body = Body::new(asked.framing);
                *self = State::Body(asked, body);
                if waits { Ok(Received::Continue) } else { self.advance(unread, site) }
            }
            State::Body(asked, body) => {
                if !body.read(unread)? {
                    return Ok(Received::NeedMore);
                }
                let request = HttpRequest {
                    method: asked.method,
                    target: mem::take(&mut asked.target),
                    body: body.take(),
                    close: asked.close,
                    may_half_close: asked.may_half_close,
                    origin: asked.origin.take(),
                    prefers_json: asked.prefers_json,
                    may_call: asked.may_call,
                };
                *self = State::Head(HeadReader::new());
                Ok(Received::Request(request))
            }
            State::Refused(refusal) => Err(*refusal),
        }
    }
}
