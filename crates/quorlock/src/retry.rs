//! How long to wait before asking again: a policy as a value, its delays as an iterator. Sleeps nowhere.

use std::time::Duration;

use crate::entropy::Entropy;
use crate::invalid::InvalidInput;

/// How a waiting [`lock`](crate::Redlock::lock) spaces its attempts where no node tells it of a release (servers without RESP3, or
/// a right that is missing), and while there is no quorum.
///
/// Where a node tells, whoever is first in the handle asks when it is told, and after half a second to a second in any case,
/// whatever is set here; those behind it ask no sooner than by these delays.
///
/// Each delay is drawn at random between a low and a growing high bound, so that contenders do not meet again
/// (the published page asks for a random delay). The low bound is twice the measured time of an acquire, but at least
/// `shortest`; the high bound doubles from there up to `longest`, and is never less than twice the low one. The low bound is
/// also what is kept of `wait_for` for the last question, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    shortest: Duration,
    longest: Duration,
}

impl Retry {
    /// Used where nothing is set: [`DEFAULT_SHORTEST`](Self::DEFAULT_SHORTEST) to
    /// [`DEFAULT_LONGEST`](Self::DEFAULT_LONGEST).
    pub const DEFAULT: Self = Self::between(Self::DEFAULT_SHORTEST, Self::DEFAULT_LONGEST);
    /// Enough for a loaded node on the same network not to be hammered.
    pub const DEFAULT_SHORTEST: Duration = Duration::from_millis(1);
    /// What a free lock may stay unseen for where no node tells.
    pub const DEFAULT_LONGEST: Duration = Duration::from_millis(100);

    /// Delays from `shortest` up to `longest`, or, on slow nodes, more: see the type.
    #[must_use = "a policy does nothing until it is given to a builder"]
    pub const fn between(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest }
    }

    /// # Errors
    ///
    /// A delay of zero would be a loop without rest.
    pub(crate) fn check(self) -> Result<Self, InvalidInput> {
        if self.shortest.is_zero() || self.longest.is_zero() {
            return Err(InvalidInput::ZeroLimit { setting: "retry" });
        }
        Ok(self)
    }

    /// The delays of one wait; `measured` is what an acquire took of late.
    pub(crate) fn delays(self, measured: Duration, entropy: &Entropy) -> Delays<'_> {
        let low = self.shortest.max(measured.saturating_mul(2));
        Delays { low, high: low, longest: self.longest.max(low.saturating_mul(2)), entropy }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// See [`Retry::delays`]. Never ends.
#[derive(Debug)]
pub(crate) struct Delays<'a> {
    low: Duration,
    high: Duration,
    longest: Duration,
    entropy: &'a Entropy,
}

impl Delays<'_> {
    /// The low bound: what one round may be expected to take, twice.
    pub(crate) fn shortest(&self) -> Duration {
        self.low
    }
}

impl Iterator for Delays<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.high = self.high.saturating_mul(2).min(self.longest);
        Some(jittered(self.low, self.high, self.entropy))
    }
}

/// A duration between the two, drawn evenly.
pub(crate) fn jittered(low: Duration, high: Duration, entropy: &Entropy) -> Duration {
    low + high.saturating_sub(low).mul_f64(entropy.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_stay_within_their_bounds_and_grow() {
        let entropy = Entropy::seeded(1);
        let delays: Vec<_> =
            Retry::between(2 * MS, 40 * MS).delays(MS, &entropy).take(200).collect();
        assert!(delays.iter().all(|d| (2 * MS..=40 * MS).contains(d)));
        assert!(delays[0] <= 4 * MS);
        assert!(delays.iter().any(|d| *d > 30 * MS));
    }

    #[test]
    fn a_slow_acquire_stretches_the_delays() {
        let entropy = Entropy::seeded(1);
        let mut delays = Retry::between(MS, 5 * MS).delays(20 * MS, &entropy).take(50);
        assert!(delays.all(|delay| delay >= 40 * MS && delay <= 80 * MS));
    }

    #[test]
    fn the_shortest_delay_is_what_a_round_is_expected_to_take_twice() {
        let entropy = Entropy::seeded(1);
        let retry = Retry::between(2 * MS, 40 * MS);
        assert_eq!(retry.delays(Duration::ZERO, &entropy).shortest(), 2 * MS);
        assert_eq!(retry.delays(5 * MS, &entropy).shortest(), 10 * MS);
    }

    #[test]
    fn no_rest_is_refused() {
        assert!(Retry::between(Duration::ZERO, MS).check().is_err());
        assert!(Retry::between(MS, Duration::ZERO).check().is_err());
        assert!(Retry::DEFAULT.check().is_ok());
    }
}
