//! Calls that are not calls, or of no method, or forged: each gets its fault and changes nothing.

use support::client::{Client, State, TRUE, assert_fault, hash, list, packed};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::config::Config;
use surfstore::raft::NUMBER_MAX;
use surfstore::value::{Double, Value};

/// A struct.
fn structure(members: &[(&str, Value)]) -> Value {
    Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

/// A cluster with a file, and the states of its servers, which have become stable.
fn settled() -> (Cluster, usize, Vec<State>) {
    let (cluster, leader) = Cluster::led(3);
    cluster.await_whole();
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let states = states(&cluster);
    assert!(states.iter().all(|state| state.commit_index == states[leader].commit_index));
    (cluster, leader, states)
}

/// The same after a second election, so that there is a past term. A request of that term is harmless in itself: if all
/// of it is right, it is answered and changes nothing.
fn settled_in_a_later_term() -> (Cluster, usize, Vec<State>) {
    let (cluster, first, _) = settled();
    cluster.crash(&[first]);
    let leader = cluster.leader();
    cluster.restore(&[first]);
    wait_until(PATIENCE, "all servers are in the same state", || {
        let [one, two, three] = &states(&cluster)[..] else { panic!("there are three") };
        let same = |a: &State, b: &State| {
            (a.term, a.commit_index, a.last_log) == (b.term, b.commit_index, b.last_log)
        };
        same(one, two)
            && same(two, three)
            && cluster.at(first).state().leader == cluster.at(leader).address().into()
    });
    let states = states(&cluster);
    (cluster, leader, states)
}

fn states(cluster: &Cluster) -> Vec<State> {
    cluster.running().into_iter().map(|id| cluster.at(id).state()).collect()
}

/// Checks that the calls left no trace: neither in the servers' states, nor in the map, nor later.
fn assert_unchanged(cluster: &Cluster, leader: usize, before: &[State]) {
    assert_eq!(states(cluster), before);
    assert_eq!(cluster.at(leader).files().unwrap()["a.txt"], (1, hash("a.txt 1")));
    cluster.agree(leader, &cluster.running(), "a.txt", 2);
    assert_eq!(cluster.at(leader).state().term, before[leader].term);
}

#[test]
fn wrong_parameters_are_refused_and_change_nothing() {
    let (cluster, leader, before) = settled();
    let (name, version, hashes) = (Value::from("a.txt"), Value::from(2), hash("x"));
    let half = Value::Double(Double::new(2.5).unwrap());
    let wide = Value::Int(2_147_483_648);
    let calls: Vec<(&str, Vec<Value>)> = vec![
        ("surfstore.ping", vec![1.into()]),
        ("surfstore.isLeader", vec![1.into()]),
        ("surfstore.isCrashed", vec!["".into()]),
        ("surfstore.crash", vec![true.into()]),
        ("surfstore.restore", vec![true.into()]),
        ("surfstore.status", vec![0.into()]),
        ("surfstore.getfileinfomap", vec![name.clone()]),
        ("surfstore.tester_getversion", vec![]),
        ("surfstore.tester_getversion", vec![1.into()]),
        ("surfstore.tester_getversion", vec![name.clone(), name.clone()]),
        ("surfstore.updatefile", vec![]),
        ("surfstore.updatefile", vec![name.clone(), version.clone()]),
        (
            "surfstore.updatefile",
            vec![name.clone(), version.clone(), hashes.clone(), hashes.clone()],
        ),
        ("surfstore.updatefile", vec![version.clone(), name.clone(), hashes.clone()]),
        ("surfstore.updatefile", vec![name.clone(), "2".into(), hashes.clone()]),
        ("surfstore.updatefile", vec![name.clone(), true.into(), hashes.clone()]),
        ("surfstore.updatefile", vec![name.clone(), half, hashes.clone()]),
        ("surfstore.updatefile", vec![list([name.clone()]), version.clone(), hashes]),
        ("surfstore.updatefile", vec![name, version, list([wide])]),
        ("surfstore.getblock", vec![]),
        ("surfstore.putblock", vec![1.into()]),
        ("surfstore.hasblocks", vec![list([list([])])]),
        ("system.listMethods", vec![1.into()]),
        ("system.methodHelp", vec![]),
        ("system.methodSignature", vec![1.into()]),
    ];
    for id in cluster.running() {
        for (method, params) in &calls {
            let answer = cluster.at(id).call(method, params);
            assert!(answer.is_err(), "{method} {params:?} was answered with {answer:?}");
            assert_fault(&answer, -32602, "");
        }
    }
    assert_unchanged(&cluster, leader, &before);
}

#[test]
fn methods_that_do_not_exist_are_refused_and_change_nothing() {
    let (cluster, leader, before) = settled();
    for method in [
        "surfstore",
        "surfstore.",
        "surfstore.surfstore.ping",
        "surfstore.update",
        "system.ping",
        "ping.",
        "system.multicall.x",
        "\u{1F600}",
        &"x".repeat(4096),
    ] {
        assert_fault(&cluster.at(leader).call(method, &[]), -32601, "");
    }
    let help = cluster.at(leader).call("system.methodHelp", &["no such method".into()]);
    assert!(help.is_err(), "{help:?}");
    assert_unchanged(&cluster, leader, &before);
}

#[test]
fn documents_that_are_no_calls_are_refused_and_change_nothing() {
    const CRASH: &str =
        "<methodCall><methodName>surfstore.crash</methodName><params/></methodCall>";
    let (cluster, leader, before) = settled();
    let doctype = format!("<!DOCTYPE methodCall [<!ENTITY a \"a\">]>{CRASH}");
    let not_well_formed = [
        "",
        " \n",
        "GET",
        "<methodCall>",
        &CRASH[..CRASH.len() - 1],
        &CRASH[..40],
        &format!("{CRASH}{CRASH}"),
        &format!("{CRASH}x"),
        &CRASH.replace("<params/>", "<params></param>"),
        &CRASH.replace("crash", "cr&ash"),
        &CRASH.replace("crash", "cr&unknown;ash"),
        &CRASH.replace("<params/>", "<params a=1/>"),
        &doctype,
        &format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)),
    ];
    for document in not_well_formed {
        let answer = cluster.at(leader).send(document.as_bytes());
        let shown: String = document.chars().take(80).collect();
        assert!(answer.as_ref().is_err_and(|fault| fault.code == -32700), "{shown}: {answer:?}");
    }
    let no_calls = [
        "<a/>",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        "<methodResponse><params/></methodResponse>",
        "<methodCall><methodName>surfstore.crash</methodName><methodName>x</methodName></methodCall>",
        "<methodCall><methodName>surfstore.crash</methodName><params><value/></params></methodCall>",
    ];
    for document in no_calls {
        assert_fault(&cluster.at(leader).send(document.as_bytes()), -32600, "");
    }
    for bytes in [&b"<methodCall>\xff</methodCall>"[..], b"<a>\0</a>", b"\xfe\xff\0<\0a\0/\0>"] {
        let fault = cluster.at(leader).send(bytes).unwrap_err();
        assert!((-32702..=-32700).contains(&fault.code), "{fault:?}");
    }
    assert_unchanged(&cluster, leader, &before);
}

