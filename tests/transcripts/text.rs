//! How servers, messages and answers are written in a transcript.
//!
//! Servers are called as in the paper, S1 first, and an entry by index and term: `4/t2` is the fourth, of term 2.

use surfstore::metadata::{Files, Update};
use surfstore::raft::{
    Account, AppendEntries, AppendOutcome, BallotKind, CallError, Effect, Entry, Incarnation,
    InstallSnapshot, LogIndex, Member, Position, Reply, Request, RequestVote, Response, RoleName,
    Roster, Server, ServerId, Timer, VoteReply,
};
use surfstore::value::Value;

use crate::sets::Set;

/// How many incarnations a server may have in a scenario.
const INCARNATIONS_MAX: u64 = 100;

pub(crate) fn server_name(id: ServerId) -> String {
    format!("S{}", id.0 + 1)
}

/// What the first process of a server draws. A later process counts on from there.
pub(crate) fn first_incarnation(id: ServerId) -> Incarnation {
    Incarnation((u64::from(id.0) + 1) * INCARNATIONS_MAX)
}

/// The server's name, with a prime for every incarnation that it had before.
pub(crate) fn incarnation(Incarnation(number): Incarnation) -> String {
    let earlier = (0..number % INCARNATIONS_MAX).map(|_| '\'');
    format!("S{}", number / INCARNATIONS_MAX) + &earlier.collect::<String>()
}

fn incarnations(named: impl IntoIterator<Item = Incarnation>) -> String {
    named.into_iter().map(incarnation).collect::<Vec<_>>().join(" ")
}

fn position(Position { term, index }: Position) -> String {
    if index == LogIndex::default() { "0".into() } else { format!("{}/t{}", index.0, term.0) }
}

/// Neighbouring entries of one term are written together: `2-4/t1 5/t3`.
fn entries<'a>(after: LogIndex, entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let terms: Vec<_> = entries.into_iter().map(|entry| entry.term).collect();
    let mut runs: Vec<String> = Vec::new();
    let mut first = after.next();
    for run in terms.chunk_by(|one, next| one == next) {
        let last = first.plus(run.len() - 1);
        let term = run.first().copied().unwrap_or_default();
        runs.push(format!("{}/t{}", range(first, last), term.0));
        first = last.next();
    }
    runs.join(" ")
}

fn range(first: LogIndex, last: LogIndex) -> String {
    if first == last { first.0.to_string() } else { format!("{}-{}", first.0, last.0) }
}

pub(crate) fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Start => "start",
        Timer::Silence => "silence",
        Timer::Election => "election",
        Timer::Campaign => "campaign",
        Timer::Hurry => "hurry",
        Timer::Patience => "patience",
        Timer::Heartbeat => "heartbeat",
        Timer::Fate => "fate",
    }
}

pub(crate) fn request(request: &Request) -> String {
    match request {
        Request::RequestVote(request) => request_vote(request),
        Request::AppendEntries(append) => append_entries(append),
        Request::InstallSnapshot(piece) => install_snapshot(piece),
    }
}

fn request_vote(request: &RequestVote) -> String {
    let method = match request.kind {
        BallotKind::PreVote => "PreVote",
        BallotKind::Vote => "RequestVote",
    };
    let (term, last_log) = (request.term().0, position(request.sender.last_log));
    let text = format!("{method} term {term} log {last_log} ballot {}", request.ballot);
    match &request.account {
        None => text,
        Some(Account(living)) => {
            text + " by everybody: " + &incarnations(living.values().flatten().copied())
        }
    }
}

fn append_entries(request: &AppendEntries) -> String {
    let AppendEntries { sender, prev_log, leader_commit, round, has_majority, .. } = request;
    let mut text = format!("AppendEntries term {} prev {}", sender.term.0, position(*prev_log));
    if !request.entries.is_empty() {
        text += &format!(" entries {}", entries(prev_log.index, &request.entries));
    }
    text += &format!(" commit {} round {}", leader_commit.0, round.0);
    if *has_majority { text } else { text + " without a majority" }
}

fn install_snapshot(request: &InstallSnapshot) -> String {
    let InstallSnapshot { sender, last_included, offset, leaves, done, round, .. } = request;
    let files: usize = leaves.iter().map(|leaf| leaf.len()).sum();
    let mut text = format!(
        "InstallSnapshot term {} up to {} leaves {} files {files} round {}",
        sender.term.0,
        position(*last_included),
        leaf_range(*offset, leaves.len()),
        round.0
    );
    if *done {
        text += " done";
    }
    if request.has_majority { text } else { text + " without a majority" }
}

