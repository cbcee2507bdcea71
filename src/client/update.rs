//! Updates, and their outcomes.

use std::cmp::Ordering;
use std::sync::Arc;

use super::leader::{Search, Sought};
use super::server::{check, check_text, written};
use super::{Client, Error, FileInfo, answer};
use crate::metadata::VERSION_MAX;
use crate::protocol::Ask;
use crate::value::Value;

/// The new state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUpdate {
    /// The file's name, compared byte for byte.
    pub name: Arc<str>,
    /// The new version: the stored version plus one, or 1 for a new file.
    pub version: i64,
    /// The hash list, an array, or a scalar in its place. Its elements keep their type and value.
    pub hashes: Value,
}

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The map contains it, or has contained it, and a majority confirms that.
    Applied,
    /// It did not and will not take effect: its version was not exactly the stored version plus one.
    Refused {
        /// The version that was stored at that time; `None` if it could no longer be read.
        stored: Option<i64>,
    },
    /// It may have taken effect, or may do so later.
    Unknown {
        /// Why the outcome is unknown.
        reason: String,
    },
}

/// What is still open about the copies sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// Nothing.
    None,
    /// A copy was in a log. Either a later answer of a leader comes after it, or it is never committed.
    Logged,
    /// A copy may be anywhere, and may be executed at any time.
    Lost,
}

impl Client {
    /// Makes an update at the leader.
    ///
    /// If an attempt leaves its outcome open (the connection ended, no answer arrived, or the server stopped leading),
    /// the client reads the map before it retries:
    ///
    /// - If the map has the requested version with the same hash list, the result is [`Outcome::Applied`]. If another
    ///   client wrote the same list at the same version, the two updates cannot be distinguished, and the map is the
    ///   same for both.
    /// - If it has that version with another list, the result is [`Outcome::Refused`], because each version is given
    ///   only once.
    /// - If it has a higher version, the result is [`Outcome::Unknown`], because the writer of the earlier version can
    ///   no longer be determined.
    /// - If it has a lower version, the update is sent again. This is safe because the version rule lets at most one of
    ///   the copies take effect.
    ///
    /// # Errors
    ///
    /// If the update did not and will not take effect: no leader accepted it in time, or servers do not accept such an
    /// update.
    pub async fn update(&mut self, update: &FileUpdate) -> Result<Outcome, Error> {
        check_text(&update.name)?;
        check(&update.hashes)?;
        let document = written(&Ask::Update(&update.name, update.version, &update.hashes))?;
        let mut search = Search::new(self.limits, self.servers.len());
        let mut doubt = Doubt::None;
        loop {
            let is_refused = match self.seek(&document, &mut search).await {
                Ok(Sought::Answered(value)) => match answer::truth(value) {
                    Ok(true) => return Ok(Outcome::Applied),
                    Ok(false) if doubt == Doubt::None => {
                        return Ok(self.refused(update, &search).await);
                    }
                    Ok(false) => true,
                    Err(expected) => return Ok(unknown(&Error::Unexpected(expected))),
                },
                Ok(Sought::Lost) => {
                    doubt = Doubt::Lost;
                    false
                }
                Ok(Sought::Left) => {
                    doubt = doubt.max(Doubt::Logged);
                    false
                }
                Err(error) if doubt == Doubt::None => return Err(error),
                Err(error) => return Ok(unknown(&error)),
            };
            let files = match self.read_files(&mut search).await {
                Ok(files) => files,
                Err(error) => return Ok(unknown(&error)),
            };
            let stored = files.get(&*update.name);
            if let Some(outcome) = verdict(update, stored, is_refused, doubt) {
                return Ok(outcome);
            }
        }
    }

    /// The refusal by the server that was asked last. That server has applied the state that caused its refusal.
    async fn refused(&mut self, update: &FileUpdate, search: &Search) -> Outcome {
        let stored = match self.servers.get_mut(self.guess) {
            Some(server) => server.version_before(search.until, &update.name).await.ok(),
            None => None,
        };
        Outcome::Refused { stored }
    }
}

