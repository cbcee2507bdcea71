//! The page `/view`: what a dashboard shows of a server, beyond its status.
//!
//! Every open dashboard asks for it once a second. So its size is bounded, and its cost does not grow with the map, the
//! log, or the hash lists in them.

use std::ptr;
use std::time::{Duration, Instant};

use crc32c::crc32c;
use serde_json::{Value as Json, json};

use super::pages::Page;
use super::recorder::{Direction, Record, Recorded};
use super::traffic::Traffic;
use super::{Moment, Monitor, dashboard};
use crate::blocks::Blocks;
use crate::metadata::Update;
use crate::protocol;
use crate::raft::{
    BallotKind, Command, Entry, Failure, LogIndex, ProgressStatus, Server, ServerId, Timer,
};
use crate::value::Value;

/// The maximum size of the view in bytes.
pub const VIEW_BYTES_MAX: usize = 16 << 10;

/// The bytes that the names of the lists, and what else is between them, take at most.
const FRAME_BYTES: usize = 128;

/// The maximum numbers of characters of names in a list; each is tried if the list is too large with the one before.
const NAME_CHARS_MAX: [usize; 5] = [120, 60, 30, 15, 8];

/// The maximum number of entries.
const ENTRIES_MAX: usize = 32;

/// The maximum number of files.
const FILES_MAX: usize = 50;

/// The maximum number of bytes of hash lists whose blocks are looked up.
const HASHES_BYTES_MAX: usize = 128 << 10;

/// What the view shows besides what the monitor knows.
#[derive(Debug)]
pub struct Sight<'a> {
    /// What status and metrics show as well.
    pub moment: Moment<'a>,
    /// A random number that identifies the process.
    pub boot: u64,
    /// The core.
    pub server: &'a Server,
    /// The blocks that are stored here.
    pub blocks: &'a Blocks,
    /// The running timer of the role, its remaining time, and its whole duration.
    pub timer: Option<(Timer, Duration, Duration)>,
    /// Whether the page that asks may also make calls.
    pub may_call: bool,
}

impl Monitor {
    /// The view as JSON, with the events after the one with the number `since`. It has at most [`VIEW_BYTES_MAX`]: if
    /// that is not enough for all, names are cut, and old events, old entries and the last files are left out. The
    /// entries and the files are told again next time, the events are not: up to half of the room is theirs first. It
    /// says if events are missing, except for appends.
    pub fn view(&self, since: u64, sight: &Sight<'_>) -> Page {
        let looked_up = missing_blocks(sight);
        let mut text = self.scalars(sight, &looked_up).to_string();
        text.pop();
        let mut left = VIEW_BYTES_MAX.saturating_sub(text.len() + FRAME_BYTES);
        let records = self.recorder.after(since).map(|record| self.event(record).to_string());
        let records: Vec<_> = records.collect();
        let reserved = records.iter().map(|record| record.len() + 1).sum::<usize>().min(left / 2);
        let list_bytes_max = (left - reserved) / 2;
        let mut log = fitted(list_bytes_max, |chars| entries(sight.server, chars));
        log.reverse();
        let shown = fitted(list_bytes_max, |chars| files(sight.server, &looked_up, chars));
        left -=
            [&log, &shown].into_iter().flatten().map(|element| element.len() + 1).sum::<usize>();
        // What both lists leave is for the events as well.
        let mut events = as_fit(left, records.into_iter());
        events.reverse();
        let mut cut = self.recorder.after(since).skip(events.len());
        let dropped = cut.any(|record| !record.is_append()) || self.recorder.has_forgotten(since);
        text += &format!(
            ",\"log\":[{}],\"files\":{{\"count\":{},\"shown\":[{}]}},\"events\":[{}]{}}}\n",
            log.join(","),
            sight.server.files().len(),
            shown.join(","),
            events.join(","),
            if dropped { ",\"dropped\":true" } else { "" },
        );
        Page {
            status: 200,
            content_type: "application/json",
            fields: dashboard::fields(),
            body: text,
        }
    }

