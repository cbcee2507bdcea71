//! Tests of the history check: handmade histories, of which it must accept some and refuse the others.
//!
//! `0-2 a1=7 ok` is an update from 0 to 2 s that requests version 1 of `a` with content 7 and was applied; `no` was
//! refused, `fail` failed, and `?` is unknown. `3-4 read a1=7 b2=9` is a read that saw these, and no other file.

use std::sync::Arc;
use std::time::Duration;

use surfstore::chaos::check::check;
use surfstore::chaos::history::{Deed, Fate, Operation};

const LEGAL: [&str; 44] = [
    "",
    "0-1 read",
    "0-1 a1=1 ok",
    "0-1 a1=1 ok; 2-3 read a1=1",
    "0-1 a1=1 ok; 2-3 a2=2 ok; 4-5 read a2=2",
    // Calls that overlap may come in either order.
    "0-5 a1=1 ok; 1-2 read",
    "0-5 a1=1 ok; 1-2 read a1=1",
    "0-5 a1=1 ok; 1-2 read; 3-4 read a1=1",
    "0-5 a1=1 ok; 0-5 a2=2 ok; 1-2 read a2=2",
    "0-9 a2=2 ok; 1-8 a1=1 ok",
    "0-9 a1=1 ok; 0-9 b1=2 ok; 1-2 read; 3-4 read b1=2; 5-6 read a1=1 b1=2",
    "0-9 a1=1 ok; 0-9 b1=2 ok; 1-2 read a1=1; 3-4 read a1=1 b1=2",
    "0-9 a1=1 ok; 0-9 b1=2 ok; 1-2 read b1=2; 3-4 read a1=1 b1=2",
    "0-9 a1=1 ok; 8-9 a2=2 ok; 5-6 read",
    // Refusals before the version was next, after it was taken, or of a version that no file has.
    "0-1 a2=1 no; 2-3 a1=2 ok",
    "0-1 a1=1 ok; 2-3 a1=2 no",
    "0-1 a1=1 ok; 2-3 a3=2 no; 4-5 a2=3 ok",
    "0-1 a0=1 no; 2-3 a-1=2 no",
    "0-1 a2=1 no; 2-3 read",
    "0-1 a1=1 ok; 2-3 a1=2 no; 4-5 read a1=1",
    "0-9 a1=1 ok; 1-8 a2=2 no; 10-11 a2=3 ok",
    "0-1 a1=1 ok; 2-9 a2=2 ok; 3-4 a3=3 no",
    "0-1 a1=1 ok; 2-3 a2=2 ok; 4-5 a1=3 no; 6-7 a3=4 ok",
    "0-9 a1=1 ok; 1-2 a1=2 no",
    "0-9 a1=1 ok; 1-2 a2=2 no; 3-4 read",
    "0-5 a1=1 ok; 0-5 a1=2 no; 6-7 a1=3 no",
    "0-1 a1=1 ok; 2-9 a2=2 ok; 3-4 a2=3 no; 5-6 read a2=2",
    "0-1 a1=1 ok; 2-9 a2=2 ok; 3-4 a3=3 no; 5-6 read a1=1",
    // An unknown update may have taken effect, may do so later, or never.
    "0-1 a1=1 ?; 2-3 read",
    "0-1 a1=1 ?; 2-3 read a1=1",
    "0-1 a1=1 ?; 2-3 read; 4-5 read a1=1",
    "0-1 a1=1 ?; 2-3 a2=2 ok",
    "0-1 a1=1 ?; 2-3 a2=2 ok; 4-5 read a2=2",
    "0-1 a1=1 ?; 2-3 read; 4-5 a1=2 ok; 6-7 read a1=2",
    "0-1 a1=1 ?; 2-3 a1=2 ?; 4-5 read a1=2; 6-7 a1=3 no",
    "0-1 a1=1 ?; 0-1 a1=2 ?; 2-3 a2=3 ok; 4-5 read a2=3",
    "0-1 a1=1 ?; 0-1 a1=2 ?; 2-3 a2=3 ok",
    "0-1 a1=1 ?; 2-3 a2=2 ok; 4-5 a1=3 ?",
    "4-5 a1=3 ?; 0-1 a1=1 ?; 2-3 a2=2 ok",
    "0-1 a1=1 ?; 2-3 a1=2 no; 4-5 read a1=1",
    "0-1 a1=1 ?; 2-3 a1=2 no",
    "0-1 a1=1 ?; 2-3 a1=2 ok; 4-5 read a1=2",
    "0-1 a1=1 fail; 2-3 a1=2 ok; 4-5 read a1=2",
    "0-1 a1=1 fail; 2-3 read; 4-5 a1=2 ok",
];

