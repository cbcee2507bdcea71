//! The borders between modules, read from the source text: a module must not name what these tests forbid it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of `lib.rs`, lowest first.
const MODULES: [&str; 17] = [
    "config", "value", "metadata", "blocks", "raft", "storage", "xmlrpc", "gate", "protocol",
    "monitor", "dial", "client", "terminal", "chaos", "service", "runtime", "cli",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every line of code of a module, with the file's name: `src/NAME.rs` and everything below `src/NAME/`, without
/// comments.
fn lines_of(module: &str) -> Vec<(String, String)> {
    let mut files = vec![source().join(format!("{module}.rs"))];
    let mut folders = vec![source().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder of the sources can be listed").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut lines = Vec::new();
    for file in files {
        for line in fs::read_to_string(&file).expect("a source can be read").lines() {
            let code = line.split("//").next().unwrap_or_default();
            lines.push((file.display().to_string(), code.to_owned()));
        }
    }
    assert!(!lines.is_empty(), "module {module} has no source");
    lines
}

/// The same by file, without unit tests.
fn code_of(module: &str) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, line) in lines_of(module) {
        files.entry(file).or_default().push(line);
    }
    for lines in files.values_mut() {
        let tests = lines.iter().position(|line| line.contains("#[cfg(test)]"));
        lines.truncate(tests.unwrap_or(lines.len()));
    }
    files
}

/// Fails if code of the module contains any of the words.
fn assert_absent(module: &str, words: &[&str]) {
    for (file, line) in lines_of(module) {
        for word in words {
            assert!(!line.contains(word), "{file} must not name {word}: {line}");
        }
    }
}

#[test]
fn the_modules_are_those_of_lib_rs_in_its_order() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let named: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(named, MODULES);
}

