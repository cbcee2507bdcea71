//! Log output: whole lines on stderr, written without blocking the server.
//!
//! The parent of a server may close its stderr, or connect it to a pipe that is never read. Neither must end or block
//! the server. So lines go into a bounded queue, one thread writes them, and lines are dropped if the queue is full.
//! The module is the backend of the `log` crate and knows nothing of the content. It adds the time and the server's id,
//! and counts equal lines in a row instead of repeating them.

use std::any::Any;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::value::is_visible;

/// The environment variable with the least important level that is shown.
const LEVEL_VARIABLE: &str = "SURFSTORE_LOG";

/// The environment variable in which systemd names the device and inode of the journal's stream.
const JOURNAL_VARIABLE: &str = "JOURNAL_STREAM";

/// How long repetitions of a line are counted before their number is written.
const REPEATS: Duration = Duration::from_secs(1);

/// How long after a line, or its last repetition, an equal one is only counted.
const AGE_MAX: Duration = Duration::from_secs(60);

/// The maximum number of lines that wait to be written.
const LINES_MAX: usize = 1024;

/// The maximum length of a line, in characters before escaping.
const LINE_CHARS_MAX: usize = 4096;

/// How long a panic waits for its line to be written, because the process may end with it.
const PANIC_FLUSH: Duration = Duration::from_millis(200);

/// The queue to the writer thread; unset until `start`.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The id of the server that runs in this process; unset until it is known.
static SERVER: OnceLock<usize> = OnceLock::new();

/// What the writer thread is told.
enum Said {
    /// A log line, with the time at which it was said.
    Log(SystemTime, String),
    /// A line that is written as it is.
    Plain(String),
    /// The process is about to end.
    Flush,
}