/// A member of a peer's request in which every member is right, and wrong values to replace it.
type Forgery = (&'static str, Vec<Value>);

/// Terms, indexes and counters that no server has.
fn impossible_numbers() -> Vec<Value> {
    vec![
        (-1).into(),
        ((1 << 53) + 1).into(),
        i64::MAX.into(),
        i64::MIN.into(),
        "1".into(),
        true.into(),
    ]
}

/// The identity of a request's sender.
#[derive(Clone, Copy)]
struct Sender {
    id: usize,
    names: i64,
    term: i64,
    /// The history, and the index and term of the last entry.
    log: (i64, i64, i64),
}

impl Sender {
    /// A server of the set, in a later incarnation than the present one.
    fn of(cluster: &Cluster, id: usize, term: i64, log: (i64, i64, i64)) -> Sender {
        let digest = Config::read(&cluster.config()).unwrap().digest() % NUMBER_MAX;
        Sender { id, names: i64::try_from(digest).unwrap(), term, log }
    }

    fn numbers(self) -> [Value; 9] {
        let Sender { id, names, term, log: (history, index, log_term) } = self;
        let [incarnation, is_founded] = [5, 0];
        let id = id as i64;
        [id, 3, names, incarnation, term, history, is_founded, index, log_term].map(Value::from)
    }

    fn value(self) -> Value {
        list(self.numbers())
    }

    /// The sender with wrong values in one of its numbers; some of them also get these values.
    fn wrong(self, more: &[(usize, i64)]) -> Vec<Value> {
        let with = |place: usize, value: Value| {
            let mut numbers = self.numbers();
            numbers[place] = value;
            list(numbers)
        };
        let impossible = (0..9).flat_map(|place| {
            impossible_numbers().into_iter().map(move |value| with(place, value))
        });
        let more = more.iter().map(|(place, number)| with(*place, (*number).into()));
        let numbers = Vec::from(self.numbers());
        let few = Value::Array(numbers[1..].into());
        let many = Value::Array([&numbers[..], &[1.into()]].concat().into());
        impossible.chain(more).chain([few, many, list([]), 1.into(), "sender".into()]).collect()
    }
}

/// The places of a sender's numbers.
const ID: usize = 0;
const SIZE: usize = 1;
const INCARNATION: usize = 3;
const TERM: usize = 4;
const HISTORY: usize = 5;
const IS_FOUNDED: usize = 6;
const LAST_INDEX: usize = 7;
const LAST_TERM: usize = 8;

/// Numbers of a sender that no peer of that server has.
fn impossible_processes(target: usize) -> Vec<(usize, i64)> {
    let ids = [target as i64, 3, 256].map(|id| (ID, id));
    let sizes = [2, 4, 256].map(|size| (SIZE, size));
    [&ids[..], &sizes, &[(INCARNATION, 0)]].concat()
}

/// The history that all servers have.
fn history(cluster: &Cluster) -> i64 {
    i64::from_str_radix(&cluster.at(0).text("history"), 16).unwrap()
}

#[test]
fn forged_votes_are_refused_and_change_nothing() {
    let (cluster, leader, before) = settled_in_a_later_term();
    for target in cluster.running() {
        let peer = cluster.others(target)[0];
        for pre_vote in [false, true] {
            let sender = Sender::of(&cluster, peer, before[target].term - 1, (0, 0, 0));
            let right =
                [("sender", sender.value()), ("ballot", 1.into()), ("preVote", pre_vote.into())];
            let mut wrong = impossible_processes(target);
            wrong.extend([
                (HISTORY, 1),
                (IS_FOUNDED, 1),
                (LAST_INDEX, 1),
                (LAST_TERM, 1),
                (LAST_TERM, 1 << 53),
            ]);
            if !pre_vote {
                wrong.push((TERM, 0));
            }
            let wrong: [Forgery; 3] = [
                ("sender", sender.wrong(&wrong)),
                ("ballot", impossible_numbers()),
                ("preVote", vec![1.into(), "true".into(), list([])]),
            ];
            assert_forgeries_refused(cluster.at(target), "surfstore.requestVote", &right, &wrong);
        }
    }
    assert_unchanged(&cluster, leader, &before);
}

#[test]
fn forged_accounts_of_who_has_ended_are_refused_and_change_nothing() {
    let (cluster, leader, before) = settled_in_a_later_term();
    for target in cluster.running() {
        let peer = cluster.others(target)[0];
        let sender = Sender::of(&cluster, peer, before[target].term - 1, (0, 0, 0)).value();
        let account = |living: [i64; 3]| list(living.map(Value::from));
        let request = |account: Value, pre_vote: bool| {
            message(&[
                ("sender", sender.clone()),
                ("ballot", 1.into()),
                ("preVote", pre_vote.into()),
                ("account", account),
            ])
        };
        // The sender, in its incarnation, and another living server.
        let mut living = [0, 0, 0];
        living[target] = 6;
        living[peer] = 5;
        let [mut without_sender, mut without_majority] = [living; 2];
        without_sender[peer] = 7;
        without_majority[target] = 0;
        for wrong in [
            account(without_sender),
            account(without_majority),
            list([5.into(), 5.into()]),
            list([5.into(), 5.into(), 5.into(), 5.into()]),
            list([5.into(), 5.into(), (-1).into()]),
            list([5.into(), 5.into(), "x".into()]),
            list([]),
            1.into(),
        ] {
            let answer = cluster.at(target).call("surfstore.requestVote", &[request(wrong, false)]);
            assert_fault(&answer, -32602, "");
        }
        let of_pre_vote = request(account(living), true);
        assert_fault(&cluster.at(target).call("surfstore.requestVote", &[of_pre_vote]), -32602, "");
        let right = request(account(living), false);
        assert!(cluster.at(target).call("surfstore.requestVote", &[right]).is_ok());
    }
    assert_unchanged(&cluster, leader, &before);
}

#[test]
fn forged_appends_are_refused_and_change_nothing() {
    let (cluster, leader, before) = settled_in_a_later_term();
    let history = history(&cluster);
    for target in cluster.running() {
        let peer = cluster.others(target)[0];
        let term = before[target].term - 1;
        let sender = Sender::of(&cluster, peer, term, (history, 1, term));
        let right = [
            ("sender", sender.value()),
            ("receiver", 0.into()),
            ("prevLogIndex", 0.into()),
            ("prevLogTerm", 0.into()),
            ("entries", list([])),
            ("leaderCommit", 0.into()),
            ("round", 1.into()),
            ("hasMajority", true.into()),
        ];
        let roster_of = |term: i64, history: i64, members: &[i64]| {
            let members = members.iter().map(|number| Value::from(*number));
            list([term.into(), history.into(), Value::Array(members.collect())])
        };
        let roster = |members: &[i64]| list([roster_of(term, history, members)]);
        let opening = roster_of(term, history, &[0, 7]);
        let update = |update: Value| list([opening.clone(), list([term.into(), update])]);
        let entries = vec![
            1.into(),
            list([1.into()]),
            list([list([])]),
            list([list([term.into()])]),
            list([roster_of(term + 1, history, &[0, 7])]),
            list([roster_of(0, history, &[0, 7])]),
            list([roster_of(-1, history, &[0, 7])]),
            list([opening.clone(), roster_of(term - 1, history, &[0, 7])]),
            list([list([term.into(), history.into(), 1.into()])]),
            list([list([term.into(), history.into(), list([]), 1.into()])]),
            list([roster_of(term, history % (1 << 53) + 1, &[0, 7])]),
            roster(&[0]),
            roster(&[3, 7]),
            roster(&[256, 7]),
            roster(&[0, 0]),
            roster(&[0, -1]),
            roster(&[0, 7, 0, 8]),
            roster(&[0, 7, 1, 7]),
            // A term begins with a roster.
            list([list([term.into(), list(["a.txt".into(), 2.into(), packed(&list([]))])])]),
            update(list([])),
            update(list(["a.txt".into(), 2.into()])),
            update(list([1.into(), 2.into(), packed(&list([]))])),
            update(list(["a.txt".into(), "2".into(), packed(&list([]))])),
            update(list(["a.txt".into(), 2.into(), "x".into()])),
            update(structure(&[("name", "a.txt".into())])),
        ];
        let mut wrong = impossible_processes(target);
        wrong.extend([
            (TERM, 0),
            (HISTORY, 0),
            (LAST_INDEX, 0),
            (LAST_TERM, 0),
            (LAST_TERM, term + 1),
            (LAST_TERM, 1 << 53),
        ]);
        let wrong: [Forgery; 8] = [
            ("sender", sender.wrong(&wrong)),
            ("receiver", impossible_numbers()),
            ("prevLogIndex", [impossible_numbers(), vec![1.into()]].concat()),
            ("prevLogTerm", [impossible_numbers(), vec![term.into()]].concat()),
            ("entries", entries),
            ("leaderCommit", impossible_numbers()),
            ("round", impossible_numbers()),
            ("hasMajority", vec![1.into(), "".into()]),
        ];
        assert_forgeries_refused(cluster.at(target), "surfstore.appendEntries", &right, &wrong);
    }
    assert_unchanged(&cluster, leader, &before);
}

/// A message with these parts, which have names only here.
fn message(parts: &[(&'static str, Value)]) -> Value {
    packed(&plain(parts))
}

fn plain(parts: &[(&'static str, Value)]) -> Value {
    Value::Array(parts.iter().map(|(_, part)| part.clone()).collect())
}

/// Sends a peer's request with each of its parts in turn missing or wrong, and without any; and once as it is right.
#[track_caller]
fn assert_forgeries_refused(
    server: &Client,
    method: &str,
    right: &[(&'static str, Value)],
    wrong: &[Forgery],
) {
    let refused = |params: &[Value]| {
        let answer = server.call(method, params);
        let is_refused = answer.as_ref().is_err_and(|fault| fault.code == -32602);
        assert!(is_refused, "{method} {params:?} was answered with {answer:?}");
    };
    for (part, values) in wrong {
        let place = right.iter().position(|(name, _)| name == part).unwrap();
        let mut parts = right.to_vec();
        parts.remove(place);
        refused(&[message(&parts)]);
        for value in values {
            let mut parts = right.to_vec();
            parts[place].1 = value.clone();
            refused(&[message(&parts)]);
        }
    }
    let answer = server.call(method, &[message(right)]);
    assert!(answer.is_ok(), "{method} {right:?} was answered with {answer:?}");
    refused(&[]);
    refused(&[plain(right)]);
    for wrong in [structure(&[]), structure(right), list([]), "garbage".into()] {
        refused(&[packed(&wrong)]);
        refused(&[wrong]);
    }
    refused(&[message(right), message(right)]);
}

#[test]
fn a_forged_append_from_a_second_leader_of_the_term_is_refused() {
    let (cluster, leader, before) = settled();
    let [follower, usurper] = cluster.others(leader)[..] else { panic!("there are three") };
    let State { term, last_log: (index, log_term), .. } = before[leader];
    let log = (history(&cluster), index + 1, term);
    let sender = Sender::of(&cluster, usurper, term, log);
    let update = list(["a.txt".into(), 2.into(), packed(&list([]))]);
    for target in [leader, follower] {
        let forged = message(&[
            ("sender", sender.value()),
            ("receiver", 0.into()),
            ("prevLogIndex", index.into()),
            ("prevLogTerm", log_term.into()),
            ("entries", list([list([term.into(), update.clone()])])),
            ("leaderCommit", (index + 1).into()),
            ("round", 1_000_000.into()),
            ("hasMajority", true.into()),
        ]);
        let answer = cluster.at(target).call("surfstore.appendEntries", &[forged]);
        assert_fault(&answer, -32602, "");
    }
    assert_unchanged(&cluster, leader, &before);
}

#[test]
fn an_election_works_as_ever_after_a_flood_of_forgeries() {
    let (cluster, leader, before) = settled();
    let sender = list([77.into(), 3.into(), 1.into(), 1.into(), i64::MAX.into()]);
    let forged = message(&[("sender", sender), ("ballot", 1.into()), ("preVote", false.into())]);
    for id in cluster.running() {
        for _ in 0..200 {
            assert!(
                cluster
                    .at(id)
                    .call("surfstore.requestVote", std::slice::from_ref(&forged))
                    .is_err()
            );
        }
    }
    assert_eq!(states(&cluster), before);
    cluster.crash(&[leader]);
    let new = cluster.leader();
    assert_eq!(cluster.at(new).update("a.txt", 2, &hash("x")), TRUE);
    cluster.restore(&[leader]);
    wait_until(PATIENCE, "the restored server catches up", || {
        cluster.at(leader).version("a.txt") == 2
    });
}
