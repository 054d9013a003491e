//! Several resources in one lock, for those that can.

use super::{Case, Scale, counted};
use crate::contender::Name;
use crate::load::Load;

pub(crate) fn cases(scale: Scale) -> Vec<Case> {
    let case = |resources: usize| {
        let load = Load::Cycles { tasks: 1, resources };
        let name = counted(resources, "resource");
        let case = Case::new("many", name, load, scale).without_floor();
        let can = |name: &Name| resources == 1 || name.takes_many();
        Case { contenders: case.contenders.iter().copied().filter(can).collect(), ..case }
    };
    scale.some(&[1, 4, 16], &[4, 16]).into_iter().map(case).collect()
}
