//! The store that a lock protects, and the times of day that fencing tokens are proposed from. Whether tokens grow is the
//! checker's to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::fault::Kind;
use super::plan::Plan;
use super::worker::{Hold, Worker};
use crate::embedded::clock::EPOCH_US;
use crate::history::{Recorder, Verdict};
use crate::proxy::wire::lock;

/// Keys of the library's own, beside those of locks.
pub(crate) const COUNTERS: &str = "quorlock:fence:";

/// Refuses what is older than what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Store(BTreeMap<String, u64>);

impl Store {
    pub(crate) fn write(&mut self, resource: &str, token: u64) -> Verdict {
        let highest = self.0.entry(resource.to_owned()).or_default();
        if token < *highest {
            return Verdict::Refused;
        }
        *highest = token;
        Verdict::Accepted
    }
}

impl Worker {
    /// Writes to every store that its lock protects, if it has a fencing token; also when it has lost the lock and does not
    /// know, or does not care.
    pub(super) fn write(&self, hold: &Hold, recorder: &Recorder) {
        let Some(token) = hold.token else { return };
        for resource in hold.guard.resources().names() {
            let now = self.record.now();
            let verdict = self.record.write(resource, token);
            self.counting.ended(match verdict {
                Verdict::Refused => "write refused",
                _ => "write accepted",
            });
            let write = recorder.write(resource, Some(token), now);
            self.record.push(write.answered(now, verdict));
        }
    }
}

/// Whether nodes may forget their counters (A5). Then order rests on the clients' clocks, and an acquire that was on its way
/// meanwhile has proposed an older time than one that came and went before it.
pub(super) fn can_forget(plan: &Plan) -> bool {
    let forgets = [Kind::CrashEmpty, Kind::CrashRolledBack, Kind::Flush, Kind::MajorityFlush];
    forgets.into_iter().any(|kind| plan.has(kind))
}

/// The time of day of one client.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    begun: Instant,
    shows: Shows,
    /// In microseconds: no two clients are told the same moment, as on machines whose clocks count these.
    last_us: Arc<Mutex<u64>>,
}

/// What a clock of the day shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// The right time, but for so many microseconds.
    AheadBy(i64),
    /// Always the same.
    Nothing,
}

impl Day {
    /// As a simulation without clients to compare with needs it.
    pub(crate) fn right() -> Self {
        Self { begun: Instant::now(), shows: Shows::AheadBy(0), last_us: Arc::default() }
    }

    /// One for each client. Where no node forgets its counters, no clock takes part in the order of tokens (G2), so then any
    /// will do: behind, ahead, further ahead than a node believes, or none.
    pub(crate) fn draw(plan: &Plan) -> Vec<Self> {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        let wrong = [
            Shows::Nothing,
            Shows::AheadBy(0),
            Shows::AheadBy(-3),
            Shows::AheadBy(700_000),
            Shows::AheadBy(-30 * DAY),
            Shows::AheadBy(DAY - 1_000_000),
            Shows::AheadBy(2 * DAY),
        ];
        let can_forget = can_forget(plan);
        let right = Self::right();
        // Without any clock the nodes count apart most often: whoever was granted by some of them only, left its count there.
        let is_timeless = !can_forget && plan.dice("days").chance(0.6);
        (0..plan.clients)
            .map(|client| {
                let mut dice = plan.dice(&format!("c{client} day"));
                let shows = dice.pick(&wrong).filter(|_| !can_forget && dice.chance(0.7));
                let shows = if is_timeless { Some(Shows::Nothing) } else { shows };
                Self { shows: shows.unwrap_or(Shows::AheadBy(0)), ..right.clone() }
            })
            .collect()
    }

    pub(crate) fn now(&self) -> SystemTime {
        /// So that a few of the same moment are still told apart when each is counted up.
        const APART_US: u64 = 50;
        let elapsed = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut last = lock(&self.last_us);
        *last = elapsed.max(*last + APART_US);
        let shown = match self.shows {
            Shows::AheadBy(us) => EPOCH_US.saturating_add_unsigned(*last).saturating_add(us),
            Shows::Nothing => EPOCH_US,
        };
        SystemTime::UNIX_EPOCH + Duration::from_micros(shown.unsigned_abs())
    }
}
