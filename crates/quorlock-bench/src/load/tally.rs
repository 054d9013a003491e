//! What one load has seen: times, and how often. Decides nothing.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Figures, note};

/// No operation that ends takes longer; one that does counts as this long.
const LONGEST: Duration = Duration::from_secs(60);
const DIGITS: u8 = 3;

/// Times of acquires and releases, and how many failed.
#[derive(Debug)]
pub(crate) struct Tally {
    acquire: Histogram<u64>,
    release: Histogram<u64>,
    in_window: u64,
    pub(crate) failures: u64,
    pub(crate) last_failure: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            acquire: histogram(),
            release: histogram(),
            in_window: 0,
            failures: 0,
            last_failure: None,
        }
    }

    pub(crate) fn acquired(&mut self, took: Duration) {
        record(&mut self.acquire, took);
    }

    /// What ends after the window is work that was done, but no part of the rate.
    pub(crate) fn released(&mut self, took: Duration, in_window: bool) {
        record(&mut self.release, took);
        self.in_window += u64::from(in_window);
    }

    pub(crate) fn failed(&mut self, why: String) {
        self.failures += 1;
        self.last_failure = Some(why);
    }

    /// How many locks were taken and given back.
    pub(crate) fn cycles(&self) -> u64 {
        self.release.len()
    }

    pub(crate) fn tell(&self, figures: &mut Figures, window: Duration) {
        for (name, times) in [("acquire", &self.acquire), ("release", &self.release)] {
            note(figures, &format!("{name}_p50_us"), micros(times.value_at_quantile(0.5)));
            note(figures, &format!("{name}_p99_us"), micros(times.value_at_quantile(0.99)));
            note(figures, &format!("{name}_max_us"), micros(times.max()));
        }
        note(figures, "cycles", self.cycles() as f64);
        note(figures, "cycles_per_s", self.in_window as f64 / window.as_secs_f64());
        note(figures, "failures", self.failures as f64);
    }
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(nanos(LONGEST), DIGITS).expect("bounds and digits are constants")
}

pub(crate) fn record(times: &mut Histogram<u64>, took: Duration) {
    times.saturating_record(nanos(took).max(1));
}

pub(crate) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_tells_rates_of_the_window() {
        let mut tally = Tally::new();
        for in_window in [true, true, false] {
            tally.acquired(Duration::from_micros(100));
            tally.released(Duration::from_micros(50), in_window);
        }
        tally.failed("why".to_owned());
        let mut figures = Figures::new();
        tally.tell(&mut figures, Duration::from_millis(500));
        assert_eq!(figures["cycles_per_s"], 4.0);
        assert_eq!((figures["cycles"], figures["failures"]), (3.0, 1.0));
        assert!((figures["acquire_p50_us"] - 100.0).abs() < 1.0, "{figures:?}");
        assert_eq!(tally.last_failure.as_deref(), Some("why"));
    }
}
