//! Completion: the script of each shell, and the candidates that a script asks this program for at each Tab.
//!
//! A script calls `surfstore -- WORDS`, with the name of the shell in the variable [`VARIABLE`]. The library's engine
//! knows which argument the last word belongs to, and completes commands, options, fixed values and paths. `known` adds
//! what only a configuration or its servers know. `words` reads words as shells do, and quotes candidates.
//!
//! Two scripts are not the library's. They pass the line itself, and get quoted candidates:
//!
//! - bash divides words at colons and equals signs, and inserts candidates as they are.
//! - The library's script for PowerShell evaluates the line to divide it into words, although nobody has pressed Enter.

mod known;
mod words;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use clap::{Arg, Command, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::{self, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use super::arguments::Arguments;
use super::screen::plain;
use crate::terminal::write_whole;
use known::Known;
use words::{Rules, Word};

/// The environment variable that holds the name of the shell whose script asks.
const VARIABLE: &str = "SURFSTORE_COMPLETE";

/// The program that the scripts complete, and call.
const PROGRAM: &str = "surfstore";

/// The variable in which the library's script for zsh passes the place of the word to complete.
const ZSH_PLACE: &str = "_CLAP_COMPLETE_INDEX";

/// The scripts that are not the library's, and what is added to its script for zsh.
const BASH_SCRIPT: &str = include_str!("completions/script.bash");
const POWERSHELL_SCRIPT: &str = include_str!("completions/script.ps1");
const ZSH_ADDITION: &str = include_str!("completions/script.zsh");

/// The script of a shell.
pub(super) fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => return BASH_SCRIPT.to_owned(),
        Shell::PowerShell => return POWERSHELL_SCRIPT.to_owned(),
        _ => {}
    }
    let mut script = Vec::new();
    if let Some(library) = Shells::builtins().completer(&shell.to_string()) {
        // Writing to memory always succeeds.
        let _ = library.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
    }
    let script = String::from_utf8_lossy(&script).trim().to_owned();
    if shell == Shell::Zsh { script + "\n\n" + ZSH_ADDITION } else { script }
}

/// Whether a script asks for candidates. If it does, they are written to stdout, and nothing is written to stderr.
pub(super) fn answer(command_line: &[OsString]) -> bool {
    let [_, separator, words @ ..] = command_line else { return false };
    let shell = env::var(VARIABLE).ok().and_then(|name| Shell::from_str(&name, false).ok());
    // No command begins with the separator, so that the variable alone changes no command.
    let (Some(shell), true) = (shell, separator == "--") else { return false };
    let lines = Line::read(shell, words).map(|line| line.candidates()).unwrap_or_default();
    // Nobody reads an error during a completion.
    let _ = write_whole(&mut io::stdout().lock(), lines.as_bytes());
    true
}

/// A command line up to the cursor.
struct Line {
    shell: Shell,
    /// The words, without their quotes. The last one, which may be empty, is to be completed.
    words: Vec<OsString>,
    /// The last word as it is typed, and the end of it that the shell replaces. Only for bash.
    typed: Option<(Word, String)>,
}

impl Line {
    /// What the script of this shell has passed.
    fn read(shell: Shell, passed: &[OsString]) -> Option<Line> {
        if shell == Shell::Bash {
            let [line, replaced] = passed else { return None };
            let mut typed = words::split(line.to_str()?, Rules::Posix);
            let words = typed.iter().map(|word| word.value.clone().into()).collect();
            return Some(Line {
                shell,
                words,
                typed: Some((typed.pop()?, replaced.to_str()?.to_owned())),
            });
        }
        if shell == Shell::PowerShell {
            let [line] = passed else { return None };
            let words = words::split(line.to_str()?, Rules::PowerShell);
            let words = words.into_iter().map(|word| word.value.into()).collect();
            return Some(Line { shell, words, typed: None });
        }
        let mut words = passed.to_vec();
        if shell == Shell::Zsh {
            let place: usize = env::var(ZSH_PLACE).ok()?.parse().ok()?;
            words.truncate(place.checked_add(1)?);
            if words.len() == place {
                words.push(OsString::new());
            }
            words = words.iter().map(|word| unquoted(word, Rules::Posix)).collect();
        } else if shell == Shell::Fish {
            let last = words.pop()?;
            words.push(unquoted(&last, Rules::Fish));
        }
        Some(Line { shell, words, typed: None })
    }

