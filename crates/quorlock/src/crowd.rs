//! Whether several operations wait for the nodes. Then whoever is about to ask is let run first, so that all that is asked goes
//! out together. Polls nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::sync::lock;

/// Shared by those who ask and the task that serves the connections. Where there is a crowd, a turn of that task has two
/// halves: in the first all that has come is read, and those who waited for it run; in the second is written what they ask
/// next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many operations wait for a verdict.
    operations: AtomicUsize,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    is_first_half: bool,
    /// Somebody may ask because of what was heard.
    is_heard: bool,
    /// Those that have something to write.
    held_back: Vec<Waker>,
}

impl Crowd {
    pub(crate) fn enter(&self) {
        self.0.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.operations.fetch_sub(1, Ordering::Relaxed);
    }

    /// A turn begins: in halves, if there is a crowd.
    pub(crate) fn begin_turn(&self) {
        let is_first_half = self.0.operations.load(Ordering::Relaxed) > 1;
        *lock(&self.0.turn) = Turn { is_first_half, ..Turn::default() };
    }

    /// All has been read that had come. Whether there is a second half: somebody may ask now, or has asked.
    pub(crate) fn has_second_half(&self) -> bool {
        let turn = lock(&self.0.turn);
        turn.is_heard || !turn.held_back.is_empty()
    }

    /// The second half begins: whoever has something to write is woken.
    pub(crate) fn begin_second_half(&self) {
        let turn = std::mem::take(&mut *lock(&self.0.turn));
        turn.held_back.into_iter().for_each(Waker::wake);
    }

    /// Answers have come.
    pub(crate) fn hear(&self) {
        let mut turn = lock(&self.0.turn);
        turn.is_heard = turn.is_first_half;
    }

    /// Whether nothing is to be written yet: then whoever has something to write is woken in the second half.
    #[inline]
    pub(crate) fn holds_back(&self, has_some: impl FnOnce() -> bool, waker: &Waker) -> bool {
        let mut turn = lock(&self.0.turn);
        if turn.is_first_half && has_some() {
            turn.held_back.push(waker.clone());
        }
        turn.is_first_half
    }
}
