//! How long a lease may be trusted: TTL, drift, and the only copy of the formula. Reads no clock.

use std::time::{Duration, Instant};

use crate::invalid::InvalidInput;

/// Above this a double, and so Lua on the nodes, cannot count single milliseconds.
const MAX_TTL_MILLIS: u128 = 1 << 53;
/// Covers the rounding of expiry to whole milliseconds on the nodes (safety.md H36).
const DRIFT_FLOOR: Duration = Duration::from_millis(2);
/// The published page's share of the TTL for clocks that run apart: 1%.
pub(crate) const DEFAULT_DRIFT_FACTOR: f64 = 0.01;
const NOTICE_FLOOR: Duration = Duration::from_millis(5);
const TIME_LIMIT_FLOOR: Duration = Duration::from_millis(5);
const TIME_LIMIT_CAP: Duration = Duration::from_millis(500);

/// A TTL in whole milliseconds together with the drift that is taken off it: `validity = ttl - drift`.
///
/// The formula of <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>, steps 3 and 4:
/// `deadline = start + ttl - drift`, `start` taken before the first byte is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Validity {
    ttl: Duration,
    drift: Duration,
    drift_factor: f64,
}

impl Validity {
    /// Cuts `ttl` to whole milliseconds and takes `ttl * drift_factor + 2 ms` off as drift.
    ///
    /// # Errors
    ///
    /// A TTL below a millisecond, above 2^53 ms, or not above its drift.
    pub(crate) fn new(ttl: Duration, drift_factor: f64) -> Result<Self, InvalidInput> {
        let millis = ttl.as_millis();
        if millis == 0 {
            return Err(InvalidInput::TtlTooShort { ttl });
        }
        if millis > MAX_TTL_MILLIS {
            return Err(InvalidInput::TtlTooLong { ttl });
        }
        // At most 2^53, so it fits.
        let whole = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let drift = whole.mul_f64(drift_factor) + DRIFT_FLOOR;
        if whole <= drift {
            return Err(InvalidInput::TtlNotAboveDrift { ttl, drift });
        }
        Ok(Self { ttl: whole, drift, drift_factor })
    }

    /// What the nodes are told.
    pub(crate) fn ttl(self) -> Duration {
        self.ttl
    }

    /// What the holder may trust, counted from `start`.
    pub(crate) fn length(self) -> Duration {
        self.ttl - self.drift
    }

    /// This, or the shortest that is valid for `left`, whichever is longer.
    pub(crate) fn covering(self, left: Duration) -> Self {
        if self.length() >= left {
            return self;
        }
        let ttl = (left + DRIFT_FLOOR).div_f64(1.0 - self.drift_factor);
        // A millisecond more than the quotient, which is cut to whole ones.
        Self::new(ttl + Duration::from_millis(1), self.drift_factor).unwrap_or(self)
    }

    /// This, or as long as `ttl`, whichever is longer: what was set for longer before is not shortened.
    pub(crate) fn at_least(self, ttl: Duration) -> Self {
        if self.ttl >= ttl {
            return self;
        }
        Self::new(ttl, self.drift_factor).unwrap_or(self)
    }

    /// The instant at which a lease asked for at `start` is over.
    pub(crate) fn deadline(self, start: Instant) -> Instant {
        later(start, self.length())
    }

    /// The instant at which "lost" is told for a lease that ends at `deadline` (promise G5): `max(5 ms, ttl / 100)`
    /// before it, and never more than half of the validity, so that a tiny lease is not lost at birth.
    pub(crate) fn notice(self, deadline: Instant) -> Instant {
        let margin = NOTICE_FLOOR.max(self.ttl / 100).min(self.length() / 2);
        deadline.checked_sub(margin).unwrap_or(deadline)
    }

    /// How long after its start a lease is extended.
    pub(crate) fn extend_after(self) -> Duration {
        self.ttl / 3
    }

    /// The default time limit per node: small against the TTL.
    pub(crate) fn default_time_limit(self) -> Duration {
        (self.ttl / 20).clamp(TIME_LIMIT_FLOOR, TIME_LIMIT_CAP)
    }
}

/// `instant + span`, or, beyond what the platform can say, an instant about a century away.
pub(crate) fn later(instant: Instant, span: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    instant.checked_add(span).or_else(|| instant.checked_add(CENTURY)).unwrap_or(instant)
}

