//! The bytes of connections as clients, careless ones and attackers send them, and how the gate reads them.
//!
//! [`read`] feeds every example in one piece, byte by byte and in pieces of random sizes, and requires the same outcome
//! each time.

#![allow(missing_docs)]

mod accept;
mod bodies;
mod bounds;
mod clean;
mod flow;
mod heads;
mod methods;
mod origins;
mod random;

use surfstore::gate::{Gate, HttpMethod, HttpRequest, Received, Refusal};

/// The host under which the gate's server is configured in these tests.
const OWN_HOST: &str = "Meta0.example";

/// The result of the bytes of a connection: the requests in order, and the refusal that ended it.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    requests: Vec<HttpRequest>,
    refusal: Option<Refusal>,
}

/// Reads everything; counts the requests for 100 Continue.
fn drain(gate: &mut Gate, outcome: &mut Outcome, continues: &mut usize) {
    loop {
        match gate.next() {
            Ok(Received::NeedMore) => return,
            Ok(Received::Continue) => *continues += 1,
            Ok(Received::Request(request)) => outcome.requests.push(request),
            Err(refusal) => {
                outcome.refusal = Some(refusal);
                assert_eq!(gate.next(), Err(refusal), "a refusal is final");
                return;
            }
        }
    }
}

/// What the gate reads from these pieces of a connection.
fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut gate = Gate::new(OWN_HOST);
    let mut outcome = Outcome { requests: Vec::new(), refusal: None };
    let mut continues = 0;
    for piece in pieces {
        gate.push(piece);
        drain(&mut gate, &mut outcome, &mut continues);
        if outcome.refusal.is_some() {
            break;
        }
    }
    outcome
}

/// Pieces of up to so many bytes, by the seed.
fn split(bytes: &[u8], seed: u64, piece_max: usize) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(random.usize(1..=piece_max.min(rest.len())));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// What the gate reads from the bytes, however they are split.
fn read(bytes: impl AsRef<[u8]>) -> Outcome {
    let bytes = bytes.as_ref();
    let outcome = read_pieces([bytes]);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(read_pieces(bytes.chunks(1)), outcome, "byte by byte: {shown:?}");
    for seed in 0..4 {
        let pieces = split(bytes, seed, 40);
        assert_eq!(read_pieces(pieces), outcome, "split by seed {seed}: {shown:?}");
    }
    outcome
}

/// The status of the refusal of these bytes. Fails if anything in them is served.
fn refused(bytes: impl AsRef<[u8]>) -> u16 {
    let shown = String::from_utf8_lossy(bytes.as_ref()).chars().take(200).collect::<String>();
    let outcome = read(bytes);
    assert_eq!(outcome.requests, [], "{shown:?}");
    outcome.refusal.unwrap_or_else(|| panic!("{shown:?} is not refused")).status
}

/// The only request in the bytes, which contain nothing else.
fn served(bytes: impl AsRef<[u8]>) -> HttpRequest {
    let shown = String::from_utf8_lossy(bytes.as_ref()).chars().take(200).collect::<String>();
    let outcome = read(bytes);
    assert_eq!(outcome.refusal, None, "{shown:?}");
    let [request] = <[HttpRequest; 1]>::try_from(outcome.requests)
        .unwrap_or_else(|requests| panic!("{shown:?} has {} requests", requests.len()));
    request
}

/// A valid POST with these headers, each with its line end, and a body of two bytes.
fn post_with(headers: &str) -> String {
    format!("POST /RPC2 HTTP/1.1\r\nHost: a:9001\r\nContent-Length: 2\r\n{headers}\r\nhi")
}

/// A valid POST whose body is announced only by these headers.
fn announced_by(headers: &str, body: &str) -> String {
    format!("POST /RPC2 HTTP/1.1\r\nHost: a:9001\r\n{headers}\r\n{body}")
}

/// A POST with this body in the given chunks.
fn chunked(chunks: &str) -> String {
    announced_by("Transfer-Encoding: chunked\r\n", chunks)
}

/// The gate's output for a POST to `/RPC2` that leaves the connection open.
fn call(body: &[u8]) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Post,
        target: "/RPC2".into(),
        body: body.into(),
        close: false,
        may_half_close: false,
        origin: None,
        prefers_json: false,
        may_call: true,
    }
}
