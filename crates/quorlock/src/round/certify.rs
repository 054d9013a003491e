//! The second round of an acquire with fencing, where the nodes have counted the holder differently: it raises their
//! counters to the highest, wherever nobody else has been counted since. Proof and model: safety.md, G2.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ballot::Ballot;
use super::question;
use crate::error::NodeErrorKind;
use crate::fan_out::FanOut;
use crate::fencing::{Counters, FencingToken};
use crate::lease::Terms;
use crate::node::{Fence, Question, Reply, Verb};
use crate::quorum::Verdict;
use crate::token::Token;
use crate::validity::later;

/// What has to be raised, and for whom.
pub(super) struct Raising<'a> {
    pub(super) terms: &'a Terms,
    /// Of this round too.
    pub(super) time_limit: Duration,
    pub(super) token: &'a Arc<Token>,
    pub(super) counters: &'a Counters,
}

impl Raising<'_> {
    /// The highest counter of a won round, where another one stands below it.
    pub(super) fn goal(&self, ballot: &Ballot) -> Option<FencingToken> {
        let highest = self.counters.highest()?;
        let is_below = self.counters.below(highest).next().is_some();
        (is_below && ballot.tally.verdict() == Verdict::Won).then_some(highest)
    }

    /// Asks those whose counters stand below the highest to raise them, until so many stand there as have to, or the time of
    /// this round is over.
    ///
    /// Grants of the first round that come late are counted, and raised where they have to be. A node whose counter stands
    /// higher certifies nothing: it may have granted a later holder.
    pub(super) async fn certify(
        self,
        highest: FencingToken,
        asked: &mut FanOut,
        ballot: &mut Ballot,
        deadline: Instant,
    ) {
        let clock = asked.clock();
        let now = clock.now();
        for (index, counter) in self.counters.below(highest) {
            ballot.take_back_grant(index);
            asked.also(index, self.raise(counter, highest, now));
        }
        let end = later(now, self.time_limit).min(deadline);
        let mut timer = clock.sleep_until(end);
        loop {
            let heard = tokio::select! {
                biased;
                heard = asked.next() => heard,
                () = &mut timer => None,
            };
            let Some((index, reply)) = heard else { return };
            let failure = match reply {
                Reply::Counted(counter) if counter < highest.get() => {
                    asked.also(index, self.raise(counter, highest, clock.now()));
                    continue;
                }
                Reply::Counted(counter) if counter == highest.get() => None,
                Reply::Counted(_) => Some(NodeErrorKind::HeldByAnother.into()),
                Reply::Granted => None,
                other => Some(other.into_failure()),
            };
            if ballot.record(index, failure).is_break() {
                return;
            }
        }
    }

    fn raise(&self, granted: u64, to: FencingToken, now: Instant) -> Question {
        let fence = Some(Fence::Raise { granted, to: to.get() });
        let asking = question(Verb::Certify, self.terms, self.token, now);
        Question { fence, time_limit: self.time_limit, ..asking }
    }
}

#[cfg(test)]
mod tests;
