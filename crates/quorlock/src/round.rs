//! One acquire, extend, repair or release, with the step numbers of the published algorithm
//! (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>). Nothing is tried again here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::Baselines;
use crate::error::{Failure, NodeError, NodeErrorKind, leave_no_quorum};
use crate::fan_out::{FanOut, Nodes};
use crate::fencing::{self, Counters, Fencing, FencingToken};
use crate::lease::Terms;
use crate::node::{Fence, NodeSet, Packed, Question, Reply, Verb, Wake};
use crate::quorum::Verdict;
use crate::token::Token;
use crate::validity::later;

mod audit;
mod ballot;
mod certify;
mod release;
mod repair;

use audit::Audit;
use ballot::Ballot;
use certify::Raising;
pub(crate) use release::{release, released};
pub(crate) use repair::repair;

/// A round that was won: from here on somebody must give it back.
#[derive(Debug)]
pub(crate) struct Won {
    pub(crate) token: Arc<Token>,
    /// When it was.
    pub(crate) at: Instant,
    pub(crate) until: Instant,
    /// The nodes that hold the key or may hold it.
    pub(crate) touched: NodeSet,
    /// The nodes that had granted by the verdict.
    pub(crate) granted: NodeSet,
    pub(crate) took: Duration,
    pub(crate) votes: usize,
    /// How many nodes more could have failed by the verdict.
    pub(crate) margin: usize,
    /// Where it was asked for.
    pub(crate) fencing: Option<FencingToken>,
    /// How many round trips it took: a fencing token takes a second one where the nodes have counted differently.
    pub(crate) rounds: usize,
}

/// Why a round was not won.
#[derive(Debug)]
pub(crate) enum Missed {
    Denied {
        /// Known where votes decided it, and not the end of the time.
        took: Option<Duration>,
        /// What was taken, being given back: the answers tell what is there instead. For who looks first.
        undone: Option<FanOut>,
        /// Who said so first: a release is heard of soonest there.
        by: Option<usize>,
    },
    NoQuorum(Vec<NodeError>),
    TooLate {
        took: Duration,
    },
}

/// Steps 1 to 5: asks every node at once and returns at the verdict, without waiting for stragglers.
///
/// `start`: read before this is called, with nothing to wait for in between. Whatever was taken is given back, in the
/// background, unless the round is won: also when this future is dropped.
// Not an `async fn`, which would have room for what it is given twice.
pub(crate) fn acquire(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    time_limit: Duration,
    token: Arc<Token>,
    start: Instant,
) -> impl Future<Output = Result<Won, Missed>> + Send {
    let deadline = terms.validity.deadline(start);
    async move {
        let mut undo = Undo::arm(nodes, terms, &token);
        let fence = fence_of_acquire(nodes, terms);
        let asking = question(Verb::Acquire, terms, &token, start);
        let asking = Question { fence, time_limit, ..asking };
        let needed = terms.fencing.needed(nodes.quorum());
        let mut asked = nodes.ask(nodes.all(), asking, Wake::Decided { needed });
        let mut ballot = Ballot::needing(needed, nodes);
        let mut counters = Counters::default();
        let mut denied_by = None;
        let end = later(start, time_limit).min(deadline);
        asked
            .until(end, |index, reply| {
                if matches!(reply, Reply::Denied) {
                    denied_by.get_or_insert(index);
                }
                let failure = objection(index, reply, fence, &mut counters);
                if failure.as_ref().is_some_and(Failure::is_not_applied) {
                    undo.spare(index);
                }
                ballot.record(index, failure)
            })
            .await;
        let raising = Raising { terms, time_limit, token: &token, counters: &counters };
        let mut rounds = 1;
        if let Some(goal) = raising.goal(&ballot) {
            // Boxed, since it is rare.
            Box::pin(raising.certify(goal, &mut asked, &mut ballot, deadline)).await;
            rounds += 1;
        }
        let is_decided = ballot.tally.verdict() != Verdict::Pending;
        let verdict = ballot.close();
        // Step 3: the clock is read again after the majority, so that a stall in between cannot make a dead lease.
        let now = nodes.clock.now();
        let took = now.saturating_duration_since(start);
        match verdict {
            Verdict::Won if now < deadline => {
                let (touched, granted) = (undo.disarm(), ballot.granted());
                let (votes, margin) = (ballot.tally.granted(), ballot.margin(nodes));
                let (at, until, fencing) = (now, deadline, counters.highest());
                Ok(Won { token, at, until, touched, granted, took, votes, margin, fencing, rounds })
            }
            Verdict::Won => Err(Missed::TooLate { took }),
            Verdict::Denied => {
                let took = is_decided.then_some(took);
                Err(Missed::Denied { took, undone: Some(undo.give_back()), by: denied_by })
            }
            Verdict::NoQuorum | Verdict::Pending => Err(Missed::NoQuorum(ballot.errors(nodes))),
        }
    }
}

/// Why a reply is no grant, if it is none; what one was counted as is noted.
fn objection(
    index: usize,
    reply: Reply,
    fence: Option<Fence>,
    counters: &mut Counters,
) -> Option<Failure> {
    match reply {
        Reply::Granted if fence.is_none() => None,
        Reply::Counted(counter) if fence.is_some() => {
            counters.note(index, counter);
            None
        }
        other => Some(other.into_failure()),
    }
}

