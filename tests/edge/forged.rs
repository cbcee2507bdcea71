//! Messages that a stranger sends in the name of a peer: they change nothing that only peers may change, and prevent no
//! election.
//!
//! The stranger knows everything that anyone who reaches the servers can find out: each server identifies itself to
//! anyone who asks it for a vote.

use support::client::{Answer, State, TRUE, assert_fault, hash, list, packed};
use support::harness::Cluster;
use support::wait::{ELECTION, PATIENCE, wait_until};
use surfstore::value::Value;
use surfstore::xmlrpc::write_call;

use crate::descriptors::led_with;
use crate::memory::{RESIDENT_MAX, most_resident};
use crate::raw::{Raw, assert_refused, post};
use crate::servers::assert_unharmed;

/// Numbers that no term, index, counter or process has: the maximum is 2^53.
const ABSURD: [i64; 4] = [-1, (1 << 53) + 1, i64::MAX, i64::MIN];

/// The identity of a sender in every message, in this order.
const SENDER: [&str; 9] = [
    "id",
    "size",
    "names",
    "incarnation",
    "term",
    "history",
    "founded",
    "lastLogIndex",
    "lastLogTerm",
];

/// The identity of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Identity([i64; SENDER.len()]);

impl Identity {
    fn number(self, name: &str) -> i64 {
        self.0[SENDER.iter().position(|member| *member == name).unwrap()]
    }
}

/// A set in which the same leader has led for a while, and one of its followers.
struct Scene {
    cluster: Cluster,
    leader: usize,
    follower: usize,
    version: i64,
}

impl Scene {
    fn new() -> Scene {
        let (cluster, leader) = Cluster::led(3);
        // From here on the log does not change.
        cluster.await_whole();
        cluster.agree(leader, &cluster.running(), "a", 1);
        let follower = cluster.others(leader)[0];
        Scene { cluster, leader, follower, version: 1 }
    }

    /// The server that is neither of the two.
    fn third(&self) -> usize {
        3 - self.leader - self.follower
    }

    /// The follower's state, once it knows its leader.
    fn state(&self) -> State {
        let mut state = self.cluster.at(self.follower).state();
        wait_until(ELECTION, "the follower knows its leader", || {
            state = self.cluster.at(self.follower).state();
            state.leader != Value::from("")
        });
        state
    }

    /// The identity that a server shows to anyone who asks for its vote. A candidate with an empty log does not get the
    /// vote.
    fn identity(&self, server: usize) -> Identity {
        let peer = i64::try_from((server + 1) % 3).unwrap();
        let nobody = Identity([peer, 3, 0, 1, 0, 0, 0, 0, 0]);
        let question = message(nobody, &[("ballot", 0.into()), ("preVote", true.into())], &[]);
        let server = self.cluster.at(server).another();
        let reply = server.call("surfstore.requestVote", &[packed(&question)]);
        let Some(Value::Array(numbers)) = part(&reply.unwrap(), "sender") else {
            panic!("the reply has no sender")
        };
        let number = |value: &Value| match value {
            Value::Int(number) => *number,
            other => panic!("a sender has {other:?}"),
        };
        Identity(numbers.iter().map(number).collect::<Vec<_>>().try_into().unwrap())
    }

    /// A heartbeat as the leader might send it to its follower, with some numbers of its sender and some parts changed.
    fn heartbeat(&self, changes: &[(&str, Value)]) -> Value {
        let state = self.state();
        let (index, term) = state.last_log;
        let parts = [
            ("receiver", self.identity(self.follower).number("incarnation").into()),
            ("prevLogIndex", index.into()),
            ("prevLogTerm", term.into()),
            ("entries", list([])),
            ("leaderCommit", state.commit_index.into()),
            ("round", 1_000_000.into()),
            ("hasMajority", true.into()),
        ];
        message(self.identity(self.leader), &parts, changes)
    }

    /// A pre-vote request as the third server might send it to the follower, with such changes.
    fn pre_vote(&self, changes: &[(&str, Value)]) -> Value {
        let parts = [("ballot", 1_000_000.into()), ("preVote", true.into())];
        message(self.identity(self.third()), &parts, changes)
    }

    /// A vote request as the third server might send it after that, in the next term.
    fn vote(&self, changes: &[(&str, Value)]) -> Value {
        let next = self.state().term + 1;
        self.pre_vote(&[changes, &[("term", next.into()), ("preVote", false.into())]].concat())
    }

