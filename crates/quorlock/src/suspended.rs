//! Time that timers did not count: how far the process's other clocks have run ahead of the one that it waits by, because the
//! machine was suspended or stopped (safety.md A3, H11). Reads no clock.

use std::time::Duration;

/// Less is the time that reading three clocks takes, or a clock that is slewed.
const LEAST: Duration = Duration::from_millis(10);

/// The clocks at one moment, each since a beginning of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The one that timers count by, read before the others: it stands still while the machine is suspended.
    pub(crate) before: Duration,
    /// One that runs on meanwhile, where the operating system has one.
    pub(crate) boot: Option<Duration>,
    /// The time of day: it runs on also where a whole virtual machine was stopped, and may be set.
    pub(crate) wall: Duration,
}

/// What was missed so far. It only grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspended {
    last: Reading,
    missed: Duration,
}

impl Suspended {
    pub(crate) fn since(first: Reading) -> Self {
        Self { last: first, missed: Duration::ZERO }
    }

    /// How much was missed in all by this reading; `after` reads the first clock again, after the others, where that matters.
    ///
    /// What counts is the largest difference since the reading before: a time of day that is set forward is taken for time
    /// that passed, which only shortens what is valid; set back, it counts for nothing.
    pub(crate) fn by(&mut self, now: Reading, after: impl FnOnce() -> Duration) -> Duration {
        let Reading { before, boot, wall } = self.last;
        let booted = now.boot.zip(boot).map(|(now, then)| now.saturating_sub(then));
        let most = booted.unwrap_or_default().max(now.wall.saturating_sub(wall));
        if most.saturating_sub(now.before.saturating_sub(before)) >= LEAST {
            // The longest that this clock can have run between the two looks at the others.
            let ahead = most.saturating_sub(after().saturating_sub(before));
            if ahead >= LEAST {
                self.missed = self.missed.saturating_add(ahead);
            }
        }
        self.last = now;
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn reading(ms: u32, boot: u32, wall: u32) -> Reading {
        let before = ms * MS;
        Reading { before, boot: Some(boot * MS), wall: wall * MS }
    }

    fn missed(readings: impl IntoIterator<Item = Reading>) -> Duration {
        let mut suspended = Suspended::since(reading(1_000, 5_000, 70_000));
        let by = |reading: Reading| suspended.by(reading, || reading.before);
        readings.into_iter().map(by).last().unwrap_or_default()
    }

    #[test]
    fn clocks_that_run_alike_miss_nothing() {
        assert_eq!(
            missed([reading(3_000, 7_000, 72_000), reading(9_000, 13_000, 78_000)]),
            Duration::ZERO
        );
    }

    #[test]
    fn a_suspended_machine_has_missed_what_the_boot_time_counted() {
        let slept = reading(1_100, 65_100, 130_100);
        assert_eq!(missed([slept]), 60_000 * MS);
        assert_eq!(missed([slept, reading(1_200, 65_200, 130_200)]), 60_000 * MS, "once");
        let again = reading(1_300, 67_300, 132_300);
        assert_eq!(missed([slept, again]), 62_000 * MS);
    }

    #[test]
    fn a_stopped_virtual_machine_has_missed_what_the_time_of_day_counted() {
        assert_eq!(missed([reading(1_100, 5_100, 100_100)]), 30_000 * MS);
        let without_boot_time = Reading { boot: None, ..reading(1_100, 0, 100_100) };
        assert_eq!(missed([without_boot_time]), 30_000 * MS);
    }

    #[test]
    fn a_time_of_day_that_is_set_back_takes_nothing_back() {
        let back = reading(1_100, 5_100, 10_000);
        assert_eq!(missed([back]), Duration::ZERO);
        assert_eq!(
            missed([reading(1_100, 5_100, 100_100), reading(1_200, 5_200, 70_200)]),
            30_000 * MS
        );
        assert_eq!(missed([back, reading(1_200, 5_200, 10_100)]), Duration::ZERO);
    }

    #[test]
    fn a_process_that_is_held_up_between_two_looks_has_missed_nothing() {
        let mut suspended = Suspended::since(reading(1_000, 5_000, 70_000));
        // For 300 ms, after the first clock was read and before the others were.
        let held_up = suspended.by(reading(1_100, 5_400, 70_400), || 1_400 * MS);
        assert_eq!(held_up, Duration::ZERO);
        let later = suspended.by(reading(1_500, 5_500, 70_500), || 1_500 * MS);
        assert_eq!(later, Duration::ZERO, "nor counts it later");
    }

    #[test]
    fn a_slewed_clock_is_no_suspended_one() {
        let slewed = (1..100)
            .map(|turn| reading(1_000 + turn * 100, 5_000 + turn * 100, 70_000 + turn * 108));
        assert_eq!(missed(slewed), Duration::ZERO);
    }
}
