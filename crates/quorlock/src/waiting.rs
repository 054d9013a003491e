//! Waiting for a lock that somebody else has: who asks when. What one attempt is, is `attempt.rs`'s; for how long a call may
//! go on, `wait.rs`'s; who is first in a handle, `waiters.rs`'s; and which handle is, `contention.rs`'s.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::attempt::{Core, Wish};
use crate::contention::{Contention, Holder, Told, slot};
use crate::error::{Error, NodeError, NodeErrorKind};
use crate::guard::Guard;
use crate::node::{Found, Listening};
use crate::retry::{Delays, jittered};
use crate::round::Missed;
use crate::validity::later;
use crate::wait::{Next, Wait};
use crate::waiters::{Rank, Waiter};

/// Whoever listens asks after this all the same, drawn between the two: what tells may fall silent.
const ASK_ANYWAY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// How many slots a node has to say that it will tell; then the next one is asked to.
const PATIENCE: u32 = 8;

/// A wait, between two questions.
struct Rest {
    /// No question before that.
    soonest: Instant,
    /// When to ask for the last time.
    last: Instant,
    /// After how long to ask where no node tells of a release.
    untold: Duration,
    /// After how long to ask for each place behind the first, should those before not be polled.
    instead: Duration,
    /// After how long as the first to ask whatever is told.
    anyway: Duration,
    slot: Duration,
    /// Nobody was asked yet, but whoever came before.
    is_new: bool,
}

impl Rest {
    fn after(&self, span: Duration, now: Instant) -> Instant {
        later(now, span).min(self.last)
    }
}

/// Whether a round that had no time for its answers tells less than what is known: the full one before it, or that others were
/// waiting already.
fn tells_less(missed: &Missed, is_new: bool) -> bool {
    let Missed::NoQuorum(failures) = missed else { return false };
    let is_silence = |failure: &NodeError| {
        matches!(failure.kind(), NodeErrorKind::NoAnswer | NodeErrorKind::HeldByAnother)
    };
    !is_new || failures.iter().all(is_silence)
}

/// What a denial tells those who wait.
fn note_denial(waiter: &Waiter<'_>, by: Option<usize>, why: Why) {
    by.iter().for_each(|by| waiter.listens_to(*by));
    if why == Why::Free {
        waiter.contention(Contention::denied);
    }
}

/// Why it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was free a moment ago.
    Free,
    /// Only the time has come.
    Time,
}

impl Core {
    /// Rounds until one is won or the wait is over.
    pub(crate) async fn lock(&self, wish: &Wish) -> Result<Guard, Error> {
        let begun = self.nodes.clock.now();
        self.check_open()?;
        // Before the first round: on a handle that has asked nothing yet, that alone would set the pace of the whole wait.
        let pace = self.pace.measured();
        let wait = Wait::new(begun, wish.wait_for);
        if self.waiters.is_contended(&wish.terms.keys, begun, slot(pace))
            && self.may_queue(wish, pace)
        {
            return Box::pin(self.wait(wish, wait, pace, None)).await;
        }
        let first = if self.nodes.are_settled() {
            self.attempt(wish, wish.terms.time_limit, begun).await
        } else {
            // Boxed: only the first few locks of a handle come to it, and the future of all others is small.
            Box::pin(self.connect_and_attempt(wish, begun)).await
        };
        match first {
            Ok(guard) => {
                self.waiters.won(&wish.terms.keys, || self.nodes.clock.now());
                Ok(guard)
            }
            // Boxed likewise: most locks are free.
            Err(missed) => Box::pin(self.wait(wish, wait, pace, Some(missed))).await,
        }
    }

    /// Whether there is time for more than the one question that everybody may ask.
    fn may_queue(&self, wish: &Wish, pace: Duration) -> bool {
        let reserve = self.settings.retry.delays(pace, &self.entropy).shortest();
        let least = reserve.saturating_mul(2).max(slot(pace).saturating_mul(6));
        wish.wait_for.is_none_or(|limit| limit > least)
    }

