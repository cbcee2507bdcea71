//! Files that a load updates and reads: the requests, and the required answers.

use std::iter;
use std::sync::Arc;

use surfstore::config::Config;
use surfstore::metadata::{self, HashList, Update};
use surfstore::protocol::{Answer, Ask, write_answer};
use surfstore::raft::Reply;
use surfstore::value::Value;

/// The first version of a file as a document holds it. Nothing else in the documents here looks like it.
const FIRST: &str = "<int>1</int>";
const OPEN: &str = "<int>";
const CLOSE: &str = "</int>";

/// Files of one load, each with its own list of hashes, which stays the same. One update of a file is in flight at a
/// time, and its version is the next, so that every update must be answered with true.
pub(crate) struct Files {
    files: Vec<File>,
    /// The file whose turn it is.
    next: usize,
    /// The document of the map, cut at the versions.
    map: Vec<String>,
    /// The last map that was read, and its versions.
    last: (Vec<u8>, Vec<i64>),
}

struct File {
    name: String,
    hashes: HashList,
    acknowledged: i64,
    is_under_way: bool,
    /// The call that updates it, before and after the version.
    call: (String, String),
}

impl Files {
    /// So many files, whose names begin like this and are as long as SurfStore's usual ones; each has two hashes of 64
    /// digits.
    pub(crate) fn new(prefix: &str, count: usize) -> Files {
        let file = |number| {
            let name = format!("{prefix:-<54}{number:06}");
            let hashes = [2 * number, 2 * number + 1].map(|hash| format!("{hash:064x}"));
            File::new(name, hashes.iter().map(|hash| hash.as_str().into()).collect())
        };
        Files::of((0..count).map(file).collect())
    }

    /// One file with a list of hashes that is as large as this in a document.
    pub(crate) fn large(name: &str, bytes: usize) -> Files {
        let hash = Value::from("h".repeat(64).as_str());
        let written = "<value><string></string></value>".len() + 64;
        Files::of(vec![File::new(name.to_owned(), iter::repeat_n(hash, bytes / written).collect())])
    }

    fn of(files: Vec<File>) -> Files {
        let mut map = metadata::Files::default();
        for file in &files {
            assert!(map.apply(&Arc::new(file.first())), "names are given once");
        }
        let document = document(&Answer::Raft(Reply::Files(map)));
        let map: Vec<_> = document.split(FIRST).map(str::to_owned).collect();
        assert_eq!(map.len(), files.len() + 1, "one version for each file");
        Files { files, next: 0, map, last: (Vec::new(), Vec::new()) }
    }

    /// The file that is updated next, and its document; none while all files are being updated.
    pub(crate) fn update(&mut self) -> Option<(usize, String)> {
        let count = self.files.len();
        let turns = (self.next..count).chain(0..self.next);
        let index = turns.into_iter().find(|index| !self.files[*index].is_under_way)?;
        self.next = (index + 1) % count;
        let file = &mut self.files[index];
        file.is_under_way = true;
        let version = (file.acknowledged + 1).to_string();
        Some((index, [&file.call.0, OPEN, &version, CLOSE, &file.call.1].concat()))
    }

    /// Records that the update of this file was answered with true.
    pub(crate) fn acknowledge(&mut self, index: usize) {
        let file = &mut self.files[index];
        file.is_under_way = false;
        file.acknowledged += 1;
    }

    /// The versions that a read from now on must show at least.
    pub(crate) fn acknowledged(&self) -> Vec<i64> {
        self.files.iter().map(|file| file.acknowledged).collect()
    }

    /// Whether the document is the map of these files and of no others, each with its own hashes and a version that
    /// was acknowledged before the read began or may have been written since.
    pub(crate) fn is_map(&mut self, document: &[u8], acknowledged: &[i64]) -> bool {
        // Most maps equal the last one, and comparing takes less time than parsing.
        if self.last.0 != document {
            let Some(versions) = self.versions(document) else { return false };
            self.last = (document.to_vec(), versions);
        }
        let mut bounds = self.last.1.iter().zip(acknowledged).zip(&self.files);
        bounds.all(|((version, least), file)| {
            let most = file.acknowledged + i64::from(file.is_under_way);
            (*least..=most).contains(version)
        })
    }

    /// The versions in a document that is the map of these files except for the versions.
    pub(crate) fn versions(&self, document: &[u8]) -> Option<Vec<i64>> {
        let (first, others) = self.map.split_first()?;
        let mut rest = document.strip_prefix(first.as_bytes())?;
        let mut versions = Vec::with_capacity(self.files.len());
        for piece in others {
            rest = rest.strip_prefix(OPEN.as_bytes())?;
            let end = rest.iter().position(|byte| *byte == b'<')?;
            versions.push(std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?);
            rest = rest[end..].strip_prefix(CLOSE.as_bytes())?.strip_prefix(piece.as_bytes())?;
        }
        rest.is_empty().then_some(versions)
    }

    /// Each file that was updated, with its version and hashes: what a map must contain at the end.
    pub(crate) fn updated(&self) -> impl Iterator<Item = (&str, i64, &HashList)> {
        assert!(self.files.iter().all(|file| !file.is_under_way), "no update is in flight");
        let updated = self.files.iter().filter(|file| 0 < file.acknowledged);
        updated.map(|file| (file.name.as_str(), file.acknowledged, &file.hashes))
    }
}

impl File {
    fn new(name: String, hashes: HashList) -> File {
        let call = (String::new(), String::new());
        let file = File { name, hashes, acknowledged: 0, is_under_way: false, call };
        let call = text(Ask::Update(&file.name, 1, &file.hashes.value()).document());
        let (before, behind) = call.split_once(FIRST).expect("an update has a version");
        File { call: (before.to_owned(), behind.to_owned()), ..file }
    }

    fn first(&self) -> Update {
        Update { name: self.name.as_str().into(), version: 1, hashes: self.hashes.clone() }
    }
}

/// The document of an answer that no server gives.
pub(crate) fn document(answer: &Answer) -> String {
    text(write_answer(answer, &Config { servers: Vec::new(), warnings: Vec::new() }))
}

fn text(document: Vec<u8>) -> String {
    String::from_utf8(document).expect("what is written is UTF-8")
}
