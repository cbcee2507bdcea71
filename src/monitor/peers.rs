//! What other servers have shown of themselves: which process answers for each peer, and how that does not fit.
//!
//! Every message between servers identifies its sender. A mismatch is logged once for each peer and incarnation, not
//! once for each message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use super::status::named;
use crate::config::Config;
use crate::raft::{Identity, Incarnation, Member, Roster, ServerId};

/// How many earlier incarnations of a peer are remembered.
const INCARNATIONS_MAX: usize = 8;

/// For how many incarnations of a peer the same mismatch is logged: forged messages may come in floods.
const TOLD_MAX: usize = 32;

/// How many returns of incarnations show that two processes answer for one peer. One late message of a process that has
/// ended makes two returns: its own, and that of the process after it.
const RETURNS_MIN: usize = 3;

/// How long a return is remembered.
const RETURN_MEMORY: Duration = Duration::from_secs(10);

/// The peers, as they have shown themselves.
#[derive(Debug, Default)]
pub(super) struct Peers {
    shown: BTreeMap<ServerId, Shown>,
    /// For which incarnations of a peer each mismatch has been logged; `None` stands for all servers that are not
    /// peers.
    told: BTreeMap<(Matter, Option<ServerId>), BTreeSet<Incarnation>>,
}

/// What this server knows of itself and its set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) identity: &'a Identity,
    pub(super) config: &'a Config,
    /// The last roster of its log.
    pub(super) roster: Option<&'a Roster>,
}

/// A peer that has shown itself.
#[derive(Debug)]
struct Shown {
    last: Identity,
    /// The earlier incarnations, the latest last.
    earlier: VecDeque<Incarnation>,
    /// How often an earlier incarnation has returned, each time soon after the previous return; and when the last one
    /// did.
    returns: usize,
    returned: Option<Instant>,
    /// Whether there is nothing to log as long as neither it nor this server changes.
    is_settled: bool,
    /// The incarnations for which it has been logged that they alternate with another.
    told: BTreeSet<Incarnation>,
    /// Whether its host has refused a connection since.
    has_ended: bool,
}

/// A mismatch between two servers, most fundamental first. Only the first one that applies is logged, because it
/// explains the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Matter {
    /// The other server's set has a different size.
    Size,
    /// The other server has this server's id.
    OwnId,
    /// The other server has different names for the servers, and a different history.
    Set,
    /// The other server's id is not the id under which it was asked.
    Id,
    /// The other server has a different history.
    History,
    /// The other server has different names for the servers, or a different order.
    Names,
    /// Only one of the two servers keeps its state on disk.
    Disk,
    /// The other server kept its state on disk, and has started over without it.
    Lost,
}

impl Matter {
    /// `lost` is the incarnation in which the other server kept its state on disk, if it has another one now.
    fn of(
        asked: Option<ServerId>,
        sender: &Identity,
        own: &Identity,
        lost: Option<Incarnation>,
    ) -> Option<Matter> {
        let has_other_names = sender.names != own.names;
        let has_other_history =
            own.founded && own.history.is_some_and(|history| is_apart(sender, history));
        if sender.size != own.size {
            Some(Matter::Size)
        } else if !has_other_names && sender.id == own.id && sender.incarnation != own.incarnation {
            Some(Matter::OwnId)
        } else if has_other_names && has_other_history {
            Some(Matter::Set)
        } else if asked.is_some_and(|asked| asked != sender.id) {
            Some(Matter::Id)
        } else if has_other_history {
            Some(Matter::History)
        } else if has_other_names {
            Some(Matter::Names)
        } else if sender.incarnation.is_on_disk() != own.incarnation.is_on_disk() {
            Some(Matter::Disk)
        } else {
            lost.map(|_| Matter::Lost)
        }
    }
}

/// Whether the server has a founded history other than this one.
fn is_apart(server: &Identity, history: Incarnation) -> bool {
    server.founded && server.history != Some(history)
}

/// Whether two messages agree about the process that sent them, and about everything that does not change with each
/// entry.
fn is_alike(one: &Identity, other: &Identity) -> bool {
    let of = |server: &Identity| (server.incarnation, server.history, server.founded);
    let configuration = |server: &Identity| (server.id, server.size, server.names);
    of(one) == of(other) && configuration(one) == configuration(other)
}

/// Whether a request of that server is refused for a reason that is logged here.
pub(super) fn explains_refusal(sender: &Identity, own: &Identity) -> bool {
    matches!(Matter::of(None, sender, own, None), Some(Matter::Size | Matter::OwnId))
}