    /// The incarnations of all servers, in the order of their ids.
    fn living(&self) -> [Value; 3] {
        [0, 1, 2].map(|id| self.identity(id).number("incarnation").into())
    }

    /// An entry with the roster of all servers.
    fn roster(&self, term: i64) -> Value {
        self.roster_of(self.identity(self.leader).number("history"), term)
    }

    /// The same for another history.
    fn roster_of(&self, history: i64, term: i64) -> Value {
        let [first, second, third] = self.living();
        let members = list([0.into(), first, 1.into(), second, 2.into(), third]);
        list([term.into(), history.into(), members])
    }

    /// Sends the follower a message that must not change it.
    #[track_caller]
    fn changes_nothing(&self, method: &str, message: &Value) -> Answer {
        let seen = || (self.state(), self.identity(self.follower));
        let before = seen();
        let answer = self.cluster.at(self.follower).another().call(method, &[packed(message)]);
        assert_eq!(seen(), before, "{message:?}");
        answer
    }

    /// Checks that a forged append with these changes gets a fault.
    #[track_caller]
    fn assert_no_append(&self, changes: &[(&str, Value)]) {
        let answer = self.changes_nothing("surfstore.appendEntries", &self.heartbeat(changes));
        assert_fault(&answer, -32602, "wrong parameters");
    }

    /// Checks that a forged append with these changes is refused, as one of a correct server may be.
    #[track_caller]
    fn assert_refused_append(&self, changes: &[(&str, Value)]) {
        let answer = self.changes_nothing("surfstore.appendEntries", &self.heartbeat(changes));
        let reply = answer.unwrap();
        assert!(says(&reply, "success", false) && says(&reply, "stale", false), "{changes:?}");
    }

    /// Checks that a forged request for a vote with these changes gets a fault, also in a pre-vote.
    #[track_caller]
    fn assert_no_ballot(&self, changes: &[(&str, Value)]) {
        for ballot in [self.pre_vote(changes), self.vote(changes)] {
            let answer = self.changes_nothing("surfstore.requestVote", &ballot);
            assert_fault(&answer, -32602, "wrong parameters");
        }
    }

    /// Checks that a forged request for everybody's vote with this account gets a fault.
    #[track_caller]
    fn assert_no_account(&self, account: Value) {
        let vote = self.vote(&[("account", account)]);
        let answer = self.changes_nothing("surfstore.requestVote", &vote);
        assert_fault(&answer, -32602, "wrong parameters");
    }

    /// Checks that the follower gives its vote, which ends the leader's term, and that another term comes in time
    /// although the vote reaches no candidate.
    #[track_caller]
    fn assert_votes(&mut self, vote: &Value) {
        let over = self.state().term;
        let follower = self.cluster.at(self.follower).another();
        let reply = follower.call("surfstore.requestVote", &[packed(vote)]);
        assert!(says(&reply.unwrap(), "voteGranted", true));
        wait_until(ELECTION, "one server leads in a later term", || {
            let leaders = self.cluster.leaders();
            leaders.len() == 1 && over + 1 < self.cluster.at(leaders[0]).state().term
        });
        self.leader = self.cluster.leader();
        self.follower = self.cluster.others(self.leader)[0];
    }

    /// Crashes the leader, and checks that another one is elected in time, and that everything works after that.
    #[track_caller]
    fn assert_elects(&mut self) {
        self.cluster.crash(&[self.leader]);
        let next = self.cluster.leader();
        self.cluster.restore(&[self.leader]);
        self.version += 1;
        self.cluster.agree(next, &self.cluster.running(), "a", self.version);
        self.leader = next;
        self.follower = self.cluster.others(next)[0];
        assert_unharmed(&self.cluster);
    }
}

fn id(server: usize) -> Value {
    i64::try_from(server).unwrap().into()
}

/// A message of that sender with these parts. Each change replaces one of the sender's numbers, or a part; a part that
/// does not exist yet is added.
fn message(sender: Identity, parts: &[(&str, Value)], changes: &[(&str, Value)]) -> Value {
    let change = |name: &str| changes.iter().find(|(changed, _)| *changed == name);
    let changed =
        |name: &str, value: Value| change(name).map_or(value, |(_, change)| change.clone());
    let sender = SENDER.iter().zip(sender.0).map(|(name, number)| changed(name, number.into()));
    let sender = Value::Array(sender.collect());
    let parts = [&[("sender", sender)], parts].concat();
    let is_there = |name| SENDER.contains(&name) || parts.iter().any(|(there, _)| *there == name);
    let added = changes.iter().filter(|(name, _)| !is_there(*name)).cloned();
    let changed = parts.iter().map(|(name, value)| (*name, changed(name, value.clone())));
    Value::Array(changed.chain(added).map(|(_, value)| value).collect())
}

