//! What is known so far: the history of all clients, and what each worker does now. Judges nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quorlock_testkit::history::{Action, Event, History, Outcome};

use crate::holding::Log;

/// The history as it grows, shared by all who write and read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    history: History,
    clients: BTreeMap<String, Status>,
}

/// What one client does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    /// How often it got the lock.
    pub(crate) acquisitions: u64,
    /// When it got the lock that it holds, if it holds one.
    pub(crate) holds_since: Option<Duration>,
    /// Whether its process has ended.
    pub(crate) ended: bool,
}

impl Record {
    /// The history so far.
    pub(crate) fn history(&self) -> History {
        self.state().history.clone()
    }

    /// What every client does that has done anything yet, by name.
    pub(crate) fn statuses(&self) -> BTreeMap<String, Status> {
        self.state().clients.clone()
    }

    /// How often any of the clients got a lock.
    pub(crate) fn acquisitions(&self) -> u64 {
        self.state().clients.values().map(|status| status.acquisitions).sum()
    }

    /// Adds an event.
    pub(crate) fn push(&self, event: Event) {
        let mut state = self.state();
        state.clients.entry(event.client.clone()).or_default().follow(&event);
        state.history.push(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Status {
    fn follow(&mut self, event: &Event) {
        match event.action {
            Action::Acquire { outcome: Outcome::Granted { .. }, .. } => {
                self.acquisitions += 1;
                self.holds_since = event.ret;
            }
            Action::Release { .. } | Action::Lost { .. } => self.holds_since = None,
            Action::Died => (self.holds_since, self.ended) = (None, true),
            Action::Acquire { .. } | Action::Extend { .. } | Action::Write { .. } => {}
        }
    }
}

impl Log for Record {
    fn note(&mut self, event: Event) {
        self.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorlock_testkit::history::Recorder;

    #[test]
    fn a_lease_is_over_when_its_release_has_begun() {
        let (record, ms) = (Record::default(), Duration::from_millis);
        let mut client = Recorder::new("w");
        record.push(client.acquire("r", ms(1)).granted(ms(2), ms(100), None));
        assert_eq!(record.statuses()["w"].holds_since, Some(ms(2)));
        record.push(client.release(1, ms(4)));
        assert_eq!(record.statuses()["w"].holds_since, None);
        assert_eq!(record.acquisitions(), 1);
    }
}
