//! What becomes of an extend that a quorum has kept, where it was not all nodes: those that have lost the lease get it again.
//! Nobody waits for it, and it takes no task: it is done where the answers are read.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::audit::Audit;
use super::{Kept, question};
use crate::event::Event;
use crate::fan_out::Nodes;
use crate::lease::Terms;
use crate::node::{Heir, NodeSet, Reply, Verb, Wake};
use crate::token::Token;

/// Sets the lease again on nodes that have lost it, those that say so late included; in the background.
///
/// Only after a quorum kept it in the same round, only while that lasts, and never as a vote: a lease whose majority is
/// gone is not brought back (G6).
///
/// `touch` hears which nodes may hold the keys before they are asked.
pub(crate) fn repair(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    token: &Arc<Token>,
    kept: Kept,
    touch: impl Fn(NodeSet) + Send + Sync + 'static,
) {
    let Kept { until, missing, asked, audit } = kept;
    if missing.is_empty() && asked.is_done() {
        return;
    }
    let (terms, token) = (terms.clone(), Arc::clone(token));
    let repairing =
        Arc::new(Repairing { nodes: Arc::downgrade(nodes), terms, token, until, audit, touch });
    if !missing.is_empty() {
        repairing.ask(nodes, missing);
    }
    asked.leave_to(repairing);
}

/// What has to be known until the last node has answered.
struct Repairing<T> {
    /// Questions that wait for answers are theirs. Where nobody else needs them, nobody holds the lease.
    nodes: Weak<Nodes>,
    terms: Terms,
    token: Arc<Token>,
    until: Instant,
    audit: Box<Audit>,
    touch: T,
}

impl<T: Fn(NodeSet) + Send + Sync + 'static> Repairing<T> {
    fn ask(self: &Arc<Self>, nodes: &Arc<Nodes>, which: NodeSet) {
        (self.touch)(which);
        let sent = nodes.clock.now();
        let question = question(Verb::Repair, &self.terms, &self.token, sent);
        let asked = nodes.ask(which, question, Wake::Each);
        asked.leave_to(Arc::new(Repairs { repairing: Arc::clone(self), sent }));
    }
}

impl<T: Fn(NodeSet) + Send + Sync + 'static> Heir for Repairing<T> {
    fn hear(self: Arc<Self>, index: usize, reply: Reply) {
        let Some(nodes) = self.nodes.upgrade() else { return };
        let is_missing = matches!(reply, Reply::Missing);
        // Too late for a vote, and as good as any to tell of a clock.
        drop(self.audit.objection(&nodes, &self.terms, index, reply));
        if is_missing && nodes.clock.now() < self.until {
            self.ask(&nodes, NodeSet::EMPTY.with(index));
        }
    }
}

/// Repairs that were asked for.
struct Repairs<T> {
    repairing: Arc<Repairing<T>>,
    sent: Instant,
}

impl<T: Send + Sync> Heir for Repairs<T> {
    fn hear(self: Arc<Self>, index: usize, reply: Reply) {
        let Repairing { terms, audit, .. } = &*self.repairing;
        let Some(nodes) = self.repairing.nodes.upgrade() else { return };
        if matches!(reply, Reply::Granted) {
            audit.repaired(terms, index, self.sent);
            let (resources, node) = (terms.keys.resources(), nodes.list[index].name());
            nodes
                .audience
                .tell(|| Event::Repaired { resources: resources.clone(), node: Arc::clone(node) });
        }
    }
}

#[cfg(test)]
mod tests;