fn unknown(error: &Error) -> Outcome {
    Outcome::Unknown { reason: error.to_string() }
}

/// What the stored file tells about an update of which at least one copy is open; `None` if it must be sent again.
fn verdict(
    update: &FileUpdate,
    stored: Option<&FileInfo>,
    is_refused: bool,
    doubt: Doubt,
) -> Option<Outcome> {
    let version = stored.map_or(0, |file| file.version);
    let refused = Outcome::Refused { stored: Some(version) };
    if !(1..=VERSION_MAX).contains(&update.version) {
        return Some(refused);
    }
    match version.cmp(&update.version) {
        Ordering::Equal if stored.is_some_and(|file| file.hashes.value() == update.hashes) => {
            Some(Outcome::Applied)
        }
        Ordering::Equal => Some(refused),
        Ordering::Greater => Some(Outcome::Unknown {
            reason: format!("the file has version {version} now, and the previous one is gone"),
        }),
        Ordering::Less if !is_refused => None,
        Ordering::Less if doubt == Doubt::Lost => Some(Outcome::Unknown {
            reason: format!(
                "the file has version {version}, and a copy of the update may still be in flight"
            ),
        }),
        Ordering::Less => Some(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(version: i64) -> FileUpdate {
        FileUpdate { name: "a".into(), version, hashes: ["h".into()].into() }
    }

    fn stored(version: i64, hash: &str) -> FileInfo {
        FileInfo { version, hashes: [hash.into()].into() }
    }

    const REFUSED: fn(i64) -> Option<Outcome> =
        |version| Some(Outcome::Refused { stored: Some(version) });

    fn is_unknown(outcome: Option<Outcome>) -> bool {
        matches!(outcome, Some(Outcome::Unknown { .. }))
    }

    #[test]
    fn the_version_that_was_asked_for_tells_by_its_list() {
        for doubt in [Doubt::Logged, Doubt::Lost] {
            for is_refused in [false, true] {
                let verdict = |file| verdict(&update(3), Some(&file), is_refused, doubt);
                assert_eq!(verdict(stored(3, "h")), Some(Outcome::Applied));
                assert_eq!(verdict(stored(3, "other")), REFUSED(3));
            }
        }
    }

    #[test]
    fn a_higher_version_hides_what_came_before() {
        for hash in ["h", "other"] {
            assert!(is_unknown(verdict(&update(3), Some(&stored(4, hash)), false, Doubt::Logged)));
            assert!(is_unknown(verdict(&update(3), Some(&stored(4, hash)), true, Doubt::Lost)));
        }
    }

    #[test]
    fn a_lower_version_has_the_update_repeated_until_it_is_refused() {
        for doubt in [Doubt::Logged, Doubt::Lost] {
            assert_eq!(verdict(&update(3), Some(&stored(2, "h")), false, doubt), None);
            assert_eq!(verdict(&update(3), Some(&stored(1, "h")), false, doubt), None);
            assert_eq!(verdict(&update(1), None, false, doubt), None);
        }
        assert_eq!(verdict(&update(3), Some(&stored(1, "h")), true, Doubt::Logged), REFUSED(1));
        assert_eq!(verdict(&update(3), None, true, Doubt::Logged), REFUSED(0));
    }

    #[test]
    fn a_lost_copy_may_come_after_a_refusal() {
        assert!(is_unknown(verdict(&update(3), Some(&stored(1, "h")), true, Doubt::Lost)));
    }

    #[test]
    fn a_version_that_no_file_can_have_was_never_stored() {
        for version in [i64::MIN, -1, 0, VERSION_MAX + 1] {
            assert_eq!(verdict(&update(version), None, false, Doubt::Lost), REFUSED(0));
        }
    }
}
