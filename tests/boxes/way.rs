//! What may befall what one server sends to another.

use std::ops::RangeInclusive;

/// From one server to another.
pub(crate) type Direction = (usize, usize);

/// What becomes of the bytes that go one way.
#[derive(Clone, Debug, Default)]
pub(crate) enum Way {
    /// They pass.
    #[default]
    Open,
    /// They wait, like packets that are sent again and again, and arrive late once the way is open. A connection that
    /// is made meanwhile carries nothing, like one whose first packet is lost.
    Cut,
    /// They vanish, and so does whatever else their connection would carry: the other end seems to hear and is silent.
    BlackHole,
    /// They take their time, and some are lost.
    Rough(Rough),
}

/// A bad network. What is lost takes along whatever else its connection would carry that way.
#[derive(Clone, Debug)]
pub(crate) struct Rough {
    /// How long a message takes, in milliseconds.
    pub(crate) delay: RangeInclusive<u64>,
    /// How many of a hundred are lost.
    pub(crate) lost: u8,
    /// How many of a hundred come 200 to 2400 ms late, when hardly anybody waits for them any more.
    pub(crate) late: u8,
}
