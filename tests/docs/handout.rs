//! docs/handout.md: every test that it names exists.

use std::fs;
use std::path::Path;

const TEXT: &str = include_str!("../../docs/handout.md");

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
