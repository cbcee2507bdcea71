//! Servers in every role, reached by real events; requests and replies in short; and a look at effects.
//!
//! The server under test has number 0, its peers 1, 2 and so on. Nothing here takes the step that a test is about, and
//! nothing here checks a rule of Raft.

use std::sync::Arc;

pub(crate) use surfstore::metadata::Update;
pub(crate) use surfstore::raft::*;

/// The server under test.
pub(crate) const SELF: ServerId = ServerId(0);

/// The id of every call that a peer makes.
pub(crate) const PEER: CallId = CallId(0);

/// Server `id` as its process starts.
pub(crate) fn server(id: u8, of: u8) -> Server {
    Server::start(Cluster::new(ServerId(id), of).expect("a server of the cluster")).0
}

/// The server after some events, their effects dropped.
pub(crate) fn after(server: Server, events: impl IntoIterator<Item = Event>) -> Server {
    events.into_iter().fold(server, |server, event| server.step(event).0)
}

/// A follower in term 1 that follows server 1, with an empty log, its first silence phase long over.
pub(crate) fn follower(of: u8) -> Server {
    follower_holding(of, &[])
}

/// A follower of server 1 whose log has entries of these terms, none committed, in the term of the last.
pub(crate) fn follower_holding(of: u8, terms: &[u64]) -> Server {
    let term = terms.last().copied().unwrap_or(1);
    after(server(0, of), [timeout(Timer::Silence), appends(append(term, at(0, 0), noops(terms)))])
}

/// That follower in its election phase.
pub(crate) fn leaderless(of: u8) -> Server {
    after(follower(of), [timeout(Timer::Silence)])
}

/// A candidate in its first pre-vote: ballot 1, in term 1, for term 2.
pub(crate) fn pre_candidate(of: u8) -> Server {
    after(leaderless(of), [timeout(Timer::Election)])
}

/// A candidate in its first election: ballot 2, in term 2.
pub(crate) fn candidate(of: u8) -> Server {
    let (server, effects) = leaderless(of).step(timeout(Timer::Election));
    let requests = vote_requests(&effects).into_iter().take(usize::from(of) / 2);
    after(server, requests.map(|(to, request)| granted(to.0, &request)))
}

/// That follower as a candidate one vote short of winning the election, and the request that it sent.
pub(crate) fn nearly_elected(follower: Server) -> (Server, RequestVote) {
    let (server, effects) =
        after(follower, [timeout(Timer::Silence)]).step(timeout(Timer::Election));
    let requests = vote_requests(&effects);
    let needed = u8::try_from(requests.len().div_ceil(2)).expect("a server's number");
    let server = after(server, (1..needed).map(|from| granted(from, &requests[0].1)));
    let (server, effects) = server.step(granted(needed, &requests[0].1));
    let vote = vote_requests(&effects)[0].1;
    (after(server, (1..needed).map(|from| granted(from, &vote))), vote)
}

/// That follower as a leader elected by as many of the first peers as it takes, and its first appends. Its no-op is not
/// committed yet.
pub(crate) fn elect(follower: Server) -> (Server, Vec<Effect>) {
    let (mut server, vote) = nearly_elected(follower);
    let mut effects = Vec::new();
    for from in 1.. {
        if server.role() == RoleName::Leader {
            break;
        }
        (server, effects) = server.step(granted(from, &vote));
    }
    (server, effects)
}

/// A leader just elected in the term after that of its last entry, which is 2 after an empty log.
pub(crate) fn elected(of: u8, terms: &[u64]) -> (Server, Vec<Effect>) {
    elect(follower_holding(of, terms))
}

/// A leader in term 2 whose followers have answered everything; its log is the committed no-op.
pub(crate) fn leader(of: u8) -> Server {
    let (server, effects) = elected(of, &[]);
    settled(server, &effects)
}

/// The server after its peers have accepted what it sent, and what it sent upon that, until it is silent.
pub(crate) fn settled(mut server: Server, effects: &[Effect]) -> Server {
    let mut under_way = append_requests(effects);
    let mut sent = 0;
    while !under_way.is_empty() {
        sent += under_way.len();
        assert!(sent < 100, "a leader that is answered falls silent");
        let mut next = Vec::new();
        for (to, request) in under_way {
            let effects;
            (server, effects) = server.step(accepted(to.0, &request));
            next.extend(append_requests(&effects));
        }
        under_way = next;
    }
    server
}

/// A crashed server that followed server 1 in term 1.
pub(crate) fn crashed(of: u8) -> Server {
    after(follower(of), [crash(1)])
}

pub(crate) fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

pub(crate) fn noops(terms: &[u64]) -> Vec<Entry> {
    terms.iter().map(|term| Entry { term: Term(*term), command: Command::Noop }).collect()
}

pub(crate) fn change(name: &str, version: i64) -> Update {
    Update { name: name.into(), version, hashes: ["hash".into()].into() }
}

pub(crate) fn entry(term: u64, name: &str, version: i64) -> Entry {
    Entry { term: Term(term), command: Command::Update(Arc::new(change(name, version))) }
}

/// The terms of the server's entries.
pub(crate) fn terms(server: &Server) -> Vec<u64> {
    server.log().from(LogIndex(1)).iter().map(|entry| entry.term.0).collect()
}

