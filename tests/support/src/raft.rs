//! Servers in every role, reached by real events; short forms of requests and replies; and views of effects.
//!
//! The server under test has number 0, its peers 1, 2 and so on. Messages are those of a set of three whose history
//! server 1 has founded, unless stated otherwise. Nothing here takes the step that a test is about, and nothing here
//! checks a rule of Raft.

use std::sync::Arc;

pub use surfstore::metadata::Update;
pub use surfstore::raft::*;

/// The server under test.
pub const SELF: ServerId = ServerId(0);

/// The id of every call that a peer makes.
pub const PEER: CallId = CallId(0);

/// The history of every log, unless stated otherwise: server 1 has appended entry 1.
pub const HISTORY: Incarnation = Incarnation(101);

/// Another history.
pub const OTHER: Incarnation = Incarnation(300);

/// The incarnation of server `id`, unless it has been relaunched.
pub fn life(id: u8) -> Incarnation {
    Incarnation(100 + u64::from(id))
}

/// The incarnation of server `id` once it has been relaunched.
pub fn next_life(id: u8) -> Incarnation {
    Incarnation(200 + u64::from(id))
}

/// Server `id` as its process starts.
pub fn server(id: u8, of: u8) -> Server {
    let cluster = Cluster::new(ServerId(id), of).expect("a server of the cluster");
    Server::start(cluster, life(id), Compaction::default()).0
}

/// The server after some events, without their effects.
pub fn after(server: Server, events: impl IntoIterator<Item = Event>) -> Server {
    events.into_iter().fold(server, |server, event| server.step(event).0)
}

/// A follower in term 1 that follows server 1, and whose log is the committed roster of the founding, 1/t1.
pub fn follower(of: u8) -> Server {
    founded_follower_holding(of, &[1])
}

/// A follower of server 1 whose log has rosters of these terms, none committed, in the term of the last.
pub fn follower_holding(of: u8, terms: &[u64]) -> Server {
    let term = terms.last().copied().unwrap_or(1);
    after(server(0, of), [appends(append(term, at(0, 0), rosters_of(of, terms)).of(of))])
}

/// A follower of server 1 that knows that its history is founded; its log of rosters of these terms is otherwise not
/// committed.
pub fn founded_follower_holding(of: u8, terms: &[u64]) -> Server {
    let term = terms.last().copied().unwrap_or(1);
    let log = append(term, at(0, 0), rosters_of(of, terms)).of(of);
    after(server(0, of), [appends(log.committing(1))])
}

/// The follower with the roster of the founding in its election phase.
pub fn leaderless(of: u8) -> Server {
    after(follower(of), [timeout(Timer::Silence)])
}

/// A founded follower of a set of that size, in its election phase, whose log is one roster of these.
pub fn leaderless_among(size: u8, members: &[(u8, Incarnation)]) -> Server {
    let founding = append(1, at(0, 0), vec![naming(1, members)]).of(size).committing(1);
    after(server(0, size), [appends(founding), timeout(Timer::Silence)])
}

/// A server in its election phase once it becomes a candidate, and its pre-vote request.
pub fn stand(server: Server) -> (Server, RequestVote) {
    ask_again(server, timeout(Timer::Election))
}

/// A server that has just been started once it becomes a candidate, and its pre-vote request.
pub fn stand_at_once(of: u8) -> (Server, RequestVote) {
    ask_again(server(0, of), timeout(Timer::Start))
}

/// A server that begins a ballot after this event, and its request.
pub fn ask_again(server: Server, event: Event) -> (Server, RequestVote) {
    let (server, effects) = server.step(event);
    let (_, request) = vote_requests(&effects).remove(0);
    (server, request)
}

/// A candidate in its first pre-vote: ballot 1, in term 1, for term 2.
pub fn pre_candidate(of: u8) -> Server {
    after(leaderless(of), [timeout(Timer::Election)])
}

/// A candidate in its first election: ballot 2, in term 2.
pub fn candidate(of: u8) -> Server {
    let (server, effects) = leaderless(of).step(timeout(Timer::Election));
    let requests = vote_requests(&effects).into_iter().take(usize::from(of) / 2);
    after(server, requests.map(|(to, request)| granted(to.0, &request)))
}

/// A follower as a candidate that lacks one vote to win the election, and the request that it sent.
pub fn nearly_elected(follower: Server) -> (Server, RequestVote) {
    let (server, effects) =
        after(follower, [timeout(Timer::Silence)]).step(timeout(Timer::Election));
    let requests = vote_requests(&effects);
    let needed = u8::try_from(requests.len().div_ceil(2)).expect("a server's number");
    let server = after(server, (1..needed).map(|from| granted(from, &requests[0].1)));
    let (server, effects) = server.step(granted(needed, &requests[0].1));
    let vote = vote_requests(&effects)[0].1.clone();
    (after(server, (1..needed).map(|from| granted(from, &vote))), vote)
}

