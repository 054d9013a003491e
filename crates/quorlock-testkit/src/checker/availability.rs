//! Bounded unavailability: in a given window the resource is held again and again.
//! Whether anybody asked is not looked at: give windows in which somebody always asks.

use std::time::Duration;

use super::{
    hold::{Hold, Lease, Leases},
    violation::Violation,
};

/// A time in which a resource had to be available, such as the one that follows the healing of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What happened in it, for the reader of a violation.
    pub name: String,
    /// Which resource.
    pub resource: String,
    /// Its begin.
    pub from: Duration,
    /// Its end.
    pub until: Duration,
    /// The longest time in which nobody may hold the resource.
    pub within: Duration,
}

/// A time in which nobody held, and who held before and after it.
#[derive(Debug)]
pub(super) struct Gap<'a> {
    from: Duration,
    until: Duration,
    before: Option<&'a Hold>,
    after: Option<&'a Hold>,
}

impl Gap<'_> {
    pub(super) fn length(&self) -> Duration {
        self.until.saturating_sub(self.from)
    }
}

impl Window {
    /// The violation, if nobody held for longer than is allowed.
    pub(super) fn broken(&self, leases: &Leases) -> Option<Violation> {
        let gap = self.longest_gap(leases);
        (gap.length() > self.within).then(|| Violation::Unavailable {
            window: self.clone(),
            gap: gap.length(),
            before: gap.before.cloned(),
            after: gap.after.cloned(),
        })
    }

    /// The longest time within the window in which nobody held.
    pub(super) fn longest_gap<'a>(&self, leases: &'a Leases) -> Gap<'a> {
        let mut gap = Gap { from: self.from, until: self.from, before: None, after: None };
        let mut longest = Gap { ..gap };
        for Lease { hold, .. } in leases.of(&self.resource).iter().filter(|l| l.hold.counted()) {
            gap.until = hold.from.clamp(self.from, self.until);
            gap.after = Some(hold);
            longest = longest.or_longer(&gap);
            if hold.until > gap.from {
                gap.from = hold.until;
                gap.before = Some(hold);
            }
        }
        (gap.until, gap.after) = (self.until, None);
        longest.or_longer(&gap)
    }
}

impl<'a> Gap<'a> {
    fn or_longer(self, other: &Self) -> Self {
        if other.length() > self.length() { Gap { ..*other } } else { self }
    }
}
