//! Messages that a stranger sends as if a peer had: they change nothing that only peers may change, and prevent no
//! election.

use surfstore::value::Value;

use crate::client::{Answer, State, assert_fault, hash, list};
use crate::harness::Cluster;
use crate::memory::{RESIDENT_MAX, most_resident};
use crate::raw::{Raw, assert_refused, post};
use crate::servers::assert_unharmed;
use crate::wait::{ELECTION, PATIENCE, wait_until};

/// Numbers that no term, index or counter has: the greatest is 2^53.
const ABSURD: [i64; 4] = [-1, (1 << 53) + 1, i64::MAX, i64::MIN];

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
        cluster.agree(leader, &cluster.running(), "a", 1);
        let follower = cluster.others(leader)[0];
        Scene { cluster, leader, follower, version: 1 }
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

    /// A heartbeat as the leader might send it to its follower, with some members changed.
    fn heartbeat(&self, changes: &[(&str, Value)]) -> Value {
        let state = self.state();
        let (index, term) = state.last_log;
        let members = [
            ("term", state.term.into()),
            ("leaderId", id(self.leader)),
            ("prevLogIndex", index.into()),
            ("prevLogTerm", term.into()),
            ("entries", list([])),
            ("leaderCommit", state.commit_index.into()),
            ("round", 1_000_000.into()),
            ("hasMajority", true.into()),
        ];
        changed(&members, changes)
    }

    /// A pre-vote as the third server might ask the follower for, with some members changed.
    fn ballot(&self, changes: &[(&str, Value)]) -> Value {
        let state = self.state();
        let (index, term) = state.last_log;
        let members = [
            ("term", (state.term + 1).into()),
            ("candidateId", id(3 - self.leader - self.follower)),
            ("lastLogIndex", index.into()),
            ("lastLogTerm", term.into()),
            ("ballot", 1_000_000.into()),
            ("preVote", true.into()),
        ];
        changed(&members, changes)
    }

    /// Sends the follower something after which it must be as before.
    #[track_caller]
    fn changes_nothing(&self, method: &str, message: &Value) -> Answer {
        let before = self.state();
        let answer =
            self.cluster.at(self.follower).another().call(method, std::slice::from_ref(message));
        assert_eq!(self.state(), before, "{message:?}");
        answer
    }

    /// Checks that a forged append with these members is refused.
    #[track_caller]
    fn assert_no_append(&self, changes: &[(&str, Value)]) {
        let answer = self.changes_nothing("surfstore.appendEntries", &self.heartbeat(changes));
        assert_fault(&answer, -32602, "wrong parameters");
    }

    /// Checks that a forged request for a vote with these members is refused, also in a pre-vote.
    #[track_caller]
    fn assert_no_ballot(&self, changes: &[(&str, Value)]) {
        for pre_vote in [true, false] {
            let ballot = self.ballot(&[changes, &[("preVote", pre_vote.into())]].concat());
            let answer = self.changes_nothing("surfstore.requestVote", &ballot);
            assert_fault(&answer, -32602, "wrong parameters");
        }
    }

    /// Crashes the leader, and checks that another is elected in time, and that all is well after that.
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

/// A struct of these members, of which some are changed.
fn changed(members: &[(&str, Value)], changes: &[(&str, Value)]) -> Value {
    let value = |(name, value): &(&str, Value)| {
        let change = changes.iter().find(|(changed, _)| changed == name);
        (Box::from(*name), change.map_or(value, |(_, change)| change).clone())
    };
    Value::Struct(members.iter().map(value).collect())
}

/// A no-op of that term.
fn noop(term: i64) -> Value {
    list([term.into()])
}

#[test]
fn forged_terms_and_indexes_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for number in ABSURD {
        for member in ["term", "prevLogIndex", "prevLogTerm", "leaderCommit", "round"] {
            scene.assert_no_append(&[(member, number.into())]);
        }
        for member in ["term", "lastLogIndex", "lastLogTerm", "ballot"] {
            scene.assert_no_ballot(&[(member, number.into())]);
        }
    }
    scene.assert_elects();
    scene.assert_no_append(&[("term", 0.into())]);
    scene.assert_no_append(&[("prevLogIndex", 0.into())]);
    scene.assert_no_append(&[("prevLogTerm", 0.into())]);
    scene.assert_no_append(&[("prevLogTerm", (scene.state().term + 1).into())]);
    scene.assert_no_ballot(&[("term", 0.into())]);
    scene.assert_no_ballot(&[("lastLogTerm", 0.into())]);
    scene.assert_no_ballot(&[("lastLogTerm", (scene.state().term + 1).into())]);
    scene.assert_elects();
}

#[test]
fn messages_of_servers_that_are_no_peers_or_do_not_lead_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for stranger in [id(scene.follower), 3.into(), 9.into(), 255.into(), 256.into(), (-1).into()] {
        scene.assert_no_append(&[("leaderId", stranger.clone())]);
        // Nobody is known to lead the term after.
        let next = scene.state().term + 1;
        scene.assert_no_append(&[("leaderId", stranger.clone()), ("term", next.into())]);
        scene.assert_no_ballot(&[("candidateId", stranger)]);
    }
    let third = id(3 - scene.leader - scene.follower);
    scene.assert_no_append(&[("leaderId", third)]);
    scene.assert_elects();
}