/// Each with a part of the message of the check.
const ILLEGAL: [(&str, &str); 41] = [
    // An acknowledged update is not there.
    ("0-1 a1=1 ok; 2-3 read", "lost: version 1 of a"),
    ("0-1 a1=1 ok; 2-3 a2=2 ok; 4-5 read a1=1", "lost: version 2 of a"),
    ("0-1 a1=1 ok; 0-1 b1=2 ok; 2-3 read b1=2", "lost: version 1 of a"),
    ("0-1 a1=1 ok; 2-3 b1=2 ok; 4-5 read b1=2", "lost: version 1 of a"),
    ("0-1 a1=1 ?; 2-3 a2=2 ok; 4-5 read", "lost: version 2 of a"),
    ("0-1 a1=1 ok; 2-3 read; 4-5 read a1=1", "before it can have existed"),
    ("0-1 a1=1 ok; 2-3 a2=2 ok; 4-5 read a1=1; 6-7 read a2=2", "before it can have existed"),
    // One version has two contents.
    ("0-1 a1=1 ok; 2-3 a1=2 ok", "two contents"),
    ("0-9 a1=1 ok; 0-9 a1=2 ok", "two contents"),
    ("0-9 a1=1 ok; 0-9 a1=2 ok; 10-11 read a1=2", "two contents"),
    ("0-1 a1=1 ok; 2-3 a1=2 ?; 4-5 read a1=2", "two contents"),
    ("0-1 a1=1 ?; 0-1 a1=2 ?; 2-3 read a1=1; 4-5 read a1=2", "two contents"),
    // An update that must have no effect has one.
    ("0-1 a1=1 no; 2-3 read a1=1", "although its update was refused"),
    ("0-1 a1=1 ok; 2-3 a1=2 no; 4-5 read a1=2", "although its update was refused"),
    ("0-1 a1=1 fail; 2-3 read a1=1", "although its update had failed"),
    ("0-9 a1=1 fail; 2-3 read a1=1; 10-11 read", "although its update had failed"),
    // No update wrote it, or not with this version.
    ("0-1 read a1=1", "content that no update wrote"),
    ("0-1 a1=1 ok; 2-3 read a1=2", "content that no update wrote"),
    ("0-1 a1=1 ok; 2-3 read a2=1", "content that no update wrote"),
    ("0-1 a1=1 ok; 2-3 read a1=1 b1=1", "content that no update wrote"),
    ("0-1 a1=1 ok; 2-3 a2=2 ok; 4-5 read a3=2", "content that no update wrote"),
    ("0-1 a1=1 ?; 2-3 read a1=1; 4-5 a2=2 ok; 6-7 read a2=1", "content that no update wrote"),
    // A version follows one that no update wrote.
    ("0-1 a2=1 ok", "no update can have written version 1"),
    ("0-1 a1=1 ok; 2-3 a3=2 ok", "no update can have written version 2"),
    ("0-1 a1=1 fail; 2-3 a2=2 ok", "no update can have written version 1"),
    // No file ever has such a version.
    ("0-1 a0=1 ok", "a has version 0"),
    ("0-1 a1=1 ok; 2-3 a-1=2 ?; 4-5 read a-1=2", "a has version -1"),
    // Something was read before it was requested, or disappeared again.
    ("0-1 read a1=1; 2-3 a1=1 ok", "a read of a"),
    ("0-1 read a1=1; 2-3 a1=1 ?", "a read of a"),
    ("0-9 a1=1 ok; 1-2 read a1=1; 3-4 read", "a read of a"),
    ("0-1 a1=1 ?; 2-3 read a1=1; 4-5 read", "a read of a"),
    ("0-1 a2=1 ok; 2-3 a1=2 ?", "before it can have existed"),
    ("0-1 a2=2 ok; 2-3 a1=1 ok", "before it can have existed"),
    // Reads that see two updates in both orders.
    ("0-9 a1=1 ok; 0-9 b1=2 ok; 0-9 read a1=1; 0-9 read b1=2", "contradict each other"),
    ("0-9 a1=1 ok; 0-9 b1=2 ok; 1-8 read a1=1; 1-8 read b1=2", "contradict each other"),
    (
        "0-1 a1=1 ok; 0-9 a2=2 ok; 0-9 b1=3 ok; 2-3 read a2=2; 4-5 read a1=1 b1=3",
        "contradict each other",
    ),
    ("0-9 a1=1 ?; 0-9 b1=2 ?; 0-9 read a1=1; 0-9 read b1=2", "contradict each other"),
    // Refusals of the next version.
    ("0-1 a1=1 no", "was refused although it was the next one"),
    ("0-1 a1=1 ok; 2-3 a2=2 no; 4-5 a2=3 ok", "was refused although it was the next one"),
    ("0-1 a1=1 ok; 2-3 a2=2 no", "was refused although it was the next one"),
    (
        "0-9 a1=1 ok; 1-2 a1=2 no; 1-2 read; 3-4 read; 5-6 read a1=1",
        "was refused although it was the next one",
    ),
];