/// A part of a reply.
fn part(reply: &Value, name: &str) -> Option<Value> {
    let Value::Base64(packed) = reply else { return None };
    let Some(Value::Array(parts)) = Value::unpack(packed) else { return None };
    let place = match name {
        "sender" => 0,
        "success" => 2,
        "stale" | "voteGranted" => 3,
        other => panic!("no reply is expected to {other}"),
    };
    parts.into_iter().nth(place)
}

fn says(reply: &Value, name: &str, truth: bool) -> bool {
    part(reply, name) == Some(Value::Boolean(truth))
}

#[test]
fn a_stranger_that_forges_nothing_wrong_is_answered_like_a_peer_and_a_leader_is_elected_in_time() {
    let mut scene = Scene::new();
    let reply = scene.changes_nothing("surfstore.appendEntries", &scene.heartbeat(&[]));
    assert!(says(&reply.unwrap(), "success", true));
    let reply = scene.changes_nothing("surfstore.requestVote", &scene.pre_vote(&[]));
    assert!(says(&reply.unwrap(), "voteGranted", false), "the leader is known");
    scene.assert_votes(&scene.vote(&[]));
    scene.assert_elects();
}

#[test]
fn forged_terms_and_indexes_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for number in ABSURD {
        let of_appends = ["receiver", "prevLogIndex", "prevLogTerm", "leaderCommit", "round"];
        for member in SENDER.iter().chain(&of_appends) {
            scene.assert_no_append(&[(*member, number.into())]);
        }
        for member in SENDER.iter().chain(&["ballot"]) {
            scene.assert_no_ballot(&[(*member, number.into())]);
        }
    }
    scene.assert_elects();
    let next = scene.state().term + 1;
    scene.assert_no_append(&[("term", 0.into())]);
    scene.assert_no_append(&[("term", next.into())]);
    scene.assert_no_append(&[("prevLogIndex", 0.into())]);
    scene.assert_no_append(&[("prevLogTerm", 0.into())]);
    scene.assert_no_append(&[("prevLogTerm", next.into())]);
    scene.assert_no_ballot(&[("term", 0.into())]);
    for last_log in [("lastLogIndex", 0), ("lastLogTerm", 0), ("lastLogTerm", next)] {
        let (member, number) = last_log;
        scene.assert_no_append(&[(member, number.into())]);
        scene.assert_no_ballot(&[(member, number.into())]);
    }
    scene.assert_elects();
}

#[test]
fn messages_of_servers_that_are_no_peers_or_do_not_lead_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for stranger in [id(scene.follower), 3.into(), 9.into(), 255.into(), 256.into(), (-1).into()] {
        scene.assert_no_append(&[("id", stranger.clone())]);
        // No leader of the following term is known.
        let next = scene.state().term + 1;
        let led = [("term", next.into()), ("lastLogTerm", next.into())];
        scene.assert_no_append(&[&[("id", stranger.clone())], &led[..]].concat());
        scene.assert_no_ballot(&[("id", stranger)]);
    }
    scene.assert_no_append(&[("id", id(scene.third()))]);
    let third = scene.identity(scene.third()).number("incarnation");
    scene.assert_no_append(&[("incarnation", third.into())]);
    scene.assert_no_append(&[("id", id(scene.third())), ("incarnation", third.into())]);
    scene.assert_elects();
}

#[test]
fn messages_of_sets_processes_and_histories_that_cannot_be_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for size in [0, 1, 2, 4, 255, 256] {
        scene.assert_no_append(&[("size", size.into())]);
        scene.assert_no_ballot(&[("size", size.into())]);
    }
    scene.assert_no_append(&[("incarnation", 0.into())]);
    scene.assert_no_ballot(&[("incarnation", 0.into())]);
    // A log without a history, and a history without a log.
    let empty = [("lastLogIndex", 0.into()), ("lastLogTerm", 0.into())];
    scene.assert_no_append(&[("history", 0.into())]);
    scene.assert_no_append(&empty);
    scene.assert_no_ballot(&[("history", 0.into())]);
    scene.assert_no_ballot(&empty);
    // Nothing can be committed in an empty log.
    let founded = [("history", 0.into()), ("founded", 1.into())];
    scene.assert_no_append(&[&empty[..], &founded].concat());
    scene.assert_no_ballot(&[&empty[..], &founded].concat());
    scene.assert_elects();
}

