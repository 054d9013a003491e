//! What the relay does with bytes and with new connections just now: a plain value. It moves no bytes.

use std::time::Duration;

/// One way along the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the client to the node.
    Requests,
    /// From the node to the client.
    Replies,
}

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Pass,
    Hold,
    Lose,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admission {
    #[default]
    Forward,
    Refuse,
    Silence,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) requests: Fate,
    pub(crate) replies: Fate,
    pub(crate) delay: Duration,
    pub(crate) admission: Admission,
    /// Requests of this one connection are held.
    pub(crate) stuck: bool,
}

impl Weather {
    pub(crate) fn fate(&self, direction: Direction) -> Fate {
        match direction {
            Direction::Requests if self.stuck && self.requests == Fate::Pass => Fate::Hold,
            Direction::Requests => self.requests,
            Direction::Replies => self.replies,
        }
    }

    pub(crate) fn set(&mut self, direction: Direction, fate: Fate) {
        match direction {
            Direction::Requests => self.requests = fate,
            Direction::Replies => self.replies = fate,
        }
    }

    pub(crate) fn set_both(&mut self, fate: Fate) {
        self.requests = fate;
        self.replies = fate;
    }

    /// Held bytes go on; lost directions stay lost.
    pub(crate) fn release(&mut self) {
        for direction in [Direction::Requests, Direction::Replies] {
            if self.fate(direction) == Fate::Hold {
                self.set(direction, Fate::Pass);
            }
        }
    }

    pub(crate) fn refuses(&self) -> bool {
        self.admission == Admission::Refuse
    }

    /// Whether a client could hear at all that nobody listens behind the wire.
    pub(crate) fn is_clear(&self) -> bool {
        self.requests == Fate::Pass && self.replies == Fate::Pass
    }
}
