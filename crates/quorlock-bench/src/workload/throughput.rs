//! Many tasks over one set of connections, each on a resource of its own.

use super::{Case, Scale};
use crate::load::Load;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown = &[
        "cycles_per_s",
        "acquire_p50_us",
        "acquire_p99_us",
        "commands_per_cycle",
        "client_cpu_per_10k_s",
        "server_cpu_per_10k_s",
    ];
    let case = |tasks: usize| {
        let load = Load::Cycles { tasks, resources: 1 };
        Case { shown, ..Case::new("throughput", format!("{tasks} tasks"), load, scale) }
    };
    scale.some(&[8, 64, 256, 1_024], &[8, 64, 256, 1_024]).into_iter().map(case).collect()
}
