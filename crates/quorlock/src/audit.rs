//! The clock audit: whether a node's keys had less time left than the node had acknowledged, which a right clock never
//! shows (safety.md H10). Reads no clock, and tells nobody.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::quorum::USUAL_NODES;
use crate::sync::lock;

/// What is lost where a node cuts an expiry, and later the time until then, to whole milliseconds.
const ROUNDING: Duration = Duration::from_millis(1);

/// How much is missing, beyond drift and rounding, of a deadline that a node backs: it acknowledged keys that last for so
/// long, and had `found` left of them, in an answer that was read at `read`.
///
/// `PTTL < PX - elapsed - drift - 1 ms`, said as moments: `backed` is the send time and PX, less the drift. A key may have
/// been set later than it was sent, and found earlier than that was read: both only make it live longer than this asks.
pub(crate) fn missing(backed: Instant, found: Duration, read: Instant) -> Option<Duration> {
    // What ends beyond all that the platform can say is not missing.
    let ends = read.checked_add(found.saturating_add(ROUNDING))?;
    let missing = backed.saturating_duration_since(ends);
    (!missing.is_zero()).then_some(missing)
}

/// Until when each node backs a lease, by the last set that it acknowledged: the deadline that would follow from that node
/// alone. Nothing where that is not known.
#[derive(Debug)]
pub(crate) struct Baselines(Mutex<Each>);

/// Of each node.
pub(crate) type Each = SmallVec<[Option<Instant>; USUAL_NODES]>;

impl Baselines {
    pub(crate) fn new(each: impl Iterator<Item = Option<Instant>>) -> Self {
        Self(Mutex::new(each.collect()))
    }

    pub(crate) fn set(&self, index: usize, backed: Option<Instant>) {
        if let Some(baseline) = lock(&self.0).get_mut(index) {
            *baseline = backed;
        }
    }

    /// As they are now.
    pub(crate) fn copy(&self) -> Each {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::validity::Validity;

    const US: Duration = Duration::from_micros(1);
    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn validity(ms: u64) -> Validity {
        Validity::new(Duration::from_millis(ms), 0.01).unwrap()
    }

    #[test]
    fn a_baseline_takes_sixteen_bytes_a_node() {
        assert!(size_of::<Option<Instant>>() <= 16);
    }

    #[test]
    fn exactly_at_the_edge_nothing_is_missing_and_a_moment_below_it_is() {
        // Ten seconds, of which 102 ms are drift and 1 ms is rounding; three have passed.
        let sent = some_instant();
        let (backed, read) = (validity(10_000).deadline(sent), sent + 3_000 * MS);
        assert_eq!(missing(backed, 7_000 * MS, read), None);
        assert_eq!(missing(backed, 6_897 * MS, read), None);
        assert_eq!(missing(backed, 6_896 * MS, read), Some(MS));
        assert_eq!(missing(backed, 6_897 * MS, read - US), Some(US));
        assert_eq!(missing(backed, Duration::ZERO, read), Some(6_897 * MS));
    }

    #[test]
    fn what_was_not_acknowledged_has_no_baseline() {
        let moment = some_instant();
        let baselines = Baselines::new([None, Some(moment)].into_iter());
        assert_eq!(*baselines.copy(), [None, Some(moment)]);
        baselines.set(0, Some(moment));
        baselines.set(1, None);
        baselines.set(2, Some(moment));
        assert_eq!(*baselines.copy(), [Some(moment), None]);
    }

    #[test]
    fn what_lasts_for_ever_is_not_missing() {
        let sent = some_instant();
        for found in [Duration::MAX, validity(1 << 53).ttl()] {
            assert_eq!(missing(validity(1 << 53).deadline(sent), found, sent), None);
        }
    }

    /// A key on a node whose clock shows microseconds, and runs at a rate: what the node says is left of it.
    struct Node {
        shows: u64,
        rate: f64,
    }

    impl Node {
        fn ms(&self, after_us: u64) -> i64 {
            let shown = self.shows + (after_us as f64 * self.rate) as u64;
            i64::try_from(shown / 1_000).unwrap()
        }

        /// Set so long after it was sent, and found so long after that; `None` where it is gone.
        fn found(&self, ttl_ms: u64, set_us: u64, found_us: u64, jump_ms: i64) -> Option<Duration> {
            let ends = self.ms(set_us) + i64::try_from(ttl_ms).unwrap();
            let left = ends - (self.ms(set_us + found_us) + jump_ms);
            u64::try_from(left).ok().map(Duration::from_millis)
        }
    }

    /// TTLs that are drawn by their magnitude, and shares of them.
    fn cases() -> impl Strategy<Value = (u64, f64, f64, f64)> {
        (1.1..18.0f64, 0.0..1.2f64, 0.0..1.2f64, 0.0..1.2f64)
            .prop_map(|(magnitude, a, b, c)| (magnitude.exp() as u64, a, b, c))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn a_node_whose_clock_is_right_is_never_accused(
            (ttl, set, found, read) in cases(), shows in 1u64 << 40..1 << 50, rate in 0.1..1.01f64,
        ) {
            let us = |share: f64| (share * ttl as f64 * 1_000.0) as u64;
            let node = Node { shows, rate };
            let Some(left) = node.found(ttl, us(set), us(found), 0) else { return Ok(()) };
            let sent = some_instant();
            // Read when it was found, or any time later.
            let read = sent + Duration::from_micros(us(set) + us(found) + us(read));
            prop_assert_eq!(missing(validity(ttl).deadline(sent), left, read), None);
        }

        #[test]
        fn a_jump_beyond_what_is_allowed_is_seen_where_the_answer_is_fresh(
            (ttl, _, found, _) in cases(), shows in 1u64 << 40..1 << 50, jump in 1.0..60.0f64,
        ) {
            let node = Node { shows, rate: 1.0 };
            let after = (found * ttl as f64 * 1_000.0) as u64;
            // Drift, rounding, and a millisecond that the node may round up.
            let jump = ttl as f64 * 0.01 + 5.0 + jump * ttl as f64 / 100.0;
            let Some(left) = node.found(ttl, 0, after, jump as i64) else { return Ok(()) };
            let sent = some_instant();
            let read = sent + Duration::from_micros(after);
            prop_assert!(missing(validity(ttl).deadline(sent), left, read).is_some());
        }
    }
}
