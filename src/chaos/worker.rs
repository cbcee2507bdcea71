//! The workers. Each updates and reads through its own client, and records its calls and their answers.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

use super::history::{Content, Deed, Fate, Operation, Seen};
use super::report::Calls;
use crate::client::blocking::Client;
use crate::client::{Error, FileInfo, FileInfoMap, FileUpdate, Outcome};
use crate::value::Value;

/// The number of files that each worker has for itself.
const OWN_FILES: usize = 2;

/// The number of files that all workers share, so that they request the same versions.
const SHARED_FILES: usize = 3;

/// The maximum pause of a worker between two calls. The whole history is kept, and must not fill the memory.
const REST_MS_MAX: u64 = 20;

/// The state that workers and the monkey share.
#[derive(Debug)]
pub(super) struct Shared {
    begin: Instant,
    /// Set when workers must end.
    pub(super) is_over: AtomicBool,
    /// The prefix of the names and contents of this run.
    prefix: String,
    pub(super) files: Vec<File>,
    contents: AtomicU64,
    record: Mutex<Record>,
}

/// A file of the run.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    /// The highest version that any worker has requested.
    asked: AtomicI64,
}

/// The calls and answers so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) history: Vec<Operation>,
    pub(super) calls: Calls,
}

impl Shared {
    /// The files of a run with this many workers. No other run uses their names.
    pub(super) fn new(seed: u64, workers: usize) -> Shared {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let prefix = format!("chaos-{seed:x}-{:x}", now.as_millis());
        let own = (0..workers)
            .flat_map(|worker| (0..OWN_FILES).map(move |number| format!("own-{worker}-{number}")));
        let shared = (0..SHARED_FILES).map(|number| format!("shared-{number}"));
        let file = |name: String| File {
            name: format!("{prefix}/{name}").into(),
            asked: AtomicI64::new(0),
        };
        Shared {
            begin: Instant::now(),
            is_over: AtomicBool::new(false),
            files: own.chain(shared).map(file).collect(),
            prefix,
            contents: AtomicU64::new(1),
            record: Mutex::default(),
        }
    }

    /// The time since the run began.
    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The record. Poisoning is ignored: each entry is added in one step, so a panic elsewhere cannot have corrupted
    /// it.
    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of the map that belongs to this run.
    fn seen(&self, files: &FileInfoMap) -> Seen {
        let content = |file: &FileInfo| match &*file.hashes.elements() {
            [Value::String(hash)] => self.content(hash),
            _ => None,
        };
        let own = files.iter().filter(|(name, _)| name.starts_with(&self.prefix));
        own.map(|(name, file)| {
            let known = self.files.iter().find(|known| *known.name == **name);
            let name = known.map_or_else(|| name.as_str().into(), |known| Arc::clone(&known.name));
            (name, (file.version, content(file).unwrap_or_default()))
        })
        .collect()
    }

    fn content(&self, hash: &str) -> Option<Content> {
        hash.strip_prefix(&self.prefix)?.strip_prefix('#')?.parse().ok()
    }
}

impl File {
    /// The highest version that any worker has requested.
    pub(super) fn asked(&self) -> i64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A worker, which makes calls.
pub(super) struct Worker<'a> {
    pub(super) number: usize,
    pub(super) client: Client,
    pub(super) shared: &'a Shared,
}

impl Worker<'_> {
    /// Updates and reads until the run is over.
    pub(super) fn work(mut self, mut rng: Rng) {
        // The versions that the worker knows. It reads if it knows nothing.
        let mut known = Seen::default();
        let mut is_known = false;
        while !self.shared.is_over.load(Ordering::Relaxed) {
            if !is_known || rng.u8(0..4) == 0 {
                if let Some(seen) = self.read() {
                    known = seen;
                    is_known = true;
                }
            } else {
                let shared = self.shared;
                let Some(file) = choose(&shared.files, self.number, &mut rng) else { return };
                let stored = known.get(&file.name).map_or(0, |(version, _)| *version);
                // Sometimes a version that is not the next one, even if no other worker is active.
                let step = if rng.u8(0..8) == 0 { rng.i64(-1..=2) } else { 1 };
                let version = stored.saturating_add(step);
                match self.update(file, version) {
                    Fate::Applied => _ = known.insert(Arc::clone(&file.name), (version, 0)),
                    Fate::Refused | Fate::Failed | Fate::Unknown => is_known = false,
                }
            }
            thread::sleep(Duration::from_millis(rng.u64(0..=REST_MS_MAX)));
        }
    }

    /// Reads the whole map. Returns the files of this run if there was an answer.
    pub(super) fn read(&mut self) -> Option<Seen> {
        let start = self.shared.now();
        let answer = self.client.files();
        let end = self.shared.now();
        let mut record = self.shared.record();
        record.calls.took(end.saturating_sub(start));
        let Ok(files) = answer else {
            record.calls.reads_failed += 1;
            return None;
        };
        record.calls.reads += 1;
        let seen = self.shared.seen(&files);
        let deed = Deed::Read(seen.clone());
        record.history.push(Operation { worker: self.number, start, end, deed });
        Some(seen)
    }

    /// Requests a version of a file with a unique content.
    pub(super) fn update(&mut self, file: &File, version: i64) -> Fate {
        let content = self.shared.contents.fetch_add(1, Ordering::SeqCst);
        let hash = format!("{}#{content}", self.shared.prefix);
        let name = Arc::clone(&file.name);
        let update = FileUpdate { name, version, hashes: [hash.as_str().into()].into() };
        file.asked.fetch_max(version, Ordering::SeqCst);
        let start = self.shared.now();
        let fate = fate(&self.client.update(&update));
        let end = self.shared.now();
        let mut record = self.shared.record();
        record.calls.took(end.saturating_sub(start));
        record.calls.count(fate);
        let deed = Deed::Update { file: update.name, version, content, fate };
        record.history.push(Operation { worker: self.number, start, end, deed });
        fate
    }
}

/// What the answer to an update guarantees.
fn fate(answer: &Result<Outcome, Error>) -> Fate {
    match answer {
        Ok(Outcome::Applied) => Fate::Applied,
        Ok(Outcome::Refused { .. }) => Fate::Refused,
        // An invalid answer guarantees nothing.
        Ok(Outcome::Unknown { .. }) | Err(Error::Unexpected(_)) => Fate::Unknown,
        Err(_) => Fate::Failed,
    }
}

/// One of the worker's own files, or a shared file.
fn choose<'a>(files: &'a [File], worker: usize, rng: &mut Rng) -> Option<&'a File> {
    let shared = files.len().saturating_sub(SHARED_FILES);
    let index = if rng.bool() {
        worker * OWN_FILES + rng.usize(0..OWN_FILES)
    } else {
        shared + rng.usize(0..SHARED_FILES)
    };
    files.get(index)
}
