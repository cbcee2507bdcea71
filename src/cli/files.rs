//! The files of the map: reads and updates them.

use serde_json::{Map, Value as Json, json};

use super::error::CommandError;
use super::screen::{RED, Row, Screen, plain};
use super::values;
use crate::client::blocking::Client;
use crate::client::{FileInfo, FileUpdate, Outcome};
use crate::value::Value;

/// `ls`
pub(super) fn list(
    screen: &Screen,
    client: &mut Client,
    as_json: bool,
) -> Result<(), CommandError> {
    let files = client.files()?;
    if as_json {
        let files = files.iter().map(|(name, file)| (name.clone(), to_json(file)));
        return show_json(screen, &Json::Object(files.collect::<Map<_, _>>()));
    }
    let rows = files.iter().map(|(name, file)| {
        let blocks = if file.is_deleted() {
            "deleted".to_owned()
        } else {
            file.hashes.elements().len().to_string()
        };
        Row::new([file.version.to_string(), blocks, plain(name)])
    });
    let rows: Vec<_> = [Row::new(["VERSION", "BLOCKS", "NAME"])].into_iter().chain(rows).collect();
    screen.show(&screen.table(&rows))
}

/// `get`
pub(super) fn get(
    screen: &Screen,
    client: &mut Client,
    name: &str,
    as_json: bool,
) -> Result<(), CommandError> {
    let files = client.files()?;
    let file =
        files.get(name).ok_or_else(|| CommandError::error(format!("there is no file {name:?}")))?;
    if as_json {
        return show_json(screen, &to_json(file));
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

fn show_json(screen: &Screen, document: &Json) -> Result<(), CommandError> {
    screen.show(&values::shown(&format!("{document:#}")))
}

fn to_json(file: &FileInfo) -> Json {
    json!({ "version": file.version, "hashes": values::to_json(&file.hashes.value()) })
}

/// `version`
pub(super) fn version(
    screen: &Screen,
    client: &mut Client,
    name: &str,
) -> Result<(), CommandError> {
    let versions = client.at_each(async |server| server.version(name).await);
    let mut rows = vec![Row::new(["ID", "ADDRESS", "VERSION"])];
    let mut failure = None;
    for (id, (server, version)) in client.servers().iter().zip(versions).enumerate() {
        let colour = version.is_err().then_some(RED);
        let shown = version.as_ref().map_or("-".to_owned(), ToString::to_string);
        let cells = [id.to_string(), server.address().to_string(), shown];
        rows.push(Row::new(cells).coloured(colour));
        failure = failure.or(version.err());
    }
    screen.show(&screen.table(&rows))?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// `update`
pub(super) fn update(
    screen: &Screen,
    client: &mut Client,
    name: &str,
    version: i64,
    hashes: &[String],
) -> Result<(), CommandError> {
    let hashes = hashes.iter().map(|hash| hash.as_str().into()).collect();
    match client.update(&FileUpdate { name: name.into(), version, hashes })? {
        Outcome::Applied => {
            let done = format!("{} is at version {version}", plain(name));
            screen.show(&done).map_err(|error| error.after(&done))
        }
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
