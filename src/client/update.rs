//! Updates, and what is known of them in the end.

use std::cmp::Ordering;
use std::sync::Arc;

use super::leader::{Search, Sought};
use super::server::{check, check_text, written};
use super::{Client, Error, FileInfo, answer};
use crate::metadata::VERSION_MAX;
use crate::protocol::Ask;
use crate::value::Value;

/// What a file is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The file's name, compared byte for byte.
    pub name: Arc<str>,
    /// The version that the file is to get: the one after the stored version, and 1 for a new file.
    pub version: i64,
    /// The hash list; its elements keep their type and value.
    pub hashes: Box<[Value]>,
}

/// What came of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The map holds it, or has held it, and a majority confirms that.
    Applied,
    /// It had no effect and will have none: its version was not exactly one higher than the stored one.
    Refused {
        /// The version that was stored then; `None` if that could not be read any more.
        stored: Option<i64>,
    },
    /// It may have taken effect, or may yet.
    Unknown {
        /// Why nothing more is known.
        reason: String,
    },
}

/// How much is open of what was sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// Nothing.
    None,
    /// A copy of the update was in a log. A later answer of a leader is behind it, or it is never committed.
    Logged,
    /// A copy may be anywhere, and be served at any time.
    Lost,
}

impl Client {
    /// Makes an update, at the leader.
    ///
    /// Where an attempt leaves its outcome open (the connection ended, the answer did not come, the server stopped
    /// leading), the map is read before anything is repeated:
    ///
    /// - It holds the version that was asked for with the same hash list: [`Outcome::Applied`]. Another client that wrote
    ///   the very same list at the same version cannot be told apart from this one, and the map is the same for both.
    /// - It holds that version with another list: [`Outcome::Refused`], for a version is given once.
    /// - It holds a higher version: [`Outcome::Unknown`], for who wrote the version before can no longer be seen.
    /// - It holds a lower version: the update is sent again. That is safe, for the version rule lets at most one of the
    ///   copies take effect.
    ///
    /// # Errors
    ///
    /// If it had no effect and will have none: no leader took it in time, or it is not an update that servers take.
    pub async fn update(&mut self, update: &Update) -> Result<Outcome, Error> {
        check_text(&update.name)?;
        update.hashes.iter().try_for_each(check)?;
        let document = written(&Ask::Update(&update.name, update.version, &update.hashes))?;
        let mut search = Search::new(self.limits.deadline);
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

    /// The refusal by the server that was asked last, which has applied whatever it refused by.
    async fn refused(&mut self, update: &Update, search: &Search) -> Outcome {
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

/// What the stored file tells of an update of which at least one copy is open; `None` if it is to be sent again.
fn verdict(
    update: &Update,
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
        Ordering::Equal if stored.is_some_and(|file| file.hashes == update.hashes) => {
            Some(Outcome::Applied)
        }
        Ordering::Equal => Some(refused),
        Ordering::Greater => Some(Outcome::Unknown {
            reason: format!("the file has version {version} by now, and the one before is gone"),
        }),
        Ordering::Less if !is_refused => None,
        Ordering::Less if doubt == Doubt::Lost => Some(Outcome::Unknown {
            reason: format!(
                "the file has version {version}, and a copy of the update may still be on its way"
            ),
        }),
        Ordering::Less => Some(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(version: i64) -> Update {
        Update { name: "a".into(), version, hashes: ["h".into()].into() }
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
