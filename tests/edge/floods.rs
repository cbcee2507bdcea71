//! Floods: endless requests, and more bodies than there is room for.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::client::{Client, TRUE};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::value::Value;

use crate::memory::{RESIDENT_MAX, addresses, await_memory, most_resident, resident};
use crate::raw::{Raw, call, ping, post};
use crate::servers::assert_unharmed;

const BEGIN: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

/// How much is sent of an endless request.
const FLOOD: usize = 300 << 20;

/// How soon the connection of such a sender ends: its bytes are read for two seconds, so that it sees the answer.
const ENDED: Duration = Duration::from_secs(5);

/// How much a server's memory may grow besides what it has to keep: buffers, and pages that it had not touched before.
const SLACK: u64 = 4 << 20;

/// The maximum size of a body, in bytes.
const BODY: u64 = 8 << 20;

/// The maximum size of the bodies of all connections, in bytes.
const BODIES: u64 = 64 << 20;

/// Sends so many bytes, and then a few from time to time, until the server accepts no more. Returns how many it
/// accepted, and how long that took.
fn push(mut stream: TcpStream, piece: &[u8]) -> (usize, Duration) {
    let start = Instant::now();
    let mut taken = 0;
    while start.elapsed() < PATIENCE && stream.write_all(piece).is_ok() {
        taken += piece.len();
        if FLOOD <= taken {
            thread::sleep(Duration::from_millis(50));
        }
    }
    (taken, start.elapsed())
}

/// Checks that a request that begins like this, and continues like that without end, is refused, and that its
/// connection ends.
#[track_caller]
fn assert_dammed(server: &Client, begin: &str, piece: &[u8], status: u16) {
    let mut connection = Raw::to(server);
    connection.send(begin).unwrap();
    let stream = connection.stream().try_clone().unwrap();
    let (taken, time) = thread::scope(|scope| {
        let pushing = scope.spawn(|| push(stream, piece));
        assert_eq!(connection.response().status, status, "{begin:?}");
        connection.assert_closed();
        assert_eq!(server.call("surfstore.ping", &[]), TRUE, "others are served meanwhile");
        pushing.join().unwrap()
    });
    assert!(time < ENDED, "{begin:?}: {taken} bytes were taken in {time:?}");
}

#[test]
fn heads_of_300_mb_are_refused_and_not_kept() {
    let (mut cluster, id) = Cluster::led(1);
    let before = resident(&mut cluster, id);
    let letters = [b'x'; 64 << 10];
    let lines = "X: y\r\n".repeat(10_000);
    assert_dammed(cluster.at(id), "POST /", &letters, 414);
    assert_dammed(cluster.at(id), &format!("{BEGIN}X: "), &letters, 431);
    assert_dammed(cluster.at(id), BEGIN, lines.as_bytes(), 431);
    let chunked = format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n");
    assert_dammed(cluster.at(id), &format!("{chunked}1;"), &letters, 431);
    assert_dammed(cluster.at(id), &format!("{chunked}0\r\n"), lines.as_bytes(), 431);
    let most = most_resident(&mut cluster, id);
    assert!(most <= before + SLACK, "the server took {before} bytes before and {most} meanwhile");
    assert_unharmed(&cluster);
}

#[test]
fn bodies_of_300_mb_are_refused_and_kept_no_further_than_to_the_bound() {
    let (mut cluster, id) = Cluster::led(1);
    let before = resident(&mut cluster, id);
    let letters = [b'x'; 64 << 10];
    assert_dammed(
        cluster.at(id),
        &format!("{BEGIN}Content-Length: {FLOOD}\r\n\r\n"),
        &letters,
        413,
    );
    let most = most_resident(&mut cluster, id);
    assert!(most <= before + SLACK, "the server took {before} bytes before and {most} meanwhile");
    let chunk = [b"10000\r\n", &letters[..], b"\r\n"].concat();
    for _ in 0..2 {
        let begin = format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n");
        assert_dammed(cluster.at(id), &begin, &chunk, 413);
    }
    let most = most_resident(&mut cluster, id);
    assert!(most <= before + BODY + SLACK, "the server took {before} bytes before and {most}");
    assert_unharmed(&cluster);
}

/// A ping with almost as much whitespace after it as a body may have.
fn big_ping() -> Vec<u8> {
    let call = call("surfstore.ping");
    let blanks = vec![b' '; usize::try_from(BODY).unwrap() - (100 << 10) - call.len()];
    post(&[call, blanks].concat())
}

