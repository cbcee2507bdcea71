//! What workers asked for and what they were told: the history that is checked in the end.
//!
//! Knows times as spans since the run began, and nothing of servers or connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What stands for the hash list of an update: no two updates of a run have the same, and none has 0, which stands for a
/// list that no update of this run brought.
pub type Content = u64;

/// The files that a read has found, each with its version and its content; what is not there has version 0.
pub type Seen = BTreeMap<Arc<str>, (i64, Content)>;

/// What came of an update, as its caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It took effect.
    Applied,
    /// It had no effect, since its version was not the next one.
    Refused,
    /// It had and will have no effect, for another reason.
    Failed,
    /// It may have taken effect, or may yet, or never will.
    Unknown,
}

impl Fate {
    /// How reports name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Applied => "applied",
            Fate::Refused => "refused",
            Fate::Failed => "failed",
            Fate::Unknown => "unknown",
        }
    }
}

/// What an operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It asked for a version of a file.
    Update {
        /// The file.
        file: Arc<str>,
        /// The version that was asked for.
        version: i64,
        /// What was to be stored.
        content: Content,
        /// What came of it.
        fate: Fate,
    },
    /// It read the whole map.
    Read(Seen),
}

/// An operation of which something is known. Reads without an answer are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who made it: a worker makes one after another.
    pub worker: usize,
    /// Before anything was sent.
    pub start: Duration,
    /// After the answer was there.
    pub end: Duration,
    /// What it did.
    pub deed: Deed,
}

impl Operation {
    /// When it has taken effect at the latest; `None` if it may be any time later.
    pub(super) fn latest(&self) -> Option<Duration> {
        match self.deed {
            Deed::Update { fate: Fate::Unknown, .. } => None,
            Deed::Update { .. } | Deed::Read(_) => Some(self.end),
        }
    }

    /// The operation in one line; of a read, that file alone.
    pub(super) fn describe(&self, about: &str) -> String {
        let times = format!("{:10.3}–{:.3} s", self.start.as_secs_f64(), self.end.as_secs_f64());
        let worker = self.worker;
        match &self.deed {
            Deed::Update { file, version, content, fate } => {
                let fate = fate.as_str();
                format!("{times} worker {worker}: update {file} {version} (#{content}): {fate}")
            }
            Deed::Read(seen) => {
                let (version, content) = seen.get(about).copied().unwrap_or_default();
                format!("{times} worker {worker}: read {about} {version} (#{content})")
            }
        }
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, in a sentence.
    pub what: String,
    /// What happened around it, a line each, in the order of time.
    pub around: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        self.around.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
