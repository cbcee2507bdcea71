//! The requests to one peer.

use std::time::Instant;

/// What became of the requests to a peer since the server's start.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// The requests that got no reply.
    pub(super) failures: u64,
    pub(super) last_reply: Option<Instant>,
    /// Whether a request got no reply since the last reply.
    pub(super) is_silent: bool,
}
