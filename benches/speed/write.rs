//! Writes the results to their documents: a part of a document, and the plot beside it.

use std::path::Path;
use std::{fs, io};

use crate::plot;
use crate::report::Report;

/// The lines between which the document is rewritten.
const BEGIN: &str = "<!-- The benchmark writes from here -->";
const END: &str = "<!-- to here -->";

const TITLE: &str = "Calls per second, three servers on one machine";

/// Puts the tables into `speed.md` in this folder, and the plot into `speed.svg`.
///
/// # Errors
///
/// If there is no such document with a place for them, or it cannot be written.
pub(crate) fn write(folder: &Path, machine: &str, report: &Report) -> io::Result<()> {
    let path = folder.join("speed.md");
    let document = fs::read_to_string(&path)?;
    let (before, rest) = document.split_once(BEGIN).ok_or(missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or(missing(END))?;
    let mut results = format!("{machine}\n\n");
    if !report.lines.is_empty() {
        fs::write(folder.join("speed.svg"), plot::svg(TITLE, &report.lines))?;
        results += &format!("![{TITLE}](speed.svg)\n\n");
    }
    results += &report.markdown();
    fs::write(path, format!("{before}{BEGIN}\n\n{results}{END}{after}"))
}

fn missing(line: &str) -> io::Error {
    io::Error::other(format!("speed.md has no line {line:?}"))
}
