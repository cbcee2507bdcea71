//! The files of the map: reads and updates them.

use serde_json::{Map, Value as Json, json};

use super::arguments::Format;
use super::doctor::counted;
use super::error::CommandError;
use super::screen::{Layout, RED, Row, Screen, YELLOW, plain, shown_name};
use super::status::nothing_runs;
use super::values;
use crate::client::blocking::Client;
use crate::client::{Error, FileInfo, FileUpdate, Outcome};
use crate::value::Value;

/// The maximum number of files in a table of their versions.
const ROWS_MAX: usize = 100;

/// `ls`
pub(super) fn list(
    screen: &Screen,
    client: &mut Client,
    output: Format,
) -> Result<(), CommandError> {
    let files = client.files()?;
    if output == Format::Json {
        let files = files.iter().map(|(name, file)| (name.clone(), to_json(file)));
        return screen.show_json(&Json::Object(files.collect::<Map<_, _>>()));
    }
    let rows = files.iter().map(|(name, file)| {
        let blocks = if file.is_deleted() {
            "deleted".to_owned()
        } else {
            file.hashes.elements().len().to_string()
        };
        Row::new([file.version.to_string(), blocks, shown_name(name)])
    });
    let rows: Vec<_> = [Row::new(["VERSION", "BLOCKS", "NAME"])].into_iter().chain(rows).collect();
    screen.show(&screen.table(&Layout { cut: 2, spare: &[], least: &[] }, &rows))
}

/// `get`
pub(super) fn get(
    screen: &Screen,
    client: &mut Client,
    name: &str,
    output: Format,
) -> Result<(), CommandError> {
    let files = client.files()?;
    let file = files.get(name).ok_or_else(|| no_file(name))?;
    if output == Format::Json {
        return screen.show_json(&to_json(file));
    }
    let hash = |hash: &Value| match hash {
        Value::String(text) => plain(text),
        other => values::to_json(other).to_string(),
    };
    let mut lines = vec![format!("version {}", file.version)];
    if file.is_deleted() {
        lines.push("deleted".to_owned());
    } else {
        lines.extend(file.hashes.elements().iter().map(hash));
    }
    screen.show(&lines.join("\n"))
}

fn no_file(name: &str) -> CommandError {
    CommandError::error(format!("there is no file {name:?}"))
}

fn to_json(file: &FileInfo) -> Json {
    json!({ "version": file.version, "hashes": values::to_json(&file.hashes.value()) })
}

/// `version`
pub(super) fn version(
    screen: &Screen,
    client: &mut Client,
    name: Option<&str>,
    output: Format,
) -> Result<(), CommandError> {
    match name {
        Some(name) => version_of(screen, client, name, output),
        None => versions(screen, client, output),
    }
}

/// The version of one file at every server.
fn version_of(
    screen: &Screen,
    client: &mut Client,
    name: &str,
    output: Format,
) -> Result<(), CommandError> {
    let versions = client.at_each(async |server| server.version(name).await);
    match output {
        Format::Table => {
            let mut rows = vec![Row::new(["ID", "ADDRESS", "VERSION"])];
            for (id, (server, version)) in client.servers().iter().zip(&versions).enumerate() {
                let colour = version.is_err().then_some(RED);
                let shown = version.as_ref().map_or("-".to_owned(), ToString::to_string);
                let cells = [id.to_string(), server.address().to_string(), shown];
                rows.push(Row::new(cells).coloured(colour));
            }
            screen.show(&screen.table(&Layout { cut: 1, spare: &[], least: &[] }, &rows))?;
        }
        Format::Json => {
            screen.show_json(&each_to_json(client, &versions, |version| {
                ("version", json!(version))
            }))?;
        }
    }
    let is_unknown = versions.iter().all(|version| *version == Ok(0));
    all_answered(versions)?;
    if is_unknown { Err(no_file(name)) } else { Ok(()) }
}

