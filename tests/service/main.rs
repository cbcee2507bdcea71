//! The service without sockets: which calls wait, what is answered when, and what timers cause.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod cluster;
mod view;

use std::iter;
use std::time::{Duration, Instant};

use cluster::{Answer, Called, Cluster, page_request};
use sha2::{Digest, Sha256};
use surfstore::config::Config;
use surfstore::monitor::Process;
use surfstore::protocol::{self, Ask, fault};
use surfstore::raft::{
    CallId, Compaction, HURRY_SPREAD_MS, Incarnation, Origin, Saved, ServerId, WAITING_MAX,
};
use surfstore::service::{Action, AnswerBudget, HeldBytes, Input, Service, Settings};
use surfstore::value::Value;
use surfstore::xmlrpc::{self, write_call};

const TRUE: Answer = Ok(Value::Boolean(true));

fn update(name: &str, version: i64) -> Vec<u8> {
    Ask::Update(name, version, &["h".into()].into()).document()
}

/// The document of a multicall of these calls.
fn multicall(calls: &[(&str, &[Value])]) -> Vec<u8> {
    let call = |(name, params): &(&str, &[Value])| {
        let params = Value::Array((*params).into());
        Value::Struct([("methodName".into(), (*name).into()), ("params".into(), params)].into())
    };
    let calls = Value::Array(calls.iter().map(call).collect());
    write_call("system.multicall", |params| params.param(|writer| writer.value(&calls)))
}

/// The answer to a multicall: for each call its value, or the code of its fault.
#[track_caller]
fn answers(answer: Answer) -> Vec<Result<Value, i32>> {
    let Ok(Value::Array(answers)) = answer else { panic!("{answer:?}") };
    let one = |answer: &Value| match answer {
        Value::Array(only) => Ok(only[0].clone()),
        Value::Struct(members) => match members.iter().find(|(name, _)| **name == *"faultCode") {
            Some((_, Value::Int(code))) => Err(i32::try_from(*code).unwrap()),
            _ => panic!("{members:?}"),
        },
        other => panic!("{other:?}"),
    };
    answers.iter().map(one).collect()
}

/// Isolates a leader from the others. It stays the leader until it hears of another one.
fn cut_off(cluster: &mut Cluster, leader: u8) {
    cluster.isolated.insert(leader);
}

#[track_caller]
fn taken(cluster: &mut Cluster, called: Called) -> Answer {
    cluster.answers.remove(&called).expect("it is answered")
}

#[test]
fn three_servers_elect_a_leader_and_confirm_an_update_in_the_bytes_that_servers_send() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let called = cluster.send(leader, &update("a", 1));
    assert_eq!(taken(&mut cluster, called), TRUE);
    for id in 0..3 {
        assert_eq!(cluster.answer(id, &Ask::Version("a")), Ok(1.into()), "at server {id}");
        assert_eq!(cluster.answer(id, &Ask::IsLeader), Ok(Value::Boolean(id == leader)));
    }
    assert!(cluster.lines.iter().any(|line| line.ends_with("is the leader of term 1")));
    let others = (0..3).filter(|id| *id != leader);
    for (id, kind, term) in others.flat_map(|id| [(id, "pre-vote", 0), (id, "vote", 1)]) {
        let grants = format!("grants its {kind} in term {term}");
        let answered = format!("answers server {leader}: it {grants}");
        for line in [format!("server {id} {grants}"), answered] {
            assert!(cluster.details.contains(&line), "{line:?} is not in {:?}", cluster.details);
        }
    }
    assert!(cluster.details.iter().all(|line| !line.contains("append")), "all are accepted");
}

#[test]
fn a_call_waits_for_a_majority_and_is_answered_once_it_is_back() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cut_off(&mut cluster, leader);
    let calls = [cluster.send(leader, &update("a", 1)), cluster.call(leader, &Ask::Files)];
    cluster.pass(Duration::from_millis(300));
    assert!(cluster.answers.is_empty());
    cluster.isolated.clear();
    cluster.pass(Duration::from_millis(300));
    assert_eq!(taken(&mut cluster, calls[0]), TRUE);
    assert!(taken(&mut cluster, calls[1]).is_ok());
}

