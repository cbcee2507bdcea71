//! The manual pages: they say what `--help` says. `tests/interop/run` lets programs for manual pages read them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::program::{program, run};
use super::usage::COMMANDS;

/// The name of the page of a command. The empty command is the program itself.
fn name_of(command: &str) -> String {
    if command.is_empty() { "surfstore".to_owned() } else { format!("surfstore-{command}") }
}

/// The page in roff.
fn page(command: &str) -> String {
    run(program().arg("man").args(command.split_whitespace())).shown()
}

/// The page without what says how it is set.
fn plain(page: &str) -> String {
    let marks =
        [("\\-", "-"), ("\\*(Aq", "'"), ("\\fB", ""), ("\\fI", ""), ("\\fR", ""), ("\\&", "")];
    marks.iter().fold(page.to_owned(), |page, (mark, text)| page.replace(mark, text))
}

/// The words of a text, without the marks around them.
fn words(text: &str) -> BTreeSet<&str> {
    let marks = |c: char| ".,:;`()[]<>".contains(c);
    text.split_whitespace().map(|word| word.trim_matches(marks)).collect()
}

/// The headings of a help. A page has its own.
const HEADINGS: [&str; 10] = [
    "Usage",
    "usage",
    "Commands",
    "Options",
    "Arguments",
    "Examples",
    "Example",
    "Environment",
    "Exit codes",
    "Possible values",
];

/// Checks that each word of the help is in the page, and each option is an entry of its list.
#[track_caller]
fn assert_says(page: &str, help: &str) {
    let text = plain(page);
    let help: Vec<_> = help.lines().filter(|line| !line.starts_with("  help ")).collect();
    let help = HEADINGS
        .iter()
        .fold(help.join("\n"), |help, heading| help.replace(&format!("{heading}:"), ""));
    let mut said = words(&text);
    // Commands are listed by their pages.
    said.extend(
        text.lines().filter_map(|line| line.strip_prefix("surfstore-")?.strip_suffix("(1)")),
    );
    let missing: Vec<_> = words(&help).into_iter().filter(|word| !said.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?} of the help are missing in {text}");
    // Only text that is not in a list begins at the margin.
    let lists = help.lines().filter_map(|line| line.strip_prefix("  ")).map(str::trim_start);
    for line in lists.filter(|line| line.starts_with('-') && !line.starts_with("- ")) {
        let option = line.split("  ").next().unwrap().split(" [").next().unwrap();
        let is_entry = |line: &str| line.starts_with(option);
        assert!(text.lines().any(is_entry), "{option} is no entry in {text}");
    }
}

#[test]
fn a_page_says_what_the_help_says() {
    for command in [""].iter().chain(&COMMANDS) {
        let help = run(program().args(command.split_whitespace()).arg("--help")).shown();
        assert_says(&page(command), &help);
    }
    for (name, path) in [
        ("surfstore-server", env!("CARGO_BIN_EXE_surfstore-server")),
        ("chaos-monkey", env!("CARGO_BIN_EXE_chaos-monkey")),
    ] {
        let help = run(Command::new(path).arg("--help")).shown();
        assert_says(&page(name), &help);
    }
}

#[test]
fn a_page_has_the_usual_sections_in_their_order() {
    for name in [""].iter().chain(&COMMANDS).chain(&["surfstore-server", "chaos-monkey"]) {
        let page = page(name);
        let is_command = COMMANDS.contains(name);
        let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        let has_arguments = sections.contains(&"ARGUMENTS");
        let expected: Vec<_> = [
            ("NAME", true),
            ("SYNOPSIS", true),
            ("DESCRIPTION", true),
            ("OPTIONS", true),
            ("ARGUMENTS", has_arguments),
            ("COMMANDS", name.is_empty()),
            ("\"EXIT STATUS\"", true),
            ("ENVIRONMENT", true),
            ("EXAMPLES", is_command),
            ("\"SEE ALSO\"", true),
        ]
        .into_iter()
        .filter_map(|(section, is_there)| is_there.then_some(section))
        .collect();
        assert_eq!(sections, expected, "{name}");
        let entry = |term: &str, text: &str| page.contains(&format!(".TP\n\\fB{term}\\fR\n{text}"));
        assert!(entry("2", "wrong "), "the exit codes are a list: {page}");
        let variable =
            if *name == "surfstore-server" { "SURFSTORE_LOG" } else { "SURFSTORE_CONFIG" };
        assert!(entry(variable, ""), "the variables are a list: {page}");
    }
}

