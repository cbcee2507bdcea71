//! The pages that running servers return for GET.

use std::io::{Read, Write};
use std::net::TcpStream;

use support::client::{Client, assert_fault, hash, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::value::Value;

/// The response to a request, after which the connection is closed.
fn ask(server: &Client, method: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn get(server: &Client, target: &str) -> (u16, String) {
    let response = ask(server, "GET", target);
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn status(server: &Client) -> serde_json::Value {
    let (status, body) = get(server, "/status");
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

/// The value of a metric, named with its labels.
#[track_caller]
pub(crate) fn metric(server: &Client, name: &str) -> f64 {
    let (_, text) = get(server, "/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[track_caller]
pub(crate) fn assert_metric(server: &Client, name: &str, expected: impl Fn(f64) -> bool) {
    let value = metric(server, name);
    assert!(expected(value), "{name} is {value}");
}

#[test]
fn pages_tell_how_a_server_is_while_its_calls_wait() {
    let (cluster, id) = Cluster::led(3);
    let (leader, follower) = (cluster.at(id), cluster.at(cluster.others(id)[0]));
    cluster.agree(id, &cluster.running(), "a", 1);
    let others = cluster.others(id);
    cluster.crash(&others);
    let waits = leader.begin("surfstore.updatefile", &update("a", 2, &hash("x")));
    wait_until(PATIENCE, "the update waits", || status(leader)["waitingCalls"] == 1);
    assert_eq!(status(leader)["leader"], leader.address());
    assert_metric(leader, "surfstore_raft_is_leader", |is| is > 0.0);
    assert_metric(leader, "surfstore_raft_pending_calls", |calls| calls > 0.0);
    let updates = "surfstore_rpc_duration_seconds_count{method=\"surfstore.updatefile\"}";
    assert_metric(leader, updates, |calls| calls > 0.0 && calls < 2.0);
    let failures = format!("surfstore_raft_peer_failures_total{{peer=\"{}\"}}", follower.address());
    wait_until(PATIENCE, "the crashed peer is counted", || {
        get(leader, "/metrics").1.contains(&failures)
    });
    let reason = "this leader has no majority, so its calls wait\n";
    wait_until(PATIENCE, "the leader is not ready", || get(leader, "/readyz").0 == 503);
    assert_eq!(get(leader, "/readyz").1, reason);
    assert_metric(leader, "surfstore_raft_has_majority", |has| has < 1.0);
    assert_eq!(status(leader)["lacksMajority"], true);
    assert_eq!(get(follower, "/readyz").0, 503);
    assert_eq!(get(follower, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(status(follower)["role"], "crashed");
    assert_metric(follower, "surfstore_raft_crashed", |is| is > 0.0);
    cluster.restore(&others);
    assert!(waits.answer(PATIENCE).is_ok());
    wait_until(PATIENCE, "the restored server is ready", || get(follower, "/readyz").0 == 200);
    assert_eq!(get(leader, "/readyz"), (200, "ready\n".to_owned()));
    assert_metric(leader, "surfstore_raft_has_majority", |has| has > 0.0);
}

#[test]
fn a_multicall_is_counted_and_so_is_each_of_its_calls() {
    let (cluster, id) = Cluster::led(1);
    let server = cluster.at(id);
    let call = |method: &str| {
        let params = Value::Array([].into());
        Value::Struct([("methodName".into(), method.into()), ("params".into(), params)].into())
    };
    let calls = Value::Array([call("surfstore.getblock"), call("surfstore.getblock")].into());
    assert!(server.call("system.multicall", &[calls]).is_ok());
    assert_fault(&server.call("system.multicall", &[]), -32602, "wrong parameters");
    for (method, count, faults) in
        [("system.multicall", 2.0, 1.0), ("surfstore.getblock", 2.0, 2.0)]
    {
        let metric = |name: &str| format!("surfstore_rpc_{name}{{method=\"{method}\"}}");
        assert_metric(server, &metric("duration_seconds_count"), |calls| calls == count);
        assert_metric(server, &metric("faults_total"), |calls| calls == faults);
    }
}

#[test]
fn a_head_is_a_page_without_its_body_and_other_pages_there_are_none() {
    let (cluster, id) = Cluster::led(1);
    let server = cluster.at(id);
    let page = ask(server, "GET", "/healthz");
    let head = ask(server, "HEAD", "/healthz");
    let length = |response: &str| response.contains("content-length: 3\r\n");
    assert!(page.ends_with("\r\n\r\nok\n") && length(&page), "{page}");
    assert!(head.ends_with("\r\n\r\n") && length(&head), "{head}");
    assert_eq!(get(server, "/none").0, 404);
    assert!(ask(server, "HEAD", "/none").starts_with("HTTP/1.1 404 "));
}
