//! Timers that one round leaves to the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::clock::SystemClock;
use crate::validity::later;

/// Counts the timers that are set.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Clock for Counting {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        SystemClock.sleep_until(deadline)
    }
}

fn timers() -> (Arc<Timers>, Arc<Counting>) {
    let clock = Arc::new(Counting::default());
    (Arc::new(Timers::new(&(Arc::clone(&clock) as Arc<dyn Clock>))), clock)
}

impl Counting {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn now() -> Instant {
    SystemClock.now()
}

fn in_ms(ms: u64) -> Instant {
    later(now(), Duration::from_millis(ms))
}

/// Begins to wait for so long, and leaves.
fn glance(timers: &Timers, ms: u64) {
    assert!(timers.until(now(), in_ms(ms)).now_or_never().is_none(), "it is not over");
}

#[tokio::test(start_paused = true)]
async fn a_round_takes_the_timer_that_the_last_one_left_and_waits_until_its_own_end() {
    let (timers, clock) = timers();
    for _ in 0..10 {
        glance(&timers, 50);
    }
    assert_eq!(clock.count(), 1);
    let end = in_ms(80);
    timers.until(now(), end).await;
    assert!(now() >= end, "the one that was left fired at 50 ms");
    assert_eq!(clock.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_fires_too_late_or_was_set_for_longer_is_left_to_others() {
    let (timers, clock) = timers();
    glance(&timers, 80);
    let end = in_ms(50);
    timers.until(now(), end).await;
    assert!(end <= now() && now() < in_ms(30));
    assert_eq!(clock.count(), 2);
    // It fires before this ends, but after a suspend it might sleep on for its whole 80 ms.
    glance(&timers, 70);
    assert_eq!(clock.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_fired_meanwhile_is_set_anew() {
    let (timers, _) = timers();
    glance(&timers, 50);
    tokio::time::advance(Duration::from_millis(60)).await;
    let end = in_ms(50);
    timers.until(now(), end).await;
    assert!(now() >= end);
}

#[tokio::test(start_paused = true)]
async fn so_many_are_kept_and_the_oldest_go_first() {
    let (timers, _) = timers();
    let all = (0..2 * KEPT as u64).map(|extra| timers.until(now(), in_ms(50 + extra)));
    let mut all: Vec<_> = all.collect();
    all.iter_mut().for_each(|timer| assert!(timer.now_or_never().is_none()));
    drop(all);
    let left = lock(&timers.left);
    assert_eq!(left.len(), KEPT);
    assert!(left.iter().all(|set| set.fires >= in_ms(50 + KEPT as u64)));
}

#[test]
fn a_timer_of_another_runtime_is_not_used_and_does_not_stay() {
    let (timers, clock) = timers();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..3 {
        runtime().block_on(async { glance(&timers, 60_000) });
    }
    assert_eq!(clock.count(), 3);
    assert_eq!(lock(&timers.left).len(), 1, "each holds its runtime");
}

#[test]
fn a_timer_that_was_polled_outside_of_a_runtime_harms_nobody_after_that() {
    let (timers, _) = timers();
    let outside = || timers.until(now(), in_ms(60_000)).now_or_never();
    assert!(catch_unwind(AssertUnwindSafe(outside)).is_err());
    assert!(lock(&timers.left).is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { glance(&timers, 60_000) });
}