    /// The candidates, each on a line, as the script expects them.
    fn candidates(&self) -> String {
        let Some((last, before)) = self.words.split_last() else { return String::new() };
        let mut program = with_known(&Arc::new(Known::new(before.to_vec())));
        let folder = env::current_dir().ok();
        let words = self.words.clone();
        let candidates = engine::complete(&mut program, words, before.len(), folder.as_deref());
        let mut candidates = candidates.unwrap_or_default();
        // After a space the engine lists all options as well. They would keep a lone value from being inserted, and
        // their dashes would be inserted if there is no value.
        let is_option = |candidate: &CompletionCandidate| {
            candidate.get_id().is_some_and(|id| id.starts_with("arg::"))
        };
        if last.is_empty() {
            candidates.retain(|candidate| !is_option(candidate));
        }
        candidates.iter().filter_map(|candidate| self.line_of(candidate)).collect()
    }

    /// The line of a candidate, unless the shell could not insert it unchanged.
    fn line_of(&self, candidate: &CompletionCandidate) -> Option<String> {
        let value = candidate.get_value().to_str()?;
        if plain(value) != value {
            return None;
        }
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default();
        let after = |separator: &str| match help {
            "" => String::new(),
            help => format!("{separator}{help}"),
        };
        let line = match (self.shell, &self.typed) {
            (Shell::Bash, Some((word, replaced))) => word.completed(value, replaced)?,
            (Shell::Zsh, _) => {
                let escaped = value.replace('\\', "\\\\").replace(':', "\\:");
                escaped + &after(":").replace('\\', "\\\\")
            }
            (Shell::Fish, _) => format!("{value}{}", after("\t")),
            (Shell::PowerShell, _) => {
                format!("{}{}", words::quoted_for_powershell(value)?, after("\t"))
            }
            _ => value.to_owned(),
        };
        Some(line + "\n")
    }
}

fn unquoted(word: &OsStr, rules: Rules) -> OsString {
    word.to_str().map_or_else(|| word.to_owned(), |word| Word::read(word, rules).value.into())
}

/// The commands and options that the help shows, with what is known about the values of their arguments.
fn with_known(known: &Arc<Known>) -> Command {
    Arguments::shown().mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        command.mut_args(|argument| match (name.as_str(), argument.get_id().as_str()) {
            ("get" | "version" | "update", "file") => completed(argument, known, Known::names),
            ("update", "version") => completed(argument, known, Known::next_version),
            (_, "server" | "at") => {
                let values = argument.get_possible_values();
                let words: Vec<_> = values.iter().map(|word| word.get_name().to_owned()).collect();
                completed(argument, known, move |known, typed| known.servers(&words, typed))
            }
            _ => argument,
        })
    })
}

/// The argument, with candidates for what is typed of it.
fn completed(
    argument: Arg,
    known: &Arc<Known>,
    candidates: impl Fn(&Known, &str) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> Arg {
    let known = Arc::clone(known);
    let completer = move |typed: &OsStr| match typed.to_str() {
        Some(typed) => candidates(&known, typed),
        None => Vec::new(),
    };
    argument.add(ArgValueCompleter::new(completer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_makes_the_engine_panic_or_shows_what_is_hidden() {
        const WORDS: [&str; 12] = [
            "",
            "-",
            "--",
            "-f",
            "-ofx",
            "--output",
            "--output=",
            "--watch",
            "get",
            "update",
            "server",
            "help",
        ];
        for first in WORDS {
            for second in WORDS {
                for third in WORDS {
                    // Without a configuration, no server is called.
                    let words = ["surfstore", "-f", "absent", first, second, third];
                    let words = words.iter().map(OsString::from).collect();
                    let shown = Line { shell: Shell::Fish, words, typed: None }.candidates();
                    let is_hidden = |line: &str| {
                        let value = line.split('\t').next();
                        value == Some("server") || value == Some("--json")
                    };
                    assert!(!shown.lines().any(is_hidden), "{first} {second} {third}: {shown}");
                }
            }
        }
    }
}