/// The leader that a server names to a caller whose call it does not serve itself.
#[track_caller]
fn named(cluster: &mut Cluster, at: u8) -> Option<String> {
    let Err(refused) = cluster.answer(at, &Ask::Files) else { panic!("{at} leads") };
    assert_eq!(refused.code, fault::NOT_LEADER, "{refused:?}");
    fault::named_leader(&refused).map(str::to_owned)
}

/// A caller that is sent to a leader that has ended has lost time.
#[test]
fn a_server_whose_leaders_connections_have_closed_names_no_leader_until_it_knows_that_there_is_one()
{
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let address = |id: u8| Some(format!("localhost:{}", 9001 + u16::from(id)));
    let soon = Duration::from_millis(HURRY_SPREAD_MS);
    for at in followers {
        assert_eq!(named(&mut cluster, at), address(leader));
        cluster.disconnect(leader, at);
        assert_eq!(named(&mut cluster, at), None);
    }
    cluster.pass(soon);
    assert_eq!(cluster.leader(), Some(leader), "it is alive, and says so");
    for at in followers {
        assert_eq!(named(&mut cluster, at), address(leader));
    }
    cluster.answer(leader, &Ask::Crash).unwrap();
    followers.iter().for_each(|at| cluster.disconnect(leader, *at));
    assert_eq!(followers.map(|at| named(&mut cluster, at)), [None, None]);
    cluster.pass(soon);
    let next = cluster.leader().expect("the others have elected a leader");
    let other = followers.into_iter().find(|at| *at != next).unwrap();
    assert_eq!(named(&mut cluster, other), address(next));
}

#[test]
fn a_caller_that_hangs_up_is_not_answered_and_its_place_is_free() {
    let (mut cluster, leader) = Cluster::led(3, 2);
    cut_off(&mut cluster, leader);
    let [one, _two] = [(); 2].map(|()| cluster.call(leader, &Ask::Files));
    let Err(refused) = cluster.answer(leader, &Ask::Files) else { panic!("there is no slot") };
    assert_eq!(refused.code, fault::BUSY);
    assert_eq!(cluster.answer(leader, &Ask::Ping), TRUE, "it need not wait");
    cluster.hang_up(one);
    let three = cluster.call(leader, &Ask::Files);
    assert!(cluster.answers.is_empty(), "it waits in the slot of the first");
    cluster.isolated.clear();
    cluster.pass(Duration::from_millis(300));
    assert!(taken(&mut cluster, three).is_ok());
    assert!(!cluster.answers.contains_key(&one));
}

#[test]
fn a_crashed_server_answers_what_it_may_and_closes_its_connections_once() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let waiting = {
        cut_off(&mut cluster, leader);
        cluster.send(leader, &update("a", 1))
    };
    assert_eq!(cluster.answer(leader, &Ask::Crash), TRUE);
    let Err(lost) = taken(&mut cluster, waiting) else { panic!("its outcome is not known") };
    assert_eq!(lost.code, fault::OUTCOME_UNKNOWN);
    assert_eq!(cluster.answer(leader, &Ask::Crash), TRUE);
    assert_eq!(cluster.disconnected[usize::from(leader)], 1);
    assert_eq!(cluster.answer(leader, &Ask::IsCrashed), TRUE);
    let Err(refused) = cluster.answer(leader, &Ask::Files) else { panic!("it is crashed") };
    assert_eq!(refused.code, fault::CRASHED);
    assert_eq!(cluster.service(leader).deadline(), None, "no timer runs");
    assert_eq!(cluster.answer(leader, &Ask::Restore), TRUE);
    assert!(cluster.service(leader).deadline().is_some());
}

