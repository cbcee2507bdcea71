//! Replays the fuzzer's saved corpora: every input that once reached new code must still satisfy the claims, and
//! quickly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::claims;
use surfstore::raft::{
    AppendOutcome, BallotKind, Call, Command, Event, Failure, Incarnation, Response, RoleName,
    Server,
};

/// The maximum time for one input, on a busy machine and in a build without optimisation.
const INPUT_MAX: Duration = Duration::from_secs(2);

/// The saved inputs of a corpus.
fn saved(corpus: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let entries = fs::read_dir(&folder).expect("the corpus is part of the sources");
    let paths: Vec<_> =
        entries.map(|entry| entry.expect("the corpus can be listed").path()).collect();
    assert!(10 <= paths.len(), "{} holds {}, and was more", folder.display(), paths.len());
    paths
}

fn replay(corpus: &str, target: fn(&[u8])) {
    for path in saved(corpus) {
        let bytes = fs::read(&path).expect("an input can be read");
        let begun = Instant::now();
        // A panic is shown with the input that caused it.
        let kept = std::panic::catch_unwind(|| target(&bytes));
        assert!(kept.is_ok(), "{} breaks a claim", path.display());
        assert!(begun.elapsed() < INPUT_MAX, "{} takes {:?}", path.display(), begun.elapsed());
    }
}

#[test]
fn saved_connections_pass_the_gate_as_they_should() {
    replay("gate", claims::gate);
}

#[test]
fn saved_documents_are_written_as_they_are_read() {
    replay("xml", claims::xml);
}

#[test]
fn saved_messages_break_no_server() {
    replay("peers", claims::peers);
}

/// What the event, and the server after it, show that a message can cause.
fn shown(event: &Event, server: &Server) -> Vec<&'static str> {
    let told = match event {
        Event::Call(_, Call::RequestVote(request)) => match (request.kind, &request.account) {
            (BallotKind::PreVote, _) => "a pre-vote is asked for",
            (BallotKind::Vote, None) => "a vote is asked for",
            (BallotKind::Vote, Some(_)) => "a vote is asked for with an account",
        },
        Event::Call(_, Call::AppendEntries(request)) => {
            match request.entries.last().map(|entry| &entry.command) {
                None => "a heartbeat",
                Some(Command::Roster(_)) => "a roster",
                Some(Command::Update(_)) => "an update",
            }
        }
        Event::Response { response: Response::Vote(reply), .. } => {
            match (reply.vote_granted, reply.leads) {
                (true, _) => "a vote is granted",
                (false, true) => "a vote is refused by a leader",
                (false, false) => "a vote is refused",
            }
        }
        Event::Response { response: Response::Append(reply), .. } => match reply.outcome {
            AppendOutcome::Accepted => "an append is accepted",
            AppendOutcome::Incomplete(_) => "a snapshot is incomplete",
            AppendOutcome::Mismatch(_) => "an append does not match",
            AppendOutcome::Stale => "an append is stale",
            AppendOutcome::Refused => "an append is refused",
        },
        Event::Unanswered { failure: Failure::Ended, .. } => "a peer has ended",
        Event::Unanswered { failure: Failure::Crashed(_), .. } => "a peer is crashed",
        Event::Unanswered { failure: Failure::Silent, .. } => "a peer is silent",
        Event::Call(_, Call::InstallSnapshot(request)) if request.done => "a snapshot is complete",
        Event::Call(_, Call::InstallSnapshot(_)) => "a piece of a snapshot",
        Event::Call(..) => "a client calls",
        Event::Timeout(_) => "a timer runs out",
        Event::HangUp(_) => "a client hangs up",
        Event::Disconnected(_) => "a peer's connections close",
        Event::Saved(_) => "the disk has saved",
    };
    let status = server.status();
    let is_anew = status.incarnation != Incarnation(100);
    let is_another_s = status.history.is_some_and(|history| history != status.incarnation);
    let marks = [
        (status.role == RoleName::Candidate, "a candidate"),
        (status.role == RoleName::Crashed, "a crashed server"),
        (status.role == RoleName::Leader && !server.leads(), "a leader that founds"),
        (server.leads() && !is_another_s, "the leader that founded its history"),
        (server.leads() && is_another_s, "a leader of another's history"),
        (0 < status.commit_index.0, "a founded server"),
        (is_anew, "a server that started over"),
    ];
    let marks = marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| mark);
    [told].into_iter().chain(marks).collect()
}

/// A corpus in a format that is no longer read would not break anything either.
#[test]
fn saved_messages_are_read_and_bring_a_server_into_every_role() {
    let mut seen = BTreeSet::new();
    for path in saved("peers") {
        let bytes = fs::read(&path).expect("an input can be read");
        claims::tell(&bytes, |event, server| seen.extend(shown(event, server)));
    }
    let expected = [
        "a candidate",
        "a client calls",
        "a crashed server",
        "a founded server",
        "a heartbeat",
        "a leader of another's history",
        "a leader that founds",
        "a peer has ended",
        "a peer is crashed",
        "a peer's connections close",
        "a pre-vote is asked for",
        "a roster",
        "a server that started over",
        "a timer runs out",
        "a vote is asked for",
        "a vote is asked for with an account",
        "a vote is granted",
        "a vote is refused",
        "a vote is refused by a leader",
        "an append does not match",
        "an append is accepted",
        "an append is refused",
        "an append is stale",
        "an update",
        "the leader that founded its history",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}
