//! Numbers from a history: how long a waiting worker took to get the lock after another gave it back, and percentiles.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use quorlock_testkit::checker::{Ended, Hold};

/// A histogram counts up to this many microseconds: a minute.
const LONGEST_US: u64 = 60_000_000;

/// What is worth knowing of many durations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures(Option<(Duration, Duration)>);

impl Figures {
    /// The median and the 99th percentile.
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut histogram = Histogram::<u64>::new_with_max(LONGEST_US, 3)
            .expect("the bounds and the precision are constants that fit");
        for duration in durations {
            let us = u64::try_from(duration.as_micros()).unwrap_or(LONGEST_US);
            histogram.saturating_record(us);
        }
        if histogram.is_empty() {
            return Self(None);
        }
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Self(Some((at(0.5), at(0.99))))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((median, high)) => f.pad(&format!("{} / {}", millis(median), millis(high))),
            None => f.pad("-"),
        }
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// The times from the begin of a release to the next lease, where somebody was waiting already. The holds are those
/// of one resource, by their begin.
pub(crate) fn hand_overs(holds: &[Hold]) -> impl Iterator<Item = Duration> {
    holds.windows(2).filter_map(|pair| {
        let [old, new] = pair else { return None };
        let waiting = new.asked < old.until && new.from >= old.until;
        (old.ended == Ended::Released && waiting).then(|| new.from - old.until)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(asked: u64, from: u64, until: u64) -> Hold {
        let ms = Duration::from_millis;
        Hold {
            client: "w".to_owned(),
            attempt: from,
            resource: "r".to_owned(),
            asked: ms(asked),
            from: ms(from),
            until: ms(until),
            ended: Ended::Released,
            token: None,
        }
    }

    #[test]
    fn only_one_who_waited_is_handed_over_to() {
        let holds = [hold(0, 1, 10), hold(5, 13, 20), hold(21, 25, 30)];
        let found: Vec<Duration> = hand_overs(&holds).collect();
        assert_eq!(found, [Duration::from_millis(3)]);
    }

    #[test]
    fn figures_of_nothing_are_a_dash() {
        assert_eq!(Figures::of([]).to_string(), "-");
        assert_eq!(Figures::of([Duration::from_millis(2)]).to_string(), "2.00 / 2.00");
    }
}
