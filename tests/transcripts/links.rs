//! Which links between servers a command refers to.

use surfstore::raft::ServerId;

use crate::text::server_name;

/// Some of the links between the servers, each in one direction.
pub(crate) struct Links(Vec<(Vec<ServerId>, Vec<ServerId>)>);

impl Links {
    /// `S1->S2`, `S1-S2` (both directions), several servers as in `S1-S2,S3`, `*` for all servers or all links.
    pub(crate) fn parse(words: &[&str], size: u8) -> Result<Links, String> {
        let mut links = Vec::new();
        for word in words {
            if *word == "*" {
                links.push((every(size), every(size)));
            } else if let Some((from, to)) = word.split_once("->") {
                links.push((side(from, size)?, side(to, size)?));
            } else if let Some((one, other)) = word.split_once('-') {
                links.push((side(one, size)?, side(other, size)?));
                links.push((side(other, size)?, side(one, size)?));
            } else {
                return Err(format!("`{word}` is no link: write S1->S2, S1-S2, S1-* or *"));
            }
        }
        Ok(Links(links))
    }

    pub(crate) fn everywhere(size: u8) -> Links {
        Links(vec![(every(size), every(size))])
    }

    pub(crate) fn contain(&self, from: ServerId, to: ServerId) -> bool {
        self.0.iter().any(|(senders, receivers)| senders.contains(&from) && receivers.contains(&to))
    }

    /// Every link of these, once.
    pub(crate) fn all(&self, size: u8) -> Vec<(ServerId, ServerId)> {
        let pairs = every(size)
            .into_iter()
            .flat_map(|from| every(size).into_iter().map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && self.contain(*from, *to)).collect()
    }
}

fn every(size: u8) -> Vec<ServerId> {
    (0..size).map(ServerId).collect()
}

fn side(text: &str, size: u8) -> Result<Vec<ServerId>, String> {
    if text == "*" {
        return Ok(every(size));
    }
    text.split(',').map(|name| server(name, size)).collect()
}

/// The server of that name: as in the paper, S1 is the first.
pub(crate) fn server(name: &str, size: u8) -> Result<ServerId, String> {
    let all = every(size).into_iter();
    let mut named = all.filter(|id| server_name(*id) == name);
    named.next().ok_or(format!("there is no server {name} among {size}"))
}
