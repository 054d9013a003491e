//! The life of a lease in paused time: when its end is told, why, and what moves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::advance;

use super::Lifetime;
use crate::clock::{Clock, SystemClock};
use crate::error::LostReason;
use crate::event::Audience;
use crate::scripted::{terms, token};

const MS: Duration = Duration::from_millis(1);

/// A lease of [`terms`], so told of 10 ms before its deadline, that begins now.
fn lease(valid_for: Duration, max_hold: Option<Duration>) -> Lifetime {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let until = clock.now() + valid_for;
    Lifetime::begin(until, max_hold, &terms(), &token(), &clock, &Audience::default())
}

fn now() -> Instant {
    SystemClock.now()
}

/// When the end is told, and why.
async fn told(life: &Lifetime) -> (Duration, LostReason) {
    let begun = now();
    let reason = life.ended().await;
    (now() - begun, reason)
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_before_the_deadline() {
    let life = lease(100 * MS, None);
    assert_eq!(told(&life).await, (90 * MS, LostReason::Expired));
    assert!(!life.is_valid());
    assert_eq!(life.valid_for(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_ends_at_its_maximum_is_told_five_milliseconds_before() {
    assert_eq!(told(&lease(100 * MS, Some(60 * MS))).await, (55 * MS, LostReason::MaxHold));
}

#[tokio::test(start_paused = true)]
async fn a_tiny_hold_is_told_half_way() {
    assert_eq!(told(&lease(100 * MS, Some(8 * MS))).await, (4 * MS, LostReason::MaxHold));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_before_its_maximum_has_expired() {
    let life = lease(100 * MS, Some(900 * MS));
    assert!(!life.is_at_hold_end());
    assert_eq!(told(&life).await, (90 * MS, LostReason::Expired));
}

#[tokio::test(start_paused = true)]
async fn an_extend_moves_the_deadline_up_to_the_maximum() {
    let life = lease(100 * MS, Some(300 * MS));
    assert_eq!(life.valid_for(), 100 * MS);
    assert!(life.extend(now() + 200 * MS));
    assert_eq!(life.valid_for(), 200 * MS);
    assert!(!life.is_at_hold_end());
    assert!(life.extend(now() + 400 * MS));
    assert_eq!(life.valid_for(), 300 * MS);
    assert!(life.is_at_hold_end());
    assert_eq!(told(&life).await, (295 * MS, LostReason::MaxHold));
}

#[tokio::test(start_paused = true)]
async fn a_release_after_the_deadline_says_why_it_was_over() {
    for (max_hold, reason) in [(None, LostReason::Expired), (Some(50 * MS), LostReason::MaxHold)] {
        let life = lease(100 * MS, max_hold);
        advance(100 * MS).await;
        assert_eq!(life.release(SystemClock.now()), Err(reason));
        assert_eq!(life.held_until(), None);
    }
    assert_eq!(lease(100 * MS, None).release(SystemClock.now()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_stays_so_and_so_does_its_token() {
    let life = lease(100 * MS, None);
    life.lose(LostReason::MajorityGone);
    assert!(life.token.is_retired());
    assert!(!life.extend(now() + 200 * MS));
    assert_eq!(told(&life).await, (Duration::ZERO, LostReason::MajorityGone));
    assert_eq!(life.release(SystemClock.now()), Err(LostReason::MajorityGone));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_has_run_out_is_lost_for_that_whatever_the_nodes_say_later() {
    let life = lease(10 * MS, None);
    advance(10 * MS).await;
    life.lose(LostReason::MajorityGone);
    assert_eq!(life.ended().await, LostReason::Expired);
}
