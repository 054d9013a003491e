//! One task, nobody else, healthy nodes: what one lock takes.

use super::{Case, ONE, Scale};

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown = &[
        "acquire_p50_us",
        "acquire_p99_us",
        "release_p50_us",
        "commands_per_cycle",
        "client_cpu_per_10k_s",
        "server_cpu_per_10k_s",
    ];
    vec![Case { shown, ..Case::new("latency", "1 task", ONE, scale) }]
}
