//! What a program learns of its nodes before its first lock, and what all requests of a handle are told at once.

use std::time::Duration;

use quorlock::{Error, LostReason, Standing};
use quorlock_testkit::embedded::EmbeddedNode;

use crate::support::{BOUND, MAX_TTL, MINUTE, cluster, eventually, node_names, pipes, redlock};

fn voting(nodes: &[(String, Standing)]) -> Vec<bool> {
    nodes.iter().map(|(_, standing)| matches!(standing, Standing::Voting)).collect()
}

#[tokio::test]
async fn what_the_nodes_are_is_known_before_anybody_locks() {
    let cluster = cluster(5).await;
    let redlock = redlock(&cluster);
    assert!(!redlock.has_quorum(), "nobody has asked them");
    let nodes = redlock.connect().await.unwrap();
    assert_eq!(voting(&nodes), [true; 5], "{nodes:?}");
    assert_eq!(
        nodes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        node_names(&cluster)
    );
    assert!(redlock.has_quorum());
    for node in cluster.nodes() {
        assert_eq!(node.keys().await.unwrap(), Vec::<String>::new(), "that locks nothing");
    }
    redlock.close(BOUND).await.unwrap();
    assert!(!redlock.has_quorum(), "there are no more locks from it");
    let closed = redlock.connect().await.unwrap_err();
    assert!(matches!(closed, Error::Closed), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_cannot_be_reached_are_named_and_found_when_they_are_back() {
    let (nodes, net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let (dead, hung) = (&nodes[..2], nodes[2].name());
    dead.iter().for_each(EmbeddedNode::crash);
    net.partition(&hung);
    let start = tokio::time::Instant::now();
    let seen = redlock.connect().await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(voting(&seen), [false, false, false, true, true], "{seen:?}");
    assert!(seen[..3].iter().all(|(_, standing)| matches!(standing, Standing::Down(_))));
    assert!(!redlock.has_quorum());
    let again = tokio::time::Instant::now();
    redlock.connect().await.unwrap();
    assert_eq!(again.elapsed(), Duration::ZERO, "the first attempts are over");
    net.repair(&hung);
    eventually("a third one votes", async || redlock.has_quorum()).await;
    assert!(redlock.try_lock("a").await.unwrap().is_some());
}

/// Else a deployment on new nodes would wait at its first lock.
#[tokio::test(start_paused = true)]
async fn a_quarantine_passes_from_when_a_client_is_connected_also_where_nobody_locks() {
    let (nodes, _net, builder) = pipes(3);
    nodes.iter().for_each(EmbeddedNode::crash);
    nodes.iter().for_each(|node| node.restart().unwrap());
    let redlock = builder.build().unwrap();
    let seen = redlock.connect().await.unwrap();
    let is_quarantined = |(_, standing): &(String, Standing)| matches!(standing, Standing::Quarantined { ends_in, .. } if *ends_in <= MAX_TTL);
    assert!(seen.iter().all(is_quarantined), "{seen:?}");
    assert!(!redlock.has_quorum());
    tokio::time::sleep(MAX_TTL).await;
    eventually("they vote", async || redlock.has_quorum()).await;
}

#[tokio::test(start_paused = true)]
async fn connecting_goes_on_where_nobody_waits_for_it() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    assert!(futures::FutureExt::now_or_never(redlock.connect()).is_none());
    eventually("all are connected", async || nodes.iter().all(|node| node.connections() > 0)).await;
    eventually("all vote", async || voting(&redlock.nodes()) == [true; 3]).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_handle_says_holds_for_each_request_that_does_not_say_otherwise() {
    let (_nodes, _net, builder) = pipes(3);
    let seconds = Duration::from_secs;
    let redlock = builder.wait_for(seconds(3)).max_hold(seconds(20)).build().unwrap();
    let guard = redlock.lock("a").await.unwrap();
    let start = tokio::time::Instant::now();
    let held = redlock.lock("a").await.unwrap_err();
    let took = start.elapsed();
    assert!(matches!(held, Error::Held { .. }), "{held}");
    assert!(took <= seconds(3) && took > seconds(2), "{took:?}");
    // Longer than the other holds it.
    let next = redlock.lock("a").fenced().wait_for(MINUTE).max_hold(MINUTE).await.unwrap();
    assert!(!guard.is_valid(), "its time is over");
    assert_eq!(guard.lost().await, LostReason::MaxHold);
    let held = start.elapsed();
    assert!(held <= seconds(21), "{held:?}");
    tokio::time::sleep(seconds(30)).await;
    assert!(next.is_valid(), "it may hold for longer");
    let endless = redlock.lock("a").wait_for(Duration::MAX).max_hold(Duration::MAX).await.unwrap();
    assert!(!next.is_valid());
    tokio::time::sleep(10 * MINUTE).await;
    assert!(endless.is_valid());
}
