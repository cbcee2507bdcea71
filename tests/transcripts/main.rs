//! Transcripts: scripted runs of a cluster of shipped cores, compared line by line with the text in `scenarios`.
//!
//! A scenario is a text file that says what was done to the servers and what each of them did. `docs/transcripts.md`
//! describes how to read and write one.

#![allow(missing_docs)]

mod clock;
mod commands;
mod links;
mod network;
mod safety;
mod script;
mod sets;
mod stage;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use commands::COMMANDS;
use script::Script;

/// What to do with a scenario whose servers behave differently from its text.
const REWRITE: &str = "TRANSCRIPTS=write cargo test --test transcripts";

/// Every file in the folder of scenarios, by name.
fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/scenarios");
    let files = fs::read_dir(folder).expect("the scenarios' folder can be listed");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file can be named").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there is no scenario");
    paths
}

/// The file's name from the repository's root, for messages.
fn name(path: &Path) -> String {
    let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path);
    inside.display().to_string()
}

fn read(path: &Path) -> String {
    assert!(path.extension().is_some_and(|end| end == "txt"), "{} is not run", name(path));
    fs::read_to_string(path).expect("a scenario can be read")
}

/// Whether the scenarios are written instead of compared.
fn is_write() -> bool {
    match std::env::var("TRANSCRIPTS") {
        Err(_) => false,
        Ok(value) if value == "write" => true,
        Ok(value) => panic!("TRANSCRIPTS is {value:?}; only `write` means anything"),
    }
}

#[test]
fn every_server_does_what_the_scenarios_say() {
    let write = is_write();
    let mut complaints = Vec::new();
    for path in scenarios() {
        let text = read(&path);
        let result = Script::parse(&text).and_then(Script::play);
        match result {
            Ok(played) if write => {
                if played.text() != text {
                    fs::write(&path, played.text()).expect("a scenario can be written");
                }
            }
            Ok(played) => complaints.extend(played.difference(&name(&path))),
            Err(complaint) => complaints.push(format!("{}:{complaint}", name(&path))),
        }
    }
    let (count, all) = (complaints.len(), complaints.join("\n\n"));
    let hint = format!("Where the new lines are right, this writes them: {REWRITE}");
    assert!(complaints.is_empty(), "scenarios that went differently: {count}\n\n{all}\n\n{hint}\n");
}

#[test]
fn every_command_is_used_by_some_scenario() {
    let texts: Vec<_> = scenarios().iter().map(|path| read(path)).collect();
    for (command, _) in COMMANDS {
        let start = format!("> {command}");
        let uses = |line: &str| {
            line.strip_prefix(&start).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        assert!(texts.iter().any(|text| text.lines().any(uses)), "no scenario uses `{command}`");
    }
}
