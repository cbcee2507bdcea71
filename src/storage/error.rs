//! Why a folder cannot be opened.

use std::error;
use std::fmt;
use std::io;

use crate::raft::ServerId;

/// Why a folder cannot be opened. The caller adds which folder it is.
#[derive(Debug)]
pub enum OpenError {
    /// The folder is of another server of the set.
    OtherServer {
        /// The server that the folder belongs to.
        owner: ServerId,
        /// The server that was started.
        started: ServerId,
    },
    /// The folder is of a server in a set of another size. The size of a set never changes.
    OtherSize {
        /// The size of the set that the folder belongs to.
        folder: u8,
        /// The size of the set in the configuration.
        configured: u8,
    },
    /// A newer program made the folder, with this version of the format.
    NewerFormat(u32),
    /// Another process uses the folder.
    Locked,
    /// The folder has no data of a server.
    NoData,
    /// The folder is not what any server left there.
    Damaged {
        /// The file with the damage.
        file: String,
        /// Where the damage begins, in bytes from the file's beginning.
        byte: u64,
        /// What is wrong.
        flaw: &'static str,
    },
    /// The operating system refused an operation on the folder or on a file in it.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::OtherServer { owner, started } => write!(
                f,
                "the folder belongs to server {}, but server {} was started; each server needs its own",
                owner.0, started.0
            ),
            OpenError::OtherSize { folder, configured } => write!(
                f,
                "the folder belongs to a set of {folder} servers, but the configuration has {configured}; \
                the size of a set cannot change"
            ),
            OpenError::NewerFormat(version) => write!(
                f,
                "the folder has format {version}, which a newer program made; start that program"
            ),
            OpenError::Locked => f.write_str("another process uses the folder"),
            OpenError::NoData => f.write_str("the folder has no data of a server"),
            OpenError::Damaged { file, byte, flaw } => write!(
                f,
                "{file} is damaged at byte {byte}: {flaw}; move the folder away, and the server starts with an \
                empty one, as after the loss of its disk"
            ),
            OpenError::Io(error) => write!(f, "the folder cannot be used: {error}"),
        }
    }
}

impl error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

/// Damage to a file, as a result of this type.
pub(super) fn damaged<T>(file: &str, byte: u64, flaw: &'static str) -> Result<T, OpenError> {
    Err(OpenError::Damaged { file: file.to_owned(), byte, flaw })
}