/// The numbers of the leaves of a piece.
fn leaf_range(offset: u64, count: usize) -> String {
    match count {
        0 => "none".into(),
        _ => range(LogIndex(offset), LogIndex(offset).plus(count - 1)),
    }
}

pub(crate) fn response(response: &Response) -> String {
    match response {
        Response::Vote(VoteReply { sender, kind, ballot, vote_granted, leads }) => {
            let kind = match kind {
                BallotKind::PreVote => "pre-vote",
                BallotKind::Vote => "vote",
            };
            let verdict = if *vote_granted { "granted" } else { "refused" };
            let leads = if *leads { " by the leader" } else { "" };
            format!("{kind} {verdict}{leads} term {} ballot {ballot}", sender.term.0)
        }
        Response::Append(reply) => {
            let outcome = match reply.outcome {
                AppendOutcome::Accepted => "accepted".into(),
                AppendOutcome::Incomplete(1) => "incomplete with 1 leaf".into(),
                AppendOutcome::Incomplete(held) => format!("incomplete with {held} leaves"),
                AppendOutcome::Mismatch(hint) => format!("mismatch beyond {}", position(hint)),
                AppendOutcome::Stale => "stale".into(),
                AppendOutcome::Refused => "refused".into(),
            };
            format!("{outcome} term {} round {}", reply.sender.term.0, reply.round.0)
        }
    }
}

/// An answer to a caller, from a server of that set.
pub(crate) fn reply(set: &Set, reply: &Reply) -> String {
    match reply {
        Reply::Updated(took_effect) => took_effect.to_string(),
        Reply::Files(files) => format!("read {}", file_map(files)),
        Reply::Done => "done".into(),
        Reply::Vote(_) | Reply::Append(_) => "a reply to a peer".into(),
        Reply::Failed(fault) => format!("fault: {}", self::fault(set, *fault)),
    }
}

fn fault(set: &Set, fault: CallError) -> String {
    match fault {
        CallError::Crashed => "this server is crashed".into(),
        CallError::NotLeader(None) => "not the leader".into(),
        CallError::NotLeader(Some(leader)) => {
            format!("not the leader, {} is", server_name(set.place(leader)))
        }
        CallError::OutcomeUnknown => "outcome unknown, this server stopped leading".into(),
        CallError::OutcomeLost => "outcome unknown, this server is crashed".into(),
        CallError::Busy => "busy".into(),
        CallError::Forged(flaw) => flaw.into(),
    }
}

pub(crate) fn file_map(files: &Files) -> String {
    let hash = |value: &Value| match value {
        Value::String(text) => text.to_string(),
        _ => "...".into(),
    };
    let file = |update: &Update| {
        let hashes: Vec<_> = update.hashes.elements().iter().map(hash).collect();
        format!("{} {} {}", update.name, update.version, hashes.join(" "))
    };
    if files.is_empty() {
        "nothing".into()
    } else {
        files.iter().map(file).collect::<Vec<_>>().join(", ")
    }
}

/// The changes in a step that other servers, callers or the paper's figures could see, in few words.
pub(crate) fn change(set: &Set, before: &Server, after: &Server) -> Vec<String> {
    let (old, new) = (before.status(), after.status());
    let mut changes = Vec::new();
    if old.role != new.role {
        changes.push(format!("{} -> {}", old.role.as_str(), new.role.as_str()));
    }
    if old.incarnation != new.incarnation {
        changes.push(format!("starts over as {}", incarnation(new.incarnation)));
        return changes;
    }
    if old.current_term != new.current_term {
        changes.push(format!("term {}", new.current_term.0));
    }
    if let Some(candidate) = new.voted_for
        && (old.current_term, old.voted_for) != (new.current_term, new.voted_for)
    {
        changes.push(format!("votes for {}", incarnation(candidate.incarnation)));
    }
    if new.role == RoleName::Follower && old.leader != new.leader {
        let leader = new.leader.map_or("nobody".into(), |id| server_name(set.place(id)));
        changes.push(format!("follows {leader}"));
    }
    changes.extend(log_change(before, after));
    if old.commit_index != new.commit_index {
        changes.push(format!("commits {}", range(old.commit_index.next(), new.commit_index)));
    }
    changes
}

