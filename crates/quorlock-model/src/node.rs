//! One node, and what the library's scripts do there (`crates/quorlock/src/lua`). When they are sent, and what is made of
//! their answers, is not decided here.

use crate::messages::Asked;
use crate::rules::{ATTEMPTS, Certify, Quarantine, Rules, World};

/// A lock key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The attempt whose token it holds.
    pub owner: u8,
    /// In how many ticks it expires; 0 where there is no clock.
    pub left: u8,
}

/// What a node knows about itself, as long as it keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker {
    /// The membership that it is part of.
    pub current: u8,
    /// For how many ticks it takes no new locks.
    pub quarantine: u8,
    /// In the study of a change: the membership whose clients it serves, too.
    pub next: Option<u8>,
    /// In the study of a change: for how many ticks leases of the membership before may last.
    pub settling: u8,
}

impl Marker {
    /// Of a node that has just begun.
    pub fn of(membership: usize, quarantine: u8) -> Self {
        Self { current: membership as u8, quarantine, next: None, settling: 0 }
    }

    fn serves(&self, membership: u8) -> bool {
        self.current == membership || self.next == Some(membership)
    }
}

/// A node, with what has been asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The lock key.
    pub key: Option<Key>,
    /// The fence counter beside it.
    pub counter: u8,
    /// `None`: it has lost its data, and nobody has joined it since.
    pub marker: Option<Marker>,
    /// What each attempt has under way here, or knows from here.
    pub asked: [Asked; ATTEMPTS],
}

impl Node {
    /// Whether it may give a new lock to a client of this membership.
    fn votes(&self, membership: u8, rules: &Rules) -> bool {
        self.marker.is_some_and(|marker| {
            marker.quarantine == 0 && (!rules.fingerprint || marker.serves(membership))
        })
    }

    /// `SET NX`, or `acquire_fenced.lua` where a proposal is made: what the attempt is counted as, if it was granted.
    pub fn acquire(
        &mut self,
        who: (usize, u8),
        ttl: u8,
        proposal: Option<u8>,
        rules: &Rules,
    ) -> Option<u8> {
        if self.key.is_some() || !self.votes(who.1, rules) {
            return None;
        }
        if let Some(proposal) = proposal {
            self.counter = (self.counter + 1).max(proposal);
        }
        self.key = Some(Key { owner: who.0 as u8, left: ttl });
        Some(if proposal.is_some() { self.counter } else { 0 })
    }

    /// `certify.lua`: raises the counter from what was granted to the fencing token.
    pub fn certify(&mut self, who: usize, granted: u8, token: u8, rules: &Rules) -> bool {
        let is_untouched = self.holds(who) && self.counter == granted;
        if !is_untouched && rules.certify != Certify::Always {
            return false;
        }
        self.lift(token);
        true
    }

    /// `extend.lua`: `Some(true)` where the key is kept, `Some(false)` where it is missing.
    pub fn extend(&mut self, who: usize, ttl: u8, token: u8) -> Option<bool> {
        match &mut self.key {
            Some(key) if key.is_of(who) => {
                key.left = key.left.max(ttl);
                self.lift(token);
                Some(true)
            }
            None => Some(false),
            Some(_) => None,
        }
    }

    /// `repair.lua`: sets the key again where it is missing.
    pub fn repair(&mut self, who: usize, ttl: u8, token: u8) -> bool {
        if self.key.is_some_and(|key| !key.is_of(who)) {
            return false;
        }
        self.key = Some(Key { owner: who as u8, left: ttl });
        self.lift(token);
        true
    }

    /// `release.lua`: deletes the key where it is the attempt's own.
    pub fn release(&mut self, who: usize, token: u8) {
        if self.holds(who) {
            self.key = None;
        }
        self.lift(token);
    }

    /// The end of each of the scripts above, for a lease that has a fencing token.
    pub fn lift(&mut self, token: u8) {
        self.counter = self.counter.max(token);
    }

    /// `join.lua`, where there is no marker: it takes on the membership of whichever client comes first.
    pub fn join(&mut self, membership: usize, quarantine: u8) -> bool {
        let is_empty = self.marker.is_none();
        if is_empty {
            self.marker = Some(Marker::of(membership, quarantine));
        }
        is_empty
    }

    /// It comes back without its data. Where there is but one membership it is joined at once: that is when its
    /// quarantine is over soonest.
    pub fn restart(&mut self, world: &World, rules: &Rules) {
        (self.key, self.counter, self.marker) = (None, 0, None);
        if rules.quarantine == Quarantine::InClients {
            // Whoever had begun has lost the connection, and abstains here. Who begins later knows nothing.
            self.asked.iter_mut().for_each(|asked| asked.acquire = Default::default());
        }
        if world.memberships.len() == 1 {
            self.join(0, rules.quarantined(world));
        }
    }

    /// A tick passes.
    pub fn tick(&mut self) {
        if let Some(key) = &mut self.key {
            key.left -= 1;
        }
        self.key = self.key.filter(|key| key.left > 0);
        if let Some(marker) = &mut self.marker {
            marker.quarantine = marker.quarantine.saturating_sub(1);
            marker.settling = marker.settling.saturating_sub(1);
        }
    }

    /// Whether its key is this attempt's.
    pub fn holds(&self, attempt: usize) -> bool {
        self.key.is_some_and(|key| key.is_of(attempt))
    }
}

impl Key {
    fn is_of(self, attempt: usize) -> bool {
        usize::from(self.owner) == attempt
    }
}
