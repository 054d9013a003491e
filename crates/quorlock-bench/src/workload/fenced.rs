//! A lock with a fencing token against one without, one task and many.

use super::{Case, Scale, counted};
use crate::contender::Name;
use crate::load::Load;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let case = |tasks: usize| {
        let load = Load::Cycles { tasks, resources: 1 };
        let contenders = vec![Name::Raw, Name::Quorlock, Name::QuorlockFenced];
        Case { contenders, ..Case::new("fenced", counted(tasks, "task"), load, scale) }
    };
    // One task and 64 are in `latency` and `throughput` already.
    scale.some(&[1, 64], &[64]).into_iter().map(case).collect()
}
