//! Everything that can happen, with its name. When it can, and what it does, is said elsewhere.

use std::fmt;

use crate::nodes::NodeSet;

/// One step of the world. Numbers are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client begins an attempt: the acquire is under way to every node of its membership.
    Begin {
        /// Which one.
        attempt: usize,
        /// What its client is configured with.
        membership: usize,
        /// The least that it asks to be counted as.
        proposal: u8,
    },
    /// The first round of a fenced attempt is won by these grants; certifies go to those that stand below the highest.
    Win {
        /// Whose.
        attempt: usize,
        /// The nodes whose grants were heard.
        heard: NodeSet,
    },
    /// What goes on between one attempt and one node.
    At {
        /// Whose.
        attempt: usize,
        /// Where.
        node: usize,
        /// What.
        what: At,
    },
    /// What a client does by itself.
    Client {
        /// Whose.
        attempt: usize,
        /// What.
        what: Client,
    },
    /// What an operator does at one node for a change of membership, in the study of that.
    Operator {
        /// Which change.
        change: usize,
        /// Where.
        node: usize,
        /// What.
        what: Operator,
    },
    /// What happens to one node.
    Fault {
        /// Where.
        node: usize,
        /// What.
        what: Fault,
    },
    /// A client of a membership joins a node that has no marker.
    Join {
        /// Where.
        node: usize,
        /// What it is configured with.
        membership: usize,
    },
    /// Time passes.
    Tick,
}

/// A script that a node runs for an attempt, or an answer that is heard late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The acquire is run.
    Acquire,
    /// A grant is heard after the first round was won.
    HearLate,
    /// The certify is run.
    Certify,
    /// The extend is run.
    Extend,
    /// The repair is run.
    Repair,
    /// The release, or the undo, is run.
    Release,
    /// An extend, a repair or a release, however late, lifts the counter.
    Lift,
}

/// A decision of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The lock is handed out.
    HandOut,
    /// The attempt is given up, or the lock released.
    End,
    /// A round of extending begins.
    Extend,
    /// A round of extending is won.
    Extended,
}

/// A step of a change of membership at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Let a node of the old membership serve clients of the next, too.
    Begin,
    /// Let it serve clients of the new membership only.
    Finish,
}

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The key is gone: expired, evicted, deleted.
    LoseKey,
    /// It restarts without its data.
    Restart,
}

/// How an attempt is called in a trace.
pub fn attempt(index: usize) -> char {
    char::from(b'A' + u8::try_from(index).unwrap_or_default())
}

/// How a membership is called in a trace.
pub fn membership(index: usize) -> String {
    format!("M{}", "'".repeat(index))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = attempt;
        match *self {
            Self::Begin { attempt, membership: of, proposal } => {
                write!(f, "{} begins, as a client of {}", name(attempt), membership(of))?;
                if proposal > 0 { write!(f, ", proposing {proposal}") } else { Ok(()) }
            }
            Self::Win { attempt, heard } => {
                let heard: Vec<_> = heard.iter().map(|node| format!("n{}", node + 1)).collect();
                write!(f, "{} has won its first round by {}", name(attempt), heard.join(", "))
            }
            Self::At { attempt, node, what } => {
                write!(f, "n{}: {what:?} of {}", node + 1, name(attempt))
            }
            Self::Client { attempt, what } => write!(f, "{}: {what:?}", name(attempt)),
            Self::Operator { change, node, what } => {
                write!(f, "n{}: operator's {what:?} of change {}", node + 1, change + 1)
            }
            Self::Fault { node, what } => write!(f, "n{}: {what:?}", node + 1),
            Self::Join { node, membership: of } => {
                write!(f, "n{}: joined by a client of {}", node + 1, membership(of))
            }
            Self::Tick => f.write_str("a tick passes"),
        }
    }
}
