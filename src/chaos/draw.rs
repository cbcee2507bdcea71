//! Draws the next action on the servers.
//!
//! The module only makes random choices. It knows no time and makes no calls.

use std::time::Duration;

use fastrand::Rng;

use super::options::Majority;

/// If the rules allow it, one in this many turns may crash more than a minority.
const BEYOND: u8 = 2;

/// An action on the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blow {
    /// This server is crashed.
    Crash(usize),
    /// These servers are restored.
    Restore(Vec<usize>),
}

/// The state of the servers before an action.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// Whether each server is crashed.
    pub crashed: &'a [bool],
    /// The id of the leader.
    pub leader: Option<usize>,
}

/// The next action; `None` if none is allowed.
///
/// Half of the crashes are aimed at the leader. Three of four actions are crashes while a majority is up, and restores
/// while none is.
pub fn blow(rng: &mut Rng, majority: Majority, sight: &Sight<'_>) -> Option<Blow> {
    let those = |state| {
        let known = sight.crashed.iter().enumerate();
        known.filter(move |(_, crashed)| **crashed == state).map(|(id, _)| id).collect::<Vec<_>>()
    };
    let (up, mut down) = (those(false), those(true));
    // The number of draws does not depend on the servers, so that a seed always gives the same draws.
    let (coin, beyond, many, to_leader) =
        (rng.u8(0..4), rng.u8(0..BEYOND), rng.u8(0..3), rng.bool());
    let minority = sight.crashed.len().saturating_sub(1) / 2;
    let may_crash = match majority {
        Majority::Never => down.len() < minority,
        Majority::Sometimes => down.len() < minority || beyond == 0,
    };
    let restores_of_four = if down.len() <= minority { 1 } else { 3 };
    if !up.is_empty() && may_crash && (down.is_empty() || restores_of_four <= coin) {
        let leader = sight.leader.filter(|_| to_leader);
        return leader.or_else(|| rng.choice(up)).map(Blow::Crash);
    }
    rng.shuffle(&mut down);
    if many != 0 {
        down.truncate(1);
    }
    Some(Blow::Restore(down)).filter(|blow| *blow != Blow::Restore(Vec::new()))
}

/// The time until the next action: between half of the pace and one and a half times the pace.
pub fn pause(rng: &mut Rng, pace: Duration) -> Duration {
    pace.mul_f64(0.5 + rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of servers that were down after each of many actions.
    fn downs(majority: Majority, size: usize) -> Vec<usize> {
        let mut rng = Rng::with_seed(7);
        let mut crashed = vec![false; size];
        let mut downs = Vec::new();
        for _ in 0..2000 {
            let leader = crashed.iter().position(|crashed| !crashed);
            match blow(&mut rng, majority, &Sight { crashed: &crashed, leader }) {
                Some(Blow::Crash(id)) => {
                    assert!(!crashed[id], "a server that is up is crashed");
                    crashed[id] = true;
                }
                Some(Blow::Restore(ids)) => ids.into_iter().for_each(|id| {
                    assert!(crashed[id], "a server that is down is restored");
                    crashed[id] = false;
                }),
                None => {}
            }
            downs.push(crashed.iter().filter(|crashed| **crashed).count());
        }
        downs
    }

    #[test]
    fn a_majority_is_left_up_where_the_rules_say_so() {
        for size in 3..=10 {
            let most = downs(Majority::Never, size).into_iter().max();
            assert_eq!(most, Some((size - 1) / 2), "{size} servers");
        }
    }

    #[test]
    fn a_majority_is_lost_and_regained_where_the_rules_allow_it() {
        for size in 1..=10 {
            let downs = downs(Majority::Sometimes, size);
            let has_majority = |down: &usize| size < 2 * (size - down);
            let lost =
                downs.windows(2).filter(|two| has_majority(&two[0]) && !has_majority(&two[1]));
            assert!(20 <= lost.count(), "{size} servers: {downs:?}");
        }
    }

    #[test]
    fn all_are_up_and_as_many_as_may_be_are_down_in_turn() {
        for size in 3..=10 {
            let downs = downs(Majority::Never, size);
            assert!(downs.contains(&0), "{size} servers");
            assert!(downs.contains(&((size - 1) / 2)), "{size} servers");
        }
    }

    #[test]
    fn about_half_of_the_crashes_hit_the_leader() {
        let mut rng = Rng::with_seed(7);
        let sight = Sight { crashed: &[false; 10], leader: Some(3) };
        let draws = (0..1000).filter_map(|_| blow(&mut rng, Majority::Never, &sight));
        let at_leader = draws.filter(|blow| *blow == Blow::Crash(3)).count();
        assert!((450..650).contains(&at_leader), "{at_leader} of 1000");
    }
}