fn operation(text: &str) -> Operation {
    let mut words = text.split_whitespace();
    let (start, end) = words.next().and_then(|times| times.split_once('-')).expect("times");
    let time = |text: &str| Duration::from_secs(text.parse().expect("a time"));
    let deed = match words.clone().next().expect("a deed") {
        "read" => Deed::Read(
            words
                .skip(1)
                .map(|word| {
                    let (file, version, content) = version(word);
                    (file, (version, content))
                })
                .collect(),
        ),
        asked => {
            let (file, version, content) = version(asked);
            let fate = match words.nth(1) {
                Some("ok") => Fate::Applied,
                Some("no") => Fate::Refused,
                Some("fail") => Fate::Failed,
                Some("?") => Fate::Unknown,
                other => panic!("no fate: {other:?}"),
            };
            Deed::Update { file, version, content, fate }
        }
    };
    Operation { worker: 0, start: time(start), end: time(end), deed }
}

/// `a1=7`: version 1 of `a` with content 7.
fn version(word: &str) -> (Arc<str>, i64, u64) {
    let (version, content) = word.split_once('=').expect("a content");
    let (file, version) = version.split_at(1);
    (file.into(), version.parse().expect("a version"), content.parse().expect("a content"))
}

fn operations(history: &str) -> Vec<Operation> {
    history.split("; ").filter(|text| !text.is_empty()).map(operation).collect()
}

fn objections(history: &str) -> Vec<String> {
    let violations = check(&operations(history));
    violations.into_iter().map(|violation| violation.to_string()).collect()
}

#[test]
fn every_legal_history_is_accepted() {
    for history in LEGAL {
        assert_eq!(objections(history), <[&str; 0]>::default(), "{history}");
    }
}

#[test]
fn every_illegal_history_is_refused_for_what_is_wrong_with_it() {
    for (history, wrong) in ILLEGAL {
        let objections = objections(history);
        assert!(objections.iter().any(|said| said.contains(wrong)), "{history}: {objections:?}");
    }
}

#[test]
fn the_order_in_which_operations_were_recorded_does_not_matter() {
    let legal = LEGAL.map(|history| (history, true));
    let illegal = ILLEGAL.map(|(history, _)| (history, false));
    for (history, is_legal) in legal.into_iter().chain(illegal) {
        let mut backwards = operations(history);
        backwards.reverse();
        assert_eq!(check(&backwards).is_empty(), is_legal, "{history}");
    }
}

#[test]
fn a_violation_is_shown_with_what_was_done_to_the_file_around_it() {
    let objections = objections("0-1 a1=1 ok; 2-3 b1=2 ok; 4-5 a2=3 ok; 6-7 read a1=1 b1=2");
    let lines: Vec<String> = objections[0]
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "an acknowledged update is lost: version 2 of a",
            "0.000–1.000 s worker 0: update a 1 (#1): applied",
            "* 4.000–5.000 s worker 0: update a 2 (#3): applied",
            "* 6.000–7.000 s worker 0: read a 1 (#1)",
        ]
    );
}

#[test]
fn a_long_history_is_checked_quickly() {
    let mut history = Vec::new();
    for version in 1..=20_000 {
        let start = Duration::from_millis(4 * version);
        let end = start + Duration::from_millis(1);
        let file = format!("file{}", version % 10).into();
        let number = i64::try_from(version.div_ceil(10)).expect("small");
        let update = Deed::Update { file, version: number, content: version, fate: Fate::Applied };
        history.push(Operation { worker: 0, start, end, deed: update });
        let seen = (version.saturating_sub(9).max(1)..=version).map(|newest| {
            let number = i64::try_from(newest.div_ceil(10)).expect("small");
            (format!("file{}", newest % 10).into(), (number, newest))
        });
        let (start, end) = (end, start + Duration::from_millis(3));
        history.push(Operation { worker: 1, start, end, deed: Deed::Read(seen.collect()) });
    }
    let begin = std::time::Instant::now();
    assert_eq!(check(&history), []);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
