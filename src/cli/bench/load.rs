//! Clients that call the servers at the same time. Each sends its next call after the answer to the last one.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::figures::Figures;
use crate::cli::error::CommandError;
use crate::cli::files::outcome;
use crate::cli::interrupt::Interruption;
use crate::client::blocking::wait;
use crate::client::{Client, FileInfoMap, FileUpdate, Limits, Outcome};
use crate::config::Config;
use crate::value::Value;

/// The time between two looks at a load that runs.
const LOOKS: Duration = Duration::from_millis(200);

/// The reason why an update is refused, or a version is higher than the one written last.
const OTHERS: &str = "another program updates this file, such as a second `surfstore bench`";

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Update,
    Read,
}

impl Call {
    pub(super) fn name(self) -> &'static str {
        match self {
            Call::Update => "update",
            Call::Read => "read",
        }
    }
}

/// A file of the benchmark.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    /// The last version that was acknowledged or, before the first update, read.
    pub(super) version: i64,
    /// Whether an update was begun and its outcome is unknown, so that it may still take effect.
    pub(super) is_open: bool,
}

impl File {
    /// The error if a map has another version than the acknowledged one. No other program makes it lower.
    fn differs(&self, stored: i64) -> CommandError {
        if self.version < stored {
            return CommandError::refused(format!(
                "{:?} has version {stored} in the map, but version {} was written last",
                self.name, self.version
            ))
            .because(OTHERS);
        }
        CommandError::error(format!(
            "wrong answer: version {} of {:?} is acknowledged, but the map has version {stored}",
            self.version, self.name
        ))
    }
}

/// What every client needs.
#[derive(Debug)]
pub(super) struct Crew<'a> {
    config: &'a Config,
    limits: Limits,
    interruption: &'a Interruption,
    /// The number of hashes of each file.
    hashes: usize,
    /// Differs from run to run, so that no run takes the update of another one for its own.
    run: u64,
    /// The number of updates that were acknowledged.
    acknowledged: AtomicU64,
    /// Whether the clients should end, because one of them has failed.
    is_over: AtomicBool,
}

impl<'a> Crew<'a> {
    pub(super) fn new(
        config: &'a Config,
        limits: Limits,
        interruption: &'a Interruption,
        hashes: usize,
    ) -> Crew<'a> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Crew {
            config,
            limits,
            interruption,
            hashes,
            run: u64::try_from(now.as_nanos()).unwrap_or_default(),
            acknowledged: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// A client of the set.
    pub(super) fn client(&self) -> Client {
        self.client_with(self.limits)
    }

    /// A client with other timeouts.
    pub(super) fn client_with(&self, limits: Limits) -> Client {
        Client::new(&self.config.servers, limits)
    }

