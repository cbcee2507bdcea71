//! The format of the server's lines on stderr, and that a blocked or closed stderr stops nothing.
//!
//! Each test runs itself a second time as a separate process, because a process has one stderr and one logger.

use std::env;
use std::io::Read;
use std::panic;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::harness::untimed;
use surfstore::runtime::output;

/// Set to the name of the test in the process that speaks.
const SPEAKER: &str = "SURFSTORE_TEST_SPEAKER";

/// The target of this project's lines. Without it, the lines of this test would count as those of a library.
const TARGET: &str = "surfstore::test";

/// How long a process with nothing to wait for may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this process is the one that the named test started to speak.
fn is_speaker(test: &str) -> bool {
    env::var(SPEAKER).is_ok_and(|name| name == test)
}

/// The command that runs the named test of this module as a speaker at this level.
fn speaker(test: &str, level: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", &format!("output::{test}"), "--nocapture"])
        .env(SPEAKER, test)
        .env("SURFSTORE_LOG", level);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What the named test says on stderr at this level.
fn said(test: &str, level: &str) -> Vec<String> {
    let output = speaker(test, level).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().map(|line| untimed(line).to_owned()).collect()
}

/// How the process ended, within the time allowed.
fn end(mut child: Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if PATIENCE < start.elapsed() {
            child.kill().unwrap();
            panic!("the process did not end: {:?}", child.wait());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_line_says_its_level_unless_it_is_plain_information() {
    let test = "a_line_says_its_level_unless_it_is_plain_information";
    if is_speaker(test) {
        output::start();
        log::error!(target: TARGET, "one");
        log::warn!(target: TARGET, "two\nlines");
        log::info!(target: TARGET, "three");
        log::debug!(target: TARGET, "four");
        log::trace!(target: TARGET, "five");
        log::error!(target: "async_io", "a stranger");
        return output::flush(PATIENCE);
    }
    let all = ["error: one", r"warning: two\nlines", "three", "debug: four", "trace: five"];
    for (level, count) in
        [("error", 1), ("warn", 2), ("", 3), ("info", 3), ("debug", 4), ("trace", 5)]
    {
        assert_eq!(said(test, level), all[..count], "{level}");
    }
    let lines = said(test, "loud");
    let unknown = r#"warning: SURFSTORE_LOG is "loud"; expected error, warn, info, debug or trace"#;
    assert_eq!(lines[0], unknown);
    assert_eq!(lines[1..], all[..3]);
}

#[test]
fn a_line_has_the_time_and_its_server_and_equal_ones_are_counted() {
    let test = "a_line_has_the_time_and_its_server_and_equal_ones_are_counted";
    if is_speaker(test) {
        output::start();
        output::name_server(3);
        (0..1000).for_each(|_| log::warn!(target: TARGET, "again"));
        log::info!(target: TARGET, "server 3 says who it is");
        output::say("surfstore-server: the end");
        return output::flush(PATIENCE);
    }
    let written =
        |command: &mut Command| String::from_utf8(command.output().unwrap().stderr).unwrap();
    let begin = std::time::SystemTime::now();
    let year = 1970 + begin.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 31_556_952;
    let text = written(&mut speaker(test, ""));
    let lines: Vec<_> = text.lines().collect();
    let all = [
        "warning: server 3: again",
        "warning: server 3: again (999 more times)",
        "server 3 says who it is",
        "surfstore-server: the end",
    ];
    assert_eq!(lines.iter().map(|line| untimed(line)).collect::<Vec<_>>(), all);
    for (place, line) in lines.iter().enumerate() {
        assert_eq!(line.starts_with(&year.to_string()), place < 3, "{line}");
    }
    // A journal that stderr does not lead to changes nothing, as one does that it leads to.
    let text = written(speaker(test, "").env("JOURNAL_STREAM", "1:1"));
    assert!(text.starts_with(&year.to_string()), "{text}");
    let mut journal = Command::new("sh");
    journal.args(["-c", r#"JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@""#, "sh"]);
    let said = speaker(test, "");
    journal.arg(said.get_program()).args(said.get_args());
    journal.envs(said.get_envs().filter_map(|(name, value)| Some((name, value?))));
    journal.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    assert_eq!(written(&mut journal).lines().collect::<Vec<_>>(), all);
}

#[test]
fn a_panic_is_one_line() {
    let test = "a_panic_is_one_line";
    if is_speaker(test) {
        output::start();
        let _ = panic::catch_unwind(|| panic!("the {} fell\ndown", "sky"));
        // Ends at once, like a process whose main thread panics.
        process::exit(0);
    }
    let lines = said(test, "error");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let expected = format!(r"error: internal error: the sky fell\ndown at {}:", file!());
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn a_stream_that_nobody_reads_hinders_nothing() {
    let test = "a_stream_that_nobody_reads_hinders_nothing";
    if is_speaker(test) {
        output::start();
        // Ten times as much as a pipe holds, and more lines than the queue holds.
        for number in 0..10_000 {
            log::warn!(target: TARGET, "{number:64}");
        }
        return output::flush(Duration::from_millis(200));
    }
    let mut child = speaker(test, "").spawn().unwrap();
    let mut unread = child.stderr.take().unwrap();
    assert!(end(child).success());
    let mut written = Vec::new();
    unread.read_to_end(&mut written).unwrap();
    assert!(!written.is_empty(), "nothing was written before the pipe was full");
}

#[test]
fn a_stream_whose_reader_has_gone_hinders_nothing() {
    let test = "a_stream_whose_reader_has_gone_hinders_nothing";
    if is_speaker(test) {
        output::start();
        log::warn!(target: TARGET, "into the void");
        let start = Instant::now();
        output::flush(PATIENCE);
        assert!(start.elapsed() < PATIENCE, "the server waited for a line that cannot be written");
        return;
    }
    let mut child = speaker(test, "").spawn().unwrap();
    drop(child.stderr.take());
    assert!(end(child).success());
}

#[test]
fn a_closed_stream_changes_no_exit_code() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"exec "$0" "$@" 2>&-"#,
        env!("CARGO_BIN_EXE_surfstore-server"),
        "absent",
        "0",
    ]);
    assert_eq!(end(command.spawn().unwrap()).code(), Some(2));
}

#[test]
fn the_server_ends_with_its_exit_code_though_nobody_reads_its_refusal() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_surfstore-server"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(end(child).code(), Some(2));
}
