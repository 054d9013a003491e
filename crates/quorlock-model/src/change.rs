//! Why the library has no change of membership: one that was planned, and how each form of it breaks. A node's marker
//! names the membership of now and the next, and clients of both are served until an operator has finished the change
//! there. Nothing of this is in the library.

use crate::action::{Action, Operator};
use crate::model::EXCLUSIVE;
use crate::node::Marker;
use crate::nodes::NodeSet;
use crate::rules::{Rules, World};
use crate::state::State;
use crate::variants::{BRIEF, Size, THREE, Variant};

/// The changes that an operator makes, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// From which membership to which, as indices.
    pub steps: &'static [(usize, usize)],
    /// When the second may begin.
    pub follow: Follow,
}

/// When a change of membership may follow on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// At once.
    AtOnce,
    /// When a quorum has finished the one before.
    Finished,
    /// When a quorum has finished the one before for as long as a lease may last.
    Settled,
}

impl Change {
    /// What an operator may do at a node.
    pub fn actions(&self, node: usize, actions: &mut Vec<Action>) {
        for change in 0..self.steps.len() {
            let all = [Operator::Begin, Operator::Finish];
            actions.extend(all.map(|what| Action::Operator { change, node, what }));
        }
    }

    /// Takes a step of a change at one node, or says that it cannot be taken.
    pub fn step(
        &self,
        world: &World,
        state: &mut State,
        change: usize,
        node: usize,
        what: Operator,
    ) -> bool {
        let (from, to) = self.steps[change];
        let may_begin = change == 0 || self.follow == Follow::AtOnce || state.may_follow;
        let Some(marker) = &mut state.nodes[node].marker else { return false };
        match what {
            Operator::Begin if may_begin && has_finished(marker, from) => {
                marker.next = Some(to as u8);
            }
            Operator::Finish if marker.next == Some(to as u8) => {
                let settling = if self.follow == Follow::Settled { world.longest() } else { 0 };
                *marker = Marker { settling, ..Marker::of(to, marker.quarantine) };
            }
            _ => return false,
        }
        true
    }

    /// An operator knows at once that a quorum has finished, all of it at one time. To know it later only keeps from
    /// steps.
    pub fn look(&self, world: &World, state: &mut State) {
        let Some(&(from, _)) = self.steps.get(1) else { return };
        let is_settled = |marker: &Marker| {
            self.follow != Follow::Settled || (marker.settling == 0 && marker.quarantine == 0)
        };
        let finished = state.count(world.memberships[from], |node| {
            node.marker.is_some_and(|marker| has_finished(&marker, from) && is_settled(&marker))
        });
        state.may_follow |= finished >= world.quorum(from);
    }
}

fn has_finished(marker: &Marker, membership: usize) -> bool {
    usize::from(marker.current) == membership && marker.next.is_none()
}

/// Each but the first is broken. Rules that mend them were tried (extends that are checked, proofs for empty nodes, counters
/// that are carried over) and are not here: each led to another trace, and all of them together were never checked to the
/// end with what can go wrong.
pub fn variants() -> Vec<Variant> {
    const FOUR: NodeSet = NodeSet::of(&[1, 2, 3, 4]);
    const OTHER_THREE: NodeSet = NodeSet::of(&[1, 2, 4]);
    let direct = Change { steps: &[(0, 1)], follow: Follow::Finished };
    // Three nodes, then four, then three of which one is new.
    let replaced = |follow, base: World| World {
        memberships: &[THREE, FOUR, OTHER_THREE],
        clients: &[&[0], &[2]],
        change: Some(Change { steps: &[(0, 1), (1, 2)], follow }),
        ..base
    };
    let breaks = |name, says, world| Variant::breaks(EXCLUSIVE, name, says, world, Rules::RIGHT);
    let all = [
        Variant::holds(
            "change-waited",
            "a second change waits for a TTL, and nothing restarts or is extended",
            replaced(Follow::Settled, BRIEF),
            Rules::RIGHT,
        ),
        breaks(
            "change-directly",
            "one node for another in one step: q + q' is not above the union",
            World {
                memberships: &[THREE, OTHER_THREE],
                clients: &[&[0, 1], &[0, 1]],
                change: Some(direct),
                ..BRIEF
            },
        ),
        breaks(
            "change-second-at-once",
            "a second change begins before a quorum has finished the first",
            replaced(Follow::AtOnce, BRIEF),
        ),
        breaks(
            "change-first-thought",
            "a second change begins when a quorum has finished the first",
            replaced(Follow::Finished, BRIEF),
        ),
        breaks(
            "change-first-comer",
            "a second change waits for a TTL, but a node restarts, and takes on what the first to come has",
            replaced(Follow::Settled, World { restarts: 1, ..BRIEF }),
        ),
    ];
    all.map(|one| one.sized(Size::Medium)).to_vec()
}
