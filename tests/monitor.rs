//! What a server reports about itself besides its answers to calls: status, health, metrics.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use surfstore::config::Config;
use surfstore::monitor::{Memory, Moment, Monitor, Process, explains_refusal};
use surfstore::protocol::METHODS;
use surfstore::raft::{
    AppendOutcome, AppendReply, Cluster, Compaction, Failure, Identity, Incarnation, LogIndex,
    Position, ProgressStatus, Response, RoleName, Roster, Round, Server, ServerId, Status, Term,
};

/// The incarnation of the monitored server.
const OWN: Incarnation = Incarnation(100);

/// What the monitored server holds.
const MEMORY: Memory =
    Memory { map: 1000, log: 200, blocks: 30, requests: 4, answers: 5, max: 1_000_000 };

/// What the system says about its process.
const PROCESS: Process = Process {
    started: Some(Duration::from_millis(1_700_000_000_250)),
    cpu: Some(Duration::from_millis(1_500)),
    resident_bytes: Some(5 << 20),
    descriptors: Some(17),
    descriptors_max: Some(1024),
};

fn fresh() -> Status {
    Server::start(Cluster::new(ServerId(0), 2).unwrap(), OWN, Compaction::default()).0.status()
}

fn monitor(now: Instant) -> Monitor {
    let config = Config::parse("M: 2\nmetadata0: localhost:9001\nmetadata1: [::1]:9002\n").unwrap();
    Monitor::new(ServerId(0), config, now, fresh())
}

fn led_by(leader: u8, term: u64) -> Status {
    Status { leader: Some(ServerId(leader)), current_term: Term(term), ..fresh() }
}

fn moment(now: Instant, has_majority: bool) -> Moment<'static> {
    Moment { now, has_majority, memory: MEMORY, progress: &[], process: PROCESS }
}

/// The page's status and text.
#[track_caller]
fn page(monitor: &Monitor, target: &str, now: Instant) -> (u16, String) {
    page_at(monitor, target, moment(now, true))
}

#[track_caller]
fn page_at(monitor: &Monitor, target: &str, moment: Moment<'_>) -> (u16, String) {
    let page = monitor.page(target, moment).unwrap();
    (page.status, page.body)
}

fn status(monitor: &Monitor, now: Instant) -> serde_json::Value {
    serde_json::from_str(&page(monitor, "/status", now).1).unwrap()
}