    /// Goes on after a round that was not won; with none where others wait already.
    async fn wait(
        &self,
        wish: &Wish,
        mut wait: Wait,
        pace: Duration,
        first: Option<Missed>,
    ) -> Result<Guard, Error> {
        let (clock, keys) = (&self.nodes.clock, &wish.terms.keys);
        let mut delays = self.settings.retry.delays(pace, &self.entropy);
        let (mut waiter, mut is_new, mut why) = (None, first.is_none(), Why::Time);
        let mut missed = first.unwrap_or(Missed::Denied { took: None, undone: None, by: None });
        loop {
            let no_use = missed.is_final(self.needed(wish), &self.nodes)
                || self.is_quarantined(wish, &missed, &mut wait);
            if no_use {
                return Err(self.error(wish, missed, Duration::ZERO));
            }
            let (next, rest) = self.next(&missed, &mut wait, &mut delays, (slot(pace), is_new));
            let untold = rest.after(rest.untold, clock.now());
            if let Some(error) = self.foreign(wish, &mut missed, untold).await {
                return Err(error);
            }
            match (&missed, next) {
                (Missed::Denied { by, .. }, Next::AskAfter(_)) => {
                    let waiter = waiter.get_or_insert_with(|| self.waiters.join(keys, clock.now()));
                    note_denial(waiter, *by, why);
                    why = self.rest(wish, waiter, &rest).await;
                }
                (_, Next::AskAfter(_)) => {
                    // Only a denial is waited for in turn.
                    waiter = None;
                    self.unless_closed(clock.sleep_until(untold)).await?;
                }
                (_, Next::GiveUpAfter(_)) => {
                    drop(waiter);
                    self.unless_closed(clock.sleep_until(rest.last)).await?;
                    let waited = clock.now().saturating_duration_since(wait.begun());
                    return Err(self.error(wish, missed, waited));
                }
            }
            self.check_open()?;
            let start = clock.now();
            let time_limit = wait.cut(wish.terms.time_limit, start);
            match self.attempt(wish, time_limit, start).await {
                Ok(guard) => {
                    self.waiters.won(keys, || clock.now());
                    return Ok(guard);
                }
                Err(new) => {
                    if !matches!(new, Missed::Denied { .. }) {
                        why = Why::Time;
                    }
                    if time_limit >= wish.terms.time_limit || !tells_less(&new, is_new) {
                        missed = new;
                    }
                }
            }
            is_new = false;
        }
    }

    /// When to ask again.
    fn next(
        &self,
        missed: &Missed,
        wait: &mut Wait,
        delays: &mut Delays<'_>,
        (slot, is_new): (Duration, bool),
    ) -> (Next, Rest) {
        let (now, mut reserve) = (self.nodes.clock.now(), delays.shortest());
        if is_new {
            // It will be the only question: it has to have the time to be answered.
            reserve = reserve.max(slot.saturating_mul(3));
        }
        let delay = delays.next().unwrap_or_default();
        let next = match missed {
            // As late as can be: before that it is asked when it is of use.
            Missed::Denied { .. } => wait.after_denial(Duration::MAX, reserve, now),
            Missed::NoQuorum(_) | Missed::TooLate { .. } => wait.after_failure(delay, reserve, now),
        };
        let (Next::AskAfter(rest) | Next::GiveUpAfter(rest)) = next;
        let last = later(now, rest);
        let soonest = if is_new { now } else { later(now, slot) };
        let anyway = jittered(ASK_ANYWAY[0], ASK_ANYWAY[1], &self.entropy);
        let (untold, instead) = (delay, delay.max(anyway));
        (next, Rest { soonest, last, untold, instead, anyway, slot, is_new })
    }

    /// Waits until it makes sense to ask again.
    async fn rest(&self, wish: &Wish, waiter: &Waiter<'_>, rest: &Rest) -> Why {
        let clock = &self.nodes.clock;
        if !self.becomes_first(waiter, rest).await {
            return Why::Time;
        }
        let now = clock.now();
        let [untold, anyway] = [rest.untold, rest.anyway].map(|span| rest.after(span, now));
        let mut back = waiter.contention(|contention| contention.give_way(now, rest.slot));
        let (mut told, mut is_ready) = (Told::NotYet, !back.is_zero());
        loop {
            if !back.is_zero() {
                let end = later(clock.now(), back).min(anyway);
                while !self.is_over_at(end, waiter).await {}
                if clock.now() >= anyway || self.check_open().is_err() {
                    return Why::Time;
                }
            }
            let Some(Listening { found, changed }) =
                self.listen(wish, waiter, anyway, rest.slot).await
            else {
                while !self.is_over_at(untold, waiter).await {}
                return Why::Time;
            };
            let Found::Held { by, left } = found else {
                back = self.gives_way(waiter, rest);
                if is_ready || back.is_zero() {
                    return self.at_soonest(rest).await;
                }
                is_ready = true;
                continue;
            };
            if rest.is_new && left.is_none() {
                // A foreign key, perhaps: a round tells.
                return Why::Time;
            }
            let rival = (by != self.holder()).then_some(by);
            waiter.contention(|contention| contention.held(rival, told));
            let expiry = left.map_or(anyway, |left| later(clock.now(), left).min(anyway));
            self.changes(changed, expiry, waiter).await;
            if clock.now() >= anyway || self.check_open().is_err() {
                return Why::Time;
            }
            back = self.gives_way(waiter, rest);
            if wish.terms.keys.as_slice().len() > 1 {
                // One may be free and not the other.
                back = back.max(rest.slot);
            }
            // Who has asked in vain before looks first.
            if back.is_zero() && !waiter.contention(|contention| contention.doubts()) {
                return self.at_soonest(rest).await;
            }
            (told, is_ready) = (Told::Yes, true);
        }
    }