/// What a multicall has read is memory, like what is still on its way.
#[test]
fn large_multicalls_wait_only_as_far_as_there_is_room_and_small_ones_always() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cut_off(&mut cluster, leader);
    let block = Value::Base64(vec![0; 5 << 20].into());
    let large = multicall(&[("getfileinfomap", &[]), ("putblock", &[block])]);
    let small = multicall(&[("getfileinfomap", &[]), ("putblock", &["b".into()])]);
    let waiting: Vec<Called> = (0..12).map(|_| cluster.send(leader, &large)).collect();
    assert!(cluster.answers.is_empty(), "all of them wait");
    let refused = cluster.send(leader, &large);
    let Err(busy) = taken(&mut cluster, refused) else { panic!("there is no room") };
    assert_eq!((busy.code, &busy.message[..5]), (fault::BUSY, "busy:"));
    let small = cluster.send(leader, &small);
    cluster.hang_up(waiting[0]);
    let next = cluster.send(leader, &large);
    assert!(cluster.answers.is_empty(), "a small one waits, and one in the place of the first");
    cluster.isolated.clear();
    cluster.pass(Duration::from_millis(300));
    for called in waiting[1..].iter().chain([&small, &next]) {
        let answers = answers(taken(&mut cluster, *called));
        assert_eq!(answers[1], Ok(Value::Boolean(true)));
    }
    let again = cluster.send(leader, &large);
    assert!(taken(&mut cluster, again).is_ok(), "the room is free again");
}

#[test]
fn the_calls_of_a_multicall_are_made_one_after_another() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let hashes = Value::Array(["h".into()].into());
    let called = cluster.send(
        leader,
        &multicall(&[
            ("updatefile", &["a".into(), 1.into(), hashes.clone()]),
            ("tester_getversion", &["a".into()]),
            ("updatefile", &["a".into(), 1.into(), hashes.clone()]),
            ("system.multicall", &[Value::Array([].into())]),
            ("crash", &[]),
            ("isCrashed", &[]),
            ("updatefile", &["a".into(), 2.into(), hashes]),
            ("noSuchMethod", &[]),
            ("restore", &[]),
            ("tester_getversion", &["a".into()]),
        ]),
    );
    let (yes, no) = (Value::Boolean(true), Value::Boolean(false));
    let answered = answers(taken(&mut cluster, called));
    let [wrong, crashed] = [fault::WRONG_PARAMETERS, fault::CRASHED];
    assert_eq!(
        answered,
        [
            Ok(yes.clone()),
            Ok(1.into()),
            Ok(no),
            Err(wrong),
            Ok(yes.clone()),
            Ok(yes.clone()),
            Err(crashed),
            Err(fault::NO_SUCH_METHOD),
            Ok(yes),
            Ok(1.into())
        ]
    );
}

#[test]
fn what_is_left_of_a_multicall_is_not_done_once_its_caller_has_hung_up() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cut_off(&mut cluster, leader);
    let called = cluster.send(leader, &multicall(&[("getfileinfomap", &[]), ("crash", &[])]));
    cluster.hang_up(called);
    cluster.isolated.clear();
    cluster.pass(Duration::from_millis(300));
    assert_eq!(cluster.answer(leader, &Ask::IsCrashed), Ok(Value::Boolean(false)));
    assert!(!cluster.answers.contains_key(&called));
}