/// A follower as a leader elected by as many of the first peers as necessary, and its first appends. The roster of its
/// term is not committed yet.
pub fn elect(follower: Server) -> (Server, Vec<Effect>) {
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

/// A pre-candidate as a leader elected by these, each of which is needed; and its first appends.
pub fn elected_by(
    (server, pre_vote): (Server, RequestVote),
    voters: &[u8],
) -> (Server, Vec<Effect>) {
    let (last, others) = voters.split_last().expect("a voter");
    let all_but_the_last = |server, request: &RequestVote| {
        after(server, others.iter().map(|from| granted(*from, request)))
    };
    let server = all_but_the_last(server, &pre_vote);
    let (server, vote) = ask_again(server, granted(*last, &pre_vote));
    all_but_the_last(server, &vote).step(granted(*last, &vote))
}

/// A leader just elected in the term after that of its last entry; of its log, the first entry is committed.
pub fn elected(of: u8, terms: &[u64]) -> (Server, Vec<Effect>) {
    elect(founded_follower_holding(of, terms))
}

/// A leader in term 2 whose followers have answered everything; its log is the rosters 1/t1 and 2/t2, both committed.
pub fn leader(of: u8) -> Server {
    let (server, effects) = elected(of, &[1]);
    settled(server, &effects)
}

/// The server after its peers have accepted what it sent, and what it then sent, until it sends nothing more.
pub fn settled(server: Server, effects: &[Effect]) -> Server {
    settled_by(server, effects, accepted)
}

/// The server after its peers have answered like this, until it sends nothing more.
pub fn settled_by(
    mut server: Server,
    effects: &[Effect],
    answer: fn(u8, &AppendEntries) -> Event,
) -> Server {
    let mut under_way = append_requests(effects);
    let mut sent = 0;
    while !under_way.is_empty() {
        sent += under_way.len();
        assert!(sent < 100, "a leader that is answered falls silent");
        let mut next = Vec::new();
        for (to, request) in under_way {
            let effects;
            (server, effects) = server.step(answer(to.0, &request));
            next.extend(append_requests(&effects));
        }
        under_way = next;
    }
    server
}

/// A crashed server that followed server 1 in term 1.
pub fn crashed(of: u8) -> Server {
    after(follower(of), [crash(1)])
}

pub fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

/// Entries that begin terms: rosters of all three servers.
pub fn rosters(terms: &[u64]) -> Vec<Entry> {
    rosters_of(3, terms)
}

/// Entries that begin terms: rosters of all the servers of a set.
pub fn rosters_of(size: u8, terms: &[u64]) -> Vec<Entry> {
    let members: Vec<_> = (0..size).map(|id| (id, life(id))).collect();
    terms.iter().map(|term| naming(*term, &members)).collect()
}

/// A roster that names these.
pub fn naming(term: u64, members: &[(u8, Incarnation)]) -> Entry {
    let members = members.iter().map(|(id, incarnation)| (ServerId(*id), *incarnation)).collect();
    Entry {
        term: Term(term),
        command: Command::Roster(Roster { history: HISTORY, members }.into()),
    }
}

pub fn change(name: &str, version: i64) -> Update {
    Update { name: name.into(), version, hashes: ["hash".into()].into() }
}

pub fn entry(term: u64, name: &str, version: i64) -> Entry {
    Entry { term: Term(term), command: Command::Update(Arc::new(change(name, version))) }
}

/// The members of the server's last roster.
pub fn roster(server: &Server) -> Vec<(u8, Incarnation)> {
    let roster = server.log().roster().expect("a log that is not empty");
    roster.members.iter().map(|(id, incarnation)| (id.0, *incarnation)).collect()
}

/// These servers, each in its first incarnation.
pub fn first_lives(ids: &[u8]) -> Vec<(u8, Incarnation)> {
    ids.iter().map(|id| (*id, life(*id))).collect()
}

/// The terms of the server's entries.
pub fn terms(server: &Server) -> Vec<u64> {
    server.log().from(LogIndex(1)).map(|entry| entry.term.0).collect()
}

pub fn timeout(timer: Timer) -> Event {
    Event::Timeout(timer)
}

pub fn crash(id: u64) -> Event {
    Event::Call(CallId(id), Call::Crash)
}

pub fn restore(id: u64) -> Event {
    Event::Call(CallId(id), Call::Restore)
}

pub fn read(id: u64) -> Event {
    Event::Call(CallId(id), Call::ReadFiles)
}

pub fn update(id: u64, name: &str, version: i64) -> Event {
    Event::Call(CallId(id), Call::Update(change(name, version)))
}

/// The identity of server `id` in that term, with an empty log.
pub fn identity(id: u8, term: u64) -> Identity {
    Identity {
        id: ServerId(id),
        size: 3,
        names: 0,
        incarnation: life(id),
        term: Term(term),
        history: None,
        founded: false,
        last_log: at(0, 0),
    }
}

/// The identity of server `id` once it has been relaunched, shown to another server in the same term.
pub fn relaunched(id: u8, other: &Identity) -> Identity {
    identity(id, other.term.0).of(other.size).in_life(next_life(id))
}

/// An append by server 1, unmarked and with commit index 0.
pub fn append(term: u64, prev_log: Position, entries: Vec<Entry>) -> AppendEntries {
    let last_sent = entries.last().map_or(prev_log.term, |entry| entry.term);
    let more = u64::from(last_sent != Term(term));
    let last_index = prev_log.index.0.saturating_add(entries.len() as u64 + more).min(NUMBER_MAX);
    AppendEntries {
        sender: identity(1, term).holding(at(term, last_index.max(1))),
        receiver: None,
        prev_log,
        entries,
        leader_commit: LogIndex(0),
        round: Round(7),
        has_majority: true,
    }
}

/// A request by server 2 in its ballot 9, to lead in that term.
pub fn ask(kind: BallotKind, term: u64, last_log: Position) -> RequestVote {
    let own = if kind == BallotKind::PreVote { term - 1 } else { term };
    RequestVote { sender: identity(2, own).holding(last_log), kind, ballot: 9, account: None }
}

/// Changes to the identity of a message's sender.
pub trait Sent: Sized {
    fn sender_mut(&mut self) -> &mut Identity;

    fn changed(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        change(self.sender_mut());
        self
    }

    /// From a set of that size.
    fn of(self, size: u8) -> Self {
        self.changed(|sender| sender.size = size)
    }

    /// From server `id`.
    fn by(self, id: u8) -> Self {
        self.changed(|sender| (sender.id, sender.incarnation) = (ServerId(id), life(id)))
    }

    /// From a process of that incarnation.
    fn in_life(self, incarnation: Incarnation) -> Self {
        self.changed(|sender| sender.incarnation = incarnation)
    }

    /// From a server whose log ends there, in the history of all.
    fn holding(self, last_log: Position) -> Self {
        let history = (last_log != at(0, 0)).then_some(HISTORY);
        self.changed(|sender| (sender.history, sender.last_log) = (history, last_log))
    }

    /// From a server whose log has this history.
    fn of_history(self, history: Incarnation) -> Self {
        self.changed(|sender| sender.history = Some(history))
    }

    /// From a server that has committed something.
    fn founded(self) -> Self {
        self.changed(|sender| sender.founded = true)
    }
}

impl Sent for Identity {
    fn sender_mut(&mut self) -> &mut Identity {
        self
    }
}

impl Sent for AppendEntries {
    fn sender_mut(&mut self) -> &mut Identity {
        &mut self.sender
    }
}

impl Sent for InstallSnapshot {
    fn sender_mut(&mut self) -> &mut Identity {
        &mut self.sender
    }
}

impl Sent for RequestVote {
    fn sender_mut(&mut self) -> &mut Identity {
        &mut self.sender
    }
}

/// Changes to an append.
pub trait Appended {
    /// From a leader that has committed so much.
    fn committing(self, index: u64) -> Self;
}

impl Appended for AppendEntries {
    fn committing(self, index: u64) -> AppendEntries {
        AppendEntries { leader_commit: LogIndex(index), ..self.founded() }
    }
}

pub fn appends(request: AppendEntries) -> Event {
    Event::Call(PEER, Call::AppendEntries(request))
}

pub fn asks(request: RequestVote) -> Event {
    Event::Call(PEER, Call::RequestVote(request))
}

/// The grant that a peer in the same term, whose log ends like the candidate's, gives to a request.
pub fn granted(from: u8, request: &RequestVote) -> Event {
    grants(from, request.sender.by(from), request)
}

/// The grant of a server with this identity.
pub fn grants(from: u8, sender: Identity, request: &RequestVote) -> Event {
    let RequestVote { kind, ballot, .. } = *request;
    responds(
        from,
        Response::Vote(VoteReply { sender, kind, ballot, vote_granted: true, leads: false }),
    )
}

pub fn refused(from: u8, request: &RequestVote, term: u64) -> Event {
    let sender = Identity { term: Term(term), ..request.sender.by(from) };
    refuses(from, sender, request)
}

/// The refusal of a server with this identity.
pub fn refuses(from: u8, sender: Identity, request: &RequestVote) -> Event {
    let RequestVote { kind, ballot, .. } = *request;
    responds(
        from,
        Response::Vote(VoteReply { sender, kind, ballot, vote_granted: false, leads: false }),
    )
}

/// The reply of a follower in the term of the request, whose log ends like the leader's.
pub fn answered(from: u8, request: &AppendEntries, outcome: AppendOutcome) -> Event {
    answers(from, request.sender.by(from), request, outcome)
}

/// The reply of a server with this identity.
pub fn answers(
    from: u8,
    sender: Identity,
    request: &AppendEntries,
    outcome: AppendOutcome,
) -> Event {
    responds(from, Response::Append(AppendReply { sender, round: request.round, outcome }))
}

pub fn accepted(from: u8, request: &AppendEntries) -> Event {
    answered(from, request, AppendOutcome::Accepted)
}

pub fn responds(from: u8, response: Response) -> Event {
    Event::Response { from: ServerId(from), response }
}

pub fn unanswered(by: u8, request: &AppendEntries) -> Event {
    let request = Request::AppendEntries(request.clone());
    Event::Unanswered { by: ServerId(by), request, failure: Failure::Silent }
}

/// The event at a candidate if a peer does not answer its request.
pub fn without_vote(by: u8, request: &RequestVote, failure: Failure) -> Event {
    let request = Request::RequestVote(request.clone());
    Event::Unanswered { by: ServerId(by), request, failure }
}

/// The event at a candidate if a peer's process has ended.
pub fn ended(by: u8, request: &RequestVote) -> Event {
    without_vote(by, request, Failure::Ended)
}

/// The event at a candidate if a peer with this identity is crashed.
pub fn is_crashed(sender: Identity, request: &RequestVote) -> Event {
    without_vote(sender.id.0, request, Failure::Crashed(sender))
}

/// The timers that a step armed, in order.
pub fn armed(effects: &[Effect]) -> Vec<Timer> {
    let timer = |effect: &Effect| match effect {
        Effect::ArmTimer(timer) => Some(*timer),
        _ => None,
    };
    effects.iter().filter_map(timer).collect()
}

pub fn vote_requests(effects: &[Effect]) -> Vec<(ServerId, RequestVote)> {
    let request = |effect: &Effect| match effect {
        Effect::Send { to, request: Request::RequestVote(request) } => Some((*to, request.clone())),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

pub fn append_requests(effects: &[Effect]) -> Vec<(ServerId, AppendEntries)> {
    let request = |effect: &Effect| match effect {
        Effect::Send { to, request: Request::AppendEntries(request) } => {
            Some((*to, request.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

/// The appends that a step sent to one server.
pub fn appends_to(effects: &[Effect], to: u8) -> Vec<AppendEntries> {
    let requests = append_requests(effects).into_iter();
    requests.filter(|(peer, _)| *peer == ServerId(to)).map(|(_, request)| request).collect()
}

/// The one append that a step sent to a server.
pub fn append_to(effects: &[Effect], to: u8) -> AppendEntries {
    let [request] = appends_to(effects, to).try_into().expect("one append to this server");
    request
}

/// The one append with entries that a step sent to a server.
pub fn batch_to(effects: &[Effect], to: u8) -> AppendEntries {
    let batches = appends_to(effects, to).into_iter().filter(|request| !request.entries.is_empty());
    let [batch] = batches.collect::<Vec<_>>().try_into().expect("one batch to this server");
    batch
}

/// The answers and their calls, in order.
pub fn replies(effects: &[Effect]) -> Vec<(u64, Reply)> {
    let reply = |effect: &Effect| match effect {
        Effect::Reply(call, reply) => Some((call.0, reply.clone())),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

/// The one answer of a step to a peer's call.
pub fn reply(effects: &[Effect]) -> Reply {
    let answers = replies(effects).into_iter().filter(|(call, _)| CallId(*call) == PEER);
    let [(_, reply)] = answers.collect::<Vec<_>>().try_into().expect("one reply to the peer");
    reply
}

/// Whether the peer's request for a vote was granted.
pub fn is_granted(effects: &[Effect]) -> bool {
    let Reply::Vote(reply) = reply(effects) else { panic!("no answer to a candidate") };
    reply.vote_granted
}

/// Whether a step did nothing except refuse the peer's request as a forged one.
pub fn is_forged(effects: &[Effect]) -> bool {
    effects.len() == 1 && matches!(reply(effects), Reply::Failed(CallError::Forged(_)))
}

/// The outcome of the peer's append.
pub fn outcome(effects: &[Effect]) -> AppendOutcome {
    let Reply::Append(reply) = reply(effects) else { panic!("no answer to a leader") };
    reply.outcome
}
