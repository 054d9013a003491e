//! The release of a lease: asked, and what each node made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ballot::Ballot;
use super::question;
use crate::error::{Failure, NodeError, NodeErrorKind};
use crate::fan_out::{FanOut, Nodes};
use crate::lease::Terms;
use crate::node::{NodeSet, Question, Reply, Verb, Wake};
use crate::quorum::Verdict;
use crate::report::{NodeRelease, ReleaseReport};
use crate::token::Token;

/// Retires the token and puts the release onto the queue of each of `which` before it returns (step 5, and the end).
///
/// `ttl`: how long the keys may still be there.
pub(crate) fn release(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    token: &Arc<Token>,
    ttl: Duration,
    which: NodeSet,
    now: Instant,
) -> FanOut {
    token.retire();
    // Where a node was not touched, nothing is to be deleted.
    let needed = nodes.quorum().saturating_sub(nodes.len() - which.len());
    let wake = Wake::Decided { needed };
    let release = question(Verb::Release, terms, token, now);
    nodes.ask(which, Question { ttl, ..release }, wake)
}

/// Waits until a quorum has answered a release, or cannot, or it is `end`; the rest goes on in the background.
pub(crate) async fn released(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    mut asked: FanOut,
    which: NodeSet,
    end: Instant,
) -> ReleaseReport {
    let is_asked = |index| which.contains(index);
    let before = |index| if is_asked(index) { NodeRelease::Pending } else { NodeRelease::NotHeld };
    let mut releases: Vec<_> = (0..nodes.len()).map(before).collect();
    let mut ballot = Ballot::new(nodes);
    for index in (0..nodes.len()).filter(|index| !is_asked(*index)) {
        let _ = ballot.record(index, None);
    }
    let keys = terms.keys.as_slice().len();
    if ballot.tally.verdict() == Verdict::Pending {
        asked
            .until(end, |index, reply| {
                let (outcome, failure) = outcome_of(reply, keys, nodes.list[index].name());
                releases[index] = outcome;
                ballot.record(index, failure)
            })
            .await;
        if ballot.tally.verdict() == Verdict::Pending {
            for (release, node) in releases.iter_mut().zip(&nodes.list) {
                if matches!(release, NodeRelease::Pending) {
                    let silent = NodeError::new(node.name(), NodeErrorKind::NoAnswer.into());
                    *release = NodeRelease::Unreachable(silent);
                }
            }
        }
    }
    ReleaseReport::new(&nodes.names, releases)
}

fn outcome_of(reply: Reply, keys: usize, node: &Arc<str>) -> (NodeRelease, Option<Failure>) {
    match reply {
        Reply::Released { deleted, .. } if deleted == keys => (NodeRelease::Deleted, None),
        Reply::Released { others: 0, .. } => (NodeRelease::AlreadyGone, None),
        Reply::Released { .. } => (NodeRelease::HeldByAnother, None),
        other => {
            let failure = other.into_failure();
            (NodeRelease::Unreachable(NodeError::new(node, failure.clone())), Some(failure))
        }
    }
}
