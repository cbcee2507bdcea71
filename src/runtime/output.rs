//! Log output: whole lines on stderr, written without blocking the server.
//!
//! The parent of a server may close its stderr, or connect it to a pipe that is never read. Neither must end or block
//! the server. So lines go into a bounded queue, one thread writes them, and lines are dropped if the queue is full.
//! The module is the backend of the `log` crate and knows nothing of the content.

use std::any::Any;
use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::value::is_visible;

/// The environment variable with the least important level that is shown.
const LEVEL_VARIABLE: &str = "SURFSTORE_LOG";

/// The maximum number of lines that wait to be written.
const LINES_MAX: usize = 1024;

/// The maximum length of a line, in characters before escaping.
const LINE_CHARS_MAX: usize = 4096;

/// How long a panic waits for its line to be written, because the process may end with it.
const PANIC_FLUSH: Duration = Duration::from_millis(200);

/// The queue to the writer thread; unset until `start`.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Passes lines to the writer thread.
struct Queue {
    lines: SyncSender<String>,
    /// The number of lines that are queued or being written.
    unwritten: Mutex<usize>,
    /// Notified whenever `unwritten` falls to 0.
    written: Condvar,
}

/// From now on sends all log lines and panics to stderr.
pub fn start() {
    let (lines, queued) = mpsc::sync_channel(LINES_MAX);
    let queue = Queue { lines, unwritten: Mutex::new(0), written: Condvar::new() };
    if QUEUE.set(queue).is_err() {
        return;
    }
    // If no thread can be created, the server runs without output: the queue counts as closed.
    let _ = thread::Builder::new().name("output".to_owned()).spawn(move || write_all(&queued));
    panic::set_hook(Box::new(say_panic));
    let wanted = env::var_os(LEVEL_VARIABLE).unwrap_or_default();
    let level = level(&wanted);
    log::set_max_level(level.unwrap_or(LevelFilter::Info));
    let _ = log::set_logger(&Logger);
    if level.is_none() {
        log::warn!("{LEVEL_VARIABLE} is {wanted:?}; expected error, warn, info, debug or trace");
    }
}

/// Writes one line, whatever its level. The line is dropped if the queue is full.
pub fn say(line: &str) {
    let Some(queue) = QUEUE.get() else { return };
    let line = one_line(line);
    // Hold the lock, so that the line is counted before it can be counted as written.
    let mut unwritten = queue.unwritten();
    if queue.lines.try_send(line).is_ok() {
        *unwritten += 1;
    }
}

/// Waits until all lines are written, but not longer than `deadline`. Called just before the process ends.
pub fn flush(deadline: Duration) {
    let Some(queue) = QUEUE.get() else { return };
    // The process ends whether or not they were written in time.
    let _ =
        queue.written.wait_timeout_while(queue.unwritten(), deadline, |unwritten| 0 < *unwritten);
}

impl Queue {
    /// The number is a plain count that is correct at every moment, so a panic elsewhere cannot have corrupted it.
    fn unwritten(&self) -> MutexGuard<'_, usize> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_written(&self) {
        let mut unwritten = self.unwritten();
        *unwritten -= 1;
        if *unwritten == 0 {
            self.written.notify_all();
        }
    }
}

/// The backend of the `log` crate.
struct Logger;

impl Log for Logger {
    /// Only this project's lines are meant for operators; those of libraries are not.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("surfstore")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format!("{}{}", prefix(record.level()), record.args()));
        }
    }

    fn flush(&self) {}
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug => "debug: ",
        Level::Trace => "trace: ",
    }
}

/// The requested level: `info` if none is given, `None` if it is not a level.
fn level(wanted: &OsStr) -> Option<LevelFilter> {
    if wanted.is_empty() {
        return Some(LevelFilter::Info);
    }
    // Not parsed as a `LevelFilter`, which also accepts "off": a server could then end without a line.
    let level: Level = wanted.to_str()?.parse().ok()?;
    Some(level.to_level_filter())
}

/// Writes the lines to stderr until the process ends, however long the stream blocks.
fn write_all(lines: &Receiver<String>) {
    for line in lines {
        // If the stream is closed, only the line is lost.
        let _ = io::stderr().write_all(line.as_bytes());
        if let Some(queue) = QUEUE.get() {
            queue.count_written();
        }
    }
}

/// Replaces the default hook, which writes to stderr itself and so may block.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let what = message(panic.payload());
    let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    say(&format!("error: internal error: {what}{}", place.unwrap_or_default()));
    flush(PANIC_FLUSH);
}

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// The text as one line with its line ending: truncated, and with the characters escaped that could break the line,
/// control a terminal, or disguise other text.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LINE_CHARS_MAX) + 1);
    for character in text.chars().take(LINE_CHARS_MAX) {
        if is_visible(character) {
            line.push(character);
        } else {
            line.extend(character.escape_default());
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_is_one_line_of_bounded_length() {
        assert_eq!(one_line("plain ü"), "plain ü\n");
        assert_eq!(one_line("two\nlines\r\n\u{1b}[31m"), "two\\nlines\\r\\n\\u{1b}[31m\n");
        assert_eq!(
            one_line(&"é".repeat(LINE_CHARS_MAX + 1)),
            format!("{}\n", "é".repeat(LINE_CHARS_MAX))
        );
    }

    #[test]
    fn the_level_is_info_unless_another_is_named() {
        let levels = [
            ("", Some(LevelFilter::Info)),
            ("error", Some(LevelFilter::Error)),
            ("WARN", Some(LevelFilter::Warn)),
            ("trace", Some(LevelFilter::Trace)),
            ("off", None),
            ("verbose", None),
        ];
        for (wanted, expected) in levels {
            assert_eq!(level(OsStr::new(wanted)), expected, "{wanted}");
        }
    }
}