/// Passes lines to the writer thread.
struct Queue {
    lines: SyncSender<Said>,
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

/// From now on names this server in log lines.
pub fn name_server(id: usize) {
    let _ = SERVER.set(id);
}

/// Writes one line as it is, whatever the level. The line is dropped if the queue is full.
pub fn say(line: &str) {
    enqueue(Said::Plain(one_line(line)));
}

fn enqueue(said: Said) {
    let Some(queue) = QUEUE.get() else { return };
    // Hold the lock, so that the line is counted before it can be counted as written.
    let mut unwritten = queue.unwritten();
    if queue.lines.try_send(said).is_ok() {
        *unwritten += 1;
    }
}

/// Waits until all lines are written, but not longer than `deadline`. Called just before the process ends.
pub fn flush(deadline: Duration) {
    let Some(queue) = QUEUE.get() else { return };
    enqueue(Said::Flush);
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
            let text = named(&record.args().to_string(), SERVER.get().copied());
            let line = one_line(&format!("{}{text}", prefix(record.level())));
            enqueue(Said::Log(SystemTime::now(), line));
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

/// The text after the name of this server, unless it begins with it: the logs of several servers may be merged.
fn named(text: &str, server: Option<usize>) -> String {
    match server.map(|id| format!("server {id}")) {
        Some(name) if !text.starts_with(&format!("{name} ")) => format!("{name}: {text}"),
        _ => text.to_owned(),
    }
}

/// Writes the lines to stderr until the process ends, however long the stream blocks.
fn write_all(lines: &Receiver<Said>) {
    let mut writer = Writer::new(!is_journal());
    loop {
        let said = match writer.repeats {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((_, due)) => lines.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        let is_said = said.is_ok();
        let written = match said {
            Ok(said) => writer.write(said, Instant::now()),
            Err(RecvTimeoutError::Timeout) => writer.summary(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // If the stream is closed, only the line is lost.
        let _ = io::stderr().write_all(written.as_bytes());
        if let Some(queue) = QUEUE.get().filter(|_| is_said) {
            queue.count_written();
        }
    }
}

/// Whether stderr leads to the journal, which adds the time itself.
fn is_journal() -> bool {
    let Some(named) = env::var_os(JOURNAL_VARIABLE) else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let Ok(metadata) = stderr.and_then(|stderr| stderr.metadata()) else { return false };
    named == *format!("{}:{}", metadata.dev(), metadata.ino())
}

/// Turns what is said into what is written.
struct Writer {
    has_times: bool,
    /// The last log line, unless a plain line was written after it; empty if there is none.
    last: String,
    /// When it, or its last repetition, was said.
    said: Instant,
    /// How often it has been repeated since it, or the last number of repetitions, was written, and when the next
    /// number is due.
    repeats: Option<(u64, Instant)>,
}

impl Writer {
    fn new(has_times: bool) -> Writer {
        Writer { has_times, last: String::new(), said: Instant::now(), repeats: None }
    }

    fn write(&mut self, said: Said, now: Instant) -> String {
        match said {
            Said::Log(_, line) if line == self.last && now < self.said + AGE_MAX => {
                self.said = now;
                let (count, due) = self.repeats.unwrap_or((0, now + REPEATS));
                self.repeats = Some((count + 1, due));
                if due <= now { self.summary() } else { String::new() }
            }
            Said::Log(time, line) => {
                let written = self.summary() + &self.timed(time, &line);
                (self.last, self.said) = (line, now);
                written
            }
            Said::Plain(line) => {
                let written = self.summary() + &line;
                self.last.clear();
                written
            }
            Said::Flush => self.summary(),
        }
    }

    /// The last line with the number of its repetitions, if there are any. Several servers may share a stream, so the
    /// line before may be another one's.
    fn summary(&mut self) -> String {
        let Some((count, _)) = self.repeats.take() else { return String::new() };
        let repeats = if count == 1 { "once more" } else { &format!("{count} more times") };
        self.timed(SystemTime::now(), &format!("{} ({repeats})\n", self.last.trim_end()))
    }

    /// The line after the time, if lines have it.
    fn timed(&self, time: SystemTime, line: &str) -> String {
        if self.has_times { format!("{} {line}", timestamp(time)) } else { line.to_owned() }
    }
}

/// The time in UTC, as in RFC 3339, with milliseconds. A clock before 1970 counts as 1970.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = date(days);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (seconds, millis) = (seconds % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

/// The date so many days after 1970-01-01. Years are counted from March, so that a leap day is the last of its year,
/// and in eras of 400 years, each of which has 146097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Counted from March, five months in a row have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
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
    fn a_time_is_in_utc_with_milliseconds() {
        for (millis, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_767_225_599_001, "2025-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(millis)), written);
        }
    }

    #[test]
    fn equal_lines_in_a_row_are_counted_and_their_number_is_told_in_time() {
        let mut writer = Writer::new(false);
        let start = Instant::now();
        let mut write = |line: &str, after| {
            let said = match line {
                "" => Said::Flush,
                "plain" => Said::Plain("plain\n".to_owned()),
                line => Said::Log(UNIX_EPOCH, format!("{line}\n")),
            };
            writer.write(said, start + after)
        };
        let soon = Duration::ZERO;
        assert_eq!(write("a", soon), "a\n");
        assert_eq!((write("a", soon), write("a", soon)), (String::new(), String::new()));
        assert_eq!(write("b", soon), "a (2 more times)\nb\n");
        assert_eq!(write("a", soon), "a\n", "an earlier line is no repetition");
        assert_eq!((write("a", soon), write("", soon)), ("".into(), "a (once more)\n".into()));
        assert_eq!(
            (write("a", soon), write("plain", soon)),
            ("".into(), "a (once more)\nplain\n".into())
        );
        assert_eq!(write("a", soon), "a\n", "something else was written in between");
        assert_eq!(
            (write("a", soon), write("a", REPEATS)),
            ("".into(), "a (2 more times)\n".into())
        );
        assert_eq!(
            (write("a", REPEATS), write("", REPEATS)),
            ("".into(), "a (once more)\n".into())
        );
        assert_eq!(write("", REPEATS), "");
        let late = REPEATS + AGE_MAX;
        assert_eq!(write("a", late), "a\n", "the line before is too old");
        assert_eq!(
            (write("a", late * 3 / 2), write("", late)),
            ("".into(), "a (once more)\n".into())
        );
        assert_eq!(write("a", late * 2), "", "its repetition is not too old");
    }

    #[test]
    fn a_line_names_its_server_once() {
        assert_eq!(named("server 1 is a follower", Some(1)), "server 1 is a follower");
        assert_eq!(named("server 10 is a follower", Some(1)), "server 1: server 10 is a follower");
        assert_eq!(named("a warning", Some(1)), "server 1: a warning");
        assert_eq!(named("a warning", None), "a warning");
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
