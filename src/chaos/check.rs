//! Whether a history of updates and reads is linearizable: whether each operation can have happened in one moment
//! between its start and its end, so that every answer is right.
//!
//! In general that is a search. Here versions give the order of the updates of a file, and contents are unique, so it
//! is none:
//!
//! 1. `writers` finds out which update gave which version. Two for one, none for one that later versions stand on, and
//!    one that was answered to have no effect are violations.
//! 2. `order` looks for the moments. A read comes after the updates that it saw and before those that follow upon them,
//!    and each update comes after the one before. The earliest moments that respect this are found in one pass; if one
//!    lies beyond its operation's end, there are none. A refusal comes before the version that was asked for could be
//!    the next, or after it was given. Of the two the second binds only from above, which the earliest moments respect
//!    as well as any can; so the first is asked for exactly where the second is impossible.
//!
//! An update whose outcome is unknown has no end. Of several that may have given a version that was not seen, the one
//! that began first is taken: each other one would only come later.

mod order;
mod writers;

use super::history::{Operation, Violation};

use writers::Writers;

/// How many violations are shown at most: one fault of a server shows in many reads.
const SHOWN_MAX: usize = 10;

/// How many operations upon a file are shown before and after a violation.
const AROUND: usize = 4;

/// What is wrong with a history of files that began at version 0; nothing, if it is linearizable.
pub fn check(history: &[Operation]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let writers = Writers::find(history, &mut violations);
    if violations.is_empty() {
        violations.extend(order::objection(history, &writers));
    }
    violations.truncate(SHOWN_MAX);
    violations
}

/// A violation about these operations upon a file, with what else was done to the file around them.
fn about(history: &[Operation], file: &str, what: String, involved: &[usize]) -> Violation {
    let mut shown: Vec<usize> = involved.to_vec();
    let mut upon: Vec<usize> =
        (0..history.len()).filter(|index| writers::concerns(history, *index, file)).collect();
    upon.sort_by_key(|index| history.get(*index).map(|operation| operation.start));
    for place in involved.iter().filter_map(|one| upon.iter().position(|index| index == one)) {
        let near = place.saturating_sub(AROUND)..(place + AROUND + 1).min(upon.len());
        shown.extend(upon.get(near).unwrap_or_default());
    }
    shown.sort_by_key(|index| (history.get(*index).map(|operation| operation.start), *index));
    shown.dedup();
    let line = |index: &usize| {
        let mark = if involved.contains(index) { "* " } else { "  " };
        history.get(*index).map(|operation| format!("{mark}{}", operation.describe(file)))
    };
    Violation { what, around: shown.iter().filter_map(line).collect() }
}
