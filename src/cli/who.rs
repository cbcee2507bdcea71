//! What the servers report about identity: which histories there are, which servers count, and which ones elections
//! wait for.

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
    let mut files: BTreeMap<&str, i64> = BTreeMap::new();
    // Until an entry is committed, a server gives up its history for any other.
    for (id, status) in answered(statuses).filter(|(_, status)| 0 < status.commit_index) {
        let Some(history) = &status.history else { continue };
        servers.entry(history).or_default().push(id);
        let most = files.entry(history).or_default();
        *most = status.files.max(*most);
    }
    if servers.len() < 2 {
        let (id, status) =
            answered(statuses).find(|(_, status)| !status.other_histories.is_empty())?;
        let others = list(&status.other_histories);
        return Some(format!("server {id} reports another history at {others}"));
    }
    let mut servers: Vec<_> = servers.into_iter().collect();
    servers.sort_by_key(|(_, servers)| Reverse(servers.len()));
    let told = servers.iter().map(|(history, servers)| {
        let count = usize::try_from(files.get(history).copied().unwrap_or_default());
        let files = counted(count.unwrap_or_default(), "file");
        format!("{history} with {files} at {}", list(servers))
    });
    let told: Vec<_> = told.collect();
    Some(format!(
        "the servers have different histories, which never mix: {}; choose one to keep, stop the servers that have \
         another one, and start them again",
        told.join(", ")
    ))
}

/// Servers that do not count, according to the leader. Crashed servers have already been reported.
fn guests(statuses: &Statuses) -> Option<String> {
    let (_, leader) = answered(statuses).find(|(_, status)| status.leads())?;
    // Older servers do not report which servers count.
    let is_left_out = |id: &i64| !leader.roster.is_empty() && !leader.roster.contains(id);
    let up = answered(statuses).filter(|(_, status)| status.role != RoleName::Crashed);
    let ids = up.map(|(id, _)| id);
    let guests: Vec<_> = ids.filter(|id| leader.guests.contains(id) || is_left_out(id)).collect();
    let (do_not, them) = if guests.len() == 1 { ("does", "it") } else { ("do", "them") };
    (!guests.is_empty()).then(|| {
        format!(
            "{} {do_not} not count yet, as after a restart: do not stop another server until the leader has brought \
             {them} in",
            list(&guests)
        )
    })
}

/// Servers without which no leader can be elected.
fn waits(statuses: &Statuses) -> Vec<String> {
    if answered(statuses).any(|(_, status)| status.leads()) {
        return Vec::new();
    }
    let awaited: BTreeSet<_> =
        answered(statuses).flat_map(|(_, status)| &status.waits_for).collect();
    let told = awaited.into_iter().map(|id| {
        let status = answered(statuses).find(|(other, _)| other == id);
        let what = match status.map(|(_, status)| status.role) {
            Some(RoleName::Crashed) => format!("is crashed: run `surfstore restore {id}`"),
            Some(_) => "does not grant its vote".to_owned(),
            None => "does not answer: make it reachable or, if everything that it knew may be lost, restart it"
                .to_owned(),
        };
        format!("no leader can be elected without server {id}, which {what}")
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
