//! Answers that come too late: after the round, after the deadline, after the connection was given up. None makes a guard
//! or revives one, and nothing that arrives late is left on a node.

use std::time::Duration;

use futures::FutureExt;
use quorlock::{Error, Event, LostReason, NodeErrorKind};

use crate::support::{
    BOUND, Events, MINUTE, TTL, assert_no_residue, builder, cluster, eventually, node_name, owners,
    patient, pipes, proxied,
};

/// Sends what the work sends at its first poll, stops this thread past the deadline, as a debugger or an overbooked machine
/// does, and only then looks at the answers, which other threads have brought. Work that is done at its first poll was
/// never stalled: it is begun anew.
async fn stalled<T, F: Future<Output = T>>(begin: impl Fn() -> F) -> T {
    loop {
        let mut work = Box::pin(begin());
        if work.as_mut().now_or_never().is_none() {
            std::thread::sleep(TTL / 2);
            return work.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_client_stalled_past_its_deadline_while_acquiring_gets_no_guard() {
    let cluster = cluster(5).await;
    let redlock = builder(&cluster).ttl(TTL / 2).time_limit(BOUND).build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    let tried = stalled(|| redlock.try_lock("invoice:42").into_future()).await;
    assert!(matches!(tried, Err(Error::TooLate { .. })), "{tried:?}");
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_a_client_stalled_past_its_deadline_while_extending_revives_nothing() {
    let cluster = cluster(5).await;
    let redlock = builder(&cluster).ttl(TTL / 2).time_limit(BOUND).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    let extended = stalled(|| guard.extend()).await;
    assert!(matches!(extended, Err(Error::Lost { .. })), "{extended:?}");
    assert!(!guard.is_valid() && guard.valid_until().is_none());
    assert_eq!(guard.lost().await, LostReason::Expired);
    drop(guard);
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn g1_answers_kept_back_until_after_the_deadline_make_no_guard() {
    let (nodes, net, builder) = pipes(5);
    let redlock = builder.time_limit(5 * TTL).build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    nodes.iter().for_each(|node| net.hold(&node.name()));
    let start = tokio::time::Instant::now();
    let tried = redlock.try_lock("invoice:42").await;
    assert!(matches!(tried, Err(Error::NoQuorum { .. })), "{tried:?}");
    let bound = Duration::from_millis(1_978)..=TTL;
    assert!(bound.contains(&start.elapsed()), "until the deadline and no longer");
    nodes.iter().for_each(|node| net.release(&node.name()));
    redlock.close(BOUND).await.unwrap();
    assert!(nodes.iter().all(|node| node.keys().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn g6_an_extend_answered_after_the_old_deadline_revives_nothing() {
    let (nodes, net, builder) = pipes(5);
    let redlock = builder.time_limit(5 * TTL).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    let deadline = guard.valid_until().unwrap();
    tokio::time::sleep(TTL / 2).await;
    nodes.iter().for_each(|node| net.hold(&node.name()));
    let extended = guard.extend().await;
    assert!(matches!(extended, Err(Error::Lost { .. })), "{extended:?}");
    assert!(tokio::time::Instant::now().into_std() >= deadline);
    // The keys are still there: now the nodes extend them, and say so.
    nodes.iter().for_each(|node| net.release(&node.name()));
    tokio::time::sleep(TTL / 2).await;
    assert!(
        nodes.iter().all(|node| node.keys() == ["invoice:42"]),
        "it came in time for the nodes"
    );
    assert!(!guard.is_valid() && guard.valid_for().is_zero());
    assert_eq!(guard.lost().await, LostReason::Expired);
    assert!(matches!(guard.extend().await, Err(Error::Lost { .. })));
    drop(guard);
    redlock.close(BOUND).await.unwrap();
    assert!(nodes.iter().all(|node| node.keys().is_empty()));
}

#[tokio::test]
async fn g4_commands_held_on_the_wire_and_delivered_after_the_round_leave_no_key() {
    let cluster = proxied(5).await;
    let redlock = builder(&cluster).time_limit(TTL / 4).ttl(MINUTE).build().unwrap();
    drop(redlock.lock("first").await.unwrap().release().await);
    (0..5).for_each(|index| cluster.proxy(index).hold());
    let tried = redlock.try_lock("invoice:42").await;
    let Err(Error::NoQuorum { failures, .. }) = tried else { panic!("{tried:?}") };
    assert!(
        failures.iter().all(|failure| failure.kind() == NodeErrorKind::NoAnswer),
        "{failures:?}"
    );
    assert_eq!(failures.len(), 5);
    (0..5).for_each(|index| cluster.proxy(index).release());
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_commands_delivered_after_their_connection_was_given_up_leave_no_key() {
    let (cluster, events) = (proxied(5).await, Events::default());
    let redlock = builder(&cluster).time_limit(TTL / 4).ttl(MINUTE).observer(events.clone());
    let redlock = redlock.build().unwrap();
    drop(redlock.lock("first").await.unwrap().release().await);
    (0..5).for_each(|index| cluster.proxy(index).hold());
    assert!(redlock.try_lock("invoice:42").await.is_err());
    events.until_only_gone(&cluster, 0b1_1111).await;
    (0..5).for_each(|index| cluster.proxy(index).release());
    assert_no_residue(&redlock, &cluster).await;
    let owed = |index| {
        let name = node_name(&cluster, index);
        events.count(|event| {
            matches!(event, Event::NodeConnected { node, owed: 1.., .. } if **node == *name)
        })
    };
    assert!((0..5).all(|index| owed(index) == 1), "each was owed the release: {:?}", events.all());
}

#[tokio::test]
async fn a_grant_that_comes_after_the_lock_was_won_is_one_more_node_that_holds_it() {
    let (cluster, events) = (proxied(5).await, Events::default());
    let redlock = patient(&cluster).observer(events.clone());
    let redlock = redlock.build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    eventually("all are connected", async || {
        (0..5).all(|index| events.is_connected(&node_name(&cluster, index)))
    })
    .await;
    (0..2).for_each(|index| cluster.proxy(index).hold());
    let guard = redlock.lock("invoice:42").await.unwrap();
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "--ooo");
    (0..2).for_each(|index| cluster.proxy(index).release());
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    guard.release().await.unwrap();
    assert_no_residue(&redlock, &cluster).await;
}
