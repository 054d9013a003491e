//! Many seeds at a time, their verdicts in the order of the seeds: what is reported does not depend on how many.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::options::Options;
use super::trial::{self, Verdict};
use super::watch::Watch;

/// How often progress is told: on a terminal, where each line takes the place of the last, and elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(250);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Runs all seeds, until `take` wants no more. It gets each verdict with its place.
pub(crate) fn run(
    options: &Options,
    watch: &Watch,
    take: impl FnMut(u64, Verdict) -> ControlFlow<()>,
) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sender, verdicts) = mpsc::channel();
    thread::scope(|scope| {
        for job in 0..options.jobs() {
            let (next, stop, sender) = (&next, &stop, sender.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = options.seeds.get(place) else { return };
                    let outcome = trial::run(watch, job, &options.plan(seed), options.twice);
                    if sender.send((place, Verdict::of(outcome))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        in_order(&verdicts, options.seeds.count(), take);
        stop.store(true, Ordering::Relaxed);
    });
}

fn in_order(
    verdicts: &Receiver<(u64, Verdict)>,
    count: u64,
    mut take: impl FnMut(u64, Verdict) -> ControlFlow<()>,
) {
    let mut progress = Progress::begin(count);
    let (mut early, mut next) = (BTreeMap::new(), 0);
    loop {
        match verdicts.recv_timeout(progress.every) {
            Ok((place, verdict)) => drop(early.insert(place, verdict)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while let Some(verdict) = early.remove(&next) {
            progress.failed += u64::from(!verdict.findings.is_empty());
            if take(next, verdict).is_break() {
                return progress.end();
            }
            next += 1;
        }
        progress.tell(next);
    }
    progress.end();
}

struct Progress {
    begun: Instant,
    told: Instant,
    every: Duration,
    on_terminal: bool,
    count: u64,
    failed: u64,
}

impl Progress {
    fn begin(count: u64) -> Self {
        let on_terminal = stderr().is_terminal();
        let every = if on_terminal { ON_TERMINAL } else { ELSEWHERE };
        let now = Instant::now();
        Self { begun: now, told: now, every, on_terminal, count, failed: 0 }
    }

    fn tell(&mut self, done: u64) {
        if self.told.elapsed() < self.every {
            return;
        }
        self.told = Instant::now();
        let rate = done as f64 / self.begun.elapsed().as_secs_f64();
        let (count, failed) = (self.count, self.failed);
        let line = format!("{done} of {count} seeds, {failed} failed, {rate:.0} seeds/s");
        match self.on_terminal {
            true => eprint!("\r{line}\x1b[K"),
            false => eprintln!("{line}"),
        }
    }

    fn end(&self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