#[test]
fn every_call_is_counted_those_of_a_multicall_too() {
    let (mut cluster, _) = Cluster::led(1, WAITING_MAX);
    cluster.answer(0, &Ask::Ping).unwrap();
    let called = cluster.send(0, &multicall(&[("ping", &[]), ("ping", &[])]));
    taken(&mut cluster, called).unwrap();
    let called = cluster.send(0, b"garbage");
    taken(&mut cluster, called).unwrap_err();
    let page = cluster.page(0, "/metrics?x").unwrap();
    let counts = |method: &str| {
        let line = format!("{{method=\"{method}\"}}");
        page.body
            .lines()
            .find(|text| text.contains("_count") && text.contains(&line))
            .map(|text| text.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!(counts("surfstore.ping").as_deref(), Some("3"), "{}", page.body);
    assert_eq!(counts("system.multicall").as_deref(), Some("1"));
    let not_understood =
        page.body.lines().find(|line| line.starts_with("surfstore_rpc_not_understood_total"));
    assert_eq!(not_understood, Some("surfstore_rpc_not_understood_total 1"), "{}", page.body);
    assert_eq!(cluster.page(0, "/nothing"), None);
}

/// Ballots that are lost at once make a server a candidate and a follower several times in a row.
#[test]
fn repeated_ballots_without_a_leader_in_between_are_told_once() {
    let (mut cluster, leader) = Cluster::led(5, WAITING_MAX);
    let up = [(leader + 1) % 5, (leader + 2) % 5];
    let crashed = [leader, (leader + 3) % 5, (leader + 4) % 5];
    crashed.iter().for_each(|id| _ = cluster.answer(*id, &Ask::Crash).unwrap());
    (cluster.lines, cluster.details) = (Vec::new(), Vec::new());
    up.iter().for_each(|at| cluster.disconnect(leader, *at));
    cluster.pass(Duration::from_secs(2));
    let stands = |line: &&String| line.contains("stands for election");
    let follows = |line: &&String| line.contains("is a follower");
    assert!(2 < cluster.details.iter().filter(stands).count(), "{:?}", cluster.details);
    assert!(2 < cluster.details.iter().filter(follows).count(), "{:?}", cluster.details);
    assert_eq!(cluster.lines.iter().filter(stands).count(), 2, "{:?}", cluster.lines);
    assert_eq!(cluster.lines.iter().filter(follows).count(), 0, "{:?}", cluster.lines);

    crashed.iter().for_each(|id| _ = cluster.answer(*id, &Ask::Restore).unwrap());
    cluster.lines.clear();
    cluster.pass(Duration::from_secs(5));
    let next = cluster.leader().expect("a majority is back");
    for id in up.into_iter().filter(|id| *id != next) {
        let line = format!("server {id} is a follower in term ");
        assert!(cluster.lines.iter().any(|told| told.starts_with(&line)), "{:?}", cluster.lines);
    }
}

#[test]
fn a_deadline_that_has_not_come_changes_nothing() {
    let mut cluster = Cluster::start(3, WAITING_MAX, 1);
    let deadlines = (0..3).filter_map(|id| cluster.service(id).deadline());
    let first = deadlines.min().expect("a server that starts becomes a candidate");
    cluster.pass(first - cluster.now - Duration::from_millis(1));
    (0..3).for_each(|id| cluster.tick(id));
    assert!(cluster.lines.is_empty(), "{:?}", cluster.lines);
    cluster.pass(Duration::from_secs(2));
    assert!(cluster.leader().is_some());
}

/// Other calls run between those of a multicall, and the news of a commit is sent before a later call of it crashes the
/// server.
#[test]
fn a_multicall_takes_turns_with_everything_else() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let hashes = Value::Array(["h".into()].into());
    let update: &[Value] = &["a".into(), 1.into(), hashes];
    let several = multicall(&[("updatefile", update), ("crash", &[])]);
    let called = cluster.send(leader, &several);
    let done = answers(taken(&mut cluster, called));
    assert_eq!(done, [Ok(Value::Boolean(true)), Ok(Value::Boolean(true))]);
    for id in (0..3).filter(|id| *id != leader) {
        assert_eq!(cluster.answer(id, &Ask::Version("a")), Ok(1.into()), "at server {id}");
    }
}

/// A server that is alone, and leads.
struct Alone {
    service: Option<Service>,
    now: Instant,
}

impl Alone {
    /// A server that may use so much memory.
    fn within(memory_max: usize) -> Alone {
        Alone::from(Origin::Memory(Incarnation(1)), memory_max)
    }

    /// A server that starts with this, and may use so much memory.
    fn from(origin: Origin, memory_max: usize) -> Alone {
        let settings = Settings {
            cluster: surfstore::raft::Cluster::new(ServerId(0), 1).unwrap(),
            config: Config::parse("M: 1\nmetadata0: localhost:9001\n").unwrap(),
            origin,
            compaction: Compaction::within(memory_max),
            rng: fastrand::Rng::with_seed(1),
            waiting_max: WAITING_MAX,
            budget: AnswerBudget::default(),
            requests: HeldBytes::default(),
            memory_max,
        };
        let now = Instant::now();
        Alone { service: Some(Service::start(settings, now).0), now }
    }

    /// A server with four files of 1 MiB.
    fn with_a_large_map() -> Alone {
        let mut alone = Alone::within(usize::MAX);
        for file in 0..4 {
            let hashes = Value::from("h".repeat(1 << 20).as_str());
            let document = Ask::Update(&file.to_string(), 1, &hashes).document();
            assert_eq!(alone.handle(called(file, document)).0, [(file, TRUE)]);
        }
        alone
    }

    /// Handles an input. Returns the answers, whether there is more to do, and how many reads wait for their map.
    fn handle(&mut self, input: Input) -> (Vec<(u64, Answer)>, (bool, usize)) {
        let (next, actions) = self.service.take().unwrap().handle(self.now, input);
        let more = (next.has_more(), next.reads());
        self.service = Some(next);
        (answers_of(actions), more)
    }
}

#[test]
fn only_a_leader_shows_how_far_the_others_are() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cluster.answer(leader, &Ask::Update("a", 1, &["h".into()].into())).unwrap();
    let last = cluster.service(leader).server().status().last_log.index.0;
    for id in 0..3 {
        let page = cluster.page(id, "/metrics").unwrap();
        let name = "surfstore_raft_peer_match_index{";
        let samples = page.body.lines().filter(|line| line.starts_with(name));
        let matches: Vec<u64> =
            samples.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(matches, if id == leader { vec![last; 2] } else { vec![] }, "{id}");
    }
}

