//! Breadth-first search through all reachable states, to the fixpoint: until every state has been expanded.
//!
//! For each state seen, only a fingerprint of 64 bits, a number and the number of the state before are kept. A failure
//! is reported with the shortest path to it, which is replayed to describe it in words.

use std::fmt;
use std::time::Instant;

use crate::configurations::Bounds;
use crate::marks::Marks;
use crate::model::Model;
use crate::state::{Action, State};
use crate::table::{Table, fingerprint};

/// A running search.
pub(crate) struct Search {
    model: Model,
    /// The states seen, by fingerprint, numbered in the order in which they were found.
    seen: Table,
    /// For every state, the one from which it was found first.
    parents: Vec<u32>,
    /// The state and the action that are being expanded.
    current: (u32, Option<Action>),
    /// The states seen without their networks, by fingerprint.
    views: Table,
}

/// What a search found.
pub(crate) struct Found {
    /// How many states can be reached.
    pub(crate) states: usize,
    /// In how many of them the servers or the history differ, and not only what is in flight.
    pub(crate) views: usize,
    /// The number of actions that lead from one state to another.
    pub(crate) transitions: usize,
    /// The number of actions that lead to the farthest state.
    pub(crate) depth: usize,
    /// How many different states single servers have, and how many steps lead from one to another.
    pub(crate) local: (usize, usize),
    /// The situations that the servers reached.
    pub(crate) marks: Marks,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { states, views, transitions, depth, local: (servers, steps), seconds, .. } =
            self;
        write!(f, "{states} states ({views} of servers and history), {transitions} transitions, ")?;
        write!(f, "depth {depth}, {servers} server states, {steps} steps, {seconds:.1} s")
    }
}

impl Search {
    /// Visits all states.
    pub(crate) fn run(bounds: Bounds) -> Found {
        let begin = Instant::now();
        let model = Model::new(bounds);
        let (seen, views) = (Table::new(), Table::new());
        let mut search = Search { model, seen, parents: Vec::new(), current: (0, None), views };
        let start = search.model.start();
        search.see(&start);
        let (mut frontier, mut transitions, mut depth) = (vec![start], 0, 0);
        loop {
            let first = search.parents.len() - frontier.len();
            let mut next = Vec::new();
            for (offset, state) in frontier.iter().enumerate() {
                search.current = (u32::try_from(first + offset).expect("few states"), None);
                transitions += search.go_on_from(state, &mut next);
            }
            if next.is_empty() {
                break;
            }
            (frontier, depth) = (next, depth + 1);
        }
        Found {
            states: search.parents.len(),
            views: search.views.len(),
            transitions,
            depth,
            local: search.model.steps.sizes(),
            marks: search.model.marks,
            seconds: begin.elapsed().as_secs_f64(),
        }
    }

    /// Finds the successors of a state, and how many actions lead to them.
    fn go_on_from(&mut self, state: &State, next: &mut Vec<State>) -> usize {
        let mut transitions = 0;
        for action in self.model.actions(state) {
            self.current.1 = Some(action);
            for following in self.model.apply(state, action).into_iter().flatten() {
                transitions += 1;
                if self.see(&following) {
                    next.push(following);
                }
            }
        }
        transitions
    }

    /// Records a state, and returns whether it is new.
    fn see(&mut self, state: &State) -> bool {
        let number = u32::try_from(self.parents.len()).expect("few states");
        let is_new = self.seen.insert(fingerprint(state), number);
        if is_new {
            self.parents.push(self.current.0);
            self.views.insert(fingerprint(&(state.servers, state.history)), 0);
        }
        is_new
    }

    /// The numbers of the states on the path to the current one, without the first.
    fn way(&self) -> Vec<u32> {
        let mut way = Vec::new();
        let mut state = self.current.0;
        while state != 0 {
            way.push(state);
            state = self.parents[state as usize];
        }
        way.reverse();
        way
    }

    /// The actions on the path to the current state, in words, and the one that is being expanded.
    fn tell(&mut self) -> Vec<String> {
        let failing = self.current.1;
        let mut lines = Vec::new();
        let mut state = self.model.start();
        for number in self.way() {
            for action in self.model.actions(&state) {
                let mut following = self.model.apply(&state, action).into_iter().flatten();
                let is_next = |next: &State| self.seen.get(fingerprint(next)) == Some(number);
                if let Some(next) = following.find(is_next) {
                    lines.push(self.model.tell(&state, action, Some(&next)));
                    state = next;
                    break;
                }
            }
        }
        lines.extend(failing.map(|action| self.model.tell(&state, action, None)));
        lines
    }
}

impl Drop for Search {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("found after {} states, on the shortest way:", self.parents.len());
            for (number, line) in self.tell().into_iter().enumerate() {
                eprintln!("{:>3}  {line}", number + 1);
            }
        }
    }
}
