//! What a history can be guilty of, and how it reads. Finds nothing itself.

use std::{fmt, time::Duration};

use super::{availability::Window, hold::Hold};
use crate::history::Event;

/// A broken promise, with the events that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Two valid leases of one resource at the same time (G1).
    Overlap {
        /// The one that began first.
        first: Hold,
        /// The one that began while the first still counted.
        second: Hold,
    },
    /// Two acquisitions were given the same fencing token (G2).
    TokenTwice {
        /// One of them.
        first: Hold,
        /// The other.
        second: Hold,
    },
    /// A later holder was given a smaller fencing token (G2).
    TokenOrder {
        /// The one with the greater token.
        earlier: Hold,
        /// The one after it.
        later: Hold,
    },
    /// The store accepted an older fencing token after a newer one.
    WriteOrder {
        /// The write with the newer token.
        earlier: Event,
        /// The one after it.
        later: Event,
    },
    /// A validity ended before the guard said "lost" (G5).
    LostLate {
        /// The lease.
        hold: Hold,
        /// The deadline it then had.
        deadline: Duration,
        /// When the guard said so, if it ever did, less what the machine was late.
        told: Option<Duration>,
    },
    /// Nobody held for longer than the window allows.
    Unavailable {
        /// The window.
        window: Window,
        /// How long nobody held.
        gap: Duration,
        /// The last holder before that.
        before: Option<Hold>,
        /// The first holder after it.
        after: Option<Hold>,
    },
    /// A key was left on a node (G4).
    Residue(Residue),
    /// The history itself is wrong: nothing can be proven with this event.
    Malformed {
        /// The event.
        event: Event,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// A key that was found on a node when nothing was to be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residue {
    /// The node.
    pub node: String,
    /// The key.
    pub key: String,
}

/// What can be wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Its end lies before its begin.
    EndsBeforeItBegins,
    /// Its outcome is known, but not when it ended.
    OutcomeWithoutEnd,
    /// Another acquire of the client has the same number.
    NumberUsedTwice,
    /// It speaks of an acquisition that was not granted.
    NothingHeld,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { first, second } => {
                write!(f, "two holders of {}: {first} and {second}", first.resource)
            }
            Self::TokenTwice { first, second } => {
                write!(f, "fencing token {} of {}", Token(first.token), first.resource)?;
                write!(f, " given twice: to {first} and to {second}")
            }
            Self::TokenOrder { earlier, later } => {
                let (old, new) = (Token(earlier.token), Token(later.token));
                write!(f, "fencing tokens of {} out of order: ", earlier.resource)?;
                write!(f, "{old} for {earlier}, then {new} for {later}")
            }
            Self::WriteOrder { earlier, later } => {
                write!(f, "an old write was accepted: {} after {}", Line(later), Line(earlier))
            }
            Self::LostLate { hold, deadline, told: Some(told) } => {
                let late = told.saturating_sub(*deadline);
                write!(
                    f,
                    "lost {} told {late:?} too late: {hold} heard it at {told:?}",
                    hold.resource
                )
            }
            Self::LostLate { hold, told: None, .. } => {
                write!(f, "lost {} without a word: {hold}", hold.resource)
            }
            Self::Unavailable { window, gap, before, after } => {
                let Window { name, resource, within, .. } = window;
                write!(
                    f,
                    "{resource} was held by nobody for {gap:?} in \"{name}\", allowed {within:?}: "
                )?;
                write!(f, "between {} and {}", Edge(before, "its begin"), Edge(after, "its end"))
            }
            Self::Residue(Residue { node, key }) => write!(f, "key {key:?} was left on {node}"),
            Self::Malformed { event, flaw } => write!(f, "no sense in {}: {flaw}", Line(event)),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsBeforeItBegins => "it ends before it begins",
            Self::OutcomeWithoutEnd => "its outcome is known, but not its end",
            Self::NumberUsedTwice => "another acquire of this client has the same number",
            Self::NothingHeld => "this acquisition was not granted",
        })
    }
}

struct Token(Option<u64>);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(token) => token.fmt(f),
            None => f.write_str("-"),
        }
    }
}

struct Line<'a>(&'a Event);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_line().map_err(|_| fmt::Error)?)
    }
}

struct Edge<'a>(&'a Option<Hold>, &'a str);

impl fmt::Display for Edge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hold) => hold.fmt(f),
            None => f.write_str(self.1),
        }
    }
}
