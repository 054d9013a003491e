//! Which leases are kept, and when each of them is looked at next. Sends nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::runtime::Id;
use tokio::sync::Notify;

use crate::held::{Held, Place};
use crate::sync::lock;
use crate::validity::later;

/// Whoever wakes for one extend takes others along whose time has nearly come, so that all go out together: within this part
/// of their interval.
const NEARLY: u32 = 32;
/// And no more than so many at one go, however many are due.
pub(super) const MOST: usize = 256;

/// The leases that are kept on one runtime.
pub(crate) struct Roster {
    runtime: Option<Id>,
    leases: Mutex<Leases>,
    changed: Notify,
}

#[derive(Default)]
struct Leases {
    by_moment: BTreeMap<Place, Entry>,
    /// How many have been given a seat.
    seated: u64,
    /// When whoever serves this looks next, as far as he knows or is about to hear.
    wakes: Option<Instant>,
    is_served: bool,
    /// No lease will be added.
    is_closed: bool,
}

struct Entry {
    held: Arc<Held>,
    /// When to extend next; not while that is under way, nor where the lease is not extended.
    extend_at: Option<Instant>,
}

/// What one lease more changes for whoever serves a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// He was woken: it is due sooner than all others.
    Woken,
    /// There is nobody: whoever added it has to see to that.
    Unserved,
}

/// What is to be done next.
pub(super) enum Next {
    /// To look again at this moment, or when something changes.
    At(Instant),
    /// To wait for a change.
    Wait,
    /// Nothing, for ever.
    End,
}

impl Roster {
    pub(super) fn new(runtime: Option<Id>) -> Self {
        Self { runtime, leases: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn runtime(&self) -> Option<Id> {
        self.runtime
    }

    pub(super) fn add(&self, held: &Arc<Held>, extend_at: Option<Instant>) -> Change {
        let Some(notice) = held.life.notice_at() else { return Change::Nothing };
        let mut leases = lock(&self.leases);
        let moment = leases.seat(Entry { held: Arc::clone(held), extend_at }, notice);
        let is_first = leases.wakes.is_none_or(|wakes| moment < wakes);
        if is_first {
            // He is told below, once.
            leases.wakes = Some(moment);
        }
        let was_served = std::mem::replace(&mut leases.is_served, true);
        drop(leases);
        match (was_served, is_first) {
            (false, _) => Change::Unserved,
            (true, false) => Change::Nothing,
            (true, true) => {
                self.changed.notify_one();
                Change::Woken
            }
        }
    }

    /// Takes a lease off.
    pub(super) fn remove(&self, held: &Held) {
        let mut leases = lock(&self.leases);
        let gone = leases.remove(held);
        let is_over = leases.is_closed && leases.by_moment.is_empty();
        drop(leases);
        drop(gone);
        if is_over {
            self.changed.notify_one();
        }
    }

    /// Adds no more: whoever serves this ends when none is left.
    pub(super) fn close(&self) {
        lock(&self.leases).is_closed = true;
        self.changed.notify_one();
    }

    /// Nobody serves this any more.
    pub(super) fn abandon(&self) {
        let mut leases = lock(&self.leases);
        leases.is_served = false;
        leases.wakes = None;
        let gone = std::mem::take(&mut leases.by_moment);
        drop(leases);
        drop(gone);
    }

    /// Resolves when something has changed since the last time that this resolved.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// No later than he would have woken anyway: the leases of somebody who takes one after the other would have him woken for
    /// each, and find that it is gone.
    pub(super) fn next(&self, now: Instant) -> Next {
        let mut leases = lock(&self.leases);
        if leases.is_closed && leases.by_moment.is_empty() {
            return Next::End;
        }
        let first = leases.by_moment.first_key_value().map(|((moment, _), _)| *moment);
        let before = leases.wakes.filter(|wakes| *wakes > now);
        leases.wakes = first.into_iter().chain(before).min();
        leases.wakes.map_or(Next::Wait, Next::At)
    }

    /// Notes when a lease is to be extended next, unless it was taken off meanwhile.
    pub(super) fn seat(&self, held: &Held, extend_at: Option<Instant>) {
        let notice = held.life.notice_at();
        let mut leases = lock(&self.leases);
        let Some(mut entry) = leases.remove(held) else { return };
        match notice {
            Some(notice) => {
                entry.extend_at = extend_at;
                leases.seat(entry, notice);
            }
            None => {
                drop(leases);
                drop(entry);
            }
        }
    }

    /// Tells of the ends that are due, and returns the leases that are to be extended now.
    pub(super) fn due(&self, now: Instant) -> Vec<Arc<Held>> {
        let come = lock(&self.leases).come(now);
        let mut due = Vec::new();
        for held in come {
            // Without a lock: whoever is told of an end may do anything.
            match held.life.lose_at_notice(now) {
                None => self.remove(&held),
                Some(notice) => {
                    let mut leases = lock(&self.leases);
                    let Some(mut entry) = leases.remove(&held) else { continue };
                    if entry.is_due(now) {
                        entry.extend_at = None;
                        due.push(held);
                    }
                    leases.seat(entry, notice);
                }
            }
        }
        due
    }
}

impl Leases {
    /// Returns when it is looked at.
    fn seat(&mut self, entry: Entry, notice: Instant) -> Instant {
        let moment = entry.extend_at.map_or(notice, |extend| extend.min(notice));
        let place = (moment, self.seated);
        self.seated += 1;
        entry.held.seat.take(place);
        self.by_moment.insert(place, entry);
        moment
    }

    fn remove(&mut self, held: &Held) -> Option<Entry> {
        let place = held.seat.leave()?;
        self.by_moment.remove(&place)
    }

    /// Those whose moment has come, and those that go along with them.
    fn come(&self, now: Instant) -> Vec<Arc<Held>> {
        let mut come = Vec::new();
        for ((moment, _), entry) in &self.by_moment {
            let goes_along = || !come.is_empty() && entry.is_due(now);
            if come.len() == MOST || *moment > now && !goes_along() {
                break;
            }
            come.push(Arc::clone(&entry.held));
        }
        come
    }
}

impl Entry {
    /// Whether it is to be extended within a part of its interval.
    fn is_due(&self, now: Instant) -> bool {
        let nearly = self.held.terms().validity.extend_after() / NEARLY;
        self.extend_at.is_some_and(|extend| extend <= later(now, nearly))
    }
}

#[cfg(test)]
mod tests;
