//! What is refused before anything is done, and commands that need no servers.

use std::fs;
use std::path::Path;

use super::program::{CALLS, program, run};

pub(crate) const COMMANDS: [&str; 16] = [
    "cluster",
    "status",
    "leader",
    "ls",
    "get",
    "version",
    "update",
    "export",
    "import",
    "crash",
    "restore",
    "call",
    "doctor",
    "bench",
    "completions",
    "man",
];

#[test]
fn every_command_has_a_help_with_an_example() {
    let all = run(program().arg("--help")).shown();
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not in {all}");
        let help = run(program().args([command, "--help"])).shown();
        assert!(help.contains("Example"), "{help}");
        assert!(help.contains(&format!("surfstore {command} ")), "{help}");
    }
    assert!(!all.contains("\n  server "), "`server` is not for people: {all}");
}

#[test]
fn a_wrong_command_line_is_told_on_stderr_with_exit_code_2() {
    for line in [
        "",
        "frobnicate",
        "status extra",
        "status --frob",
        "status -o yaml",
        "status --timeout 0",
        "status --timeout -1",
        "status --timeout soon",
        "status --timeout inf",
        "get",
        "update a.txt",
        "update a.txt one",
        "update a.txt 1e3",
        "update a.txt 1.5",
        "update a.txt 0x1",
        "update a.txt 99999999999999999999",
        "update a.txt -99999999999999999999",
        "version a.txt b.txt",
        "status --watch 0",
        "import",
        "import a b",
        "export a",
        "status --watch soon",
        "call ping -o table",
        "completions bash -o json",
        "restore",
        "restore 0 1",
        "crash 1.5",
        "crash 99999999999999999999",
        "call ping --at -1",
        "call ping int:99999999999999999999",
        "leader 0",
        "ls a.txt",
        "doctor a b",
        "status --timeout",
        "status --timeout 1e9",
        "status --timeout NaN",
        "status -f a -f b",
        "crash",
        "crash nobody",
        "crash -1",
        "restore leader",
        "call",
        "call ping int",
        "call ping int:x",
        "call ping json:null",
        "call ping --at all",
        "cluster 0",
        "cluster 11",
        "cluster x",
        "cluster -1",
        "cluster 3 5",
        "cluster --first-port 65536",
        "cluster --first-port x",
        "completions",
        "cluster --first-port 0",
        "cluster 3 --first-port 65534",
        "completions cobol",
        "man nobody",
        "man server",
        "man help",
        "man status ls",
        "man status --all absent",
        "man --all",
        "bench extra",
        "bench --clients 0",
        "bench --clients 257",
        "bench --clients x",
        "bench --seconds 0",
        "bench --seconds 3600.1",
        "bench --seconds NaN",
        "bench --files 0",
        "bench --files 10001",
        "bench --hashes 0",
        "bench --hashes 10001",
        "bench --failovers -1",
        "bench --failovers 1001",
        "bench -o yaml",
    ] {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config2.txt");
        let ended = run(program().env("SURFSTORE_CONFIG", config).args(line.split_whitespace()));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{line}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{line}");
    }
    for option in [&["3"][..], &["--first-port", "7001"]] {
        let ended = run(program().args(["cluster", "-f", "absent"]).args(option));
        ended.assert_failed(2, "cannot be combined");
    }
}

#[test]
fn an_unknown_option_is_refused_by_every_command() {
    for command in COMMANDS {
        let ended = run(program().args([command, "--frob"]));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{command}: {ended:?}");
        assert!(ended.stderr.contains("'--frob'"), "{command}: {ended:?}");
    }
}

#[test]
fn a_configuration_that_is_not_there_or_faulty_is_told_in_one_line_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = folder.path().join("faulty");
    fs::write(&faulty, "M: 3\nmetadata0: localhost:9001\n").unwrap();
    let bytes = folder.path().join("bytes");
    fs::write(&bytes, b"M: \xff\n").unwrap();
    let broken = [
        (Path::new("absent\nfile"), "absent\\nfile"),
        (folder.path(), "cannot be read"),
        // Nothing can be read at its beginning, whatever the permissions.
        (Path::new("/proc/self/mem"), "cannot be read"),
        (&faulty, "metadata1 is missing"),
        (&bytes, "bytes"),
    ];
    for line in CALLS {
        let words = || line.split_whitespace();
        for (path, what) in broken {
            run(program().args(words()).arg("-f").arg(path)).assert_refused(what);
            let mut named = program();
            run(named.args(words()).env("SURFSTORE_CONFIG", path)).assert_refused(what);
        }
        run(program().args(words())).assert_refused("SURFSTORE_CONFIG");
        run(program().args(words()).env("SURFSTORE_CONFIG", "")).assert_refused("no configuration");
    }
    for (path, what) in broken {
        run(program().arg("doctor").arg(path)).assert_refused(what);
        run(program().args(["cluster", "-f"]).arg(path)).assert_refused(what);
    }
}

#[test]
fn a_wrong_server_is_refused_with_what_the_argument_takes() {
    for (line, expected) in [
        ("crash foo", "expected a server id, `leader` or `all`\n"),
        ("restore foo", "expected a server id or `all`\n"),
        ("call ping --at foo", "expected a server id or `leader`\n"),
        (
            "restore leader",
            "`restore` takes a server id or `all`, because a leader is not crashed\n",
        ),
        ("call ping --at all", "`--at` takes one server: an id or `leader`\n"),
    ] {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config2.txt");
        let ended = run(program().env("SURFSTORE_CONFIG", config).args(line.split_whitespace()));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{line}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{line}: {ended:?}");
    }
}
