//! What is wrong with a simulation. Judges nothing.

use std::fmt;
use std::time::Duration;

use crate::checker::Violation;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The history shows it.
    History(Violation),
    /// Two guards were valid at the same moment (G1): seen by asking them, not by the history.
    TwoValid {
        /// What both held.
        resource: String,
        /// The worker whose guard was valid already.
        first: String,
        /// The worker whose guard became valid, or was extended.
        second: String,
        /// When.
        at: Duration,
    },
    /// A guard was returned whose validity was over (G1).
    NotValid {
        /// Who got it.
        worker: String,
        /// When.
        at: Duration,
    },
    /// A call took longer than its bound (G7).
    Overdue {
        /// Who called.
        worker: String,
        /// What.
        call: &'static str,
        /// When it began.
        at: Duration,
        /// How long it took, without pauses of its process.
        took: Duration,
        /// How long it may take.
        bound: Duration,
    },
    /// A lock could not be had although everything was healed.
    Unavailable {
        /// Which client asked.
        client: usize,
        /// What it was told.
        error: String,
    },
    /// `close` did not get every release confirmed although everything was healed (G4).
    Undrained {
        /// Which client.
        client: usize,
        /// What it was told.
        error: String,
    },
    /// Tasks were left after the last handle was dropped (G7).
    TasksLeft {
        /// Whose.
        client: usize,
        /// How many.
        tasks: usize,
    },
    /// A task of the library panicked.
    Panic {
        /// What it said.
        message: String,
    },
    /// It did not come to an end.
    Hung,
}

impl Finding {
    /// Whether it shows that exclusion is broken, which nobody promises beyond the assumptions.
    #[must_use]
    pub fn is_exclusion(&self) -> bool {
        matches!(self, Self::TwoValid { .. } | Self::History(Violation::Overlap { .. }))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(violation) => violation.fmt(f),
            Self::TwoValid { resource, first, second, at } => {
                write!(f, "two valid guards of {resource} at {at:?}: {first}'s and {second}'s")
            }
            Self::NotValid { worker, at } => {
                write!(f, "{worker} was given a guard at {at:?} that was not valid any more")
            }
            Self::Overdue { worker, call, at, took, bound } => {
                write!(f, "{call} of {worker} at {at:?} took {took:?}, its bound is {bound:?}")
            }
            Self::Unavailable { client, error } => {
                write!(f, "c{client} cannot lock although everything is healed: {error}")
            }
            Self::Undrained { client, error } => {
                write!(f, "c{client} cannot close although everything is healed: {error}")
            }
            Self::TasksLeft { client, tasks } => {
                write!(f, "c{client} has {tasks} tasks left after its last handle was dropped")
            }
            Self::Panic { message } => write!(f, "panic: {message}"),
            Self::Hung => f.write_str("it did not come to an end"),
        }
    }
}
