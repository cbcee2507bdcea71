//! Deadlines: a slow caller is dropped in time, and keeps no other caller waiting.

use std::thread;
use std::time::{Duration, Instant};

use support::client::{Client, TRUE, hash};
use support::crowd::SlowCrowd;
use support::harness::Cluster;
use surfstore::value::Value;

use crate::raw::{Raw, call, ping, post};
use crate::servers::assert_unharmed;

/// How much later than its deadline a connection may end: the supervisor's interval, and a busy machine.
const SLACK: Duration = Duration::from_secs(2);

const BEGIN: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

#[track_caller]
fn assert_took(start: Instant, seconds: u64) {
    let (took, deadline) = (start.elapsed(), Duration::from_secs(seconds));
    assert!(deadline - Duration::from_millis(50) <= took, "dropped after {took:?}");
    assert!(took < deadline + SLACK, "dropped only after {took:?}");
}

/// Sends a byte a second until the server answers.
fn trickle(connection: &mut Raw) {
    while connection.is_silent_for(Duration::from_secs(1)) {
        let _ = connection.send("x");
    }
}

fn a_head_that_comes_byte_by_byte_is_refused_after_5_s(server: &Client) {
    for begin in ["P", &format!("{BEGIN}X: ")] {
        let mut connection = Raw::to(server);
        let start = Instant::now();
        connection.send(begin).unwrap();
        trickle(&mut connection);
        assert_took(start, 5);
        assert_eq!(connection.response().status, 408);
        connection.assert_closed();
    }
}

fn a_body_that_comes_byte_by_byte_is_refused_after_10_s(server: &Client) {
    let mut connection = Raw::to(server);
    let start = Instant::now();
    connection.send(format!("{BEGIN}Content-Length: 1000\r\n\r\n")).unwrap();
    trickle(&mut connection);
    assert_took(start, 10);
    assert_eq!(connection.response().status, 408);
    connection.assert_closed();
}

fn a_body_that_never_comes_is_refused_after_10_s(server: &Client) {
    let mut connection = Raw::to(server);
    let start = Instant::now();
    connection.send(format!("{BEGIN}Transfer-Encoding: chunked\r\n\r\n")).unwrap();
    assert_eq!(connection.response().status, 408);
    assert_took(start, 10);
    connection.assert_closed();
}

fn a_body_of_2_kib_a_second_is_served(server: &Client) {
    let document = [&b" ".repeat(28 << 10)[..], b"<nothing/>"].concat();
    let request = post(&document);
    let mut connection = Raw::to(server);
    for piece in request.chunks(2 << 10) {
        connection.send(piece).unwrap();
        thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(connection.response().status, 200);
}

fn a_connection_that_is_idle_is_closed_after_30_s(server: &Client) {
    let mut silent = Raw::to(server);
    let mut served = Raw::to(server);
    served.send(ping()).unwrap();
    assert_eq!(served.response().answer(), TRUE);
    let start = Instant::now();
    served.assert_closed();
    assert_took(start, 30);
    silent.assert_closed();
    assert_took(start, 30);
}

/// The file map is larger than what sockets buffer.
fn an_answer_that_is_not_read_is_given_up_after_10_s(server: &Client) {
    let mut connection = Raw::to(server);
    connection.send(post(&call("surfstore.getfileinfomap")).repeat(8)).unwrap();
    // Long enough for the deadline, and nothing is read meanwhile.
    thread::sleep(Duration::from_secs(10) + SLACK);
    let whole = std::iter::from_fn(|| connection.try_response().ok()).count();
    assert!(whole < 8, "{whole} answers came whole");
}

fn others_are_served_meanwhile(server: &Client) {
    let start = Instant::now();
    let mut took = Vec::new();
    while start.elapsed() < Duration::from_secs(15) {
        let asked = Instant::now();
        assert_eq!(server.call("surfstore.ping", &[]), TRUE);
        took.push(asked.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    took.sort_unstable();
    let slow = took[took.len() * 99 / 100];
    assert!(slow < Duration::from_millis(100), "the 99th percentile is {slow:?}");
}

/// All at once, because each takes as long as its deadline.
#[test]
fn a_caller_that_is_too_slow_is_dropped_at_the_deadline_and_others_are_served_meanwhile() {
    let (cluster, id) = Cluster::led(1);
    let hashes = Value::Array(vec!["x".repeat(1 << 10).as_str().into(); 2 << 10].into());
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.at(id).update(name, 1, &hashes), TRUE);
    }
    let claims: [fn(&Client); 7] = [
        a_head_that_comes_byte_by_byte_is_refused_after_5_s,
        a_body_that_comes_byte_by_byte_is_refused_after_10_s,
        a_body_that_never_comes_is_refused_after_10_s,
        a_body_of_2_kib_a_second_is_served,
        a_connection_that_is_idle_is_closed_after_30_s,
        an_answer_that_is_not_read_is_given_up_after_10_s,
        others_are_served_meanwhile,
    ];
    thread::scope(|scope| {
        for claim in claims {
            let server = cluster.at(id).another();
            scope.spawn(move || claim(&server));
        }
    });
    assert_eq!(cluster.at(id).another().update("a", 2, &hash("x")), TRUE);
    assert_unharmed(&cluster);
}

/// How late the slowest of a hundred pings and updates is, over some seconds.
fn late(server: &Client, versions: &mut impl Iterator<Item = i64>) -> Duration {
    let start = Instant::now();
    let mut took = Vec::new();
    while start.elapsed() < Duration::from_secs(12) {
        let asked = Instant::now();
        assert_eq!(server.call("surfstore.ping", &[]), TRUE);
        assert_eq!(server.update("late", versions.next().unwrap(), &hash("x")), TRUE);
        took.push(asked.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// The part `attack` of the benchmark `speed` measures the delay; here no call may be kept waiting.
#[test]
fn two_hundred_callers_of_a_byte_a_second_keep_nobody_else_waiting() {
    let (cluster, id) = Cluster::led(3);
    let server = cluster.at(id);
    let hashes = Value::Array(vec!["x".repeat(1 << 10).as_str().into(); 256].into());
    assert_eq!(server.update("large", 1, &hashes), TRUE);
    let crowd = SlowCrowd::at(server.address());
    let late = late(&server.another(), &mut (1..));
    drop(crowd);
    assert!(late < Duration::from_millis(100), "the 99th percentile is {late:?}");
    assert_unharmed(&cluster);
}