/// A founded server accepts nothing from another history, and no process accepts messages for another process. Neither
/// is a sign of an attacker: relaunched processes cause both.
#[test]
fn appends_of_another_history_or_for_another_process_are_refused_without_a_fault() {
    let mut scene = Scene::new();
    let history = scene.identity(scene.leader).number("history");
    for other in [1, history - 1, history + 1] {
        let other = other.clamp(1, 1 << 53);
        let start = [("prevLogIndex", 0.into()), ("prevLogTerm", 0.into())];
        let entries = [("entries", list([scene.roster_of(other, scene.state().term)]))];
        let changes = [("history", other.into())];
        scene.assert_refused_append(&changes);
        scene.assert_refused_append(&[&changes, &entries[..]].concat());
        scene.assert_refused_append(&[&changes, &start[..], &entries].concat());
        scene.assert_refused_append(
            &[&changes, &start[..], &entries, &[("founded", 0.into())]].concat(),
        );
        // A server of another set may be in a term that this set has not reached.
        let far = scene.state().term + 5;
        let names = (scene.identity(scene.leader).number("names") + 1) % (1 << 53);
        let foreign = [("names", names.into()), ("term", far.into()), ("lastLogTerm", far.into())];
        scene.assert_refused_append(&[&changes, &foreign[..]].concat());
    }
    let own = scene.identity(scene.follower).number("incarnation");
    let leader = scene.identity(scene.leader).number("incarnation");
    let entries = ("entries", list([scene.roster(scene.state().term)]));
    for other in [1, own - 1, own + 1, leader] {
        let other = ("receiver", other.clamp(1, 1 << 53).into());
        scene.assert_refused_append(std::slice::from_ref(&other));
        scene.assert_refused_append(&[other, entries.clone()]);
    }
    scene.assert_elects();
}

#[test]
fn forged_entries_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    let term = scene.state().term;
    let hashes = packed(&hash("x"));
    let update = list(["a".into(), 2.into(), hashes.clone()]);
    let garbage = [
        Value::from("x"),
        list([]),
        scene.roster(-1),
        scene.roster(0),
        scene.roster(term + 1),
        list([term.into()]),
        list(["x".into()]),
        list([term.into(), "x".into()]),
        list([term.into(), 7.into()]),
        list([term.into(), list([])]),
        list([term.into(), list(["a".into(), 2.into()])]),
        list([term.into(), list(["a".into(), 2.into(), hash("x")])]),
        list([term.into(), list(["a".into(), "2".into(), hashes.clone()])]),
        list([term.into(), list(["a".into(), 2.into(), "x".into()])]),
        list([term.into(), list([Value::Base64([].into()), 2.into(), hashes])]),
        list([term.into(), update.clone(), 7.into()]),
    ];
    for entry in garbage {
        let entries = list([scene.roster(term), entry]);
        scene.assert_no_append(&[("entries", entries)]);
    }
    scene.assert_no_append(&[("entries", 7.into())]);
    scene.assert_elects();
    let term = scene.state().term;
    let falling = list([scene.roster(term), scene.roster(term - 1)]);
    scene.assert_no_append(&[("entries", falling)]);
    let next = [("term", (term + 1).into()), ("lastLogTerm", (term + 1).into())];
    let opening = [("entries", list([list([(term + 1).into(), update])]))];
    scene.assert_no_append(&[&next[..], &opening].concat());
    let committed = [("prevLogIndex", 0.into()), ("prevLogTerm", 0.into())];
    let others = [("entries", list([scene.roster(term), scene.roster(term)]))];
    scene.assert_no_append(&[&committed[..], &others].concat());
    scene.assert_elects();
}

