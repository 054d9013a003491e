//! One task of a client: takes locks, holds them, extends them, gives them back or drops them, and writes down what it was
//! told. What it wants is drawn in `wish.rs`.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use quorlock::seam::Clock;
use quorlock::{Error, Guard, LostReason, NodeErrorKind, Redlock};
use tokio::time::{Instant, sleep};

use super::asking::Had;
use super::census::{Counting, Whom};
use super::fault::Kind;
use super::finding::Finding;
use super::plan::Plan;
use super::record::Record;
use super::tasks::Process;
use super::wish::{Act, Asking, Ending, Wish};
use crate::history::{Event, Recorder};

/// The library connects for at most so long before a round.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The library's default share of the TTL, and what comes to it, said again from its documentation.
pub(super) const DRIFT_FACTOR: f64 = 0.01;
pub(super) const DRIFT_FLOOR: Duration = Duration::from_millis(2);
/// Promise G5, said again from its documentation.
const NOTICE_FLOOR: Duration = Duration::from_millis(5);
pub(super) const MS: Duration = Duration::from_millis(1);
/// Timers count whole milliseconds, and a call may need several of them.
const SLACK: Duration = Duration::from_millis(8);

pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) client: usize,
    pub(super) name: String,
    pub(super) redlock: Redlock,
    pub(super) process: Process,
    pub(super) record: Record,
    pub(super) counting: Counting,
    /// When its handle began to connect, by the time in which its process was not paused.
    pub(super) connects_since: Arc<OnceLock<Duration>>,
}

/// A lock that is held, as the history knows it.
pub(super) struct Hold {
    pub(super) guard: Arc<Guard>,
    /// Its fencing token, if it has one of its own.
    pub(super) token: Option<u64>,
    /// When it was had, on the clock of the process.
    since: std::time::Instant,
    attempts: Vec<u64>,
    pub(super) ttl: Duration,
    limit: Duration,
    /// The end of the maximum hold time, on the clock of the process.
    pub(super) longest: Option<Duration>,
    pub(super) max_hold: Option<Duration>,
}

impl Worker {
    pub(super) async fn run(self) {
        let mut recorder = Recorder::new(&self.name);
        let ttls = self.plan.ttls();
        for deal in 0..self.plan.deals {
            let mut dice = self.plan.dice(&format!("{} deal {deal}", self.name));
            let mut fencing = self.plan.dice(&format!("{} deal {deal} fencing", self.name));
            let wish = Wish::draw(&self.plan, &ttls, &mut dice).fenced(&mut fencing);
            sleep(wish.think).await;
            if let Some(hold) = self.acquire(&wish, &mut recorder).await {
                self.hold(&wish, &recorder, &hold).await;
                self.end(&wish, &mut recorder, hold).await;
            }
        }
    }

    async fn acquire(&self, wish: &Wish, recorder: &mut Recorder) -> Option<Hold> {
        let inv = self.record.now();
        let begun: Vec<Event> =
            wish.resources.iter().map(|resource| recorder.acquire(resource, inv)).collect();
        begun.iter().for_each(|event| self.record.push(event.clone()));
        let limit = time_limit(wish.ttl);
        let connecting = self.connecting();
        // Certifying a fencing token takes a round of its own.
        let certifying = if wish.fenced { limit } else { Duration::ZERO };
        let bound = certifying
            + match wish.asking {
                // One more of them to ask whether a foreign key denies it.
                Asking::Once => connecting + limit * 2,
                Asking::Waiting(wait) => wait.max(limit) + limit,
            };
        let asked = self.called("acquire", bound, wish.cancel, self.ask(wish)).await;
        let ret = self.record.now();
        self.judge_acquire(wish, asked.as_ref(), ret - inv);
        if let Some(Err(error)) = &asked
            && has_forgotten(error)
        {
            self.counting.ended("void grant");
        }
        let (guard, token) = match asked {
            Some(Ok(Some(had))) => had,
            other => {
                self.counting.ended(outcome_of_acquire(other.as_ref()));
                begun.into_iter().for_each(|event| self.record.push(event.refused(ret)));
                return None;
            }
        };
        self.counting.ended("acquire granted");
        Some(self.held(wish, recorder, begun, (guard, token), ret))
    }