#[test]
fn what_the_disk_reports_is_shown_and_the_start_is_no_sync() {
    let origin = Origin::Disk(Saved::new(Incarnation::on_disk(1)));
    let mut alone = Alone::from(origin, usize::MAX);
    let mut report = |number, disk_bytes| {
        let took = Duration::from_millis(3);
        let input = Input::Saved { number, log_bytes: 0, disk_bytes, took };
        let service = alone.service.take().unwrap().handle(alone.now, input).0;
        let page =
            |target| service.page(&page_request(target), Process::default, alone.now).unwrap().body;
        let metrics = page("/metrics");
        let metric = |name: &str| {
            let name = format!("surfstore_disk_{name} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap().to_owned()
        };
        let shown = (metric("bytes"), metric("sync_duration_seconds_count"), page("/status"));
        alone.service = Some(service);
        shown
    };
    let (bytes, syncs, status) = report(0, 5000);
    assert_eq!((&*bytes, &*syncs), ("5000", "0"));
    assert!(status.contains("\"diskKibibytes\":5,"), "{status}");
    assert!(status.contains("\"lastSyncMilliseconds\":-1,"), "{status}");
    let (bytes, syncs, status) = report(1, 6000);
    assert_eq!((&*bytes, &*syncs), ("6000", "1"));
    assert!(status.contains("\"lastSyncMilliseconds\":3,"), "{status}");
}

/// A call that came in at the beginning.
fn called(id: u64, document: Vec<u8>) -> Input {
    Input::Call { id: CallId(id), asked: protocol::read_call(&document), since: Instant::now() }
}

/// The answers among the actions: whose they are, and what they say.
fn answers_of(actions: Vec<Action>) -> Vec<(u64, Answer)> {
    let answer = |action| match action {
        Action::Answer { id, document } => {
            Some((id.0, xmlrpc::parse_response(&document.bytes()).unwrap()))
        }
        Action::Save(_) | Action::SaveSnapshot(_) => panic!("it has no disk"),
        Action::Send { .. } | Action::Disconnect | Action::Discard(_) | Action::Log(..) => None,
    };
    actions.into_iter().filter_map(answer).collect()
}

/// The version of file 0 in the map that a read was answered with.
fn version(answer: &Answer) -> i64 {
    let Ok(Value::Struct(files)) = answer else { panic!("{answer:?}") };
    let Value::Array(info) = &files[0].1 else { panic!("{files:?}") };
    let Value::Int(version) = info[0] else { panic!("{info:?}") };
    version
}

#[test]
fn while_a_large_map_is_written_other_calls_are_answered_and_later_reads_get_a_later_map() {
    let mut server = Alone::with_a_large_map();
    let mut handle = |input| server.handle(input);
    assert_eq!(handle(called(10, Ask::Files.document())), (vec![], (true, 1)));
    assert_eq!(handle(called(11, Ask::Ping.document())).0, [(11, TRUE)]);
    assert_eq!(handle(called(12, update("0", 2))).0, [(12, TRUE)]);
    for id in [13, 14] {
        assert_eq!(handle(called(id, Ask::Files.document())).0, []);
    }
    assert_eq!(handle(Input::HangUp(CallId(13))).1, (true, 2));
    let mut answered = Vec::new();
    let mut ticks = 0;
    let mut more = true;
    while more {
        let (answers, (has_more, _)) = handle(Input::Tick);
        (more, ticks) = (has_more, ticks + 1);
        answered.extend(answers.iter().map(|(id, answer)| (*id, version(answer))));
    }
    assert_eq!(answered, [(10, 1), (14, 2)]);
    assert!(4 <= ticks, "{ticks} ticks");
}

/// A pending read ends at a crash, even if the core has confirmed it already.
#[test]
fn a_read_whose_map_is_being_written_ends_when_its_server_crashes() {
    let mut server = Alone::with_a_large_map();
    assert_eq!(server.handle(called(10, Ask::Files.document())), (vec![], (true, 1)));
    let (answers, (_, reads)) = server.handle(called(11, Ask::Crash.document()));
    let [(10, Err(ended)), (11, Ok(Value::Boolean(true)))] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!((ended.code, reads), (fault::CRASHED, 0));
    while server.handle(Input::Tick).1.0 {}
}

/// A block of 1 MiB that is stored at the server, and the document of a call for it.
fn stored_block(server: &mut Alone) -> (Value, Vec<u8>) {
    let content: Box<[u8]> =
        (0..1 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    let name = name_of(&content);
    let block = Value::Base64(content);
    let put = call_of("putblock", &block);
    assert_eq!(server.handle(called(1, put)).0, [(1, TRUE)]);
    (block, call_of("getblock", &name))
}

/// The SHA-256 of a block in hexadecimal.
fn name_of(content: &[u8]) -> Value {
    let digits = Sha256::digest(content).into_iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().as_str().into()
}

fn call_of(method: &str, param: &Value) -> Vec<u8> {
    write_call(method, |params| params.param(|writer| writer.value(param)))
}

/// So many names of blocks, of which the first is stored at the server.
fn names(server: &mut Alone, count: usize) -> Value {
    let put = call_of("putblock", &Value::Base64(b"a"[..].into()));
    assert_eq!(server.handle(called(2, put)).0, [(2, TRUE)]);
    let others = (1..count).map(|number| Value::from(format!("{number:064x}").as_str()));
    std::iter::once(name_of(b"a")).chain(others).collect()
}

#[test]
fn while_long_answers_about_blocks_are_written_other_calls_are_answered() {
    let mut server = Alone::with_a_large_map();
    let (block, get_block) = stored_block(&mut server);
    let asked = names(&mut server, 20_000);
    let first = |count: usize| {
        let Value::Array(names) = &asked else { panic!("{asked:?}") };
        names.iter().take(count).cloned().collect::<Value>()
    };
    let mut handle = |input| server.handle(input);
    assert_eq!(handle(called(10, get_block.clone())), (vec![], (true, 0)));
    assert_eq!(handle(called(11, call_of("hasblocks", &asked))).0, []);
    assert_eq!(handle(called(12, get_block)).0, []);
    assert_eq!(handle(called(13, Ask::Ping.document())).0, [(13, TRUE)]);
    assert_eq!(handle(called(14, call_of("hasblocks", &first(10)))).0, [(14, Ok(first(1)))]);
    assert_eq!(handle(Input::HangUp(CallId(12))).1, (true, 0));
    let mut answered = Vec::new();
    let mut ticks = 0;
    let mut more = true;
    while more {
        let (answers, (has_more, _)) = handle(Input::Tick);
        (more, ticks) = (has_more, ticks + 1);
        answered.extend(answers);
    }
    assert!(answered == [(10, Ok(block)), (11, Ok(first(1)))]);
    assert!(10 <= ticks, "{ticks} ticks");
}

#[test]
fn calls_whose_long_answers_are_being_written_end_when_their_server_crashes() {
    let mut server = Alone::with_a_large_map();
    let (_, get_block) = stored_block(&mut server);
    assert_eq!(server.handle(called(10, get_block)), (vec![], (true, 0)));
    let (answers, (has_more, _)) = server.handle(called(11, Ask::Crash.document()));
    let [(10, Err(ended)), (11, Ok(Value::Boolean(true)))] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!((ended.code, has_more), (fault::CRASHED, false));
}

#[test]
fn a_multicall_waits_for_the_long_answers_of_its_calls() {
    let mut server = Alone::with_a_large_map();
    let (block, _) = stored_block(&mut server);
    let Value::Base64(content) = &block else { panic!("{block:?}") };
    let name = name_of(content);
    let names = names(&mut server, 5000);
    let several = [("getblock", &[name][..]), ("hasblocks", &[names][..]), ("ping", &[])];
    assert_eq!(server.handle(called(10, multicall(&several))).0, []);
    let mut ticks = iter::repeat_with(|| server.handle(Input::Tick).0);
    let given = ticks.find(|answers| !answers.is_empty()).unwrap();
    let [(10, answer)] = &given[..] else { panic!("one call is answered") };
    let expected = [block, [name_of(b"a")].into(), true.into()];
    assert!(answers(answer.clone()) == expected.map(Ok));
}

#[test]
fn names_of_blocks_wait_only_as_far_as_there_is_room_and_few_always() {
    let mut server = Alone::with_a_large_map();
    let many = protocol::read_call(&call_of("hasblocks", &names(&mut server, 80_000)));
    let few = protocol::read_call(&call_of("hasblocks", &names(&mut server, 1000)));
    let ask = |server: &mut Alone, id, asked: &Result<_, _>| {
        let since = Instant::now();
        server.handle(Input::Call { id: CallId(id), asked: asked.clone(), since }).0
    };
    let refused =
        (10..30).find_map(|id| ask(&mut server, id, &many).pop()).expect("not all may wait");
    let (6.., Err(busy)) = (refused.0 - 10, &refused.1) else { panic!("{refused:?}") };
    assert_eq!((busy.code, &busy.message[..5]), (fault::BUSY, "busy:"));
    assert_eq!(ask(&mut server, 30, &few), [(30, Ok([name_of(b"a")].into()))]);
    assert_eq!(server.handle(Input::HangUp(CallId(10))).0, []);
    assert_eq!(ask(&mut server, 31, &many), [], "it waits in the room of the first");
}

/// Calls of all kinds, disconnecting clients, and servers that come and go: each call is answered once, and a call that
/// need not wait is answered immediately.
#[test]
fn every_call_is_answered_once_whatever_happens() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let size = rng.u8(1..=5);
        let mut cluster = Cluster::start(size, rng.usize(1..10), seed);
        let mut waiting: Vec<Called> = Vec::new();
        for _ in 0..300 {
            let at = rng.u8(0..size);
            let name = ["a", "b"][rng.usize(0..2)];
            let kind = rng.u8(0..12);
            let document = match kind {
                0 => Ask::Crash.document(),
                1..3 => Ask::Restore.document(),
                3 => multicall(&[("getfileinfomap", &[]), ("ping", &[]), ("getfileinfomap", &[])]),
                4 => b"garbage".to_vec(),
                5 => Ask::Ping.document(),
                6..9 => Ask::Files.document(),
                _ => update(name, rng.i64(1..5)),
            };
            let called = cluster.send(at, &document);
            let is_at_once = matches!(kind, 0 | 1 | 2 | 4 | 5);
            assert!(!is_at_once || cluster.answers.contains_key(&called), "seed {seed}: {kind}");
            waiting.push(called);
            if rng.u8(0..10) == 0 {
                let gone = waiting.swap_remove(rng.usize(0..waiting.len()));
                cluster.hang_up(gone);
            }
            if rng.u8(0..10) == 0 {
                let isolated = rng.u8(0..size);
                if !cluster.isolated.remove(&isolated) {
                    cluster.isolated.insert(isolated);
                }
            }
            cluster.pass(Duration::from_millis(rng.u64(0..200)));
        }
        cluster.isolated.clear();
        (0..size).for_each(|id| _ = cluster.answer(id, &Ask::Restore));
        cluster.pass(Duration::from_secs(10));
        for called in &waiting {
            assert!(cluster.answers.contains_key(called), "seed {seed}: {called:?} waits for ever");
        }
        // Nothing is left of any of them: every slot is free, and only the cached map counts.
        let leader = cluster.leader().unwrap_or_else(|| panic!("seed {seed}: no server leads"));
        let map = cluster.answer(leader, &Ask::Files);
        assert!(map.is_ok(), "seed {seed}: {map:?}");
        assert_eq!(cluster.service(leader).server().status().waiting, 0, "seed {seed}");
        for budget in &cluster.budgets {
            assert!(budget.bytes() < 2_000, "seed {seed}: {} bytes are held", budget.bytes());
        }
    }
}

