//! The manual pages, made from the definitions that `--help` shows.
//!
//! The library writes what every command has: its synopsis, description, options and commands. The paragraphs of the
//! help become sections by their beginnings: `Examples:`, `Exit codes:` and `Environment:`. Each other paragraph is a
//! part of the description.
//!
//! The same release always gives the same pages: their date is that of `SOURCE_DATE_EPOCH`, or none.

use std::env;
use std::fs;
use std::path::Path;

use clap::builder::{Resettable, StyledStr};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::arguments::{Arguments, PROGRAMS};
use super::clock;
use super::error::CommandError;
use super::screen::Screen;
use crate::chaos::options::Options;
use crate::config::SERVER_HELP;

/// The section of all pages: programs.
const SECTION: &str = "1";

/// The program whose page is shown if none is named.
const PROGRAM: &str = "surfstore";

/// The variable by which builds of packages tell the time that their files have, in seconds since 1970 began.
const DATE_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// After the title: lines are not stretched, and no word is broken, because words may be names of options.
const LAYOUT: &str = ".if n .ad l\n.nh\n";

/// A page.
struct Page {
    name: String,
    text: String,
}

/// Shows the page of a command, of another program, or of this one.
pub(super) fn show(screen: &Screen, named: Option<&str>) -> Result<(), CommandError> {
    let is_named = |page: &Page| match named {
        None => page.name == PROGRAM,
        Some(name) => page.name == name || page.name == format!("{PROGRAM}-{name}"),
    };
    match all(&date()?).iter().find(|page| is_named(page)) {
        Some(page) => screen.show(page.text.trim_end()),
        None => Err(CommandError::usage("there is no such page")),
    }
}

