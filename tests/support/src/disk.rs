//! A disk in memory that records what was synced, and that can lose the rest.
//!
//! It keeps two states: what processes see, and what is on disk for sure. [`MemoryDisk::lose_power`] makes any state
//! out of the two that a real disk may be left in: each sector of 512 bytes that was written since the last sync is
//! there or not, and so is each creation, renaming and removal of a file since the last sync of the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use surfstore::storage::{Disk, DiskFile};

/// The disk writes this many bytes, at multiples of it, as a whole or not at all.
pub const SECTOR: usize = 512;

/// An operation that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Bytes are written to a file.
    Write,
    /// A file is synced.
    Sync,
    /// A file is created, renamed or removed.
    Name,
    /// The folder is synced.
    SyncFolder,
}

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends there. What the operation does may or may not reach the disk. All later operations fail.
    Stop,
    /// The operation fails and does nothing. If it is a sync, what it should have written is lost, but can still be
    /// read, and no later sync writes it. So Linux treats a failed sync.
    Fails(io::ErrorKind),
    /// Only so many bytes are written, then there is no space left. Any other operation just fails.
    Short(usize),
}

/// A folder in memory. A clone is the same folder.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

/// A file that is open for writing.
#[derive(Debug)]
pub struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// All files that there have been.
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    /// The names as of the last sync of the folder, and what has happened to them since.
    synced_names: BTreeMap<String, usize>,
    unsynced: Vec<Renaming>,
    /// The number of operations so far.
    operations: u64,
    syncs: u64,
    bytes_written: u64,
    fault: Option<(u64, Fault)>,
    /// The operation at which the process ended.
    stopped_at: Option<Operation>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// The sectors that were written since the last sync.
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Renaming {
    Create(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl MemoryDisk {
    /// A disk with these files, all of it synced.
    pub fn with(files: BTreeMap<String, Vec<u8>>) -> MemoryDisk {
        let mut state = State::default();
        for (name, bytes) in files {
            state.names.insert(name, state.files.len());
            state.files.push(File { synced: bytes.clone(), bytes, dirty: BTreeSet::new() });
        }
        state.synced_names = state.names.clone();
        MemoryDisk(Arc::new(Mutex::new(state)))
    }

    /// All files, as processes see them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state
            .names
            .iter()
            .map(|(name, at)| (name.clone(), state.files[*at].bytes.clone()))
            .collect()
    }

    /// The number of operations so far that change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The number of syncs of files and of the folder so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The number of bytes written so far, without the zeros of new files.
    pub fn bytes_written(&self) -> u64 {
        self.state().bytes_written
    }

    /// Lets something happen at the operation with that number, counted from 0.
    pub fn plan(&self, operation: u64, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    /// Cancels the planned fault, unless it has happened.
    pub fn unplan(&self) {
        self.state().fault = None;
    }

    /// The operation at which the process ended, if it did at one.
    pub fn stopped_at(&self) -> Option<Operation> {
        self.state().stopped_at
    }

    /// The same folder for the next process, which no fault meets.
    pub fn restart(&self) -> MemoryDisk {
        let state = State { fault: None, stopped_at: None, operations: 0, ..self.state().clone() };
        MemoryDisk(Arc::new(Mutex::new(state)))
    }

    /// The folder after a loss of power. `choose` is asked what is left: it gets the number of possibilities, and
    /// returns a smaller number.
    pub fn lose_power(&self, choose: &mut dyn FnMut(usize) -> usize) -> MemoryDisk {
        let state = self.state();
        let mut names = state.synced_names.clone();
        for renaming in &state.unsynced {
            if choose(2) == 1 {
                rename(&mut names, renaming);
            }
        }
        let left =
            |(name, at): (&String, &usize)| (name.clone(), state.files[*at].left(&mut *choose));
        MemoryDisk::with(names.iter().map(left).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation. Returns the fault that it meets.
    fn begin(&self, operation: Operation) -> io::Result<Option<Fault>> {
        let mut state = self.state();
        if state.stopped_at.is_some() {
            return Err(io::Error::other("the process has ended"));
        }
        let number = state.operations;
        state.operations += 1;
        let fault = state.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        state.stopped_at = (fault == Some(Fault::Stop)).then_some(operation);
        Ok(fault)
    }

    /// Runs an operation on the folder, which happens as a whole or not at all.
    fn change(&self, renaming: Renaming) -> io::Result<()> {
        let fault = self.begin(Operation::Name)?;
        if !matches!(fault, Some(Fault::Fails(_) | Fault::Short(_))) {
            let mut state = self.state();
            rename(&mut state.names, &renaming);
            state.unsynced.push(renaming);
        }
        end(fault)
    }
}

fn end(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::Stop) => Err(io::Error::other("the process has ended")),
        Some(Fault::Fails(kind)) => Err(kind.into()),
        Some(Fault::Short(_)) => Err(io::ErrorKind::StorageFull.into()),
    }
}

fn rename(names: &mut BTreeMap<String, usize>, renaming: &Renaming) {
    match renaming {
        Renaming::Create(name, file) => _ = names.insert(name.clone(), *file),
        Renaming::Rename(from, to, file) => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Renaming::Remove(name) => _ = names.remove(name),
    }
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.synced.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.bytes, &mut self.synced, sector);
        }
    }

    /// What a loss of power leaves.
    fn left(&self, choose: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let mut left = self.synced.clone();
        if self.synced.len() < self.bytes.len() && choose(2) == 1 {
            left.resize(self.bytes.len(), 0);
        }
        for sector in &self.dirty {
            let begin = sector * SECTOR;
            let now = self.bytes.iter().skip(begin).take(SECTOR);
            let differs = !now.eq(left.iter().skip(begin).take(SECTOR));
            if begin < left.len() && differs && choose(2) == 1 {
                copy_sector(&self.bytes, &mut left, *sector);
            }
        }
        left
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let begin = sector * SECTOR;
    let end = (begin + SECTOR).min(from.len()).min(to.len());
    to[begin..end].copy_from_slice(&from[begin..end]);
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let at = self.open(name)?.file;
        Ok(self.state().files[at].bytes.len() as u64)
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let at = self.open(name)?.file;
        let state = self.state();
        let rest = state.files[at].bytes.get(usize::try_from(offset).unwrap()..);
        let bytes = rest.and_then(|rest| rest.get(..length)).map(<[u8]>::to_vec);
        bytes.ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let file = self.state().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(MemoryFile { disk: self.clone(), file })
    }

    fn create(&mut self, name: &str) -> io::Result<MemoryFile> {
        let fault = self.begin(Operation::Name)?;
        if let Some(Fault::Fails(_)) = fault {
            end(fault)?;
        }
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(File::default());
        let creation = Renaming::Create(name.to_owned(), file);
        rename(&mut state.names, &creation);
        state.unsynced.push(creation);
        drop(state);
        end(fault)?;
        Ok(MemoryFile { disk: self.clone(), file })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.open(from)?.file;
        self.change(Renaming::Rename(from.to_owned(), to.to_owned(), file))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open(name)?;
        self.change(Renaming::Remove(name.to_owned()))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let fault = self.begin(Operation::SyncFolder)?;
        if fault.is_none() {
            let mut state = self.state();
            state.syncs += 1;
            state.synced_names = state.names.clone();
            state.unsynced.clear();
        }
        end(fault)
    }
}

