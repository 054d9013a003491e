//! The clock audit of one extend: what an answer is worth as a vote, and what it says about the answers to come. The rule
//! itself is on the ground floor.

use std::sync::Arc;
use std::time::Instant;

use crate::audit::{self, Baselines, Each};
use crate::error::{Failure, NodeErrorKind};
use crate::event::Event;
use crate::fan_out::Nodes;
use crate::lease::Terms;
use crate::node::Reply;

/// One extend's audit, until its last answer.
#[derive(Debug)]
pub(super) struct Audit {
    sent: Instant,
    baselines: Arc<Baselines>,
    /// As they were when it was sent. What was acknowledged later may have been set later, too.
    before: Each,
}

impl Audit {
    /// Before the first byte is sent.
    ///
    /// Boxed, since every keeper has room for the round of an extend.
    pub(super) fn begin(baselines: &Arc<Baselines>, sent: Instant) -> Box<Self> {
        Box::new(Self { sent, baselines: Arc::clone(baselines), before: baselines.copy() })
    }

    /// Why an answer is no vote, if it is none. A vote of a node whose clock ran ahead is void: its key was prolonged all
    /// the same, so the next one is measured by that.
    pub(super) fn objection(
        &self,
        nodes: &Nodes,
        terms: &Terms,
        index: usize,
        reply: Reply,
    ) -> Option<Failure> {
        let Reply::Kept { found } = reply else {
            self.baselines.set(index, None);
            return Some(reply.into_failure());
        };
        let backed = terms.validity.at_least(found).deadline(self.sent);
        self.baselines.set(index, Some(backed));
        let before = self.before.get(index).copied().flatten()?;
        // Read at the soonest that can be: who is right even so needs no look at the clock.
        audit::missing(before, found, self.sent)?;
        let missing = audit::missing(before, found, nodes.clock.now())?;
        nodes.audience.tell(|| Event::ClockAnomaly {
            node: Arc::clone(nodes.list[index].name()),
            resources: terms.keys.resources().clone(),
            missing,
        });
        Some(NodeErrorKind::ClockRanAhead.into())
    }

    /// A node was repaired by what was sent then.
    pub(super) fn repaired(&self, terms: &Terms, index: usize, sent: Instant) {
        self.baselines.set(index, Some(terms.validity.deadline(sent)));
    }
}

#[cfg(test)]
mod tests;
