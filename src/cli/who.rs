//! What the servers report about identity: which histories there are, which servers count, which ones elections wait
//! for, and which ones keep nothing on disk.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::doctor::counted;
use super::status::Statuses;
use crate::client::ServerStatus;
use crate::raft::RoleName;

/// The problems, and what to do about them, based on two rounds of answers.
pub(super) fn problems(first: &Statuses, later: &Statuses) -> Vec<String> {
    let mut problems = doubled(first, later);
    problems.extend(histories(later));
    problems.extend(guests(later));
    problems.extend(waits(later));
    problems
}

/// The servers that keep nothing on disk although others do. They count like any other, so this is no problem yet.
pub(super) fn without_disk(statuses: &Statuses) -> Option<String> {
    let (with, without): (Vec<_>, Vec<_>) =
        answered(statuses).partition(|(_, status)| status.disk_bytes.is_some());
    if with.is_empty() || without.is_empty() {
        return None;
    }
    let ids = |servers: Vec<(i64, _)>| servers.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let without = ids(without);
    let (keeps, it, its) = match without.len() {
        1 => ("keeps", "it forgets", "its process ends; start it"),
        _ => ("keep", "they forget", "their processes end; start them"),
    };
    Some(format!(
        "{} {keeps} nothing on disk, unlike {}: {it} everything when {its} with SURFSTORE_DATA_DIR",
        list(&without),
        list(&ids(with))
    ))
}

/// The servers that answered, with their ids.
fn answered(statuses: &Statuses) -> impl Iterator<Item = (i64, &ServerStatus)> {
    (0..).zip(statuses).filter_map(|(id, status)| Some((id, status.as_ref().ok()?)))
}

/// Ids for which two processes answer.
fn doubled(first: &Statuses, later: &Statuses) -> Vec<String> {
    let told: BTreeSet<_> = answered(later).flat_map(|(_, status)| &status.doubled).collect();
    let told_of = told.iter().map(|id| {
        format!("two processes answer for server {id}: stop the wrong one, and find out which machine starts it")
    });
    let earlier: BTreeMap<_, _> = answered(first).collect();
    let changed = answered(later).filter(|(id, status)| {
        let before = earlier.get(id).map(|status| &status.incarnation);
        before.is_some_and(|before| *before != status.incarnation) && !told.contains(id)
    });
    let changed = changed.map(|(id, _)| {
        format!("server {id} has just been restarted, or two processes answer at its address: run `doctor` again")
    });
    told_of.chain(changed).collect()
}

/// Histories that conflict.
fn histories(statuses: &Statuses) -> Option<String> {
    let mut servers: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    // The most files and, beyond them, the most entries that a server has in its log. Until a leader commits them, a
    // server that has read its log back from a disk has applied few of them.
    let mut most: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    // Until an entry is committed, a server gives up its history for any other.
    for (id, status) in answered(statuses).filter(|(_, status)| 0 < status.commit_index) {
        let Some(history) = &status.history else { continue };
        servers.entry(history).or_default().push(id);
        let (files, entries) = most.entry(history).or_default();
        *files = status.files.max(*files);
        *entries = (status.last_log_index - status.last_applied).max(*entries);
    }
    if servers.len() < 2 {
        let (id, status) =
            answered(statuses).find(|(_, status)| !status.other_histories.is_empty())?;
        let others = list(&status.other_histories);
        return Some(format!(
            "server {id} reports another history at {others}: run `doctor` again once all of them answer"
        ));
    }
    let mut servers: Vec<_> = servers.into_iter().collect();
    servers.sort_by_key(|(_, servers)| Reverse(servers.len()));
    let told = servers.iter().map(|(history, servers)| {
        let (files, entries) = most.get(history).copied().unwrap_or_default();
        let files = counted(files.try_into().unwrap_or_default(), "file");
        let later = match entries.try_into().unwrap_or_default() {
            0 => String::new(),
            entries => format!(" and up to {} not yet applied", counted(entries, "update")),
        };
        format!("{history} with {files}{later} at {}", list(servers))
    });
    let told: Vec<_> = told.collect();
    Some(format!(
        "the servers have different histories, which never mix: {}; choose one to keep, stop the servers that have \
         another one, and start them again, with empty data folders if they have any",
        told.join(", ")
    ))
}

