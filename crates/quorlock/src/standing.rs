//! Whether a node may vote on new locks: a rule of its answer when it was joined. Asks nobody, reads no clock.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Failure, NodeError, NodeErrorKind};

/// What a node is to a handle at this moment; see [`Redlock::nodes`](crate::Redlock::nodes).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Standing {
    /// Not connected yet. Nodes are connected by [`Redlock::connect`](crate::Redlock::connect), the first lock, `take_up`,
    /// `give_back` or `bootstrap`.
    Connecting,
    /// Not connected, and why. It is tried again in the background.
    Down(NodeError),
    /// It votes on new locks.
    Voting,
    /// It may have forgotten locks that are still held, so it does not vote on new ones yet. Extends, repairs and releases
    /// go on.
    #[non_exhaustive]
    Quarantined {
        /// When it votes again.
        ends_in: Duration,
    },
    /// It does not vote until somebody changes it, or us: the error says why.
    Refused(NodeError),
}

/// The same, of a node that is connected.
#[derive(Clone, Debug)]
pub(crate) enum Fitness {
    Voting,
    Quarantined {
        until: Instant,
    },
    /// Or something went wrong when it was joined.
    Refused(Failure),
}

/// Between two looks at a node that is refused.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For the test kit's own nodes: others cannot make one.
pub fn quarantined(ends_in: Duration) -> Standing {
    Standing::Quarantined { ends_in }
}

impl Fitness {
    /// Why it is not asked for a new lock.
    pub(crate) fn objection(&self, now: impl FnOnce() -> Instant) -> Option<Failure> {
        match self {
            Self::Voting => None,
            Self::Quarantined { until } => {
                let left = until.saturating_duration_since(now());
                let why = format!("for another {left:.1?}");
                Some(Failure::with_source(NodeErrorKind::Quarantined, why))
            }
            Self::Refused(failure) => Some(failure.clone()),
        }
    }

    /// Why it is not asked about a lock that is held, either: its answer would count twice.
    pub(crate) fn objection_to_any(&self) -> Option<Failure> {
        match self {
            Self::Refused(failure) if failure.kind() == NodeErrorKind::SameServer => {
                Some(failure.clone())
            }
            _ => None,
        }
    }

    /// When it has to be looked at again.
    pub(crate) fn look_again(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Voting => None,
            Self::Quarantined { until } => Some(*until),
            Self::Refused(_) => now.checked_add(LOOK_AGAIN),
        }
    }
}

/// In a few words, for logs and operators; the node's name is not among them.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Voting => f.write_str("voting"),
            Self::Quarantined { ends_in } => write!(f, "in quarantine for another {ends_in:.1?}"),
            Self::Down(error) | Self::Refused(error) => error.failure().fmt(f),
        }
    }
}

impl Standing {
    /// How long until it votes; `None` where no time will change it.
    fn votes_in(&self) -> Option<Duration> {
        match self {
            Self::Voting => Some(Duration::ZERO),
            Self::Quarantined { ends_in } => Some(*ends_in),
            Self::Connecting | Self::Down(_) | Self::Refused(_) => None,
        }
    }
}

/// How long until `needed` of the nodes vote, if it is quarantines that they wait for, and nothing else.
pub(crate) fn quarantine_left(nodes: &[Standing], needed: usize) -> Option<Duration> {
    let mut times: Vec<_> = nodes.iter().filter_map(Standing::votes_in).collect();
    times.sort_unstable();
    let left = *times.get(needed.checked_sub(1)?)?;
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn for_secs(secs: u64) -> Standing {
        quarantined(Duration::from_secs(secs))
    }

    #[test]
    fn enough_nodes_vote_when_the_quarantine_of_the_last_one_needed_ends() {
        use Standing::{Connecting, Voting};
        let left = |nodes: &[Standing]| quarantine_left(nodes, 2).map(|left| left.as_secs());
        assert_eq!(left(&[for_secs(9), for_secs(5), for_secs(7)]), Some(7));
        assert_eq!(left(&[for_secs(9), Voting, for_secs(7)]), Some(7));
        assert_eq!(left(&[for_secs(9), Voting, Voting]), None, "enough vote");
        assert_eq!(left(&[for_secs(9), Connecting, Connecting]), None, "no quarantine helps");
        assert_eq!(quarantine_left(&[], 0), None);
    }

    #[test]
    fn only_a_server_that_would_count_twice_is_not_asked_about_held_locks() {
        let refused = |kind: NodeErrorKind| Fitness::Refused(kind.into());
        assert!(refused(NodeErrorKind::SameServer).objection_to_any().is_some());
        for kind in [NodeErrorKind::Replica, NodeErrorKind::ConfigMismatch] {
            assert!(refused(kind).objection_to_any().is_none());
        }
        assert!(Fitness::Voting.objection_to_any().is_none());
    }

    #[test]
    fn a_node_is_asked_for_new_locks_when_it_votes_and_looked_at_again_when_that_may_change() {
        let now = some_instant();
        let until = now + Duration::from_secs(5);
        let objection = |fitness: &Fitness| fitness.objection(|| now).map(|failure| failure.kind());
        assert_eq!(objection(&Fitness::Voting), None);
        assert_eq!(Fitness::Voting.look_again(now), None);
        let quarantined = Fitness::Quarantined { until };
        assert_eq!(objection(&quarantined), Some(NodeErrorKind::Quarantined));
        assert_eq!(quarantined.look_again(now), Some(until));
        let refused = Fitness::Refused(NodeErrorKind::Replica.into());
        assert_eq!(objection(&refused), Some(NodeErrorKind::Replica));
        assert_eq!(refused.look_again(now), Some(now + LOOK_AGAIN));
    }

    #[test]
    fn a_standing_says_what_it_is_and_not_of_whom() {
        let of = |kind: NodeErrorKind| NodeError::new(&"a:1/0".into(), kind.into());
        let shown = [
            Standing::Connecting,
            Standing::Voting,
            quarantined(Duration::from_millis(4_960)),
            Standing::Down(of(NodeErrorKind::Down)),
            Standing::Refused(of(NodeErrorKind::Replica)),
        ];
        let said = shown.map(|standing| standing.to_string());
        let expected = [
            "connecting",
            "voting",
            "in quarantine for another 5.0s",
            "not connected",
            "a replica, no node of its own",
        ];
        assert_eq!(said, expected);
    }
}
