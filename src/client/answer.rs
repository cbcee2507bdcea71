//! Answers: from XML-RPC values to types.

use std::collections::BTreeMap;

use crate::metadata::HashList;
use crate::protocol::ServerStatus;
use crate::value::Value;

/// A file in the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its newest version, from 1.
    pub version: i64,
    /// Its hash list, or the scalar that a client stored in its place; the elements keep their types.
    pub hashes: HashList,
}

impl FileInfo {
    /// Whether the list marks a deleted file: it is a single 0, as a number or as text, in a list or not.
    pub fn is_deleted(&self) -> bool {
        self.hashes.is_tombstone()
    }
}

/// The map of files by their names.
pub type FileInfoMap = BTreeMap<String, FileInfo>;

/// A description of the expected answer.
pub(super) type Expected = &'static str;

pub(super) fn truth(value: Value) -> Result<bool, Expected> {
    match value {
        Value::Boolean(truth) => Ok(truth),
        _ => Err("a boolean"),
    }
}

pub(super) fn version(value: Value) -> Result<i64, Expected> {
    match value {
        Value::Int(version) => Ok(version),
        _ => Err("a version"),
    }
}

pub(super) fn status(value: Value) -> Result<ServerStatus, Expected> {
    ServerStatus::read(&value).ok_or("a server's status")
}

/// The answers of several calls, each of which returns a version.
pub(super) fn versions(value: Value) -> Result<Vec<i64>, Expected> {
    const EXPECTED: Expected = "a version for each file";
    let Value::Array(answers) = value else { return Err(EXPECTED) };
    let one = |answer| match answer {
        Value::Array(answer) => match *<Box<[Value; 1]>>::try_from(answer).ok()? {
            [Value::Int(version)] => Some(version),
            _ => None,
        },
        _ => None,
    };
    answers.into_iter().map(one).collect::<Option<_>>().ok_or(EXPECTED)
}

pub(super) fn files(value: Value) -> Result<FileInfoMap, Expected> {
    const EXPECTED: Expected = "a map of files";
    let Value::Struct(members) = value else { return Err(EXPECTED) };
    let file = |(name, info): (Box<str>, Value)| Some((name.into_string(), file_info(info)?));
    members.into_iter().map(file).collect::<Option<_>>().ok_or(EXPECTED)
}

fn file_info(value: Value) -> Option<FileInfo> {
    let Value::Array(parts) = value else { return None };
    match *<Box<[Value; 2]>>::try_from(parts).ok()? {
        [Value::Int(version), hashes] => {
            Some(FileInfo { version, hashes: HashList::new(&hashes)? })
        }
        _ => None,
    }
}