/// Servers that do not count, according to the leader. Crashed servers have already been reported.
fn guests(statuses: &Statuses) -> Vec<String> {
    let Some((_, leader)) = answered(statuses).find(|(_, status)| status.leads()) else {
        return Vec::new();
    };
    // Older servers do not report which servers count.
    let is_left_out = |id: &i64| !leader.roster.is_empty() && !leader.roster.contains(id);
    let up = answered(statuses).filter(|(_, status)| status.role != RoleName::Crashed);
    let ids = up.map(|(id, _)| id);
    let guests: Vec<_> = ids.filter(|id| leader.guests.contains(id) || is_left_out(id)).collect();
    // A server that comes back with its state counts at once.
    let (empty, restarted): (Vec<_>, Vec<_>) = guests.into_iter().partition(|guest| {
        answered(statuses).any(|(id, status)| id == *guest && status.disk_bytes.is_some())
    });
    [(restarted, "a restart"), (empty, "a start with an empty folder")]
        .into_iter()
        .filter(|(guests, _)| !guests.is_empty())
        .map(|(guests, why)| {
            let (do_not, them) = if guests.len() == 1 { ("does", "it") } else { ("do", "them") };
            format!(
                "{} {do_not} not count yet, as after {why}: do not stop another server until the leader has brought \
                 {them} in",
                list(&guests)
            )
        })
        .collect()
}

/// Servers that elections wait for.
fn waits(statuses: &Statuses) -> Vec<String> {
    if answered(statuses).any(|(_, status)| status.leads()) {
        return Vec::new();
    }
    let awaited: BTreeSet<_> =
        answered(statuses).flat_map(|(_, status)| &status.waits_for).collect();
    let is_durable = answered(statuses).any(|(_, status)| status.disk_bytes.is_some());
    let told = awaited.into_iter().map(|id| {
        let status = answered(statuses).find(|(other, _)| other == id);
        let what = match status.map(|(_, status)| status.role) {
            Some(RoleName::Crashed) => format!("is crashed: run `surfstore restore {id}`"),
            Some(_) => "refuses its vote, and may win itself: run `doctor` again".to_owned(),
            None if is_durable => "does not answer: make it reachable or, if its process has ended, start it with its \
                                   data folder; only if everything that it knew may be lost, start it with an empty one"
                .to_owned(),
            None => "does not answer: make it reachable or, if everything that it knew may be lost, restart it"
                .to_owned(),
        };
        format!("the election waits for server {id}, which {what}")
    });
    told.collect()
}

/// A list of servers for a sentence.
fn list(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    match ids.as_slice() {
        [id] => format!("server {id}"),
        _ => format!("servers {}", ids.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Error;

    #[test]
    fn a_server_that_may_have_a_folder_is_to_be_started_with_it() {
        let candidate = |disk_bytes| {
            let waits_for = vec![1];
            Ok(ServerStatus {
                role: RoleName::Candidate,
                waits_for,
                disk_bytes,
                ..Default::default()
            })
        };
        let silent = || Err(Error::NoAnswer(String::new()));
        let begin = "the election waits for server 1, which does not answer: make it reachable or";
        for (disk_bytes, advice) in [
            (None, ", if everything that it knew may be lost, restart it"),
            (
                Some(0),
                ", if its process has ended, start it with its data folder; only if everything that it knew may be \
                 lost, start it with an empty one",
            ),
        ] {
            let told = waits(&vec![candidate(disk_bytes), silent()]);
            assert_eq!(told, [format!("{begin}{advice}")]);
        }
    }
}
