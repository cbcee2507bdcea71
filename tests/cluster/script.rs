//! When `run-server.sh` builds the server, and how it starts it, in a separate checkout with a fake cargo.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// The programs that the script may call besides cargo.
const TOOLS: [&str; 9] =
    ["sh", "dirname", "find", "head", "mkdir", "mktemp", "readlink", "rm", "touch"];

/// Pretends to be cargo: names itself on both streams, and writes a server that prints its arguments.
const CARGO: &str = r#"#!/bin/sh
echo "cargo $*"
while [ $# -gt 0 ]; do
    if [ "$1" = --target-dir ]; then target=$2; fi
    shift
done
folder=$target/${CARGO_BUILD_TARGET:-.}/release
mkdir -p "$folder"
server=$folder/surfstore-server
printf '#!/bin/sh\necho "server $$ $# $1 $2"\n' > "$server.new"
/bin/chmod +x "$server.new"
/bin/mv "$server.new" "$server"
"#;

/// A checkout in a folder whose name contains a blank, last changed an hour ago, and a separate `PATH`.
struct Checkout {
    folder: TempDir,
}

impl Checkout {
    fn new() -> Checkout {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout { folder };
        for name in ["bin", "cargo", "caller", "check out/src"] {
            fs::create_dir_all(checkout.path(name)).unwrap();
        }
        let path = env::var_os("PATH").unwrap();
        for tool in TOOLS {
            let found =
                env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.exists());
            symlink(found.expect(tool), checkout.path("bin").join(tool)).unwrap();
        }
        fs::copy("run-server.sh", checkout.path("check out/run-server.sh")).unwrap();
        for source in ["src/lib.rs", "Cargo.toml", "Cargo.lock", "src"] {
            let source = checkout.path("check out").join(source);
            if !source.is_dir() {
                fs::write(&source, "").unwrap();
            }
            changed(&source, hours_ago(1));
        }
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn binary(&self) -> PathBuf {
        self.path("check out/target/release/surfstore-server")
    }

    /// Puts a cargo on the `PATH` that does this.
    fn with_cargo(self, script: &str) -> Checkout {
        executable(&self.path("cargo/cargo"), script);
        self
    }

    /// Puts a server there that was built at this time.
    fn with_binary(self, built: SystemTime) -> Checkout {
        fs::create_dir_all(self.binary().parent().unwrap()).unwrap();
        executable(&self.binary(), "#!/bin/sh\necho \"old server $1 $2\"\n");
        changed(&self.binary(), built);
        self
    }

    /// The script by one of its names, with arguments that contain blanks, called from another folder.
    fn command(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        command.args(["a config", "3"]).current_dir(self.path("caller"));
        command
            .env_clear()
            .env("PATH", env::join_paths([self.path("cargo"), self.path("bin")]).unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn script(&self) -> PathBuf {
        self.path("check out/run-server.sh")
    }

    fn run(&self) -> Outcome {
        finish(spawn(&mut self.command(self.script())))
    }
}

/// How a call of the script ended.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Starts the script. Another test may be starting a process at that moment that still has it open for writing.
fn spawn(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now()
            }
            result => return result.unwrap(),
        }
    }
}

