//! The one clock of the demo: the host's monotonic one, which all processes of a machine read alike.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::error::Result;

/// Reads the monotonic clock, and says where an [`Instant`] lies on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    /// The same moment on the monotonic clock, or a little before it.
    monotonic: Duration,
}

/// How often the two clocks are read to find a moment at which nothing came between.
const READINGS: usize = 16;

impl Clock {
    /// Finds the offset between the two clocks: it never changes.
    ///
    /// # Errors
    ///
    /// A system without a monotonic clock.
    pub(crate) fn new() -> Result<Self> {
        let mut best = Self::read()?;
        for _ in 1..READINGS {
            let reading = Self::read()?;
            if reading.0 < best.0 {
                best = reading;
            }
        }
        Ok(best.1)
    }

    /// Now.
    pub(crate) fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// Where an instant lies.
    pub(crate) fn at(&self, instant: Instant) -> Duration {
        match instant.checked_duration_since(self.instant) {
            Some(after) => self.monotonic + after,
            None => self.monotonic.saturating_sub(self.instant.duration_since(instant)),
        }
    }

    fn read() -> Result<(Duration, Self)> {
        let before = monotonic()?;
        let instant = Instant::now();
        let after = monotonic()?;
        Ok((after.saturating_sub(before), Self { instant, monotonic: before }))
    }
}

fn monotonic() -> Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_lies_where_the_monotonic_clock_says() {
        let clock = Clock::new().unwrap();
        let before = monotonic().unwrap();
        let now = clock.now();
        let after = monotonic().unwrap();
        let slack = Duration::from_millis(1);
        assert!(before <= now + slack && now <= after + slack, "{before:?} {now:?} {after:?}");
        let earlier = Instant::now() - Duration::from_secs(1);
        assert!(clock.at(earlier) < now);
    }
}
