//! The messages of `run-server.sh` and of the server itself if they refuse to start.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::harness::SCRIPT;
use support::programs::target;
use tempfile::TempDir;

/// A folder of configuration files to start servers in.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn start(program: &str, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target());
    command.output().unwrap()
}

/// The one line of a refused start, without the program's name.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(output.stdout, b"", "{said}");
    let line = said.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {said}");
    line.strip_prefix("surfstore-server: ").expect("the program's name").to_owned()
}

#[test]
fn a_faulty_configuration_ends_the_start() {
    let faults: [(&str, &[u8], &str); 18] = [
        ("empty", b"", "M is missing; expected"),
        ("M missing", b"metadata0: a:1\n", "M is missing; expected"),
        ("M doubled", b"M: 1\nM: 1\nmetadata0: a:1\n", "line 2: M is already set"),
        ("M is 0", b"M: 0\n", "line 1: M is \"0\"; expected a number from 1 to 10"),
        ("M is 11", b"M: 11\n", "line 1: M is \"11\"; expected"),
        ("M is no number", b"M: x\n", "line 1: M is \"x\"; expected"),
        ("missing", b"M: 2\nmetadata1: a:1\n", "metadata0 is missing; M is 2"),
        ("doubled", b"M: 1\nmetadata0: a:1\nmetadata0: b:1\n", "line 3: metadata0 is already set"),
        ("beyond M", b"M: 1\nmetadata0: a:1\nmetadata1: b:1\n", "line 3: metadata1 is beyond M"),
        ("port 0", b"M: 1\nmetadata0: a:0\n", "line 2: metadata0: the port is \"0\"; expected"),
        ("port 65536", b"M: 1\nmetadata0: a:65536\n", "line 2: metadata0: the port is \"65536\""),
        ("port is no number", b"M: 1\nmetadata0: a:b\n", "line 2: metadata0: the port is \"b\""),
        ("no port", b"M: 1\nmetadata0: a\n", "line 2: metadata0: the port is missing in \"a\""),
        ("no host", b"M: 1\nmetadata0: :1\n", "line 2: metadata0: the host is missing"),
        (
            "same",
            b"M: 2\nmetadata0: a:1\nmetadata1: A:1\n",
            "line 3: metadata1 has the address A:1 of metadata0",
        ),
        ("not UTF-8", b"M: 1\n\xff", "line 2: not UTF-8; expected"),
        ("escape", b"M: \x1b[31m\n", "line 1: M is \"\\u{1b}[31m\""),
        ("huge", &[b'\n'; 1024 * 1024 + 1], "longer than 1048576 bytes"),
    ];
    for (name, bytes, expected) in faults {
        let folder = folder(&[(name, bytes)]);
        let line = refusal(&start(&SCRIPT, folder.path(), &[name, "0"]));
        assert!(line.starts_with(&format!("{name:?}: {expected}")), "{name}: {line}");
    }
}

#[test]
fn an_unreadable_file_ends_the_start() {
    let folder = folder(&[]);
    let line = refusal(&start(&SCRIPT, folder.path(), &["absent", "0"]));
    assert!(
        line.starts_with("\"absent\": the configuration file cannot be read: No such file"),
        "{line}"
    );
    let line = refusal(&start(&SCRIPT, folder.path(), &[".", "0"]));
    assert!(
        line.starts_with("\".\": the configuration file cannot be read: Is a directory"),
        "{line}"
    );
}

#[test]
fn an_id_that_is_no_server_of_the_set_ends_the_start() {
    let folder = folder(&[("config", b"M: 1\nmetadata0: a:1\n")]);
    for id in ["1", "-1", "x", "", "99999999999999999999"] {
        let line = refusal(&start(&SCRIPT, folder.path(), &["config", id]));
        assert_eq!(line, format!("ID is {id:?}; expected a server of \"config\", 0 to 0"));
    }
}

#[test]
fn a_bound_on_memory_that_is_none_ends_the_start() {
    let folder = folder(&[("config", b"M: 1\nmetadata0: a:1\n")]);
    for bound in ["0", "-1", "half", "1.5G", "1GB"] {
        let mut command = Command::new(*SCRIPT);
        command.args(["config", "0"]).current_dir(folder.path());
        command.env("CARGO_TARGET_DIR", target()).env("SURFSTORE_MEMORY_MAX", bound);
        let line = refusal(&command.output().unwrap());
        let expected = format!("SURFSTORE_MEMORY_MAX is {bound:?}; expected a number of bytes");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn the_script_and_the_server_refuse_a_wrong_number_of_arguments_with_the_same_line() {
    let folder = folder(&[("config", b"M: 1\nmetadata0: a:1\n")]);
    let wrong: [&[&str]; 3] = [&[], &["config"], &["config", "0", "0"]];
    for arguments in wrong {
        let line = refusal(&start(&SCRIPT, folder.path(), arguments));
        assert!(
            line.starts_with("wrong number of arguments; usage: run-server.sh CONFIG ID"),
            "{line}"
        );
        let server = env!("CARGO_BIN_EXE_surfstore-server");
        assert_eq!(refusal(&start(server, folder.path(), arguments)), line);
    }
}

#[test]
fn a_check_of_no_folder_or_of_several_is_refused_with_both_forms_of_a_call() {
    let server = env!("CARGO_BIN_EXE_surfstore-server");
    let wrong: [&[&str]; 2] = [&["--check"], &["--check", "a", "b"]];
    for arguments in wrong {
        let line = refusal(&start(server, Path::new("."), arguments));
        for part in ["wrong number of arguments", "surfstore-server --check DIR", "CONFIG ID"] {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
}

#[test]
fn help_and_version_are_printed_and_end_with_exit_code_0() {
    let printed = |program: &str, argument: &str| {
        let output = start(program, Path::new("."), &[argument]);
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{argument}");
        String::from_utf8(output.stdout).unwrap()
    };
    let server = env!("CARGO_BIN_EXE_surfstore-server");
    for help in ["--help", "-h"] {
        assert!(printed(&SCRIPT, help).starts_with("usage: run-server.sh CONFIG ID\n"));
        assert!(printed(server, help).starts_with("usage: surfstore-server CONFIG ID\n"));
    }
    let version = concat!("surfstore-server ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(
        (printed(server, "--version"), printed(server, "-V")),
        (version.into(), version.into())
    );
}
