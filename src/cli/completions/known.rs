//! What the configuration and its servers know: ids, names of stored files, and their versions.
//!
//! A Tab must neither take long nor say anything. Whatever fails, there are just no candidates.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use clap::ArgMatches;
use clap_complete::engine::CompletionCandidate;

use super::super::arguments::Arguments;
use super::super::from_environment;
use crate::client::blocking::{Client, wait};
use crate::client::{FileInfoMap, Limits, ServerStatus};
use crate::config::{Address, Config};

/// How long to look for the leader, and to wait for the status of a server: one that does not answer, although another
/// one leads, delays each Tab by that.
const LEADER: Limits = Limits {
    deadline: Duration::from_millis(400),
    attempt: Duration::from_millis(250),
    refusals: Duration::ZERO,
};

/// How long the leader may take to answer.
const ANSWER: Limits = Limits {
    deadline: Duration::from_millis(500),
    attempt: Duration::from_millis(500),
    refusals: Duration::ZERO,
};

/// Names are completed if the map has at most this number of files, because each Tab reads the whole map.
const FILES_MAX: i64 = 10_000;

/// The words of a command line before the one to complete, and what they lead to.
pub(super) struct Known {
    words: Vec<OsString>,
}

impl Known {
    pub(super) fn new(words: Vec<OsString>) -> Known {
        Known { words }
    }

    /// The ids of the servers, each with its address, and these words.
    pub(super) fn servers(&self, words: &[String], typed: &str) -> Vec<CompletionCandidate> {
        let servers = self.config().map(|config| config.servers).unwrap_or_default();
        let ids = servers.iter().enumerate().map(|(id, address)| {
            CompletionCandidate::new(id.to_string()).help(Some(address.to_string().into()))
        });
        let mut candidates: Vec<_> =
            words.iter().map(CompletionCandidate::new).chain(ids).collect();
        candidates.retain(|candidate| is_begun(candidate, typed));
        candidates
    }

    /// The names of stored files. Deleted files are offered only if no other name fits: they still have versions, but
    /// are rarely meant.
    pub(super) fn names(&self, typed: &str) -> Vec<CompletionCandidate> {
        let files = self.files().unwrap_or_default();
        // A name that begins with a dash would be an option, unless a lone `--` has ended the options.
        let may_be_dashed = self.words.iter().any(|word| word == "--");
        let fits = |name: &str| {
            !name.is_empty() && name.starts_with(typed) && (may_be_dashed || !name.starts_with('-'))
        };
        let (deleted, others): (Vec<_>, Vec<_>) = files
            .into_iter()
            .filter(|(name, _)| fits(name))
            .partition(|(_, file)| file.is_deleted());
        let names = if others.is_empty() { deleted } else { others };
        names.into_iter().map(|(name, _)| CompletionCandidate::new(name)).collect()
    }

    /// The only version that an update of the named file may have: 1 if the file is not stored.
    pub(super) fn next_version(&self, typed: &str) -> Vec<CompletionCandidate> {
        let next = || {
            let matches = self.matches()?;
            let name = matches.subcommand_matches("update")?.get_one::<String>("file")?.clone();
            // The shell would expand it first.
            if name.contains(['$', '`']) {
                return None;
            }
            let (leader, _) = self.leader()?;
            let mut client = Client::new(slice::from_ref(&leader), ANSWER);
            let server = client.servers().first_mut()?;
            wait(server.version(&name)).ok()?.checked_add(1)
        };
        let candidate = next().map(|version: i64| CompletionCandidate::new(version.to_string()));
        candidate.into_iter().filter(|candidate| is_begun(candidate, typed)).collect()
    }

    /// The map, unless it is large.
    fn files(&self) -> Option<FileInfoMap> {
        let (leader, status) = self.leader()?;
        if FILES_MAX < status.files {
            return None;
        }
        Client::new(slice::from_ref(&leader), ANSWER).files().ok()
    }

    fn leader(&self) -> Option<(Address, ServerStatus)> {
        let mut config = self.config()?;
        let (id, status) = Client::new(&config.servers, LEADER).leader().ok()?;
        Some((config.servers.swap_remove(id), status))
    }

    /// The configuration that the words name, or else the environment.
    fn config(&self) -> Option<Config> {
        let named =
            self.matches().and_then(|matches| matches.get_one::<PathBuf>("config").cloned());
        let path = named.or_else(from_environment)?;
        Config::read(&path).or_else(|error| Config::read(&from_home(&path).ok_or(error)?)).ok()
    }

    /// The arguments that the words already have. More may be missing.
    fn matches(&self) -> Option<ArgMatches> {
        Arguments::definition().ignore_errors(true).try_get_matches_from(&self.words).ok()
    }
}

/// The path with the folder of the user, if it begins with a tilde: the shell has not replaced it yet.
fn from_home(path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix("~").ok()?;
    Some(Path::new(&env::var_os("HOME")?).join(rest))
}

fn is_begun(candidate: &CompletionCandidate, typed: &str) -> bool {
    candidate.get_value().to_str().is_some_and(|value| value.starts_with(typed))
}
