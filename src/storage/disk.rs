//! The border to the operating system: what the store asks of a folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use super::OpenError;

/// A folder of files. Another implementation than [`Folder`] lets tests lose what was not synced.
///
/// Nothing outlives a loss of power before it is synced: neither what was written to a file ([`DiskFile::sync`]), nor
/// which names the folder has for which files ([`Disk::sync_folder`]).
pub trait Disk {
    /// A file that is open for writing. It stays the same file if it is renamed.
    type File: DiskFile;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The size of a file, in bytes.
    fn size(&self, name: &str) -> io::Result<u64>;

    /// Reads `length` bytes of a file. It is an error if there are fewer.
    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Opens a file for writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Creates an empty file. An earlier file of that name is replaced.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Renames a file. An earlier file of the new name is replaced.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes what was created, renamed and removed outlive a loss of power.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A file that is open for writing.
pub trait DiskFile {
    /// Writes all bytes at an offset. The file grows if it ends before.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written outlive a loss of power.
    fn sync(&mut self) -> io::Result<()>;
}

/// Makes the name of a folder outlive a loss of power, whoever created it: otherwise all that is in it may be lost. A
/// process that may not read the parent cannot have created it there.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    match File::open(parent.unwrap_or(Path::new("."))) {
        Ok(parent) => parent.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// A folder of the operating system, locked for this process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folder itself: it is locked and synced through this.
    handle: File,
}

impl Folder {
    /// Opens the folder, and locks it until it is dropped. A folder that does not exist is created for this user only,
    /// but not its parent.
    pub fn open(path: &Path) -> Result<Folder, OpenError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let flaw = "the folder that should contain it does not exist";
                return Err(OpenError::Io(io::Error::new(error.kind(), flaw)));
            }
            Err(error) => return Err(OpenError::Io(error)),
        }
        let folder = Folder::existing(path)?;
        sync_parent(path).map_err(OpenError::Io)?;
        Ok(folder)
    }

    /// The same for a folder that must exist. Nothing is changed.
    pub fn existing(path: &Path) -> Result<Folder, OpenError> {
        let handle = File::open(path).map_err(OpenError::Io)?;
        match handle.try_lock() {
            Ok(()) => Ok(Folder { path: path.to_owned(), handle }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
            Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
        }
    }

    /// Runs an operation on a file. Its error names the file.
    fn on<T>(&self, name: &str, operation: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        operation(&self.path.join(name)).map_err(|error| named(name, &error))
    }
}

impl Disk for Folder {
    type File = FolderFile;

    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of the store's.
        fs::read_dir(&self.path)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.on(name, |path| Ok(fs::metadata(path)?.len()))
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.on(name, |path| {
            let mut bytes = vec![0; length];
            File::open(path)?.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })
    }

    fn open(&self, name: &str) -> io::Result<FolderFile> {
        let file = self.on(name, |path| OpenOptions::new().write(true).open(path))?;
        Ok(FolderFile { name: name.to_owned(), file })
    }

    fn create(&mut self, name: &str) -> io::Result<FolderFile> {
        let file = self.on(name, |path| File::create(path))?;
        Ok(FolderFile { name: name.to_owned(), file })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.on(from, |path| fs::rename(path, self.path.join(to)))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.on(name, |path| fs::remove_file(path))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// A file of a [`Folder`].
#[derive(Debug)]
pub struct FolderFile {
    /// The name under which it was opened, for errors.
    name: String,
    file: File,
}

impl DiskFile for FolderFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|error| named(&self.name, &error))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| named(&self.name, &error))
    }
}

/// The error, with the name of the file that it is about.
fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
