//! Makes the events of one client. Keeps none, and reads no clock.

use std::time::Duration;

use super::{Action, Event, Outcome, Verdict};

/// Makes the events of one client and numbers its acquisitions.
///
/// Every method takes the time and returns an open event. Record that one if the client may die before the
/// outcome is known, then the finished one, which takes its place ([`History::push`](super::History::push)).
#[derive(Clone, Debug)]
pub struct Recorder {
    client: String,
    attempts: u64,
}

impl Recorder {
    /// A recorder for a client with a name of its own.
    pub fn new(client: impl Into<String>) -> Self {
        Self { client: client.into(), attempts: 0 }
    }

    /// The client begins to ask for a resource. The event's attempt is what later events refer to.
    pub fn acquire(&mut self, resource: &str, now: Duration) -> Event {
        self.attempts += 1;
        let outcome = Outcome::Unknown;
        self.event(
            now,
            Action::Acquire { attempt: self.attempts, resource: resource.to_owned(), outcome },
        )
    }

    /// The number of the latest acquire.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempts
    }

    /// The client begins to prolong what it holds.
    #[must_use]
    pub fn extend(&self, attempt: u64, now: Duration) -> Event {
        self.event(now, Action::Extend { attempt, outcome: Outcome::Unknown })
    }

    /// The client begins to give back what it holds.
    #[must_use]
    pub fn release(&self, attempt: u64, now: Duration) -> Event {
        self.event(now, Action::Release { attempt })
    }

    /// The guard says "lost"; `lag` is how late a control timer for the same moment fired.
    #[must_use]
    pub fn lost(&self, attempt: u64, now: Duration, lag: Duration) -> Event {
        self.event(now, Action::Lost { attempt, lag }).done(now)
    }

    /// The client begins to write to the protected store.
    #[must_use]
    pub fn write(&self, resource: &str, token: Option<u64>, now: Duration) -> Event {
        let verdict = Verdict::Unknown;
        self.event(now, Action::Write { resource: resource.to_owned(), token, verdict })
    }

    /// The client's process is gone.
    #[must_use]
    pub fn died(&self, now: Duration) -> Event {
        self.event(now, Action::Died).done(now)
    }

    fn event(&self, inv: Duration, action: Action) -> Event {
        Event { client: self.client.clone(), inv, ret: None, action }
    }
}
