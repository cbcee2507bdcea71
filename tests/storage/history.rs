//! Sequences of steps, drawn at random, with the state that each must lead to.

use std::io;

use surfstore::raft::{
    Command, Entry, Incarnation, LogIndex, Member, Save, Saved, ServerId, Snapshot, Term,
};
use surfstore::storage::{Disk, Store};

use super::{LIFE, at, entry, roster, snapshot, zeros};

/// A step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Save(Save),
    Begin(Snapshot),
    /// Writes a piece of the snapshot.
    Piece,
    Prepare,
}

/// The steps and the states.
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
}

/// A store at work, and the states that its folder may have.
pub(crate) struct Run {
    /// The state that all steps that returned have led to.
    pub(crate) state: Saved,
    /// The state that the step under way leads to.
    pub(crate) next: Option<Saved>,
    /// The snapshot that is being written.
    writing: Option<Snapshot>,
}

impl Run {
    pub(crate) fn after(state: Saved) -> Run {
        Run { state, next: None, writing: None }
    }

    /// Carries out steps until one fails.
    pub(crate) fn go(&mut self, store: &mut Store<impl Disk>, steps: &[Step]) -> io::Result<()> {
        steps.iter().try_for_each(|step| self.step(store, step))
    }

    pub(crate) fn step(&mut self, store: &mut Store<impl Disk>, step: &Step) -> io::Result<()> {
        let mut next = self.state.clone();
        match step {
            Step::Save(save) => {
                assert!(next.apply(save.clone()), "a step that no server takes: {save:?}");
                let stays = |it: &Snapshot| it.last_included.index < save.first;
                self.writing =
                    self.writing.take().filter(|it| save.snapshot.is_none() && stays(it));
                self.next = Some(next);
                store.save(save.clone())?;
            }
            Step::Begin(snapshot) => {
                let is_later = self.state.base() < snapshot.last_included.index;
                self.writing = Some(snapshot.clone()).filter(|_| is_later);
                store.begin_snapshot(snapshot.clone())?;
            }
            Step::Piece => {
                // It may be the last.
                let written = self.writing.clone();
                self.next = written.map(|snapshot| {
                    next.compact(snapshot);
                    next
                });
                if store.write_piece()? {
                    self.next = None;
                } else {
                    self.writing = None;
                }
            }
            Step::Prepare => _ = store.prepare()?,
        }
        if let Some(next) = self.next.take() {
            self.state = next;
        }
        Ok(())
    }

    /// Whether what was read back is what it may be.
    pub(crate) fn allows(&self, read: &Saved) -> bool {
        *read == self.state || Some(read) == self.next.as_ref()
    }
}

impl History {
    /// Draws so many steps that follow `state`.
    pub(crate) fn draw(random: &mut fastrand::Rng, state: Saved, count: usize) -> History {
        let mut state = state;
        let mut steps = Vec::new();
        while steps.len() < count {
            let base = state.base();
            let last = base.plus(state.entries.len());
            let step = match random.u8(..20) {
                0..12 => Step::Save(draw_save(random, &state)),
                12 => Step::Save(draw_install(random, &state)),
                13 => {
                    let hard_state = state.hard_state.clone();
                    let entries = draw_entries(random, &state);
                    Step::Save(Save {
                        number: 0,
                        hard_state,
                        snapshot: None,
                        first: LogIndex(1),
                        entries,
                    })
                }
                14 | 15 if base < last => {
                    let index = random.u64(base.0 + 1..=last.0);
                    let term = state.entries[LogIndex(index).since(base.next())].term.0;
                    let count = random.usize(..150);
                    Step::Begin(snapshot(at(term, index), count))
                }
                14..18 => Step::Piece,
                _ => Step::Prepare,
            };
            if let Step::Save(save) = &step {
                assert!(state.apply(save.clone()));
            }
            steps.push(step);
            // A snapshot is written while changes go on, and entries up to it stay.
            if let Some(Step::Begin(snapshot)) = steps.last() {
                let snapshot = snapshot.clone();
                for _ in 0..30 {
                    if random.u8(..4) == 0 {
                        let save = draw_save_after(random, &state, snapshot.last_included.index);
                        assert!(state.apply(save.clone()));
                        steps.push(Step::Save(save));
                    }
                    steps.push(Step::Piece);
                }
                state.compact(snapshot);
            }
        }
        History { steps }
    }
}

fn draw_entries(random: &mut fastrand::Rng, state: &Saved) -> Vec<Entry> {
    let term = state.entries.last().map_or(1, |last| last.term.0);
    let count = [0, 1, 1, 2, 9][random.usize(..5)];
    let draw = |_| {
        let bytes = match random.u8(..30) {
            0 => random.usize(2000..6000),
            1..5 => random.usize(400..1200),
            _ => random.usize(..60),
        };
        let name = random.u32(..1000).to_string();
        let mut entry = entry(term + u64::from(random.bool()), &name, bytes);
        if random.u8(..8) == 0 {
            entry = zeros(term, &name, bytes);
        }
        if random.u8(..8) == 0 {
            entry.command = Command::Roster(roster(77));
        }
        entry
    };
    (0..count).map(draw).collect()
}

fn draw_save(random: &mut fastrand::Rng, state: &Saved) -> Save {
    draw_save_after(random, state, state.base())
}

/// A change that leaves all up to an entry.
fn draw_save_after(random: &mut fastrand::Rng, state: &Saved, kept: LogIndex) -> Save {
    let last = state.base().plus(state.entries.len());
    let first = match random.u8(..4) {
        0 => LogIndex(random.u64(kept.next().0..=last.next().0)),
        _ => last.next(),
    };
    let mut hard_state = state.hard_state.clone();
    match random.u8(..6) {
        0 => hard_state.current_term = hard_state.current_term.next(),
        1 => {
            let incarnation = Incarnation(random.u64(1..1 << 53));
            hard_state.voted_for = Some(Member { id: ServerId(random.u8(..3)), incarnation });
        }
        2 if random.u8(..4) == 0 => {
            let incarnation = Incarnation(random.u64(1..1 << 53));
            hard_state.gone.insert(Member { id: ServerId(0), incarnation });
        }
        3 if random.u8(..8) == 0 => hard_state.incarnation = Incarnation(LIFE.0 + random.u64(..9)),
        _ => {}
    }
    hard_state.commit_index = LogIndex(random.u64(..=last.0));
    Save { number: 0, hard_state, snapshot: None, first, entries: draw_entries(random, state) }
}

/// A snapshot from the leader.
fn draw_install(random: &mut fastrand::Rng, state: &Saved) -> Save {
    let last_included = at(random.u64(1..9), random.u64(1..300));
    let first = last_included.index.next();
    let snapshot = Some(snapshot(last_included, random.usize(..100)));
    let mut hard_state = state.hard_state.clone();
    hard_state.current_term = Term(hard_state.current_term.0 + 1);
    Save { number: 0, hard_state, snapshot, first, entries: draw_entries(random, state) }
}