/// The answer to an update of a file with one hash of that length: whether it took effect, or the code of its fault.
fn update_of(alone: &mut Alone, file: &str, version: i64, bytes: usize) -> Result<bool, i32> {
    let hashes = Value::from("h".repeat(bytes).as_str());
    let document = Ask::Update(file, version, &hashes).document();
    match alone.handle(called(1, document)).0.remove(0).1 {
        Ok(Value::Boolean(took_effect)) => Ok(took_effect),
        Err(fault) => Err(fault.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn updates_beyond_the_memory_are_busy_and_everything_else_goes_on() {
    let mut alone = Alone::within(1 << 20);
    let mut files = 0;
    while let Ok(took_effect) = update_of(&mut alone, &files.to_string(), 1, 10_000) {
        assert!(took_effect);
        files += 1;
        assert!(files < 200, "memory is bounded");
    }
    // An eighth is the log's, and the map counts twice.
    assert!((42..=46).contains(&files), "{files}");
    let mut read = alone.handle(called(2, Ask::Files.document())).0;
    while read.is_empty() {
        read = alone.handle(Input::Tick).0;
    }
    assert!(matches!(&read[0].1, Ok(Value::Struct(map)) if map.len() == files));
    assert_eq!(update_of(&mut alone, "more", 1, 10_000), Err(fault::BUSY));
    assert_eq!(update_of(&mut alone, "0", 2, 10_001), Err(fault::BUSY));
    let version = called(3, Ask::Version("0").document());
    assert_eq!(alone.handle(version).0, [(3, Ok(1.into()))], "a busy update has no effect");
    // What takes no more than it replaces is taken, and makes room.
    assert_eq!(update_of(&mut alone, "0", 2, 10_000), Ok(true));
    assert_eq!(update_of(&mut alone, "1", 2, 1), Ok(true));
    assert_eq!(update_of(&mut alone, "1", 2, 1), Ok(false));
    assert_eq!(update_of(&mut alone, "2", 2, 1), Ok(true));
    assert_eq!(update_of(&mut alone, "more", 1, 9_000), Ok(true));
}