/// Refuses a share of the TTL that is not a number, negative, or all of it.
pub(crate) fn check_drift_factor(factor: f64) -> Result<f64, InvalidInput> {
    if (0.0..1.0).contains(&factor) {
        return Ok(factor);
    }
    Err(InvalidInput::DriftFactor { factor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do, and there is no other way to have one"
    )]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn millis(ms: u64) -> Validity {
        Validity::new(Duration::from_millis(ms), DEFAULT_DRIFT_FACTOR).unwrap()
    }

    #[test]
    fn ten_seconds_are_trusted_for_9898_ms() {
        assert_eq!(millis(10_000).length(), Duration::from_millis(9_898));
    }

    #[test]
    fn a_ttl_that_cannot_work_is_refused() {
        let of = |ttl| Validity::new(ttl, DEFAULT_DRIFT_FACTOR);
        assert!(matches!(of(Duration::ZERO), Err(InvalidInput::TtlTooShort { .. })));
        assert!(matches!(of(Duration::from_micros(999)), Err(InvalidInput::TtlTooShort { .. })));
        let at_drift = Duration::from_millis(2);
        assert!(matches!(of(at_drift), Err(InvalidInput::TtlNotAboveDrift { .. })));
        assert!(of(Duration::from_millis(3)).is_ok());
        assert!(of(Duration::from_millis(1 << 53)).is_ok());
        let above = Duration::from_millis((1 << 53) + 1);
        assert!(matches!(of(above), Err(InvalidInput::TtlTooLong { .. })));
        assert!(matches!(of(Duration::MAX), Err(InvalidInput::TtlTooLong { .. })));
    }

    #[test]
    fn the_time_limit_is_a_twentieth_within_its_bounds() {
        assert_eq!(millis(50).default_time_limit(), Duration::from_millis(5));
        assert_eq!(millis(2_000).default_time_limit(), Duration::from_millis(100));
        assert_eq!(millis(60_000).default_time_limit(), Duration::from_millis(500));
    }

    #[test]
    fn what_the_platform_cannot_say_is_about_a_century_away() {
        let year = Duration::from_secs(365 * 24 * 3600);
        let (now, far) = (some_instant(), later(some_instant(), Duration::MAX));
        assert!(far > now + 99 * year && far < now + 101 * year);
    }

    #[test]
    fn a_loss_is_told_by_the_promised_margin_before_the_deadline() {
        let deadline = some_instant() + Duration::from_secs(3_600);
        let margin = |ms| deadline - millis(ms).notice(deadline);
        assert_eq!(margin(60_000), Duration::from_millis(600));
        assert_eq!(margin(500), Duration::from_millis(5));
        assert_eq!(margin(400), Duration::from_millis(5));
        // Half of 7.9 ms.
        assert_eq!(margin(10), Duration::from_micros(3_950));
    }

    #[test]
    fn a_share_of_the_ttl_is_at_least_nothing_and_less_than_all() {
        for bad in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            assert!(check_drift_factor(bad).is_err(), "{bad}");
        }
        assert!(check_drift_factor(0.1).is_ok());
    }

    proptest! {
        #[test]
        fn validity_is_shorter_than_the_ttl_and_notice_comes_before_the_deadline(
            ms in 3u64..=1 << 53, factor in 0.0..0.3f64,
        ) {
            let start = some_instant();
            let Ok(validity) = Validity::new(Duration::from_millis(ms), factor) else { return Ok(()) };
            prop_assert!(validity.length() > Duration::ZERO);
            prop_assert!(validity.length() + DRIFT_FLOOR <= validity.ttl());
            let deadline = validity.deadline(start);
            prop_assert!(deadline > start);
            prop_assert!(validity.notice(deadline) < deadline);
            prop_assert!(validity.notice(deadline) > start);
        }

        #[test]
        fn what_is_set_already_is_not_shortened(
            ms in 3u64..100_000, set in 0u64..200_000, factor in 0.0..0.3f64,
        ) {
            let Ok(validity) = Validity::new(Duration::from_millis(ms), factor) else { return Ok(()) };
            let set = Duration::from_millis(set);
            let longer = validity.at_least(set);
            prop_assert_eq!(longer.ttl(), validity.ttl().max(set));
            prop_assert_eq!(longer, Validity::new(longer.ttl(), factor).unwrap());
        }

        #[test]
        fn covering_is_long_enough_and_not_much_longer(
            ms in 3u64..100_000, left in 0u64..10_000_000, factor in 0.0..0.3f64,
        ) {
            let Ok(validity) = Validity::new(Duration::from_millis(ms), factor) else { return Ok(()) };
            let left = Duration::from_millis(left);
            let covering = validity.covering(left);
            prop_assert!(covering.length() >= left);
            prop_assert!(covering == validity || covering.length() <= left + Duration::from_millis(2));
        }
    }
}
