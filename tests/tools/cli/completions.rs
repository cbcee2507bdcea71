//! Completion: what the program answers the scripts of shells. `tests/interop/run` asks the shells themselves.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use support::harness::Cluster;
use support::wait::PATIENCE;

use super::program::{at, config, program, run};
use super::usage::COMMANDS;

/// The scripts that pass the words of a line and get candidates as they are, with descriptions.
const FISH: &str = "fish";

/// The program as a script calls it.
fn asked(shell: &str, passed: &[&str]) -> Command {
    let mut command = program();
    command.env("SURFSTORE_COMPLETE", shell).arg("--").args(passed);
    command
}

/// What is shown for the last of these words, without descriptions.
fn candidates(command: &mut Command) -> Vec<String> {
    let shown = run(command).shown();
    shown.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

/// The words of a line, which ends where it is completed.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn with_config(line: &str, config: &OsStr) -> Vec<String> {
    candidates(asked(FISH, &words(line)).env("SURFSTORE_CONFIG", config))
}

/// The long options that the help of a command shows.
fn options(help: &str) -> BTreeSet<String> {
    let words = help.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    let options = words.filter(|word| word.starts_with("--") && 2 < word.len());
    options.map(str::to_owned).collect()
}

#[test]
fn every_command_and_option_that_help_shows_is_completed_and_no_other() {
    let mut commands: Vec<_> = COMMANDS.iter().map(|command| (*command).to_owned()).collect();
    commands.push("help".to_owned());
    assert_eq!(candidates(&mut asked(FISH, &["surfstore", ""])), commands);
    for command in COMMANDS {
        let help = run(program().args([command, "--help"])).shown();
        let shown = options(help.split("Examples:").next().unwrap());
        assert!(shown.contains("--config"), "{help}");
        let completed = candidates(&mut asked(FISH, &["surfstore", command, "--"]));
        assert_eq!(completed.iter().cloned().collect::<BTreeSet<_>>(), shown, "{command}");
    }
    for hidden in ["surfstore serv", "surfstore ls --js", "surfstore get --js"] {
        assert!(candidates(&mut asked(FISH, &words(hidden))).is_empty(), "{hidden}");
    }
    // Options are completed after a dash only.
    assert!(candidates(&mut asked(FISH, &["surfstore", "ls", ""])).is_empty());
}

#[test]
fn values_are_completed_for_each_argument() {
    for (line, values) in [
        ("surfstore status -o ", &["table", "json"][..]),
        ("surfstore call -o ", &["json"]),
        ("surfstore completions ", &["bash", "elvish", "fish", "powershell", "zsh"]),
        ("surfstore man surfstore-", &["surfstore-server"]),
        ("surfstore help cra", &["crash"]),
        ("surfstore crash ", &["leader", "all"]),
        ("surfstore restore ", &["all"]),
        ("surfstore call --at ", &["leader"]),
        ("surfstore call --at=l", &["--at=leader"]),
        ("surfstore ls -f Cargo.l", &["Cargo.lock"]),
        ("surfstore man --all config", &["configs/"]),
    ] {
        let mut asked = asked(FISH, &words(line));
        let mut completed = candidates(asked.current_dir(env!("CARGO_MANIFEST_DIR")));
        if line.ends_with("completions ") {
            completed.sort();
        }
        assert_eq!(completed, values, "{line}");
    }
}

