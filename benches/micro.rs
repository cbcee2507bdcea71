//! The cost of each part of a call: XML, the messages between servers, the core's steps, the gate. `cargo bench --bench
//! micro`
//!
//! Each is one function on bytes or values in memory, without sockets, clocks or other threads. Its result is checked.

use std::time::Duration;

use surfstore::metadata::Update;

fn main() {
    divan::Divan::from_args().min_time(Duration::from_millis(250)).main();
}

/// The update that gives the file of that number this version, with two hashes as long as those of SHA-256.
fn update(file: usize, version: i64) -> Update {
    let hash = |block: usize| format!("{:064x}", 2 * file + block).as_str().into();
    Update { name: format!("file{file:04}").into(), version, hashes: [hash(0), hash(1)].into() }
}

/// The largest update that is accepted: one file of so many blocks.
fn large_update() -> Update {
    const HASHES: usize = 43_600;
    let hashes = (0..HASHES).map(|block| format!("{block:064x}").as_str().into()).collect();
    Update { name: "large".into(), version: 1, hashes }
}

mod xml {
    use std::sync::Arc;

    use divan::Bencher;
    use divan::counter::BytesCount;
    use surfstore::config::Config;
    use surfstore::metadata::Files;
    use surfstore::protocol::{Answer, Ask, Asked, TypedCall, read_call, write_answer};
    use surfstore::raft::Reply;
    use surfstore::value::Value;
    use surfstore::xmlrpc::{parse_call, parse_response};

    use super::{large_update, update};

    #[divan::bench]
    fn parse_ping(bencher: Bencher<'_, '_>) {
        parse(bencher, &Ask::Ping.document(), 0);
    }

    #[divan::bench]
    fn parse_updatefile(bencher: Bencher<'_, '_>) {
        let update = update(1, 1);
        let hashes = update.hashes.value();
        let ask = Ask::Update(&update.name, update.version, &hashes);
        parse(bencher, &ask.document(), 3);
    }

    #[divan::bench]
    fn parse_updatefile_of_4_mib(bencher: Bencher<'_, '_>) {
        parse(bencher, &large_document(), 3);
    }

    /// What else is done with it: its size is computed, and it is packed.
    #[divan::bench]
    fn read_updatefile_of_4_mib(bencher: Bencher<'_, '_>) {
        let document = large_document();
        assert!(
            matches!(read_call(&document), Ok(Asked::One((_, Ok(TypedCall::Raft(_)))))),
            "it is accepted"
        );
        bencher.counter(BytesCount::of_slice(&document)).bench(|| read_call(&document));
    }

    fn large_document() -> Vec<u8> {
        let update = large_update();
        Ask::Update(&update.name, update.version, &update.hashes.value()).document()
    }

    fn parse(bencher: Bencher<'_, '_>, document: &[u8], params: usize) {
        let read = parse_call(document).and_then(|call| call.params);
        assert_eq!(read.map(|read| read.len()), Ok(params));
        bencher.counter(BytesCount::of_slice(document)).bench(|| parse_call(document));
    }

    /// As the client reads it.
    #[divan::bench(args = [10, 1000])]
    fn parse_map(bencher: Bencher<'_, '_>, count: usize) {
        let document = write_answer(&map(count), &config());
        let Ok(Ok(Value::Struct(files))) = parse_response(&document) else { panic!("not a map") };
        assert_eq!(files.len(), count);
        bencher.counter(BytesCount::of_slice(&document)).bench(|| parse_response(&document));
    }

    #[divan::bench]
    fn write_boolean(bencher: Bencher<'_, '_>) {
        write(bencher, &Answer::Boolean(true));
    }

    #[divan::bench(args = [10, 1000])]
    fn write_map(bencher: Bencher<'_, '_>, count: usize) {
        write(bencher, &map(count));
    }

    fn write(bencher: Bencher<'_, '_>, answer: &Answer) {
        let config = config();
        let document = write_answer(answer, &config);
        assert!(matches!(parse_response(&document), Ok(Ok(_))), "an answer can be read");
        bencher.counter(BytesCount::of_slice(&document)).bench(|| write_answer(answer, &config));
    }

    fn map(count: usize) -> Answer {
        let mut files = Files::default();
        (0..count).for_each(|file| assert!(files.apply(&Arc::new(update(file, 1)))));
        Answer::Raft(Reply::Files(files))
    }

    fn config() -> Config {
        Config::parse("M: 1\nmetadata0: localhost:1\n").expect("a good configuration")
    }
}

mod peers {
    use std::sync::Arc;

    use divan::Bencher;
    use divan::counter::BytesCount;
    use surfstore::metadata::Update;
    use surfstore::protocol::{Asked, TypedCall, read_call, write_request};
    use surfstore::raft::{self, Command, Entry, Request, Term};

    use super::{large_update, update};
    use support::raft::{append, at};

    #[divan::bench(args = [1, 64, 1000])]
    fn write_append(bencher: Bencher<'_, '_>, entries: usize) {
        write(bencher, updates(entries));
    }

    #[divan::bench]
    fn write_append_of_4_mib(bencher: Bencher<'_, '_>) {
        write(bencher, vec![entry(large_update())]);
    }

    fn write(bencher: Bencher<'_, '_>, entries: Vec<Entry>) {
        let request = Request::AppendEntries(append(1, at(0, 0), entries));
        let bytes = BytesCount::of_slice(&write_request(&request));
        bencher.counter(bytes).bench(|| write_request(&request));
    }

