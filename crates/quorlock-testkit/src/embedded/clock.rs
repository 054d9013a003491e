//! The node's clock: tokio's, moved by jumps and run at a rate. It wakes nobody.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Which way a clock is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockJump {
    /// Keys expire early.
    Forward,
    /// Keys live longer.
    Backward,
}

/// Where the clock of a node begins that is reached over pipes: the same in every run, so that a
/// simulation repeats itself.
pub(crate) const EPOCH_US: i64 = 1_700_000_000_000_000;

#[derive(Debug)]
pub(crate) struct NodeClock {
    anchor: Instant,
    anchor_us: i64,
    rate: f64,
}

impl NodeClock {
    /// Shows the system's time.
    pub(crate) fn system() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self::starting_at(micros(since_1970.expect("the system's clock is set to after 1970")))
    }

    /// Shows the same time in every run.
    pub(crate) fn repeatable() -> Self {
        Self::starting_at(EPOCH_US)
    }

    fn starting_at(anchor_us: i64) -> Self {
        Self { anchor: Instant::now(), anchor_us, rate: 1.0 }
    }

    /// Microseconds since 1970 as this node believes.
    #[expect(clippy::float_cmp, reason = "exactly 1.0 is the usual rate, and needs no rounding")]
    pub(crate) fn now_us(&self) -> i64 {
        let elapsed = micros(self.anchor.elapsed());
        let shown = if self.rate == 1.0 { elapsed } else { (elapsed as f64 * self.rate) as i64 };
        self.anchor_us + shown
    }

    pub(crate) fn jump(&mut self, by: Duration, direction: ClockJump) {
        self.anchor_us = match direction {
            ClockJump::Forward => self.anchor_us.saturating_add(micros(by)),
            ClockJump::Backward => self.anchor_us.saturating_sub(micros(by)),
        };
    }

    /// From now on; what has passed already stays as it was.
    pub(crate) fn set_rate(&mut self, rate: f64) {
        self.anchor_us = self.now_us();
        self.anchor = Instant::now();
        self.rate = rate;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_tokio_jumps_and_runs_at_its_rate() {
        let mut clock = NodeClock::repeatable();
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(clock.now_us() - EPOCH_US, 5_000);
        clock.jump(Duration::from_millis(2), ClockJump::Backward);
        assert_eq!(clock.now_us() - EPOCH_US, 3_000);
        clock.set_rate(2.0);
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(clock.now_us() - EPOCH_US, 23_000);
        clock.jump(Duration::from_millis(1), ClockJump::Forward);
        assert_eq!(clock.now_us() - EPOCH_US, 24_000);
    }
}
