//! Checks whether a history of updates and reads is linearizable: whether each operation can have happened at one
//! moment between its start and its end, such that every answer is right.
//!
//! In general this needs a search. Here it does not, because versions give the order of the updates of a file, and
//! contents are unique:
//!
//! 1. `writers` finds out which update wrote which version. It is a violation if two updates wrote a version, if none
//!    wrote a version that later ones build on, if an update wrote one although its answer said that it had no effect,
//!    or if a version is below 1.
//! 2. `order` looks for a moment for each operation. A read comes after the updates that it saw and before those that
//!    follow them, and each update of a file comes after the previous one. One pass finds the earliest moments that
//!    respect this order. If one of them is after the end of its operation, the history is not linearizable.
//!
//!    A refusal comes either before the requested version could be the next one, or after that version was written.
//!    The second case only sets an upper bound on the moment of that write, and the earliest moments meet such a bound
//!    if any moments do. So the first case is required exactly if the second is impossible.
//!
//! An update whose outcome is unknown has no end. If several of them may have written a version that no read saw, the
//! one that started first is chosen: any other would only come later.

mod order;
mod writers;

use super::history::{Operation, Violation};

use writers::Writers;

/// The maximum number of violations that are shown, because one bug of a server shows up in many reads.
const SHOWN_MAX: usize = 10;

/// The number of operations on a file that are shown before and after a violation.
const AROUND: usize = 4;

/// The violations in a history of files that started at version 0; none if it is linearizable.
pub fn check(history: &[Operation]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let writers = Writers::find(history, &mut violations);
    if violations.is_empty() {
        violations.extend(order::objection(history, &writers));
    }
    violations.truncate(SHOWN_MAX);
    violations
}

/// A violation about these operations on a file, together with the other operations on the file around them.
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