pub(crate) fn timeout(timer: Timer) -> Event {
    Event::Timeout(timer)
}

pub(crate) fn crash(id: u64) -> Event {
    Event::Call(CallId(id), Call::Crash)
}

pub(crate) fn restore(id: u64) -> Event {
    Event::Call(CallId(id), Call::Restore)
}

pub(crate) fn read(id: u64) -> Event {
    Event::Call(CallId(id), Call::ReadFiles)
}

pub(crate) fn update(id: u64, name: &str, version: i64) -> Event {
    Event::Call(CallId(id), Call::Update(change(name, version)))
}

/// An append by server 1, unmarked and with commit index 0.
pub(crate) fn append(term: u64, prev_log: Position, entries: Vec<Entry>) -> AppendEntries {
    AppendEntries {
        term: Term(term),
        leader_id: ServerId(1),
        prev_log,
        entries,
        leader_commit: LogIndex(0),
        round: Round(7),
        has_majority: true,
    }
}

/// A request by server 2 in its ballot 9.
pub(crate) fn ask(kind: BallotKind, term: u64, last_log: Position) -> RequestVote {
    RequestVote { kind, ballot: 9, term: Term(term), candidate_id: ServerId(2), last_log }
}

pub(crate) fn appends(request: AppendEntries) -> Event {
    Event::Call(PEER, Call::AppendEntries(request))
}

pub(crate) fn asks(request: RequestVote) -> Event {
    Event::Call(PEER, Call::RequestVote(request))
}

/// The grant that a peer in the right term gives to a request.
pub(crate) fn granted(from: u8, request: &RequestVote) -> Event {
    let RequestVote { kind, ballot, term, .. } = *request;
    let term = if kind == BallotKind::Vote { term } else { Term(term.0 - 1) };
    responds(from, Response::Vote(VoteReply { kind, ballot, term, vote_granted: true }))
}

pub(crate) fn refused(from: u8, request: &RequestVote, term: u64) -> Event {
    let RequestVote { kind, ballot, .. } = *request;
    let reply = VoteReply { kind, ballot, term: Term(term), vote_granted: false };
    responds(from, Response::Vote(reply))
}

/// The reply of a follower, in the term of the request.
pub(crate) fn answered(from: u8, request: &AppendEntries, outcome: AppendOutcome) -> Event {
    let reply = AppendReply { term: request.term, round: request.round, outcome };
    responds(from, Response::Append(reply))
}

pub(crate) fn accepted(from: u8, request: &AppendEntries) -> Event {
    answered(from, request, AppendOutcome::Accepted)
}

pub(crate) fn responds(from: u8, response: Response) -> Event {
    Event::Response { from: ServerId(from), response }
}

pub(crate) fn unanswered(by: u8, request: &AppendEntries) -> Event {
    Event::Unanswered { by: ServerId(by), request: Request::AppendEntries(request.clone()) }
}

/// The timers that a step armed, in order.
pub(crate) fn armed(effects: &[Effect]) -> Vec<Timer> {
    let timer = |effect: &Effect| match effect {
        Effect::ArmTimer(timer) => Some(*timer),
        _ => None,
    };
    effects.iter().filter_map(timer).collect()
}

pub(crate) fn vote_requests(effects: &[Effect]) -> Vec<(ServerId, RequestVote)> {
    let request = |effect: &Effect| match effect {
        Effect::Send { to, request: Request::RequestVote(request) } => Some((*to, *request)),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

pub(crate) fn append_requests(effects: &[Effect]) -> Vec<(ServerId, AppendEntries)> {
    let request = |effect: &Effect| match effect {
        Effect::Send { to, request: Request::AppendEntries(request) } => {
            Some((*to, request.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

/// The appends that a step sent to one server.
pub(crate) fn appends_to(effects: &[Effect], to: u8) -> Vec<AppendEntries> {
    let requests = append_requests(effects).into_iter();
    requests.filter(|(peer, _)| *peer == ServerId(to)).map(|(_, request)| request).collect()
}

/// The one append that a step sent to a server.
pub(crate) fn append_to(effects: &[Effect], to: u8) -> AppendEntries {
    let [request] = appends_to(effects, to).try_into().expect("one append to this server");
    request
}

/// What was answered, and to which calls, in order.
pub(crate) fn replies(effects: &[Effect]) -> Vec<(u64, Reply)> {
    let reply = |effect: &Effect| match effect {
        Effect::Reply(call, reply) => Some((call.0, reply.clone())),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

/// The one answer of a step to a peer's call.
pub(crate) fn reply(effects: &[Effect]) -> Reply {
    let answers = replies(effects).into_iter().filter(|(call, _)| CallId(*call) == PEER);
    let [(_, reply)] = answers.collect::<Vec<_>>().try_into().expect("one reply to the peer");
    reply
}

/// Whether the peer's request for a vote was granted.
pub(crate) fn is_granted(effects: &[Effect]) -> bool {
    let Reply::Vote(reply) = reply(effects) else { panic!("no answer to a candidate") };
    reply.vote_granted
}

/// What became of the peer's append.
pub(crate) fn outcome(effects: &[Effect]) -> AppendOutcome {
    let Reply::Append(reply) = reply(effects) else { panic!("no answer to a leader") };
    reply.outcome
}