/// The versions of all files at every server.
fn versions(screen: &Screen, client: &mut Client, output: Format) -> Result<(), CommandError> {
    let files = client.files()?;
    // A table of all files of a large map would help nobody.
    let shown_max = if output == Format::Table { ROWS_MAX } else { usize::MAX };
    let names: Vec<_> = files.keys().map(String::as_str).take(shown_max).collect();
    let at_each = client.at_each(async |server| server.versions(&names).await);
    if output == Format::Json {
        screen.show_json(&each_to_json(client, &at_each, |versions| {
            let named = names.iter().zip(versions);
            let named = named.map(|(name, version)| ((*name).to_owned(), json!(version)));
            ("versions", Json::Object(named.collect::<Map<_, _>>()))
        }))?;
        return all_answered(at_each);
    }
    let ids = (0..at_each.len()).map(|id| id.to_string());
    let mut rows = vec![Row::new(["NAME".to_owned(), "VERSION".to_owned()].into_iter().chain(ids))];
    for (place, (name, file)) in files.iter().take(shown_max).enumerate() {
        let at_each = at_each.iter().map(|versions| versions.as_ref().ok()?.get(place));
        let lags = at_each.clone().any(|version| version.is_some_and(|had| *had < file.version));
        let cells = at_each.map(|version| version.map_or("-".to_owned(), ToString::to_string));
        let cells = [shown_name(name), file.version.to_string()].into_iter().chain(cells);
        rows.push(Row::new(cells).coloured(lags.then_some(YELLOW)));
    }
    screen.show(&screen.table(&Layout { cut: 0, spare: &[], least: &[] }, &rows))?;
    let left_out = files.len().saturating_sub(names.len());
    if 0 < left_out {
        screen.say(&format!(
            "surfstore: {} left out; name a file, or use -o json",
            counted(left_out, "file")
        ));
    }
    all_answered(at_each)
}

/// For each server an object with what it answered, or with the error.
fn each_to_json<T>(
    client: &mut Client,
    answers: &[Result<T, Error>],
    member: impl Fn(&T) -> (&'static str, Json),
) -> Json {
    let servers = client.servers().iter().zip(answers).enumerate();
    let object = servers.map(|(id, (server, answer))| {
        let (name, value) = match answer {
            Ok(answer) => member(answer),
            Err(error) => ("error", json!(error.to_string())),
        };
        json!({ "id": id, "address": server.address().to_string(), name: value })
    });
    object.collect()
}

/// The first error, if not every server has answered.
fn all_answered<T>(answers: Vec<Result<T, Error>>) -> Result<(), CommandError> {
    if nothing_runs(&answers) {
        return Err(CommandError::none_runs(answers.len()));
    }
    answers.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(error.into()))
}

/// `update`
pub(super) fn update(
    screen: &Screen,
    client: &mut Client,
    name: &str,
    version: i64,
    hashes: &[String],
    output: Format,
) -> Result<(), CommandError> {
    let hashes = hashes.iter().map(|hash| hash.as_str().into()).collect();
    let told = client.update(&FileUpdate { name: name.into(), version, hashes })?;
    outcome(told, version)?;
    let done = format!("{} is at version {version}", shown_name(name));
    let shown = match output {
        Format::Table => screen.show(&done),
        Format::Json => screen.show_json(&json!({ "name": name, "version": version })),
    };
    shown.map_err(|error| error.after(&done))
}

/// The error of an update that was not applied, or may not have been.
pub(super) fn outcome(outcome: Outcome, version: i64) -> Result<(), CommandError> {
    match outcome {
        Outcome::Applied => Ok(()),
        Outcome::Refused { stored: Some(stored) } => Err(CommandError::refused(format!(
            "refused: the stored version is {stored}, so the next is {}, not {version}",
            stored.saturating_add(1)
        ))),
        Outcome::Refused { stored: None } => {
            Err(CommandError::refused(format!("refused: {version} is not the next version")))
        }
        Outcome::Unknown { reason } => Err(CommandError::no_leader(format!(
            "outcome unknown: the update may have taken effect, or may still do so; {reason}"
        ))),
    }
}
