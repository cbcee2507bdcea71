//! What clients request of a cluster in a network, and the outcomes that they must get.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Answer, FALSE, Files, Pending, TRUE, files, hash, update};
use support::wait::{PATIENCE, wait_until};

use crate::network::Network;

/// The time within which a leader, which may still have to be elected, reaches an agreement.
const AGREEMENT: Duration = Duration::from_secs(10);

/// The time within which an agreement shows on every reachable server.
const SHOWN: Duration = Duration::from_secs(2);

impl Network {
    /// MIT's `one`: repeats the version until it is accepted, and waits until all of these servers have it.
    #[track_caller]
    pub(crate) fn one(&self, ids: &[usize], name: &str, version: i64) {
        self.accepted(ids, name, version);
        for id in ids {
            wait_until(SHOWN, &format!("server {id} has {name} {version}"), || {
                version <= self.at(*id).version(name)
            });
        }
    }

    /// Repeats the version at whichever of the servers leads until it is accepted.
    #[track_caller]
    pub(crate) fn accepted(&self, ids: &[usize], name: &str, version: i64) {
        let own = hash(&format!("{name} {version}"));
        wait_until(AGREEMENT, &format!("{name} {version} is accepted"), || {
            let leaders = self.leaders_among(ids);
            leaders.into_iter().any(|id| {
                let begun = self.at(id).begin("surfstore.updatefile", &update(name, version, &own));
                match answered(&begun, SHOWN).then(|| begun.answer(SHOWN)) {
                    // An earlier attempt whose outcome was unknown has taken effect.
                    Some(answer) if answer == FALSE => version <= self.at(id).version(name),
                    answer => answer == Some(TRUE),
                }
            })
        });
    }

    /// Waits until an update of a new file is accepted. Returns who leads then and how long it took. A leader without a
    /// majority says that it leads, and keeps its callers waiting.
    #[track_caller]
    pub(crate) fn working_leader(&self, name: &str) -> (usize, Duration) {
        let start = Instant::now();
        let term = |id: &usize| self.at(*id).state().term;
        let mut asked = BTreeSet::new();
        let mut begun: Vec<Pending> = Vec::new();
        wait_until(PATIENCE, "some leader has a majority", || {
            for id in self.leaders() {
                if asked.insert((id, term(&id))) {
                    begun.push(self.begin_update(id, &format!("{name} {id}"), 1));
                }
            }
            let done = begun.iter().position(|update| !update.is_blocked());
            done.is_some_and(|place| begun.remove(place).answer(SHOWN) == TRUE)
        });
        let took = start.elapsed();
        // It need not be the server that was called, whose last entries may have been those of the next leader.
        (self.leaders().into_iter().max_by_key(term).unwrap(), took)
    }

    /// Starts an update with a unique value.
    pub(crate) fn begin_update(&self, id: usize, name: &str, version: i64) -> Pending {
        let own = hash(&format!("{name} {version} at {id}"));
        self.at(id).begin("surfstore.updatefile", &update(name, version, &own))
    }

    /// Opens all directions, waits until all servers have the same log and have applied it, and returns the map.
    #[track_caller]
    pub(crate) fn settle(&self) -> Files {
        self.heal();
        let all = self.running();
        wait_until(
            PATIENCE,
            "one server leads, all logs are equal, and everything is committed",
            || {
                let states: Vec<_> = all.iter().map(|id| self.at(*id).state()).collect();
                let first = &states[0];
                self.leaders().len() == 1
                    && states.iter().all(|state| {
                        (state.term, state.last_log) == (first.term, first.last_log)
                            && state.commit_index == state.last_log.0
                    })
            },
        );
        let files = self.at(self.leader()).files().unwrap();
        for (name, (version, _)) in &files {
            self.await_version(&all, name, *version);
        }
        files
    }
}

/// Whether a call is answered within that time.
pub(crate) fn answered(call: &Pending, within: Duration) -> bool {
    let start = Instant::now();
    while call.is_blocked() && start.elapsed() < within {
        thread::sleep(Duration::from_millis(2));
    }
    !call.is_blocked()
}

/// Checks that an update that a leader lost was not accepted. Returns whether its fate was known.
#[track_caller]
pub(crate) fn assert_lost(answer: &Answer) -> bool {
    match answer {
        Err(fault) if [2, 3].contains(&fault.code) => fault.code == 2,
        other => panic!("an update that a leader lost was answered with {other:?}"),
    }
}

/// Checks that a read that started when the file had that version failed or saw no older one.
#[track_caller]
pub(crate) fn assert_not_stale(answer: Answer, name: &str, version: i64) {
    match answer {
        Ok(answer) => {
            let seen = files(answer).get(name).map_or(0, |(seen, _)| *seen);
            assert!(version <= seen, "{name} was read as {seen} after {version}");
        }
        Err(fault) => assert_eq!(fault.code, 2, "{fault:?}"),
    }
}
