//! Counting votes: a majority decision has three outcomes, and "not yet" is one. No futures, no commands.

/// As many as the bits of a word can name.
pub(crate) const MAX_NODES: usize = 64;
/// What there is one of for each node has room for so many in its place, and for more elsewhere.
pub(crate) const USUAL_NODES: usize = 5;

/// One node's answer in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    Granted,
    Denied,
    /// No answer, or an error: neither yes nor no, and never counted as either.
    Failed,
}

/// What the votes so far decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A quorum granted.
    Won,
    /// No quorum can come any more, and denials had a part in it: somebody holds it, or competes for it.
    Denied,
    /// Failures alone make a quorum impossible.
    NoQuorum,
    /// The votes still out can turn it either way.
    Pending,
}

/// `n / 2 + 1` of all configured nodes, also when some are down: any two quorums share a node.
pub(crate) const fn quorum(nodes: usize) -> usize {
    nodes / 2 + 1
}

/// The votes of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    nodes: usize,
    needed: usize,
    granted: usize,
    denied: usize,
    failed: usize,
}

impl Tally {
    /// Won by no less than `needed` votes of `nodes`: a quorum or more.
    pub(crate) fn new(needed: usize, nodes: usize) -> Self {
        Self { nodes, needed, granted: 0, denied: 0, failed: 0 }
    }

    /// A grant does not count any more: that node is asked again.
    pub(crate) fn take_back_grant(&mut self) {
        self.granted = self.granted.saturating_sub(1);
    }

    pub(crate) fn record(&mut self, vote: Vote) {
        match vote {
            Vote::Granted => self.granted += 1,
            Vote::Denied => self.denied += 1,
            Vote::Failed => self.failed += 1,
        }
    }

    /// Counts every vote that is still out as failed: the time of the round is over.
    pub(crate) fn close(&mut self) {
        self.failed = self.nodes - self.granted - self.denied;
    }

    /// How many votes win.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    pub(crate) fn granted(&self) -> usize {
        self.granted
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let spare = self.nodes - self.needed;
        if self.granted >= self.needed {
            Verdict::Won
        } else if self.failed > spare {
            Verdict::NoQuorum
        } else if self.denied + self.failed > spare {
            Verdict::Denied
        } else {
            Verdict::Pending
        }
    }

    /// More nodes answered "no" than what is needed can spare.
    pub(crate) fn is_denied_for_good(&self) -> bool {
        self.denied > self.nodes - self.needed
    }

    /// More nodes answered "no" than a quorum can spare: the grants are proven to be a minority.
    pub(crate) fn is_majority_gone(&self) -> bool {
        self.denied > self.nodes - quorum(self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTES: [Option<Vote>; 4] =
        [None, Some(Vote::Granted), Some(Vote::Denied), Some(Vote::Failed)];

    fn every_ballot(nodes: u32) -> impl Iterator<Item = Vec<Option<Vote>>> {
        (0..4usize.pow(nodes)).map(move |mut code| {
            (0..nodes)
                .map(|_| {
                    let vote = VOTES[code % 4];
                    code /= 4;
                    vote
                })
                .collect()
        })
    }

    fn count(ballot: &[Option<Vote>], vote: Option<Vote>) -> usize {
        ballot.iter().filter(|v| **v == vote).count()
    }

    /// The rule said again, by what could still happen instead of by subtraction.
    fn expected(ballot: &[Option<Vote>]) -> Verdict {
        let majority = |votes: usize| 2 * votes > ballot.len();
        let (granted, open) = (count(ballot, Some(Vote::Granted)), count(ballot, None));
        if majority(granted) {
            Verdict::Won
        } else if majority(granted + open) {
            Verdict::Pending
        } else if majority(granted + open + count(ballot, Some(Vote::Denied))) {
            Verdict::Denied
        } else {
            Verdict::NoQuorum
        }
    }

    #[test]
    fn every_ballot_of_one_to_six_nodes_is_decided_as_soon_as_it_can_be_and_no_sooner() {
        for nodes in 1..=6 {
            for ballot in every_ballot(nodes) {
                let mut tally = Tally::new(quorum(nodes as usize), nodes as usize);
                ballot.iter().flatten().for_each(|vote| tally.record(*vote));
                assert_eq!(tally.verdict(), expected(&ballot), "{ballot:?}");
            }
        }
    }

    #[test]
    fn what_is_still_out_when_a_ballot_is_closed_counts_as_failed() {
        for ballot in every_ballot(5) {
            let mut tally = Tally::new(3, 5);
            ballot.iter().flatten().for_each(|vote| tally.record(*vote));
            tally.close();
            let closed: Vec<_> = ballot.iter().map(|vote| vote.or(Some(Vote::Failed))).collect();
            assert_eq!(tally.verdict(), expected(&closed), "{ballot:?}");
        }
    }

    #[test]
    fn two_quorums_always_share_a_node() {
        for nodes in 1..=64 {
            assert!(2 * quorum(nodes) > nodes);
            assert!(quorum(nodes) <= nodes);
        }
    }

    #[test]
    fn more_votes_than_a_quorum_can_be_asked_for() {
        let mut tally = Tally::new(4, 5);
        (0..3).for_each(|_| tally.record(Vote::Granted));
        assert_eq!(tally.verdict(), Verdict::Pending);
        let mut lost = tally;
        lost.record(Vote::Denied);
        assert_eq!(lost.verdict(), Verdict::Pending, "one can be spared");
        lost.record(Vote::Failed);
        assert_eq!(lost.verdict(), Verdict::Denied);
        tally.record(Vote::Granted);
        assert_eq!(tally.verdict(), Verdict::Won);
        tally.take_back_grant();
        assert_eq!(tally.verdict(), Verdict::Pending, "that node is asked again");
    }

    #[test]
    fn half_of_an_even_number_is_no_quorum() {
        let mut tally = Tally::new(3, 4);
        tally.record(Vote::Granted);
        tally.record(Vote::Granted);
        assert_eq!(tally.verdict(), Verdict::Pending);
        tally.record(Vote::Denied);
        tally.record(Vote::Denied);
        assert_eq!(tally.verdict(), Verdict::Denied);
        assert!(tally.is_majority_gone());
    }

    #[test]
    fn a_ballot_is_denied_for_good_once_those_that_did_not_deny_are_too_few() {
        for (needed, nodes) in (1..=5).map(|needed| (needed, 5)).chain([(3, 4), (1, 1)]) {
            for ballot in every_ballot(nodes) {
                let mut tally = Tally::new(needed, nodes as usize);
                ballot.iter().flatten().for_each(|vote| tally.record(*vote));
                let others = nodes as usize - count(&ballot, Some(Vote::Denied));
                assert_eq!(tally.is_denied_for_good(), others < needed, "{needed} of {ballot:?}");
            }
        }
    }
}
