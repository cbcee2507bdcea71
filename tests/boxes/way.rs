//! How the network treats what one server sends to another.

use std::ops::RangeInclusive;

/// From one server to another.
pub(crate) type Direction = (usize, usize);

/// How the bytes in one direction are treated.
#[derive(Clone, Debug, Default)]
pub(crate) enum Way {
    /// They pass.
    #[default]
    Open,
    /// They wait, like packets that are retransmitted again and again, and arrive late once the direction is open. A
    /// connection that is made meanwhile carries nothing, like one whose first packet is lost.
    Cut,
    /// They are lost, and so is everything else that their connection would carry: the other end seems to receive and
    /// is silent.
    BlackHole,
    /// They are delayed, and some are lost.
    Rough(Rough),
}

/// A bad network. A lost message takes everything else with it that its connection would carry in that direction.
#[derive(Clone, Debug)]
pub(crate) struct Rough {
    /// How long a message takes, in milliseconds.
    pub(crate) delay: RangeInclusive<u64>,
    /// How many percent are lost.
    pub(crate) lost: u8,
    /// How many percent arrive 200 to 2400 ms late, when most senders no longer wait for them.
    pub(crate) late: u8,
}
