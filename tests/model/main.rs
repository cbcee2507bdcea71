//! Explicit-state model checking of the core: every state that a small cluster can reach, and in each of them every
//! property that it must have.
//!
//! What runs is the core that ships. Its steps are pure, so a breadth-first search can try everything that may happen
//! next in every state, until nothing new is found. The messages ever sent are a set from which any may be delivered
//! at any time, again and again or never: that is loss, duplication and reordering without bound. Terms, calls, crashes
//! and heartbeats are bounded, each search says how (see `configurations`).
//!
//! Every search must find exactly the number of states that stands there, and come through the situations named there,
//! so that a change which makes it see less does not pass. `docs/model-checking.md` tells the rest.

mod clearing;
mod configurations;
mod elections;
mod history;
mod invariants;
mod marks;
mod model;
mod network;
mod search;
mod state;
mod steps;
mod table;
mod telling;

use configurations::{Bounds, Configuration};
use search::{Found, Search};

/// Searches, and demands what the configuration says.
#[allow(clippy::print_stderr)]
fn check(name: &str, configuration: &Configuration) -> Found {
    let found = Search::run(configuration.bounds);
    eprintln!("{name}: {found}");
    let missing = found.marks.missing(configuration.marks);
    assert!(missing.is_empty(), "{name} never came to {missing:?}");
    assert!(found.states == configuration.states, "{name} has other states than before");
    found
}

/// Searches with all messages kept, and shows that the rules by which the network is kept small would have lost
/// nothing: the servers come into the same states.
fn check_and_compare(name: &str, configuration: &Configuration) {
    let all = check(name, configuration);
    let cleared = Search::run(Bounds { clearing: true, ..configuration.bounds });
    assert!(cleared.states < all.states, "{name} is not searched with all messages");
    assert!(cleared.views == all.views, "clearing the network of {name} loses states");
    assert!(cleared.local.0 == all.local.0, "clearing the network of {name} loses server states");
}

#[test]
fn a_server_alone_keeps_every_promise() {
    check("alone", &configurations::ALONE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn two_servers_keep_every_promise_also_without_a_majority() {
    check("pair", &configurations::PAIR);
}

#[test]
fn entries_that_come_one_by_one_are_committed_by_the_rule() {
    check("pair with large update", &configurations::PAIR_WITH_LARGE_UPDATE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn messages_of_older_terms_break_no_promise() {
    check_and_compare("pair with all messages", &configurations::PAIR_WITH_ALL_MESSAGES);
    check_and_compare("trio with all messages", &configurations::TRIO_WITH_ALL_MESSAGES);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn appends_that_fail_break_no_promise() {
    check_and_compare("pair with failures", &configurations::PAIR_WITH_FAILURES);
    check("trio with failures", &configurations::TRIO_WITH_FAILURES);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn elections_step_by_step_break_no_promise() {
    check_and_compare("pair with free elections", &configurations::PAIR_WITH_FREE_ELECTIONS);
    check("trio with free elections", &configurations::TRIO_WITH_FREE_ELECTIONS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn three_servers_keep_every_promise_when_one_crashes() {
    check("trio with crash", &configurations::TRIO_WITH_CRASH);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn three_servers_keep_every_promise_in_three_terms() {
    check("trio in three terms", &configurations::TRIO_IN_THREE_TERMS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn three_servers_keep_every_promise_to_writers() {
    check("trio with update", &configurations::TRIO_WITH_UPDATE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn three_servers_keep_every_promise_to_readers() {
    check("trio with read", &configurations::TRIO_WITH_READ);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes where it is not optimised")]
fn four_servers_keep_every_promise() {
    check("four", &configurations::FOUR);
}

#[test]
#[ignore = "takes five minutes of a free core and 2.6 GB"]
fn three_servers_keep_every_promise_to_two_writers_when_one_crashes() {
    check("whole", &configurations::WHOLE);
}

#[test]
#[ignore = "takes 20 seconds"]
fn two_servers_keep_every_promise_whatever_fails() {
    check("pair with everything", &configurations::PAIR_WITH_EVERYTHING);
}

#[test]
#[ignore = "takes a minute of a free core"]
fn three_servers_keep_every_promise_to_a_writer_and_a_reader() {
    check("trio with read and update", &configurations::TRIO_WITH_READ_AND_UPDATE);
}
