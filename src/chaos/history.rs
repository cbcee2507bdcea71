//! The history of a run: the workers' calls and their answers. It is checked at the end.
//!
//! Times are durations since the start of the run. The module knows nothing of servers or connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Represents the hash list of an update. Each update of a run has its own. None has 0, which represents a list that no
/// update of this run sent.
pub type Content = u64;

/// The files that a read found, each with its version and its content. A missing file has version 0.
pub type Seen = BTreeMap<Arc<str>, (i64, Content)>;

/// The outcome of an update, as its caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It took effect.
    Applied,
    /// It had no effect, because its version was not the next one.
    Refused,
    /// It did not and will not take effect, for another reason.
    Failed,
    /// It may have taken effect, may do so later, or never will.
    Unknown,
}

impl Fate {
    /// The name in reports.
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
    /// It requested a version of a file.
    Update {
        /// The file.
        file: Arc<str>,
        /// The requested version.
        version: i64,
        /// The content to store.
        content: Content,
        /// Its outcome.
        fate: Fate,
    },
    /// It read the whole map.
    Read(Seen),
}

/// An operation about which something is known. Unanswered reads are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The worker that made it. A worker makes one call at a time.
    pub worker: usize,
    /// A time before anything was sent.
    pub start: Duration,
    /// A time after the answer had arrived.
    pub end: Duration,
    /// What it did.
    pub deed: Deed,
}

impl Operation {
    /// The latest time at which it took effect; `None` if it may be any later time.
    pub(super) fn latest(&self) -> Option<Duration> {
        match self.deed {
            Deed::Update { fate: Fate::Unknown, .. } => None,
            Deed::Update { .. } | Deed::Read(_) => Some(self.end),
        }
    }

    /// The operation in one line. For a read, only that file is shown.
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

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The violation, in a sentence.
    pub what: String,
    /// The events around it, one line each, in chronological order.
    pub around: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        self.around.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
