//! The servers that a process's configuration names. Processes may disagree: a process that was started with another
//! file belongs to another set, and may be at an address that both sets have.

use surfstore::raft::{Cluster, ServerId};

use crate::links::server;

/// The maximum number of servers of a set, and of places on the stage.
pub(crate) const SIZE_MAX: u8 = 10;

/// The places of a set's servers on the stage, in the order of their ids. The place of S1 is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<ServerId>);

impl Set {
    /// The set in which every server's id is its place.
    pub(crate) fn of(size: u8) -> Set {
        Set((0..size).map(ServerId).collect())
    }

    pub(crate) fn parse(names: &[&str]) -> Result<Set, String> {
        let places: Vec<_> =
            names.iter().map(|name| server(name, SIZE_MAX)).collect::<Result<_, _>>()?;
        let is_twice = |(index, place)| places[..index].contains(place);
        if places.iter().enumerate().any(is_twice) {
            return Err("a set has each server once".into());
        }
        Ok(Set(places))
    }

    /// How many places there are up to the last one of these.
    pub(crate) fn reach(&self) -> u8 {
        self.0.iter().map(|place| place.0 + 1).max().unwrap_or_default()
    }

    /// The set as the server at that place sees it; `None` if it is not in it. Other names have another digest.
    pub(crate) fn cluster(&self, place: ServerId) -> Option<Cluster> {
        let names = self.0.iter().fold(0, |names, place| names << 4 | u64::from(place.0 + 1));
        let size = u8::try_from(self.0.len()).ok()?;
        Some(Cluster::new(self.id(place)?, size)?.named(names))
    }

    /// The place of the server with that id.
    pub(crate) fn place(&self, id: ServerId) -> ServerId {
        self.0[usize::from(id.0)]
    }

    /// The id of the server at that place.
    pub(crate) fn id(&self, place: ServerId) -> Option<ServerId> {
        (0..).map(ServerId).zip(&self.0).find(|(_, other)| **other == place).map(|(id, _)| id)
    }
}
