//! What must hold when a server receives a snapshot (§7), and the situations that only arise once entries are dropped.

use surfstore::raft::{
    AppendOutcome, Call, CallError, Discarded, Effect, Event, InstallSnapshot, Reply, Request,
    RoleName, Server,
};

use crate::marks::{Mark, Marks};
use crate::steps::{Local, append_outcome};

/// A server that acknowledges a snapshot has applied everything that it includes. If the server's log had the last
/// included entry, the entries after that are kept; otherwise none is. Until a snapshot is complete, nothing changes.
pub(crate) fn check_change(before: &Server, event: &Event, after: &Server, effects: &[Effect]) {
    let Event::Call(_, Call::InstallSnapshot(request)) = event else { return };
    let (old, new) = (before.status(), after.status());
    let last_included = request.last_included;
    if append_outcome(effects) != Some(AppendOutcome::Accepted) {
        let gives_up = old.history != request.sender.history;
        let log_stays = before.log() == after.log() || gives_up;
        assert!(log_stays, "a piece of a snapshot changes the log");
        let applied = (before.files(), old.commit_index) != (after.files(), new.commit_index);
        assert!(!applied, "a piece of a snapshot is applied before the others have come");
        return;
    }
    assert!(last_included.index <= new.last_applied, "it acknowledges a snapshot that it lacks");
    assert!(new.history == request.sender.history, "it acknowledges another history than its own");
    if !needs(before, request) {
        assert!(old.last_log == new.last_log, "a snapshot that it does not need changes its log");
    } else {
        let is_alone = after.log().last_included() == last_included && after.log().len() == 0;
        assert!(is_alone, "entries outlast the snapshot that replaces them");
        assert!(new.commit_index == last_included.index, "a snapshot commits what comes after it");
        let roster = after.log().roster();
        assert!(roster == Some(&request.roster), "the roster of a snapshot is lost");
    }
}

/// Whether the server lacks something that the snapshot includes.
fn needs(server: &Server, request: &InstallSnapshot) -> bool {
    let is_same_history = server.status().history == request.sender.history;
    !is_same_history || !server.log().contains(request.last_included)
}

/// The situations in a step that only arise once entries are dropped.
pub(crate) fn mark(
    marks: &mut Marks,
    before: &Local,
    event: &Event,
    after: &Local,
    effects: &[Effect],
) {
    let (old, new) = (before.server.status(), after.server.status());
    let dropped = [before, after].map(|local| local.server.log().last_included());
    let moves = dropped[0] != dropped[1];
    let request = match event {
        Event::Call(_, Call::InstallSnapshot(request)) => Some(request),
        _ => None,
    };
    let outcome = append_outcome(effects).filter(|_| request.is_some());
    let is_accepted = outcome == Some(AppendOutcome::Accepted);
    let installs = is_accepted && request.is_some_and(|request| needs(&before.server, request));
    marks.hit_if(Mark::EntryDropped, moves && request.is_none());
    marks.hit_if(Mark::SnapshotInstalled, installs);
    marks.hit_if(Mark::EmptyServerFilled, installs && old.history.is_none());
    marks.hit_if(Mark::SuffixReplaced, installs && old.commit_index < old.last_log.index);
    let is_longer = request.is_some_and(|it| it.last_included.index < old.last_log.index);
    marks.hit_if(Mark::LongerLogReplaced, installs && is_longer);
    let keeps = is_accepted && !installs;
    marks.hit_if(Mark::SnapshotNotNeeded, keeps);
    let goes_beyond = request.is_some_and(|it| it.last_included.index < new.last_log.index);
    marks.hit_if(Mark::SuffixKept, keeps && goes_beyond);
    let is_part = matches!(outcome, Some(AppendOutcome::Incomplete(held)) if 0 < held);
    marks.hit_if(Mark::PieceKept, is_part);
    for effect in effects {
        match effect {
            Effect::Send { request: Request::InstallSnapshot(_), .. } => {
                marks.hit(Mark::PieceSent);
            }
            Effect::Reply(_, Reply::Failed(CallError::OutcomeUnknown)) => {
                marks.hit_if(Mark::ToldUnknownByInstall, installs);
            }
            Effect::Discard(Discarded::Files(_)) if old.role == RoleName::Leader => {
                marks.hit(Mark::TransferEnded);
            }
            Effect::Discard(Discarded::Files(_)) if !installs => {
                let crashes = new.role == RoleName::Crashed;
                marks.hit(if crashes { Mark::PiecesLost } else { Mark::PiecesGivenUp });
            }
            _ => {}
        }
    }
}
