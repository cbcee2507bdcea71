//! What a server says of itself beside its calls: status, health, metrics.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::{Duration, Instant};

use surfstore::config::Config;
use surfstore::monitor::Monitor;
use surfstore::raft::{Cluster, LogIndex, RoleName, Server, ServerId, Status, Term};

fn fresh() -> Status {
    Server::start(Cluster::new(ServerId(0), 2).unwrap()).0.status()
}

fn monitor(now: Instant) -> Monitor {
    let config = Config::parse("M: 2\nmetadata0: localhost:9001\nmetadata1: [::1]:9002\n").unwrap();
    Monitor::new(ServerId(0), config, now, fresh())
}

fn led_by(leader: u8, term: u64) -> Status {
    Status { leader: Some(ServerId(leader)), current_term: Term(term), ..fresh() }
}

/// The page's status and text.
#[track_caller]
fn page(monitor: &Monitor, target: &str, now: Instant) -> (u16, String) {
    let page = monitor.page(target, now).unwrap();
    (page.status, page.body)
}

/// The value of a metric, named with its labels.
#[track_caller]
fn metric(monitor: &Monitor, name: &str) -> f64 {
    let (_, text) = page(monitor, "/metrics", Instant::now());
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

#[test]
fn the_pages_are_four_whatever_their_query() {
    let now = Instant::now();
    let monitor = monitor(now);
    for target in ["/status", "/metrics", "/healthz", "/readyz", "/status?pretty", "/status?"] {
        assert!(monitor.page(target, now).is_some(), "{target}");
    }
    for target in ["/", "", "/RPC2", "/Status", "/status/", "/favicon.ico"] {
        assert_eq!(monitor.page(target, now), None, "{target}");
    }
}

#[test]
fn the_status_is_json_that_names_the_leader_and_its_times() {
    let start = Instant::now();
    let mut monitor = monitor(start);
    let read = |monitor: &Monitor, now| -> serde_json::Value {
        serde_json::from_str(&page(monitor, "/status", now).1).unwrap()
    };
    let status = read(&monitor, start);
    assert_eq!((&status["leader"], &status["lastHeardMilliseconds"]), (&"".into(), &(-1).into()));
    monitor.observe(Status { commit_index: LogIndex(7), ..led_by(1, 3) }, 5);
    monitor.heard(start + Duration::from_secs(2));
    let status = read(&monitor, start + Duration::from_millis(3_250));
    for (name, expected) in [
        ("id", 0.into()),
        ("servers", 2.into()),
        ("address", serde_json::Value::from("localhost:9001")),
        ("leader", "[::1]:9002".into()),
        ("role", "follower".into()),
        ("term", 3.into()),
        ("commitIndex", 7.into()),
        ("files", 5.into()),
        ("lastHeardMilliseconds", 1_250.into()),
        ("uptimeSeconds", 3.into()),
    ] {
        assert_eq!(status[name], expected, "{name}");
    }
}

#[test]
fn a_server_is_ready_if_it_is_not_crashed_and_knows_a_leader() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    assert_eq!(page(&monitor, "/readyz", now), (503, "no leader is known\n".to_owned()));
    monitor.observe(led_by(1, 1), 0);
    assert_eq!(page(&monitor, "/readyz", now), (200, "ready\n".to_owned()));
    monitor.observe(Status { role: RoleName::Crashed, ..led_by(1, 1) }, 0);
    assert_eq!(page(&monitor, "/readyz", now), (503, "this server is crashed\n".to_owned()));
    assert_eq!(page(&monitor, "/healthz", now), (200, "ok\n".to_owned()), "the process is well");
    assert!((metric(&monitor, "surfstore_raft_crashed") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_leader_that_becomes_known_counts_once_a_term() {
    let mut monitor = monitor(Instant::now());
    let changes = |monitor: &Monitor| metric(monitor, "surfstore_raft_leader_changes_total");
    for (status, expected) in [
        (fresh(), 0.0),
        (led_by(1, 1), 1.0),
        (led_by(1, 1), 1.0),
        (fresh(), 1.0),
        (led_by(1, 1), 1.0),
        (led_by(1, 2), 2.0),
        (led_by(0, 3), 3.0),
    ] {
        monitor.observe(status, 0);
        assert!((changes(&monitor) - expected).abs() < f64::EPSILON, "{status:?}");
    }
}

#[test]
fn calls_are_counted_by_method_with_their_faults_and_durations() {
    let mut monitor = monitor(Instant::now());
    for (micros, with_fault) in [(80, false), (300, false), (7_000, true)] {
        monitor.answered("surfstore.ping", Duration::from_micros(micros), with_fault);
    }
    monitor.answered("surfstore.crash", Duration::ZERO, false);
    monitor.unanswered_by(ServerId(1));
    let name = "surfstore_rpc_duration_seconds";
    for (sample, expected) in [
        (format!("{name}_count{{method=\"surfstore.ping\"}}"), 3.0),
        (format!("{name}_sum{{method=\"surfstore.ping\"}}"), 0.007_38),
        (format!("{name}_bucket{{method=\"surfstore.ping\",le=\"0.0001\"}}"), 1.0),
        (format!("{name}_bucket{{method=\"surfstore.ping\",le=\"0.0005\"}}"), 2.0),
        (format!("{name}_bucket{{method=\"surfstore.ping\",le=\"+Inf\"}}"), 3.0),
        (format!("{name}_count{{method=\"surfstore.crash\"}}"), 1.0),
        ("surfstore_rpc_faults_total{method=\"surfstore.ping\"}".to_owned(), 1.0),
        ("surfstore_raft_peer_failures_total{peer=\"[::1]:9002\"}".to_owned(), 1.0),
    ] {
        let value = metric(&monitor, &sample);
        assert!((value - expected).abs() < 1e-9, "{sample} is {value}");
    }
}
