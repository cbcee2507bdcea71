//! Requests one after another over one connection.

use std::thread;
use std::time::Duration;

use support::client::TRUE;
use support::harness::Cluster;
use surfstore::value::Value;
use surfstore::xmlrpc::write_call;

use crate::raw::{Raw, call, ping, post, post_with};
use crate::servers::shared;

/// Requests that are each answered differently, and what the answer must contain.
fn numbered(count: usize) -> Vec<(Vec<u8>, String)> {
    let request = |number: usize| {
        let document =
            write_call(&format!("no.{number}"), |out| out.param(|value| value.boolean(true)));
        (post(&document), format!("\"no.{number}\""))
    };
    (0..count).map(request).collect()
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let cluster = shared();
    for count in [2, 100] {
        let requests = numbered(count);
        let mut connection = Raw::to(cluster.at(0));
        let bytes: Vec<u8> = requests.iter().flat_map(|(request, _)| request.clone()).collect();
        connection.send(bytes).unwrap();
        for (_, name) in requests {
            let fault = connection.response().answer().unwrap_err();
            assert!(fault.message.contains(&name), "{fault:?} does not answer {name}");
        }
        assert!(connection.is_silent_for(Duration::from_millis(50)));
    }
}

#[test]
fn calls_that_come_together_are_done_in_order() {
    let cluster = Cluster::led(1).0;
    let methods = ["crash", "isCrashed", "restore", "isCrashed"];
    let mut connection = Raw::to(cluster.at(0));
    let requests = methods.map(|method| post(&call(method))).concat();
    connection.send(requests.repeat(25)).unwrap();
    for _ in 0..25 {
        for expected in [true, true, true, false] {
            assert_eq!(connection.response().answer(), Ok(Value::Boolean(expected)));
        }
    }
}

#[test]
fn a_connection_stays_open_over_a_pause() {
    let cluster = shared();
    let mut connection = Raw::to(cluster.at(0));
    for pause in [0, 2000, 100] {
        thread::sleep(Duration::from_millis(pause));
        connection.send(ping()).unwrap();
        let response = connection.response();
        assert!(!response.has_header("connection: close"), "{:?}", response.headers);
        assert_eq!(response.answer(), TRUE);
    }
}

#[test]
fn a_connection_is_closed_after_the_answer_where_that_is_asked_for() {
    let cluster = shared();
    for value in ["close", "Close", "keep-alive, close"] {
        let mut connection = Raw::to(cluster.at(0));
        let last = post_with(&format!("Connection: {value}\r\n"), &call("surfstore.ping"));
        connection.send([ping(), last, ping()].concat()).unwrap();
        assert!(!connection.response().has_header("connection: close"));
        let response = connection.response();
        assert!(response.has_header("connection: close"), "{:?}", response.headers);
        assert_eq!(response.answer(), TRUE);
        connection.assert_closed();
    }
}

#[test]
fn a_client_that_sends_no_more_gets_its_answers() {
    let cluster = shared();
    let mut connection = Raw::to(cluster.at(0));
    connection.send(ping().repeat(3)).unwrap();
    connection.finish();
    for _ in 0..3 {
        assert_eq!(connection.response().answer(), TRUE);
    }
    connection.assert_closed();
}
