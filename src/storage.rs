//! Stable storage: what a server keeps on disk, so that it outlives its process.
//!
//! # The promise
//!
//! Once [`Store::save`] has returned, the change outlives the end of the process and the loss of power. A change whose
//! save did not return is there as a whole or not at all. So what is read back is what the first changes, up to one of
//! them, have led to, and no term or vote goes back.
//!
//! What is assumed of the disk: what was synced stays, and a sector of 512 bytes is written as a whole or not at all.
//! What was not synced may be there or not, sector by sector and name by name, in any combination.
//!
//! If the disk breaks this promise, that is noticed: a folder with a flipped bit, with a file that is truncated or
//! missing, or with a file of another folder is refused, unless it makes no difference. Only these look like sound
//! data: a copy of the folder from an earlier time, a folder whose last segment was removed, and a last segment whose
//! end was overwritten with zeros.
//!
//! # The files
//!
//! | Name | Content |
//! |---|---|
//! | `meta` | whose folder it is, and the version of the format |
//! | `NUMBER.log` | a *segment* of the log: records one after another, then zeros. The number is that of its first record, in hexadecimal |
//! | `NUMBER.snapshot` | a snapshot of the map. The number is that of the record that put it in force |
//! | `*.new` | a file that is being made. It gets its name once it is on disk, and counts for nothing before |
//!
//! A *record* is a change: a new hard state, and entries that replace the end of the log (see `record` for its bytes).
//! A change is one record, written and synced once. Records are numbered from 1 without a gap, and the first of a
//! segment repeats what is needed to begin there. A segment is written with zeros before it is used, so that a sync
//! need not allocate blocks. A removed segment is not reused, so no old records can follow the end of the log.
//!
//! A snapshot is *in force* if the last record that refers to one refers to it. So the log alone says what is in force.
//! Once a snapshot is in force, the segments whose entries it includes are removed, oldest first.
//!
//! # Torn or damaged
//!
//! A record is written only after the sync of the one before. So only the last can be *torn*, that is, written in part,
//! and nobody was told that it is there: it is cut off. Anything else is *damage*, which may have taken what others
//! rely on: the folder is refused. These tell them apart:
//!
//! - A write in part leaves zeros: a sector that was not written, or all from some byte on. So a torn record has a
//!   sector of zeros, or it ends in zeros. No written record has either; `record` masks one that would.
//! - Nothing was written behind a torn record. If its header is missing, its length is unknown; then no other record
//!   may follow.
//!
//! # Errors
//!
//! If an operation fails, nobody knows what is on disk: after a failed sync, Linux may count lost data as written. So
//! nothing is tried again. The store refuses everything from then on, and only opening it again, in a new process,
//! shows what is there.

mod codec;
mod disk;
mod error;
mod meta;
mod record;
mod recovery;
mod replay;
mod report;
mod segments;
mod snapshot_file;

use std::io;

pub use disk::{Disk, DiskFile, Folder, FolderFile, sync_parent};
pub use error::OpenError;
pub use report::{Report, check};

use crate::raft::{Incarnation, LogIndex, Save, Saved, ServerId, Snapshot};
use error::damaged;
use meta::Meta;
use record::{Change, Known};
use recovery::{Recovered, has_data, numbers, recover};
use segments::{Blank, Segment, Segments};
use snapshot_file::{SnapshotRef, Writer};

/// How the names of segments end.
const SEGMENT_ENDING: &str = ".log";
/// A segment that is being made, or was made ahead.
const SEGMENT_NEW: &str = "segment.new";
/// How the names of snapshots end.
const SNAPSHOT_ENDING: &str = ".snapshot";
/// A snapshot that is being written.
const SNAPSHOT_NEW: &str = "snapshot.new";

/// Whose folder it is.
///
/// A set of servers is known by its history, which is in the log, and servers of different histories refuse each other.
/// The names are only compared to notice a folder that was mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetIdentity {
    /// The server's number in its set.
    pub id: ServerId,
    /// The size of the set.
    pub size: u8,
    /// A digest of the servers' names in the configuration.
    pub names: u64,
}

/// The sizes of files, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The size of a segment, a multiple of 512. It is set when a folder is made, and stays.
    pub segment: u64,
    /// About how much of a snapshot is written at a time.
    pub piece: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { segment: 16 << 20, piece: 1 << 20 }
    }
}

/// The persistent state of a server, in a folder.
///
/// All of it may block, and a sync takes from tenths of a millisecond to seconds.
pub struct Store<D: Disk> {
    disk: D,
    /// The incarnation that the folder was made with, which is in every CRC-32C.
    key: Incarnation,
    sizes: Sizes,
    segments: Segments<D::File>,
    /// The snapshot that is being written.
    writing: Option<Writer<D::File>>,
    /// Snapshots that are in force no more, to be removed.
    outdated: Vec<String>,
    notes: Vec<String>,
    has_failed: bool,
}

