//! Nodes that may have forgotten locks do not vote on new ones: new, restarted and flushed nodes, and how they come to vote.
//! Nodes that may not vote for other reasons are `standing.rs`'s.

use std::time::Duration;

use quorlock::{Error, Event, NodeErrorKind, Redlock, Standing};
use quorlock_testkit::Cluster;

use crate::support::{
    BOUND, Events, MINUTE, cluster, delete, eventually, holders, node_name, occupy, on, patient,
    pipes,
};

/// A handle on nodes that are joined before they vote.
fn joining(cluster: &Cluster) -> (Redlock, Events) {
    let events = Events::default();
    let redlock = patient(cluster).observer(events.clone()).build().expect("the settings are good");
    (redlock, events)
}

fn voting(redlock: &Redlock) -> usize {
    redlock.nodes().iter().filter(|(_, standing)| matches!(standing, Standing::Voting)).count()
}

fn quarantined(redlock: &Redlock) -> usize {
    let nodes = redlock.nodes();
    nodes.iter().filter(|(_, standing)| matches!(standing, Standing::Quarantined { .. })).count()
}

#[tokio::test]
async fn new_nodes_vote_when_no_lock_can_be_forgotten_any_more() {
    let cluster = Cluster::start(3).await.unwrap();
    let ttl = Duration::from_millis(1_500);
    let redlock = on(cluster.urls()).ttl(ttl).max_ttl(ttl).build().unwrap();
    let refused = redlock.try_lock("a").await.unwrap_err();
    let Error::Quarantined { ends_in, failures, .. } = &refused else { panic!("{refused}") };
    assert!(*ends_in <= ttl, "{ends_in:?}");
    assert!(failures.iter().all(|node| node.kind() == NodeErrorKind::Quarantined), "{refused}");
    assert!(refused.to_string().contains("bootstrap"), "{refused}");
    // Waiting is of use, and long enough is long enough.
    let guard = redlock.lock("a").wait_for(BOUND).await.unwrap();
    assert!(voting(&redlock) >= 2);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_quarantine_that_outlasts_the_wait_is_told_at_once() {
    let cluster = Cluster::start(3).await.unwrap();
    let (redlock, _) = joining(&cluster);
    let rounds = tokio::time::timeout(BOUND, redlock.lock("a")).await.unwrap();
    assert!(matches!(rounds, Err(Error::Quarantined { .. })), "{rounds:?}");
}

#[tokio::test]
async fn brand_new_nodes_vote_at_once_when_somebody_says_that_they_are() {
    let cluster = Cluster::start(3).await.unwrap();
    let (other, events) = joining(&cluster);
    let refused = other.try_lock("a").await.unwrap_err();
    assert!(matches!(refused, Error::Quarantined { .. }), "{refused}");
    let (redlock, _) = joining(&cluster);
    redlock.bootstrap().await.unwrap();
    assert_eq!(voting(&redlock), 3);
    let guard = redlock.try_lock("a").await.unwrap().expect("it is free");
    // Whoever was there before is told.
    eventually("the other handle sees it", async || voting(&other) == 3).await;
    assert!(other.try_lock("a").await.unwrap().is_none(), "held");
    assert_eq!(events.count(|event| matches!(event, Event::NodeQuarantined { .. })), 3);
    assert_eq!(events.count(|event| matches!(event, Event::NodeVotes { .. })), 3);
    // Once more is no harm, also while a lock is held.
    redlock.bootstrap().await.unwrap();
    guard.release().await.unwrap();
}

#[tokio::test]
async fn nodes_that_hold_anything_that_expires_are_not_taken_for_new() {
    let cluster = Cluster::start(3).await.unwrap();
    occupy(&cluster, 0b001, "a").await;
    let (redlock, _) = joining(&cluster);
    let refused = redlock.bootstrap().await.unwrap_err();
    let Error::NotNew { failures, .. } = &refused else { panic!("{refused}") };
    assert_eq!(failures.len(), 1, "{refused}");
    assert_eq!(failures[0].kind(), NodeErrorKind::InUse, "{refused}");
    assert_eq!(failures[0].node(), node_name(&cluster, 0));
    assert_eq!(quarantined(&redlock), 3, "nothing was changed");
    delete(&cluster, 0b001, "a").await;
    redlock.bootstrap().await.unwrap();
}

/// Two of three nodes hold the lock, the third could not be reached. One of the two restarts and has forgotten it, the third
/// is back: so two nodes know of no lock.
async fn forgetful(cluster: &Cluster, holder: &Redlock, forget: impl AsyncFn(&Cluster)) {
    cluster.node(2).crash().await.expect("it is up");
    eventually("the third is gone", async || matches!(holder.nodes()[2].1, Standing::Down(_)))
        .await;
    let guard = holder.lock("a").without_keeper().await.expect("two nodes vote");
    forget(cluster).await;
    cluster.node(2).restart().await.expect("it is down");
    eventually("one node is left that knows", async || holders(cluster, "a").await == "010").await;
    // Held until the test is over: a release would be one more reason for the lock to be free.
    std::mem::forget(guard);
}

async fn restarts(cluster: &Cluster) {
    cluster.node(0).wipe().await.expect("it answers");
    cluster.node(0).bounce().await.expect("it is up");
}

async fn is_flushed(cluster: &Cluster) {
    cluster.node(0).command(&["FLUSHALL"]).await.expect("it answers");
}

#[tokio::test]
async fn g1_a_node_that_restarts_empty_helps_nobody_to_a_second_lock() {
    let cluster = cluster(3).await;
    let (holder, _) = joining(&cluster);
    holder.bootstrap().await.unwrap();
    forgetful(&cluster, &holder, restarts).await;
    let (second, _) = joining(&cluster);
    // Connected with all of them: else the denial of the one that knows may be heard before the third is asked.
    assert!(second.try_lock("b").await.is_err(), "only one votes");
    eventually("both are seen", async || quarantined(&second) == 2).await;
    let refused = second.try_lock("a").await;
    assert!(matches!(refused, Err(Error::Quarantined { .. })), "{refused:?}");
    // Without the quarantine the same two nodes make a second lock.
    let trusting = patient(&cluster).without_quarantine().build().unwrap();
    assert!(trusting.try_lock("a").await.unwrap().is_some(), "this is what the quarantine is for");
}

/// A power failure can cost a lock and leave the marker, if the marker is older.
#[tokio::test(start_paused = true)]
async fn g1_a_marker_that_survived_a_restart_proves_nothing() {
    let (nodes, _, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    redlock.lock("a").await.unwrap().release().await.unwrap();
    nodes[0].crash_intact();
    nodes[0].restart().expect("a node without a port needs none");
    eventually("it is seen", async || quarantined(&redlock) == 1).await;
}

#[tokio::test]
async fn a_held_lock_outlives_nodes_that_forget_one_after_the_other() {
    let cluster = cluster(3).await;
    let (holder, _) = joining(&cluster);
    let guard = holder.lock("a").without_keeper().await.expect("all nodes vote");
    for node in 0..3 {
        cluster.node(node).command(&["FLUSHALL"]).await.expect("it answers");
        eventually("it is seen", async || quarantined(&holder) == node + 1).await;
        guard.extend().await.expect("the other two hold it");
        eventually("it is repaired", async || holders(&cluster, "a").await == "111").await;
    }
    assert!(guard.is_valid());
    assert!(holder.try_lock("b").await.is_err(), "nobody votes on another one");
    guard.release().await.unwrap();
}

#[tokio::test]
async fn g1_a_node_that_is_flushed_helps_nobody_to_a_second_lock() {
    for protocol in ["", "/?protocol=resp2"] {
        let cluster = cluster(3).await;
        let urls = || cluster.urls().into_iter().map(|url| format!("{url}{protocol}"));
        let builder = || on(urls()).ttl(MINUTE).time_limit(BOUND);
        let (holder, second) = (builder().build().unwrap(), builder().build().unwrap());
        holder.bootstrap().await.unwrap();
        // It is connected before, and learns of it from a connection that is still the same.
        drop(second.try_lock("b").await.unwrap());
        forgetful(&cluster, &holder, is_flushed).await;
        eventually("the third is back", async || !matches!(second.nodes()[2].1, Standing::Down(_)))
            .await;
        let refused = second.try_lock("a").await;
        // Where nobody tells of the flush, it is the vote itself that does not count, and the denial of the one that knows
        // may be heard before it.
        let is_void =
            !protocol.is_empty() && matches!(refused, Ok(None) | Err(Error::NoQuorum { .. }));
        let is_quarantined = matches!(refused, Err(Error::Quarantined { .. }));
        assert!(is_quarantined || is_void, "{protocol}: {refused:?}");
        eventually("it is seen", async || quarantined(&second) == 2).await;
        let trusting = patient(&cluster).without_quarantine().build().unwrap();
        assert!(trusting.try_lock("a").await.unwrap().is_some(), "this is what it is for");
    }
}
