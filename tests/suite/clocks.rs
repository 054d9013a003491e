//! Nodes whose clocks run off: an extend finds too little left of a key, so that node's vote is void, and it is named. In
//! paused time, on nodes with clocks of their own.

use std::time::Duration;

use quorlock::{Error, Event, Guard, LostReason, NodeErrorKind, Redlock};
use quorlock_testkit::embedded::{ClockJump, EmbeddedNode};
use tokio::time::{Instant, sleep};

use crate::support::{BOUND, Events, TTL, margin, pipes};

/// For what is on its way.
const LATER: Duration = Duration::from_millis(10);

/// Five nodes that hold a lock, and have said so: by an extend, since an acquire waits for three of them only.
async fn held(keeper: bool) -> (Vec<EmbeddedNode>, Redlock, Events, Guard) {
    let (nodes, _, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().expect("the settings are good");
    let request = redlock.lock("invoice:42");
    let guard = if keeper { request.await } else { request.without_keeper().await };
    let guard = guard.expect("it is free");
    guard.extend().await.expect("all nodes are well");
    sleep(LATER).await;
    (nodes, redlock, events, guard)
}

fn jump(nodes: &[EmbeddedNode], by: Duration, direction: ClockJump) {
    nodes.iter().for_each(|node| node.jump_clock(by, direction));
}

/// Whose clocks were said to have run ahead.
fn accused(events: &Events) -> Vec<String> {
    let node = |event| match event {
        Event::ClockAnomaly { node, missing, .. } => {
            assert!(missing > TTL / 4 && missing < TTL, "{missing:?}");
            Some(node.to_string())
        }
        _ => None,
    };
    let mut nodes: Vec<_> = events.all().into_iter().filter_map(node).collect();
    nodes.sort();
    nodes
}

fn names(nodes: std::ops::Range<usize>) -> Vec<String> {
    nodes.map(|index| format!("node-{index}:6379/0")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_minority_whose_clocks_jump_ahead_is_named_and_the_lock_goes_on() {
    for count in 1..=2 {
        let (nodes, redlock, events, guard) = held(false).await;
        jump(&nodes[..count], TTL / 2, ClockJump::Forward);
        guard.extend().await.expect("the others are a quorum");
        let until = guard.valid_until();
        sleep(LATER).await;
        assert_eq!(accused(&events), names(0..count));
        // What they set then is what they are measured by now.
        guard.extend().await.expect("all nodes are well");
        sleep(LATER).await;
        assert!(guard.valid_until() > until);
        assert_eq!(accused(&events), names(0..count));
        guard.release().await.expect("a quorum is well");
        redlock.close(BOUND).await.expect("all nodes are well");
        assert!(nodes.iter().all(|node| node.keys().is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn g5_a_majority_whose_clocks_jump_ahead_does_not_extend_and_the_old_deadline_stands() {
    let (nodes, _, events, guard) = held(false).await;
    let (until, left) = (guard.valid_until(), guard.valid_for());
    jump(&nodes[..3], TTL / 2, ClockJump::Forward);
    let extended = guard.extend().await;
    let Err(Error::NoQuorum { failures, needed: 3, .. }) = &extended else {
        panic!("{extended:?}")
    };
    let ran_ahead = failures.iter().filter(|error| error.kind() == NodeErrorKind::ClockRanAhead);
    assert_eq!(ran_ahead.count(), 3, "{failures:?}");
    assert_eq!(accused(&events), names(0..3));
    assert_eq!((guard.is_valid(), guard.valid_until()), (true, until), "nothing has changed");
    let begun = Instant::now();
    assert_eq!(guard.lost().await, LostReason::Expired);
    assert_eq!(begun.elapsed(), left - margin(TTL));
}

#[tokio::test(start_paused = true)]
async fn g5_a_majority_whose_clocks_run_too_fast_costs_the_lock_by_its_old_deadline() {
    let (nodes, _, events, guard) = held(true).await;
    let left = guard.valid_for();
    nodes[..3].iter().for_each(|node| node.set_clock_rate(2.0));
    let begun = Instant::now();
    assert_eq!(guard.lost().await, LostReason::Expired);
    assert_eq!(begun.elapsed(), left - margin(TTL));
    let failed = events.count(|event| matches!(event, Event::ExtendFailed { .. }));
    let extended = events.count(|event| matches!(event, Event::Extended { .. }));
    assert!(failed > 5 && extended == 1, "{failed} extends failed, {extended} did not");
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_keys_outlive_one_jump_of_a_majority_is_kept() {
    let (nodes, _, events, guard) = held(true).await;
    jump(&nodes[2..], TTL / 2, ClockJump::Forward);
    sleep(5 * TTL).await;
    assert!(guard.is_valid());
    assert_eq!(accused(&events), names(2..5));
    assert_eq!(events.count(|event| matches!(event, Event::ExtendFailed { .. })), 1);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_jump_back_or_run_within_the_drift_are_not_accused() {
    let (nodes, _, events, guard) = held(true).await;
    nodes.iter().zip([0.5, 0.9, 0.999, 1.001, 1.01]).for_each(|(n, rate)| n.set_clock_rate(rate));
    for _ in 0..20 {
        sleep(TTL / 2).await;
        jump(&nodes[1..3], TTL / 2, ClockJump::Backward);
    }
    assert!(guard.is_valid());
    assert_eq!(accused(&events), Vec::<String>::new());
    assert_eq!(events.count(|event| matches!(event, Event::ExtendFailed { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_up_has_nothing_to_measure_its_first_extend_by() {
    let (nodes, redlock, events, guard) = held(false).await;
    let lease = guard.into_lease().expect("it is held");
    jump(&nodes, TTL / 2, ClockJump::Forward);
    let guard = redlock.take_up(&lease).await.expect("all nodes hold it");
    assert_eq!(accused(&events), Vec::<String>::new());
    jump(&nodes, TTL / 2, ClockJump::Forward);
    let extended = guard.extend().await;
    assert!(matches!(extended, Err(Error::NoQuorum { .. })), "{extended:?}");
    assert!(accused(&events).len() >= 3);
}