fn log_change(before: &Server, after: &Server) -> Vec<String> {
    let (old, new) = (before.log(), after.log());
    let (old_begin, new_begin) = (old.last_included().index, new.last_included().index);
    let mut changes = Vec::new();
    if !old.contains(new.last_included()) {
        changes.push(format!("installs the snapshot up to {}", position(new.last_included())));
        changes.extend(roster_change(before, after));
        return changes;
    }
    let both = old_begin.max(new_begin).next();
    let kept = old.from(both).zip(new.from(both)).take_while(|(old, new)| old == new).count();
    let last_kept = both.previous().plus(kept);
    let (deleted, appended) = (old.from(last_kept.next()), new.from(last_kept.next()));
    if 0 < deleted.len() {
        changes.push(format!("deletes {}", entries(last_kept, deleted)));
    }
    if 0 < appended.len() {
        changes.push(format!("appends {}", entries(last_kept, appended)));
    }
    if old_begin < new_begin {
        changes.push(format!("drops {}", range(old_begin.next(), new_begin)));
    }
    changes.extend(roster_change(before, after));
    changes
}

/// Which servers count from now on, or no longer do. The members of the first roster of a history are reported for the
/// server that founds it, not for those that adopt it.
fn roster_change(before: &Server, after: &Server) -> Vec<String> {
    let Some(new) = after.log().roster() else { return Vec::new() };
    let Some(old) = before.log().roster() else {
        let founds = after.role() == RoleName::Leader;
        return founds.then(|| format!("names {}", members(new))).into_iter().collect();
    };
    let lacking = |roster: &Roster, other: &Roster| {
        let member = |(id, incarnation)| Member { id, incarnation };
        let of_one = roster.members.iter().map(|(id, incarnation)| (*id, *incarnation));
        incarnations(of_one.filter(|one| !other.names(member(*one))).map(|(_, one)| one))
    };
    let (gone, come) = (lacking(old, new), lacking(new, old));
    let gone = (!gone.is_empty()).then(|| format!("takes out {gone}"));
    let come = (!come.is_empty()).then(|| format!("brings in {come}"));
    gone.into_iter().chain(come).collect()
}

fn members(roster: &Roster) -> String {
    incarnations(roster.members.values().copied())
}

/// The timers that a step started or stopped.
pub(crate) fn timers(effects: &[Effect]) -> Vec<String> {
    let timer = |effect: &Effect| match effect {
        Effect::ArmTimer(timer) => Some(format!("timer {}", timer_name(*timer))),
        Effect::StopTimers => Some("timers stop".into()),
        Effect::Send { .. } | Effect::Reply(..) | Effect::Discard(_) | Effect::Save(_) => None,
    };
    let mut timers: Vec<_> = effects.iter().filter_map(timer).collect();
    // A new role arms its timer, and the message that caused it may do so too.
    timers.dedup();
    timers
}

/// A line of the table of all servers.
pub(crate) fn status(server: &Server, timer: Option<Timer>) -> String {
    let status = server.status();
    let before = server.log().last_included();
    let log = entries(before.index, server.log().from(LogIndex(1)));
    let log = if log.is_empty() { "none".into() } else { log };
    let log = if before == Position::default() {
        log
    } else {
        format!("after {}: {log}", position(before))
    };
    let mut text = format!("{:<9}  term {}", status.role.as_str(), status.current_term.0);
    if let Some(candidate) = status.voted_for {
        text += &format!("  vote {}", incarnation(candidate.incarnation));
    }
    text += &format!("  log {log}  commit {}", status.commit_index.0);
    if let Some(timer) = timer {
        text += &format!("  timer {}", timer_name(timer));
    }
    if 0 < status.waiting { text + &format!("  waiting {}", status.waiting) } else { text }
}

/// The terms of all entries in a row, as the paper's figures draw logs, with a dot for each that was dropped.
pub(crate) fn row(server: &Server) -> String {
    let dropped = (0..server.log().last_included().index.0).map(|_| "·".to_owned());
    let log = server.log().from(LogIndex(1)).map(|entry| entry.term.0.to_string());
    dropped.chain(log).collect::<Vec<_>>().join(" ")
}

/// A line of the table of rosters: the incarnation of the server, the members of its log's roster, and which living
/// servers are not members.
pub(crate) fn roster<'a>(server: &Server, living: impl Iterator<Item = &'a Server>) -> String {
    let mut text = format!("is {}", incarnation(server.status().incarnation));
    let Some(roster) = server.log().roster() else { return text + "  no roster" };
    text += &format!("  roster {}", members(roster));
    let guests = living.map(|server| server.identity().member());
    let guests = guests.filter(|member| !roster.names(*member)).map(|guest| guest.incarnation);
    let guests = incarnations(guests);
    if !guests.is_empty() {
        text += &format!("  guests {guests}");
    }
    let founded = if server.identity().founded { "founded" } else { "not founded" };
    text + &format!("  history {}, {founded}", incarnation(roster.history))
}
