//! What is wrong with a simulation. Judges nothing.

use std::fmt;
use std::time::Duration;

use crate::checker::Violation;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there are few, if any")]
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
    /// A lease was valid for longer than a quorum of nodes was sure to hold it (G1): seen by asking the nodes, when it
    /// was granted or extended.
    Unbacked {
        /// Who held it.
        worker: String,
        /// What.
        resource: String,
        /// When.
        at: Duration,
        /// For how long it was valid then.
        needed: Duration,
        /// How many nodes hold it for as long.
        nodes: usize,
    },
    /// A guard was valid after it had said "lost" (G6).
    ValidAgain {
        /// Whose.
        worker: String,
        /// When.
        at: Duration,
    },
    /// A guard was valid for longer than its maximum hold time (G5).
    HeldTooLong {
        /// Whose.
        worker: String,
        /// When.
        at: Duration,
        /// How far beyond it the deadline was.
        by: Duration,
    },
    /// A command changed or deleted a key that held something else than its token (G6): seen by the node.
    Touched {
        /// Which node.
        node: usize,
        /// The key.
        key: String,
    },
    /// A call did not tell what is true, or what is promised of it (G8).
    Untrue {
        /// Who called.
        worker: String,
        /// What was told, and what is.
        what: String,
        /// When.
        at: Duration,
    },
    /// A loss was told, before the deadline, and with less notice than is promised (G5).
    ShortNotice {
        /// Who was told.
        worker: String,
        /// When.
        at: Duration,
        /// By how much it came too late.
        by: Duration,
    },
    /// A guard said that its majority is gone, and it was not (G8).
    NotGone {
        /// Whose.
        worker: String,
        /// When.
        at: Duration,
    },
    /// A node was accused of a clock that ran ahead, and its clock was right (G8).
    FalseAlarm {
        /// Which client said so.
        client: usize,
        /// Which node.
        node: usize,
        /// When.
        at: Duration,
        /// How much was missing of a key's time.
        missing: Duration,
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
    /// The same plan gave another history the second time.
    Unequal {
        /// The first line that differs, counted from 1.
        line: usize,
        /// As it was.
        first: String,
        /// As it was the second time.
        second: String,
    },
}

impl Finding {
    /// Whether it shows that exclusion is broken, which nobody promises beyond the assumptions.
    #[must_use]
    pub fn is_exclusion(&self) -> bool {
        match self {
            Self::TwoValid { .. } | Self::History(Violation::Overlap { .. }) => true,
            _ => self.is_order_of_one_time(),
        }
    }

    /// Whether it is about the tokens of two who asked at the same time: G2 orders those by who held the lock first, as far
    /// as locks exclude each other and nodes remember their counters.
    pub(super) fn is_order_of_one_time(&self) -> bool {
        match self {
            Self::History(Violation::TokenOrder { earlier, later }) => later.asked <= earlier.from,
            _ => false,
        }
    }

    /// What is wrong, in a few words: the same for all findings of a kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::History(Violation::Overlap { .. }) => "two holders",
            Self::History(Violation::TokenTwice { .. }) => "fencing token twice",
            Self::History(Violation::TokenOrder { .. }) => "fencing tokens out of order",
            Self::History(Violation::WriteOrder { .. }) => "old write accepted",
            Self::History(Violation::LostLate { .. }) => "lost told late",
            Self::History(Violation::Unavailable { .. }) => "held by nobody",
            Self::History(Violation::Residue(_)) => "key left",
            Self::History(Violation::Malformed { .. }) => "history without sense",
            Self::TwoValid { .. } => "two valid guards",
            Self::NotValid { .. } => "guard not valid",
            Self::Unbacked { .. } => "lease not backed",
            Self::ValidAgain { .. } => "lost and valid again",
            Self::HeldTooLong { .. } => "held too long",
            Self::NotGone { .. } => "majority not gone",
            Self::Touched { .. } => "another's key touched",
            Self::Untrue { .. } => "told what is not true",
            Self::ShortNotice { .. } => "notice too short",
            Self::FalseAlarm { .. } => "clock accused",
            Self::Overdue { .. } => "call overdue",
            Self::Unavailable { .. } => "lock not available",
            Self::Undrained { .. } => "close not confirmed",
            Self::TasksLeft { .. } => "tasks left",
            Self::Panic { .. } => "panic",
            Self::Hung => "hung",
            Self::Unequal { .. } => "not the same twice",
        }
    }

    /// When it came to light, if that is one moment.
    #[must_use]
    pub fn at(&self) -> Option<Duration> {
        self.moments().last().copied()
    }

    /// All moments that it speaks of, the one at which it came to light last.
    pub(crate) fn moments(&self) -> Vec<Duration> {
        match self {
            Self::History(violation) => match violation {
                Violation::Overlap { first, second }
                | Violation::TokenTwice { first, second }
                | Violation::TokenOrder { earlier: first, later: second } => {
                    vec![first.asked, first.from, second.asked, second.from]
                }
                Violation::WriteOrder { earlier, later } => vec![earlier.inv, later.inv],
                Violation::LostLate { hold, deadline, .. } => vec![hold.asked, *deadline],
                Violation::Malformed { event, .. } => vec![event.inv],
                Violation::Unavailable { .. } | Violation::Residue(_) => Vec::new(),
            },
            Self::TwoValid { at, .. }
            | Self::NotValid { at, .. }
            | Self::Unbacked { at, .. }
            | Self::ValidAgain { at, .. }
            | Self::HeldTooLong { at, .. }
            | Self::NotGone { at, .. }
            | Self::Untrue { at, .. }
            | Self::FalseAlarm { at, .. }
            | Self::ShortNotice { at, .. } => vec![*at],
            Self::Overdue { at, took, .. } => vec![*at, *at + *took],
            Self::Touched { .. }
            | Self::Unavailable { .. }
            | Self::Undrained { .. }
            | Self::TasksLeft { .. }
            | Self::Panic { .. }
            | Self::Hung
            | Self::Unequal { .. } => Vec::new(),
        }
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
            Self::Unbacked { worker, resource, at, needed, nodes } => {
                write!(
                    f,
                    "the lease of {worker} on {resource} at {at:?} is valid for {needed:?}, "
                )?;
                write!(f, "and only {nodes} nodes hold it for as long")
            }
            Self::ValidAgain { worker, at } => {
                write!(f, "the guard of {worker} was lost, and is valid at {at:?}")
            }
            Self::HeldTooLong { worker, at, by } => {
                write!(f, "the guard of {worker} is valid at {at:?} until {by:?} after its end")
            }
            Self::NotGone { worker, at } => {
                write!(
                    f,
                    "{worker} heard at {at:?} that its majority is gone, and a quorum holds its lock"
                )
            }
            Self::Touched { node, key } => {
                write!(f, "a command touched {key} on n{node}, which was another's")
            }
            Self::Untrue { worker, what, at } => write!(f, "{worker} at {at:?}: {what}"),
            Self::ShortNotice { worker, at, by } => {
                write!(f, "{worker} was told of a loss at {at:?}, {by:?} too late for its notice")
            }
            Self::FalseAlarm { client, node, at, missing } => {
                write!(f, "c{client} misses {missing:?} on n{node} at {at:?}, whose clock is right")
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
            Self::Unequal { line, first, second } => {
                write!(f, "not the same twice: line {line} was {first}, and then {second}")
            }
        }
    }
}
