//! The votes of one round with the reasons of those that were no grants. What is asked, and what a verdict leads to, is
//! decided by the rounds.

use std::ops::ControlFlow;

use crate::error::{Failure, NodeError, NodeErrorKind};
use crate::fan_out::Nodes;
use crate::node::NodeSet;
use crate::quorum::{Tally, Verdict, Vote};

/// The votes of a round, and what the nodes that did not go along said.
pub(super) struct Ballot {
    pub(super) tally: Tally,
    pub(super) heard: NodeSet,
    failures: Vec<(usize, Failure)>,
    /// The nodes that had their time and said nothing. One that was not waited for is not blamed.
    silent: NodeSet,
    all: NodeSet,
}

impl Ballot {
    pub(super) fn new(nodes: &Nodes) -> Self {
        Self::needing(nodes.quorum(), nodes)
    }

    /// One that is won by no less than `needed` votes.
    pub(super) fn needing(needed: usize, nodes: &Nodes) -> Self {
        Self {
            tally: Tally::new(needed, nodes.len()),
            heard: NodeSet::EMPTY,
            failures: Vec::new(),
            silent: NodeSet::EMPTY,
            all: nodes.all(),
        }
    }

    /// A node that has granted is asked again.
    pub(super) fn take_back_grant(&mut self, index: usize) {
        self.tally.take_back_grant();
        self.heard = self.heard.without(index);
    }

    /// Breaks as soon as the votes decide.
    pub(super) fn record(
        &mut self,
        index: usize,
        failure: Option<Failure>,
    ) -> ControlFlow<Verdict> {
        self.heard = self.heard.with(index);
        self.tally.record(match failure.as_ref().map(Failure::kind) {
            None => Vote::Granted,
            Some(
                NodeErrorKind::HeldByAnother | NodeErrorKind::ForeignKey | NodeErrorKind::KeyGone,
            ) => Vote::Denied,
            Some(_) => Vote::Failed,
        });
        self.failures.extend(failure.map(|failure| (index, failure)));
        match self.tally.verdict() {
            Verdict::Pending => ControlFlow::Continue(()),
            verdict => ControlFlow::Break(verdict),
        }
    }

    /// The nodes that went along so far.
    pub(super) fn granted(&self) -> NodeSet {
        self.failures.iter().fold(self.heard, |granted, (index, _)| granted.without(*index))
    }

    /// How many nodes more could have failed so far, and the round been won all the same.
    pub(super) fn margin(&self, nodes: &Nodes) -> usize {
        nodes.len().saturating_sub(self.failures.len()).saturating_sub(self.tally.needed())
    }

    /// The verdict; votes that are still out are failures now, if nothing was decided without them.
    pub(super) fn close(&mut self) -> Verdict {
        if self.tally.verdict() == Verdict::Pending {
            self.silent = self.all.except(self.heard);
            self.tally.close();
        }
        self.tally.verdict()
    }

    pub(super) fn errors(self, nodes: &Nodes) -> Vec<NodeError> {
        let silent = (0..nodes.len())
            .filter(|index| self.silent.contains(*index))
            .map(|index| (index, NodeErrorKind::NoAnswer.into()));
        let mut failures: Vec<(usize, Failure)> = self.failures.into_iter().chain(silent).collect();
        failures.sort_by_key(|(index, _)| *index);
        failures
            .into_iter()
            .map(|(index, failure)| NodeError::new(nodes.list[index].name(), failure))
            .collect()
    }
}
