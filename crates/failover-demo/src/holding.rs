//! Taking the lock and writing down what came of it, in a worker as in the demo itself: what is recorded of a guard
//! is trimmed, so that the checker never sees more than was promised.

use std::{
    fmt,
    time::{Duration, Instant},
};

use quorlock::{Guard, LostReason, Redlock, ReleaseReport, Standing};
use quorlock_testkit::history::{Event, Recorder};
use tokio::time::{sleep, sleep_until};

use crate::{clock::Clock, options::TTL};

/// How often a held guard is asked how long it is valid: its keeper extends it far less often.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where events go.
pub(crate) trait Log {
    /// Takes an event.
    fn note(&mut self, event: Event);
}

/// One client of the lock that writes down what it does.
#[derive(Debug)]
pub(crate) struct Client<L> {
    redlock: Redlock,
    recorder: Recorder,
    clock: Clock,
    log: L,
}

impl<L: Log> Client<L> {
    /// A client with a name that only it has.
    pub(crate) fn new(name: &str, redlock: Redlock, clock: Clock, log: L) -> Self {
        Self { redlock, recorder: Recorder::new(name), clock, log }
    }

    /// Takes the lock, or gives up after that long.
    ///
    /// # Errors
    ///
    /// The library's.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held. The history has an acquire of unknown outcome.
    pub(crate) async fn lock(
        &mut self,
        resource: &str,
        wait_for: Duration,
    ) -> Result<Holding<'_, L>, quorlock::Error> {
        let begun = self.ask(resource);
        match self.redlock.lock(resource).wait_for(wait_for).await {
            Ok(guard) => Ok(self.granted(begun, guard)),
            Err(error) => {
                self.log.note(begun.refused(self.clock.now()));
                Err(error)
            }
        }
    }

    /// Takes the lock if it is free at this moment.
    ///
    /// # Errors
    ///
    /// The library's.
    ///
    /// # Cancel safety
    ///
    /// That of [`lock`](Self::lock).
    pub(crate) async fn try_lock(
        &mut self,
        resource: &str,
    ) -> Result<Option<Holding<'_, L>>, quorlock::Error> {
        let begun = self.ask(resource);
        match self.redlock.try_lock(resource).await {
            Ok(Some(guard)) => Ok(Some(self.granted(begun, guard))),
            other => {
                self.log.note(begun.refused(self.clock.now()));
                other.map(|_| None)
            }
        }
    }

    /// What each node is to this client.
    pub(crate) fn nodes(&self) -> Vec<(String, Standing)> {
        self.redlock.nodes()
    }

    fn ask(&mut self, resource: &str) -> Event {
        let begun = self.recorder.acquire(resource, self.clock.now());
        self.log.note(begun.clone());
        begun
    }

    fn granted(&mut self, begun: Event, guard: Guard) -> Holding<'_, L> {
        let now = self.clock.now();
        // A guard that is lost already never counted.
        let deadline = guard.valid_until().map_or(now, |until| self.clock.at(until));
        self.log.note(begun.granted(now, deadline, None));
        let attempt = self.recorder.attempt();
        Holding { client: self, guard, attempt, deadline }
    }
}

/// A guard, and its place in the history.
#[derive(Debug)]
pub(crate) struct Holding<'a, L> {
    client: &'a mut Client<L>,
    guard: Guard,
    attempt: u64,
    deadline: Duration,
}

/// How a guard said "lost".
#[derive(Debug)]
pub(crate) struct Loss {
    /// Why.
    pub(crate) reason: LostReason,
    /// When.
    pub(crate) at: Duration,
    /// How late a control timer for the same moment was: the machine's own fault.
    pub(crate) lag: Duration,
    /// The deadline that it then had.
    pub(crate) deadline: Duration,
}

impl<L: Log> Holding<'_, L> {
    /// The number of the acquire.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Whether the guard says that it is valid.
    pub(crate) fn is_valid(&self) -> bool {
        self.guard.is_valid()
    }

    /// Resolves when the guard says "lost". Meanwhile each extension that is seen goes to the history.
    ///
    /// # Cancel safety
    ///
    /// Safe: call it again.
    pub(crate) async fn lost(&mut self) -> Loss {
        let mut lost = self.guard.lost();
        let mut lag = None;
        loop {
            let due = self.loss_due();
            let told = tokio::select! {
                biased;
                reason = &mut lost => Some(reason),
                () = sleep_until(due.into()), if lag.is_none() => None,
                () = sleep(LOOK_EVERY) => None,
            };
            // The first look at or after that moment tells how late timers are: "lost" cannot be earlier.
            let late = Instant::now().checked_duration_since(due);
            lag = lag.or(late);
            if let Some(reason) = told {
                return self.told(reason, lag.unwrap_or_default());
            }
            if self.look() {
                lag = None;
            }
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// The library's: the keys expire.
    pub(crate) async fn release(mut self) -> Result<ReleaseReport, quorlock::Error> {
        self.look();
        let Self { client, guard, attempt, .. } = self;
        let begun = client.recorder.release(attempt, client.clock.now());
        client.log.note(begun.clone());
        let report = guard.release().await;
        client.log.note(begun.done(client.clock.now()));
        report
    }

    /// When "lost" is to be said at the latest, if nothing is extended any more.
    fn loss_due(&self) -> Instant {
        let margin = (TTL / 100).max(Duration::from_millis(5));
        self.guard
            .valid_until()
            .and_then(|until| until.checked_sub(margin))
            .unwrap_or_else(Instant::now)
    }

    /// Notes an extension, and says whether there was one. Its return is now: later than it was.
    fn look(&mut self) -> bool {
        let now = self.client.clock.now();
        let Some(until) = self.guard.valid_until() else { return false };
        let deadline = self.client.clock.at(until);
        if deadline <= self.deadline {
            return false;
        }
        self.deadline = deadline;
        let extend = self.client.recorder.extend(self.attempt, now);
        self.client.log.note(extend.granted(now, deadline, None));
        true
    }

    fn told(&mut self, reason: LostReason, lag: Duration) -> Loss {
        let at = self.client.clock.now();
        self.client.log.note(self.client.recorder.lost(self.attempt, at, lag));
        Loss { reason, at, lag, deadline: self.deadline }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the guard said \"lost\": {} (the machine's timers: {:?} late)",
            self.reason, self.lag
        )
    }
}
