//! docs/handout.md: its steps by hand show what it says, and every test that it names exists.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use support::wait::{PATIENCE, wait_until};

use super::place::Place;
use super::terminal::Terminal;

const TEXT: &str = include_str!("../../docs/handout.md");

/// A step by hand.
#[derive(Debug)]
enum Step {
    /// A command in the first terminal.
    Shell(&'static str),
    /// Statements in the second terminal, and what the comment below them says that they show.
    Python(&'static str, &'static str),
}

/// The steps by hand, from top to bottom.
fn steps() -> Vec<Step> {
    let section = TEXT.split("## Trying it by hand\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let parts = section.split("```").enumerate();
    parts
        .flat_map(|(place, part)| if place % 2 == 0 { in_prose(part) } else { in_block(part) })
        .collect()
}

fn in_prose(text: &'static str) -> Vec<Step> {
    let commands = text.split("First terminal: `").skip(1);
    commands.map(|rest| Step::Shell(rest.split('`').next().unwrap())).collect()
}

fn in_block(block: &'static str) -> Vec<Step> {
    match block.split_once('\n').unwrap() {
        ("sh", text) => text.lines().map(Step::Shell).collect(),
        ("python", text) => {
            let mut steps = Vec::new();
            let mut start = 0;
            // Every statement has a comment after it, or comes before one that has.
            for (place, _) in text.match_indices("\n# ") {
                let (statements, rest) = (&text[start..=place], &text[place + 3..]);
                let comment = rest.lines().next().unwrap();
                steps.push(Step::Python(statements, comment));
                start = place + 3 + comment.len() + 1;
            }
            assert!(
                text[start..].trim().is_empty(),
                "no comment says what this shows: {}",
                &text[start..]
            );
            steps
        }
        (language, _) => panic!("code in {language} is not run"),
    }
}

/// Whether the lines are what the comment says: joined by semicolons, with `...` for any text, and perhaps with an
/// explanation in parentheses after them.
fn is_shown(lines: &[String], comment: &str) -> bool {
    let said = comment.split(" (").next().unwrap();
    let lines = lines.join("; ");
    match said.split_once("...") {
        Some((start, end)) => lines.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => lines == said,
    }
}

#[test]
fn the_steps_by_hand_show_what_the_page_says() {
    let place = Place::new();
    let errors = |name: &str| place.folder.path().join(name);
    let mut shell = Terminal::open(place.program("bash"), errors("shell"));
    let mut python = place.program("python3");
    python.args(["-i", "-q", "-u"]);
    let mut python = Terminal::open(python, errors("python"));
    let steps = steps();
    let shells = steps.iter().filter(|step| matches!(step, Step::Shell(_))).count();
    assert!(6 < shells && 15 < steps.len() - shells, "{steps:?}");
    for step in steps {
        match step {
            Step::Shell(command) => {
                let (shown, code) =
                    shell.enter(&place.adapted(command), |mark| format!("echo '{mark}' $?"));
                assert_eq!(code, "0", "{command}: {shown:#?}\n{}", shell.errors());
            }
            Step::Python(statements, comment) => {
                let (shown, _) =
                    python.enter(&place.adapted(statements), |mark| format!("print('{mark}')"));
                let failed = || format!("{statements}shows {shown:?}\n{}", python.errors());
                assert!(is_shown(&shown, comment), "{}", failed());
            }
        }
    }
    for port in (place.first_port..).take(5) {
        let is_refused = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err();
        wait_until(PATIENCE, "the last step ends the servers", is_refused);
    }
}

#[test]
fn what_is_not_shown_is_noticed() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_shown(&lines("leader after 0.5 s\nTrue"), "leader after ... s; True (of 5)"));
    assert!(is_shown(&lines("(True, 1)"), "(True, 1)"));
    for (shown, comment) in [
        ("", "True"),
        ("True", "False"),
        ("True\nTrue", "True"),
        ("leader after 1 s", "leader after ... s; True"),
    ] {
        assert!(!is_shown(&lines(shown), comment), "{shown}");
    }
}

/// The tests that the page links to: each name with its file.
fn named() -> Vec<(&'static str, &'static str)> {
    let links = TEXT.split("[`").skip(1).filter_map(|rest| rest.split_once("`]("));
    links.map(|(name, rest)| (name, rest.split(')').next().unwrap_or_default())).collect()
}

/// Whether the source has a test of that name: a function in Rust with the attribute above it, or a method in Python.
fn has_test(source: &str, name: &str) -> bool {
    let is_named = |line: &str, keyword: &str| {
        let rest = line.trim_start().strip_prefix(keyword);
        rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let lines: Vec<&str> = source.lines().collect();
    lines.iter().enumerate().any(|(place, line)| {
        // Other attributes may stand between.
        let above = lines[..place].iter().rev().take_while(|line| line.trim().starts_with("#["));
        let mut above = above.map(|line| line.trim());
        is_named(line, "def ") || (is_named(line, "fn ") && above.any(|line| line == "#[test]"))
    })
}

#[test]
fn every_test_that_the_page_for_graders_names_is_one() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let named = named();
    assert!(50 < named.len(), "{named:?}");
    for (name, file) in named {
        let source = fs::read_to_string(docs.join(file)).unwrap_or_default();
        assert!(has_test(&source, name), "{file} has no test {name}");
    }
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source = "#[test]\n#[ignore]\nfn a_test() {}\nfn helper() {}\n    def test_python(self):\n";
    assert!(has_test(source, "a_test") && has_test(source, "test_python"));
    for name in ["helper", "a_tes", "a_test_more", "python"] {
        assert!(!has_test(source, name), "{name}");
    }
}