#[test]
fn forged_entries_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    let term = scene.state().term;
    let garbage = [
        Value::from("x"),
        list([]),
        noop(-1),
        noop(0),
        noop(term + 1),
        list(["x".into()]),
        list([term.into(), "x".into()]),
        list([term.into(), 7.into()]),
        list([term.into(), list([])]),
        list([term.into(), list(["a".into(), 2.into()])]),
        list([term.into(), list(["a".into(), "2".into(), hash("x")])]),
        list([term.into(), list(["a".into(), 2.into(), "x".into()])]),
        list([term.into(), list([Value::Base64([].into()), 2.into(), hash("x")])]),
        list([term.into(), list(["a".into(), 2.into(), hash("x")]), 7.into()]),
    ];
    for entry in garbage {
        let entries = list([noop(term), entry]);
        scene.assert_no_append(&[("entries", entries)]);
    }
    scene.assert_no_append(&[("entries", 7.into())]);
    scene.assert_elects();
    let term = scene.state().term;
    let falling = list([noop(term), noop(term - 1)]);
    scene.assert_no_append(&[("entries", falling)]);
    let committed = [("prevLogIndex", 0.into()), ("prevLogTerm", 0.into())];
    let others = [("entries", list([noop(term), noop(term)]))];
    scene.assert_no_append(&[&committed[..], &others].concat());
    scene.assert_elects();
}

#[test]
fn messages_with_members_missing_or_of_other_types_are_refused_and_prevent_no_election() {
    let mut scene = Scene::new();
    for method in ["surfstore.appendEntries", "surfstore.requestVote"] {
        let whole = match method {
            "surfstore.appendEntries" => scene.heartbeat(&[]),
            _ => scene.ballot(&[]),
        };
        let Value::Struct(members) = whole else { unreachable!("a message is a struct") };
        for index in 0..members.len() {
            let mut missing = members.to_vec();
            missing.remove(index);
            let mut other = members.to_vec();
            other[index].1 = "1".into();
            for members in [missing, other] {
                let answer = scene.changes_nothing(method, &Value::Struct(members.into()));
                assert_fault(&answer, -32602, "wrong parameters");
            }
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
        let term = scene.state().term;
        let gap = [("prevLogIndex", index.into()), ("entries", list([noop(term)]))];
        let reply = scene.changes_nothing("surfstore.appendEntries", &scene.heartbeat(&gap));
        assert!(says(&reply.unwrap(), "success", false));
    }
    for term in [1, 2, 1 << 53] {
        let term = scene.state().term + term;
        let ballot = scene.ballot(&[("term", term.min(1 << 53).into())]);
        let reply = scene.changes_nothing("surfstore.requestVote", &ballot);
        assert!(says(&reply.unwrap(), "voteGranted", false));
    }
    scene.assert_elects();
}

fn says(reply: &Value, name: &str, truth: bool) -> bool {
    let Value::Base64(packed) = reply else { return false };
    let Some(Value::Struct(members)) = Value::unpack(packed) else { return false };
    members.iter().any(|(member, value)| **member == *name && *value == Value::Boolean(truth))
}

/// The request of an append of so many no-ops, each spelled as shortly as can be, and one more of another term.
fn long_append(scene: &Scene, count: usize, last_term: i64) -> Vec<u8> {
    let term = scene.state().term;
    let entry = |term: i64| {
        format!("<value><array><data><value><i4>{term}</i4></value></data></array></value>")
    };
    let message = scene.heartbeat(&[("entries", "ENTRIES".into())]);
    let call = surfstore::xmlrpc::write_call("surfstore.appendEntries", |out| {
        out.param(|out| out.value(&message));
    });
    let entries = entry(term).repeat(count) + &entry(last_term);
    let entries = format!("<array><data>{entries}</data></array>");
    let call = String::from_utf8(call).unwrap();
    post(call.replace("<string>ENTRIES</string>", &entries).as_bytes())
}

/// As many as fit into a request: of a million, 123 thousand.
#[test]
fn an_append_of_as_many_entries_as_a_request_holds_is_judged_like_any_other() {
    let mut scene = Scene::new();
    let server = scene.cluster.at(scene.follower);
    let term = scene.state().term;
    let million = long_append(&scene, 1_000_000, term);
    assert_refused(server, &million, 413);
    let before = scene.state();
    let send = |request: &[u8]| {
        let mut connection = Raw::to(server);
        connection.send(request).unwrap();
        connection.response().answer()
    };
    assert_fault(&send(&long_append(&scene, 122_000, 0)), -32602, "wrong parameters");
    assert_fault(&send(&long_append(&scene, 122_000, term + 1)), -32602, "wrong parameters");
    assert_eq!(scene.state(), before);
    // The leader might have sent it: whoever can reach the servers can lie as a peer.
    assert!(says(&send(&long_append(&scene, 122_000, term)).unwrap(), "success", true));
    assert_eq!(scene.state().last_log, (before.last_log.0 + 122_001, term));
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
