//! The moments at which the operations of a history can have happened.

use std::collections::BTreeMap;
use std::time::Duration;

use super::about;
use super::writers::Writers;
use crate::chaos::history::{Deed, Fate, Operation, Seen, Violation};

/// The violation of the order, if there is one.
pub(super) fn objection(history: &[Operation], writers: &Writers) -> Option<Violation> {
    let graph = Graph::new(history, writers);
    let sorted = match graph.sorted() {
        Ok(sorted) => sorted,
        Err(cycle) => return Some(contradiction(history, &cycle)),
    };
    let mut moments = Moments {
        history,
        earliest: history.iter().map(|operation| operation.start).collect(),
        causes: BTreeMap::new(),
    };
    if let Err(refusal) = moments.settle(&graph, &sorted, writers) {
        return Some(wrong_refusal(history, &refusal));
    }
    let late = sorted.iter().copied().find(|index| moments.is_late(*index))?;
    Some(moments.violation(late))
}

/// The order of the operations that follows from what they saw and wrote.
struct Graph {
    /// For each operation, those that come after it.
    after: Vec<Vec<usize>>,
}

impl Graph {
    fn new(history: &[Operation], writers: &Writers) -> Graph {
        let mut graph = Graph { after: vec![Vec::new(); history.len()] };
        for chain in writers.files.values() {
            for (first, second) in chain.iter().zip(chain.iter().skip(1)) {
                graph.add(*first, *second);
            }
        }
        for (read, operation) in history.iter().enumerate() {
            if let Deed::Read(seen) = &operation.deed {
                graph.add_read(read, seen, writers);
            }
        }
        graph
    }

    fn add(&mut self, first: usize, second: usize) {
        if let Some(after) = self.after.get_mut(first) {
            after.push(second);
        }
    }

    fn add_read(&mut self, read: usize, seen: &Seen, writers: &Writers) {
        for (file, chain) in &writers.files {
            let version = seen.get(file).map_or(0, |(version, _)| *version);
            if let Some(update) = giver(chain, version) {
                self.add(*update, read);
            }
            if let Some(update) = giver(chain, version + 1) {
                self.add(read, *update);
            }
        }
    }

    /// All operations in topological order.
    ///
    /// # Errors
    ///
    /// A cycle: operations each of which comes before the next, and the last before the first.
    fn sorted(&self) -> Result<Vec<usize>, Vec<usize>> {
        let mut missing = vec![0_usize; self.after.len()];
        for index in self.after.iter().flatten() {
            missing.get_mut(*index).into_iter().for_each(|count| *count += 1);
        }
        let mut sorted: Vec<usize> =
            (0..self.after.len()).filter(|index| missing.get(*index) == Some(&0)).collect();
        let mut done = 0;
        while let Some(index) = sorted.get(done).copied() {
            done += 1;
            for next in self.after.get(index).into_iter().flatten() {
                let Some(count) = missing.get_mut(*next) else { continue };
                *count -= 1;
                if *count == 0 {
                    sorted.push(*next);
                }
            }
        }
        if sorted.len() == self.after.len() { Ok(sorted) } else { Err(self.cycle(&missing)) }
    }

    /// A cycle among the operations that wait for a predecessor.
    fn cycle(&self, missing: &[usize]) -> Vec<usize> {
        let is_stuck = |index: usize| missing.get(index).is_some_and(|count| 0 < *count);
        // Search backwards, because each of them has a predecessor that is stuck as well.
        let mut before = BTreeMap::new();
        for (first, after) in self.after.iter().enumerate().filter(|(first, _)| is_stuck(*first)) {
            after.iter().for_each(|second| _ = before.insert(*second, first));
        }
        let mut path: Vec<usize> =
            (0..missing.len()).filter(|index| is_stuck(*index)).take(1).collect();
        while let Some(first) = path.last().and_then(|last| before.get(last)) {
            if let Some(begin) = path.iter().position(|known| known == first) {
                return path.split_off(begin);
            }
            path.push(*first);
        }
        path
    }
}

/// The update that wrote a version; versions start at 1.
fn giver(chain: &[usize], version: i64) -> Option<&usize> {
    chain.get(usize::try_from(version.checked_sub(1)?).ok()?)
}

/// The earliest moments that respect the order.
struct Moments<'a> {
    history: &'a [Operation],
    /// The earliest moment of each operation.
    earliest: Vec<Duration>,
    /// For each operation that is later than its start, the operation that causes this.
    causes: BTreeMap<usize, usize>,
}

/// A refused update and the version that it requested.
struct RefusedUpdate<'a> {
    index: usize,
    chain: &'a [usize],
    version: i64,
}

