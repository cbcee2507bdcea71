//! Writes the files of a map that `export` has shown.
//!
//! The versions of a file are consecutive. So a new file gets version 1, unless it is written once for each version up
//! to the exported one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::arguments::Format;
use super::doctor::counted;
use super::error::CommandError;
use super::files::outcome;
use super::screen::{Screen, shown_name};
use super::values;
use crate::client::blocking::Client;
use crate::client::{FileInfo, FileInfoMap, FileUpdate};
use crate::metadata::{HashList, VERSION_MAX};

/// `import`
pub(super) fn run(
    screen: &Screen,
    client: &mut Client,
    path: &Path,
    keeps_versions: bool,
    output: Format,
) -> Result<(), CommandError> {
    let files = read(path)?;
    let stored = client.files()?;
    let mut written = 0;
    let mut told = Map::new();
    for (name, file) in &files {
        let versions = versions(stored.get(name), file, keeps_versions);
        let last = *versions.end();
        let is_written = !versions.is_empty();
        for version in versions {
            let hashes = file.hashes.value();
            let update = FileUpdate { name: name.as_str().into(), version, hashes };
            let ended = client.update(&update).map_err(CommandError::from);
            // The files before it are written. If the command is repeated, it finds them there.
            ended.and_then(|ended| outcome(ended, version)).map_err(|error| {
                error
                    .at(&format!("{name:?}"))
                    .after(&format!("{} written", counted(written, "file")))
            })?;
        }
        written += usize::from(is_written);
        if !is_written && last == file.version {
            continue;
        }
        told.insert(name.clone(), json!(last));
        if output == Format::Table {
            let instead = match last == file.version {
                true => String::new(),
                false => format!(", not {}", file.version),
            };
            screen.show(&format!("{} is at version {last}{instead}", shown_name(name)))?;
        }
    }
    match output {
        Format::Table => screen.show(&format!(
            "{} written, {} there already",
            counted(written, "file"),
            files.len().saturating_sub(written)
        )),
        Format::Json => screen.show_json(&Json::Object(told)),
    }
}

/// The versions to write. The last one is the version that the file has then, even if there is none to write.
fn versions(
    stored: Option<&FileInfo>,
    file: &FileInfo,
    keeps_versions: bool,
) -> RangeInclusive<i64> {
    let before = stored.map_or(0, |stored| stored.version);
    // Compared as they are shown: only so much of them is in an exported map.
    let shown = |file: &FileInfo| values::to_json(&file.hashes.value());
    let is_there = stored.is_some_and(|stored| shown(stored) == shown(file));
    let last = if is_there { before } else { before.saturating_add(1) };
    let last = if keeps_versions { last.max(file.version) } else { last };
    before.saturating_add(1)..=last
}

/// The map in a file, or on stdin if that is named `-`.
fn read(path: &Path) -> Result<FileInfoMap, CommandError> {
    let (text, source) = if path == Path::new("-") {
        (io::read_to_string(io::stdin()), "stdin".to_owned())
    } else {
        (fs::read_to_string(path), format!("{path:?}"))
    };
    let text = text.map_err(|error| CommandError::usage(format!("{source}: {error}")))?;
    let files: BTreeMap<String, Json> = serde_json::from_str(&text)
        .map_err(|error| CommandError::usage(format!("{source} is not a map of files: {error}")))?;
    let file = |(name, file): (String, Json)| match info(&file) {
        Some(info) => Ok((name, info)),
        None => Err(CommandError::usage(format!(
            "{source}: {name:?} has no version from 1 to {VERSION_MAX}, or no hashes"
        ))),
    };
    files.into_iter().map(file).collect()
}

fn info(file: &Json) -> Option<FileInfo> {
    let version = file["version"].as_i64().filter(|version| (1..=VERSION_MAX).contains(version))?;
    let hashes = HashList::new(&values::from_shown(file.get("hashes")?)?)?;
    Some(FileInfo { version, hashes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn file(version: i64, hash: &str) -> FileInfo {
        FileInfo { version, hashes: [hash.into()].into() }
    }

    #[test]
    fn a_file_is_there_if_its_hashes_are_shown_alike() {
        let stored = |members: Box<[(Box<str>, Value)]>| FileInfo {
            version: 2,
            hashes: [Value::Struct(members)].into(),
        };
        for stored in [
            stored([("b".into(), 1.into()), ("a".into(), "x".into())].into()),
            stored([("base64".into(), "aGk=".into())].into()),
        ] {
            let shown = json!({ "version": 2, "hashes": values::to_json(&stored.hashes.value()) });
            let versions = versions(Some(&stored), &info(&shown).unwrap(), false);
            assert!(versions.is_empty(), "{shown}: {versions:?}");
        }
    }

    #[test]
    fn a_file_is_written_once_unless_it_is_there_or_its_version_is_to_be_kept() {
        for (stored, wanted, keeps_versions, first, last) in [
            (None, file(1, "h"), false, 1, 1),
            (None, file(3, "h"), false, 1, 1),
            (None, file(3, "h"), true, 1, 3),
            (Some(file(1, "h")), file(3, "h"), false, 2, 1),
            (Some(file(1, "h")), file(3, "h"), true, 2, 3),
            (Some(file(1, "x")), file(3, "h"), false, 2, 2),
            (Some(file(3, "h")), file(3, "h"), true, 4, 3),
            (Some(file(3, "x")), file(3, "h"), true, 4, 4),
            (Some(file(5, "h")), file(3, "h"), true, 6, 5),
        ] {
            let written = versions(stored.as_ref(), &wanted, keeps_versions);
            assert_eq!(written, first..=last, "{stored:?} {wanted:?} {keeps_versions}");
        }
    }
}