fn finish(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn executable(file: &Path, script: &str) {
    fs::write(file, script).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
}

fn changed(file: &Path, time: SystemTime) {
    File::open(file).unwrap().set_modified(time).unwrap();
}

fn hours_ago(hours: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(3600 * hours)
}

#[test]
fn a_missing_binary_is_built_and_takes_the_place_of_the_script() {
    let checkout = Checkout::new().with_cargo(CARGO);
    let child = spawn(&mut checkout.command(checkout.script()));
    let id = child.id();
    let outcome = finish(child);
    assert_eq!(outcome.stdout, format!("server {id} 2 a config 3\n"), "{}", outcome.stderr);
    let called = format!(
        "cargo build --release --locked --bin surfstore-server --manifest-path {0}/Cargo.toml --target-dir \
         {0}/target\n",
        checkout.path("check out").canonicalize().unwrap().display()
    );
    assert_eq!(outcome.stderr, called);
    let left: Vec<_> = fs::read_dir(checkout.path("check out/target")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_current_binary_needs_no_cargo() {
    let outcome = Checkout::new().with_binary(SystemTime::now()).run();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("old server a config 3\n", ""));
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn a_binary_older_than_any_source_is_rebuilt() {
    // The folder itself changes when a source is added or removed.
    for source in ["src/lib.rs", "src", "Cargo.toml", "Cargo.lock"] {
        let checkout = Checkout::new().with_cargo(CARGO).with_binary(hours_ago(2));
        for other in ["src/lib.rs", "src", "Cargo.toml", "Cargo.lock"] {
            changed(&checkout.path("check out").join(other), hours_ago(3));
        }
        changed(&checkout.path("check out").join(source), hours_ago(1));
        let outcome = checkout.run();
        assert!(
            outcome.stdout.starts_with("server "),
            "{source}: {}{}",
            outcome.stdout,
            outcome.stderr
        );
    }
}

#[test]
fn a_build_that_finds_nothing_to_do_is_not_repeated() {
    let checkout = Checkout::new().with_cargo("#!/bin/sh\necho called\n").with_binary(hours_ago(2));
    let outcome = checkout.run();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("old server a config 3\n", "called\n")
    );
    let outcome = checkout.run();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("old server a config 3\n", ""));
}

#[test]
fn a_source_that_changes_during_the_build_is_built_at_the_next_start() {
    let checkout = Checkout::new();
    let source = checkout.path("check out/src/lib.rs");
    // A clock may be too coarse to distinguish the change from the start of the build.
    let change = r#"until [ -n "$(find "$source" -newer "$target"/run-server.*)" ]; do touch "$source"; done"#;
    let cargo = CARGO.replace("mkdir", &format!("source='{}'\n{change}\nmkdir", source.display()));
    let checkout = checkout.with_cargo(&cargo);
    for start in ["first", "second"] {
        let outcome = checkout.run();
        assert!(outcome.stderr.starts_with("cargo "), "{start}: {}", outcome.stderr);
        assert!(outcome.stdout.starts_with("server "), "{start}: {}", outcome.stderr);
    }
}

#[test]
fn a_build_that_fails_is_said_and_starts_nothing() {
    let cargo = "#!/bin/sh\necho broken\nexit 101\n";
    let outcome = Checkout::new().with_cargo(cargo).with_binary(hours_ago(2)).run();
    let said = "broken\nsurfstore-server: the build failed: cargo ended with exit code 101\n";
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", said));
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn without_cargo_a_missing_binary_is_said_and_an_old_one_started() {
    let outcome = Checkout::new().run();
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("surfstore-server is missing, and there is no cargo"),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.stderr.lines().count(), 1);

    let outcome = Checkout::new().with_binary(hours_ago(2)).run();
    assert_eq!(outcome.stdout, "old server a config 3\n");
    assert!(outcome.stderr.starts_with("surfstore-server: warning: "), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn the_checkout_is_found_through_links() {
    let checkout = Checkout::new().with_binary(SystemTime::now());
    symlink("../check out/run-server.sh", checkout.path("caller/relative")).unwrap();
    symlink(checkout.path("caller/relative"), checkout.path("bin/absolute")).unwrap();
    for link in ["./relative", "absolute"] {
        let mut command = checkout.command(link);
        // A shell that searches for folders along this path would print the one it found.
        command.env("CDPATH", checkout.folder.path());
        let outcome = finish(spawn(&mut command));
        assert_eq!(
            (outcome.stdout.as_str(), outcome.stderr.as_str()),
            ("old server a config 3\n", ""),
            "{link}"
        );
    }
}

#[test]
fn the_target_folder_is_the_callers() {
    let checkout = Checkout::new().with_cargo(CARGO);
    let absolute = checkout.path("else where");
    for (given, folder) in [
        ("a target", checkout.path("caller/a target")),
        (absolute.to_str().unwrap(), absolute.clone()),
    ] {
        let outcome =
            finish(spawn(checkout.command(checkout.script()).env("CARGO_TARGET_DIR", given)));
        assert!(outcome.stdout.starts_with("server "), "{given}: {}", outcome.stderr);
        assert!(folder.join("release/surfstore-server").exists(), "{given}");
    }
    assert!(!checkout.path("check out/target").exists());
}

/// Cargo puts the binary into a folder of its own then.
#[test]
fn the_binary_for_a_named_target_is_built_and_found() {
    let checkout = Checkout::new().with_cargo(CARGO);
    let start = || {
        let mut command = checkout.command(checkout.script());
        finish(spawn(command.env("CARGO_BUILD_TARGET", "some-target")))
    };
    let outcome = start();
    assert!(outcome.stdout.starts_with("server "), "{}", outcome.stderr);
    assert!(checkout.path("check out/target/some-target/release/surfstore-server").exists());
    let outcome = start();
    assert!(outcome.stdout.starts_with("server "), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "", "it is current");
}

#[test]
fn a_closed_stderr_hinders_neither_the_build_nor_the_start() {
    let checkout = Checkout::new().with_cargo(CARGO);
    symlink(checkout.script(), checkout.path("caller/script")).unwrap();
    executable(&checkout.path("caller/closing"), "#!/bin/sh\nexec ./script \"$@\" 2>&-\n");
    let outcome = finish(spawn(&mut checkout.command("./closing")));
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.ends_with(" 2 a config 3\n"), "{}", outcome.stdout);
}
