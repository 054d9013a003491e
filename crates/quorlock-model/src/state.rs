//! All that a step may depend on: the nodes, the attempts, and what happened that should not. No rules.

use crate::node::{Marker, Node};
use crate::nodes::NodeSet;
use crate::rules::{ATTEMPTS, NODES, World};

/// A moment of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The nodes, of which the world's first few are there.
    pub nodes: [Node; NODES],
    /// The attempts, in the order in which they begin.
    pub attempts: [Attempt; ATTEMPTS],
    /// How many times more a node may restart.
    pub restarts: u8,
    /// In the study of a change: the second may begin.
    pub may_follow: bool,
    /// Whom the lock was handed to last, counted from 1; kept only where leases are extended.
    pub last: u8,
    /// A token was handed out that is not above all that were handed out before it, or a lease extended after a later one
    /// was handed out.
    pub is_out_of_order: bool,
    /// A lease was extended whose majority was gone.
    pub is_brought_back: bool,
}

/// One attempt to take the lock, and the lease that it may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt {
    /// How far it has come.
    pub phase: Phase,
    /// The membership of its client.
    pub membership: u8,
    /// The least that it asks to be counted as.
    pub proposal: u8,
    /// The highest token that was handed out before it began.
    pub floor: u8,
    /// The highest counter that it was granted: what it wants certified.
    pub highest: u8,
    /// Whether it needs a second round.
    pub second_round: bool,
    /// What it was handed out with: the fencing token, or 1 where there are none. 0: nothing was handed out.
    pub token: u8,
    /// In how many ticks the lease is over.
    pub left: u8,
    /// How many rounds of extending it has yet.
    pub extends: u8,
    /// The round of extending that goes on: in how many ticks the lease is over if it is won.
    pub round: Option<u8>,
    /// A quorum kept the lease in the last round.
    pub is_proven: bool,
    /// Fewer than a quorum hold the lease, and nothing under way could change that.
    pub is_gone: bool,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Phase {
    /// It has not begun.
    #[default]
    Waiting,
    /// The first round.
    Asking,
    /// The first round was won; so many nodes have to certify.
    Certifying,
    /// The lock was handed out.
    Holding,
    /// It was given up, released or lost.
    Over,
}

impl State {
    /// The start: every node is fit, and knows the first membership if it is part of it.
    pub fn first(world: &World) -> Self {
        let node = |index: usize| {
            let marker = world.memberships[0].contains(index).then(|| Marker::of(0, 0));
            Node { key: None, counter: 0, marker, asked: Default::default() }
        };
        Self {
            nodes: std::array::from_fn(node),
            attempts: Default::default(),
            restarts: world.restarts,
            may_follow: false,
            last: 0,
            is_out_of_order: false,
            is_brought_back: false,
        }
    }

    /// The highest token that was handed out.
    pub fn highest_token(&self) -> u8 {
        self.attempts.iter().map(|attempt| attempt.token).max().unwrap_or_default()
    }

    /// How many of these nodes are such.
    pub fn count(&self, nodes: NodeSet, is_such: impl Fn(&Node) -> bool) -> usize {
        nodes.iter().filter(|index| is_such(&self.nodes[*index])).count()
    }
}

impl Attempt {
    /// Whether a client holds the lock by it, as far as that client can know.
    pub fn is_valid(&self) -> bool {
        self.phase == Phase::Holding && self.left > 0
    }
}
