//! What a variant of the model is made of: the world it is played in, and the rules that everybody keeps in it. No
//! state, no steps.

use crate::change::Change;
use crate::nodes::NodeSet;

/// How many nodes a world may have.
pub const NODES: usize = 5;
/// How many attempts to take the lock a world may have.
pub const ATTEMPTS: usize = 3;

/// Where a variant is played, and how far: every bound of the search stands here.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The sets of nodes that clients may be configured with; the first is the one that the nodes know at the start.
    pub memberships: &'static [NodeSet],
    /// What the client of each attempt may be configured with.
    pub clients: &'static [&'static [usize]],
    /// How many ticks a key and a lease last. `None`: no clock at all, and a key may be gone at any time.
    pub ttl: Option<u8>,
    /// Whether the attempts want fencing tokens, and how many nodes have to certify one (a quorum at least).
    pub fenced: Option<usize>,
    /// The least that an attempt may ask to be counted as: any of these.
    pub proposals: &'static [u8],
    /// How many rounds of extending each lease has.
    pub extends: u8,
    /// How many times a node may restart without its data.
    pub restarts: u8,
    /// The study of a change of membership; the library has none.
    pub change: Option<Change>,
}

impl World {
    /// How many attempts there are.
    pub const fn attempts(&self) -> usize {
        self.clients.len()
    }

    /// How many nodes there are in all.
    pub fn nodes(&self) -> usize {
        let all = self.memberships.iter().fold(NodeSet::EMPTY, |all, one| all.or(*one));
        all.len()
    }

    /// How many nodes of a membership hold a lease.
    pub fn quorum(&self, membership: usize) -> usize {
        self.memberships[membership].len() / 2 + 1
    }

    /// How many nodes have to grant an attempt.
    pub fn needed(&self, membership: usize) -> usize {
        self.quorum(membership).max(self.fenced.unwrap_or_default())
    }

    /// For how long a node that has lost its data votes on nothing: the longest TTL, which here is the only one.
    pub fn longest(&self) -> u8 {
        self.ttl.unwrap_or_default()
    }
}

/// How a fencing token is made certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certify {
    /// A node raises a counter only while it holds this attempt's key and the counter is the one that was granted.
    Exact,
    /// A node raises a counter whoever holds its key.
    Always,
    /// The highest counter is the token: nothing is raised.
    Never,
}

/// What keeps a node that forgot its keys from voting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quarantine {
    /// A marker on the node, for everybody.
    OnNode,
    /// The memory of the clients that saw it restart; who comes later knows nothing.
    InClients,
    /// Nothing.
    Off,
}

/// The rules that everybody keeps.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How a fencing token is made certain.
    pub certify: Certify,
    /// An extend counts only before the old deadline.
    pub extend_in_time: bool,
    /// What is missing is set again only after a quorum kept the lease in the same round, and never counts. Else it is
    /// set at once, and counts.
    pub repair_proven: bool,
    /// What keeps a node that forgot its keys from voting.
    pub quarantine: Quarantine,
    /// A node gives no new lock to a client of another membership than its marker names. What is held is extended,
    /// repaired and released all the same.
    pub fingerprint: bool,
}

impl Rules {
    /// The library's.
    pub const RIGHT: Self = Self {
        certify: Certify::Exact,
        extend_in_time: true,
        repair_proven: true,
        quarantine: Quarantine::OnNode,
        fingerprint: true,
    };

    /// For how many ticks a node that was joined empty takes no new locks.
    pub fn quarantined(&self, world: &World) -> u8 {
        if self.quarantine == Quarantine::OnNode { world.longest() } else { 0 }
    }
}
