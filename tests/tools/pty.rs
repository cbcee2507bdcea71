//! Terminals for the programs under test.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal, as the program that shows it sees it.
pub(crate) struct Terminal {
    /// What programs write to it.
    screen: OwnedFd,
    /// The end that programs get.
    pub(crate) line: OwnedFd,
}

impl Terminal {
    pub(crate) fn new(columns: u16) -> Terminal {
        // Were the programs given it too, it would never be gone.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = openpt(flags).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let line = File::options().read(true).write(true).open(name).unwrap().into();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        Terminal { screen, line }
    }

    /// Starts a program that has only this terminal, and returns what it writes.
    pub(crate) fn start(self, command: &mut Command) -> (Child, Receiver<String>) {
        let line = || self.line.try_clone().unwrap();
        command.env("TERM", "xterm").env("TZ", "UTC0").env_remove("NO_COLOR");
        let child = command.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
        let (written, read) = mpsc::channel();
        let Terminal { screen, line } = self;
        drop(line);
        // The command has the other end as well until it is told something else.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        thread::spawn(move || {
            let mut screen = File::from(screen);
            let mut chunk = [0; 4096];
            // An error says that no program has the terminal any more.
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                let _ = written.send(String::from_utf8_lossy(&chunk[..count]).into_owned());
            }
        });
        (child, read)
    }

    /// What a program that ends writes.
    pub(crate) fn shown(self, command: &mut Command) -> String {
        let (mut child, read) = self.start(command);
        let shown = read.iter().collect();
        child.wait().unwrap();
        shown
    }
}

/// The text without what steers the terminal.
pub(crate) fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut parts = text.split('\u{1b}');
    bare.extend(parts.next());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        bare.push_str(&part[end + 1..]);
    }
    bare.replace('\r', "")
}

/// The length of the longest line.
pub(crate) fn widest(text: &str) -> usize {
    bare(text).lines().map(|line| line.chars().count()).max().unwrap_or_default()
}
