//! What other servers have shown of themselves: which process answers for each peer, and what about it does not fit.
//!
//! Every message between servers says who its sender is. What should not be is told to people in a line: once for each
//! peer and incarnation, never once for each message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use super::status::named;
use crate::config::Config;
use crate::raft::{Identity, Incarnation, Member, Roster, ServerId};

/// How many earlier incarnations of a peer are kept in mind.
const INCARNATIONS_MAX: usize = 8;

/// Of how many incarnations of a peer the same is told: forged messages may come in floods.
const TOLD_MAX: usize = 32;

/// How often incarnations have to come back before two processes are said to answer for one peer. One late message of a
/// process that has ended makes two returns: its own, and that of the process after it.
const RETURNS_MIN: usize = 3;

/// How long a return is kept in mind.
const RETURN_MEMORY: Duration = Duration::from_secs(10);

/// The peers, as they have shown themselves.
#[derive(Debug, Default)]
pub(super) struct Peers {
    shown: BTreeMap<ServerId, Shown>,
    /// What has been told of which incarnations of a peer; `None` stands for all servers that are no peer.
    told: BTreeMap<(Matter, Option<ServerId>), BTreeSet<Incarnation>>,
}

/// A peer that has shown itself.
#[derive(Debug)]
struct Shown {
    last: Identity,
    /// The incarnations before, the latest at the end.
    earlier: VecDeque<Incarnation>,
    /// How often an earlier incarnation came back, each time soon after the time before; and when the last one did.
    returns: usize,
    returned: Option<Instant>,
    /// Whether there is nothing to tell as long as neither it nor this server changes.
    is_settled: bool,
    /// Of which incarnations it has been told that they come by turns with another.
    told: BTreeSet<Incarnation>,
    /// Whether its host has refused a connection since.
    has_ended: bool,
}

/// What does not fit between two servers, the most fundamental first: it explains the others, so it alone is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Matter {
    /// The other server's set has another size.
    Size,
    /// The other server has this server's id.
    OwnId,
    /// The other server has other names for the servers, and another history.
    Set,
    /// The other server has another id than the one that it was asked by.
    Id,
    /// The other server has another history.
    History,
    /// The other server has other names for the servers, or another order.
    Names,
}

impl Matter {
    fn of(asked: Option<ServerId>, sender: &Identity, own: &Identity) -> Option<Matter> {
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
        } else {
            has_other_names.then_some(Matter::Names)
        }
    }
}

/// Whether the server has a founded history that is another than this one.
fn is_apart(server: &Identity, history: Incarnation) -> bool {
    server.founded && server.history != Some(history)
}

/// Whether two messages say the same of the process that sends them, and of what does not change with every entry.
fn is_alike(one: &Identity, other: &Identity) -> bool {
    let of = |server: &Identity| (server.incarnation, server.history, server.founded);
    let configuration = |server: &Identity| (server.id, server.size, server.names);
    of(one) == of(other) && configuration(one) == configuration(other)
}

/// Whether a request of that server is refused for a reason that is told here.
pub(super) fn explains_refusal(sender: &Identity, own: &Identity) -> bool {
    matches!(Matter::of(None, sender, own), Some(Matter::Size | Matter::OwnId))
}

