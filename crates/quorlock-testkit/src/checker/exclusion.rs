//! At most one valid lease per resource at a time (promise G1).

use super::{
    hold::{Lease, Leases},
    violation::Violation,
};

/// Every lease that began while an earlier one of its resource still counted.
pub(super) fn overlaps(leases: &Leases) -> impl Iterator<Item = Violation> {
    leases.by_resource().flat_map(of_one_resource)
}

fn of_one_resource(leases: &[Lease]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut longest: Option<&Lease> = None;
    for lease in leases.iter().filter(|lease| lease.hold.counted()) {
        match longest {
            Some(first) if lease.hold.from < first.hold.until => found
                .push(Violation::Overlap { first: first.hold.clone(), second: lease.hold.clone() }),
            _ => {}
        }
        if longest.is_none_or(|first| first.hold.until < lease.hold.until) {
            longest = Some(lease);
        }
    }
    found
}
