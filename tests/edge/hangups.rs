//! Callers that wait for a majority and disconnect.

use std::time::{Duration, Instant};

use support::client::{FALSE, TRUE, hash, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::xmlrpc::write_call;

use crate::raw::{Raw, call, ping, post};
use crate::servers::assert_unharmed;

/// How soon the server notices that a caller has disconnected.
const NOTICED: Duration = Duration::from_secs(1);

/// A set whose leader has no majority.
fn without_majority() -> (Cluster, usize) {
    let (cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a", 1);
    cluster.crash(&cluster.others(leader));
    (cluster, leader)
}

/// The request of an update.
pub(crate) fn update_request(name: &str, version: i64) -> Vec<u8> {
    post(&write_call("surfstore.updatefile", |out| {
        for value in update(name, version, &hash("x")) {
            out.param(|out| out.value(&value));
        }
    }))
}

/// The request of the file map.
pub(crate) fn read_request() -> Vec<u8> {
    post(&call("surfstore.getfileinfomap"))
}

#[track_caller]
fn await_waiting(cluster: &Cluster, leader: usize, within: Duration, calls: i64) {
    wait_until(within, &format!("{calls} calls wait"), || {
        cluster.at(leader).state().waiting_calls == calls
    });
}

#[test]
fn a_caller_that_closes_its_connection_is_noticed_within_a_second() {
    let (cluster, leader) = without_majority();
    for request in [read_request(), update_request("a", 2)] {
        let mut connection = Raw::to(cluster.at(leader));
        connection.send(&request).unwrap();
        await_waiting(&cluster, leader, PATIENCE, 1);
        drop(connection);
        await_waiting(&cluster, leader, NOTICED, 0);
    }
    assert_unharmed(&cluster);
}

#[test]
fn a_caller_that_resets_its_connection_is_noticed_within_a_second() {
    let (cluster, leader) = without_majority();
    for request in [read_request(), update_request("a", 2)] {
        let mut connection = Raw::to(cluster.at(leader));
        connection.send([ping(), request].concat()).unwrap();
        await_waiting(&cluster, leader, PATIENCE, 1);
        // The answer to the first request is unread, so this is a reset.
        drop(connection);
        await_waiting(&cluster, leader, NOTICED, 0);
    }
    assert_unharmed(&cluster);
}

#[test]
fn a_caller_that_waits_and_sends_no_more_is_taken_for_gone() {
    let (cluster, leader) = without_majority();
    let mut connection = Raw::to(cluster.at(leader));
    connection.send(read_request()).unwrap();
    await_waiting(&cluster, leader, PATIENCE, 1);
    let start = Instant::now();
    connection.finish();
    await_waiting(&cluster, leader, NOTICED, 0);
    connection.assert_closed();
    assert!(start.elapsed() < 2 * NOTICED, "closed only after {:?}", start.elapsed());
}

#[test]
fn a_caller_in_http_1_0_that_waits_and_sends_no_more_gets_its_answer() {
    let (cluster, leader) = without_majority();
    let request =
        String::from_utf8(update_request("a", 2)).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let mut connection = Raw::to(cluster.at(leader));
    connection.send(&request).unwrap();
    connection.finish();
    let mut leaving = Raw::to(cluster.at(leader));
    // With the answer to another request unread, the end of the connection is a reset, which is unmistakable.
    leaving.send([ping(), request.into_bytes()].concat()).unwrap();
    await_waiting(&cluster, leader, PATIENCE, 2);
    drop(leaving);
    await_waiting(&cluster, leader, NOTICED, 1);
    assert!(connection.is_silent_for(2 * NOTICED), "it is waited for");
    cluster.restore(&cluster.others(leader));
    assert_eq!(connection.response().answer(), TRUE);
    connection.assert_closed();
}

#[test]
fn a_call_that_a_majority_answers_is_answered_though_its_caller_sends_no_more() {
    let (cluster, leader) = Cluster::led(3);
    for (version, expected) in [(1, TRUE), (2, TRUE), (2, FALSE)] {
        let mut connection = Raw::to(cluster.at(leader));
        connection.send(update_request("a", version)).unwrap();
        connection.finish();
        assert_eq!(connection.response().answer(), expected);
        connection.assert_closed();
    }
}

#[test]
fn requests_behind_a_call_that_waits_are_answered_after_it() {
    let (cluster, leader) = without_majority();
    let mut connection = Raw::to(cluster.at(leader));
    connection.send([update_request("a", 2), ping(), update_request("a", 2)].concat()).unwrap();
    assert!(connection.is_silent_for(Duration::from_secs(1)), "the first call waits");
    cluster.restore(&cluster.others(leader));
    for expected in [TRUE, TRUE, FALSE] {
        assert_eq!(connection.response().answer(), expected);
    }
}
