//! The data folder of a server, and the one thread that writes to it.
//!
//! The folder is named by the environment variable `SURFSTORE_DATA_DIR`. Without it, a server keeps its state in memory
//! only, and there is no such thread.
//!
//! While a batch is written and synced, further changes wait in the thread's channel, and become the next batch. So the
//! batches grow with the load, and no timer is needed.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use smol::channel::Sender as Inbox;

use super::message::Message;
use crate::raft::{Cluster, Entry, HardState, Incarnation, Save, Saved, Snapshot};
use crate::service::Input;
use crate::storage::{Folder, SetIdentity, Sizes, Store};

/// The environment variable that names the folder.
pub const VARIABLE: &str = "SURFSTORE_DATA_DIR";

/// The maximum number of changes in a batch. They are one record, which has to be checked and applied in one piece.
const BATCH_MAX: usize = 1 << 10;

/// For so many bytes of changes, one step is taken of the work that can wait, such as a piece of a snapshot, which has
/// about twice as many.
const STEP_BYTES: usize = 512 << 10;

/// The data folder that the environment names; `None` if it names none.
pub fn wanted() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What the thread is to write.
enum Order {
    Save(Save),
    Snapshot(Snapshot),
}

/// A server's data folder, on which its thread works from now on.
pub(super) struct DataFolder {
    orders: Sender<Order>,
}

impl DataFolder {
    /// Opens the folder of a server, and reads back its state; if the folder is empty, that of a first start in this
    /// incarnation. What is on disk is reported to `inbox`, now and after each batch.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used.
    pub(super) fn open(
        path: &Path,
        cluster: Cluster,
        fresh: Incarnation,
        inbox: Inbox<Message>,
    ) -> anyhow::Result<(DataFolder, Saved)> {
        let set = SetIdentity { id: cluster.id(), size: cluster.size(), names: cluster.names() };
        let opened =
            Folder::open(path).and_then(|it| Store::open(it, set, Sizes::default(), || fresh));
        let (store, saved) = opened.with_context(|| in_folder(path))?;
        if saved.hard_state == HardState::new(fresh) {
            log::warn!(
                "{} has no data of a server, so this one starts with nothing; if it had a folder before, its disk \
                 counts as lost",
                in_folder(path)
            );
        }
        for note in store.notes() {
            log::warn!("{}: {note}", in_folder(path));
        }
        let (sender, orders) = channel();
        let path = path.to_owned();
        let work = move || {
            let ending = Ending(inbox.clone());
            if let Err(error) = (Writer { store, orders, inbox }).run() {
                ending.report(anyhow::Error::new(error).context(in_folder(&path)));
            }
        };
        thread::Builder::new().name("disk".to_owned()).spawn(work)?;
        Ok((DataFolder { orders: sender }, saved))
    }

    /// Writes a change to the disk. The thread reports it, or that the disk has failed.
    pub(super) fn save(&self, save: Save) {
        self.order(Order::Save(save));
    }

    /// Puts a snapshot in the place of the log, after all changes before it.
    pub(super) fn save_snapshot(&self, snapshot: Snapshot) {
        self.order(Order::Snapshot(snapshot));
    }

    fn order(&self, order: Order) {
        // The thread only ends after it has reported that the disk has failed.
        let _ = self.orders.send(order);
    }
}

fn in_folder(path: &Path) -> String {
    format!("data folder {}", path.display())
}

/// Reports that the thread has ended, for whatever reason: no server goes on that saves nothing.
struct Ending(Inbox<Message>);

impl Ending {
    fn report(&self, error: anyhow::Error) {
        // If the event loop has ended, so does the process.
        let _ = self.0.try_send(Message::DiskFailed(error));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.report(anyhow!("the thread that writes to the data folder has ended"));
    }
}

/// The thread's part.
struct Writer {
    store: Store<Folder>,
    orders: Receiver<Order>,
    inbox: Inbox<Message>,
}

impl Writer {
    /// Carries out orders until there can be no more. Changes come before everything else; work that can wait is done
    /// in parts after each batch, and as soon as there are no more changes.
    fn run(mut self) -> io::Result<()> {
        // Nothing is saved yet, but what is there counts.
        self.report(0, Duration::ZERO);
        let mut has_more = true;
        loop {
            let first = match self.orders.try_recv() {
                Err(TryRecvError::Empty) if !has_more => match self.orders.recv() {
                    Ok(order) => Some(order),
                    Err(_) => return Ok(()),
                },
                Err(TryRecvError::Disconnected) => return Ok(()),
                order => order.ok(),
            };
            let mut steps = 1;
            match first {
                Some(Order::Save(save)) => steps += self.save_batch(save)? / STEP_BYTES,
                Some(Order::Snapshot(snapshot)) => self.store.begin_snapshot(snapshot)?,
                None => {}
            }
            // In proportion to the changes, so that they do not outrun the snapshot that is to replace them.
            has_more = true;
            while has_more && 0 < steps {
                has_more = self.store.go_on()?;
                steps -= 1;
            }
        }
    }