impl<D: Disk> Store<D> {
    /// Opens a folder, and reads back what is in it. In an empty folder, a server of the incarnation that `draw` gives
    /// begins.
    pub fn open(
        disk: D,
        set: SetIdentity,
        sizes: Sizes,
        draw: impl FnOnce() -> Incarnation,
    ) -> Result<(Store<D>, Saved), OpenError> {
        let mut disk = disk;
        if !disk.list()?.iter().any(|name| name == meta::FILE) {
            create(&mut disk, Meta { set, incarnation: draw(), segment_bytes: sizes.segment })?;
        }
        let mut notes = Vec::new();
        let mut meta = Meta::read(&disk)?;
        meta.check_owner(set.id, set.size)?;
        let mut recovered = recover(&disk, &meta)?;
        let torn = recovered.tail.torn;
        if 0 < torn {
            notes.push(format!(
                "the last write, of up to {torn} bytes, was not finished and is cut off"
            ));
        }
        let saved = take_saved(&mut recovered);
        let sizes = Sizes { segment: meta.segment_bytes, ..sizes };
        let segments = Segments::resume(&mut disk, meta.incarnation, sizes.segment, recovered)?;
        remove_leftovers(&mut disk, segments.known())?;
        if meta.set.names != set.names {
            let note =
                "the names of the servers are not those of the last start (normal after a move)";
            notes.push(note.to_owned());
            meta.set = set;
            meta.write(&mut disk)?;
        }
        let store = Store {
            disk,
            key: meta.incarnation,
            sizes,
            segments,
            writing: None,
            outdated: Vec::new(),
            notes,
            has_failed: false,
        };
        Ok((store, saved))
    }

    /// What an operator may want to know of the start, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Makes a change, which is on disk when this returns: in one write and one sync, unless a segment is full or the
    /// change brings a snapshot.
    ///
    /// After an error the store refuses everything.
    pub fn save(&mut self, save: Save) -> io::Result<()> {
        self.unless_failed(|store| store.try_save(save))
    }

    /// The bytes of the log after the snapshot in force. If they outweigh the map, it is time for another one, unless
    /// it is being written already; then this is 0.
    pub fn log_bytes(&self) -> u64 {
        self.writing.as_ref().map_or(self.segments.since_snapshot, |_| 0)
    }

    /// Does a part of the work that can wait: of the snapshot that was begun, or of what [`prepare`](Store::prepare)
    /// does. Returns whether there is more to do.
    ///
    /// After an error the store refuses everything.
    pub fn go_on(&mut self) -> io::Result<bool> {
        if self.writing.is_some() { self.write_piece().map(|_| true) } else { self.prepare() }
    }

    /// Begins to write a snapshot of a committed state. All that led to it must have been saved. It counts once all
    /// pieces are written. If one is being written already, or a newer one is in force, this one is not needed.
    ///
    /// After an error the store refuses everything.
    pub fn begin_snapshot(&mut self, snapshot: Snapshot) -> io::Result<()> {
        self.unless_failed(|store| {
            let last_included = snapshot.last_included.index;
            if store.segments.last_index() < last_included {
                return Err(io::Error::other("a snapshot includes entries that were not saved"));
            }
            if store.writing.is_none() && store.segments.known().base() < last_included {
                store.segments.begin_snapshot();
                store.writing = Some(Writer::begin(&mut store.disk, snapshot, store.key)?);
            }
            Ok(())
        })
    }

    /// Writes a piece of the snapshot that was begun. Returns whether more pieces are to be written. Changes may be
    /// saved between the pieces.
    ///
    /// After an error the store refuses everything.
    pub fn write_piece(&mut self) -> io::Result<bool> {
        self.unless_failed(|store| {
            let Some(writing) = &mut store.writing else { return Ok(false) };
            if !writing.write_piece(store.sizes.piece)? {
                return Ok(true);
            }
            if let Some(complete) = store.writing.take() {
                let snapshot = complete.publish(&mut store.disk, store.segments.next())?;
                store.put_in_force(snapshot)?;
            }
            Ok(false)
        })
    }

    /// Does a part of the work that can wait: removes a file that is not needed any more, or creates the next segment
    /// ahead. Returns whether there is more to do.
    ///
    /// After an error the store refuses everything.
    pub fn prepare(&mut self) -> io::Result<bool> {
        self.unless_failed(|store| {
            if let Some(outdated) = store.outdated.pop() {
                store.disk.remove(&outdated)?;
                return Ok(true);
            }
            // First, because it frees space.
            if store.segments.purge(&mut store.disk)? {
                return Ok(true);
            }
            store.segments.prepare(&mut store.disk)
        })
    }

