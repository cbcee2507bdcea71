//! Tests of the checker of histories, with handmade histories.
//!
//! A line is a call: when it began and ended, what it asked, and how it ended. `0-2 f1x true` is an update of the file
//! f to version 1 with the value x; it may also end with `false`, `failed` (a definite fault) or `unknown`. `3-4 read
//! f1x` is a read that saw exactly that.

use crate::history::{Call, Did, Map, Update, linearize};

const LEGAL: [(&str, &[&str]); 22] = [
    ("nothing happened", &[]),
    ("a read of nothing", &["0-1 read"]),
    ("an update and its read", &["0-1 f1x true", "2-3 read f1x"]),
    (
        "a read while the update is under way sees it or not",
        &["0-9 f1x true", "1-2 read", "3-4 read f1x"],
    ),
    ("versions in turn", &["0-1 f1x true", "2-3 f2y true", "4-5 read f2y"]),
    ("two updates at once, in the order of their versions", &["0-9 f2y true", "1-8 f1x true"]),
    ("a version too high", &["0-1 f2x false", "2-3 read"]),
    ("a version taken", &["0-1 f1x true", "2-3 f1y false", "4-5 read f1x"]),
    ("a version taken by one that is under way", &["0-9 f1x true", "1-2 f1y false"]),
    ("refused before, not after", &["0-9 f1x true", "1-8 f2y false", "10-11 f2z true"]),
    (
        "refused for the version before the one that is under way",
        &["0-1 f1x true", "2-9 f2y true", "3-4 f3z false"],
    ),
    ("version 0 is never next", &["0-1 f0x false", "2-3 f-1x false"]),
    ("unknown and never seen", &["0-1 f1x unknown", "2-3 read", "4-5 f1y true", "6-7 read f1y"]),
    ("unknown and seen", &["0-1 f1x unknown", "2-3 read f1x"]),
    ("unknown and seen late", &["0-1 f1x unknown", "2-3 read", "4-5 read f1x"]),
    ("unknown and built upon", &["0-1 f1x unknown", "2-3 f2y true"]),
    ("one of two unknown", &["0-1 f1x unknown", "0-1 f1y unknown", "2-3 f2z true", "4-5 read f2z"]),
    ("unknown, in the way of another", &["0-1 f1x unknown", "2-3 f1y false"]),
    (
        "unknown again and again",
        &["0-1 f1x unknown", "2-3 f1y unknown", "4-5 read f1y", "6-7 f1z false"],
    ),
    ("failed and not seen", &["0-1 f1x failed", "2-3 read", "4-5 f1y true"]),
    (
        "files apart",
        &["0-9 f1x true", "0-9 g1y true", "1-2 read", "3-4 read g1y", "5-6 read f1x g1y"],
    ),
    (
        "a deleted file goes on counting",
        &["0-1 f1x true", "2-3 f2x true", "4-5 f1y false", "6-7 f3z true"],
    ),
];

const ILLEGAL: [(&str, &[&str]); 24] = [
    ("a read of a value that was not written", &["0-1 read f1x"]),
    ("a read from the future", &["0-1 read f1x", "2-3 f1x true"]),
    ("an update that is lost", &["0-1 f1x true", "2-3 read"]),
    ("a stale read", &["0-1 f1x true", "2-3 f2y true", "4-5 read f1x"]),
    ("a read that goes back", &["0-9 f1x true", "1-2 read f1x", "3-4 read"]),
    ("a version twice", &["0-1 f1x true", "2-3 f1y true"]),
    ("a version twice at once", &["0-9 f1x true", "0-9 f1y true"]),
    ("another value than what was written", &["0-1 f1x true", "2-3 read f1y"]),
    ("a version left out", &["0-1 f2x true"]),
    ("a version left out in a read", &["0-1 f1x true", "2-3 f2y true", "4-5 read f3y"]),
    ("versions against time", &["0-1 f2y true", "2-3 f1x true"]),
    ("refused though it was next", &["0-1 f1x false"]),
    (
        "refused though it was next for all the time",
        &["0-1 f1x true", "2-3 f2y false", "4-5 f2z true"],
    ),
    ("refused and seen", &["0-1 f1x true", "2-3 f1y false", "4-5 read f1y"]),
    ("failed and seen", &["0-1 f1x failed", "2-3 read f1x"]),
    ("failed and built upon", &["0-1 f1x failed", "2-3 f2y true"]),
    ("unknown, seen before it began", &["0-1 read f1x", "2-3 f1x unknown"]),
    ("unknown, seen and gone", &["0-1 f1x unknown", "2-3 read f1x", "4-5 read"]),
    (
        "both of two unknown",
        &["0-1 f1x unknown", "0-1 f1y unknown", "2-3 read f1x", "4-5 read f1y"],
    ),
    (
        "unknown, twice in effect",
        &["0-1 f1x unknown", "2-3 read f1x", "4-5 f2y true", "6-7 read f2x"],
    ),
    ("not seen, though built upon", &["0-1 f1x unknown", "2-3 f2y true", "4-5 read"]),
    ("no moment for both files", &["0-1 f1x true", "2-3 g1y true", "4-5 read g1y"]),
    ("two reads see two orders", &["0-9 f1x true", "0-9 g1y true", "1-8 read f1x", "1-8 read g1y"]),
    (
        "a read of both that shows the older of one",
        &["0-1 f1x true", "0-9 f2y true", "0-9 g1z true", "2-3 read f2y", "4-5 read f1x g1z"],
    ),
];

/// The update in `f1x`.
fn update(text: &str) -> Update {
    let (name, rest) = text.split_at(1);
    let (version, value) = rest.split_at(rest.len() - 1);
    let value = u64::from(value.as_bytes()[0]);
    Update { name: name.to_owned(), version: version.parse().unwrap(), value }
}

fn call(line: &str) -> Call {
    let words: Vec<_> = line.split(' ').collect();
    let (from, until) = words[0].split_once('-').unwrap();
    let did = match words[1..] {
        ["read", ref files @ ..] => {
            let file =
                |text: &&str| (update(text).name, (update(text).version, update(text).value));
            Did::Read(files.iter().map(file).collect::<Map>())
        }
        [text, "true"] => Did::Wrote(update(text)),
        [text, "false"] => Did::Refused(update(text)),
        [text, "unknown"] => Did::Unknown(update(text)),
        [_, "failed"] => Did::Failed,
        _ => panic!("no call: {line}"),
    };
    Call { from: from.parse().unwrap(), until: until.parse().unwrap(), did }
}

fn check(lines: &[&str]) -> Result<(), String> {
    linearize(&lines.iter().map(|line| call(line)).collect::<Vec<_>>())
}

#[test]
fn every_history_that_some_order_explains_is_taken() {
    for (what, lines) in LEGAL {
        assert_eq!(check(lines), Ok(()), "{what}");
    }
}

#[test]
fn every_history_that_no_order_explains_is_refused() {
    for (what, lines) in ILLEGAL {
        assert!(check(lines).is_err(), "{what}");
    }
}

#[test]
fn the_order_in_which_calls_were_recorded_does_not_matter() {
    for (histories, is_legal) in [(&LEGAL[..], true), (&ILLEGAL[..], false)] {
        for (what, lines) in histories {
            let back: Vec<_> = lines.iter().rev().copied().collect();
            assert_eq!(check(&back).is_ok(), is_legal, "{what}");
        }
    }
}
