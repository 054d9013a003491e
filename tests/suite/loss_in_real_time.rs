//! Loss is told in time (promise G5) on real nodes, by a real clock: a hundred tries against a frozen majority. That it
//! is told exactly when it should be is shown in paused time, in `loss.rs`.

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use quorlock::{Guard, LostReason, Redlock};
use quorlock_testkit::Cluster;
use tokio::time::{sleep, sleep_until};

use crate::support::{BOUND, Dice, TTL, assert_no_residue, cluster, eventually, margin, redlock};

/// How many guards hear of one frozen majority.
const GUARDS: u32 = 50;
/// How often a majority is frozen: a hundred tries in all.
const FREEZES: u32 = 2;
/// How many of the hundred may not count because the machine was late itself.
const DISCARDED: usize = 5;
/// How often a machine that was late more often is asked again.
const MEASUREMENTS: usize = 8;

#[tokio::test]
async fn g5_loss_is_told_before_the_validity_ends_in_100_tries_with_a_frozen_majority() {
    let cluster = cluster(5).await;
    let redlock = redlock(&cluster);
    let mut dice = Dice::new(5);
    for measurement in 1..=MEASUREMENTS {
        let mut tries = Vec::new();
        for _ in 0..FREEZES {
            tries.extend(freeze_once(&cluster, &redlock, &mut dice).await);
        }
        assert_eq!(tries.len(), 100);
        let (counted, discarded): (Vec<Try>, Vec<Try>) = tries.into_iter().partition(Try::counts);
        for each in &counted {
            assert!(each.told_at < each.deadline, "{each:?}");
            assert_eq!(each.reason, LostReason::Expired);
        }
        if discarded.len() <= DISCARDED {
            return assert_no_residue(&redlock, &cluster).await;
        }
        eprintln!("measurement {measurement}: the machine was late {} times", discarded.len());
    }
    panic!("the machine is too busy: its own timers were late in every measurement");
}

/// What became of one guard.
#[derive(Debug)]
struct Try {
    /// The end of the validity that no extend moved any more.
    deadline: Instant,
    reason: LostReason,
    told_at: Instant,
    /// When timers of its own for the same moment had fired.
    control_at: Instant,
}

impl Try {
    /// Whether this machine was able to be in time at all.
    fn counts(&self) -> bool {
        self.control_at < self.deadline
    }
}

/// Many guards taken at staggered moments of the keeper's interval; then a majority freezes, and each guard hears of it.
async fn freeze_once(cluster: &Cluster, redlock: &Redlock, dice: &mut Dice) -> Vec<Try> {
    let mut watches = Vec::new();
    for number in 0..GUARDS {
        let guard = redlock.lock(format!("r:{number}")).wait_for(BOUND).await.expect("it is free");
        watches.push(tokio::spawn(watch(guard)));
        sleep(dice.below(2 * TTL / 3 / GUARDS)).await;
    }
    let first = dice.up_to(cluster.len());
    let majority = (0..3).map(|i| cluster.node((first + i) % cluster.len()));
    let majority: Vec<_> = majority.collect();
    join_all(majority.iter().map(|node| async { node.pause().await.expect("it freezes") })).await;
    let tries = join_all(watches).await;
    join_all(majority.iter().map(|node| async { node.resume().await.expect("it thaws") })).await;
    eventually("a majority is back", async || {
        matches!(redlock.try_lock("back").await, Ok(Some(_)))
    })
    .await;
    tries.into_iter().map(|watch| watch.expect("no watch panics")).collect()
}

/// Waits for the loss, between two timers that control whether this machine was in time.
async fn watch(guard: Guard) -> Try {
    let guard = Arc::new(guard);
    let before = tokio::spawn(control(Arc::clone(&guard)));
    let lost = guard.lost();
    let told = tokio::spawn(async move { (lost.await, Instant::now()) });
    // Who is held up between the first of three that are woken together and the last has been late as well.
    let after = tokio::spawn(control(Arc::clone(&guard)));
    let [before, after] = [before.await, after.await].map(|control| control.expect("it ends"));
    let (reason, told_at) = told.await.expect("waiting does not panic");
    assert!(!guard.is_valid());
    Try { deadline: after.0, reason, told_at, control_at: before.1.max(after.1) }
}

/// The end of the validity that no extend moved any more, and when a timer fired that was set for when that has to be told.
async fn control(guard: Arc<Guard>) -> (Instant, Instant) {
    let mut deadline = guard.valid_until().expect("just taken");
    loop {
        sleep_until((deadline - margin(TTL)).into()).await;
        let now = Instant::now();
        match guard.valid_until() {
            Some(later) if later > deadline => deadline = later,
            _ => return (deadline, now),
        }
    }
}