impl Peers {
    /// Records what a server has shown of itself, either in its answer to a request to the peer `asked`, or in a
    /// request of its own. Returns the lines to log.
    pub(super) fn show(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        own: Own<'_>,
        now: Instant,
    ) -> Vec<String> {
        let Own { identity: own, config, roster } = own;
        let peer = asked.or_else(|| self.peer_of(sender, own));
        let lost = peer.and_then(|peer| self.lost(peer, sender.incarnation, roster));
        let matter = Matter::of(asked, sender, own, lost);
        let rival = match (peer, matter) {
            (None, _) | (_, Some(Matter::Size)) => None,
            (Some(peer), _) => self.note(peer, sender, now),
        };
        let mut lines = Vec::new();
        if let Some(matter) = matter
            && self.is_new(matter, peer, sender.incarnation)
        {
            lines.push(line(matter, &called(peer, sender, config), sender, own));
        }
        if let Some(rival) = rival {
            lines.push(format!(
                "two processes answer for {} in turn, incarnations {rival} and {}; stop one of them",
                called(peer, sender, config),
                sender.incarnation
            ));
        }
        lines
    }

    /// The incarnation in which the peer kept its state on disk, if it has started over as this one: the last that it
    /// has shown or, if it has shown none since this server's start, the one that the roster names.
    fn lost(
        &self,
        peer: ServerId,
        now: Incarnation,
        roster: Option<&Roster>,
    ) -> Option<Incarnation> {
        let before = match self.shown.get(&peer) {
            // A late message of a former process.
            Some(shown) if shown.earlier.contains(&now) => None,
            Some(shown) => Some(shown.last.incarnation),
            None => roster.and_then(|roster| roster.members.get(&peer).copied()),
        };
        before.filter(|before| before.is_on_disk() && *before != now)
    }

    /// Whether [`show`](Peers::show) has already recorded the same. Most messages end here.
    pub(super) fn have_shown(&self, asked: Option<ServerId>, sender: &Identity) -> bool {
        self.shown.get(&asked.unwrap_or(sender.id)).is_some_and(|shown| {
            shown.is_settled && !shown.has_ended && is_alike(&shown.last, sender)
        })
    }

    /// This server has changed: what matched before may not match any more.
    pub(super) fn unsettle(&mut self) {
        self.shown.values_mut().for_each(|shown| shown.is_settled = false);
    }

    /// Whether the mismatch may be logged for that process, and has not been yet under any id that it has shown.
    fn is_new(&mut self, matter: Matter, peer: Option<ServerId>, of: Incarnation) -> bool {
        let mut told = self.told.iter().filter(|((other, _), _)| *other == matter);
        !told.any(|(_, told)| told.contains(&of))
            && may_tell(self.told.entry((matter, peer)).or_default(), of)
    }

    /// The peer that sends a request. If its configuration has other numbers, it is the peer at whose address the
    /// process has answered.
    fn peer_of(&self, sender: &Identity, own: &Identity) -> Option<ServerId> {
        if sender.names == own.names && sender.size == own.size {
            return (sender.id != own.id && sender.id.0 < own.size).then_some(sender.id);
        }
        let is_it = |(_, shown): &(_, &Shown)| shown.last.incarnation == sender.incarnation;
        self.shown.iter().find(is_it).map(|(id, _)| *id)
    }

    /// Stores what the peer has shown. If it should be logged that two of its incarnations alternate, returns the other
    /// one.
    fn note(&mut self, peer: ServerId, sender: &Identity, now: Instant) -> Option<Incarnation> {
        let shown = self.shown.entry(peer).or_insert_with(|| Shown::new(*sender));
        shown.has_ended = false;
        // Everything that there is to log is logged now.
        shown.is_settled = true;
        let before = mem::replace(&mut shown.last, *sender).incarnation;
        if before == sender.incarnation {
            return None;
        }
        let known = shown.earlier.len();
        shown.earlier.retain(|earlier| *earlier != sender.incarnation);
        if shown.earlier.len() < known {
            let is_first = !shown.returned.is_some_and(|returned| is_recent(returned, now));
            shown.returns = if is_first { 1 } else { shown.returns.saturating_add(1) };
            shown.returned = Some(now);
        }
        shown.earlier.push_back(before);
        if INCARNATIONS_MAX < shown.earlier.len() {
            shown.earlier.pop_front();
        }
        let either = before.min(sender.incarnation);
        (shown.is_doubled(now) && may_tell(&mut shown.told, either)).then_some(before)
    }

    /// The peer's host has refused a connection.
    pub(super) fn ended(&mut self, peer: ServerId) {
        if let Some(shown) = self.shown.get_mut(&peer) {
            shown.has_ended = true;
        }
    }