    /// The space that the log and the snapshot in force take, in bytes.
    pub fn bytes_on_disk(&self) -> u64 {
        self.segments.bytes() + self.segments.known().snapshot.map_or(0, |snapshot| snapshot.bytes)
    }

    fn try_save(&mut self, save: Save) -> io::Result<()> {
        let Save { number: _, hard_state, snapshot, first, entries } = save;
        let (base, last) = (self.segments.known().base(), self.segments.last_index());
        let fits = match &snapshot {
            Some(snapshot) => first == snapshot.last_included.index.next(),
            None => first == LogIndex(1) || (base < first && first <= last.next()),
        };
        if !fits {
            return Err(io::Error::other("a change does not fit what was saved"));
        }
        let before = self.segments.known().snapshot;
        let replaces = snapshot.is_some();
        let snapshot = match snapshot {
            Some(snapshot) => Some(self.write_whole(snapshot)?),
            None => before.filter(|_| first != LogIndex(1)),
        };
        // What led to the snapshot that is being written may have been given up.
        self.writing = self.writing.take().filter(|it| it.last_included().index < first);
        let known = Known { hard_state, snapshot };
        self.segments.append(&mut self.disk, Change { known, replaces, first, entries })?;
        self.outdated.extend(before.filter(|_| snapshot != before).map(|before| before.file()));
        Ok(())
    }

    /// Writes all of a snapshot that the next record puts in force.
    fn write_whole(&mut self, snapshot: Snapshot) -> io::Result<SnapshotRef> {
        // The one under way has become useless, and the new one takes its file.
        self.writing = None;
        let mut writer = Writer::begin(&mut self.disk, snapshot, self.key)?;
        while !writer.write_piece(self.sizes.piece)? {}
        writer.publish(&mut self.disk, self.segments.next())
    }

    /// Lets a snapshot take the place of the entries that led to it.
    fn put_in_force(&mut self, snapshot: SnapshotRef) -> io::Result<()> {
        let Known { hard_state, snapshot: before } = self.segments.known().clone();
        let known = Known { hard_state, snapshot: Some(snapshot) };
        let first = self.segments.last_index().next();
        let change = Change { known, replaces: false, first, entries: Vec::new() };
        self.segments.append(&mut self.disk, change)?;
        self.outdated.extend(before.map(|before| before.file()));
        Ok(())
    }

    fn unless_failed<T>(
        &mut self,
        operation: impl FnOnce(&mut Store<D>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.has_failed {
            return Err(io::Error::other("an earlier operation on the disk has failed"));
        }
        let result = operation(self);
        self.has_failed = result.is_err();
        result
    }
}

/// Refuses a folder of another server, or of a server in a set of another size. A folder without data is nobody's.
///
/// Only the file is read that says whose folder it is. Nothing is changed.
pub fn check_owner(disk: &impl Disk, id: ServerId, size: u8) -> Result<(), OpenError> {
    if disk.list()?.iter().any(|name| name == meta::FILE) {
        Meta::read(disk)?.check_owner(id, size)?;
    }
    Ok(())
}

/// Makes an empty folder that of a server. If the power fails meanwhile, it stays a folder without data.
fn create<D: Disk>(disk: &mut D, meta: Meta) -> Result<(), OpenError> {
    if has_data(disk)? {
        return no_meta();
    }
    Blank::create(disk, meta.segment_bytes)?.complete()?;
    Segment::publish(disk, 1)?;
    meta.write(disk)?;
    Ok(())
}

/// The refusal of a folder that has data, but does not say whose.
fn no_meta<T>() -> Result<T, OpenError> {
    damaged(meta::FILE, 0, "it says whose folder it is, but is missing")
}

/// The state that was read back, which is not needed to write more.
fn take_saved(recovered: &mut Recovered) -> Saved {
    let nothing = Saved::new(recovered.saved.hard_state.incarnation);
    std::mem::replace(&mut recovered.saved, nothing)
}

/// Removes what an earlier process did not finish, and makes sure that the names of all other files are on disk.
fn remove_leftovers<D: Disk>(disk: &mut D, known: &Known) -> io::Result<()> {
    let names = disk.list()?;
    let in_force = known.snapshot.map(|snapshot| snapshot.number);
    let outdated = numbers(&names, SNAPSHOT_ENDING).into_iter().filter(|it| Some(*it) != in_force);
    let outdated = outdated.map(|number| format!("{number:016x}{SNAPSHOT_ENDING}"));
    let unfinished =
        names.iter().filter(|name| [meta::NEW, SEGMENT_NEW, SNAPSHOT_NEW].contains(&&***name));
    for name in outdated.chain(unfinished.cloned()) {
        disk.remove(&name)?;
    }
    disk.sync_folder()
}