/// Writes all pages to files in the folder.
pub(super) fn write_all(screen: &Screen, folder: &Path) -> Result<(), CommandError> {
    let pages = all(&date()?);
    let failed =
        |path: &Path, error| CommandError::error(format!("{path:?} cannot be written: {error}"));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for Page { name, text } in &pages {
        let path = folder.join(format!("{name}.{SECTION}"));
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    screen.show_sentences(&format!("{} pages are in {folder:?}", pages.len()))
}

/// The date of the pages. It is empty if no time is told.
fn date() -> Result<String, CommandError> {
    let Some(told) = env::var_os(DATE_VARIABLE).filter(|told| !told.is_empty()) else {
        return Ok(String::new());
    };
    let seconds = told.to_str().and_then(|told| told.parse().ok());
    seconds.and_then(clock::date).ok_or_else(|| {
        CommandError::usage(format!("{DATE_VARIABLE} is {told:?}; expected the seconds since 1970"))
    })
}

/// All pages.
fn all(date: &str) -> Vec<Page> {
    // A page of `help` would say nothing.
    let mut program = Arguments::shown().disable_help_subcommand(true);
    program.build();
    let common = Paragraphs::of(&program);
    let mut pages = vec![page(&program, &common, date, &PROGRAMS)];
    for command in program.get_subcommands() {
        let mut own = Paragraphs::of(command);
        own.exit_codes.extend(common.exit_codes.iter().cloned());
        own.environment.extend(common.environment.iter().cloned());
        pages.push(page(command, &own, date, &[PROGRAM]));
    }
    for mut other in [server(), <Options as CommandFactory>::command()] {
        other.build();
        pages.push(page(&other, &Paragraphs::of(&other), date, &[PROGRAM]));
    }
    pages
}

/// The server's definition, read from its help: the forms of a call, each on a line, then the description, then each
/// variable from a line of its own on, and the exit codes.
fn server() -> Command {
    let is_form = |line: &&str| line.starts_with("usage: ") || line.starts_with(' ');
    let (forms, rest): (Vec<_>, Vec<_>) = SERVER_HELP.lines().partition(is_form);
    let forms: Vec<_> = forms.iter().map(|line| line.trim_start_matches("usage:").trim()).collect();
    let rest = rest.join("\n");
    let (description, lists) = rest.split_once("\n\nSURFSTORE_").unwrap_or((&rest, ""));
    let (variables, exit_codes) = lists.split_once("\n\nExit codes: ").unwrap_or((lists, ""));
    let variables = variables.replace("\nSURFSTORE_", "; SURFSTORE_");
    // A page has its own lines.
    let paragraphs = description.trim().split("\n\n").map(|lines| lines.replace('\n', " "));
    let description = paragraphs.collect::<Vec<_>>().join("\n\n");
    let (about, description) = description.split_once(". ").unwrap_or((&description, ""));
    Command::new("surfstore-server")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(forms.join("\n"))
        .about(about.to_owned())
        .after_help(format!(
            "{description}\n\nEnvironment: SURFSTORE_{}\n\nExit codes: {}",
            variables.replace('\n', " "),
            exit_codes.trim_end().replace('\n', " ")
        ))
}

/// The paragraphs of a command's help, by the section that they belong to.
#[derive(Default)]
struct Paragraphs {
    description: Vec<String>,
    /// Sentences about the exit code.
    exit_code: Vec<String>,
    /// Each exit code, and its meaning.
    exit_codes: Vec<(String, String)>,
    /// Each variable, and what it does.
    environment: Vec<(String, String)>,
    /// Each command line, and what it does.
    examples: Vec<(String, String)>,
}

impl Paragraphs {
    fn of(command: &Command) -> Paragraphs {
        let mut paragraphs = Paragraphs::default();
        let text = |text: Option<&StyledStr>| text.map(ToString::to_string).unwrap_or_default();
        let about = match command.get_long_about() {
            Some(about) => about.to_string(),
            None => format!("{}.", text(command.get_about()).trim_end_matches('.')),
        };
        let after = text(command.get_after_help());
        for paragraph in about.split("\n\n").chain(after.split("\n\n")) {
            paragraphs.add(paragraph.trim_end());
        }
        paragraphs
    }

    fn add(&mut self, paragraph: &str) {
        if let Some(list) = paragraph.strip_prefix("Exit codes: ") {
            self.exit_codes = entries(list);
        } else if let Some(list) = paragraph.strip_prefix("Environment: ") {
            self.environment = entries(list);
        } else if paragraph.starts_with("Exit code ") {
            self.exit_code.push(paragraph.to_owned());
        } else if paragraph.starts_with("Example") {
            let lines = paragraph.lines().skip(1).map(str::trim_start);
            // At least two spaces are between a command line and what it does.
            let example = |line: &str| {
                let (command, what) = line.split_once("  ").unwrap_or((line, ""));
                (command.to_owned(), what.trim_start().to_owned())
            };
            self.examples = lines.map(example).collect();
        } else if !paragraph.is_empty() {
            self.description.push(paragraph.to_owned());
        }
    }
}

/// The entries of a list such as `0 success; 1 error.`: each begins with a number or the name of a variable.
fn entries(list: &str) -> Vec<(String, String)> {
    let is_head =
        |word: &str| word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let mut entries: Vec<(String, String)> = Vec::new();
    for part in list.split("; ") {
        let part = part.trim_end_matches('.');
        match (part.split_once(' '), entries.last_mut()) {
            (Some((head, text)), _) if is_head(head) => {
                entries.push((head.to_owned(), text.to_owned()));
            }
            (_, Some((_, text))) => text.extend(["; ", part]),
            (_, None) => {}
        }
    }
    entries
}

/// The page of a command. The definition is built: the global options are those of its commands too.
fn page(command: &Command, paragraphs: &Paragraphs, date: &str, others: &[&str]) -> Page {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let usage = command.clone().render_usage().to_string();
    let usage: Vec<_> =
        usage.trim_start_matches("Usage:").lines().map(|form| form.trim().to_owned()).collect();
    let command = command
        .clone()
        .override_usage(usage.join("\n"))
        .long_about(paragraphs.description.join("\n\n"))
        .after_help(Resettable::Reset)
        .version(Resettable::Reset)
        .subcommand_help_heading("COMMANDS")
        .mut_args(with_values_in_help)
        .mut_args(|argument| match argument.is_positional() {
            true => argument.help_heading("Arguments"),
            false => argument,
        });
    let man = Man::new(command)
        .title(&name)
        .section(SECTION)
        // The library does not quote an empty argument, so that the next one would stand in its place.
        .date(if date.is_empty() { "\"\"" } else { date })
        .source(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION")))
        .manual("SurfStore");
    let mut text = Vec::new();
    // Writing to memory always succeeds.
    let _ = man.render(&mut text);
    let mut own = Roff::new();
    if !paragraphs.exit_codes.is_empty() {
        own.control("SH", ["EXIT STATUS"]);
        for paragraph in &paragraphs.exit_code {
            own.text([roman(paragraph)]);
        }
        list(&mut own, &paragraphs.exit_codes);
    }
    if !paragraphs.environment.is_empty() {
        own.control("SH", ["ENVIRONMENT"]);
        list(&mut own, &paragraphs.environment);
    }
    let text = String::from_utf8_lossy(&text).into_owned() + &without_preamble(&own);
    let mut last = Roff::new();
    if !paragraphs.examples.is_empty() {
        last.control("SH", ["EXAMPLES"]);
        examples(&mut last, &paragraphs.examples);
    }
    last.control("SH", ["SEE ALSO"]);
    for (place, other) in others.iter().enumerate() {
        let comma = if place + 1 < others.len() { "," } else { "" };
        last.text([bold(*other), roman(format!("({SECTION}){comma}"))]);
    }
    let text = bold_code(&text).replacen(".SH NAME", &format!("{LAYOUT}.SH NAME"), 1);
    Page { name, text: text + &without_preamble(&last) }
}

/// Each document of the library begins with a definition of the apostrophe. One is enough for a page.
fn without_preamble(roff: &Roff) -> String {
    let text = roff.render();
    text.strip_prefix(&Roff::new().render()).unwrap_or(&text).to_owned()
}

/// A list of terms and texts.
fn list(roff: &mut Roff, entries: &[(String, String)]) {
    for (term, text) in entries {
        roff.control("TP", []).text([bold(term)]).text([roman(format!("{text}."))]);
    }
}

/// Command lines, which keep their lines, and below each what it does.
fn examples(roff: &mut Roff, examples: &[(String, String)]) {
    let are_explained = examples.iter().any(|(_, what)| !what.is_empty());
    roff.control("EX", []);
    for (place, (command, what)) in examples.iter().enumerate() {
        if are_explained && 0 < place {
            roff.control("EE", []).control("PP", []).control("EX", []);
        }
        roff.text([roman(command)]);
        if !what.is_empty() {
            // After an example, groff hyphenates again.
            roff.control("EE", [])
                .control("nh", [])
                .control("RS", [])
                .text([roman(what)])
                .control("RE", [])
                .control("EX", []);
        }
    }
    roff.control("EE", []).control("nh", []);
}

/// Writes the possible values of an argument as its help does, at the end of the text. The library would write a list
/// with empty lines.
fn with_values_in_help(argument: clap::Arg) -> clap::Arg {
    if argument.is_hide_possible_values_set() {
        return argument;
    }
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("{} ({help})", value.get_name()),
            None => value.get_name().to_owned(),
        })
        .collect();
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
    match help {
        Some(help) if !values.is_empty() => {
            let separator =
                if values.iter().any(|value| value.contains(": ")) { "; " } else { ", " };
            argument
                .help(format!("{help} [possible values: {}]", values.join(separator)))
                .long_help(Resettable::Reset)
                .hide_possible_values(true)
        }
        _ => argument,
    }
}

/// Sets what is between backquotes in bold.
fn bold_code(text: &str) -> String {
    let line = |line: &str| {
        let parts: Vec<_> = line.split('`').collect();
        if parts.len() % 2 == 0 {
            return line.to_owned();
        }
        let part = |(place, part): (usize, &&str)| match place % 2 {
            0 => (*part).to_owned(),
            _ => format!("\\fB{part}\\fR"),
        };
        parts.iter().enumerate().map(part).collect()
    };
    text.lines().map(|text| line(text) + "\n").collect()
}
