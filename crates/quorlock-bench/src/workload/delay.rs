//! Nodes that are far away: a proxy before each delays every byte.

use std::time::Duration;

use super::{Case, ONE, Scale};

/// Enough cycles of two round trips for a median.
const CYCLES: u32 = 40;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown =
        &["acquire_p50_us", "acquire_p99_us", "release_p50_us", "echo_p50_us", "acquire_to_echo"];
    let case = |milliseconds: u64| {
        let name = format!("{milliseconds} ms round trip");
        let case = Case::new("delay", name, ONE, scale).without_floor();
        let round_trip = Duration::from_millis(milliseconds);
        Case { shown, round_trip, window: case.window.max(2 * CYCLES * round_trip), ..case }
    };
    scale.some(&[1, 10, 50], &[10]).into_iter().map(case).collect()
}
