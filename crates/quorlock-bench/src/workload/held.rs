//! Ten thousand locks held at once, each with its keeper.

use std::time::Duration;

use super::{Case, Scale};
use crate::contender::Name;
use crate::load::Load;

const LOCKS: usize = 10_000;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let shown = &[
        "bytes_per_lock",
        "extends_per_s",
        "commands_per_s",
        "client_cpu_share",
        "server_cpu_share",
        "cpu_per_keeper_extend_us",
        "cpu_per_hand_extend_us",
        "failures",
    ];
    let case = Case::new("held", format!("{LOCKS} locks"), Load::Held { locks: LOCKS }, scale);
    let (ttl, window) = if scale.quick { (12, 4) } else { (30, 30) };
    vec![Case {
        shown,
        ttl: Duration::from_secs(ttl),
        window: Duration::from_secs(window),
        contenders: vec![Name::Quorlock],
        ..case
    }]
}