/// The value of a metric, named with its labels.
#[track_caller]
fn metric(monitor: &Monitor, name: &str) -> f64 {
    let (_, text) = page(monitor, "/metrics", Instant::now());
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

#[test]
fn the_pages_are_those_whatever_their_query() {
    let now = Instant::now();
    let monitor = monitor(now);
    let moment = moment(now, false);
    let parts = ["/", "/style.css", "/model.js", "/page.js"];
    let pages = ["/status", "/metrics", "/healthz", "/readyz", "/status?pretty", "/status?", "/?x"];
    for target in parts.into_iter().chain(pages) {
        assert!(monitor.page(target, moment).is_some(), "{target}");
    }
    for target in ["", "/RPC2", "/index.html", "/page.js/", "/Status", "/status/", "/favicon.ico"] {
        assert_eq!(monitor.page(target, moment), None, "{target}");
    }
}

/// A page that another site frames could be made to crash servers by a click that was meant for something else.
#[test]
fn the_dashboard_loads_only_its_own_parts_and_asks_only_the_servers() {
    let now = Instant::now();
    let monitor = monitor(now);
    let moment = moment(now, false);
    for (target, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/model.js", "text/javascript; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
    ] {
        let part = monitor.page(target, moment).unwrap();
        assert_eq!((part.status, part.content_type), (200, content_type));
        for field in [
            ("Cache-Control", "no-cache"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            (
                "Content-Security-Policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' \
                 http://localhost:9001 http://127.0.0.1:9001 http://*:9002 http://localhost:9002 \
                 http://127.0.0.1:9002; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            ),
        ] {
            let has = part.fields.iter().any(|(name, value)| (*name, &**value) == field);
            assert!(has, "{target} has {field:?}: {:?}", part.fields);
        }
    }
}

/// A policy cannot name a host with an underscore, and a browser ignores a source that it cannot read.
#[test]
fn a_server_that_a_policy_cannot_name_is_allowed_by_its_port() {
    let now = Instant::now();
    let config = Config::parse("M: 1\nmetadata0: meta_1.example:9001\n").unwrap();
    let monitor = Monitor::new(ServerId(0), config, now, led_by(0, 1));
    let page = monitor.page("/", moment(now, false)).unwrap();
    let policy = page.fields.iter().find(|(name, _)| *name == "Content-Security-Policy");
    let policy = &policy.expect("the page has a policy").1;
    assert!(policy.contains("connect-src 'self' http://*:9001;"), "{policy}");
}

#[test]
fn the_dashboard_has_at_most_60_kib() {
    let now = Instant::now();
    let monitor = monitor(now);
    let parts = ["/", "/style.css", "/model.js", "/page.js"];
    let size: usize = parts.iter().map(|target| page(&monitor, target, now).1.len()).sum();
    assert!(size <= 60 << 10, "{size} bytes");
}

#[test]
fn the_status_is_json_that_names_the_leader_and_its_times() {
    let start = Instant::now();
    let mut monitor = monitor(start);
    let status = status(&monitor, start);
    assert_eq!((&status["leader"], &status["lastHeardMilliseconds"]), (&"".into(), &(-1).into()));
    monitor.observe(Status { commit_index: LogIndex(7), ..led_by(1, 3) }, 5, None);
    monitor.heard(start + Duration::from_secs(2));
    let status = self::status(&monitor, start + Duration::from_millis(3_250));
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
fn the_memory_that_is_held_is_shown_beside_its_bound() {
    let monitor = monitor(Instant::now());
    for (name, bytes) in [
        ("surfstore_memory_bytes{kind=\"map\"}", MEMORY.map),
        ("surfstore_memory_bytes{kind=\"log\"}", MEMORY.log),
        ("surfstore_memory_bytes{kind=\"blocks\"}", MEMORY.blocks),
        ("surfstore_memory_bytes{kind=\"requests\"}", MEMORY.requests),
        ("surfstore_memory_bytes{kind=\"answers\"}", MEMORY.answers),
        ("surfstore_memory_max_bytes", MEMORY.max),
    ] {
        assert!((metric(&monitor, name) - bytes as f64).abs() < f64::EPSILON, "{name}");
    }
    assert_eq!(MEMORY.held(), 1239);
}

#[test]
fn the_process_is_shown_under_the_usual_names_as_far_as_the_system_tells() {
    let monitor = monitor(Instant::now());
    let shown = [
        ("process_start_time_seconds", 1_700_000_000.25),
        ("process_cpu_seconds_total", 1.5),
        ("process_resident_memory_bytes", 5_242_880.0),
        ("process_open_fds", 17.0),
        ("process_max_fds", 1024.0),
    ];
    for (name, expected) in shown {
        let value = metric(&monitor, name);
        assert!((value - expected).abs() < 1e-3, "{name} is {value}");
    }
    let unknown = Moment { process: Process::default(), ..moment(Instant::now(), true) };
    let (_, metrics) = page_at(&monitor, "/metrics", unknown);
    assert!(!metrics.contains("process_"), "{metrics}");
}

#[test]
fn a_leader_shows_how_far_each_peer_is_and_how_long_it_has_been_silent() {
    let start = Instant::now();
    let mut monitor = monitor(start);
    let now = start + Duration::from_millis(1_250);
    let at = ProgressStatus {
        next_index: LogIndex(8),
        match_index: LogIndex(7),
        is_in_flight: false,
        unanswered: 0,
    };
    let shown = |monitor: &Monitor| {
        let moment = Moment { progress: &[(ServerId(1), at)], ..moment(now, true) };
        let (_, metrics) = page_at(monitor, "/metrics", moment);
        let samples = metrics.lines().filter_map(|line| line.strip_prefix("surfstore_raft_peer_"));
        let samples = samples.filter(|line| line.starts_with("match") || line.starts_with("silen"));
        samples.map(str::to_owned).collect::<Vec<_>>()
    };
    let matches = "match_index{peer=\"[::1]:9002\"} 7";
    assert_eq!(shown(&monitor), [matches], "it has never replied");
    let sender = identity(1, 200, OWN.0);
    let reply = AppendReply { sender, round: Round(1), outcome: AppendOutcome::Refused };
    monitor.replied(ServerId(1), &Response::Append(reply), start);
    assert_eq!(shown(&monitor), [matches, "silence_seconds{peer=\"[::1]:9002\"} 1.25"]);
}

/// The state of the monitored server if it keeps it on disk.
fn durable() -> Status {
    Status { incarnation: Incarnation::on_disk(1), ..fresh() }
}

#[test]
fn a_server_with_a_disk_shows_its_bytes_and_how_long_syncs_took() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    monitor.observe(durable(), 0, None);
    let shown = status(&monitor, now);
    let members = |shown: &serde_json::Value| {
        ["diskKibibytes", "lastSyncMilliseconds"].map(|name| shown[name].as_i64().unwrap())
    };
    assert_eq!(members(&shown), [0, -1]);
    monitor.disk_holds(5000);
    for micros in [400, 60_000, 30_000] {
        monitor.synced(Duration::from_micros(micros));
    }
    assert_eq!(members(&status(&monitor, now)), [5, 30]);
    let name = "surfstore_disk_sync_duration_seconds";
    for (sample, expected) in [
        ("surfstore_durable".to_owned(), 1.0),
        ("surfstore_disk_bytes".to_owned(), 5000.0),
        (format!("{name}_bucket{{le=\"0.00025\"}}"), 0.0),
        (format!("{name}_bucket{{le=\"0.0005\"}}"), 1.0),
        (format!("{name}_bucket{{le=\"+Inf\"}}"), 3.0),
        (format!("{name}_sum"), 0.0904),
        (format!("{name}_count"), 3.0),
    ] {
        let value = metric(&monitor, &sample);
        assert!((value - expected).abs() < 1e-9, "{sample} is {value}");
    }
}

#[test]
fn a_server_without_a_disk_shows_that_it_has_none() {
    let now = Instant::now();
    let monitor = monitor(now);
    let shown = status(&monitor, now);
    assert_eq!(
        (&shown["diskKibibytes"], &shown["lastSyncMilliseconds"]),
        (&(-1).into(), &(-1).into())
    );
    for name in ["durable", "disk_bytes", "disk_sync_duration_seconds_count"] {
        let value = metric(&monitor, &format!("surfstore_{name}"));
        assert!(value.abs() < f64::EPSILON, "{name} is {value}");
    }
}

#[test]
fn the_log_counts_the_entries_that_it_still_holds() {
    let mut monitor = monitor(Instant::now());
    let at = |index| Position { term: Term(1), index: LogIndex(index) };
    monitor.observe(Status { last_included: at(7), last_log: at(10), ..fresh() }, 0, None);
    assert!((metric(&monitor, "surfstore_raft_log_entries") - 3.0).abs() < f64::EPSILON);
    assert!((metric(&monitor, "surfstore_raft_last_log_index") - 10.0).abs() < f64::EPSILON);
}

#[test]
fn a_server_is_ready_if_it_is_not_crashed_and_knows_a_leader() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    assert_eq!(page(&monitor, "/readyz", now), (503, "no leader is known\n".to_owned()));
    monitor.observe(led_by(1, 1), 0, None);
    assert_eq!(page(&monitor, "/readyz", now), (200, "ready\n".to_owned()));
    monitor.observe(Status { role: RoleName::Crashed, ..led_by(1, 1) }, 0, None);
    assert_eq!(page(&monitor, "/readyz", now), (503, "this server is crashed\n".to_owned()));
    assert_eq!(page(&monitor, "/healthz", now), (200, "ok\n".to_owned()), "the process is healthy");
    assert!((metric(&monitor, "surfstore_raft_crashed") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_leader_without_a_majority_is_not_ready_and_shows_it() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let (leader, roster) = leads(&[(0, OWN.0), (1, 200)]);
    let follower = Status { role: RoleName::Follower, ..leader };
    for (state, has_majority, ready, lacks) in
        [(leader, true, 200, false), (leader, false, 503, true), (follower, false, 200, false)]
    {
        monitor.observe(state, 0, Some(&roster));
        let moment = moment(now, has_majority);
        let (status, reason) = page_at(&monitor, "/readyz", moment);
        assert_eq!(status, ready, "{reason}");
        assert_eq!(lacks, reason.contains("no majority"), "{reason}");
        let shown = page_at(&monitor, "/status", moment).1;
        assert!(shown.contains(&format!("\"lacksMajority\":{lacks}")), "{shown}");
        let metrics = page_at(&monitor, "/metrics", moment).1;
        let gauge = format!("\nsurfstore_raft_has_majority {}\n", u8::from(has_majority));
        assert!(metrics.contains(&gauge), "{metrics}");
    }
}

const RULES: &str = include_str!("../configs/prometheus/rules.yml");

/// Fails if the query names a metric that `/metrics` does not have.
#[track_caller]
fn assert_metrics_exist(query: &str) {
    let (_, metrics) = page(&monitor(Instant::now()), "/metrics", Instant::now());
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_of_servers =
        |name: &&str| name.starts_with("surfstore_") || name.starts_with("process_");
    for name in query.split(|c| !is_name(c)).filter(is_of_servers) {
        let of_histogram = ["_bucket", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = of_histogram.unwrap_or(name);
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} in {query}");
    }
}

/// Prometheus itself evaluates these alerts in `tests/interop/run alerts`.
#[test]
fn the_alerts_are_the_documented_ones_and_every_metric_in_them_exists() {
    let manual = include_str!("../docs/operating.md");
    let rules = RULES.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let rules: Vec<_> = rules.collect();
    let table = manual.split("| Alert | Meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rules, rows.collect::<Vec<_>>());
    rules.into_iter().for_each(assert_metrics_exist);
}

/// `promtool` reports neither an alert that no test names, nor a test of an alert that does not exist.
#[test]
fn every_alert_is_tested_to_be_silent_when_all_is_well_and_to_fire() {
    let tests = include_str!("interop/prometheus/alerts.yml");
    let mut sections = tests.split("\n  - name: ");
    let well = sections.find(|section| section.starts_with("all is well\n")).unwrap();
    let alerts = |text: &'static str, fires: bool| {
        let cases = text.split("alertname: ").skip(1);
        let cases = cases.filter(move |case| case.contains("exp_alerts") == fires);
        let name = |case: &'static str| case.split(|c: char| !c.is_ascii_alphanumeric()).next();
        cases.filter_map(name).collect::<BTreeSet<_>>()
    };
    let rules = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rules: BTreeSet<_> = rules.collect();
    assert_eq!(alerts(well, false), rules);
    assert_eq!(alerts(well, true), BTreeSet::new());
    assert_eq!(sections.flat_map(|section| alerts(section, true)).collect::<BTreeSet<_>>(), rules);
}

/// Prometheus itself answers the queries in `tests/interop/run 'prometheus server'`.
#[test]
fn every_metric_in_the_dashboard_exists() {
    let dashboard = include_str!("../configs/grafana/surfstore.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(!panels.is_empty());
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_metrics_exist(target["expr"].as_str().unwrap());
        }
    }
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
        monitor.observe(status, 0, None);
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
    monitor.unanswered_by(ServerId(1), Failure::Silent, Instant::now());
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

/// Prometheus cannot see the step from no value to 1.
#[test]
fn counters_with_known_labels_are_there_before_they_count() {
    let monitor = monitor(Instant::now());
    let zero = |sample: &str| {
        let value = metric(&monitor, sample);
        assert!(value.abs() < f64::EPSILON, "{sample} is {value}");
    };
    zero("surfstore_raft_peer_failures_total{peer=\"[::1]:9002\"}");
    for method in METHODS {
        zero(&format!("surfstore_rpc_faults_total{{method=\"{}\"}}", method.name));
        zero(&format!("surfstore_rpc_duration_seconds_count{{method=\"{}\"}}", method.name));
    }
    let (_, text) = page(&monitor, "/metrics", Instant::now());
    assert!(!text.contains("peer=\"localhost:9001\""), "a server is no peer of itself");
}

/// The identity of a server with one entry, of this history.
fn identity(id: u8, incarnation: u64, history: u64) -> Identity {
    Identity {
        id: ServerId(id),
        size: 2,
        names: 7,
        incarnation: Incarnation(incarnation),
        term: Term(1),
        history: Some(Incarnation(history)),
        founded: true,
        last_log: Position { term: Term(1), index: LogIndex(1) },
    }
}

fn own() -> Identity {
    identity(0, OWN.0, OWN.0)
}

/// The same server before it has any entry.
fn empty(server: Identity) -> Identity {
    Identity { history: None, founded: false, last_log: Position::default(), ..server }
}

/// A leader whose history is founded, and its roster.
fn leads(roster: &[(u8, u64)]) -> (Status, Arc<Roster>) {
    let members = roster.iter().map(|(id, number)| (ServerId(*id), Incarnation(*number)));
    let roster = Roster { history: OWN, members: members.collect() };
    let (role, history, commit_index) = (RoleName::Leader, Some(OWN), LogIndex(1));
    (Status { role, history, commit_index, ..led_by(0, 1) }, Arc::new(roster))
}

const ANSWER: Option<ServerId> = Some(ServerId(1));
const REQUEST: Option<ServerId> = None;

#[test]
fn a_leader_that_is_not_founded_shows_as_a_candidate() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let (founded, roster) = leads(&[(0, OWN.0)]);
    let founding = Status { commit_index: LogIndex(0), ..founded };
    monitor.observe(founding, 0, Some(&roster));
    let shown = status(&monitor, now);
    assert_eq!((&shown["role"], &shown["leader"]), (&"candidate".into(), &"".into()));
    assert_eq!(page(&monitor, "/readyz", now).0, 503);
    for (name, expected) in [("is_leader", 0.0), ("has_leader", 0.0), ("leader_changes_total", 0.0)]
    {
        let value = metric(&monitor, &format!("surfstore_raft_{name}"));
        assert!((value - expected).abs() < f64::EPSILON, "{name} is {value}");
    }
    monitor.observe(founded, 0, Some(&roster));
    assert_eq!(status(&monitor, now)["role"], "leader");
    assert!((metric(&monitor, "surfstore_raft_leader_changes_total") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn the_status_names_incarnation_history_and_who_counts() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let shown = status(&monitor, now);
    assert_eq!((&shown["history"], &shown["roster"]), (&"".into(), &serde_json::json!([])));
    let (leader, roster) = leads(&[(0, OWN.0), (1, 200)]);
    monitor.observe(leader, 0, Some(&roster));
    let shown = status(&monitor, now);
    assert_eq!(shown["incarnation"], "00000000000064");
    assert_eq!(shown["history"], "00000000000064");
    assert_eq!(shown["roster"], serde_json::json!([0, 1]));
    let release = format!("surfstore_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert!((metric(&monitor, &release) - 1.0).abs() < f64::EPSILON);
    let info = "surfstore_raft_info{incarnation=\"00000000000064\",history=\"00000000000064\"}";
    assert!((metric(&monitor, info) - 1.0).abs() < f64::EPSILON);
    assert!((metric(&monitor, "surfstore_raft_members") - 2.0).abs() < f64::EPSILON);
}

#[test]
fn a_server_that_is_up_but_not_in_the_roster_is_a_guest_until_it_is_in_or_has_ended() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let mut observe = |roster: &[(u8, u64)], shown: Option<Identity>, has_ended: bool| {
        let (leader, roster) = leads(roster);
        monitor.observe(leader, 0, Some(&roster));
        if let Some(shown) = shown {
            assert_eq!(monitor.shown(ANSWER, &shown, &own(), now), [""; 0]);
        }
        if has_ended {
            monitor.ended(ServerId(1));
        }
        status(&monitor, now)["guests"].clone()
    };
    let relaunched = empty(identity(1, 201, 1));
    for (roster, shown, has_ended, expected) in [
        (&[(0, OWN.0), (1, 200)][..], None, false, &[][..]),
        (&[(0, OWN.0), (1, 200)], Some(identity(1, 200, OWN.0)), false, &[]),
        (&[(0, OWN.0), (1, 200)], Some(relaunched), false, &[1]),
        (&[(0, OWN.0)], None, false, &[1]),
        (&[(0, OWN.0)], None, true, &[]),
        (&[(0, OWN.0)], Some(relaunched), false, &[1]),
        (&[(0, OWN.0), (1, 201)], None, false, &[]),
        (&[(1, 201)], None, false, &[0]),
    ] {
        assert_eq!(observe(roster, shown, has_ended), serde_json::json!(expected), "{roster:?}");
    }
}

#[test]
fn a_follower_reports_no_guest_whose_present_incarnation_it_does_not_know() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    assert_eq!(monitor.shown(ANSWER, &identity(1, 200, OWN.0), &own(), now), [""; 0]);
    let (leader, roster) = leads(&[(0, OWN.0), (1, 201)]);
    let follower = Status { role: RoleName::Follower, leader: Some(ServerId(1)), ..leader };
    monitor.observe(follower, 0, Some(&roster));
    assert_eq!(status(&monitor, now)["guests"], serde_json::json!([]));
}

/// The lines that are logged when a server is shown these.
fn told(shown: impl IntoIterator<Item = (Option<ServerId>, Identity)>) -> Vec<String> {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let tell = |(asked, sender)| monitor.shown(asked, &sender, &own(), now);
    shown.into_iter().flat_map(tell).collect()
}

#[test]
fn a_mismatch_is_logged_in_one_line_with_what_to_do() {
    let peer = identity(1, 200, OWN.0);
    for (asked, shown, expected) in [
        (
            ANSWER,
            identity(1, 200, 9),
            "server 1 at [::1]:9002 has another history (00000000000009) than this server (00000000000064), so each \
             refuses the other; to give up one history, start its servers again without their state (with empty data \
             folders, if they have any)",
        ),
        (
            REQUEST,
            Identity { size: 3, names: 8, ..peer },
            "a server that calls itself server 1 of 3 has a configuration of 3 servers, this server one of 2, so each \
             refuses the other; give all servers the same configuration",
        ),
        (
            ANSWER,
            Identity { names: 8, ..peer },
            "server 1 at [::1]:9002 has other server names, or another order of them, in its configuration than this \
             server",
        ),
        (
            REQUEST,
            Identity { names: 8, ..peer },
            "a server that calls itself server 1 of 2 has other server names, or another order of them, in its \
             configuration than this server",
        ),
        (
            ANSWER,
            Identity { names: 8, ..identity(0, 200, OWN.0) },
            "server 1 at [::1]:9002 calls itself server 0: it was started with another ID, or its configuration has \
             another order",
        ),
        (
            ANSWER,
            Identity { names: 8, ..identity(1, 200, 9) },
            "server 1 at [::1]:9002 has another configuration and another history (00000000000009) than this server \
             (00000000000064), like a server of another set, so each refuses the other; check which addresses \
             the two sets share",
        ),
        (
            REQUEST,
            identity(0, 200, OWN.0),
            "another process was also started as server 0, with incarnation 000000000000c8; give each its own ID",
        ),
    ] {
        assert_eq!(told([(asked, shown)]), [expected]);
    }
}

#[test]
fn nothing_is_logged_about_servers_that_match_or_will() {
    let peer = identity(1, 200, OWN.0);
    let unfounded = Identity { founded: false, ..identity(1, 200, 9) };
    for shown in [peer, unfounded, empty(peer), identity(1, 201, OWN.0)] {
        for asked in [ANSWER, REQUEST] {
            assert_eq!(told([(asked, shown)]), [""; 0], "{shown:?}");
        }
    }
    // As long as this server is not founded, it gives way.
    let own = Identity { founded: false, ..own() };
    let lines = monitor(Instant::now()).shown(ANSWER, &identity(1, 200, 9), &own, Instant::now());
    assert_eq!(lines, [""; 0]);
}

/// The incarnation of a server that keeps its state on disk.
fn on_disk(number: u64) -> Incarnation {
    Incarnation::on_disk(number)
}

/// The lines that a server of that incarnation logs when the peer shows these, one after another.
fn told_of_peer(own: Incarnation, shown: impl IntoIterator<Item = Incarnation>) -> Vec<String> {
    let now = Instant::now();
    let (mut monitor, own) = (monitor(now), Identity { incarnation: own, ..self::own() });
    let peer = |incarnation| Identity { incarnation, ..identity(1, 200, OWN.0) };
    let tell = |incarnation| monitor.shown(ANSWER, &peer(incarnation), &own, now);
    shown.into_iter().flat_map(tell).collect()
}

#[test]
fn that_only_one_of_two_servers_keeps_its_state_is_logged_once_for_each_process() {
    let without = "server 1 at [::1]:9002 keeps nothing on disk, unlike this server, so it forgets everything when its \
                   process ends; restart it with SURFSTORE_DATA_DIR";
    let memory = [200, 200, 201, 200].map(Incarnation);
    assert_eq!(told_of_peer(on_disk(1), memory), [without, without]);
    let with = "server 1 at [::1]:9002 keeps its state on disk, but this server forgets everything when its process \
                ends; restart this server with SURFSTORE_DATA_DIR";
    assert_eq!(told_of_peer(OWN, [2, 2].map(on_disk)), [with]);
    assert_eq!(told_of_peer(on_disk(1), [2, 2].map(on_disk)), [""; 0]);
    assert_eq!(told_of_peer(OWN, memory), [""; 0]);
}

#[test]
fn a_peer_that_has_lost_its_disk_is_logged_once_but_not_for_a_late_message() {
    let lost = format!(
        "server 1 at [::1]:9002 has started over without what it had on disk, with incarnation {}; unless its folder \
         was emptied on purpose or it gave up its history, check its disk",
        on_disk(3)
    );
    assert_eq!(told_of_peer(on_disk(1), [2, 3, 2, 3, 3].map(on_disk)), [&*lost]);
    let with_its_first_disk = [Incarnation(200), on_disk(3)];
    assert_eq!(told_of_peer(on_disk(1), with_its_first_disk).len(), 1, "it had nothing on disk");
}

/// As after the end of all processes.
#[test]
fn a_peer_that_has_lost_its_disk_is_known_by_the_roster_of_a_server_that_has_not() {
    let now = Instant::now();
    let own = Identity { incarnation: on_disk(1), ..own() };
    let peer = |number| Identity { incarnation: on_disk(number), ..identity(1, 200, OWN.0) };
    for (shown, count) in [(peer(2), 0), (peer(3), 1)] {
        let mut monitor = monitor(now);
        let (leader, roster) = leads(&[(0, own.incarnation.0), (1, on_disk(2).0)]);
        monitor.observe(leader, 0, Some(&roster));
        let lines = monitor.shown(ANSWER, &shown, &own, now);
        assert_eq!(lines.len(), count, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("without what it had on disk")), "{lines:?}");
    }
}

#[test]
fn a_mismatch_is_logged_once_for_each_incarnation_and_floods_end() {
    let repeated = |incarnation| {
        let shown = move |asked| (asked, identity(1, incarnation, 9));
        [ANSWER, REQUEST].into_iter().cycle().take(100).map(shown)
    };
    assert_eq!(told(repeated(200).chain(repeated(201))).len(), 2);
    let forged = |incarnation| (REQUEST, Identity { size: 9, ..identity(1, incarnation, 9) });
    assert_eq!(told((1..10_000).map(forged)).len(), 32);
}

#[test]
fn a_sender_with_another_configuration_is_known_by_the_process_that_answered() {
    let renamed = Identity { names: 8, ..identity(1, 200, OWN.0) };
    let apart = Identity { history: Some(Incarnation(9)), id: ServerId(0), ..renamed };
    let lines = told([(ANSWER, renamed), (REQUEST, renamed), (REQUEST, apart)]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("server 1 at [::1]:9002 has ")), "{lines:?}");
    let lines = told([(REQUEST, renamed), (ANSWER, renamed)]);
    assert_eq!(
        lines.len(),
        1,
        "it is logged once for each process, whatever the process is known as: {lines:?}"
    );
}

#[test]
fn two_processes_that_answer_for_one_server_in_turn_are_logged_once() {
    let start = Instant::now();
    let mut monitor = monitor(start);
    let shown = |monitor: &mut Monitor, incarnation, now| {
        monitor.shown(ANSWER, &identity(1, incarnation, OWN.0), &own(), now)
    };
    // A late message of the former process does not make a second process.
    for incarnation in [200, 201, 200, 201, 201] {
        assert_eq!(shown(&mut monitor, incarnation, start), [""; 0]);
    }
    assert_eq!(status(&monitor, start)["doubled"], serde_json::json!([]));
    let expected = "two processes answer for server 1 at [::1]:9002 in turn, incarnations 000000000000c9 and \
                    000000000000c8; stop one of them";
    assert_eq!(shown(&mut monitor, 200, start), [expected]);
    for incarnation in [201, 200, 201, 200] {
        assert_eq!(shown(&mut monitor, incarnation, start), [""; 0]);
    }
    assert_eq!(status(&monitor, start)["doubled"], serde_json::json!([1]));
    // One of them has been stopped.
    let later = start + Duration::from_secs(10);
    assert_eq!(status(&monitor, later)["doubled"], serde_json::json!([]));
}

#[test]
fn relaunches_one_after_another_are_no_second_process() {
    let relaunched = |incarnation| (ANSWER, identity(1, incarnation, OWN.0));
    assert_eq!(told((200..300).map(relaunched)), [""; 0]);
}

#[test]
fn a_refusal_is_explained_by_another_size_and_by_the_own_id() {
    let peer = identity(1, 200, 9);
    for (sender, expected) in [
        (Identity { size: 3, names: 8, ..peer }, true),
        (identity(0, 200, OWN.0), true),
        (peer, false),
        (Identity { names: 8, ..peer }, false),
        (own(), false),
    ] {
        assert_eq!(explains_refusal(&sender, &own()), expected, "{sender:?}");
    }
}

#[test]
fn peers_with_another_history_are_named_as_long_as_they_are_there() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let (leader, roster) = leads(&[(0, OWN.0)]);
    monitor.observe(leader, 0, Some(&roster));
    monitor.shown(ANSWER, &identity(1, 200, 9), &own(), now);
    let shown = status(&monitor, now);
    assert_eq!((&shown["otherHistories"], &shown["guests"]), (&[1][..].into(), &[0; 0][..].into()));
    monitor.ended(ServerId(1));
    assert_eq!(status(&monitor, now)["otherHistories"], serde_json::json!([]));
}

#[test]
fn the_servers_that_elections_wait_for_are_logged_after_two_ballots_in_a_row_and_on_change() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let waits = |monitor: &Monitor| status(monitor, now)["waitsFor"].clone();
    let (one, both) = (vec![ServerId(1)], vec![ServerId(0), ServerId(1)]);
    let line = "server 0 cannot be elected without server 1 at [::1]:9002, which does not answer, is crashed, or \
                refuses its vote";
    let line_of_both = "server 0 cannot be elected without server 0 at localhost:9001 or server 1 at [::1]:9002, \
                        which do not answer, are crashed, or refuse their votes";
    for (ended, expected) in [
        (&one, None),
        (&one, Some(line)),
        (&one, None),
        (&both, None),
        (&one, None),
        (&both, None),
        (&both, Some(line_of_both)),
        (&vec![], None),
        (&vec![], None),
        (&one, None),
        (&one, Some(line)),
    ] {
        assert_eq!(monitor.ballot_ended(ended.clone()).as_deref(), expected);
    }
    assert_eq!(waits(&monitor), serde_json::json!([1]));
    let ready = page(&monitor, "/readyz", now);
    let reason = "no leader is known; this server waits for server 1 at [::1]:9002\n";
    assert_eq!(ready, (503, reason.to_owned()));
    assert!((metric(&monitor, "surfstore_raft_waits_for") - 1.0).abs() < f64::EPSILON);
    monitor.observe(led_by(1, 1), 0, None);
    assert_eq!(waits(&monitor), serde_json::json!([]));
    // After that leader is lost, it is another wait.
    assert_eq!(monitor.ballot_ended(one.clone()), None);
    assert_eq!(monitor.ballot_ended(one).as_deref(), Some(line));
}