    /// Everything whose size does not depend on callers.
    fn scalars(&self, sight: &Sight<'_>, looked_up: &[Option<usize>]) -> Json {
        let Sight { moment, boot, server, blocks, timer, may_call } = *sight;
        let status = self.status(moment);
        let raft = server.status();
        let servers: Vec<_> = self.config.servers.iter().map(ToString::to_string).collect();
        let missing: Option<usize> = looked_up.iter().copied().sum();
        let progress = server.progress();
        let progress_of = |peer| progress.iter().find(|(id, _)| *id == peer).map(|(_, it)| it);
        let peers = self.traffic.iter();
        let peers: Vec<_> =
            peers.map(|(peer, traffic)| self.peer(*peer, traffic, progress_of(*peer))).collect();
        let reads = server.reads_waiting();
        json!({
            "boot": format!("{boot:016x}"),
            "milliseconds": self.milliseconds(moment.now),
            "id": self.id.0,
            "servers": servers,
            "role": self.raft.role.as_str(),
            "term": raft.current_term.0,
            "votedFor": raft.voted_for.map(|member| member.id.0),
            "leader": self.raft.leader.map(|leader| leader.0),
            "hasMajority": moment.has_majority,
            "incarnation": status.incarnation,
            "history": status.history,
            "configuration": status.configuration,
            "release": status.release,
            "roster": status.roster,
            "guests": status.guests,
            "timer": timer.map(|(timer, remaining, total)| json!({
                "kind": timer_name(timer),
                "remaining": milliseconds(remaining),
                "total": milliseconds(total),
            })),
            "ballot": server.ballot().map(|ballot| json!({
                "kind": if ballot.is_everybodys { "everybody" } else { ballot_name(ballot.kind) },
                "granted": ids(ballot.granted),
            })),
            "commitIndex": raft.commit_index.0,
            "lastApplied": raft.last_applied.0,
            "lastIncluded": raft.last_included.index.0,
            "lastIndex": raft.last_log.index.0,
            "lastTerm": raft.last_log.term.0,
            "peers": peers,
            "waiting": {
                "updates": raft.waiting.saturating_sub(reads),
                "reads": reads,
                "bytes": server.unapplied_bytes(),
            },
            "blocks": { "count": blocks.count(), "bytes": blocks.bytes(), "missing": missing },
            "disk": status.disk_bytes.map(|bytes| json!({ "bytes": bytes })),
            "mayCrash": may_call,
        })
    }

    fn peer(&self, id: ServerId, traffic: &Traffic, progress: Option<&ProgressStatus>) -> Json {
        json!({
            "id": id.0,
            "next": progress.map(|it| it.next_index.0),
            "match": progress.map(|it| it.match_index.0),
            "inFlight": progress.map(|it| it.is_in_flight),
            "unanswered": progress.map(|it| it.unanswered),
            "lastReply": traffic.last_reply.map(|at| self.milliseconds(at)),
            "failures": traffic.failures,
            "sent": traffic.sent,
            "answered": traffic.answered,
        })
    }

    fn event(&self, record: &Record) -> Json {
        let Record { number, at, term, what } = *record;
        let (kind, peer) = match what {
            Recorded::Timeout(_) => ("timeout", None),
            Recorded::Ballot(kind, _) => (ballot_name(kind), None),
            Recorded::Voted { peer, granted, .. } => {
                (if granted { "granted" } else { "refused" }, Some(peer))
            }
            Recorded::Answered { peer, granted, .. } => {
                (if granted { "grantedBy" } else { "refusedBy" }, Some(peer))
            }
            Recorded::Role(role) => (role.as_str(), None),
            Recorded::Founds => ("founds", None),
            Recorded::Restored => ("restored", None),
            Recorded::Append { peer, entries: 0, .. } => ("heartbeat", Some(peer)),
            Recorded::Append { peer, .. } => ("entries", Some(peer)),
            Recorded::Conflict(_) => ("conflict", None),
            Recorded::SnapshotBegun(peer, _) | Recorded::SnapshotInstalled(peer) => {
                ("snapshot", Some(peer))
            }
            Recorded::Silent(peer, _) => ("silent", Some(peer)),
            Recorded::Back(peer) => ("back", Some(peer)),
            Recorded::Closed(peer) => ("closed", Some(peer)),
        };
        let mut event = json!({
            "seq": number, "at": self.milliseconds(at), "kind": kind, "term": term.0,
        });
        if let Some(peer) = peer {
            event["peer"] = peer.0.into();
        }
        let sent = |direction| direction == Direction::Sent;
        match what {
            Recorded::Timeout(timer) => event["timer"] = timer_name(timer).into(),
            Recorded::Ballot(_, to) => event["to"] = ids(to.iter()),
            Recorded::Voted { kind, .. } | Recorded::Answered { kind, .. } => {
                event["ballot"] = ballot_name(kind).into();
            }
            Recorded::Append { direction, entries, .. } => {
                event["sent"] = sent(direction).into();
                if 0 < entries {
                    event["count"] = entries.into();
                }
            }
            Recorded::Conflict(index) => event["index"] = index.0.into(),
            Recorded::SnapshotBegun(_, direction) => {
                event["sent"] = sent(direction).into();
                event["phase"] = "begun".into();
            }
            Recorded::SnapshotInstalled(_) => {
                event["sent"] = false.into();
                event["phase"] = "installed".into();
            }
            Recorded::Silent(_, failure) => event["failure"] = failure_name(failure).into(),
            Recorded::Role(_)
            | Recorded::Founds
            | Recorded::Restored
            | Recorded::Back(_)
            | Recorded::Closed(_) => {}
        }
        event
    }