#[test]
fn ids_are_those_of_the_configuration_on_the_line_or_else_of_the_environment() {
    const CONFIG2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config2.txt");
    const CONFIG5: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config5.txt");
    let two = &["leader", "all", "0", "1"][..];
    let five = &["leader", "all", "0", "1", "2", "3", "4"][..];
    for (line, ids) in [
        ("surfstore crash ".to_owned(), five),
        (format!("surfstore crash -f {CONFIG2} "), two),
        (format!("surfstore -f {CONFIG2} crash "), two),
        (format!("surfstore crash --config={CONFIG2} -o json "), two),
        (format!("surfstore crash -f{CONFIG2} "), two),
        (format!("surfstore restore --config {CONFIG2} "), &["all", "0", "1"]),
        (format!("surfstore call ping -f {CONFIG2} --at "), &["leader", "0", "1"]),
        ("surfstore crash -f absent ".to_owned(), &["leader", "all"]),
    ] {
        assert_eq!(with_config(&line, CONFIG5.as_ref()), ids, "{line}");
    }
    let described = run(asked(FISH, &["surfstore", "crash", "-f", CONFIG2, "1"]).env("HOME", "/"));
    assert!(described.shown().starts_with("1\tlocalhost:"));
    let from_home = "surfstore crash -f ~/config2.txt ";
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    assert_eq!(candidates(asked(FISH, &words(from_home)).env("HOME", folder)), two);
}

#[test]
fn names_of_stored_files_and_next_versions_are_completed() {
    let (cluster, _) = Cluster::led(3);
    let config = config(&cluster);
    for (name, version, hash) in [
        ("alpha.txt", "1", "h"),
        ("alpha.txt", "2", "h"),
        ("away", "1", "0"),
        ("gone", "1", "0"),
        ("it's mine", "1", "h"),
        ("über", "1", "h"),
        ("say \"x\"", "1", "h"),
        ("-dash", "1", "h"),
        ("", "1", "h"),
        ("new\nline", "1", "h"),
        ("\u{202e}back", "1", "h"),
    ] {
        at(&cluster, &["update", "--", name, version, hash]).shown();
    }
    let names = ["alpha.txt", "it's mine", "say \"x\"", "über"];
    for command in ["get", "version", "update"] {
        assert_eq!(with_config(&format!("surfstore {command} "), &config), names, "{command}");
    }
    for (line, completed) in [
        ("surfstore get a", &["alpha.txt"][..]),
        ("surfstore get aw", &["away"]),
        ("surfstore version g", &["gone"]),
        ("surfstore get -- -", &["-dash"]),
        ("surfstore get n", &[]),
        ("surfstore get -o json al", &["alpha.txt"]),
        ("surfstore get alpha.txt ", &[]),
        ("surfstore update alpha.txt ", &["3"]),
        ("surfstore update gone ", &["2"]),
        ("surfstore update absent ", &["1"]),
        ("surfstore update alpha.txt 2", &[]),
        ("surfstore update alpha.txt 3 ", &[]),
        ("surfstore import al", &[]),
    ] {
        assert_eq!(with_config(line, &config), completed, "{line}");
    }
    // Each shell gets names as it inserts them. PowerShell would lose double quotes.
    let get = ["surfstore", "get", ""];
    let other = |shell, passed: &[&str]| {
        let mut asked = asked(shell, passed);
        candidates(asked.env("SURFSTORE_CONFIG", &config).env("_CLAP_COMPLETE_INDEX", "2"))
    };
    assert_eq!(other("powershell", &["surfstore get "]), ["alpha.txt", "'it''s mine'", "über"]);
    assert_eq!(other("powershell", &["surfstore get 'it''"]), ["'it''s mine'"]);
    assert_eq!(other("elvish", &get), names);
    assert_eq!(other("zsh", &get[..2]), names);
    let escaped = ["alpha.txt", r"it\'s\ mine", "say\\ \\\"x\\\"", "über"];
    assert_eq!(other("bash", &["surfstore get ", ""]), escaped);
    assert_eq!(other("bash", &["surfstore get 'it", "it"]), [r"it'\''s mine"]);
}

