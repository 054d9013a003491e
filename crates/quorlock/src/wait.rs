//! For how long a call goes on, and when it gives up. When it asks again after a denial is `waiting.rs`'s. Pure: takes the time, returns
//! what to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::settings::NO_QUORUM_LIMIT;
use crate::validity::later;

/// What an acquire took of late: a moving average over about eight rounds.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    /// No round takes longer than its time limit, unless this process was stopped: that tells nothing of the nodes.
    pub(crate) fn note(&self, took: Duration, time_limit: Duration) {
        let new = u64::try_from(took.min(time_limit).as_nanos()).unwrap_or(u64::MAX);
        // Two notes at once may lose one of them: it is an average.
        let old = self.0.load(Ordering::Relaxed);
        let average = if old == 0 { new } else { old - old / 8 + new / 8 };
        self.0.store(average, Ordering::Relaxed);
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What a call does that did not get the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    AskAfter(Duration),
    /// Too little is left for another round: the wait is over when its caller said.
    GiveUpAfter(Duration),
}

/// How long one call may go on.
///
/// A denial is waited for as long as the caller says, by default for ever. Without a quorum the limit is the caller's
/// too, by default [`NO_QUORUM_LIMIT`], counted from the first failure in a row. The first round has its full time limit
/// whatever the caller says, unless others waited before it: one that is cut tells nothing of the lock.
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

    /// When the caller's limit is over, if there is one.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.wait_for.map(|limit| later(self.begun, limit))
    }

    /// How long a later round may take, so that the call ends when its caller said.
    pub(crate) fn cut(&self, time_limit: Duration, now: Instant) -> Duration {
        self.left(now).map_or(time_limit, |left| time_limit.min(left))
    }

    /// What to do after a denial. `reserve` is kept for one more round.
    pub(crate) fn after_denial(
        &mut self,
        delay: Duration,
        reserve: Duration,
        now: Instant,
    ) -> Next {
        self.failing_since = None;
        self.left(now).map_or(Next::AskAfter(delay), |left| next(delay, reserve, left))
    }

    /// What to do after a round that failures decided.
    pub(crate) fn after_failure(
        &mut self,
        delay: Duration,
        reserve: Duration,
        now: Instant,
    ) -> Next {
        next(delay, reserve, self.left_after_failure(now))
    }

    /// Whether the call goes on for longer than `span` if it meets nothing but failures.
    pub(crate) fn outlasts(&mut self, span: Duration, now: Instant) -> bool {
        self.left_after_failure(now) > span
    }

    fn left_after_failure(&mut self, now: Instant) -> Duration {
        let since = *self.failing_since.get_or_insert(now);
        self.left(now)
            .unwrap_or_else(|| NO_QUORUM_LIMIT.saturating_sub(now.saturating_duration_since(since)))
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        let waited = now.saturating_duration_since(self.begun);
        self.wait_for.map(|limit| limit.saturating_sub(waited))
    }
}

fn next(delay: Duration, reserve: Duration, left: Duration) -> Next {
    if left > reserve { Next::AskAfter(delay.min(left - reserve)) } else { Next::GiveUpAfter(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_wait_outlasts_what_ends_before_it() {
        let now = SystemClock.now();
        let mut wait = Wait::new(now, Some(100 * MS));
        assert!(wait.outlasts(99 * MS, now) && !wait.outlasts(100 * MS, now));
        assert!(!wait.outlasts(60 * MS, later(now, 50 * MS)));
        let mut unlimited = Wait::new(now, None);
        assert!(!unlimited.outlasts(NO_QUORUM_LIMIT, now));
        assert!(
            !unlimited.outlasts(NO_QUORUM_LIMIT - MS, later(now, MS)),
            "since the first failure"
        );
    }

    #[test]
    fn a_denial_is_waited_for_without_end_unless_the_caller_sets_one() {
        let start = SystemClock.now();
        let day = Duration::from_secs(86_400);
        let ask = |millis: u32| Next::AskAfter(millis * MS);
        assert_eq!(Wait::new(start, None).after_denial(MS, MS, start + day), ask(1));
        let mut limited = Wait::new(start, Some(10 * MS));
        assert_eq!(limited.after_denial(3 * MS, 2 * MS, start + 2 * MS), ask(3));
        assert_eq!(limited.after_denial(3 * MS, 2 * MS, start + 7 * MS), ask(1));
        let give_up = |after: u32| Next::GiveUpAfter(after * MS);
        assert_eq!(limited.after_denial(3 * MS, 2 * MS, start + 8 * MS), give_up(2));
        assert_eq!(limited.after_denial(3 * MS, 2 * MS, start + 11 * MS), give_up(0));
    }

    #[test]
    fn failures_in_a_row_end_the_wait_and_a_denial_starts_them_anew() {
        let start = SystemClock.now();
        let mut wait = Wait::new(start, None);
        let half = NO_QUORUM_LIMIT / 2;
        assert_eq!(wait.after_failure(MS, MS, start), Next::AskAfter(MS));
        assert_eq!(wait.after_failure(MS, MS, start + half), Next::AskAfter(MS));
        assert_eq!(wait.after_denial(MS, MS, start + half), Next::AskAfter(MS));
        assert_eq!(wait.after_failure(MS, MS, start + NO_QUORUM_LIMIT), Next::AskAfter(MS));
        let end = start + 2 * NO_QUORUM_LIMIT;
        assert_eq!(wait.after_failure(MS, MS, end), Next::GiveUpAfter(Duration::ZERO));
    }

    #[test]
    fn a_later_round_ends_when_the_caller_said() {
        let start = SystemClock.now();
        let wait = Wait::new(start, Some(10 * MS));
        assert_eq!(wait.cut(50 * MS, start + 7 * MS), 3 * MS);
        assert_eq!(wait.cut(2 * MS, start + 7 * MS), 2 * MS);
        assert_eq!(Wait::new(start, None).cut(50 * MS, start), 50 * MS);
        assert_eq!(wait.end(), Some(start + 10 * MS));
    }

    #[test]
    fn the_pace_follows_what_is_measured() {
        let pace = Pace::default();
        assert_eq!(pace.measured(), Duration::ZERO);
        pace.note(8 * MS, 90 * MS);
        assert_eq!(pace.measured(), 8 * MS);
        // An eighth of the way to what is measured now.
        pace.note(16 * MS, 90 * MS);
        assert_eq!(pace.measured(), 9 * MS);
        (0..100).for_each(|_| pace.note(90 * MS, 90 * MS));
        assert!(pace.measured() > 80 * MS);
    }

    #[test]
    fn a_process_that_was_stopped_does_not_take_that_for_the_pace_of_its_nodes() {
        let pace = Pace::default();
        pace.note(3_000 * MS, 50 * MS);
        assert_eq!(pace.measured(), 50 * MS);
    }
}
