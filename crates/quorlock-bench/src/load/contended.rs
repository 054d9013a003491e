//! Clients with connections of their own that want one lock: how long until the next one has it, and who gets it how often.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::tally::{histogram, micros, record};
use super::{Figures, Job, cycles, note};
use crate::Outcome;
use crate::cell::Stage;
use crate::contender::{Client, Contender};
use crate::usage;

/// How long after the window a client may go on waiting.
const GRACE: Duration = Duration::from_secs(5);
const AFTER_FAILURE: Duration = Duration::from_millis(1);
/// Nobody has released yet, or somebody has taken the lock since.
const NEVER: u64 = 0;

/// What all clients see.
struct Arena {
    epoch: Instant,
    until: Instant,
    hold: Duration,
    inside: AtomicUsize,
    overlaps: AtomicU64,
    /// When the last release began, in nanoseconds since `epoch`, and whose it was.
    released: AtomicU64,
    released_by: AtomicUsize,
    seen: Mutex<Seen>,
}

struct Seen {
    waits: Histogram<u64>,
    hand_overs: Histogram<u64>,
    failures: u64,
    last_failure: Option<String>,
    holds: Vec<u64>,
}

pub(crate) async fn run<C: Contender>(
    job: &Job,
    clients: usize,
    hold: Duration,
    stage: &mut Stage,
) -> Outcome<Figures> {
    usage::raise_open_files()?;
    let connect = || C::connect(&job.terms);
    let all = try_join_all((0..clients).map(|_| connect())).await?;
    let clients: Vec<_> = all.iter().map(C::client).collect();
    let (clients, _) = compete(clients, job.warm_up, hold).await?;
    stage.ready().await?;
    let cpu = usage::cpu()?;
    let (_, arena) = compete(clients, job.window, hold).await?;
    let mut figures = Figures::new();
    note(&mut figures, "client_cpu_s", (usage::cpu()? - cpu).as_secs_f64());
    stage.done().await?;
    stage.note(arena.tell(&mut figures, job.window)?);
    Ok(figures)
}

async fn compete<C: Client>(
    clients: Vec<C>,
    window: Duration,
    hold: Duration,
) -> Outcome<(Vec<C>, Arc<Arena>)> {
    let arena = Arc::new(Arena::new(clients.len(), window, hold));
    let mut running = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        running.spawn(want(index, client, Arc::clone(&arena)));
    }
    let mut ended = Vec::new();
    let all = async {
        while let Some(client) = running.join_next().await {
            ended.push(client?);
        }
        Outcome::Ok(())
    };
    if let Ok(all) = timeout(window + GRACE, all).await {
        all?;
    }
    Ok((ended, arena))
}

async fn want<C: Client>(index: usize, mut client: C, arena: Arc<Arena>) -> C {
    let names = cycles::names(0, 0, 1);
    while Instant::now() < arena.until {
        let begin = Instant::now();
        // Who is still waiting at the end has lost nothing.
        let left = arena.until.saturating_duration_since(begin);
        match timeout(left + GRACE / 2, client.acquire(&names)).await {
            Ok(Ok(())) => arena.enter(index, begin),
            Ok(Err(error)) => {
                arena.failed(error.to_string());
                sleep(AFTER_FAILURE).await;
                continue;
            }
            Err(_) => return client,
        }
        if !arena.hold.is_zero() {
            sleep(arena.hold).await;
        }
        arena.leave(index);
        if let Err(error) = client.release().await {
            arena.failed(error.to_string());
        }
    }
    client
}

impl Arena {
    fn new(clients: usize, window: Duration, hold: Duration) -> Self {
        let seen = Seen {
            waits: histogram(),
            hand_overs: histogram(),
            failures: 0,
            last_failure: None,
            holds: vec![0; clients],
        };
        let epoch = Instant::now();
        Self {
            epoch,
            until: epoch + window,
            hold,
            inside: 0.into(),
            overlaps: 0.into(),
            released: NEVER.into(),
            released_by: usize::MAX.into(),
            seen: Mutex::new(seen),
        }
    }

    fn enter(&self, index: usize, begin: Instant) {
        if self.inside.fetch_add(1, Ordering::SeqCst) > 0 {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        let released = self.released.swap(NEVER, Ordering::SeqCst);
        let from_other = self.released_by.load(Ordering::SeqCst) != index;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        record(&mut seen.waits, begin.elapsed());
        if released != NEVER && from_other {
            let took = self.epoch.elapsed().saturating_sub(Duration::from_nanos(released));
            record(&mut seen.hand_overs, took);
        }
        seen.holds[index] += 1;
    }

    fn leave(&self, index: usize) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.released_by.store(index, Ordering::SeqCst);
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.released.store(now.max(1), Ordering::SeqCst);
    }

    fn failed(&self, why: String) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failures += 1;
        seen.last_failure = Some(why);
    }

    fn tell(&self, figures: &mut Figures, window: Duration) -> Outcome<Option<String>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let holds: u64 = seen.holds.iter().sum();
        if holds == 0 {
            let why = seen.last_failure.clone();
            return Err(why
                .unwrap_or_else(|| "nobody got the lock in the window".to_owned())
                .into());
        }
        note(figures, "cycles", holds as f64);
        note(figures, "holds_per_s", holds as f64 / window.as_secs_f64());
        note(figures, "wait_p50_us", micros(seen.waits.value_at_quantile(0.5)));
        note(figures, "wait_p99_us", micros(seen.waits.value_at_quantile(0.99)));
        if !seen.hand_overs.is_empty() {
            note(figures, "hand_over_p50_us", micros(seen.hand_overs.value_at_quantile(0.5)));
            note(figures, "hand_over_p99_us", micros(seen.hand_overs.value_at_quantile(0.99)));
        }
        let (luckiest, unluckiest) = (seen.holds.iter().max(), seen.holds.iter().min());
        note(figures, "luckiest", luckiest.map_or(0.0, |holds| *holds as f64));
        note(figures, "unluckiest", unluckiest.map_or(0.0, |holds| *holds as f64));
        note(figures, "failures", seen.failures as f64);
        note(figures, "overlaps", self.overlaps.load(Ordering::SeqCst) as f64);
        Ok(seen.last_failure.clone())
    }
}