    /// The time since the server's start.
    fn milliseconds(&self, at: Instant) -> u64 {
        milliseconds(at.saturating_duration_since(self.started))
    }
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The last entries, newest first.
fn entries(server: &Server, name_chars_max: usize) -> Vec<Json> {
    let log = server.log();
    let count = log.len().min(ENTRIES_MAX);
    let first = LogIndex(log.last_index().next().0 - count as u64);
    let indexes = (0..count).map(|offset| first.plus(offset));
    let entries = indexes.zip(log.from(first));
    let entries = entries.map(|(index, entry)| self::entry(server, index, entry, name_chars_max));
    let mut entries: Vec<_> = entries.collect();
    entries.reverse();
    entries
}

fn entry(server: &Server, index: LogIndex, entry: &Entry, name_chars_max: usize) -> Json {
    let (kind, update) = match &entry.command {
        Command::Roster(_) => ("roster", None),
        Command::Update(update) => ("update", Some(&**update)),
    };
    let is_applied = index <= server.status().last_applied;
    json!({
        "index": index.0,
        "term": entry.term.0,
        "kind": kind,
        "name": update.map(|update| cut(&update.name, name_chars_max)),
        "version": update.map(|update| update.version),
        "accepted": update.filter(|_| is_applied).and_then(|update| is_accepted(server, update)),
    })
}

/// Whether the update, which was applied, took effect; `None` if a later one has hidden that.
fn is_accepted(server: &Server, update: &Update) -> Option<bool> {
    match server.files().newest(&update.name) {
        // The map shares its updates with the log.
        Some(newest) if ptr::eq(newest, update) => Some(true),
        Some(newest) if update.version < newest.version => None,
        _ => Some(false),
    }
}

/// The first files in the order of their names.
fn files(server: &Server, looked_up: &[Option<usize>], name_chars_max: usize) -> Vec<Json> {
    let files = server.files().iter().zip(looked_up);
    let file = |(file, missing): (&Update, &Option<usize>)| {
        let deleted = file.hashes.is_tombstone();
        json!({
            // Servers cut names differently, or to the same text: by this, a page knows which file it is.
            "key": format!("{:08x}", crc32c(file.name.as_bytes())),
            "name": cut(&file.name, name_chars_max),
            "version": file.version,
            "deleted": deleted,
            "blocks": if deleted { 0 } else { file.hashes.len() },
            "missing": missing,
        })
    };
    files.map(file).collect()
}

/// For each of the first files, how many of its blocks are not stored here; `None` if there are too many to look up.
fn missing_blocks(sight: &Sight<'_>) -> Vec<Option<usize>> {
    let mut left = HASHES_BYTES_MAX;
    let is_missing =
        |name: &Value| protocol::block_named(name).is_none_or(|hash| !sight.blocks.has(hash));
    let files = sight.server.files().iter().take(FILES_MAX);
    let missing = files.map(|file| {
        left = left.checked_sub(file.hashes.packed().len())?;
        let elements = file.hashes.elements();
        let is_deleted = file.hashes.is_tombstone();
        Some(if is_deleted { 0 } else { elements.iter().filter(|it| is_missing(it)).count() })
    });
    missing.collect()
}

/// The elements of a list as JSON: with names as long as their size allows, and as many elements as fit.
fn fitted(bytes_max: usize, elements: impl Fn(usize) -> Vec<Json>) -> Vec<String> {
    let mut fitting = Vec::new();
    for name_chars_max in NAME_CHARS_MAX {
        let elements = elements(name_chars_max);
        let count = elements.len();
        fitting = as_fit(bytes_max, elements.iter().map(Json::to_string));
        if fitting.len() == count {
            break;
        }
    }
    fitting
}

/// As many elements, with a comma after each, as fit.
fn as_fit(bytes_max: usize, elements: impl Iterator<Item = String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |element: &String| {
        bytes += element.len() + 1;
        bytes <= bytes_max
    };
    elements.take_while(fits).collect()
}

/// The first characters of a name.
fn cut(name: &str, chars_max: usize) -> String {
    match name.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn ids(servers: impl IntoIterator<Item = ServerId>) -> Json {
    servers.into_iter().map(|server| server.0).collect()
}

fn ballot_name(kind: BallotKind) -> &'static str {
    match kind {
        BallotKind::PreVote => "preVote",
        BallotKind::Vote => "vote",
    }
}

fn failure_name(failure: Failure) -> &'static str {
    match failure {
        Failure::Ended => "ended",
        Failure::Crashed(_) => "crashed",
        Failure::Silent => "silent",
    }
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Silence => "silence",
        Timer::Election => "election",
        Timer::Start => "start",
        Timer::Campaign => "campaign",
        Timer::Hurry => "hurry",
        Timer::Patience => "patience",
        Timer::Heartbeat => "heartbeat",
        Timer::Fate => "fate",
    }
}