    /// The peers that are present but not named by the roster.
    pub(super) fn guests(&self, roster: &Roster, asks: bool) -> impl Iterator<Item = ServerId> {
        let is_guest = |(id, shown): &(ServerId, &Shown)| {
            let member = Member { id: *id, incarnation: shown.last.incarnation };
            !roster.names(member) && !is_apart(&shown.last, roster.history)
        };
        self.there(roster, asks).filter(is_guest).map(|(id, _)| id)
    }

    /// The peers that are present with a founded history other than the roster's.
    pub(super) fn apart(&self, roster: &Roster, asks: bool) -> impl Iterator<Item = ServerId> {
        let is_apart = |(_, shown): &(ServerId, &Shown)| is_apart(&shown.last, roster.history);
        self.there(roster, asks).filter(is_apart).map(|(id, _)| id)
    }

    /// The peers for which two processes answer.
    pub(super) fn doubled(&self, now: Instant) -> impl Iterator<Item = ServerId> {
        self.shown.iter().filter(move |(_, shown)| shown.is_doubled(now)).map(|(id, _)| *id)
    }

    /// The peers that are present. A server that `asks` its peers knows the current incarnation of each. Any other
    /// server relies on the roster: if it names another incarnation than the one that a peer has shown, that one is
    /// taken to be gone.
    fn there(&self, roster: &Roster, asks: bool) -> impl Iterator<Item = (ServerId, &Shown)> {
        let is_past = move |id: &ServerId, shown: &Shown| {
            let named = roster.members.get(id);
            !asks && named.is_some_and(|named| *named != shown.last.incarnation)
        };
        let there = self.shown.iter().filter(|(_, shown)| !shown.has_ended);
        there.filter(move |(id, shown)| !is_past(id, shown)).map(|(id, shown)| (*id, shown))
    }
}

impl Shown {
    fn new(last: Identity) -> Shown {
        Shown {
            last,
            earlier: VecDeque::new(),
            returns: 0,
            returned: None,
            is_settled: false,
            told: BTreeSet::new(),
            has_ended: false,
        }
    }

    fn is_doubled(&self, now: Instant) -> bool {
        let is_recent = self.returned.is_some_and(|returned| is_recent(returned, now));
        is_recent && RETURNS_MIN <= self.returns
    }
}

fn is_recent(returned: Instant, now: Instant) -> bool {
    now.saturating_duration_since(returned) < RETURN_MEMORY
}

/// Whether something may be logged for the incarnation, and has not been yet.
fn may_tell(told: &mut BTreeSet<Incarnation>, of: Incarnation) -> bool {
    told.len() < TOLD_MAX && told.insert(of)
}

/// The server as people know it: as a peer, or by what it calls itself.
fn called(peer: Option<ServerId>, sender: &Identity, config: &Config) -> String {
    match peer {
        Some(peer) => named(config, peer),
        None => format!("a server that calls itself server {} of {}", sender.id.0, sender.size),
    }
}

/// The log line for a mismatch, and what people can do about it.
fn line(matter: Matter, who: &str, sender: &Identity, own: &Identity) -> String {
    let history = |server: &Identity| {
        server.history.map_or_else(|| "none".to_owned(), |history| history.to_string())
    };
    let histories =
        || format!("another history ({}) than this server ({})", history(sender), history(own));
    match matter {
        Matter::Size => format!(
            "{who} has a configuration of {} servers, this server one of {}, so each refuses the other; give all \
             servers the same configuration",
            sender.size, own.size
        ),
        Matter::OwnId => format!(
            "another process was also started as server {}, with incarnation {}; give each its own ID",
            own.id.0, sender.incarnation
        ),
        Matter::Set => format!(
            "{who} has another configuration and {}, like a server of another set, so each refuses the other; check \
             which addresses the two sets share",
            histories()
        ),
        Matter::Id => format!(
            "{who} calls itself server {}: it was started with another ID, or its configuration has another order",
            sender.id.0
        ),
        Matter::History => format!(
            "{who} has {}, so each refuses the other; to give up one history, start its servers again without their \
             state (with empty data folders, if they have any)",
            histories()
        ),
        Matter::Names => format!(
            "{who} has other server names, or another order of them, in its configuration than this server"
        ),
        Matter::Disk if own.incarnation.is_on_disk() => format!(
            "{who} keeps nothing on disk, unlike this server, so it forgets everything when its process ends; restart \
             it with SURFSTORE_DATA_DIR"
        ),
        Matter::Disk => format!(
            "{who} keeps its state on disk, but this server forgets everything when its process ends; restart this \
             server with SURFSTORE_DATA_DIR"
        ),
        Matter::Lost => format!(
            "{who} has started over without what it had on disk, with incarnation {}; unless its folder was emptied on \
             purpose or it gave up its history, check its disk",
            sender.incarnation
        ),
    }
}
