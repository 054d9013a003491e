//! A guard says "lost" before its validity ends (promise G5).

use std::time::Duration;

use super::{
    Losses,
    hold::{Ended, Lease, Leases},
    violation::Violation,
};

/// The leases whose validity ended before their guard said so, or without a word. `end` is the end of the history:
/// what runs out later is nobody's fault.
pub(super) fn late(
    leases: &Leases,
    end: Duration,
    losses: Losses,
) -> impl Iterator<Item = Violation> {
    leases.all().iter().filter(move |lease| is_late(lease, end, losses)).map(|lease| {
        Violation::LostLate { hold: lease.hold.clone(), deadline: lease.deadline, told: lease.told }
    })
}

fn is_late(lease: &Lease, end: Duration, losses: Losses) -> bool {
    match lease.told {
        Some(told) => told > lease.deadline && lease.hold.ended == Ended::Expired,
        None => {
            losses == Losses::Heard
                && lease.hold.counted()
                && lease.hold.ended == Ended::Expired
                && lease.deadline < end
        }
    }
}