impl DiskFile for MemoryFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fault = self.disk.begin(Operation::Write)?;
        let written = match fault {
            None | Some(Fault::Stop) => bytes.len(),
            Some(Fault::Fails(_)) => 0,
            Some(Fault::Short(length)) => length.min(bytes.len()),
        };
        let mut state = self.disk.state();
        state.bytes_written += written as u64;
        state.files[self.file].write(usize::try_from(offset).unwrap(), &bytes[..written]);
        drop(state);
        end(fault)
    }

    fn sync(&mut self) -> io::Result<()> {
        let fault = self.disk.begin(Operation::Sync)?;
        let mut state = self.disk.state();
        match fault {
            None => {
                state.syncs += 1;
                state.files[self.file].sync();
            }
            Some(Fault::Fails(_) | Fault::Short(_)) => state.files[self.file].dirty.clear(),
            Some(Fault::Stop) => {}
        }
        drop(state);
        end(fault)
    }
}

/// Which ways to choose were tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ways {
    /// How many were tried, some perhaps twice if not all were.
    pub tried: usize,
    /// How many there are. It is an estimate if not all were tried.
    pub all: f64,
}

/// Calls a test with each way to choose. If there are more than `max`, it is called with the first `max`, and with as
/// many random ones: `draw` gets a number of possibilities and returns a smaller number.
pub fn each_choice(
    max: usize,
    mut draw: impl FnMut(usize) -> usize,
    mut test: impl FnMut(&mut dyn FnMut(usize) -> usize),
) -> Ways {
    // The choices of the last call, and of how many possibilities each was.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for count in 1..=max {
        let mut place = 0;
        test(&mut |of| {
            if place == path.len() {
                path.push((0, of));
            }
            place += 1;
            path[place - 1].0
        });
        while path.pop_if(|(chosen, of)| *chosen + 1 == *of).is_some() {}
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return Ways { tried: count, all: count as f64 },
        }
    }
    // Knuth's estimate of the size of a tree: along a path that is drawn, the product of the numbers of branches is
    // the number of leaves on average.
    let mut leaves = 0.0;
    for _ in 0..max {
        let mut product = 1.0;
        test(&mut |of| {
            product *= of as f64;
            draw(of)
        });
        leaves += product;
    }
    Ways { tried: 2 * max, all: leaves / max as f64 }
}
