//! Clients with connections of their own that hand one lock from one to the other.

use std::time::Duration;

use super::{Case, Scale};
use crate::load::Load;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown = &[
        "holds_per_s",
        "wait_p50_us",
        "wait_p99_us",
        "hand_over_p50_us",
        "commands_per_cycle",
        "luckiest",
        "unluckiest",
        "failures",
        "overlaps",
    ];
    let case = |(clients, hold): (usize, u64)| {
        let load = Load::Contended { clients, hold: Duration::from_millis(hold) };
        let name = format!("{clients} clients, hold {hold} ms");
        let case = Case::new("contended", name, load, scale).without_floor();
        // A wait is hundreds of times longer than a cycle.
        Case { shown, window: 2 * case.window, ..case }
    };
    let all = [(2, 0), (2, 5), (8, 0), (8, 5), (32, 0), (32, 5), (128, 0), (128, 5)];
    scale.some(&all, &[(2, 5), (32, 5)]).into_iter().map(case).collect()
}
