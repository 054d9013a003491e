//! Timers that one round leaves to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::clock::{SystemClock, TokioSpawner};
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
    let spawner: Arc<dyn Spawner> = Arc::new(TokioSpawner::default());
    (Arc::new(Timers::new(&(Arc::clone(&clock) as Arc<dyn Clock>), &spawner)), clock)
}

fn in_ms(ms: u64) -> Instant {
    later(SystemClock.now(), Duration::from_millis(ms))
}

/// Waits for `end` until the next turn, and for no longer.
fn glance(timers: &Timers, end: Instant) {
    assert!(timers.until(end).now_or_never().is_none(), "it is not over");
}

#[tokio::test(start_paused = true)]
async fn a_round_takes_the_timer_that_the_last_one_left_and_waits_until_its_own_end() {
    let (timers, clock) = timers();
    for _ in 0..10 {
        glance(&timers, in_ms(50));
    }
    assert_eq!(clock.0.load(Ordering::SeqCst), 1);
    let end = in_ms(80);
    timers.until(end).await;
    assert!(SystemClock.now() >= end, "the one that was left would have fired at 50 ms");
    assert_eq!(clock.0.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_fires_too_late_is_left_to_others() {
    let (timers, clock) = timers();
    glance(&timers, in_ms(80));
    let end = in_ms(50);
    timers.until(end).await;
    let now = SystemClock.now();
    assert!(end <= now && now < in_ms(30));
    assert_eq!(clock.0.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_fired_meanwhile_is_set_anew() {
    let (timers, _) = timers();
    glance(&timers, in_ms(50));
    tokio::time::advance(Duration::from_millis(60)).await;
    let end = in_ms(50);
    timers.until(end).await;
    assert!(SystemClock.now() >= end);
}

#[tokio::test(start_paused = true)]
async fn so_many_are_kept_and_no_more() {
    let (timers, _) = timers();
    let end = in_ms(50);
    let mut all: Vec<_> = (0..2 * KEPT).map(|_| timers.until(end)).collect();
    all.iter_mut().for_each(|timer| assert!(timer.now_or_never().is_none()));
    drop(all);
    assert_eq!(lock(&timers.left).len(), KEPT);
}

#[test]
fn a_timer_of_a_runtime_that_has_ended_is_not_used_on_another() {
    let (timers, clock) = timers();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime().block_on(async { glance(&timers, in_ms(60_000)) });
    runtime().block_on(async { timers.until(in_ms(61_000)).now_or_never() });
    assert_eq!(clock.0.load(Ordering::SeqCst), 2);
}