#[test]
fn a_peer_is_checked_again_when_either_server_changes_or_has_ended() {
    let now = Instant::now();
    let mut monitor = monitor(now);
    let apart = identity(1, 200, 9);
    assert!(!monitor.has_been_shown(ANSWER, &apart));
    let unfounded = Identity { founded: false, ..own() };
    assert_eq!(monitor.shown(ANSWER, &apart, &unfounded, now), [""; 0]);
    let grown = Identity {
        term: Term(2),
        last_log: Position { term: Term(2), index: LogIndex(8) },
        ..apart
    };
    for asked in [ANSWER, REQUEST] {
        assert!(monitor.has_been_shown(asked, &apart) && monitor.has_been_shown(asked, &grown));
    }
    for changed in [
        identity(1, 201, 9),
        identity(1, 200, OWN.0),
        Identity { founded: false, ..apart },
        Identity { names: 8, ..apart },
        Identity { size: 3, ..apart },
        Identity { id: ServerId(0), ..apart },
    ] {
        assert!(!monitor.has_been_shown(ANSWER, &changed), "{changed:?}");
    }
    // Now this server is founded as well.
    let (leader, roster) = leads(&[(0, OWN.0)]);
    monitor.observe(leader, 0, Some(&roster));
    assert!(!monitor.has_been_shown(ANSWER, &apart));
    assert_eq!(monitor.shown(ANSWER, &apart, &own(), now).len(), 1);
    monitor.observe(leader, 1, Some(&roster));
    assert!(monitor.has_been_shown(ANSWER, &apart), "another file does not change that");
    monitor.ended(ServerId(1));
    assert!(!monitor.has_been_shown(ANSWER, &apart));
}
