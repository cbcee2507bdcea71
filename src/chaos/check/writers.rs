//! Determines which update wrote which version of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::about;
use crate::chaos::history::{Content, Deed, Fate, Operation, Violation};

/// Indices of operations by the version that they request.
type Versions = BTreeMap<i64, usize>;

/// The updates that took effect, by file and version, from version 1 without a gap.
#[derive(Debug, Default)]
pub(super) struct Writers {
    pub(super) files: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Writers {
    /// Finds the updates that took effect, and adds contradictions to the violations.
    pub(super) fn find(history: &[Operation], violations: &mut Vec<Violation>) -> Writers {
        let mut finding = Finding::new(history);
        for (index, operation) in history.iter().enumerate() {
            match &operation.deed {
                Deed::Update { file, version, fate: Fate::Applied, .. } => {
                    finding.claim(file, *version, index, index);
                }
                Deed::Update { .. } => {}
                Deed::Read(seen) => {
                    for (file, (version, content)) in seen {
                        finding.sight(index, file, *version, *content);
                    }
                }
            }
        }
        let files = finding.chains();
        violations.extend(finding.violations);
        Writers { files }
    }
}

/// Whether the operation is about the file.
pub(super) fn concerns(history: &[Operation], index: usize, about: &str) -> bool {
    history.get(index).is_some_and(|operation| match &operation.deed {
        Deed::Update { file, .. } => **file == *about,
        Deed::Read(_) => true,
    })
}

struct Finding<'a> {
    history: &'a [Operation],
    by_content: BTreeMap<Content, usize>,
    /// The updates that are known to have taken effect.
    claims: BTreeMap<Arc<str>, Versions>,
    /// The updates that may have taken effect: for each version the one that started first.
    candidates: BTreeMap<Arc<str>, Versions>,
    violations: Vec<Violation>,
    /// The violations reported so far, so that one that many reads show is reported once.
    told: BTreeSet<String>,
}

impl<'a> Finding<'a> {
    fn new(history: &'a [Operation]) -> Finding<'a> {
        let mut finding = Finding {
            history,
            by_content: BTreeMap::new(),
            claims: BTreeMap::new(),
            candidates: BTreeMap::new(),
            violations: Vec::new(),
            told: BTreeSet::new(),
        };
        for (index, operation) in history.iter().enumerate() {
            let Deed::Update { file, version, content, fate } = &operation.deed else { continue };
            finding.by_content.insert(*content, index);
            if *fate == Fate::Unknown {
                let versions = finding.candidates.entry(Arc::clone(file)).or_default();
                let first = versions.entry(*version).or_insert(index);
                if history.get(*first).is_some_and(|known| operation.start < known.start) {
                    *first = index;
                }
            }
        }
        finding
    }

    fn object(&mut self, file: &str, what: String, involved: &[usize]) {
        if self.told.insert(what.clone()) {
            self.violations.push(about(self.history, file, what, involved));
        }
    }

    /// Records that an update wrote a version. `shown_by` is the operation that shows it: the update itself, or a read.
    fn claim(&mut self, file: &Arc<str>, version: i64, update: usize, shown_by: usize) {
        let versions = self.claims.entry(Arc::clone(file)).or_default();
        let known = *versions.entry(version).or_insert(update);
        if known != update {
            let what = format!("version {version} of {file} has two contents");
            self.object(file, what, &[known, update, shown_by]);
        }
    }

    /// Processes that a read saw a version with that content.
    fn sight(&mut self, read: usize, file: &Arc<str>, version: i64, content: Content) {
        let update = self.by_content.get(&content).copied();
        let deed = update.and_then(|update| Some(&self.history.get(update)?.deed));
        let fate = match deed {
            Some(Deed::Update { file: asked, version: at, fate, .. })
                if (asked, *at) == (file, version) =>
            {
                Some(*fate)
            }
            _ => None,
        };
        match (update, fate) {
            (Some(update), Some(Fate::Applied | Fate::Unknown)) => {
                self.claim(file, version, update, read);
            }
            (Some(update), Some(fate @ (Fate::Refused | Fate::Failed))) => {
                let fate = if fate == Fate::Refused { "was refused" } else { "had failed" };
                let what = format!("version {version} of {file} exists although its update {fate}");
                self.object(file, what, &[update, read]);
            }
            _ => {
                let what =
                    format!("version {version} of {file} has a content that no update wrote");
                self.object(file, what, &[read]);
            }
        }
    }

    /// The chain of each file, as far as its updates are known or possible.
    fn chains(&mut self) -> BTreeMap<Arc<str>, Vec<usize>> {
        let mut files = std::mem::take(&mut self.claims);
        for file in self.candidates.keys() {
            files.entry(Arc::clone(file)).or_default();
        }
        files
            .into_iter()
            .map(|(file, claims)| {
                let chain = self.chain(&file, &claims);
                (file, chain)
            })
            .collect()
    }

    fn chain(&mut self, file: &Arc<str>, claims: &Versions) -> Vec<usize> {
        if let Some((version, update)) = claims.range(..1).next() {
            let what = format!("{file} has version {version}, and versions start at 1");
            self.object(file, what, &[*update]);
        }
        let mut chain = Vec::new();
        for version in 1.. {
            let candidate = self.candidates.get(file).and_then(|versions| versions.get(&version));
            if let Some(update) = claims.get(&version).or(candidate) {
                chain.push(*update);
                continue;
            }
            if let Some((later, update)) = claims.range(version..).next() {
                let what = format!(
                    "{file} has version {later}, but no update can have written version {version}"
                );
                let mut involved = self.asked(file, version);
                involved.push(*update);
                self.object(file, what, &involved);
            }
            break;
        }
        chain
    }

    /// The updates that requested a version.
    fn asked(&self, about: &str, wanted: i64) -> Vec<usize> {
        let has_asked = |(index, operation): (usize, &Operation)| match &operation.deed {
            Deed::Update { file, version, .. } if **file == *about && *version == wanted => {
                Some(index)
            }
            Deed::Update { .. } | Deed::Read(_) => None,
        };
        self.history.iter().enumerate().filter_map(has_asked).collect()
    }
}
