//! What must hold for any bytes, one function for each of the three parsers that strangers can reach.
//!
//! Each panics if its claim does not hold. The fuzzer calls them with its own bytes, and `tests/corpora.rs` with the
//! saved ones; they know of neither.

use surfstore::gate::{Gate, HttpRequest, Received, Refusal};
use surfstore::protocol::{self, NoResponse};
use surfstore::raft::{
    self, Call, CallId, Cluster, Compaction, Effect, Event, Failure, Incarnation, Member, Server,
    ServerId, Timer,
};
use surfstore::value::Value;
use surfstore::xmlrpc::{
    MethodCall, parse_call, parse_response, write_call, write_fault, write_response,
};

use crate::plain::plain;

/// The gate reads the same from a connection however its bytes are split, and reads the same requests if they are sent
/// again in their shortest form.
pub fn gate(bytes: &[u8]) {
    let outcome = read_pieces(bytes.chunks(bytes.len().max(1)));
    assert_eq!(read_pieces(bytes.chunks(1)), outcome, "byte by byte");
    assert_eq!(read_pieces(bytes.chunks(7)), outcome, "seven bytes at a time");
    for request in outcome.0 {
        let (again, refusal) = read_pieces([plain(&request).as_slice()]);
        let (close, may_half_close, prefers_json, may_call) = (false, false, false, true);
        assert_eq!(
            again,
            [HttpRequest { close, may_half_close, prefers_json, may_call, ..request }],
            "a request in its shortest form is read as written"
        );
        assert_eq!(refusal, None, "a request in its shortest form is not refused");
    }
}

/// The requests of a connection in order, and the refusal that ends it.
fn read_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<HttpRequest>, Option<Refusal>) {
    let mut gate = Gate::new("localhost");
    let mut requests = Vec::new();
    for piece in pieces {
        gate.push(piece);
        loop {
            match gate.next() {
                Ok(Received::NeedMore) => break,
                Ok(Received::Continue) => {}
                Ok(Received::Request(request)) => requests.push(request),
                Err(refusal) => return (requests, Some(refusal)),
            }
        }
    }
    (requests, None)
}

/// Everything that is read as a call or an answer is written in a form that is read as the same.
pub fn xml(bytes: &[u8]) {
    if let Ok(MethodCall { params: Ok(read), .. }) = parse_call(bytes) {
        // A method's name is written only by this server, whose own names need no escaping.
        let again = write_call("m", |params| {
            read.iter().for_each(|value| params.param(|writer| writer.value(value)));
        });
        assert_eq!(parse_call(&again).map(|call| call.params), Ok(Ok(read)));
    }
    match parse_response(bytes) {
        Ok(Ok(value)) => {
            let again = write_response(|writer| writer.value(&value));
            assert_eq!(parse_response(&again), Ok(Ok::<Value, _>(value)));
        }
        Ok(Err(fault)) => assert_eq!(parse_response(&write_fault(&fault)), Ok(Err(fault))),
        Err(_) => {}
    }
}

/// No messages, however forged, break a server: the documents between zero bytes are given to a server in turn.
///
/// A document that is a call is made. `d` and a digit mean that the connections of a peer have closed: `d0` that of the
/// last request, `d1` that of the request before, and so on. Any other document is taken for the answer to the oldest
/// request in flight that it can answer. If it is not an answer either, the server's timer expires, so that it reaches
/// every role; an empty document means that the process that received the oldest request has ended.
pub fn peers(bytes: &[u8]) {
    tell(bytes, |_, _| {});
}

/// The same, and `see` is given every event, and the server after it.
pub fn tell(bytes: &[u8], mut see: impl FnMut(&Event, &Server)) {
    let Some(cluster) = Cluster::new(ServerId(0), 3) else { return };
    let (mut server, mut effects) = Server::start(cluster, Incarnation(100), Compaction::default());
    let mut under_way = Vec::new();
    let mut callers = Vec::new();
    let mut timer = Timer::Start;
    for (number, document) in (0..).zip(bytes.split(|byte| *byte == 0)) {
        for effect in effects {
            match effect {
                Effect::Send { to, request } => under_way.push((to, request)),
                Effect::ArmTimer(armed) => timer = armed,
                Effect::StopTimers | Effect::Reply(..) | Effect::Discard(_) | Effect::Save(_) => {}
            }
        }
        under_way.drain(..under_way.len().saturating_sub(UNDER_WAY_MAX));
        let event = match protocol::read_call(document) {
            Ok(protocol::Asked::One((_, Ok(protocol::TypedCall::Raft(call))))) => {
                Event::Call(CallId(number), call)
            }
            _ => disconnection(document, &callers)
                .or_else(|| outcome(document, &mut under_way))
                .unwrap_or(Event::Timeout(timer)),
        };
        callers.extend(caller(&event));
        let told = event.clone();
        (server, effects) = server.step(event);
        see(&told, &server);
    }
}

/// How many requests in flight may still be answered; those before are lost.
const UNDER_WAY_MAX: usize = 8;

/// The peer whose request the event is.
fn caller(event: &Event) -> Option<Member> {
    match event {
        Event::Call(_, Call::RequestVote(request)) => Some(request.sender.member()),
        Event::Call(_, Call::AppendEntries(request)) => Some(request.sender.member()),
        _ => None,
    }
}

/// The end of the connections of one of the callers, the last of whom has number 0.
fn disconnection(document: &[u8], callers: &[Member]) -> Option<Event> {
    let [b'd', digit] = document else { return None };
    let number = usize::from(digit.wrapping_sub(b'0')).checked_rem(callers.len())?;
    callers.iter().nth_back(number).map(|caller| Event::Disconnected(*caller))
}

/// The outcome of the oldest request in flight that the document answers.
fn outcome(document: &[u8], under_way: &mut Vec<(ServerId, raft::Request)>) -> Option<Event> {
    let told = |request: &raft::Request| match protocol::read_response(request, document) {
        Ok(response) => Some(Ok(response)),
        Err(_) if document.is_empty() => Some(Err(Failure::Ended)),
        Err(NoResponse { failure: Failure::Silent, .. }) => None,
        Err(NoResponse { failure, .. }) => Some(Err(failure)),
    };
    let outcomes = under_way.iter().map(|(_, request)| told(request)).enumerate();
    let (place, told) = outcomes.filter_map(|(place, told)| Some((place, told?))).next()?;
    let (peer, request) = under_way.remove(place);
    Some(match told {
        Ok(response) => Event::Response { from: peer, response },
        Err(failure) => Event::Unanswered { by: peer, request, failure },
    })
}
