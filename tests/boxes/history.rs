//! Whether the answers to clients are linearizable: whether every call could have taken effect at one moment between
//! its start and its end, in a map in which a file's version only ever increases by one.
//!
//! The check follows time (Lowe, "Testing for linearizability", 2017). It keeps every state that the map may be in,
//! with the calls that have taken effect in it. When a call ends, it must have taken effect, so each state is extended
//! by pending calls until it has; a state in which it cannot is dropped. If no state is left, no order explains the
//! answers.
//!
//! The checker knows nothing about servers and their faults: whoever records a history gives the outcome of each call.

use std::collections::{BTreeMap, BTreeSet};

/// The version of every file, and the update that wrote it.
pub(crate) type Map = BTreeMap<String, (i64, u64)>;

/// A call and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// When it started.
    pub(crate) from: u64,
    /// When it ended.
    pub(crate) until: u64,
    pub(crate) did: Did,
}

/// What a call did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Did {
    /// It was answered with this map.
    Read(Map),
    /// It was answered with true.
    Wrote(Update),
    /// It was answered with false: the version was not the next.
    Refused(Update),
    /// Its outcome is unknown: it takes effect at any time after its start, or never.
    Unknown(Update),
    /// It was answered with a definite fault: it never takes effect.
    Failed,
}

/// An update, whose value is used once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) value: u64,
}

/// A state that the map may be in, with the pending calls that have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Possible {
    map: Map,
    done: BTreeSet<usize>,
}

impl Call {
    /// The call ends when its answer arrives; a call without an answer never ends.
    fn ends(&self) -> bool {
        !matches!(self.did, Did::Unknown(_) | Did::Failed)
    }
}

impl Did {
    /// Whether the call changes nothing and gets this answer from this map.
    fn is_told_by(&self, map: &Map) -> bool {
        match self {
            Did::Read(seen) => seen == map,
            Did::Refused(update) => !update.is_next(map),
            Did::Wrote(_) | Did::Unknown(_) | Did::Failed => false,
        }
    }

    /// The map after the call, if it can change this map.
    fn applied_to(&self, map: &Map) -> Option<Map> {
        let (Did::Wrote(update) | Did::Unknown(update)) = self else { return None };
        let mut after = map.clone();
        after.insert(update.name.clone(), (update.version, update.value));
        update.is_next(map).then_some(after)
    }
}

impl Update {
    fn is_next(&self, map: &Map) -> bool {
        map.get(&self.name).map_or(0, |(version, _)| *version) + 1 == self.version
    }
}

/// Checks a history.
///
/// # Errors
///
/// Names the first call that nothing explains, and the maps that were possible before it.
pub(crate) fn linearize(calls: &[Call]) -> Result<(), String> {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        events.push((call.from, false, number));
        if call.ends() {
            events.push((call.until, true, number));
        }
    }
    // A call that starts at the moment when another one ends may have come first.
    events.sort_unstable();
    let mut under_way = BTreeSet::new();
    let mut possible = BTreeSet::from([Possible { map: Map::new(), done: BTreeSet::new() }]);
    for (_, ends, number) in events {
        if !ends {
            under_way.insert(number);
            possible = possible.into_iter().map(|state| state.settle(calls, &under_way)).collect();
            continue;
        }
        let mut after = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for state in &possible {
            state.carry_on(calls, &under_way, number, &mut seen, &mut after);
        }
        if after.is_empty() {
            let maps: Vec<_> = possible.iter().map(|state| &state.map).collect();
            return Err(format!("nothing explains {:?} after {maps:?}", calls[number]));
        }
        under_way.remove(&number);
        // An unknown update cannot be the next one any more once every state has its version.
        under_way.retain(|number| is_of_use(&calls[*number].did, &after));
        possible = after.into_iter().map(|state| state.forget_all_but(&under_way)).collect();
    }
    Ok(())
}

/// Whether a call may still take effect in one of the states.
fn is_of_use(did: &Did, possible: &BTreeSet<Possible>) -> bool {
    let Did::Unknown(update) = did else { return *did != Did::Failed };
    possible.iter().any(|Possible { map, .. }| {
        map.get(&update.name).map_or(0, |(version, _)| *version) < update.version
    })
}

impl Possible {
    /// Applies the calls that change nothing and whose answer this map gives, which never does harm.
    fn settle(mut self, calls: &[Call], under_way: &BTreeSet<usize>) -> Possible {
        let told = |number: &&usize| calls[**number].did.is_told_by(&self.map);
        let told: Vec<_> = under_way.iter().filter(told).copied().collect();
        self.done.extend(told);
        self
    }

    /// Removes calls that are no longer pending, so that two states do not differ by them alone.
    fn forget_all_but(mut self, under_way: &BTreeSet<usize>) -> Possible {
        self.done.retain(|number| under_way.contains(number));
        self
    }

    /// Collects the states in which the call has taken effect, and has ended.
    fn carry_on(
        &self,
        calls: &[Call],
        under_way: &BTreeSet<usize>,
        number: usize,
        seen: &mut BTreeSet<Possible>,
        after: &mut BTreeSet<Possible>,
    ) {
        if !seen.insert(self.clone()) {
            return;
        }
        if self.done.contains(&number) {
            let mut ended = self.clone();
            ended.done.remove(&number);
            after.insert(ended);
            return;
        }
        for next in under_way.difference(&self.done) {
            if let Some(map) = calls[*next].did.applied_to(&self.map) {
                let done = self.done.iter().copied().chain([*next]).collect();
                let state = Possible { map, done }.settle(calls, under_way);
                state.carry_on(calls, under_way, number, seen, after);
            }
        }
    }
}
