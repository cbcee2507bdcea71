//! The memory that a server holds, and the bound above which it takes no more updates.
//!
//! What counts: the map, with the pieces of a snapshot that is being received; the log; the blocks; requests that have
//! not arrived completely; and answers. There is always room for an answer with the whole map, or for a snapshot that
//! replaces it, so at least the size of the map counts for that. Each update counts with its bytes and with what the
//! allocator adds. One that is both in the log and the newest of its file counts twice. The rest does not count,
//! because it is small or short-lived: the program itself, connections, and older versions of files while a map is
//! being sent or read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use log::Level;

use super::Shell;
use crate::metadata::Update;
use crate::monitor::Memory;
use crate::raft::Server;

/// A number of bytes that are held in several places.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicUsize>);

impl HeldBytes {
    /// Counts bytes that are held from now on.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes that were counted before and are held no longer.
    pub fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }

    /// The number of bytes.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Shell {
    /// What the server holds now.
    pub(super) fn memory(&self, server: &Server) -> Memory {
        let map = server.map_bytes();
        Memory {
            map,
            log: server.log_bytes(),
            blocks: self.blocks.bytes(),
            requests: self.requests.get(),
            answers: self.answers.budget().bytes().max(map),
            max: self.memory_max,
        }
    }

    /// Whether an update would exceed the bound. There is always room for one that needs no more than what it replaces,
    /// so that a full map can be made smaller.
    pub(super) fn has_no_room_for(&mut self, update: &Update, server: &Server) -> bool {
        let memory = self.memory(server);
        let (held, size) = (memory.held(), update.size());
        if held + size <= memory.max {
            self.warned_of_memory &= memory.max / 8 * 7 < held;
            return false;
        }
        let replaced = server.files().newest(&update.name).map_or(0, Update::size);
        let is_full = replaced < size;
        if is_full && !self.warned_of_memory {
            self.warned_of_memory = true;
            let Memory { map, log, blocks, requests, answers, max } = memory;
            self.log(
                Level::Warn,
                format!(
                    "memory is used up, so updates that need more are answered with busy: {held} of {max} bytes (map \
                     {map}, log {log}, blocks {blocks}, requests {requests}, answers {answers}); SURFSTORE_MEMORY_MAX \
                     sets the bound"
                ),
            );
        }
        is_full
    }
}