    /// Does the work, unless Ctrl-C interrupts it.
    pub(super) fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        wait(self.interruption.or(work))
    }

    pub(super) fn interruption(&self) -> &'a Interruption {
        self.interruption
    }

    /// Whether the clients should end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The number of updates that were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The hashes of a version of a file: as long as those of blocks, which are SHA-256 in hexadecimal.
    pub(super) fn hashes(&self, version: i64) -> Value {
        let hash = |place| format!("{:016x}{place:016x}{version:032x}", self.run);
        (0..self.hashes).map(|place| Value::from(&*hash(place))).collect()
    }

    /// Checks that the map has these files exactly as this run has written them last.
    pub(super) fn check(&self, map: &FileInfoMap, files: &[File]) -> Result<(), CommandError> {
        files.iter().try_for_each(|file| match map.get(&*file.name) {
            Some(stored) if stored.version != file.version => Err(file.differs(stored.version)),
            Some(stored) if stored.hashes.value() == self.hashes(file.version) => Ok(()),
            Some(_) => Err(CommandError::error(format!(
                "wrong answer: version {} of {:?} has other hashes than those acknowledged",
                file.version, file.name
            ))),
            None => Err(file.differs(0)),
        })
    }

    /// Writes the next version of the file. Returns how long that took.
    pub(super) async fn update(
        &self,
        client: &mut Client,
        file: &mut File,
        hashes: Value,
    ) -> Result<Duration, CommandError> {
        let version = file.version.saturating_add(1);
        let update = FileUpdate { name: Arc::clone(&file.name), version, hashes };
        let began = Instant::now();
        // It stays open if this call is interrupted.
        file.is_open = true;
        let ended = client.update(&update).await;
        file.is_open = matches!(ended, Ok(Outcome::Unknown { .. }));
        let took = began.elapsed();
        let is_refused = matches!(ended, Ok(Outcome::Refused { .. }));
        let ended = ended.map_err(CommandError::from).and_then(|ended| outcome(ended, version));
        ended.map_err(|error| {
            let error = error.at(&format!("{:?}", file.name));
            if is_refused { error.because(OTHERS) } else { error }
        })?;
        file.version = version;
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        Ok(took)
    }

    /// Lets each of so many clients work on files of its own, and looks at them from time to time. Fails with the first
    /// error of a client; the others then finish their calls. Ctrl-C ends the calls if `interruption` is given.
    pub(super) fn work<'f>(
        &self,
        clients: usize,
        files: impl IntoIterator<Item = &'f mut File>,
        interruption: Option<&Interruption>,
        work: impl AsyncFn(&mut Client, &mut [&mut File]) -> Result<(), CommandError> + Sync,
        mut look: impl FnMut(),
    ) -> Result<(), CommandError> {
        let mut shares: Vec<Vec<&mut File>> = iter::repeat_with(Vec::new).take(clients).collect();
        for (place, file) in files.into_iter().enumerate() {
            if let Some(share) = shares.get_mut(place % clients) {
                share.push(file);
            }
        }
        self.is_over.store(false, Ordering::Relaxed);
        let work = &work;
        let one = |mut share: Vec<&mut File>| {
            let mut client = self.client();
            let work = work(&mut client, &mut share);
            match interruption {
                Some(interruption) => wait(interruption.or(work)),
                None => wait(work),
            }
        };
        thread::scope(|threads| {
            let (sender, outcomes) = mpsc::channel();
            for share in shares {
                let ended = sender.clone();
                let one = &one;
                let client = move || drop(ended.send(one(share)));
                if let Err(error) = thread::Builder::new().spawn_scoped(threads, client) {
                    let error = format!("no thread can be started for a client: {error}");
                    let _ = sender.send(Err(CommandError::error(error)));
                    break;
                }
            }
            drop(sender);
            let mut first = Ok(());
            loop {
                match outcomes.recv_timeout(LOOKS) {
                    Ok(Ok(())) => {}
                    Ok(error) => {
                        self.is_over.store(true, Ordering::Relaxed);
                        first = first.and(error);
                    }
                    Err(RecvTimeoutError::Timeout) => look(),
                    Err(RecvTimeoutError::Disconnected) => return first,
                }
            }
        })
    }

    /// Lets clients make such calls for so long, after a warm-up. A call counts if it begins in that time; each client
    /// makes at least one that counts. `look` is told how long calls have counted, and how many were answered.
    pub(super) fn measure(
        &self,
        (call, clients): (Call, usize),
        (warm_up, time): (Duration, Duration),
        files: &mut [File],
        mut look: impl FnMut(Duration, u64),
    ) -> Result<Figures, CommandError> {
        let figures = Mutex::new(Figures::new(call, clients, time));
        let begin = Instant::now() + warm_up;
        let end = begin + time;
        let work = async |client: &mut Client, files: &mut [&mut File]| {
            let mut has_counted = false;
            for turn in 0.. {
                let began = Instant::now();
                if self.is_over() || (end <= began && has_counted) {
                    break;
                }
                let failed = client.failed_attempts();
                let mut in_map = None;
                let took = match call {
                    Call::Update => {
                        let place = turn % files.len().max(1);
                        let Some(file) = files.get_mut(place) else { break };
                        let hashes = self.hashes(file.version.saturating_add(1));
                        self.update(client, file, hashes).await?
                    }
                    Call::Read => {
                        let map = client.files().await?;
                        let took = began.elapsed();
                        check(&map, files)?;
                        in_map = Some(map.len());
                        took
                    }
                };
                if begin <= began {
                    let is_first_attempt = failed == client.failed_attempts();
                    held(&figures).add(took, begin.elapsed(), is_first_attempt, in_map);
                    has_counted = true;
                }
            }
            Ok(())
        };
        let look = || {
            let calls = held(&figures).calls();
            look(Instant::now().saturating_duration_since(begin), calls)
        };
        self.work(clients, files, Some(self.interruption), work, look)?;
        Ok(figures.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Checks that the map has these files at the versions that were acknowledged.
fn check(map: &FileInfoMap, files: &[&mut File]) -> Result<(), CommandError> {
    files.iter().try_for_each(|file| {
        let stored = map.get(&*file.name).map_or(0, |stored| stored.version);
        if stored == file.version { Ok(()) } else { Err(file.differs(stored)) }
    })
}

/// Poisoning is ignored: each call is counted in one step.
fn held(figures: &Mutex<Figures>) -> MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}