#[test]
fn examples_keep_their_lines() {
    for command in COMMANDS {
        let help = run(program().args([command, "--help"])).shown();
        let (_, examples) = help.split_once("Example").unwrap();
        let examples: Vec<_> = examples
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("  "))
            .map(str::trim)
            .collect();
        assert!(!examples.is_empty(), "{help}");
        let page = page(command);
        let (_, section) = page.split_once(".SH EXAMPLES\n").unwrap();
        let (mut kept, mut explained) = (Vec::new(), Vec::new());
        for block in section.split(".EX\n").skip(1) {
            let (lines, rest) = block.split_once(".EE\n").unwrap();
            kept.extend(lines.lines().map(plain));
            explained.push(plain(rest));
        }
        let lines: Vec<_> = examples.iter().map(|line| line.split("  ").next().unwrap()).collect();
        assert_eq!(kept, lines, "{page}");
        for example in examples {
            if let Some((_, what)) = example.split_once("  ") {
                assert!(explained.iter().any(|text| text.contains(what.trim())), "{what}: {page}");
            }
        }
    }
}

#[test]
fn all_pages_are_written_and_nothing_hidden_is_in_them() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/man1");
    let write = || run(program().args(["man", "--all"]).arg(&folder)).shown();
    // One more of each program.
    let pages = COMMANDS.len() + 3;
    assert_eq!(write(), format!("{pages} pages are in {folder:?}\n"));
    let mut written: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    let commands = [""].into_iter().chain(COMMANDS);
    let names = commands
        .clone()
        .map(name_of)
        .chain(["surfstore-server", "chaos-monkey"].map(str::to_owned));
    let mut expected: Vec<_> = names.map(|name| format!("{name}.1")).collect();
    expected.sort();
    assert_eq!(written, expected);
    for command in commands {
        let text = fs::read_to_string(folder.join(format!("{}.1", name_of(command)))).unwrap();
        assert_eq!(text, page(command), "{command}");
        for hidden in ["--json", "`cluster` starts these", "Run one server until", "`"] {
            assert!(!plain(&text).contains(hidden), "{command}: {hidden} is in {text}");
        }
    }
    // What an older release has written is replaced.
    let leader = folder.join("surfstore-leader.1");
    fs::write(&leader, "old").unwrap();
    write();
    assert_eq!(fs::read_to_string(&leader).unwrap(), page("leader"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    let write = |path| run(program().args(["man", "--all"]).arg(path));
    write(&file).assert_failed(1, "cannot be written");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    fs::create_dir(folder.path().join("chaos-monkey.1")).unwrap();
    write(&folder.path().to_owned()).assert_failed(1, "chaos-monkey.1");
}

#[test]
fn a_page_has_the_release_and_the_date_that_it_is_told_to_have() {
    let title = |date: &str| {
        let page = run(program().args(["man", "crash"]).env("SOURCE_DATE_EPOCH", date)).shown();
        page.lines().find(|line| line.starts_with(".TH ")).unwrap().to_owned()
    };
    let with = |date| {
        let release = env!("CARGO_PKG_VERSION");
        format!(".TH surfstore-crash 1 {date} \"surfstore {release}\" SurfStore")
    };
    assert_eq!(title(""), with("\"\""));
    assert_eq!(title("0"), with("1970-01-01"));
    assert_eq!(title("1709251199"), with("2024-02-29"));
    for wrong in ["x", "2024-02-29", "1.5", "99999999999999999999"] {
        let mut command = program();
        run(command.arg("man").env("SOURCE_DATE_EPOCH", wrong)).assert_refused("SOURCE_DATE_EPOCH");
    }
}
