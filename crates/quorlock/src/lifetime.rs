//! The life of one held lease, shared by its guard, its keeper and everybody who waits for its end; and the timer that
//! tells of the end in time (promise G5). Asks no node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Error, LostReason};
use crate::event::{Audience, Event};
use crate::lease::LeaseState;
use crate::resources::Resources;
use crate::validity::Validity;

/// Holds a [`LeaseState`] and its invariant: lost and released are final.
#[derive(Debug)]
pub(crate) struct Lifetime {
    state: watch::Sender<LeaseState>,
    validity: Validity,
    hold_end: Option<Instant>,
    resources: Resources,
    clock: Arc<dyn Clock>,
    audience: Audience,
}

impl Lifetime {
    /// A lease held until `until`, and never beyond `hold_end`.
    pub(crate) fn begin(
        until: Instant,
        hold_end: Option<Instant>,
        validity: Validity,
        resources: Resources,
        clock: Arc<dyn Clock>,
        audience: Audience,
    ) -> Self {
        let until = hold_end.map_or(until, |end| until.min(end));
        let state = watch::Sender::new(LeaseState::Held { until });
        Self { state, validity, hold_end, resources, clock, audience }
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The deadline, as long as the lease is held; it may have passed.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        match *self.state.borrow() {
            LeaseState::Held { until } => Some(until),
            LeaseState::Lost(_) | LeaseState::Released => None,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.state.borrow().is_held_at(self.clock.now())
    }

    pub(crate) fn valid_for(&self) -> Duration {
        let now = self.clock.now();
        self.held_until().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether the deadline stands at the end of the maximum hold time: no extend can move it.
    pub(crate) fn is_at_hold_end(&self) -> bool {
        self.hold_end.is_some() && self.held_until() == self.hold_end
    }

    /// Counts an extend that was decided just now. Says whether it came in time.
    pub(crate) fn extend(&self, until: Instant) -> bool {
        let until = self.hold_end.map_or(until, |end| until.min(end));
        self.state.send_if_modified(|state| state.extend(self.clock.now(), until))
    }

    pub(crate) fn lose(&self, reason: LostReason) {
        if self.state.send_if_modified(|state| state.end(LeaseState::Lost(reason))) {
            self.tell_lost(reason);
        }
    }

    /// Ends the lease for good. Says how it stood: `Err` if it was lost before.
    pub(crate) fn release(&self) -> Result<(), LostReason> {
        let now = self.clock.now();
        let was = self.state.send_replace(LeaseState::Released);
        match was {
            LeaseState::Lost(reason) => Err(reason),
            LeaseState::Held { until } if now >= until => Err(self.reason_to_end_at(until)),
            LeaseState::Held { .. } | LeaseState::Released => Ok(()),
        }
    }

    /// Resolves when the lease ends: lost, at the latest at its notice before the deadline, or released.
    ///
    /// Has a timer of its own, so it needs neither an answer of a node nor another task (G5).
    pub(crate) async fn ended(&self) -> LostReason {
        let mut changes = self.state.subscribe();
        loop {
            let until = match *changes.borrow_and_update() {
                LeaseState::Held { until } => until,
                LeaseState::Lost(reason) => return reason,
                LeaseState::Released => return LostReason::Released,
            };
            tokio::select! {
                biased;
                () = self.clock.sleep_until(self.validity.notice(until)) => self.expire(until),
                _ = changes.changed() => {}
            }
        }
    }

    /// The error that says how the lease was lost.
    pub(crate) fn lost(&self) -> Error {
        let reason = match *self.state.borrow() {
            LeaseState::Lost(reason) => reason,
            LeaseState::Released => LostReason::Released,
            LeaseState::Held { until } => self.reason_to_end_at(until),
        };
        self.lost_by(reason)
    }

    pub(crate) fn lost_by(&self, reason: LostReason) -> Error {
        Error::Lost { resources: self.resources.clone(), reason }
    }

    /// Lost, if `until` is still its deadline: an extend may have moved it while the timer fired.
    fn expire(&self, until: Instant) {
        let reason = self.reason_to_end_at(until);
        let expired = self.state.send_if_modified(|state| {
            *state == LeaseState::Held { until } && state.end(LeaseState::Lost(reason))
        });
        if expired {
            self.tell_lost(reason);
        }
    }

    fn reason_to_end_at(&self, until: Instant) -> LostReason {
        if self.hold_end == Some(until) { LostReason::MaxHold } else { LostReason::Expired }
    }

    fn tell_lost(&self, reason: LostReason) {
        self.audience.tell(|| Event::Lost { resources: self.resources.clone(), reason });
    }
}
