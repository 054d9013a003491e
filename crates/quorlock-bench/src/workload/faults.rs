//! One task while some of the five nodes are frozen, dead, or die and come back.

use std::time::Duration;

use super::{Case, ONE, Scale, Trouble};

const HEALTHY: &str = "healthy";
/// Short, so that a node that has forgotten votes again within the window.
const SHORT_TTL: Duration = Duration::from_secs(1);

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown = &["acquire_p50_us", "acquire_p99_us", "acquire_max_us", "cycles_per_s", "failures"];
    let case = |name: &'static str, trouble| {
        let case = Case::new("faults", name, ONE, scale).without_floor();
        let healthy = (trouble != Trouble::None).then_some(HEALTHY);
        // Twice as long as usual: the time until a node is given up is in it.
        Case { shown, trouble, healthy, window: 2 * case.window, ..case }
    };
    let restarted = Case {
        shown: &[
            "acquire_p50_us",
            "acquire_p99_us",
            "acquire_max_us",
            "asked_again_s",
            "votes_late_s",
            "failures",
        ],
        ttl: SHORT_TTL,
        max_ttl: SHORT_TTL,
        window: Duration::from_secs(if scale.quick { 3 } else { 8 }),
        ..case("1 restarted", Trouble::Restarted)
    };
    vec![
        case(HEALTHY, Trouble::None),
        case("1 frozen", Trouble::Frozen(1)),
        case("2 frozen", Trouble::Frozen(2)),
        case("1 dead", Trouble::Dead(1)),
        case("2 dead", Trouble::Dead(2)),
        restarted,
    ]
}
