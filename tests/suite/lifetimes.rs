//! Futures that nobody polls, handles that are dropped early, runtimes that end: what lives on, and what does not.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt;
use quorlock::{Error, Event};
use quorlock_testkit::embedded::EmbeddedNode;

use crate::support::{Events, MINUTE, TTL, pipes};

fn went_down(event: &Event) -> bool {
    matches!(event, Event::NodeDown { .. })
}

/// A `select!` loop that is busy elsewhere leaves the answers of a lock unread; the nodes have given them.
#[tokio::test(start_paused = true)]
async fn g3_a_lock_that_nobody_polls_costs_no_connection() {
    let (_nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("kept").await.unwrap();
    let mut parked = redlock.lock("kept").into_future();
    assert!((&mut parked).now_or_never().is_none());
    tokio::time::sleep(TTL * 5).await;
    assert_eq!(events.count(went_down), 0);
    assert!(guard.is_valid());
    drop(parked);
}

/// As after a pause of a machine that the node was on, too: half of the patience is over at once, and then it answers.
#[tokio::test(start_paused = true)]
async fn g3_a_node_that_answers_within_its_patience_is_kept() {
    let (nodes, net, builder) = pipes(3);
    let events = Events::default();
    let limit = Duration::from_secs(1);
    let redlock = builder.ttl(MINUTE).time_limit(limit).observer(events.clone()).build().unwrap();
    let guard = redlock.lock("a").await.unwrap();
    // Until nothing of that is looked after any more.
    tokio::time::sleep(limit * 5).await;
    net.hold(&nodes[0].name());
    drop(guard);
    tokio::time::sleep(limit * 3 / 2).await;
    let undrained = redlock.close(Duration::ZERO).await;
    assert!(
        matches!(undrained, Err(Error::Undrained { .. })),
        "it has not answered: {undrained:?}"
    );
    net.release(&nodes[0].name());
    tokio::time::sleep(limit * 10).await;
    assert_eq!(events.count(went_down), 0);
    assert!(nodes[0].keys().is_empty());
}

/// The acquire waits for the first connection of two nodes; the lock is over before they have one.
#[tokio::test(start_paused = true)]
async fn g4_a_node_that_connects_after_the_release_is_not_sent_the_lock() {
    let (nodes, net, builder) = pipes(5);
    nodes[..2].iter().for_each(|node| net.hold(&node.name()));
    let redlock = builder.ttl(MINUTE).build().unwrap();
    drop(redlock.try_lock("a").await.unwrap().expect("three nodes are enough"));
    nodes[..2].iter().for_each(|node| net.release(&node.name()));
    redlock.close(TTL).await.unwrap();
    for node in &nodes {
        assert!(node.connections() > 0, "{} is connected", node.name());
        assert!(node.keys().is_empty(), "{} has {:?}", node.name(), node.keys());
    }
    let sets =
        |node: &EmbeddedNode| node.log().iter().filter(|line| line.starts_with("SET ")).count();
    assert_eq!(nodes[..2].iter().map(sets).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn g4_what_a_node_is_owed_is_paid_also_after_the_last_handle_is_dropped() {
    let (nodes, _net, builder) = pipes(3);
    let events = Events::default();
    let redlock = builder.ttl(MINUTE).observer(events.clone()).build().unwrap();
    let guard = redlock.lock("a").await.unwrap();
    nodes[0].crash_intact();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(events.count(went_down), 1);
    drop(guard);
    drop(redlock);
    tokio::time::sleep(Duration::from_secs(5)).await;
    nodes[0].restart().unwrap();
    assert_eq!(nodes[0].keys(), ["a"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(nodes[0].keys().is_empty());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(nodes.iter().all(|node| node.connections() == 0), "then the connections are closed");
}

#[tokio::test(start_paused = true)]
async fn g1_every_attempt_has_a_token_of_its_own() {
    let (nodes, _net, builder) = pipes(5);
    nodes[..3].iter().for_each(|node| drop(node.run(&["SET", "a", "somebody", "EX", "60"])));
    let redlock = builder.build().unwrap();
    redlock.lock("a").wait_for(4 * TTL).await.unwrap_err();
    let sets: Vec<_> =
        nodes[4].log().into_iter().filter(|line| line.starts_with("SET a ")).collect();
    let tokens: BTreeSet<_> = sets.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert!(sets.len() > 5, "{} attempts", sets.len());
    assert_eq!(tokens.len(), sets.len());
}
