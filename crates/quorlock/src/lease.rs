//! A lease as data, and the life it leads: held, then lost or released, and never back. No I/O, no clock.

use std::time::{Duration, Instant};

use crate::error::LostReason;
use crate::fencing::Fencing;
use crate::resources::Keys;
use crate::validity::Validity;

/// What is asked of the nodes: which keys, for how long, and how long an answer may take.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) keys: Keys,
    pub(crate) validity: Validity,
    pub(crate) fencing: Fencing,
    pub(crate) time_limit: Duration,
}

/// Where a lease stands.
///
/// Invariant (G5, G6; safety.md H3): `Lost` and `Released` are final. No edge leads back to `Held`, and within
/// `Held` the deadline only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    Held { until: Instant },
    Lost(LostReason),
    Released,
}

impl LeaseState {
    pub(crate) fn is_held_at(&self, now: Instant) -> bool {
        matches!(self, Self::Held { until } if now < *until)
    }

    /// Moves the deadline to `until` if the extend was decided (`now`) before the old one. Says whether it was.
    pub(crate) fn extend(&mut self, now: Instant, until: Instant) -> bool {
        match self {
            Self::Held { until: old } if now < *old => {
                *old = (*old).max(until);
                true
            }
            _ => false,
        }
    }

    /// Ends a lease that is still held. Says whether it was.
    pub(crate) fn end(&mut self, end: Self) -> bool {
        let held = matches!(self, Self::Held { .. });
        if held {
            *self = end;
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn at(ms: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_millis(ms)
    }

    #[test]
    fn an_extend_decided_before_the_deadline_moves_it_and_never_back() {
        let mut state = LeaseState::Held { until: at(10) };
        assert!(state.extend(at(9), at(20)));
        assert!(state.extend(at(9), at(15)));
        assert_eq!(state, LeaseState::Held { until: at(20) });
    }

    #[test]
    fn an_extend_decided_at_or_after_the_deadline_revives_nothing() {
        for late in [10, 11] {
            let mut state = LeaseState::Held { until: at(10) };
            assert!(!state.extend(at(late), at(20)));
            assert!(!state.is_held_at(at(late)));
        }
    }

    #[test]
    fn lost_and_released_are_final() {
        for end in [LeaseState::Lost(LostReason::Expired), LeaseState::Released] {
            let mut state = LeaseState::Held { until: at(10) };
            assert!(state.end(end));
            assert!(!state.extend(at(1), at(20)));
            assert!(!state.end(LeaseState::Released));
            assert!(!state.is_held_at(at(1)));
            assert_eq!(state, end);
        }
    }
}