impl Moments<'_> {
    /// Finds moments that respect the order and all refusals.
    ///
    /// # Errors
    ///
    /// A refusal of version 1 before any version was written, and the operations that show this.
    fn settle(
        &mut self,
        graph: &Graph,
        sorted: &[usize],
        writers: &Writers,
    ) -> Result<(), Vec<usize>> {
        let mut refusals = refusals(self.history, writers);
        loop {
            self.propagate(graph, sorted);
            // Violations that do not depend on refusals are reported first.
            if sorted.iter().any(|index| self.is_late(*index)) {
                return Ok(());
            }
            let mut early = Vec::new();
            refusals.retain(|refusal| {
                let is_after = self.comes_after(refusal);
                if !is_after {
                    early.push((refusal.index, refusal.chain, refusal.version));
                }
                is_after
            });
            if early.is_empty() {
                return Ok(());
            }
            for (index, chain, version) in early {
                // The refusal came before the preceding version was written. Nothing comes before version 0, so a
                // refusal of version 1 is wrong.
                if version == 1 {
                    let given = chain.first().map(|update| self.way(*update));
                    return Err([vec![index], given.unwrap_or_default()].concat());
                }
                if let Some(update) = giver(chain, version - 1) {
                    let start = self.history.get(index).map_or(Duration::ZERO, |one| one.start);
                    self.raise(*update, start, index);
                }
            }
        }
    }

    /// Whether the refusal can have come after the requested version was written.
    fn comes_after(&self, refusal: &RefusedUpdate<'_>) -> bool {
        let given =
            giver(refusal.chain, refusal.version).and_then(|index| self.earliest.get(*index));
        let end = self.history.get(refusal.index).map(|operation| operation.end);
        given.zip(end).is_some_and(|(given, end)| *given <= end)
    }

    fn propagate(&mut self, graph: &Graph, sorted: &[usize]) {
        for index in sorted {
            let Some(moment) = self.earliest.get(*index).copied() else { continue };
            for next in graph.after.get(*index).into_iter().flatten() {
                self.raise(*next, moment, *index);
            }
        }
    }

    fn raise(&mut self, index: usize, moment: Duration, cause: usize) {
        if let Some(earliest) = self.earliest.get_mut(index)
            && *earliest < moment
        {
            *earliest = moment;
            self.causes.insert(index, cause);
        }
    }

    fn is_late(&self, index: usize) -> bool {
        let latest = self.history.get(index).and_then(Operation::latest);
        latest.zip(self.earliest.get(index)).is_some_and(|(latest, earliest)| latest < *earliest)
    }

    /// The chain of operations that delays this one, starting with itself.
    fn way(&self, late: usize) -> Vec<usize> {
        let mut way = vec![late];
        while let Some(cause) = way.last().and_then(|last| self.causes.get(last)) {
            if way.contains(cause) {
                break;
            }
            way.push(*cause);
        }
        way
    }

    /// Explains why there is no moment for an operation: the chain that leads to it from one that started after its
    /// end.
    fn violation(&self, late: usize) -> Violation {
        let way = self.way(late);
        let file = file_of(self.history, &way);
        let last_read = self.history.iter().filter(|one| matches!(one.deed, Deed::Read(_)));
        let last_read = last_read.max_by_key(|read| read.start).map(|read| &read.deed);
        let root = way.last().and_then(|root| Some(&self.history.get(*root)?.deed));
        if let Some(Deed::Update { fate: Fate::Refused, version, .. }) = root {
            let what =
                format!("version {version} of {file} was refused although it was the next one");
            return about(self.history, &file, what, &way);
        }
        let what = match (self.history.get(late).map(|operation| &operation.deed), last_read) {
            (Some(Deed::Update { file, version, .. }), Some(Deed::Read(seen)))
                if seen.get(file).map_or(0, |(seen, _)| *seen) < *version =>
            {
                format!("an acknowledged update is lost: version {version} of {file}")
            }
            (Some(Deed::Update { file, version, .. }), _) => {
                format!("version {version} of {file} was acknowledged before it can have existed")
            }
            _ => format!(
                "a read of {file} returned a version that was not yet written or was already replaced"
            ),
        };
        about(self.history, &file, what, &way)
    }
}

/// The refusals of versions that a file can have.
fn refusals<'a>(history: &[Operation], writers: &'a Writers) -> Vec<RefusedUpdate<'a>> {
    let refusal = |(index, operation): (usize, &Operation)| match &operation.deed {
        Deed::Update { file, version, fate: Fate::Refused, .. } if 1 <= *version => {
            let chain = writers.files.get(file).map_or(&[][..], Vec::as_slice);
            Some(RefusedUpdate { index, chain, version: *version })
        }
        _ => None,
    };
    history.iter().enumerate().filter_map(refusal).collect()
}

fn contradiction(history: &[Operation], cycle: &[usize]) -> Violation {
    let file = file_of(history, cycle);
    let what = "reads contradict each other: no order of the updates explains both".to_owned();
    about(history, &file, what, cycle)
}

fn wrong_refusal(history: &[Operation], involved: &[usize]) -> Violation {
    let file = file_of(history, involved);
    let what = format!("version 1 of {file} was refused although it was the next one");
    about(history, &file, what, involved)
}

/// The file of the first update among these.
fn file_of(history: &[Operation], indices: &[usize]) -> String {
    let file = |index: &usize| match &history.get(*index)?.deed {
        Deed::Update { file, .. } => Some(file.to_string()),
        Deed::Read(_) => None,
    };
    indices.iter().find_map(file).unwrap_or_default()
}