#[test]
fn forged_rosters_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    let term = scene.state().term;
    let own = scene.identity(scene.leader).number("history");
    let [first, second, third] = scene.living();
    let of = |history: i64, members: Value| list([term.into(), history.into(), members]);
    let all = || list([0.into(), first.clone(), 1.into(), second.clone(), 2.into(), third.clone()]);
    let mut rosters = vec![
        // Of another history.
        of(0, all()),
        of(if own == 1 { 2 } else { 1 }, all()),
        // With servers that do not exist, and with one server twice.
        of(own, list([3.into(), first.clone()])),
        of(own, list([255.into(), first.clone()])),
        of(own, list([256.into(), first.clone()])),
        of(own, list([0.into(), first.clone(), 0.into(), second.clone()])),
        // One process as two servers, and an incomplete member.
        of(own, list([0.into(), first.clone(), 1.into(), first.clone()])),
        of(own, list([0.into(), first.clone(), 1.into()])),
        of(own, list([0.into(), 0.into(), 1.into(), second.clone()])),
        of(own, list([0.into(), "x".into()])),
        of(own, list([list([0.into(), first.clone()])])),
        of(own, "x".into()),
    ];
    for number in ABSURD {
        rosters.push(of(number, all()));
        rosters.push(of(own, list([number.into(), first.clone()])));
        rosters.push(of(own, list([0.into(), number.into()])));
    }
    for roster in rosters {
        scene.assert_no_append(&[("entries", list([scene.roster(term), roster]))]);
    }
    scene.assert_elects();
}

#[test]
fn forged_accounts_of_who_lives_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    let candidate = scene.third();
    let living = scene.living();
    let with = |id: usize, value: Value| {
        let mut account = living.clone();
        account[id] = value;
        list(account)
    };
    let [first, second, third] = living.clone();
    // Incomplete, or with too many.
    scene.assert_no_account(list([]));
    scene.assert_no_account(list([first.clone(), second.clone()]));
    scene.assert_no_account(list([first, second, third, 1.into()]));
    scene.assert_no_account(Value::Array(vec![Value::from(1); 1000].into()));
    // Without a majority, or without the candidate.
    let mut alone = [0, 0, 0].map(Value::from);
    alone[candidate] = living[candidate].clone();
    scene.assert_no_account(list(alone));
    scene.assert_no_account(with(candidate, 0.into()));
    scene.assert_no_account(with(candidate, 1.into()));
    for number in ABSURD {
        scene.assert_no_account(with(scene.leader, number.into()));
    }
    scene.assert_no_account(with(scene.leader, "x".into()));
    scene.assert_no_account(7.into());
    // The first round has none.
    let whole = [("account", list(living.clone()))];
    let answer = scene.changes_nothing("surfstore.requestVote", &scene.pre_vote(&whole));
    assert_fault(&answer, -32602, "wrong parameters");
    scene.assert_elects();
    scene.assert_votes(&scene.vote(&whole));
    scene.assert_elects();
}

#[test]
fn messages_with_parts_missing_or_of_other_types_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for method in ["surfstore.appendEntries", "surfstore.requestVote"] {
        let whole = match method {
            "surfstore.appendEntries" => scene.heartbeat(&[]),
            _ => scene.pre_vote(&[]),
        };
        let Value::Array(parts) = whole else { unreachable!("a message is a list") };
        let mut wrong = Vec::new();
        for index in 0..parts.len() {
            let mut missing = parts.to_vec();
            missing.remove(index);
            let mut other = parts.to_vec();
            other[index] = "1".into();
            wrong.extend([missing, other]);
        }
        let Value::Array(sender) = &parts[0] else { unreachable!("the sender comes first") };
        let with_sender = |sender: Vec<Value>| {
            let mut parts = parts.to_vec();
            parts[0] = Value::Array(sender.into());
            parts
        };
        for index in 0..sender.len() {
            let mut missing = sender.to_vec();
            missing.remove(index);
            let mut other = sender.to_vec();
            other[index] = "1".into();
            wrong.extend([missing, other].map(with_sender));
        }
        wrong.push(with_sender([&**sender, &[1.into()]].concat()));
        for parts in wrong {
            let answer = scene.changes_nothing(method, &Value::Array(parts.into()));
            assert_fault(&answer, -32602, "wrong parameters");
        }
        for message in [list([]), "x".into(), Value::Struct([].into())] {
            assert_fault(&scene.changes_nothing(method, &message), -32602, "wrong parameters");
        }
    }
    scene.assert_elects();
}

