//! The model as stateright checks it: which steps there are, and what has to hold after each. What a step does is said
//! by those who take it.

use stateright::{Model, Property};

use crate::action::{Action, At, Client, Fault};
use crate::client::Clients;
use crate::messages::Acquire;
use crate::node::Node;
use crate::rules::{Rules, World};
use crate::state::{Attempt, Phase, State};

/// A world and its rules.
#[derive(Clone, Copy, Debug)]
pub struct Quorlock {
    /// Where it is played.
    pub world: World,
    /// By which rules.
    pub rules: Rules,
    /// Only this has to hold, and nothing has to be reached. `None`: all that is promised.
    pub only: Option<&'static str>,
    /// Whether nodes may stand for one another: fewer states, and traces in which nodes change their names.
    pub is_sorted: bool,
}

/// Tokens are unique.
pub const UNIQUE: &str = "P1 tokens are unique";
/// A token is above all that were handed out before its acquire began.
pub const ABOVE_EARLIER: &str = "P2 a token is above those handed out before its acquire began";
/// Tokens grow in the order in which they are handed out, and no lease is extended after a later one was handed out: only
/// where there is a clock that all share.
pub const IN_ORDER: &str =
    "P3 tokens grow in the order of handing out, and only the last is extended";
/// At most one lease is valid.
pub const EXCLUSIVE: &str = "P4 at most one lease is valid";
/// A lease whose majority is gone is not brought back.
pub const NOT_BROUGHT_BACK: &str = "P5 a lease whose majority is gone is not brought back";

const AT: [At; 7] =
    [At::Acquire, At::HearLate, At::Certify, At::Extend, At::Repair, At::Release, At::Lift];
const CLIENT: [Client; 4] = [Client::HandOut, Client::End, Client::Extend, Client::Extended];