    #[divan::bench(args = [1, 64, 1000])]
    fn read_append(bencher: Bencher<'_, '_>, entries: usize) {
        read(bencher, updates(entries));
    }

    #[divan::bench]
    fn read_append_of_4_mib(bencher: Bencher<'_, '_>) {
        read(bencher, vec![entry(large_update())]);
    }

    fn read(bencher: Bencher<'_, '_>, entries: Vec<Entry>) {
        let request = append(1, at(0, 0), entries);
        let document = write_request(&Request::AppendEntries(request.clone()));
        let call = TypedCall::Raft(raft::Call::AppendEntries(request));
        let Ok(Asked::One((_, read))) = read_call(&document) else { panic!("a call") };
        assert_eq!(read, Ok(call));
        bencher.counter(BytesCount::of_slice(&document)).bench(|| read_call(&document));
    }

    fn updates(count: usize) -> Vec<Entry> {
        (0..count).map(|file| entry(update(file, 1))).collect()
    }

    fn entry(update: Update) -> Entry {
        Entry { term: Term(1), command: Command::Update(Arc::new(update)) }
    }
}

/// There are 1,000 files, and each call finds the server as the previous one left it.
mod core {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use divan::Bencher;
    use divan::counter::ItemsCount;
    use surfstore::raft::{
        Call, CallId, Command, Effect, Entry, Event, Reply, Request, Server, Term,
    };

    use super::update;
    use support::raft::{
        AppendEntries, AppendOutcome, accepted, append, appends, at, follower, leader, outcome,
    };

    const FILES: usize = 1000;

    /// From the call to the answer, and until both followers know of the commit: five steps.
    #[divan::bench]
    fn update_at_a_leader_of_three(bencher: Bencher<'_, '_>) {
        let call = |(file, version)| Event::Call(CallId(1), Call::Update(update(file, version)));
        let mut calls = changes().map(call);
        let mut running = Some(leader(3));
        let mut step = |call| {
            let (server, effects) = running.take().expect("a server").step(call);
            let (server, answer) = settle(server, effects);
            assert_eq!(answer, Some(Reply::Updated(true)));
            running = Some(server);
        };
        calls.by_ref().take(FILES).for_each(&mut step);
        bencher.with_inputs(|| calls.next()).bench_local_values(|call| call.map(&mut step));
    }

    /// The server after the followers have accepted everything it sent, and its answer to the caller.
    fn settle(mut server: Server, effects: Vec<Effect>) -> (Server, Option<Reply>) {
        let mut effects = VecDeque::from(effects);
        let mut answer = None;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send { to, request: Request::AppendEntries(request) } => {
                    let further;
                    (server, further) = server.step(accepted(to.0, &request));
                    effects.extend(further);
                }
                Effect::Reply(_, reply) => answer = Some(reply),
                Effect::Send { .. }
                | Effect::ArmTimer(_)
                | Effect::StopTimers
                | Effect::Discard(_)
                | Effect::Save(_) => {}
            }
        }
        (server, answer)
    }

    /// The follower stores 64 entries and applies the 64 before them.
    #[divan::bench]
    fn append_of_64_at_a_follower(bencher: Bencher<'_, '_>) {
        let mut entries = changes().map(|(file, version)| Entry {
            term: Term(1),
            command: Command::Update(Arc::new(update(file, version))),
        });
        let mut last = at(1, 1);
        let mut append_of = |count| {
            let mut request = append(1, last, entries.by_ref().take(count).collect());
            request.leader_commit = last.index;
            last = at(1, request.last_index().0);
            request
        };
        let mut running = Some(follower(3));
        let mut step = |request: AppendEntries| {
            let committed = request.leader_commit;
            let (server, effects) = running.take().expect("a server").step(appends(request));
            assert_eq!(outcome(&effects), AppendOutcome::Accepted);
            assert_eq!(server.status().last_applied, committed);
            running = Some(server);
        };
        step(append_of(FILES));
        step(append_of(64));
        let bencher = bencher.counter(ItemsCount::new(64_u32));
        bencher.with_inputs(|| append_of(64)).bench_local_values(&mut step);
    }

    /// Every file's next version in turn, without end.
    fn changes() -> impl Iterator<Item = (usize, i64)> {
        (1..).flat_map(|version| (0..FILES).map(move |file| (file, version)))
    }
}

mod gate {
    use divan::Bencher;
    use divan::counter::BytesCount;
    use surfstore::gate::{Gate, Received};
    use surfstore::protocol::Ask;

    /// One request after another over one connection.
    #[divan::bench]
    fn ping(bencher: Bencher<'_, '_>) {
        let document = Ask::Ping.document();
        let head = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost:9001\r\nAccept-Encoding: gzip\r\n\
             Content-Type: text/xml\r\nUser-Agent: Python-xmlrpc/3.11\r\nContent-Length: {}\r\n\r\n",
            document.len()
        );
        let request = [head.as_bytes(), &document].concat();
        let mut gate = Gate::new("localhost");
        bencher.counter(BytesCount::of_slice(&request)).bench_local(|| {
            gate.push(&request);
            let Ok(Received::Request(request)) = gate.next() else { panic!("no request") };
            assert_eq!(request.body.len(), document.len());
            request
        });
    }
}