    /// Writes down what is held from now on.
    pub(super) fn held(
        &self,
        wish: &Wish,
        recorder: &Recorder,
        begun: Vec<Event>,
        (guard, token): Had,
        ret: Duration,
    ) -> Hold {
        if !guard.is_valid() {
            self.record.found(Finding::NotValid { worker: self.name.clone(), at: ret });
        }
        let deadline =
            guard.valid_until().map_or(ret, |until| self.record.time(until, &self.process));
        let attempts: Vec<u64> = begun.iter().filter_map(Event::attempt).collect();
        for event in begun {
            self.record.push(event.granted(ret, deadline, token));
        }
        let guard = Arc::new(guard);
        let owner = self.redlock.id();
        let holder = (self.client, &self.process, owner.as_str());
        self.record.hold(holder, &self.name, recorder, &attempts, &guard);
        let longest = wish.max_hold.map(|max| ret + max - self.process.suspended_for());
        let hold = Hold {
            guard,
            token,
            since: Clock::now(&self.process),
            attempts,
            ttl: wish.ttl,
            limit: time_limit(wish.ttl),
            longest,
            max_hold: wish.max_hold,
        };
        self.look(&hold);
        hold
    }

    /// For how long a call may still wait for the first connections of its handle.
    pub(super) fn connecting(&self) -> Duration {
        let running = self.record.now().saturating_sub(self.process.paused_for());
        let since = *self.connects_since.get_or_init(|| running);
        (since + CONNECT_LIMIT).saturating_sub(running)
    }

    /// Until everything is done that was wanted, or the lock is lost.
    pub(super) async fn hold(&self, wish: &Wish, recorder: &Recorder, hold: &Hold) {
        let mut lost = pin!(hold.guard.lost());
        let mut acts = pin!(async {
            for (after, act) in &wish.acts {
                sleep(*after).await;
                if let Act::Extend(ttl, cancel) = *act {
                    self.extend(hold, ttl, cancel).await;
                }
                self.look(hold);
                self.write(hold, recorder);
            }
            if let Some(period) = self.plan.gathering() {
                let since = self.record.now().as_millis() % period.as_millis();
                sleep(period.saturating_sub(MS * since as u32)).await;
            }
        });
        let (told, acting) = match wish.listens_first {
            true => tokio::select! {
                biased;
                reason = &mut lost => (Some(reason), true),
                () = &mut acts => (None, false),
            },
            false => tokio::select! {
                biased;
                // What has happened meanwhile is told all the same.
                () = &mut acts => (lost.as_mut().now_or_never(), false),
                reason = &mut lost => (Some(reason), true),
            },
        };
        let Some(reason) = told else { return };
        self.counting.ended(match reason {
            LostReason::Expired => "lost: expired",
            LostReason::MajorityGone => "lost: majority gone",
            LostReason::MaxHold => "lost: maximum hold",
            _ => "lost: other",
        });
        let (now, lag) = (self.record.now(), self.process.lag());
        for attempt in &hold.attempts {
            self.record.push(recorder.lost(*attempt, now, lag));
        }
        // Not everybody stops at once.
        self.look_at_loss(hold, reason);
        if acting && wish.carries_on {
            acts.await;
            self.look_at_validity(hold);
        }
    }

    /// No extend moves the deadline beyond the maximum hold time.
    fn look(&self, hold: &Hold) {
        let (Some(longest), Some(until)) = (hold.longest, hold.guard.valid_until()) else { return };
        let by = self.record.offset(Instant::from_std(until)).saturating_sub(longest);
        if !by.is_zero() {
            let worker = self.name.clone();
            self.record.found(Finding::HeldTooLong { worker, at: self.record.now(), by });
        }
    }

    /// What was lost is lost for good.
    fn look_at_validity(&self, hold: &Hold) {
        if hold.guard.is_valid() {
            let (worker, at) = (self.name.clone(), self.record.now());
            self.record.found(Finding::ValidAgain { worker, at });
        }
    }

    /// It is lost for the reason that is said.
    fn look_at_loss(&self, hold: &Hold, reason: LostReason) {
        self.look_at_validity(hold);
        self.look_at_notice(hold, reason);
        if reason == LostReason::MajorityGone {
            let (worker, at) = (self.name.clone(), self.record.now());
            if self.record.is_held(&worker) {
                self.record.found(Finding::NotGone { worker, at });
            }
        }
    }

    /// It is told in time, also by the clock of this process.
    fn look_at_notice(&self, hold: &Hold, reason: LostReason) {
        let Some(deadline) = self.record.deadline(&self.name) else { return };
        let validity = hold.ttl.mul_f64(1.0 - DRIFT_FACTOR).saturating_sub(DRIFT_FLOOR);
        let notice = match reason {
            LostReason::Expired => NOTICE_FLOOR.max(hold.ttl / 100).min(validity / 2),
            LostReason::MaxHold => NOTICE_FLOOR.min(hold.max_hold.unwrap_or_default() / 2),
            _ => return,
        };
        // Of what was taken up shortly before its end, the end is told at once.
        let due = (deadline - notice).max(hold.since) + 2 * MS + self.process.lag();
        let by = Clock::now(&self.process).saturating_duration_since(due);
        if !by.is_zero() {
            let (worker, at) = (self.name.clone(), self.record.now());
            self.record.found(Finding::ShortNotice { worker, at, by });
        }
    }

