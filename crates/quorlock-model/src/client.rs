//! One attempt, as `crates/quorlock/src/round.rs` and `round/certify.rs` make it: when it is won, what it sends, when an
//! extend counts. What a node does with it is not said here.

use crate::action::{At, Client};
use crate::messages::{Acquire, Asked, Extend};
use crate::nodes::NodeSet;
use crate::rules::{Certify, Rules, World};
use crate::state::{Phase, State};

/// The clients of a world, by their rules.
#[derive(Clone, Copy, Debug)]
pub struct Clients<'a> {
    /// Where they are.
    pub world: &'a World,
    /// What they keep to.
    pub rules: &'a Rules,
}

impl Clients<'_> {
    fn ttl(&self) -> u8 {
        self.world.longest()
    }

    fn members(&self, state: &State, a: usize) -> NodeSet {
        self.world.memberships[usize::from(state.attempts[a].membership)]
    }

    /// `start` is taken, and the acquire is sent to all at once. Attempts begin in the order of their names: they do not
    /// differ in anything else.
    pub fn begin(&self, state: &mut State, a: usize, membership: usize, proposal: u8) -> bool {
        let is_next = a == 0 || state.attempts[a - 1].phase != Phase::Waiting;
        if state.attempts[a].phase != Phase::Waiting || !is_next {
            return false;
        }
        let floor = if self.world.fenced.is_some() { state.highest_token() } else { 0 };
        let attempt = &mut state.attempts[a];
        attempt.phase = Phase::Asking;
        (attempt.membership, attempt.proposal, attempt.floor) = (membership as u8, proposal, floor);
        (attempt.left, attempt.extends) = (self.ttl(), self.world.extends);
        for n in self.world.memberships[membership].iter() {
            state.nodes[n].asked[a].acquire = Acquire::Asked;
        }
        true
    }

    /// The first round of a fenced attempt ends at the grant that makes enough of them.
    pub fn win(&self, state: &mut State, a: usize, heard: NodeSet) -> bool {
        let attempt = &mut state.attempts[a];
        if attempt.phase != Phase::Asking || self.world.fenced.is_none() {
            return false;
        }
        let granted = |n: usize| match state.nodes[n].asked[a].acquire {
            Acquire::Granted(counter) => Some(counter),
            _ => None,
        };
        let Some(counters) = heard.iter().map(granted).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let highest = counters.iter().copied().max().unwrap_or_default();
        attempt.phase = Phase::Certifying;
        attempt.highest = highest;
        attempt.second_round = counters.iter().any(|counter| *counter < highest);
        for n in heard.iter() {
            self.judge(&mut state.nodes[n].asked[a].acquire, highest);
        }
        true
    }

    /// A node that has counted as much certifies by that; one that has counted less is asked to; one that has counted more
    /// certifies nothing.
    fn judge(&self, acquire: &mut Acquire, highest: u8) {
        let Acquire::Granted(counter) = *acquire else { return };
        *acquire = match counter.cmp(&highest) {
            _ if self.rules.certify == Certify::Never => Acquire::Certified,
            std::cmp::Ordering::Less => Acquire::Certifying(counter),
            std::cmp::Ordering::Equal => Acquire::Certified,
            std::cmp::Ordering::Greater => Acquire::Not,
        };
    }

    /// Something that is under way between an attempt and a node arrives.
    pub fn at(&self, state: &mut State, a: usize, n: usize, what: At) -> bool {
        let (attempt, may_repair) = (state.attempts[a], self.may_always_repair(state, a));
        let node = &mut state.nodes[n];
        let asked = node.asked[a];
        match what {
            At::Acquire if asked.acquire == Acquire::Asked => {
                let proposal = self.world.fenced.map(|_| attempt.proposal);
                let who = (a, attempt.membership);
                let Some(counter) = node.acquire(who, self.ttl(), proposal, self.rules) else {
                    return false;
                };
                let is_heard = matches!(attempt.phase, Phase::Asking | Phase::Certifying);
                node.asked[a].acquire =
                    if is_heard { Acquire::Granted(counter) } else { Acquire::Not };
                true
            }
            At::HearLate if attempt.phase == Phase::Certifying => {
                let acquire = &mut node.asked[a].acquire;
                self.judge(acquire, attempt.highest);
                *acquire != asked.acquire
            }
            At::Certify => {
                let Acquire::Certifying(granted) = asked.acquire else { return false };
                let is_heard = attempt.phase == Phase::Certifying;
                let is_raised = node.certify(a, granted, attempt.highest, self.rules);
                if is_raised {
                    node.asked[a].acquire =
                        if is_heard { Acquire::Certified } else { Acquire::Not };
                }
                is_raised
            }
            At::Extend if asked.extend == Extend::Asked => self.extend_at(state, a, n),
            At::Repair if asked.repair || may_repair => {
                node.asked[a].repair = false;
                node.repair(a, self.ttl(), self.lifted_to(attempt.token))
            }
            At::Release if attempt.phase == Phase::Over && node.holds(a) => {
                node.release(a, self.lifted_to(attempt.token));
                true
            }
            At::Lift if node.counter < self.lifted_to(attempt.token) => {
                node.lift(attempt.token);
                true
            }
            _ => false,
        }
    }

    /// What extend, repair and release lift counters to.
    fn lifted_to(&self, token: u8) -> u8 {
        if self.world.fenced.is_some() { token } else { 0 }
    }

    /// Without a clock there is no proof in time: whoever was handed the lock repairs at any time, which is more than the
    /// library does.
    fn may_always_repair(&self, state: &State, a: usize) -> bool {
        self.world.ttl.is_none() && state.attempts[a].phase == Phase::Holding
    }

    fn extend_at(&self, state: &mut State, a: usize, n: usize) -> bool {
        let (attempt, node) = (state.attempts[a], &mut state.nodes[n]);
        let token = self.lifted_to(attempt.token);
        let Some(is_kept) = node.extend(a, self.ttl(), token) else { return false };
        let asked = &mut node.asked[a];
        asked.extend = if is_kept { Extend::Kept } else { Extend::Missing };
        if !is_kept && !self.rules.repair_proven {
            if !node.repair(a, self.ttl(), token) {
                return false;
            }
            node.asked[a].extend = Extend::Kept;
        } else if attempt.is_proven {
            // The round is won already: who says so late is repaired, too.
            asked.extend = Extend::Not;
            asked.repair = !is_kept && attempt.is_valid();
        }
        true
    }

    /// What a client does by itself.
    pub fn client(&self, state: &mut State, a: usize, what: Client) -> bool {
        match what {
            Client::HandOut => self.hand_out(state, a),
            Client::End => self.end(state, a),
            Client::Extend => self.extend(state, a),
            Client::Extended => self.extended(state, a),
        }
    }

    fn hand_out(&self, state: &mut State, a: usize) -> bool {
        let attempt = state.attempts[a];
        let (phase, vote) = match self.world.fenced {
            Some(_) => (Phase::Certifying, Acquire::Certified),
            None => (Phase::Asking, Acquire::Granted(0)),
        };
        let members = self.members(state, a);
        let votes = state.count(members, |node| node.asked[a].acquire == vote);
        // The clock is read again: an attempt whose time is over has ended by then.
        if attempt.phase != phase || votes < self.world.needed(usize::from(attempt.membership)) {
            return false;
        }
        let token = if self.world.fenced.is_some() { attempt.highest } else { 1 };
        state.is_out_of_order |= self.world.fenced.is_some() && token <= state.highest_token();
        state.attempts[a].phase = Phase::Holding;
        state.attempts[a].token = token;
        state.last = a as u8 + 1;
        self.forget_grants(state, a);
        true
    }

    /// What was granted is of no more interest. What is under way stays under way.
    fn forget_grants(&self, state: &mut State, a: usize) {
        for node in &mut state.nodes {
            let acquire = &mut node.asked[a].acquire;
            if matches!(acquire, Acquire::Granted(_) | Acquire::Certified) {
                *acquire = Acquire::Not;
            }
        }
    }

    /// The end of an attempt or a lease: nobody has to hear of it. Where there is no clock nothing ends: keys go at any
    /// time all the same.
    pub fn end(&self, state: &mut State, a: usize) -> bool {
        let attempt = &mut state.attempts[a];
        let has_begun = !matches!(attempt.phase, Phase::Waiting | Phase::Over);
        if !has_begun || self.world.ttl.is_none() {
            return false;
        }
        attempt.phase = Phase::Over;
        (attempt.left, attempt.extends, attempt.round) = (0, 0, None);
        (attempt.is_proven, attempt.is_gone, attempt.second_round) = (false, false, false);
        self.forget_grants(state, a);
        for node in &mut state.nodes {
            let Asked { acquire, extend: _, repair } = node.asked[a];
            // A late extend prolongs only a key of an attempt that is over. That key may stay away or be released at any
            // time as well, so it takes nothing from anybody that is not taken without it.
            node.asked[a] = Asked { acquire, extend: Extend::Not, repair };
        }
        true
    }

    fn extend(&self, state: &mut State, a: usize) -> bool {
        let (members, ttl) = (self.members(state, a), self.ttl());
        let attempt = &mut state.attempts[a];
        if !attempt.is_valid() || attempt.extends == 0 || attempt.round.is_some() {
            return false;
        }
        (attempt.extends, attempt.round) = (attempt.extends - 1, Some(ttl));
        attempt.is_proven = false;
        for n in members.iter() {
            state.nodes[n].asked[a].extend = Extend::Asked;
        }
        true
    }

    fn extended(&self, state: &mut State, a: usize) -> bool {
        let (members, attempt) = (self.members(state, a), state.attempts[a]);
        let Some(left) = attempt.round else { return false };
        let kept = state.count(members, |node| node.asked[a].extend == Extend::Kept);
        let in_time = attempt.is_valid() || (!self.rules.extend_in_time && left > 0);
        if kept < self.world.quorum(usize::from(attempt.membership)) || !in_time {
            return false;
        }
        state.is_brought_back |= attempt.is_gone;
        state.is_out_of_order |= usize::from(state.last) != a + 1;
        let attempt = &mut state.attempts[a];
        (attempt.left, attempt.round, attempt.is_proven) = (left, None, true);
        for n in members.iter() {
            let asked = &mut state.nodes[n].asked[a];
            asked.repair |= asked.extend == Extend::Missing;
            if asked.extend != Extend::Asked {
                asked.extend = Extend::Not;
            }
        }
        true
    }

    /// A tick passes for whoever counts one.
    pub fn tick(&self, state: &mut State, a: usize) {
        let attempt = &mut state.attempts[a];
        if matches!(attempt.phase, Phase::Waiting | Phase::Over) {
            return;
        }
        attempt.left = attempt.left.saturating_sub(1);
        attempt.round = attempt.round.map(|left| left - 1).filter(|left| *left > 0);
        let waits_on = !self.rules.extend_in_time && attempt.round.is_some();
        if attempt.left == 0 && !waits_on {
            self.end(state, a);
        }
    }

    /// Looks whether the majority of a lease is gone: fewer than a quorum hold it, have said so in the round that goes on,
    /// or may yet be set by what is under way.
    pub fn mark_gone(&self, state: &mut State, a: usize) {
        let attempt = state.attempts[a];
        if attempt.phase != Phase::Holding || (attempt.extends == 0 && attempt.round.is_none()) {
            state.attempts[a].is_gone = false;
            return;
        }
        let may_hold = state.count(self.members(state, a), |node| {
            let Asked { acquire, extend, repair } = node.asked[a];
            let said = attempt.round.is_some() && extend == Extend::Kept;
            node.holds(a) || acquire == Acquire::Asked || repair || said
        });
        let quorum = self.world.quorum(usize::from(attempt.membership));
        state.attempts[a].is_gone |= may_hold < quorum;
    }
}