#[test]
fn a_set_that_does_not_answer_has_no_candidates_and_delays_nothing() {
    let (mut cluster, leader) = Cluster::led(3);
    let config = config(&cluster);
    at(&cluster, &["update", "a.txt", "1", "h"]).shown();
    let get = |candidates: &[&str], what: &str| {
        for line in ["surfstore get ", "surfstore update a.txt "] {
            let begin = Instant::now();
            let completed = with_config(line, &config);
            let expected: &[&str] =
                if line.contains("update") && !candidates.is_empty() { &["2"] } else { candidates };
            assert_eq!(completed, expected, "{what}: {line}");
            assert!(begin.elapsed() < PATIENCE / 4, "{what}: {:?}", begin.elapsed());
        }
    };
    let others = cluster.others(leader);
    cluster.signal(others[0], Signal::STOP);
    get(&["a.txt"], "a follower is suspended");
    cluster.crash(&[others[1]]);
    assert_eq!(with_config("surfstore get ", &config), [""; 0], "no majority");
    cluster.signal(leader, Signal::STOP);
    cluster.signal(others[1], Signal::STOP);
    get(&[], "all are suspended");
    for id in 0..3 {
        cluster.kill(id);
    }
    get(&[], "none runs");
}

#[test]
fn names_of_a_large_map_are_not_completed_but_versions_are() {
    let (cluster, leader) = Cluster::led(1);
    let config = config(&cluster);
    let update =
        |number: usize| cluster.at(leader).update(&format!("file{number}"), 1, &"h".into());
    for number in 0..10_000 {
        update(number).unwrap();
    }
    assert_eq!(with_config("surfstore get file9999", &config), ["file9999"]);
    update(10_000).unwrap();
    assert_eq!(with_config("surfstore get file9999", &config), [""; 0]);
    assert_eq!(with_config("surfstore update file9999 ", &config), ["2"]);
}

#[test]
fn only_a_script_gets_candidates() {
    for variable in ["SURFSTORE_COMPLETE", "COMPLETE"] {
        let mut command = program();
        assert!(
            run(command.env(variable, "bash").arg("--version")).shown().starts_with("surfstore ")
        );
    }
    for (shell, passed) in [("cobol", &["surfstore", ""][..]), ("", &["surfstore", ""])] {
        let ended = run(&mut asked(shell, passed));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{shell}: {ended:?}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        for passed in [&[][..], &["surfstore"], &["", "", ""], &["surfstore", "frob", "x"]] {
            let ended = run(asked(shell, passed).env("_CLAP_COMPLETE_INDEX", "9"));
            assert_eq!(
                (ended.code, &*ended.stderr),
                (Some(0), ""),
                "{shell} {passed:?}: {ended:?}"
            );
        }
        let script = run(program().args(["completions", shell])).shown();
        for said in ["SURFSTORE_COMPLETE", "surfstore -- "] {
            assert!(script.contains(said), "{shell}: {script}");
        }
        // What is typed is not executed before Enter.
        assert!(!script.contains("Invoke-Expression"), "{script}");
    }
}

#[test]
fn bash_completes_with_what_is_written_for_it() {
    const COMPLETE: &str = "\
eval \"$SCRIPT\"
complete -p surfstore >&2 || exit 1
COMP_LINE=$1; COMP_POINT=${#1}
_surfstore surfstore \"$2\"
IFS=,; echo \"${COMPREPLY[*]}\"";
    const LOCK_PREFIX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.l");
    const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let script = run(program().args(["completions", "bash"])).shown();
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_surfstore")).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let lock = format!("surfstore ls --config {LOCK_PREFIX}");
    for (line, word, completed) in [
        ("surfstore stat", "stat", "status"),
        ("surfstore status --wa", "--wa", "--watch"),
        ("surfstore status --output ", "", "table,json"),
        ("surfstore status --output=", "", "table,json"),
        ("surfstore cluster --first", "--first", "--first-port"),
        ("surfstore server", "server", ""),
        ("surfstore crash l", "l", "leader"),
        ("surfstore restore l", "l", ""),
        (&lock, LOCK_PREFIX, LOCK),
    ] {
        let bash = Command::new("bash")
            .args(["--norc", "-c", COMPLETE, "bash", line, word])
            .env("SCRIPT", &script)
            .env("PATH", &path)
            .output();
        let Ok(bash) = bash else {
            return support::wait::loud_note("completions for bash, which this machine lacks");
        };
        assert!(bash.status.success(), "{bash:?}");
        assert_eq!(String::from_utf8(bash.stdout).unwrap().trim(), completed, "{line:?}");
    }
}