/// Sends a request except its end, and waits until the server has read it.
fn send_nearly_all<'a>(cluster: &mut Cluster, id: usize, request: &'a [u8]) -> (Raw, &'a [u8]) {
    let before = resident(cluster, id);
    let mut connection = Raw::to(cluster.at(id));
    let (most, end) = request.split_at(request.len() - 1000);
    connection.send(most).unwrap();
    wait_until(PATIENCE, "the body has arrived", || {
        before + most.len() as u64 <= resident(cluster, id) + (1 << 20)
    });
    (connection, end)
}

#[test]
fn bodies_beyond_64_mib_in_all_are_refused_with_503_and_cost_no_other_its_place() {
    let (mut cluster, id) = Cluster::led(1);
    let before = resident(&mut cluster, id);
    let request = big_ping();
    let room = BODIES / request.len() as u64;
    for round in 0..2 {
        let held: Vec<_> = (0..room).map(|_| send_nearly_all(&mut cluster, id, &request)).collect();
        for _ in 0..4 {
            let mut late = Raw::to(cluster.at(id));
            // The server may close before everything is sent.
            let _ = late.send(&request);
            assert_eq!(late.response().status, 503);
            // Not even while the refused one is still open.
            let mut small = Raw::to(cluster.at(id));
            small.send(ping()).unwrap();
            assert_eq!(small.response().answer(), TRUE, "small calls are accepted");
            late.assert_closed();
        }
        for (mut connection, end) in held {
            assert!(connection.is_silent_for(Duration::from_millis(1)), "it waits for its end");
            connection.send(end).unwrap();
            assert_eq!(connection.response().answer(), TRUE);
        }
        let most = most_resident(&mut cluster, id);
        assert!(most <= RESIDENT_MAX, "round {round}: the server took {most} bytes");
        wait_until(PATIENCE, "there is room again", || {
            let mut connection = Raw::to(cluster.at(id));
            connection.send(&request).is_ok() && connection.response().status == 200
        });
        await_memory(&mut cluster, id, before);
    }
    let mut connection = Raw::to(cluster.at(id));
    connection.send(ping()).unwrap();
    assert_eq!(connection.response().answer(), TRUE);
    assert_unharmed(&cluster);
}

/// A body must not take the last addresses: if the allocator gets none, the process ends.
#[test]
fn large_bodies_are_refused_with_503_while_addresses_are_scarce() {
    let (mut cluster, id) = Cluster::led(1);
    let few = Some(addresses(&mut cluster, id) + (32 << 20));
    let few = Rlimit { current: few, maximum: getrlimit(Resource::As).maximum };
    let process = Pid::from_child(cluster.process(id));
    let request = big_ping();
    let many = prlimit(Some(process), Resource::As, few).unwrap();
    for _ in 0..10 {
        let mut large = Raw::to(cluster.at(id));
        // The server may close before everything is sent.
        let _ = large.send(&request);
        assert_eq!(large.response().status, 503);
        assert_eq!(cluster.at(id).call("surfstore.ping", &[]), TRUE, "small calls are accepted");
    }
    prlimit(Some(process), Resource::As, many).unwrap();
    let mut large = Raw::to(cluster.at(id));
    large.send(&request).unwrap();
    assert_eq!(large.response().answer(), TRUE);
    assert_unharmed(&cluster);
}

/// Peers have room of their own: what clients upload slowly must not hold up an update.
#[test]
fn bodies_that_take_all_the_room_of_followers_callers_delay_no_entries() {
    let (mut cluster, leader) = Cluster::led(3);
    let request = big_ping();
    let room = BODIES / request.len() as u64;
    let followers: Vec<usize> = (0..3).filter(|id| *id != leader).collect();
    let mut held = Vec::new();
    for id in &followers {
        held.extend((0..room).map(|_| send_nearly_all(&mut cluster, *id, &request)));
        let mut late = Raw::to(cluster.at(*id));
        let _ = late.send(&request);
        assert_eq!(late.response().status, 503, "there is no room for more of callers");
    }
    // More than what is left of the room for callers, which every connection has a little of.
    let hashes = Value::Array((0..12_000).map(|_| Value::from("h".repeat(64).as_str())).collect());
    assert_eq!(cluster.at(leader).update("a", 1, &hashes), TRUE);
    for id in followers {
        wait_until(PATIENCE, "it has the update", || cluster.at(id).version("a") == 1);
    }
    drop(held);
}
