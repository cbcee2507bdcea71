//! Callers that keep the server busy, and the other callers, which must be served all the same.

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{TRUE, hash};
use support::harness::Cluster;
use support::wait::{ELECTION, PATIENCE, wait_until};
use surfstore::value::Value;

use crate::crowds::Over;
use crate::raw::{Raw, post};
use crate::servers::assert_unharmed;

/// How long any other caller may have to wait, on a busy machine. Without fairness, a ping takes as long as the flood.
const TURN: Duration = Duration::from_millis(500);

const FLOOD: Duration = Duration::from_secs(3);

#[test]
fn a_flood_of_requests_over_one_connection_keeps_nobody_else_waiting() {
    let (cluster, leader) = Cluster::led(3);
    let term = cluster.at(leader).state().term;
    let page = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for request in [page, post(b"x")] {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = Over(&over);
            let mut flood = Raw::to(cluster.at(leader));
            let mut answers = flood.stream().try_clone().unwrap();
            let (over_at, requests) = (over.0, request.repeat(200));
            scope.spawn(move || {
                // To the end, which the other side causes.
                let mut buffer = vec![0; 1 << 20];
                while answers.read(&mut buffer).is_ok_and(|count| 0 < count) {}
            });
            scope.spawn(move || {
                while !over_at.load(Relaxed) && flood.send(&requests).is_ok() {}
                flood.finish();
            });
            let start = Instant::now();
            let mut longest = Duration::ZERO;
            while start.elapsed() < FLOOD {
                let asked = Instant::now();
                assert_eq!(cluster.at(leader).call("surfstore.ping", &[]), TRUE);
                longest = longest.max(asked.elapsed());
            }
            assert!(longest < TURN, "a ping took {longest:?}");
        });
    }
    assert_eq!(cluster.at(leader).state().term, term, "no server has missed the leader");
    assert_unharmed(&cluster);
}

#[test]
fn many_readers_of_a_large_map_that_are_answered_at_once_cost_no_leader_its_role() {
    const READERS: i64 = 500;
    let (cluster, leader) = Cluster::led(3);
    let large = hash(&"x".repeat(3_000_000));
    assert_eq!(cluster.at(leader).update("a", 1, &large), TRUE);
    let term = cluster.at(leader).state().term;
    cluster.crash(&cluster.others(leader));
    let reads: Vec<_> =
        (0..READERS).map(|_| cluster.at(leader).begin("surfstore.getfileinfomap", &[])).collect();
    wait_until(PATIENCE, "all wait", || cluster.at(leader).state().waiting_calls == READERS);
    cluster.restore(&cluster.others(leader));
    for read in reads {
        assert!(read.answer(PATIENCE).is_ok());
    }
    assert_eq!(cluster.at(leader).state().term, term, "no server has missed the leader");
    assert_unharmed(&cluster);
}

#[test]
fn calls_of_many_calls_take_no_more_memory_than_other_answers() {
    let (mut cluster, id) = Cluster::led(1);
    let process = cluster.process(id).id();
    let server = cluster.at(id);
    assert_eq!(server.update("a", 1, &hash(&"x".repeat(1 << 20))), TRUE);
    let read = Value::Struct(
        [
            ("methodName".into(), "surfstore.getfileinfomap".into()),
            ("params".into(), Value::Array([].into())),
        ]
        .into(),
    );
    let several = surfstore::xmlrpc::write_call("system.multicall", |out| {
        out.param(|out| out.value(&Value::Array(vec![read; 64].into())));
    });
    let callers: Vec<_> = (0..12)
        .map(|_| {
            let mut caller = Raw::to(server);
            caller.send(post(&several)).unwrap();
            caller
        })
        .collect();
    wait_until(ELECTION, "others are served", || server.another().files().is_ok());
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10;
    assert!(peak < 256, "the server held {peak} MiB");
    drop(callers);
    assert_unharmed(&cluster);
}
