//! The folder in which the commands of a document run, and what is different there.

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use support::programs::target;
use support::turns::free_port;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One document at a time: the load of another set could cause an election that the document does not mention.
static ALONE: Mutex<()> = Mutex::new(());

/// A place in which commands run unchanged, except for what other programs on this machine may be using: the ports, and
/// the build folder.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) first_port: u16,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    pub(super) fn new() -> Place {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let first_port = five_ports();
        let folder = tempfile::tempdir().unwrap();
        let config = std::fs::read_to_string(format!("{ROOT}/configs/config5.txt")).unwrap();
        let place = Place { folder, first_port, _alone };
        std::fs::write(place.config(), place.elsewhere(&config)).unwrap();
        place
    }

    fn config(&self) -> String {
        self.folder.path().join("config5.txt").to_str().unwrap().to_owned()
    }

    /// The text with other ports.
    fn elsewhere(&self, text: &str) -> String {
        let moved = |text: String, port: u16| {
            text.replace(&port.to_string(), &(self.first_port + port - 9001).to_string())
        };
        (9001..=9006).fold(text.to_owned(), moved)
    }

    /// The text as it is run here.
    pub(super) fn adapted(&self, text: &str) -> String {
        let text = self.elsewhere(text).replace("configs/config5.txt", &self.config());
        text.replace("$PWD/target", target().to_str().unwrap())
    }

    /// A program that runs in the folder of the project.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(ROOT).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", target()).env_remove("SURFSTORE_CONFIG");
        command
    }

    /// A program that runs that text.
    pub(super) fn command(&self, program: &str, text: &str) -> Command {
        let mut command = self.program(program);
        command.args(["-c", &self.adapted(text)]);
        command
    }

    /// The output of a command, which must succeed.
    pub(super) fn run(&self, program: &str, text: &str) -> String {
        let output = self.command(program, text).output().unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The first of five ports in a row on which no program listens.
fn five_ports() -> u16 {
    loop {
        let ports = [(); 5].map(|()| free_port());
        if ports[0] + 4 == ports[4] {
            return ports[0];
        }
    }
}
