//! The end of a run: once all servers are restored, the set must work and all servers must have the same versions.

use std::time::Duration;
use std::{iter, thread};

use super::history::Fate;
use super::run::{Monkey, PATIENCE};
use super::worker::{File, Worker};

/// The time between two checks whether all servers are equal.
const PAUSE: Duration = Duration::from_millis(50);

/// The maximum number of attempts to update a file. A worker's update whose outcome is unknown may take effect in
/// between.
const ATTEMPTS: usize = 3;

impl Monkey<'_> {
    /// Updates every file once more, reads them all, and waits until every server has the versions that were read.
    pub(super) fn settle(&mut self, mut worker: Worker<'_>) {
        if let Err(error) = self.client.leader() {
            let what = format!("at the end, with all servers restored: {error}");
            return self.watch.object(self.shared.now(), what);
        }
        self.look();
        for file in &self.shared.files {
            let fate = renew(&mut worker, file);
            if fate != Fate::Applied {
                let (name, fate) = (&file.name, fate.as_str());
                let what =
                    format!("at the end, with all servers restored, an update of {name}: {fate}");
                self.watch.object(self.shared.now(), what);
            }
        }
        let Some(seen) = worker.read() else {
            let what = "at the end, with all servers restored, the map cannot be read";
            return self.watch.object(self.shared.now(), what.to_owned());
        };
        let version = |file: &File| seen.get(&file.name).map_or(0, |(version, _)| *version);
        let expected: Vec<i64> = self.shared.files.iter().map(version).collect();
        self.await_equal(&expected);
    }

    /// Waits until all servers have these versions of the files.
    fn await_equal(&mut self, expected: &[i64]) {
        let shared = self.shared;
        let until = shared.now() + PATIENCE;
        for id in 0..self.watch.crashed().len() {
            let mut looks = iter::repeat_with(|| self.versions(id));
            let last = looks.find(|versions| {
                let is_done = versions.as_deref() == Some(expected) || until < shared.now();
                if !is_done {
                    thread::sleep(PAUSE);
                }
                is_done
            });
            match last.flatten() {
                Some(versions) if versions == expected => {}
                Some(versions) => {
                    let what = format!(
                        "at the end, server {id} has versions {versions:?} instead of {expected:?}"
                    );
                    self.watch.object(self.shared.now(), what);
                }
                None => {
                    self.watch.object(
                        self.shared.now(),
                        format!("at the end, server {id} does not answer"),
                    );
                }
            }
        }
    }
}

/// Writes the next version of the file.
fn renew(worker: &mut Worker<'_>, file: &File) -> Fate {
    let mut fate = Fate::Failed;
    for _ in 0..ATTEMPTS {
        let Some(seen) = worker.read() else { return Fate::Failed };
        let stored = seen.get(&file.name).map_or(0, |(version, _)| *version);
        fate = worker.update(file, stored.saturating_add(1));
        if fate != Fate::Refused {
            break;
        }
    }
    fate
}