#[test]
fn an_append_behind_a_gap_and_a_pre_vote_against_a_leader_that_is_there_change_nothing() {
    let mut scene = Scene::new();
    for ahead in [1, 1_000, 1 << 50] {
        let index = scene.state().last_log.0 + ahead;
        let entries = list([scene.roster(scene.state().term)]);
        let gap = [("prevLogIndex", index.into()), ("entries", entries)];
        let reply = scene.changes_nothing("surfstore.appendEntries", &scene.heartbeat(&gap));
        assert!(says(&reply.unwrap(), "success", false));
    }
    // A candidate stands in the term after its own, and the last possible term is 2^53.
    for ahead in [0, 1, 1 << 53] {
        let term = (scene.state().term + ahead).min((1 << 53) - 1);
        let ballot = scene.pre_vote(&[("term", term.into())]);
        let reply = scene.changes_nothing("surfstore.requestVote", &ballot);
        assert!(says(&reply.unwrap(), "voteGranted", false));
    }
    scene.assert_elects();
}

/// The request of an append of so many updates, and one more in another term. No update takes effect: version 0 is
/// never the next.
fn long_append(scene: &Scene, count: usize, last_term: i64) -> Vec<u8> {
    let update = list(["b".into(), 0.into(), packed(&list([]))]);
    let entry = |term: i64| list([term.into(), update.clone()]);
    let mut entries = vec![entry(scene.state().term); count];
    entries.push(entry(last_term));
    let message = scene.heartbeat(&[("entries", Value::Array(entries.into()))]);
    post(&write_call("surfstore.appendEntries", |out| {
        out.param(|out| out.value(&packed(&message)));
    }))
}

/// As many as fit into a request.
#[test]
fn an_append_of_as_many_entries_as_a_request_holds_is_judged_like_any_other() {
    let mut scene = Scene::new();
    let server = scene.cluster.at(scene.follower);
    let term = scene.state().term;
    let send = |request: &[u8]| {
        let mut connection = Raw::to(server);
        connection.send(request).unwrap();
        connection.response().answer()
    };
    let count = 98_000;
    assert_refused(server, long_append(&scene, 300_000, term), 413);
    let before = scene.state();
    assert_fault(&send(&long_append(&scene, count, 0)), -32602, "wrong parameters");
    assert_fault(&send(&long_append(&scene, count, term + 1)), -32602, "wrong parameters");
    assert_eq!(scene.state(), before);
    // The leader might have sent it: anyone who can reach the servers can pretend to be a peer.
    assert!(says(&send(&long_append(&scene, count, term)).unwrap(), "success", true));
    let count = i64::try_from(count).unwrap();
    assert_eq!(scene.state().last_log, (before.last_log.0 + count + 1, term));
    scene.assert_elects();
    for id in 0..3 {
        let most = most_resident(&mut scene.cluster, id);
        assert!(most <= RESIDENT_MAX, "server {id} took {most} bytes");
    }
    wait_until(PATIENCE, "all have the entries of the server that was elected", || {
        let of = |id: usize| scene.cluster.at(id).state().last_log;
        of(0) == of(1) && of(1) == of(2)
    });
}

/// Anyone can ask for a vote in the name of a peer, and is answered. Its connections must not take all places.
#[test]
fn idle_connections_in_the_name_of_a_peer_do_not_keep_callers_out() {
    let (cluster, leader) = led_with(3, "ulimit -n 64");
    let crowd_at = |id: usize| {
        let peer = Identity([i64::try_from((id + 1) % 3).unwrap(), 3, 0, 1, 0, 0, 0, 0, 0]);
        let question = message(peer, &[("ballot", 0.into()), ("preVote", true.into())], &[]);
        let question = write_call("surfstore.requestVote", |out| {
            out.param(|out| out.value(&packed(&question)))
        });
        let ask = || {
            let mut stranger = Raw::to(cluster.at(id));
            stranger.send(post(&question)).unwrap();
            // There may be no place for it.
            stranger.try_response().map(|response| {
                assert!(response.answer().is_ok(), "it is answered like a peer");
                stranger
            })
        };
        (0..16).map(|_| ask()).collect::<Vec<_>>()
    };
    let crowd: Vec<_> = cluster.running().into_iter().map(crowd_at).collect();
    assert!(crowd.iter().all(|crowd| crowd.iter().any(Result::is_ok)));
    for id in cluster.running() {
        for _ in 0..10 {
            assert_eq!(cluster.at(id).another().call("surfstore.ping", &[]), TRUE, "server {id}");
        }
    }
    cluster.at(leader).another().crash();
    let next = cluster.leader();
    assert_eq!(cluster.at(next).another().update("a", 1, &hash("x")), TRUE);
    drop(crowd);
    assert_unharmed(&cluster);
}
