//! Extends leases while their guards live (others say watchdog), and tells of their ends in time (promise G5). One task for all
//! leases of a handle that were taken on one runtime; what it wakes for is in `keeper/roster.rs`. Whether a lease still holds
//! is decided by its lifetime.

mod roster;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::pending;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use self::roster::{Change, Next, Roster};
use crate::clock::{Clock, Spawner};
use crate::error::Error;
use crate::held::Held;
use crate::retry::jittered;
use crate::sync::lock;
use crate::validity::later;

/// Whether a lease is extended while its guard lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Extended,
    OneTtl,
}

/// Keeps the leases of a handle, each on the runtime on which it was taken. Dropped, it goes on for those that are left.
pub(crate) struct Keeper {
    clock: Arc<dyn Clock>,
    spawner: Arc<dyn Spawner>,
    /// One for each runtime.
    rosters: Mutex<Vec<Arc<Roster>>>,
}

impl Keeper {
    pub(crate) fn new(clock: Arc<dyn Clock>, spawner: Arc<dyn Spawner>) -> Self {
        Self { clock, spawner, rosters: Mutex::default() }
    }

    /// Keeps the lease from `now` on until it ends, or what this returns is dropped.
    pub(crate) fn keep(&self, held: Arc<Held>, keeping: Keeping, now: Instant) -> Kept {
        let roster = self.roster();
        let extend_at = (keeping == Keeping::Extended).then(|| after_success(&held, now));
        let change = roster.add(&held, extend_at);
        if change == Change::Unserved {
            let service = Service { roster: Arc::clone(&roster), clock: Arc::clone(&self.clock) };
            self.spawner.spawn(Box::pin(service.run()));
        }
        if change != Change::Nothing {
            self.spawner.let_run();
        }
        Kept { held, roster }
    }

    /// That of the current runtime.
    fn roster(&self) -> Arc<Roster> {
        let runtime = self.spawner.runtime();
        let mut rosters = lock(&self.rosters);
        if let Some(roster) = rosters.iter().find(|roster| roster.runtime() == runtime) {
            return Arc::clone(roster);
        }
        // Nobody serves or uses those of runtimes that have ended.
        rosters.retain(|roster| Arc::strong_count(roster) > 1);
        let roster = Arc::new(Roster::new(runtime));
        rosters.push(Arc::clone(&roster));
        roster
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        lock(&self.rosters).iter().for_each(|roster| roster.close());
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// A lease that is kept for as long as this lives.
pub(crate) struct Kept {
    pub(crate) held: Arc<Held>,
    roster: Arc<Roster>,
}

impl Kept {
    /// Ends the keeping; the lease goes on.
    pub(crate) fn let_go(&self) {
        self.roster.remove(&self.held);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// A lease that was tried to extend, and when that is to be done next.
type Extended = (Arc<Held>, Option<Instant>);

/// What keeps the leases of a roster. When it ends, also because its runtime did, they are kept no longer.
struct Service {
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
}

impl Service {
    async fn run(self) {
        let mut extends = FuturesUnordered::new();
        let mut now = self.clock.now();
        loop {
            let timer = match self.roster.next(now) {
                Next::At(moment) => self.clock.sleep_until(moment),
                Next::Wait => pending().boxed(),
                Next::End => return,
            };
            let mut extended: Option<Extended> = tokio::select! {
                biased;
                Some(extended) = extends.next() => Some(extended),
                () = self.roster.changed() => None,
                () = timer => None,
            };
            while let Some((held, next)) = extended {
                self.roster.seat(&held, next);
                extended = extends.next().now_or_never().flatten();
            }
            now = self.clock.now();
            let due = self.roster.due(now);
            let are_many = due.len() >= roster::MOST;
            extends.extend(due.into_iter().map(extend));
            if are_many {
                // After a suspend all are due at once: others come between.
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.roster.abandon();
    }
}

/// Extends once. Returns when to extend next, if ever. Where the lease ends meanwhile, what comes of it is nothing: its time
/// limit, and the deadline, bound it.
///
/// A panic is this lease's alone: it is extended no more.
async fn extend(held: Arc<Held>) -> Extended {
    let validity = held.terms().validity;
    let extending = async {
        match held.extend(validity).await {
            Ok(()) if held.life.is_at_hold_end() => None,
            Ok(()) => Some(after_success(&held, held.now())),
            Err(Error::Lost { .. }) => None,
            Err(_) => Some(after_failure(&held, held.now())),
        }
    };
    let next = AssertUnwindSafe(extending).catch_unwind().await.unwrap_or_default();
    (held, next)
}

/// At a third of the TTL, each lease a little sooner than the next.
fn after_success(held: &Held, now: Instant) -> Instant {
    let interval = held.terms().validity.extend_after();
    later(now, jittered(interval - interval / 10, interval, &held.entropy))
}

/// A fortieth to a twentieth of the TTL, so that several tries fit in before the deadline.
fn after_failure(held: &Held, now: Instant) -> Instant {
    let longest = (held.terms().validity.ttl() / 20).max(Duration::from_millis(1));
    later(now, jittered(longest / 2, longest, &held.entropy))
}

#[cfg(test)]
mod tests;
