//! The totals in the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use super::histogram::Histogram;
use super::{Memory, Moment, Monitor, Process};
use crate::raft::RoleName;

/// The text of `/metrics`.
pub(super) fn text(monitor: &Monitor, moment: Moment<'_>) -> String {
    let mut text = Text(String::new());
    write_raft(monitor, moment, &mut text);
    write_disk(monitor, &mut text);
    write_servers(monitor, moment, &mut text);
    write_calls(monitor, &mut text);
    write_process(moment.process, &mut text);
    text.0
}

fn write_raft(monitor: &Monitor, moment: Moment<'_>, text: &mut Text) {
    let raft = &monitor.raft;
    let is = |role| u64::from(raft.role == role);
    let has_majority = is(RoleName::Leader) - u64::from(monitor.lacks_majority(moment));
    for (name, help, value) in [
        ("term", "Current term.", raft.current_term.0),
        ("has_leader", "Whether a leader of the term is known.", u64::from(raft.leader.is_some())),
        ("is_leader", "Whether this server is the leader.", is(RoleName::Leader)),
        (
            "has_majority",
            "Whether this server is the leader and a majority has answered it lately.",
            has_majority,
        ),
        ("crashed", "Whether this server is crashed.", is(RoleName::Crashed)),
        ("commit_index", "Index of the last committed entry.", raft.commit_index.0),
        ("applied_index", "Index of the last applied entry.", raft.last_applied.0),
        ("last_log_index", "Index of the last entry.", raft.last_log.index.0),
        (
            "log_entries",
            "Entries in the log. Those before them were dropped.",
            raft.last_log.index.0 - raft.last_included.index.0,
        ),
        ("pending_calls", "Calls that wait for a majority.", raft.waiting as u64),
    ] {
        text.single(&format!("surfstore_raft_{name}"), "gauge", help, value);
    }
    for (name, help, value) in [
        ("leader_changes_total", "Leader changes that this server saw.", monitor.leader_changes),
        (
            "elections_started_total",
            "Elections that this server started.",
            monitor.elections_started,
        ),
        ("peer_requests_total", "Requests from peers.", monitor.peer_requests),
    ] {
        text.single(&format!("surfstore_raft_{name}"), "counter", help, value);
    }
    let name = "surfstore_raft_peer_failures_total";
    text.begin(name, "counter", "Requests to the peer that got no reply.");
    for (peer, traffic) in &monitor.traffic {
        text.sample(name, &[("peer", &monitor.address(*peer))], traffic.failures);
    }
    write_progress(monitor, moment, text);
    text.single("surfstore_files", "gauge", "Files, including deleted ones.", monitor.files);
    write_memory(moment.memory, text);
}

/// A leader's progress with each follower; no samples at other servers.
fn write_progress(monitor: &Monitor, moment: Moment<'_>, text: &mut Text) {
    let name = "surfstore_raft_peer_match_index";
    text.begin(name, "gauge", "Index of the last entry that the leader knows the peer to have.");
    for (peer, progress) in moment.progress {
        text.sample(name, &[("peer", &monitor.address(*peer))], progress.match_index.0);
    }
    let name = "surfstore_raft_peer_silence_seconds";
    text.begin(name, "gauge", "Time since the peer's last reply to the leader.");
    for (peer, _) in moment.progress {
        let last_reply = monitor.traffic.get(peer).and_then(|traffic| traffic.last_reply);
        if let Some(silence) = last_reply.map(|at| moment.now.saturating_duration_since(at)) {
            text.sample(name, &[("peer", &monitor.address(*peer))], silence.as_secs_f64());
        }
    }
}

fn write_memory(memory: Memory, text: &mut Text) {
    let Memory { map, log, blocks, requests, answers, max } = memory;
    let name = "surfstore_memory_bytes";
    text.begin(name, "gauge", "Memory that is held, by kind.");
    for (kind, bytes) in [
        ("map", map),
        ("log", log),
        ("blocks", blocks),
        ("requests", requests),
        ("answers", answers),
    ] {
        text.sample(name, &[("kind", kind)], bytes);
    }
    let help = "Bound on the memory that is held. Above it, updates are answered with busy.";
    text.single("surfstore_memory_max_bytes", "gauge", help, max);
}