impl Quorlock {
    fn clients(&self) -> Clients<'_> {
        Clients { world: &self.world, rules: &self.rules }
    }

    /// Takes a step, or says that it cannot be taken.
    fn step(&self, state: &mut State, action: Action) -> bool {
        let (clients, world) = (self.clients(), &self.world);
        match action {
            Action::Begin { attempt, membership, proposal } => {
                clients.begin(state, attempt, membership, proposal)
            }
            Action::Win { attempt, heard } => clients.win(state, attempt, heard),
            Action::At { attempt, node, what } => clients.at(state, attempt, node, what),
            Action::Client { attempt, what } => clients.client(state, attempt, what),
            Action::Operator { change: step, node, what } => {
                world.change.is_some_and(|change| change.step(world, state, step, node, what))
            }
            Action::Fault { node, what: Fault::LoseKey } => {
                world.ttl.is_none() && state.nodes[node].key.take().is_some()
            }
            Action::Fault { node, what: Fault::Restart } => {
                let Some(left) = state.restarts.checked_sub(1) else { return false };
                state.restarts = left;
                state.nodes[node].restart(world, &self.rules);
                true
            }
            Action::Join { node, membership } => {
                let is_member = world.memberships[membership].contains(node);
                is_member && state.nodes[node].join(membership, self.rules.quarantined(world))
            }
            Action::Tick => self.tick(state),
        }
    }

    fn tick(&self, state: &mut State) -> bool {
        if self.world.ttl.is_none() {
            return false;
        }
        state.nodes.iter_mut().for_each(Node::tick);
        (0..self.world.attempts()).for_each(|a| self.clients().tick(state, a));
        true
    }

    fn attempt_actions(&self, state: &State, a: usize, actions: &mut Vec<Action>) {
        let attempt = state.attempts[a];
        let members = self.world.memberships[usize::from(attempt.membership)];
        match attempt.phase {
            Phase::Waiting => {
                for &membership in self.world.clients[a] {
                    let begin = |&proposal| Action::Begin { attempt: a, membership, proposal };
                    actions.extend(self.world.proposals.iter().map(begin));
                }
                return;
            }
            Phase::Asking if self.world.fenced.is_some() => {
                let needed = self.world.needed(usize::from(attempt.membership));
                let win = |heard| Action::Win { attempt: a, heard };
                actions.extend(members.choices(needed).map(win));
            }
            _ => {}
        }
        for node in members.iter() {
            actions.extend(AT.map(|what| Action::At { attempt: a, node, what }));
        }
        actions.extend(CLIENT.map(|what| Action::Client { attempt: a, what }));
    }

    fn node_actions(&self, state: &State, node: usize, actions: &mut Vec<Action>) {
        actions.extend([Fault::LoseKey, Fault::Restart].map(|what| Action::Fault { node, what }));
        if let Some(change) = self.world.change {
            change.actions(node, actions);
        }
        if state.nodes[node].marker.is_none() {
            for membership in 0..self.world.memberships.len() {
                actions.push(Action::Join { node, membership });
            }
        }
    }

    fn tokens(state: &State) -> impl Iterator<Item = u8> {
        state.attempts.iter().map(|attempt| attempt.token).filter(|token| *token > 0)
    }

    fn promises(&self) -> Vec<Property<Self>> {
        let mut all = Vec::new();
        if self.world.fenced.is_some() {
            all.push(Property::<Self>::always(UNIQUE, |_, state| {
                let same = |token| Self::tokens(state).filter(|other| *other == token).count();
                Self::tokens(state).all(|token| same(token) == 1)
            }));
            all.push(Property::<Self>::always(ABOVE_EARLIER, |_, state| {
                state.attempts.iter().all(|one| one.token == 0 || one.token > one.floor)
            }));
        }
        if self.world.ttl.is_some() {
            all.push(Property::<Self>::always(IN_ORDER, |_, state| !state.is_out_of_order));
            all.push(Property::<Self>::always(EXCLUSIVE, |_, state| {
                state.attempts.iter().filter(|attempt| attempt.is_valid()).count() < 2
            }));
            all.push(Property::<Self>::always(NOT_BROUGHT_BACK, |_, state| !state.is_brought_back));
        }
        all
    }

    /// What has to be reached for the promises to mean anything.
    fn witnesses(&self) -> Vec<Property<Self>> {
        let mut all = vec![Property::<Self>::sometimes("two are handed out", |_, state| {
            Self::tokens(state).count() == 2
        })];
        // Where all nodes have to grant, all have run the acquire by then.
        let some_are_spared = self.world.fenced < Some(self.world.nodes());
        if self.world.fenced.is_some() {
            all.push(Property::<Self>::sometimes("one by a second round", |_, state| {
                let is_one = |one: &Attempt| one.second_round && one.token > 0;
                state.attempts.iter().any(is_one)
            }));
        }
        if some_are_spared && (self.world.ttl.is_none() || self.world.extends > 0) {
            all.push(Property::<Self>::sometimes("a repair", |model, state| {
                // A key that is there although its acquire is still under way.
                let is_set = |a: usize| {
                    let still = |node: &&Node| node.asked[a].acquire == Acquire::Asked;
                    state.nodes.iter().filter(still).any(|node| node.holds(a))
                };
                (0..model.world.attempts()).any(is_set)
            }));
        }
        all
    }
}

impl Model for Quorlock {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.world)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for attempt in 0..self.world.attempts() {
            self.attempt_actions(state, attempt, actions);
        }
        for node in 0..self.world.nodes() {
            self.node_actions(state, node, actions);
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        if !self.step(&mut next, action) {
            return None;
        }
        if self.world.ttl.is_some() {
            (0..self.world.attempts()).for_each(|a| self.clients().mark_gone(&mut next, a));
        }
        if let Some(change) = self.world.change {
            change.look(&self.world, &mut next);
        }
        if self.world.extends == 0 {
            next.last = 0;
        }
        if self.is_sorted {
            next.nodes[..self.world.nodes()].sort_unstable();
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = self.promises();
        match self.only {
            Some(only) => all.retain(|property| property.name == only),
            None => all.extend(self.witnesses()),
        }
        all
    }
}
