//! Judges a history: which promises did the recorded run break? Pure: it records nothing and asks nobody.
//!
//! A lease counts from the moment its acquire returned until the first of: its release began, its deadline, the
//! guard said "lost", its process died. So it is trimmed on both sides, and what is reported is never an artefact of
//! where the clock was read. Every check takes O(n log n).

mod availability;
mod exclusion;
mod fencing;
mod hold;
mod loss;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod violation;

use std::time::Duration;

use self::hold::Leases;
pub use self::{
    availability::Window,
    hold::{Ended, Hold},
    violation::{Flaw, Residue, Violation},
};
use crate::history::History;

/// What to judge a history by. The history alone tells whether leases overlapped, tokens grew and losses were told
/// in time; what was found on the nodes, and when the lock had to be available, is added.
///
/// ```
/// use std::time::Duration;
/// use quorlock_testkit::{checker::Checker, history::{History, Recorder}};
///
/// let ms = Duration::from_millis;
/// let (mut a, mut b) = (Recorder::new("a"), Recorder::new("b"));
/// let history = History::from_iter([
///     a.acquire("r", ms(1)).granted(ms(2), ms(100), None),
///     b.acquire("r", ms(1)).granted(ms(50), ms(150), None),
/// ]);
/// let violations = Checker::new().check(&history);
/// assert_eq!(violations[0].to_string(), "two holders of r: a#1 from 2ms until 100ms (expired) \
///     and b#1 from 50ms until 150ms (expired)");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Checker {
    residue: Vec<Residue>,
    windows: Vec<Window>,
    losses: Losses,
}

/// Whether somebody listened for "lost" while the leases of a history were held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Losses {
    /// Every client listened: a lease that ran out in silence is a violation.
    #[default]
    Heard,
    /// Not every client listened: only a "lost" that was recorded can be late.
    Unheard,
}

impl Checker {
    /// A checker that expects every client to listen for "lost".
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the clients listened for "lost". Defaults to [`Losses::Heard`].
    #[must_use]
    pub fn losses(mut self, losses: Losses) -> Self {
        self.losses = losses;
        self
    }

    /// Adds keys that were found on nodes when nothing was to be left.
    #[must_use]
    pub fn residue(mut self, keys: impl IntoIterator<Item = Residue>) -> Self {
        self.residue.extend(keys);
        self
    }

    /// Adds a window in which the lock had to be available.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// All violations, none if the run was as promised.
    #[must_use]
    pub fn check(&self, history: &History) -> Vec<Violation> {
        let (leases, mut found) = Leases::read(history);
        found.extend(exclusion::overlaps(&leases));
        found.extend(fencing::repeated_tokens(&leases));
        found.extend(fencing::tokens_out_of_order(&leases));
        found.extend(fencing::writes_out_of_order(history));
        found.extend(loss::late(&leases, history.end(), self.losses));
        found.extend(self.windows.iter().filter_map(|window| window.broken(&leases)));
        found.extend(self.residue.iter().cloned().map(Violation::Residue));
        found
    }
}

/// All leases of a history as the intervals in which they counted, by their begin.
#[must_use]
pub fn holds(history: &History) -> Vec<Hold> {
    let (leases, _) = Leases::read(history);
    leases.by_begin().map(|lease| lease.hold.clone()).collect()
}

/// The longest time within the window in which nobody held its resource, whatever the window allows.
#[must_use]
pub fn longest_unavailability(history: &History, window: &Window) -> Duration {
    let (leases, _) = Leases::read(history);
    window.longest_gap(&leases).length()
}