/// The metrics exist without a disk as well, so that an alert needs no exception for servers that have none.
fn write_disk(monitor: &Monitor, text: &mut Text) {
    for (name, help, value) in [
        ("durable", "Whether this server keeps its state on disk.", monitor.is_durable().into()),
        ("disk_bytes", "Bytes of the server's files on disk.", monitor.disk.bytes),
    ] {
        text.single(&format!("surfstore_{name}"), "gauge", help, value);
    }
    let name = "surfstore_disk_sync_duration_seconds";
    text.begin(name, "histogram", "Time to write changes to the disk and sync them.");
    text.histogram(name, &[], &monitor.disk.syncs);
}

/// Which servers count, and mismatches between the servers.
fn write_servers(monitor: &Monitor, moment: Moment<'_>, text: &mut Text) {
    let status = monitor.status(moment);
    let history = status.history.unwrap_or_default();
    let name = "surfstore_build_info";
    text.begin(name, "gauge", "Release of this server.");
    text.sample(name, &[("version", &status.release)], 1);
    let name = "surfstore_raft_info";
    text.begin(name, "gauge", "Incarnation of this server, and history of its log.");
    text.sample(name, &[("incarnation", &status.incarnation), ("history", &history)], 1);
    for (name, help, servers) in [
        ("members", "Servers that count, according to the log's last roster.", &status.roster),
        ("guests", "Servers that are up but do not count.", &status.guests),
        ("waits_for", "Servers that the election of this one waits for.", &status.waits_for),
        ("other_histories", "Peers that have another history.", &status.other_histories),
        ("doubled", "Peers for which two processes answer.", &status.doubled),
    ] {
        text.single(&format!("surfstore_raft_{name}"), "gauge", help, servers.len());
    }
}

fn write_calls(monitor: &Monitor, text: &mut Text) {
    let name = "surfstore_rpc_faults_total";
    text.begin(name, "counter", "Calls of the method that were answered with a fault.");
    for (method, calls) in &monitor.calls {
        text.sample(name, &[("method", method)], calls.faults);
    }
    let name = "surfstore_rpc_duration_seconds";
    text.begin(name, "histogram", "Time from a call of the method to its answer.");
    for (method, calls) in &monitor.calls {
        text.histogram(name, &[("method", method)], &calls.durations);
    }
    let help = "Requests that are not a valid call of a known method.";
    text.single("surfstore_rpc_not_understood_total", "counter", help, monitor.not_understood);
}

/// The names are those that Prometheus's own client libraries use.
fn write_process(process: Process, text: &mut Text) {
    let Process { started, cpu, resident_bytes, descriptors, descriptors_max } = process;
    for (name, kind, help, value) in [
        ("start_time_seconds", "gauge", "Start of the process, in seconds since 1970.", started),
        ("cpu_seconds_total", "counter", "Time that the process has been computing.", cpu),
    ] {
        if let Some(value) = value {
            text.single(&format!("process_{name}"), kind, help, value.as_secs_f64());
        }
    }
    for (name, help, value) in [
        ("resident_memory_bytes", "Memory of the process that is in RAM.", resident_bytes),
        ("open_fds", "Open descriptors of the process.", descriptors),
        ("max_fds", "Limit on the open descriptors.", descriptors_max),
    ] {
        if let Some(value) = value {
            text.single(&format!("process_{name}"), "gauge", help, value);
        }
    }
}

/// The text written so far.
struct Text(String);

impl Text {
    /// A metric without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.begin(name, kind, help);
        self.sample(name, &[], value);
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to memory does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], durations: &Histogram) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in durations.up_to_each() {
            let bound = bound.as_secs_f64().to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), durations.count());
        self.sample(&format!("{name}_sum"), labels, durations.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), labels, durations.count());
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let content = content.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{content}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}