    /// Waits until what is listened to has changed, `expiry` at the latest, or the handle is closed.
    async fn changes(&self, changed: BoxFuture<'_, ()>, expiry: Instant, waiter: &Waiter<'_>) {
        tokio::pin!(changed);
        loop {
            tokio::select! {
                biased;
                () = &mut changed => return,
                () = self.nodes.clock.sleep_until(expiry) => return,
                // Others may have left the queue.
                () = waiter.called() => if self.check_open().is_err() { return },
            }
        }
    }

    /// Waits until it is first in its handle; says whether it is, or whether the time has come before.
    async fn becomes_first(&self, waiter: &Waiter<'_>, rest: &Rest) -> bool {
        let clock = &self.nodes.clock;
        let begun = clock.now();
        loop {
            let Rank::Behind(others) = waiter.rank() else { return self.check_open().is_ok() };
            let due = rest.after(rest.instead.saturating_mul(others), begun);
            if self.check_open().is_err() || clock.now() >= due {
                return false;
            }
            // Only who comes to the front is called, and those before may not be polled.
            let look = rest.after(rest.instead, clock.now()).min(due);
            self.is_over_at(look, waiter).await;
        }
    }

    /// Sleeps until `end`, or until there may be something to do; says whether it is over.
    async fn is_over_at(&self, end: Instant, waiter: &Waiter<'_>) -> bool {
        tokio::select! {
            biased;
            () = waiter.called() => self.check_open().is_err(),
            () = self.nodes.clock.sleep_until(end) => true,
        }
    }

    /// Keeps two questions apart.
    async fn at_soonest(&self, rest: &Rest) -> Why {
        let soonest = rest.soonest.min(rest.last);
        if self.nodes.clock.now() < soonest {
            self.nodes.clock.sleep_until(soonest).await;
        }
        Why::Free
    }

    /// It is free, or may be: how long to hold back before the next look.
    fn gives_way(&self, waiter: &Waiter<'_>, rest: &Rest) -> Duration {
        waiter.contention(|contention| {
            contention.free(self.entropy.unit());
            contention.give_way(self.nodes.clock.now(), rest.slot)
        })
    }

    /// Who holds what this handle does.
    fn holder(&self) -> Holder {
        Holder::of_value(self.client.hyphenated().to_string().as_bytes())
    }

    /// Has a node tell of the release: the nearest, or the next one that does. `None` where nobody does.
    async fn listen(
        &self,
        wish: &Wish,
        waiter: &Waiter<'_>,
        end: Instant,
        slot: Duration,
    ) -> Option<Listening> {
        let clock = &self.nodes.clock;
        let (count, nearest) = (self.nodes.len(), waiter.nearest());
        let mut free = None;
        for index in (0..count).map(|offset| (nearest + offset) % count) {
            let node = &self.nodes.list[index];
            let limit = later(clock.now(), slot.saturating_mul(PATIENCE)).min(end);
            let listening = tokio::select! {
                biased;
                listening = node.listen(wish.terms.keys.as_slice()) => listening,
                () = clock.sleep_until(limit) => None,
            };
            match listening {
                None => {}
                // It was denied by another: this one may have nothing of it.
                Some(listening) if index != nearest && listening.found == Found::Free => {
                    free = Some(listening);
                }
                Some(listening) => {
                    waiter.listens_to(index);
                    return Some(listening);
                }
            }
        }
        free
    }
}