#[test]
fn a_module_imports_only_from_those_above_it() {
    for (index, module) in MODULES.iter().enumerate() {
        // With the character after the name, because one name may begin like another.
        let paths = |name: &&str| [format!("crate::{name}::"), format!("crate::{name};")];
        let below: Vec<_> = MODULES[index + 1..].iter().flat_map(paths).collect();
        assert_absent(module, &below.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn the_core_and_the_metadata_know_no_wire_and_no_runtime() {
    let outside =
        ["smol", "async_io", "async_h1", "http_types", "quick_xml", "base64", "anyhow", "xmlrpc"];
    for module in ["raft", "metadata", "value"] {
        assert_absent(module, &outside);
    }
}

#[test]
fn the_core_has_no_clock_no_chance_no_io_and_no_errors() {
    let impure = [
        "std::time",
        "Instant",
        "SystemTime",
        "Duration",
        "fastrand",
        "std::io",
        "std::net",
        "std::fs",
        "std::env",
        "std::thread",
        "std::sync::Mutex",
        "std::sync::mpsc",
        "RefCell",
        "Result<",
        "println!",
        "log::info",
        "log::warn",
        "log::debug",
    ];
    for module in ["raft", "metadata"] {
        assert_absent(module, &impure);
    }
}

/// It is told the time, and draws from a generator that it is given.
#[test]
fn the_service_has_no_clock_no_io_no_errors_and_shares_nothing() {
    let impure = [
        "smol",
        "async_",
        "http_types",
        "anyhow",
        "fastrand::Rng::new",
        "Rng::new()",
        "fastrand::f64",
        "Instant::now",
        "SystemTime",
        "std::io",
        "std::net",
        "std::fs",
        "std::env",
        "std::thread",
        "Mutex",
        "mpsc",
        "RefCell",
        "Rc<",
        "println!",
        "log::info",
        "log::warn",
        "log::debug",
    ];
    for (file, lines) in code_of("service") {
        for line in lines {
            for word in impure {
                assert!(!line.contains(word), "{file} must not name {word}: {line}");
            }
        }
    }
}

/// A disk that loses what was not synced can stand in for the real one.
#[test]
fn the_storage_reaches_files_through_one_trait_and_has_no_clock_no_chance_and_no_threads() {
    let impure = [
        "smol",
        "async_",
        "anyhow",
        "fastrand",
        "std::time",
        "Instant",
        "SystemTime",
        "Duration",
        "std::env",
        "std::thread",
        "Mutex",
        "mpsc",
        "RefCell",
        "println!",
        "log::",
    ];
    assert_absent("storage", &impure);
    for (file, line) in lines_of("storage") {
        assert!(file.ends_with("disk.rs") || !line.contains("std::fs"), "{file}: {line}");
    }
}

#[test]
fn the_gate_has_no_clock_no_io_and_no_library_but_its_parser() {
    let impure = [
        "smol",
        "async_",
        "http_types",
        "quick_xml",
        "anyhow",
        "fastrand",
        "xmlrpc",
        "std::time",
        "Instant",
        "Duration",
        "std::io",
        "Tcp",
        "std::fs",
        "std::env",
        "std::thread",
        "RefCell",
        "println!",
        "log::",
    ];
    for (file, lines) in code_of("gate") {
        for word in impure {
            assert!(!lines.iter().any(|line| line.contains(word)), "{file} must not name {word}");
        }
    }
}

#[test]
fn a_server_and_a_client_share_nothing_but_what_they_say_to_each_other() {
    assert_absent("client", &["crate::runtime"]);
    assert_absent("runtime", &["crate::client"]);
    assert_absent("chaos", &["crate::runtime"]);
}

/// All input from outside is handled. Only what a bug alone can break is asserted, and the message says so.
#[test]
fn the_core_the_service_the_gate_and_the_client_side_fail_only_by_assertions() {
    for module in [
        "raft", "storage", "metadata", "gate", "protocol", "service", "dial", "client", "chaos",
        "cli",
    ] {
        for (file, lines) in code_of(module) {
            for line in lines.iter().filter(|line| !line.contains("assert")) {
                let line = line.replace(".expect(\"bug: ", "");
                for word in [".expect(", "panic!(", "unreachable!(", "todo!(", "unsafe "] {
                    assert!(!line.contains(word), "{file}: {line}");
                }
            }
        }
    }
}

#[test]
fn each_foreign_library_is_named_where_it_belongs_and_nowhere_else() {
    let homes: [(&str, &[&str]); 14] = [
        ("quick_xml", &["xmlrpc"]),
        ("httparse", &["gate/headers.rs", "gate/response.rs"]),
        ("memmap2", &["gate/body.rs"]),
        ("smol", &["dial", "client", "runtime", "cli/cluster.rs", "cli/interrupt.rs"]),
        ("async_io", &["dial", "client", "runtime"]),
        ("async_signal", &["cli/cluster.rs", "cli/interrupt.rs", "runtime/signals.rs"]),
        ("crc32c", &["monitor/view.rs", "storage"]),
        (
            "clap",
            &["chaos/options.rs", "cli.rs", "cli/arguments.rs", "cli/completions", "cli/man.rs"],
        ),
        ("hdrhistogram", &["cli/bench/figures.rs"]),
        ("tz::", &["cli/clock.rs"]),
        ("unicode_width", &["terminal.rs"]),
        ("async_h1", &["runtime/head_codec.rs"]),
        ("http_types", &["runtime/head_codec.rs"]),
        ("fastrand", &["chaos", "client/leader.rs", "service", "runtime.rs"]),
    ];
    for (library, homes) in homes {
        for (file, line) in MODULES.iter().flat_map(|module| lines_of(module)) {
            let at_home = homes.iter().any(|home| file.contains(&format!("/src/{home}")));
            assert!(at_home || !line.contains(library), "{file} must not name {library}: {line}");
        }
    }
}

#[test]
fn the_names_of_the_methods_stand_in_the_protocol_alone() {
    for module in MODULES.iter().filter(|module| **module != "protocol") {
        assert_absent(module, &["surfstore.", "appendEntries", "requestVote", "getfileinfomap"]);
    }
}