impl Peers {
    /// Takes note of what a server has shown of itself: in its answer to a request to the peer that is named, or else in
    /// a request of its own. Gives the lines that people should read.
    pub(super) fn show(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        own: &Identity,
        config: &Config,
        now: Instant,
    ) -> Vec<String> {
        let matter = Matter::of(asked, sender, own);
        let peer = asked.or_else(|| self.peer_of(sender, own));
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
                "two processes answer for {}, as incarnations {rival} and {} by turns: end one of them",
                called(peer, sender, config),
                sender.incarnation
            ));
        }
        lines
    }

    /// Whether [`show`](Peers::show) has taken note of the same already. Most messages end here.
    pub(super) fn have_shown(&self, asked: Option<ServerId>, sender: &Identity) -> bool {
        self.shown.get(&asked.unwrap_or(sender.id)).is_some_and(|shown| {
            shown.is_settled && !shown.has_ended && is_alike(&shown.last, sender)
        })
    }

    /// This server has changed: what has fitted may not fit any more.
    pub(super) fn unsettle(&mut self) {
        self.shown.values_mut().for_each(|shown| shown.is_settled = false);
    }

    /// Whether the matter has not been told of that process yet, as whatever it showed itself, and may be.
    fn is_new(&mut self, matter: Matter, peer: Option<ServerId>, of: Incarnation) -> bool {
        let mut told = self.told.iter().filter(|((other, _), _)| *other == matter);
        !told.any(|(_, told)| told.contains(&of))
            && may_tell(self.told.entry((matter, peer)).or_default(), of)
    }

    /// Which peer sends a request. If its configuration has other numbers, it is the peer for which it has answered.
    fn peer_of(&self, sender: &Identity, own: &Identity) -> Option<ServerId> {
        if sender.names == own.names && sender.size == own.size {
            return (sender.id != own.id && sender.id.0 < own.size).then_some(sender.id);
        }
        let is_it = |(_, shown): &(_, &Shown)| shown.last.incarnation == sender.incarnation;
        self.shown.iter().find(is_it).map(|(id, _)| *id)
    }

    /// Keeps what the peer has shown. If people should know that two of its incarnations come by turns, gives the other.
    fn note(&mut self, peer: ServerId, sender: &Identity, now: Instant) -> Option<Incarnation> {
        let shown = self.shown.entry(peer).or_insert_with(|| Shown::new(*sender));
        shown.has_ended = false;
        // Whatever there is to tell is told now.
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

    /// The peers that are there and that the roster does not name.
    pub(super) fn guests(&self, roster: &Roster, asks: bool) -> impl Iterator<Item = ServerId> {
        let is_guest = |(id, shown): &(ServerId, &Shown)| {
            let member = Member { id: *id, incarnation: shown.last.incarnation };
            !roster.names(member) && !is_apart(&shown.last, roster.history)
        };
        self.there(roster, asks).filter(is_guest).map(|(id, _)| id)
    }

    /// The peers that are there with another founded history than the roster's.
    pub(super) fn apart(&self, roster: &Roster, asks: bool) -> impl Iterator<Item = ServerId> {
        let is_apart = |(_, shown): &(ServerId, &Shown)| is_apart(&shown.last, roster.history);
        self.there(roster, asks).filter(is_apart).map(|(id, _)| id)
    }

    /// The peers for which two processes answer.
    pub(super) fn doubled(&self, now: Instant) -> impl Iterator<Item = ServerId> {
        self.shown.iter().filter(move |(_, shown)| shown.is_doubled(now)).map(|(id, _)| *id)
    }

    /// The peers that are there. A server that `asks` them knows of each which incarnation that is; another goes by the
    /// roster, and takes one that has shown itself before for gone if the roster names the next.
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

/// Whether something has not been told of the incarnation yet, and may be.
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

/// What people are told of a matter, and what they can do about it.
fn line(matter: Matter, who: &str, sender: &Identity, own: &Identity) -> String {
    let history = |server: &Identity| {
        server.history.map_or_else(|| "none".to_owned(), |history| history.to_string())
    };
    let histories =
        || format!("another history ({}) than this server ({})", history(sender), history(own));
    match matter {
        Matter::Size => format!(
            "{who} has a configuration of {} servers, this server one of {}: neither takes anything from the other; \
             give all servers the same configuration",
            sender.size, own.size
        ),
        Matter::OwnId => format!(
            "another process was started as server {} too, as incarnation {}: give each its own ID",
            own.id.0, sender.incarnation
        ),
        Matter::Set => format!(
            "{who} has another configuration and {}, like a server of another set: neither takes anything from the \
             other; check which addresses the two sets share",
            histories()
        ),
        Matter::Id => format!(
            "{who} calls itself server {}: it was started with another ID, or its configuration has another order",
            sender.id.0
        ),
        Matter::History => format!(
            "{who} has {}: neither takes anything from the other; one of the two has to be started anew",
            histories()
        ),
        Matter::Names => format!(
            "{who} has other names for the servers, or another order of them, in its configuration than this server"
        ),
    }
}
