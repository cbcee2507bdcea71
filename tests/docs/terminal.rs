//! A terminal in which a newcomer types: a shell or an interpreter that reads its commands from stdin.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use support::wait::PATIENCE;

/// Begins the line that is printed after the output of a text.
const MARK: &str = "--- ended";

pub(super) struct Terminal {
    child: Child,
    /// What is printed to stdout.
    lines: Receiver<String>,
    /// The file with what is printed to stderr.
    errors: PathBuf,
}

impl Terminal {
    pub(super) fn open(mut command: Command, errors: PathBuf) -> Terminal {
        let stderr = File::create(&errors).unwrap();
        // What it starts in the background ends with its process group.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends when the last process that has the output ends.
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Terminal { child, lines, errors }
    }

    /// Enters a text, and returns the lines that it prints and what `mark` says after [`MARK`]. `mark` makes a command
    /// of the terminal's language that prints a text.
    pub(super) fn enter(
        &mut self,
        text: &str,
        mark: impl Fn(&str) -> String,
    ) -> (Vec<String>, String) {
        let input = self.child.stdin.as_mut().unwrap();
        write!(input, "{text}\n{}\n", mark(MARK)).unwrap();
        let mut shown = Vec::new();
        loop {
            // Cargo may have to build first.
            let line = self.lines.recv_timeout(PATIENCE * 20);
            let line = line
                .unwrap_or_else(|_| panic!("{text:?} does not end: {shown:?}\n{}", self.errors()));
            match line.strip_prefix(MARK) {
                Some(said) => return (shown, said.trim().to_owned()),
                None => shown.push(line),
            }
        }
    }

    /// What has been printed to stderr.
    pub(super) fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