    /// Reports that everything up to that change is on disk, and what is there.
    fn report(&self, number: u64, took: Duration) {
        let (log_bytes, disk_bytes) = (self.store.log_bytes(), self.store.bytes_on_disk());
        let saved = Input::Saved { number, log_bytes, disk_bytes, took };
        // If the event loop has ended, so does the process.
        let _ = self.inbox.try_send(Message::Input(saved));
    }

    /// Saves a change together with all those that have come meanwhile. Returns how many bytes their entries take.
    fn save_batch(&mut self, first: Save) -> io::Result<usize> {
        let mut batch = first;
        let mut snapshot = None;
        for _ in 1..BATCH_MAX {
            match self.orders.try_recv() {
                Ok(Order::Save(next)) => batch = batch.then(next),
                Ok(Order::Snapshot(next)) => {
                    snapshot = Some(next);
                    break;
                }
                Err(_) => break,
            }
        }
        let number = batch.number;
        let bytes = batch.entries.iter().map(Entry::size).sum();
        let start = Instant::now();
        self.store.save(batch)?;
        self.report(number, start.elapsed());
        if let Some(snapshot) = snapshot {
            self.store.begin_snapshot(snapshot)?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::raft::{Command, LogIndex, Roster, ServerId, Term};

    const FRESH: Incarnation = Incarnation(1 << 53);

    /// A change that appends this entry.
    fn save(number: u64) -> Save {
        let incarnation = FRESH;
        let roster = Roster { history: incarnation, members: [(ServerId(0), incarnation)].into() };
        let command = Command::Roster(Arc::new(roster));
        Save {
            number,
            hard_state: HardState { current_term: Term(number), ..HardState::new(incarnation) },
            snapshot: None,
            first: LogIndex(number),
            entries: vec![Entry { term: Term(number), command }],
        }
    }

    fn open(path: &Path) -> (DataFolder, Saved, smol::channel::Receiver<Message>) {
        let (inbox, told) = smol::channel::unbounded();
        let cluster = Cluster::new(ServerId(0), 1).unwrap();
        let (folder, saved) = DataFolder::open(path, cluster, FRESH, inbox).unwrap();
        (folder, saved, told)
    }

    /// The numbers of the saves that are reported until the thread ends.
    fn reported(told: &smol::channel::Receiver<Message>) -> Vec<u64> {
        let mut numbers = Vec::new();
        loop {
            match told.recv_blocking().unwrap() {
                Message::Input(Input::Saved { number, .. }) => numbers.push(number),
                Message::DiskFailed(_) => return numbers,
                _ => panic!("the thread reports nothing else"),
            }
        }
    }

    #[test]
    fn what_is_reported_as_saved_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let (disk, saved, told) = open(&path);
        assert_eq!(saved.entries, []);
        (1..=100).for_each(|number| disk.save(save(number)));
        drop(disk);
        let numbers = reported(&told);
        assert!(numbers.is_sorted() && numbers.last() == Some(&100), "{numbers:?}");
        let (_, saved, _) = open(&path);
        assert_eq!(saved.hard_state.current_term, Term(100));
        assert_eq!(saved.entries.len(), 100);
    }

    #[test]
    fn changes_that_wait_are_saved_in_one_batch() {
        let folder = tempfile::tempdir().unwrap();
        let set = SetIdentity { id: ServerId(0), size: 1, names: 0 };
        let disk = Folder::open(&folder.path().join("data")).unwrap();
        let (store, _) = Store::open(disk, set, Sizes::default(), || FRESH).unwrap();
        let (sender, orders) = channel();
        let (inbox, told) = smol::channel::unbounded();
        (1..=100).for_each(|number| sender.send(Order::Save(save(number))).unwrap());
        drop(sender);
        let ending = Ending(inbox.clone());
        Writer { store, orders, inbox }.run().unwrap();
        drop(ending);
        assert_eq!(reported(&told), [0, 100], "one sync for all that waited");
    }

    #[test]
    fn the_end_of_the_thread_is_reported_whatever_the_reason() {
        let (inbox, told) = smol::channel::unbounded();
        let ends = thread::spawn(move || {
            let _ending = Ending(inbox);
            panic!("a bug");
        });
        assert!(ends.join().is_err());
        assert!(reported(&told).is_empty());
    }
}