    async fn extend(&self, hold: &Hold, ttl: Option<Duration>, cancel: Option<Duration>) {
        let asked_at = Clock::now(&self.process);
        let limit = hold.limit.max(ttl.map_or(Duration::ZERO, time_limit));
        let asked = async {
            match ttl {
                Some(ttl) => hold.guard.extend_for(ttl).await,
                None => hold.guard.extend().await,
            }
        };
        let outcome = self.called("extend", limit, cancel, asked).await;
        if let Some(told) = &outcome {
            self.judge_extend(hold, told, asked_at, ttl.unwrap_or(hold.ttl));
        }
        self.counting.ended(match outcome {
            None => "extend cancelled",
            Some(Ok(())) => "extend ok",
            Some(Err(Error::NoQuorum { .. })) => "extend no quorum",
            Some(Err(Error::Lost { .. })) => "extend lost",
            Some(Err(_)) => "extend other error",
        });
    }

    pub(super) async fn end(&self, wish: &Wish, recorder: &mut Recorder, hold: Hold) {
        let Hold { guard, attempts, limit, .. } = hold;
        self.record.let_go(&self.name);
        let now = self.record.now();
        let begun: Vec<Event> =
            attempts.iter().map(|attempt| recorder.release(*attempt, now)).collect();
        begun.iter().for_each(|event| self.record.push(event.clone()));
        let cancel = match wish.ending {
            Ending::Drop => {
                self.counting.struck(Kind::GuardDrop, Whom::Client(self.client));
                self.counting.ended("release by drop");
                drop(guard);
                return self.ended(begun);
            }
            Ending::HandOver(after) => {
                self.hand_over(wish, recorder, guard, begun, after).await;
                return;
            }
            Ending::ReleaseCancelled(after) => Some(after),
            Ending::Release => None,
        };
        // The record had the only other handle.
        if let Some(guard) = Arc::into_inner(guard) {
            let was_valid = guard.is_valid();
            let outcome = self.called("release", limit, cancel, guard.release()).await;
            self.judge_release(was_valid, outcome.as_ref());
            self.counting.ended(match outcome {
                None => "release cancelled",
                Some(Ok(report)) if report.is_confirmed() => "release ok",
                Some(Ok(_)) => "release no quorum",
                Some(Err(Error::Lost { .. })) => "release lost",
                Some(Err(_)) => "release other error",
            });
        }
        self.ended(begun);
    }

    pub(super) fn ended(&self, begun: Vec<Event>) {
        let now = self.record.now();
        begun.into_iter().for_each(|event| self.record.push(event.done(now)));
    }

    /// One call into the library: dropped after `cancel`, and expected to end within `bound`, pauses not counted.
    pub(super) async fn called<T>(
        &self,
        call: &'static str,
        bound: Duration,
        cancel: Option<Duration>,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let _in_flight = self.counting.operation(self.client);
        let (at, paused) = (self.record.now(), self.process.paused_for());
        let mut future = pin!(future);
        let output = match cancel {
            None => Some(future.await),
            Some(after) => tokio::select! {
                biased;
                output = &mut future => Some(output),
                () = sleep(after) => {
                    self.counting.struck(Kind::Cancel, Whom::Client(self.client));
                    None
                }
            },
        };
        let paused = self.process.paused_for().saturating_sub(paused);
        let took = (self.record.now() - at).saturating_sub(paused);
        let bound = bound + SLACK;
        if took > bound {
            let worker = self.name.clone();
            self.record.found(Finding::Overdue { worker, call, at, took, bound });
        }
        output
    }
}

/// The library's default, said again from its documentation.
pub(super) fn time_limit(ttl: Duration) -> Duration {
    (ttl / 20).clamp(Duration::from_millis(5), Duration::from_millis(500))
}

/// Whether a node forgot what it knew while it was asked, so that its grant was void.
fn has_forgotten(error: &Error) -> bool {
    match error {
        Error::NoQuorum { failures, .. } | Error::Quarantined { failures, .. } => {
            failures.iter().any(|failure| failure.kind() == NodeErrorKind::Forgot)
        }
        _ => false,
    }
}

fn outcome_of_acquire(outcome: Option<&Result<Option<Had>, Error>>) -> &'static str {
    match outcome {
        None => "acquire cancelled",
        Some(Ok(Some(_))) => "acquire granted",
        Some(Ok(None)) => "acquire denied",
        Some(Err(Error::Held { .. })) => "acquire held",
        Some(Err(Error::NoQuorum { .. })) => "acquire no quorum",
        Some(Err(Error::Quarantined { .. })) => "acquire quarantined",
        Some(Err(Error::TooLate { .. })) => "acquire too late",
        Some(Err(_)) => "acquire other error",
    }
}
