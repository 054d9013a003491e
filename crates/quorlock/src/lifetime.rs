//! The life of one held lease, shared by its guard, its keeper and everybody who waits for its end; and the timer that
//! tells of the end in time (promise G5). Asks no node.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::error::{Error, LostReason};
use crate::event::{Audience, Event};
use crate::lease::{LeaseState, Terms};
use crate::resources::Resources;
use crate::sync::lock;
use crate::token::Token;
use crate::validity::{Validity, later};

/// How long before its end a hold that ends at its maximum is told so.
const HOLD_NOTICE: Duration = Duration::from_millis(5);

/// Holds a [`LeaseState`] and its invariant: lost and released are final. When the lease ends, so does its token: from
/// then on no key is set to it (G6).
#[derive(Debug)]
pub(crate) struct Lifetime {
    state: Mutex<LeaseState>,
    /// Rung at every change of `state`, in the order of those who wait: a watch channel's order is random, and a simulation
    /// would not repeat itself.
    changed: Notify,
    validity: Validity,
    max_hold: Option<MaxHold>,
    resources: Resources,
    token: Arc<Token>,
    clock: Arc<dyn Clock>,
    audience: Audience,
}

#[derive(Clone, Copy, Debug)]
struct MaxHold {
    end: Instant,
    notice: Instant,
}

impl Lifetime {
    /// A lease that begins now and is held until `until`, and never for longer than `max_hold`.
    pub(crate) fn begin(
        until: Instant,
        max_hold: Option<Duration>,
        terms: &Terms,
        token: &Arc<Token>,
        clock: &Arc<dyn Clock>,
        audience: &Audience,
    ) -> Self {
        let max_hold = max_hold.map(|max| {
            let now = clock.now();
            let notice = later(now, max.saturating_sub(HOLD_NOTICE.min(max / 2)));
            MaxHold { end: later(now, max), notice }
        });
        let until = max_hold.map_or(until, |max| until.min(max.end));
        Self {
            state: Mutex::new(LeaseState::Held { until }),
            changed: Notify::new(),
            validity: terms.validity,
            max_hold,
            resources: terms.keys.resources().clone(),
            token: Arc::clone(token),
            clock: Arc::clone(clock),
            audience: audience.clone(),
        }
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The deadline, as long as the lease is held; it may have passed.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        match self.state() {
            LeaseState::Held { until } => Some(until),
            LeaseState::Lost(_) | LeaseState::Released => None,
        }
    }

    fn state(&self) -> LeaseState {
        *lock(&self.state)
    }

    pub(crate) fn is_valid(&self) -> bool {
        lock(&self.state).is_held_at(self.clock.now())
    }

    pub(crate) fn valid_for(&self) -> Duration {
        self.valid_for_at(self.clock.now())
    }

    pub(crate) fn valid_for_at(&self, now: Instant) -> Duration {
        self.held_until().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The end of the maximum hold time, if there is one.
    pub(crate) fn hold_end(&self) -> Option<Instant> {
        self.max_hold.map(|max| max.end)
    }

    /// Whether the deadline stands at the end of the maximum hold time: no extend can move it.
    pub(crate) fn is_at_hold_end(&self) -> bool {
        self.max_hold.is_some_and(|max| self.held_until() == Some(max.end))
    }

    /// Counts an extend that was decided just now. Says whether it came in time.
    pub(crate) fn extend(&self, until: Instant) -> bool {
        let until = self.max_hold.map_or(until, |max| until.min(max.end));
        self.change(|state| state.extend(self.clock.now(), until))
    }

    /// Ends a lease that is still held as lost; one that has run out before is told so.
    pub(crate) fn lose(&self, reason: LostReason) {
        self.run_out(self.clock.now());
        self.lose_if(reason, |_| true);
    }

    /// Ends the lease if its deadline has passed.
    fn run_out(&self, now: Instant) {
        if let Some(until) = self.held_until() {
            self.lose_if(self.reason_to_end_at(until), |until| until <= now);
        }
    }

    /// Ends the lease for good. Says how it stood: `Err` if it was lost before, or had run out.
    pub(crate) fn release(&self, now: Instant) -> Result<(), LostReason> {
        self.run_out(now);
        self.change(|state| state.end(LeaseState::Released));
        self.token.retire();
        match self.state() {
            LeaseState::Lost(reason) => Err(reason),
            LeaseState::Held { .. } | LeaseState::Released => Ok(()),
        }
    }

    /// Resolves when the lease ends: lost, at the latest at its notice before the deadline, or released.
    ///
    /// Has a timer of its own, so it needs neither an answer of a node nor another task (G5).
    pub(crate) async fn ended(&self) -> LostReason {
        loop {
            // Before the look, so that no change is missed after it.
            let changed = self.changed.notified();
            let until = match self.state() {
                LeaseState::Held { until } => until,
                LeaseState::Lost(reason) => return reason,
                LeaseState::Released => return LostReason::Released,
            };
            tokio::select! {
                biased;
                () = self.clock.sleep_until(self.notice(until)) => self.lose_at(until),
                () = changed => {}
            }
        }
    }

    /// When the end is told as it stands, as long as the lease is held.
    pub(crate) fn notice_at(&self) -> Option<Instant> {
        self.held_until().map(|until| self.notice(until))
    }

    /// Ends the lease as lost if its notice has come. Returns the notice of one that is held.
    pub(crate) fn lose_at_notice(&self, now: Instant) -> Option<Instant> {
        loop {
            let until = self.held_until()?;
            let notice = self.notice(until);
            if now < notice {
                return Some(notice);
            }
            self.lose_at(until);
        }
    }

    /// The error that says how the lease was lost.
    pub(crate) fn lost(&self) -> Error {
        let reason = match self.state() {
            LeaseState::Lost(reason) => reason,
            LeaseState::Released => LostReason::Released,
            LeaseState::Held { until } => self.reason_to_end_at(until),
        };
        self.lost_by(reason)
    }

    pub(crate) fn lost_by(&self, reason: LostReason) -> Error {
        Error::Lost { resources: self.resources.clone(), reason }
    }

    /// Says whether `change` did change it.
    fn change(&self, change: impl FnOnce(&mut LeaseState) -> bool) -> bool {
        let changed = change(&mut lock(&self.state));
        if changed {
            self.changed.notify_waiters();
        }
        changed
    }

    /// An extend may have moved the deadline meanwhile.
    fn lose_at(&self, until: Instant) {
        self.lose_if(self.reason_to_end_at(until), |now| now == until);
    }

    fn lose_if(&self, reason: LostReason, ends_at: impl Fn(Instant) -> bool) {
        let lost = self.change(|state| match *state {
            LeaseState::Held { until } if ends_at(until) => state.end(LeaseState::Lost(reason)),
            _ => false,
        });
        if lost {
            self.token.retire();
            self.audience.tell(|| Event::Lost { resources: self.resources.clone(), reason });
        }
    }

    /// When the end at `until` is told.
    fn notice(&self, until: Instant) -> Instant {
        match self.max_hold {
            Some(max) if max.end == until => max.notice,
            _ => self.validity.notice(until),
        }
    }

    fn reason_to_end_at(&self, until: Instant) -> LostReason {
        match self.max_hold {
            Some(max) if max.end == until => LostReason::MaxHold,
            _ => LostReason::Expired,
        }
    }
}

#[cfg(test)]
mod tests;
