//! When a waiting lock asks again, and when it gives up. Pure: takes the time, returns what to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::settings::NO_QUORUM_LIMIT;
use crate::validity::later;

/// What an acquire took of late: a moving average over about eight rounds.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    pub(crate) fn note(&self, took: Duration) {
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // Two notes at once may lose one of them: it is an average.
        let old = self.0.load(Ordering::Relaxed);
        let average = if old == 0 { new } else { old - old / 8 + new / 8 };
        self.0.store(average, Ordering::Relaxed);
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// How long one call may go on. Every round has its full time limit: one that is cut would say nothing of the lock.
///
/// A denial is waited for as long as the caller says, by default for ever. Without a quorum the limit is the caller's
/// too, by default [`NO_QUORUM_LIMIT`], counted from the first failure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    begun: Instant,
    wait_for: Option<Duration>,
    failing_since: Option<Instant>,
}

impl Wait {
    pub(crate) fn new(begun: Instant, wait_for: Option<Duration>) -> Self {
        Self { begun, wait_for, failing_since: None }
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// After a denial: the delay, cut to what is left; `None` to give up.
    pub(crate) fn after_denial(&mut self, delay: Duration, now: Instant) -> Option<Duration> {
        self.failing_since = None;
        match self.left(now) {
            Some(left) => (!left.is_zero()).then(|| delay.min(left)),
            None => Some(delay),
        }
    }

    /// After a round that failures decided: the delay, cut to what is left; `None` to give up.
    pub(crate) fn after_failure(&mut self, delay: Duration, now: Instant) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let left = self.left(now).unwrap_or_else(|| {
            NO_QUORUM_LIMIT.saturating_sub(now.saturating_duration_since(since))
        });
        (!left.is_zero()).then(|| delay.min(left))
    }

    /// When the caller's limit is over, if there is one.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.wait_for.map(|limit| later(self.begun, limit))
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        let waited = now.saturating_duration_since(self.begun);
        self.wait_for.map(|limit| limit.saturating_sub(waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_denial_is_waited_for_without_end_unless_the_caller_sets_one() {
        let start = SystemClock.now();
        let day = Duration::from_secs(86_400);
        assert_eq!(Wait::new(start, None).after_denial(MS, start + day), Some(MS));
        let mut limited = Wait::new(start, Some(10 * MS));
        assert_eq!(limited.after_denial(3 * MS, start + 2 * MS), Some(3 * MS));
        assert_eq!(limited.after_denial(3 * MS, start + 9 * MS), Some(MS));
        assert_eq!(limited.after_denial(3 * MS, start + 10 * MS), None);
    }

    #[test]
    fn failures_in_a_row_end_the_wait_and_a_denial_starts_them_anew() {
        let start = SystemClock.now();
        let mut wait = Wait::new(start, None);
        let half = NO_QUORUM_LIMIT / 2;
        assert!(wait.after_failure(MS, start).is_some());
        assert!(wait.after_failure(MS, start + half).is_some());
        assert!(wait.after_denial(MS, start + half).is_some());
        assert!(wait.after_failure(MS, start + NO_QUORUM_LIMIT).is_some());
        assert!(wait.after_failure(MS, start + 2 * NO_QUORUM_LIMIT).is_none());
    }

    #[test]
    fn the_pace_follows_what_is_measured() {
        let pace = Pace::default();
        assert_eq!(pace.measured(), Duration::ZERO);
        pace.note(MS);
        assert_eq!(pace.measured(), MS);
        (0..100).for_each(|_| pace.note(9 * MS));
        assert!(pace.measured() > 8 * MS);
    }
}
