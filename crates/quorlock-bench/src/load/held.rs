//! Many locks held at once, each with its keeper: their memory, and what the keepers cost against extending by hand. Only quorlock
//! has keepers that can be watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::{StreamExt, stream};
use quorlock::{Event, Guard, Observer};
use tokio::time::sleep;

use super::{Figures, Job, note};
use crate::Outcome;
use crate::cell::Stage;
use crate::contender::{Name, redlock};
use crate::usage;

/// How many are taken, extended or given back at once.
const AT_ONCE: usize = 64;
/// How often all are extended by hand: once takes too short to be measured.
const TIMES: usize = 3;

#[derive(Debug, Default)]
struct Extends(AtomicU64);

impl Observer for Extends {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::Extended { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) async fn run(job: &Job, locks: usize, stage: &mut Stage) -> Outcome<Figures> {
    if job.contender != Name::Quorlock {
        return Err("has no keepers that can be watched".into());
    }
    let extends = Arc::new(Extends::default());
    let redlock = redlock::handle(&job.terms).observer(Arc::clone(&extends)).build()?;
    // Buffers and tables get their size before anything is measured.
    let lock = |name: String| redlock.lock(name).into_future();
    let names = |what: &'static str| (0..locks).map(move |lock| format!("{what}:{lock:06}"));
    let mut warm =
        stream::iter(names("warm").take(AT_ONCE * 10)).map(lock).buffer_unordered(AT_ONCE);
    while let Some(guard) = warm.next().await {
        guard?.release().await?;
    }
    drop(warm);

    let mut figures = Figures::new();
    let mut guards: Vec<Guard> = Vec::with_capacity(locks);
    let before = usage::resident_bytes()?;
    let mut taking = stream::iter(names("held")).map(lock).buffer_unordered(AT_ONCE);
    while let Some(guard) = taking.next().await {
        guards.push(guard?);
    }
    drop(taking);
    let more = usage::resident_bytes()?.saturating_sub(before);
    note(&mut figures, "locks", locks as f64);
    note(&mut figures, "bytes_per_lock", more as f64 / locks as f64);
    stage.ready().await?;
    kept(job, &extends, &mut figures).await?;
    stage.done().await?;
    by_hand(&guards, &mut figures).await?;
    let released = stream::iter(guards).map(Guard::release).buffer_unordered(AT_ONCE);
    let failed = released.filter(|released| std::future::ready(released.is_err())).count().await;
    note(&mut figures, "failures", failed as f64);
    Ok(figures)
}

/// What the keepers do by themselves for a while.
async fn kept(job: &Job, extends: &Extends, figures: &mut Figures) -> Outcome {
    let (cpu, already) = (usage::cpu()?, extends.0.load(Ordering::Relaxed));
    let begin = Instant::now();
    sleep(job.window).await;
    let (took, cpu) = (begin.elapsed().as_secs_f64(), (usage::cpu()? - cpu).as_secs_f64());
    let kept = (extends.0.load(Ordering::Relaxed) - already) as f64;
    note(figures, "client_cpu_s", cpu);
    // What the servers' commands are divided by.
    note(figures, "cycles", kept);
    note(figures, "extends_per_s", kept / took);
    if kept > 0.0 {
        note(figures, "cpu_per_keeper_extend_us", cpu / kept * 1e6);
    }
    Ok(())
}

/// The same done by a caller, several times over.
async fn by_hand(guards: &[Guard], figures: &mut Figures) -> Outcome {
    let cpu = usage::cpu()?;
    for _ in 0..TIMES {
        let mut extending = stream::iter(guards).map(Guard::extend).buffer_unordered(AT_ONCE);
        while let Some(extended) = extending.next().await {
            extended?;
        }
    }
    let each = (usage::cpu()? - cpu).as_secs_f64() / (guards.len() * TIMES) as f64;
    note(figures, "cpu_per_hand_extend_us", each * 1e6);
    Ok(())
}