/// Gives an attempt back on every node that was or may have been asked, unless disarmed (step 5).
struct Undo<'a> {
    nodes: &'a Arc<Nodes>,
    terms: &'a Terms,
    token: &'a Arc<Token>,
    touched: NodeSet,
}

impl<'a> Undo<'a> {
    fn arm(nodes: &'a Arc<Nodes>, terms: &'a Terms, token: &'a Arc<Token>) -> Self {
        Self { nodes, terms, token, touched: nodes.all() }
    }

    /// Nothing was done on this node.
    fn spare(&mut self, index: usize) {
        self.touched = self.touched.without(index);
    }

    fn disarm(mut self) -> NodeSet {
        std::mem::replace(&mut self.touched, NodeSet::EMPTY)
    }

    fn give_back(self) -> FanOut {
        let (nodes, terms, token) = (self.nodes, self.terms, self.token);
        undo(nodes, terms, token, self.disarm())
    }
}

impl Missed {
    /// Whether nodes that refuse for good alone leave fewer than are needed.
    pub(crate) fn is_final(&self, needed: usize, nodes: &Nodes) -> bool {
        matches!(self, Self::NoQuorum(failures) if leave_no_quorum(failures, needed, nodes.len()))
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.touched.is_empty() {
            drop(undo(self.nodes, self.terms, self.token, self.touched));
            self.nodes.spawner.let_run();
        }
    }
}

/// Retires the token and gives back what an attempt took or may have taken, before it returns.
fn undo(nodes: &Arc<Nodes>, terms: &Terms, token: &Arc<Token>, which: NodeSet) -> FanOut {
    token.retire();
    nodes.ask(which, question(Verb::Undo, terms, token, nodes.clock.now()), Wake::Each)
}

/// Whether so many nodes hold something without expiry that nobody can get the lock, as far as it is known by `end` from
/// what they say when an attempt is given back.
pub(crate) async fn foreign(
    nodes: &Nodes,
    needed: usize,
    mut undone: FanOut,
    end: Instant,
) -> Option<Vec<NodeError>> {
    let mut ballot = Ballot::needing(needed, nodes);
    undone
        .until(end, |index, reply| {
            let is_foreign = matches!(reply, Reply::Released { foreign: 1.., .. });
            ballot.record(index, is_foreign.then(|| NodeErrorKind::ForeignKey.into()))
        })
        .await;
    ballot.tally.is_denied_for_good().then(|| ballot.errors(nodes))
}

/// An extend that a quorum has kept, to be counted only if the lease is still held.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) until: Instant,
    missing: NodeSet,
    asked: FanOut,
    audit: Box<Audit>,
}

/// Why an extend came to nothing. The lease itself is unharmed, but for the first.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// So many nodes said that they no longer hold it that no majority can.
    MajorityGone,
    NoQuorum(Vec<NodeError>),
}

/// Asks every node to prolong the lease, until `old_deadline` at the latest: an answer after it revives nothing (G6).
///
/// A node whose clock ran off, by the `baselines`, does not count. `start`: read before this is called, as for an acquire.
pub(crate) async fn extend(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    token: &Arc<Token>,
    baselines: &Arc<Baselines>,
    start: Instant,
    old_deadline: Instant,
) -> Result<Kept, NotKept> {
    let audit = Audit::begin(baselines, start);
    let wake = Wake::Decided { needed: nodes.quorum() };
    let mut asked = nodes.ask(nodes.all(), question(Verb::Extend, terms, token, start), wake);
    let mut ballot = Ballot::new(nodes);
    let mut missing = NodeSet::EMPTY;
    let end = later(start, terms.time_limit).min(old_deadline);
    asked
        .until(end, |index, reply| {
            if matches!(reply, Reply::Missing) {
                missing = missing.with(index);
            }
            let failure = audit.objection(nodes, terms, index, reply);
            match ballot.record(index, failure) {
                ControlFlow::Break(Verdict::Denied | Verdict::NoQuorum)
                    if !ballot.tally.is_majority_gone() =>
                {
                    // It cannot be won any more, but whether the lease is lost is worth waiting for.
                    ControlFlow::Continue(())
                }
                decided => decided,
            }
        })
        .await;
    match ballot.close() {
        Verdict::Won => Ok(Kept { until: terms.validity.deadline(start), missing, asked, audit }),
        _ if ballot.tally.is_majority_gone() => Err(NotKept::MajorityGone),
        _ => Err(NotKept::NoQuorum(ballot.errors(nodes))),
    }
}

/// What is asked for together with the lock, where it is to have a fencing token.
fn fence_of_acquire(nodes: &Nodes, terms: &Terms) -> Option<Fence> {
    matches!(terms.fencing, Fencing::Wanted { .. })
        .then(|| Fence::Count(fencing::proposal(nodes.clock.wall())))
}

fn question(verb: Verb, terms: &Terms, token: &Arc<Token>, asked: Instant) -> Question {
    let lift = match verb {
        // What came to nothing has no fencing token, and what has one lifts the counters to it.
        Verb::Extend | Verb::Repair | Verb::Release => terms.fencing.token(),
        Verb::Acquire | Verb::Certify | Verb::Undo => None,
    };
    Question {
        verb,
        keys: terms.keys.clone(),
        token: Arc::clone(token),
        ttl: terms.validity.ttl(),
        fence: lift.map(|token| Fence::Lift(token.get())),
        time_limit: terms.time_limit,
        asked,
        packed: Packed::default(),
    }
}

#[cfg(test)]
mod tests;
